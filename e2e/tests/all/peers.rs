//! The harness itself: every foreign peer can be started privately, and the scripted peer does what
//! it is told. These tests need no Bridgehead.

use std::net::SocketAddr;

use e2e::foreign::{Certificate, Exim, OpenSmtpd, Postfix, Sink, Source, TlsPeer, python, swaks};
use e2e::{Act, At, Client, Peer, Reserved, Script, mail, skip, until};

#[test]
fn a_polite_peer_keeps_what_it_accepts() {
    let peer = Peer::start("127.0.0.9", Script::polite());
    let mut client = Client::connect(peer.address(), "127.0.0.5");
    client.greet();
    client.deliver("x@ext.example", "alice@corp.example", "Subject: dots\r\n\r\n.\r\n..\r\nend\r\n");
    client.quit();
    let received = peer.wait_for(1);
    assert_eq!(received[0].content, "Subject: dots\r\n\r\n.\r\n..\r\nend\r\n");
    assert_eq!(received[0].to, ["<alice@corp.example>"]);
    assert_eq!(received[0].client.ip().to_string(), "127.0.0.5");
}

#[test]
fn a_scripted_peer_defers_refuses_and_drops() {
    let script = Script::polite()
        .first(1, At::Mail, Act::say("450 4.2.0 later"))
        .when(At::Rcpt, "nobody", Act::say("550 5.1.1 no such user"))
        .first(1, At::Dot, Act::Drop);
    let peer = Peer::start("127.0.0.9", script);
    let mut client = Client::connect(peer.address(), "127.0.0.5");
    client.greet();
    client.ask("MAIL FROM:<x@ext.example>", "450 4.2.0");
    client.ask("MAIL FROM:<x@ext.example>", "250");
    client.ask("RCPT TO:<nobody@corp.example>", "550 5.1.1");
    client.ask("RCPT TO:<alice@corp.example>", "250");
    client.ask("DATA", "354");
    client.send(b"Subject: x\r\n\r\n.\r\n");
    client.expect_closed();
    assert_eq!(peer.count(), 0);
}

#[test]
fn a_reserved_address_refuses_until_it_is_opened() {
    let reserved = Reserved::on("127.0.0.9");
    let address = reserved.address();
    assert!(Client::try_connect(address, "127.0.0.5").is_err());
    let _peer = reserved.open(Script::polite());
    let mut client = Client::connect(address, "127.0.0.5");
    client.expect("220");
}

#[test]
fn postfix_accepts_and_relays() {
    let peer = Peer::start("127.0.0.9", Script::polite());
    let settings = format!("relayhost = {}", peer.route());
    let Some(postfix) = Postfix::start("127.0.0.44", &settings) else {
        return skip("Postfix is not installed, or this is not root");
    };
    relays_to(postfix.address(), &peer, &|| postfix.log());
}

#[test]
fn exim_accepts_and_relays() {
    let peer = Peer::start("127.0.0.9", Script::polite());
    let Some(exim) = Exim::start("127.0.0.46", peer.address()) else {
        return skip("there is no tree of Exim, or this is not root");
    };
    relays_to(exim.address(), &peer, &|| exim.log());
    let token = deliver(exim.address(), "alice@corp.example");
    until("the message in Exim's inbox", || exim.inbox().iter().any(|text| text.contains(&token)).then_some(()));
}

#[test]
fn opensmtpd_accepts_and_relays() {
    let peer = Peer::start("127.0.0.9", Script::polite());
    let Some(opensmtpd) = OpenSmtpd::start("127.0.0.47", peer.address()) else {
        return skip("there is no tree of OpenSMTPD, or this is not root");
    };
    relays_to(opensmtpd.address(), &peer, &|| opensmtpd.log());
    let token = deliver(opensmtpd.address(), "alice@corp.example");
    until("the message in its inbox", || opensmtpd.inbox().iter().any(|text| text.contains(&token)).then_some(()));
}

#[test]
fn swaks_speaks_to_a_peer() {
    let peer = Peer::start("127.0.0.9", Script::polite());
    let (ip, port) = (peer.address().ip().to_string(), peer.address().port().to_string());
    let arguments = ["--server", &ip, "--port", &port, "--from", "x@ext.example", "--to", "alice@corp.example"];
    let Some(finished) = swaks(&arguments) else { return skip("swaks is not installed") };
    assert_eq!(finished.code, 0, "{}", finished.text());
    assert_eq!(peer.count(), 1);
}

#[test]
fn smtp_source_fills_smtp_sink() {
    let Some(sink) = Sink::start("127.0.0.48") else { return skip("smtp-sink is not installed") };
    let source = Source {
        sessions: 5,
        messages: 50,
        bytes: 1024,
        from: "x@ext.example",
        to: "alice@corp.example",
        reuse: false,
    };
    let _ = source.run(sink.address());
    until("fifty messages in the sink", || (sink.count() == 50).then_some(()));
}

#[test]
fn a_tls_peer_speaks_tls_with_python() {
    let Some(certificate) = Certificate::for_name("tls.test") else { return skip("openssl is not installed") };
    let Some(peer) = TlsPeer::start("127.0.0.10", &certificate) else { return skip("there is no Python") };
    let token = mail::token();
    let program = "import smtplib, ssl, sys
ip, port = sys.argv[1].strip('[').split(']:')
s = smtplib.SMTP(ip, int(port))
s.starttls(context=ssl._create_unverified_context())
s.sendmail('x@ext.example', ['alice@corp.example'], 'Subject: ' + sys.argv[2] + '\\r\\n\\r\\nx')
s.quit()";
    let finished = python(program, &[&peer.route(), &token]).expect("there is Python");
    assert_eq!(finished.code, 0, "{}", finished.text());
    assert!(peer.tls_of(&token).starts_with("TLSv1."), "{}", peer.output());
}

fn relays_to(server: SocketAddr, peer: &Peer, log: &dyn Fn() -> String) {
    let token = deliver(server, "bob@ext.example");
    let found = until("the message at the next hop", || {
        peer.received().into_iter().find(|received| received.content.contains(&token))
    });
    assert_eq!(found.to, ["<bob@ext.example>"], "{}", log());
}

fn deliver(server: SocketAddr, to: &str) -> String {
    let (message, token) = mail::message("for a peer");
    let mut client = Client::connect(server, "127.0.0.5");
    client.greet();
    client.deliver("x@ext.example", to, &message);
    client.quit();
    token
}

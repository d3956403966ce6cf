//! Other people's mail servers and clients on either side of us.

use std::net::SocketAddr;

use e2e::foreign::{Exim, OpenSmtpd, Postfix, python, swaks};
use e2e::{Client, Gateway, Peer, Reserved, Script, mail, skip, until};

use crate::{HOP, LISTED, OTHER, inbound};

const NO_POSTFIX: &str = "Postfix is not installed, or this is not root";
const NO_EXIM: &str = "there is no tree of Exim, or this is not root";
const NO_OPENSMTPD: &str = "there is no tree of OpenSMTPD, or this is not root";

/// Bridgehead for corp.example and ext.example, both into the drop directory.
fn receiving() -> Gateway {
    Gateway::start(&inbound("").replace("[\"corp.example\"]", "[\"corp.example\", \"ext.example\"]"))
}

/// Bridgehead for corp.example, which it hands to `next_hop`.
fn sending(next_hop: &str) -> Gateway {
    Gateway::start(&inbound("").replace("[metrics]", &format!("route = \"{next_hop}\"\n[metrics]")))
}

/// A message with everything that is easily damaged on the way.
fn delicate() -> (String, String) {
    let (head, token) = mail::message("delicate");
    let long = "y".repeat(998);
    (format!("{head}.\r\n..\r\n. dot\r\n\r\n{long}\r\ntrailing space \r\n\ttab\r\nFrom the beginning\r\n"), token)
}

fn body(content: &str) -> String {
    let content = content.replace("\r\n", "\n");
    content.split_once("\n\n").map(|(_, body)| body.trim_end().to_owned()).unwrap_or_default()
}

/// Hands a message for bob@ext.example to a mail server that sends everything on to us.
fn comes_from(server: SocketAddr, gateway: &Gateway) {
    let (message, token) = delicate();
    let mut client = Client::connect(server, LISTED);
    client.greet();
    client.deliver("x@ext.example", "bob@ext.example", &message);
    client.quit();
    assert_eq!(body(&gateway.dropped_with(&token)), body(&message));
}

/// Sends a message for alice@corp.example through us.
fn goes_to(gateway: &Gateway, inbox: &dyn Fn() -> Vec<String>) {
    let (message, token) = delicate();
    gateway.client("inbound", OTHER).deliver("x@ext.example", "alice@corp.example", &message);
    let found = until("the message in the peer's inbox", || inbox().into_iter().find(|text| text.contains(&token)));
    assert_eq!(body(&found), body(&message));
    gateway.wait_until_empty();
}

#[test]
fn postfix_sends_to_us() {
    let gateway = receiving();
    let address = gateway.address("inbound");
    let settings = format!("relayhost = [{}]:{}", address.ip(), address.port());
    let Some(postfix) = Postfix::start("127.0.0.44", &settings) else { return skip(NO_POSTFIX) };
    comes_from(postfix.address(), &gateway);
    let (message, token) = mail::message("by sendmail");
    let submitted = postfix.submit("root@ext.example", "bob@ext.example", &message);
    assert_eq!(submitted.code, 0, "{}", submitted.text());
    let _ = gateway.dropped_with(&token);
}

#[test]
fn we_send_to_postfix() {
    let end = Peer::start(HOP, Script::polite());
    let settings = format!("relayhost = {}", end.route());
    let Some(postfix) = Postfix::start("127.0.0.44", &settings) else { return skip(NO_POSTFIX) };
    let gateway = sending(&postfix.route());
    goes_to(&gateway, &|| end.received().into_iter().map(|received| received.content).collect());
}

#[test]
fn exim_sends_to_us() {
    let gateway = receiving();
    let Some(exim) = Exim::start("127.0.0.46", gateway.address("inbound")) else { return skip(NO_EXIM) };
    comes_from(exim.address(), &gateway);
}

#[test]
fn we_send_to_exim() {
    let nowhere = Reserved::on(HOP);
    let Some(exim) = Exim::start("127.0.0.46", nowhere.address()) else { return skip(NO_EXIM) };
    goes_to(&sending(&exim.route()), &|| exim.inbox());
}

#[test]
fn opensmtpd_sends_to_us() {
    let gateway = receiving();
    let started = OpenSmtpd::start("127.0.0.47", gateway.address("inbound"));
    let Some(opensmtpd) = started else { return skip(NO_OPENSMTPD) };
    comes_from(opensmtpd.address(), &gateway);
}

#[test]
fn we_send_to_opensmtpd() {
    let nowhere = Reserved::on(HOP);
    let Some(opensmtpd) = OpenSmtpd::start("127.0.0.47", nowhere.address()) else { return skip(NO_OPENSMTPD) };
    goes_to(&sending(&opensmtpd.route()), &|| opensmtpd.inbox());
}

#[test]
fn swaks_sends_and_is_refused_as_it_should_be() {
    let gateway = Gateway::start(&inbound(""));
    let address = gateway.address("inbound");
    let (ip, port, token) = (address.ip().to_string(), address.port().to_string(), mail::token());
    let subject = format!("Subject: {token}");
    let common = ["--server", &ip, "--port", &port, "--from", "x@ext.example", "--header", &subject];
    let Some(sent) = swaks(&[&common[..], &["--to", "alice@corp.example", "--pipeline"][..]].concat()) else {
        return skip("swaks is not installed");
    };
    assert_eq!(sent.code, 0, "{}", sent.text());
    let _ = gateway.dropped_with(&token);
    let refused = swaks(&[&common[..], &["--to", "bob@ext.example"][..]].concat()).expect("it was there just now");
    assert_eq!(refused.code, 24, "no recipient accepted\n{}", refused.text());
    assert!(refused.text().contains("550 5.7.1 Unable to relay for bob@ext.example"), "{}", refused.text());
}

#[test]
fn python_sends_with_every_parameter_it_knows() {
    let gateway = Gateway::start(&inbound(""));
    let (address, token) = (gateway.address("inbound").to_string(), mail::token());
    let program = r#"
import smtplib, sys
host, port = sys.argv[1].rsplit(":", 1)
s = smtplib.SMTP(host, int(port), timeout=30)
s.ehlo("client.ext.example")
options = ["BODY=8BITMIME", "RET=HDRS", "ENVID=abc+2B1"]
message = ("Subject: %s\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\u00fc\u00dfe\r\n.\r\n" % sys.argv[2]).encode()
print(s.sendmail("x@ext.example", ["alice@corp.example"], message, options, ["NOTIFY=FAILURE,DELAY", "ORCPT=rfc822;a@b.example"]))
print(s.noop(), s.rset(), s.quit())
"#;
    let Some(sent) = python(program, &[&address, &token]) else { return skip("there is no Python") };
    assert_eq!(sent.code, 0, "{}", sent.text());
    assert!(gateway.dropped_with(&token).contains("Grüße\r\n.\r\n"));
}

#[test]
fn chunks_come_in_and_go_out() {
    // L17: BDAT in; out again by DATA to a hop without CHUNKING, by BDAT to one with it.
    for extensions in [&["PIPELINING", "8BITMIME"][..], &["PIPELINING", "8BITMIME", "CHUNKING"][..]] {
        let hop = Peer::start(HOP, Script::polite().offering(extensions));
        let gateway = sending(&hop.route());
        let (message, token) = delicate();
        let mut client = gateway.client("inbound", OTHER);
        client.ask("MAIL FROM:<x@ext.example>", "250");
        client.ask("RCPT TO:<alice@corp.example>", "250");
        let (first, second) = message.split_at(message.len() / 2);
        client.send(format!("BDAT {}\r\n{first}", first.len()).as_bytes());
        client.expect("250");
        client.ask("DATA", "503");
        client.ask("RSET", "250");
        client.ask("MAIL FROM:<x@ext.example>", "250");
        client.ask("RCPT TO:<alice@corp.example>", "250");
        client.send(format!("BDAT {}\r\n{first}", first.len()).as_bytes());
        client.expect("250");
        client.send(format!("BDAT {} LAST\r\n{second}", second.len()).as_bytes());
        client.expect("250");
        assert!(hop.received_with(&token).content.ends_with(&message));
    }
}

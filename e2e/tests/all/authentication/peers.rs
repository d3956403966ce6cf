//! Servers of the organization: known by an account or a certificate, and what they may say.

use e2e::foreign::{Postfix, Program, Proof, Submission, s_client};
use e2e::{mail, skip};

use super::{House, PASSWORD, SERVER, log_in};
use crate::OTHER;

/// Says these commands inside TLS, with these arguments of OpenSSL.
fn inside(house: &House, arguments: &[&str], commands: &str) -> String {
    let arguments = [&["-starttls", "smtp", "-quiet"], arguments].concat();
    let commands = format!("EHLO client.ext.example\n{commands}QUIT\n");
    s_client(house.gateway.address("out"), &arguments, &commands).expect("openssl is there").text()
}

/// By the handshake alone: what the certificate of a server has said needs no AUTH; that of a person does.
#[test]
fn a_server_is_known_by_its_handshake() {
    let Some(house) = House::open("") else { return skip("no openssl") };
    let send = "MAIL FROM:<alice@corp.example>\nRCPT TO:<bob@ext.example>\n";
    for (files, known) in [(&house.front, true), (&house.alice, false), (&house.stranger, false)] {
        let (certificate, key) = (files.certificate.display().to_string(), files.key.display().to_string());
        let said = inside(&house, &["-cert", &certificate, "-key", &key], send);
        assert_eq!(said.contains("250 2.1.5 bob@ext.example"), known, "{certificate}\n{said}");
        assert_eq!(said.contains("530 5.7.3"), !known, "{certificate}\n{said}");
        assert_eq!(said.contains("250-XFORWARD"), known, "{certificate}\n{said}");
        assert!(!said.contains("250-XCLIENT"), "not allowed to this one\n{said}");
    }
    assert!(inside(&house, &[], send).contains("530 5.7.3"));
}

/// By EXTERNAL, from a program.
#[test]
fn h05_a_server_is_known_by_its_certificate() {
    let Some(house) = House::open("") else { return skip("no openssl") };
    if !Program::Curl.available() {
        return skip("no curl");
    }
    let (message, token) = mail::message("from a server");
    let said = Program::Curl.submit(&Submission {
        server: house.gateway.address("out"),
        mechanism: "EXTERNAL",
        name: String::new(),
        proof: Proof::Certificate(house.front.clone()),
        from: "alice@corp.example".into(),
        to: "bob@ext.example".into(),
        message,
    });
    assert!(!said.text().contains("535 "), "{}", said.text());
    let _ = house.hop.received_with(&token);
    let _ = house.gateway.log_with(&["\"name\":\"front\""]);
}

/// XCLIENT and XFORWARD are for peers that may, and for nobody else, account or stranger.
#[test]
fn d22_only_a_peer_says_for_whom_it_speaks() {
    let Some(house) = House::open("") else { return skip("no openssl") };
    for (login, name, password) in [(false, "", ""), (true, "alice", PASSWORD)] {
        let mut client = house.gateway.client("devices", OTHER);
        if login {
            assert_eq!(log_in(&mut client, name, password).code(), 235);
        }
        let offered = client.ask("EHLO client.ext.example", "250");
        assert!(!offered.offers("XCLIENT") && !offered.offers("XFORWARD"), "{}", client.transcript());
        client.ask("XCLIENT ADDR=192.0.2.7", "500 5.5.1");
        client.ask("XFORWARD ADDR=192.0.2.7", "500 5.5.1");
    }
    let mut peer = house.gateway.client("devices", OTHER);
    assert_eq!(log_in(&mut peer, "ex1", SERVER).code(), 235);
    let offered = peer.ask("EHLO client.ext.example", "250");
    assert!(offered.offers("XCLIENT") && offered.offers("XFORWARD"), "{}", peer.transcript());
    // From here on it is somebody who has not authenticated.
    peer.ask("XCLIENT ADDR=192.0.2.7 NAME=client.example HELO=client.example", "220");
    peer.ask("EHLO client.example", "250");
    peer.ask("MAIL FROM:<alice@corp.example>", "530 5.7.3");
    let mut peer = house.gateway.client("devices", OTHER);
    assert_eq!(log_in(&mut peer, "ex1", SERVER).code(), 235);
    peer.ask("XCLIENT ADDR=192.0.2.7 LOGIN=alice HELO=client.example", "220");
    peer.ask("EHLO client.example", "250");
    let (message, token) = mail::message("for alice");
    peer.deliver("alice@corp.example", "bob@ext.example", &message);
    let received = house.hop.received_with(&token).content;
    assert!(received.contains("[192.0.2.7]") && !received.contains(OTHER), "{received}");
}

/// Postfix, known by an account or by the certificate of its handshake. It says EHLO once, before AUTH, so it
/// sees XFORWARD only where the handshake has said who it is; then it says where its mail came from.
#[test]
fn postfix_is_a_server_of_ours_and_forwards_who_its_client_was() {
    let Some(house) = House::open("") else { return skip("no openssl") };
    let (devices, out) = (house.gateway.address("devices"), house.gateway.address("out"));
    let by_account = format!(
        "relayhost = [{}]:{port}\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_security_options = noanonymous\n\
         smtp_sasl_mechanism_filter = plain\nsmtp_tls_security_level = none\n\
         smtp_sasl_password_maps = inline:{{ {{ [{}]:{port} = ex1:{SERVER} }} }}",
        devices.ip(),
        devices.ip(),
        port = devices.port()
    );
    let by_certificate = format!(
        "relayhost = [{}]:{}\nsmtp_tls_security_level = encrypt\nsmtp_send_xforward_command = yes\n\
         smtp_tls_cert_file = {}\nsmtp_tls_key_file = {}",
        out.ip(),
        out.port(),
        house.front.certificate.display(),
        house.front.key.display()
    );
    for (settings, name, forwards) in [(by_account, "ex1", false), (by_certificate, "front", true)] {
        let Some(postfix) = Postfix::start("127.0.0.11", &settings) else { return skip("no Postfix") };
        let (message, token) = mail::message("by way of Postfix");
        let mut client = e2e::Client::connect(postfix.address(), OTHER);
        client.greet();
        client.deliver("alice@corp.example", "bob@ext.example", &message);
        let _ = house.hop.received_with(&token);
        // What the log tells of the connection before it tells that the message was received.
        let log = house.gateway.log_with(&["\"event\":\"received\"", &format!("\"account\":\"{name}\"")]);
        assert!(log.contains(&format!("\"name\":\"{name}\"")), "{log}");
        let line = log.lines().find(|line| line.contains("\"event\":\"forwarded\""));
        assert_eq!(line.is_some_and(|line| line.contains(&format!("\"for\":\"{OTHER}\""))), forwards, "{log}");
    }
}

//! STARTTLS on both sides, with Python's and OpenSSL's TLS as the other side.

use e2e::foreign::{Certificate, TlsPeer, python};
use e2e::{Act, At, Gateway, Peer, Script, mail, skip};

use crate::{CORP, HOP, LISTED, OTHER, control};

fn with_certificate(settings: &str, certificate: &Certificate) -> String {
    let (certificate, key) = (certificate.certificate().display().to_string(), certificate.key().display().to_string());
    format!(
        "{settings}\n[virtual_server.inbound.tls]\ncertificates = [{{ certificate = {certificate:?}, key = {key:?} }}]\n"
    )
}

/// EHLO, STARTTLS, EHLO, then each argument as a command; prints the last line of every reply.
const CLIENT: &str = r#"
import smtplib, ssl, sys
host, port, source = sys.argv[1].rsplit(":", 1) + [sys.argv[2]]
s = smtplib.SMTP(host, int(port), source_address=(source, 0), timeout=30)
s.ehlo("client.ext.example")
print("clear", sorted(s.esmtp_features))
s.starttls(context=ssl._create_unverified_context())
s.ehlo("client.ext.example")
print("secured", s.sock.version(), sorted(s.esmtp_features))
for command in sys.argv[3:]:
    code, text = s.docmd(command)
    print(code, text.decode().splitlines()[-1])
try:
    print("then", repr(s.sock.recv(1)))
except OSError as error:
    print("then", error)
"#;

fn talk(gateway: &Gateway, source: &str, commands: &[&str]) -> Option<String> {
    let address = gateway.address("inbound").to_string();
    let mut arguments = vec![address.as_str(), source];
    arguments.extend(commands);
    let finished = python(CLIENT, &arguments)?;
    assert_eq!(finished.code, 0, "{}", finished.text());
    Some(finished.stdout)
}

#[test]
fn b12_tls_is_no_authentication() {
    let Some(certificate) = Certificate::for_name("mx1.bridgehead.test") else { return skip("no openssl") };
    let gateway = Gateway::start(&with_certificate(&control("only", &[LISTED], "anonymous"), &certificate));
    let Some(said) = talk(&gateway, OTHER, &["MAIL FROM:<x@ext.example>"]) else { return skip("no Python") };
    assert!(said.contains("530 5.7.3 Client was not authenticated"), "{said}");
    assert!(said.contains("then b''"), "the session must end\n{said}");
}

#[test]
fn starttls_is_offered_once_and_a_message_comes_through_it() {
    let Some(certificate) = Certificate::for_name("mx1.bridgehead.test") else { return skip("no openssl") };
    let gateway = Gateway::start(&with_certificate(&control("only", &[LISTED], "everyone"), &certificate));
    let commands = ["MAIL FROM:<x@ext.example>", "RCPT TO:<alice@corp.example>", "QUIT"];
    let Some(said) = talk(&gateway, LISTED, &commands) else { return skip("no Python") };
    let (clear, secured) = said.split_once("secured").unwrap();
    assert!(clear.contains("starttls") && !secured.contains("starttls"), "{said}");
    assert!(secured.contains("TLSv1.3"), "{said}");
    assert!(secured.contains("250 2.1.5"), "{said}");
}

#[test]
fn l15_commands_behind_starttls_are_not_carried_into_it() {
    let Some(certificate) = Certificate::for_name("mx1.bridgehead.test") else { return skip("no openssl") };
    let gateway = Gateway::start(&with_certificate(&control("all-except", &[], "everyone"), &certificate));
    let mut client = gateway.client("inbound", OTHER);
    client.send(b"STARTTLS\r\nMAIL FROM:<injected@ext.example>\r\n");
    // Either the connection is simply ended or it is refused first; TLS never starts.
    if let Some(reply) = client.try_reply() {
        assert_ne!(reply.code(), 220, "{}", client.transcript());
        assert_ne!(reply.code(), 250, "{}", client.transcript());
    }
}

#[test]
fn l14_required_tls_is_required() {
    let Some(certificate) = Certificate::for_name("mx1.bridgehead.test") else { return skip("no openssl") };
    let settings = with_certificate(&control("all-except", &[], "everyone"), &certificate);
    let gateway = Gateway::start(&format!("{settings}mode = \"required\"\n"));
    let mut client = gateway.client("inbound", OTHER);
    client.ask("MAIL FROM:<x@ext.example>", "530 5.7.0 Must issue a STARTTLS command first");
    let Some(said) = talk(&gateway, OTHER, &["MAIL FROM:<x@ext.example>", "QUIT"]) else { return skip("no Python") };
    assert!(said.contains("250 2.1.0"), "{said}");
}

/// Everything for outside goes to `smart_host`, with this `tls`.
fn outbound(smart_host: &str, tls: &str) -> String {
    format!(
        "{CORP}[virtual_server.outbound]\nlisten = [\"127.0.0.3:0\"]\n\
         relay = {{ mode = \"only\", list = [\"{LISTED}\"] }}\n\
         delivery = {{ smart_hosts = [\"{smart_host}\"], tls = \"{tls}\" }}\n{}",
        crate::IMPATIENT
    )
}

fn send(gateway: &Gateway) -> String {
    let (message, token) = mail::message("secured");
    gateway.client("outbound", LISTED).deliver("alice@corp.example", "bob@ext.example", &message);
    token
}

#[test]
fn a_next_hop_with_a_certificate_of_its_own_making_gets_tls() {
    let Some(certificate) = Certificate::for_name("tls.test") else { return skip("no openssl") };
    let Some(peer) = TlsPeer::start("127.0.0.10", &certificate) else { return skip("no Python") };
    let gateway = Gateway::start(&outbound(&peer.route(), "opportunistic"));
    let token = send(&gateway);
    assert!(peer.tls_of(&token).starts_with("TLSv1."), "{}", peer.output());
}

#[test]
fn tls_that_is_switched_off_is_not_used() {
    let Some(certificate) = Certificate::for_name("tls.test") else { return skip("no openssl") };
    let Some(peer) = TlsPeer::start("127.0.0.10", &certificate) else { return skip("no Python") };
    let gateway = Gateway::start(&outbound(&peer.route(), "never"));
    let token = send(&gateway);
    assert_eq!(peer.tls_of(&token), "none");
}

#[test]
fn mail_that_needs_tls_is_not_sent_without() {
    let hop = Peer::start(HOP, Script::polite());
    let gateway = Gateway::start(&outbound(&hop.route(), "required"));
    let _ = send(&gateway);
    hop.wait_for_connections(2);
    assert_eq!(hop.count(), 0);
    assert!(!hop.commands().iter().any(|line| line.starts_with("MAIL")), "{:?}", hop.commands());
    assert_eq!(gateway.queued(), 1);
}

#[test]
fn a_next_hop_that_cannot_do_the_tls_it_offers_gets_clear_text() {
    let script = Script::polite().offering(&["STARTTLS"]).always(At::StartTls, Act::say("454 4.7.0 not now"));
    let hop = Peer::start(HOP, script);
    let gateway = Gateway::start(&outbound(&hop.route(), "opportunistic"));
    let token = send(&gateway);
    let _ = hop.received_with(&token);
}

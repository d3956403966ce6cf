//! Rows of the acceptance table over real sockets: what follows once a client has authenticated, or has not.

use base64ct::{Base64, Encoding};
use e2e::{Client, Gateway, Peer, Script, mail, skip};

use super::{House, PASSWORD, SERVER, add_account, log_in, plain, quoted};
use crate::{HOP, LISTED, OTHER};

/// One virtual server `inbound` with these tables, accounts alice and ex1, and the server ex1.
struct Flagged {
    gateway: Gateway,
    hop: Peer,
    _directory: tempfile::TempDir,
}

fn flagged(control: &str, anonymous: bool, mechanisms: &[&str], relay: &str) -> Flagged {
    let directory = tempfile::tempdir().expect("a temporary directory");
    add_account(directory.path(), "alice", PASSWORD, &["--address", "alice@corp.example"]);
    add_account(directory.path(), "ex1", SERVER, &[]);
    let hop = Peer::start(HOP, Script::polite());
    let gateway = Gateway::start(&format!(
        "[organization]\ndomains = [\"corp.example\"]\n[directory.file.people]\npath = {}\n\
         [peer.ex1]\naccounts = [\"ex1\"]\n[guessing]\nexempt = [\"127.0.0.0/8\"]\n\
         [virtual_server.inbound]\nlisten = [\"127.0.0.2:0\"]\nconnection_control = {{ {control} }}\n\
         delivery = {{ smart_hosts = [\"{}\"] }}\nrelay = {{ {relay} }}\n\
         authentication = {{ anonymous = {anonymous}, mechanisms = {mechanisms:?}, directories = [\"people\"], \
         failure_delay = \"0 s\", in_the_clear = \"i-know-passwords-can-be-read-on-the-way\" }}\n",
        quoted(&directory.path().join("accounts")),
        hop.route()
    ));
    Flagged { gateway, hop, _directory: directory }
}

/// Only [`LISTED`] need not authenticate.
fn only_listed() -> String {
    format!("mode = \"only\", list = [\"{LISTED}\"], applies_to = \"anonymous\"")
}

/// A message to this recipient arrives at the next hop or in the drop directory.
fn arrives(flagged: &Flagged, client: &mut Client, recipient: &str) {
    let (message, token) = mail::message("after AUTH");
    client.deliver("alice@corp.example", recipient, &message);
    if recipient.ends_with("@corp.example") {
        let _ = flagged.gateway.dropped_with(&token);
    } else {
        let _ = flagged.hop.received_with(&token);
    }
}

/// B05, B10, B11: who has authenticated may submit, after RSET too, and one message after the other.
#[test]
fn b05_b10_b11_who_has_authenticated_sends_and_goes_on_sending() {
    let it = flagged(&only_listed(), true, &["PLAIN", "LOGIN"], "");
    let mut client = it.gateway.client("inbound", OTHER);
    assert_eq!(log_in(&mut client, "alice", PASSWORD).last(), "235 2.7.0 Authentication successful");
    client.ask("RSET", "250");
    arrives(&it, &mut client, "alice@corp.example");
    arrives(&it, &mut client, "alice@corp.example");
    client.ask(&plain("alice", PASSWORD), "503 5.5.1");
    client.quit();
}

/// B06, D10, H05: a server of the organization sends to everybody, without being listed and without relay.
#[test]
fn b06_d10_h05_a_peer_sends_to_everybody() {
    let it = flagged(&only_listed(), true, &["PLAIN"], "");
    let mut nobody = it.gateway.client("inbound", OTHER);
    nobody.ask("MAIL FROM:<alice@corp.example>", "530 5.7.3");
    nobody.expect_closed();
    let mut client = it.gateway.client("inbound", OTHER);
    assert_eq!(log_in(&mut client, "ex1", SERVER).code(), 235);
    arrives(&it, &mut client, "alice@corp.example");
    arrives(&it, &mut client, "bob@ext.example");
    // The same account is no server to somebody else: alice may submit and not relay.
    let mut other = it.gateway.client("inbound", OTHER);
    assert_eq!(log_in(&mut other, "alice", PASSWORD).code(), 235);
    other.ask("MAIL FROM:<alice@corp.example>", "250");
    other.ask("RCPT TO:<bob@ext.example>", "550 5.7.1 Unable to relay for bob@ext.example");
}

/// B07, B09, E04: a wrong password is 535, known account or not, and changes nothing for better or worse.
#[test]
fn b07_b09_e04_who_fails_is_who_he_was_before() {
    let it = flagged(&only_listed(), true, &["PLAIN", "LOGIN"], "authenticated = true");
    for (name, password) in [("alice", "wrong"), ("nobody", PASSWORD), ("alice", "")] {
        let mut client = it.gateway.client("inbound", OTHER);
        let said = log_in(&mut client, name, password);
        assert_eq!(said.last(), "535 5.7.8 Authentication credentials invalid", "{}", client.transcript());
        client.ask("MAIL FROM:<x@ext.example>", "530 5.7.3");
        client.expect_closed();
    }
    let mut listed = it.gateway.client("inbound", LISTED);
    assert_eq!(log_in(&mut listed, "alice", "wrong").code(), 535);
    arrives(&it, &mut listed, "alice@corp.example");
    listed.ask("MAIL FROM:<alice@corp.example>", "250");
    listed.ask("RCPT TO:<bob@ext.example>", "550 5.7.1");
    assert_eq!(it.hop.count(), 0);
}

/// B15, B17: the list, whatever it is, is for those who have not authenticated.
#[test]
fn b15_b17_the_list_is_for_the_anonymous_alone() {
    let except = format!("mode = \"all-except\", list = [\"{OTHER}\"], applies_to = \"anonymous\"");
    for control in ["mode = \"only\", list = [], applies_to = \"anonymous\"", &except] {
        let it = flagged(control, true, &["PLAIN"], "");
        let mut nobody = it.gateway.client("inbound", OTHER);
        nobody.ask("MAIL FROM:<x@ext.example>", "530 5.7.3");
        nobody.expect_closed();
        let mut client = it.gateway.client("inbound", OTHER);
        assert_eq!(log_in(&mut client, "alice", PASSWORD).code(), 235);
        arrives(&it, &mut client, "alice@corp.example");
    }
}

/// A06, A07, A09: where the list is for everyone, a password gets nobody in; on the list, it does.
#[test]
fn a06_a07_a09_a_list_for_everyone_comes_before_any_password() {
    for applies_to in ["", ", applies_to = \"everyone\""] {
        let control = format!("mode = \"only\", list = [\"{LISTED}\"]{applies_to}");
        let it = flagged(&control, true, &["PLAIN"], "");
        let mut client = it.gateway.connect("inbound", OTHER);
        client.expect("554 5.7.1");
        client.expect_closed();
        let mut listed = it.gateway.client("inbound", LISTED);
        assert_eq!(log_in(&mut listed, "ex1", SERVER).code(), 235);
        arrives(&it, &mut listed, "bob@ext.example");
    }
}

/// E01, E02: roaming people must authenticate, and then relay.
#[test]
fn e01_e02_roaming_people_authenticate_and_relay() {
    let it = flagged("mode = \"all-except\", list = []", false, &["PLAIN", "LOGIN"], "authenticated = true");
    it.gateway.client("inbound", LISTED).ask("MAIL FROM:<alice@corp.example>", "530 5.7.3");
    let mut client = it.gateway.client("inbound", OTHER);
    client.ask("AUTH LOGIN", "334 VXNlcm5hbWU6");
    client.ask(&Base64::encode_string(b"ALICE"), "334 UGFzc3dvcmQ6");
    client.ask(&Base64::encode_string(PASSWORD.as_bytes()), "235 2.7.0");
    arrives(&it, &mut client, "bob@ext.example");
}

/// H07, H20: where the anonymous may send, they submit and do not relay; who has authenticated does.
#[test]
fn h07_h20_the_anonymous_submit_and_who_authenticates_relays() {
    let it = flagged("mode = \"all-except\", list = []", true, &["PLAIN"], "authenticated = true");
    let mut client = it.gateway.client("inbound", OTHER);
    arrives(&it, &mut client, "alice@corp.example");
    client.ask("MAIL FROM:<alice@corp.example>", "250");
    client.ask("RCPT TO:<bob@ext.example>", "550 5.7.1 Unable to relay for bob@ext.example");
    client.ask("RSET", "250");
    assert_eq!(log_in(&mut client, "alice", PASSWORD).code(), 235);
    arrives(&it, &mut client, "bob@ext.example");
}

/// I14: who has authenticated relays regardless of the list.
#[test]
fn i14_who_authenticates_relays_regardless_of_the_list() {
    let relay = format!(
        "mode = \"all-except\", list = [\"{OTHER}\"], authenticated = true, open_relay = \"i-know-this-is-an-open-relay\""
    );
    let it = flagged("mode = \"all-except\", list = []", true, &["PLAIN"], &relay);
    let mut client = it.gateway.client("inbound", OTHER);
    client.ask("MAIL FROM:<alice@corp.example>", "250");
    client.ask("RCPT TO:<bob@ext.example>", "550 5.7.1");
    client.ask("RSET", "250");
    assert_eq!(log_in(&mut client, "alice", PASSWORD).code(), 235);
    arrives(&it, &mut client, "bob@ext.example");
}

/// H11, H14: without a mechanism, AUTH is not there, and nobody who must authenticate can.
#[test]
fn h11_h14_without_a_mechanism_nobody_authenticates() {
    let it = flagged("mode = \"all-except\", list = []", false, &[], "");
    let mut client = it.gateway.connect("inbound", OTHER);
    assert!(!client.greet().offers("AUTH"), "{}", client.transcript());
    client.ask(&plain("ex1", SERVER), "502 5.5.1");
    client.ask("MAIL FROM:<x@ext.example>", "530 5.7.3");
}

/// D01, D02, D05, D21, D22: to the outside nothing about authentication exists, for a server of ours neither;
/// inside, a peer authenticates and speaks for its clients.
#[test]
fn d01_d02_d05_d21_d22_outside_there_is_no_way_to_authenticate() {
    let more = "[virtual_server.inbound]\nlisten = [\"127.0.0.7:0\"]\n";
    let Some(house) = House::open(more) else { return skip("no openssl") };
    for (name, password) in [("alice", PASSWORD), ("ex1", SERVER)] {
        let mut client = house.gateway.connect("inbound", OTHER);
        let offered = client.greet();
        for keyword in ["AUTH", "XCLIENT", "XFORWARD", "X-EXPS"] {
            assert!(!offered.offers(keyword), "{}", client.transcript());
        }
        client.ask(&plain(name, password), "502 5.5.1");
        client.ask("XCLIENT ADDR=127.0.0.5", "500 5.5.1");
        client.ask("X-EXPS GSSAPI", "500 5.5.1");
        client.ask("MAIL FROM:<alice@corp.example>", "250");
        client.ask("RCPT TO:<bob@ext.example>", "550 5.7.1");
    }
    let log = house.gateway.log();
    assert!(!log.contains("authenticated\",\"server"), "no directory is asked\n{log}");
}

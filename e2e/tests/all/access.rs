//! Who may connect, who may submit, who may relay: the rows A, B and C over real sockets, with
//! clients at different addresses.

use e2e::{Client, Gateway, mail};

use crate::{LISTED, OTHER, control, inbound};

const NOT_AUTHENTICATED: &str = "530 5.7.3 Client was not authenticated";

/// The connection is refused with a reply instead of a greeting, and nothing else.
fn assert_refused(gateway: &Gateway, source: &str) {
    let mut client = gateway.connect("inbound", source);
    client.expect("554 5.7.1");
    client.expect_closed();
}

/// A message for inside is taken and arrives.
fn assert_submits(gateway: &Gateway, source: &str) {
    let mut client = gateway.client("inbound", source);
    let (message, token) = mail::message("inside");
    client.ask("MAIL FROM:<x@ext.example>", "250 2.1.0");
    client.ask("RCPT TO:<alice@corp.example>", "250 2.1.5");
    client.ask("DATA", "354");
    client.send(&mail::stuffed(&message));
    client.expect("250 2.");
    let _ = gateway.dropped_with(&token);
    client.quit();
}

/// The connection is admitted; submitting without authentication ends it.
fn assert_must_authenticate(gateway: &Gateway, source: &str) {
    let mut client = gateway.client("inbound", source);
    client.ask("MAIL FROM:<x@ext.example>", NOT_AUTHENTICATED);
    client.expect_closed();
}

#[test]
fn a01_everyone_may_connect_by_default() {
    let gateway = Gateway::start(&inbound(""));
    assert_submits(&gateway, LISTED);
    assert_submits(&gateway, OTHER);
}

#[test]
fn a02_a03_all_except_refuses_the_listed_only() {
    let gateway = Gateway::start(&control("all-except", &[OTHER], "everyone"));
    assert_refused(&gateway, OTHER);
    assert_submits(&gateway, LISTED);
}

#[test]
fn a04_a05_only_admits_the_listed() {
    let gateway = Gateway::start(&control("only", &[LISTED], "everyone"));
    assert_submits(&gateway, LISTED);
    assert_refused(&gateway, OTHER);
}

#[test]
fn a08_only_nobody_refuses_everyone() {
    let gateway = Gateway::start(&control("only", &[], "everyone"));
    assert_refused(&gateway, LISTED);
    assert_refused(&gateway, OTHER);
}

#[test]
fn a10_networks_are_compared_by_prefix() {
    let gateway = Gateway::start(&control("only", &["127.0.1.0/24"], "everyone"));
    assert_submits(&gateway, "127.0.1.2");
    assert_refused(&gateway, "127.0.2.1");
    assert_refused(&gateway, "127.0.0.255");
}

#[test]
fn a12_a_reload_is_for_new_sessions_only() {
    let gateway = Gateway::start(&control("only", &[LISTED], "everyone"));
    let mut before = gateway.client("inbound", LISTED);
    gateway.rewrite(&control("only", &[OTHER], "everyone"));
    gateway.signal("HUP");
    e2e::until("the new list to be in force", || {
        let mut client = gateway.connect("inbound", OTHER);
        (client.reply().code() == 220).then_some(())
    });
    before.deliver("x@ext.example", "alice@corp.example", "Subject: as before\r\n\r\nx\r\n");
    before.quit();
    assert_refused(&gateway, LISTED);
    assert_submits(&gateway, OTHER);
}

#[test]
fn b01_listed_clients_may_submit_anonymously() {
    let gateway = Gateway::start(&control("only", &[LISTED], "anonymous"));
    assert_submits(&gateway, LISTED);
}

#[test]
fn b02_b04_the_others_may_connect_and_must_authenticate() {
    let gateway = Gateway::start(&control("only", &[LISTED], "anonymous"));
    assert_must_authenticate(&gateway, OTHER);
}

#[test]
fn b08_mail_before_auth_ends_the_session() {
    let gateway = Gateway::start(&control("only", &[LISTED], "anonymous"));
    let mut client = gateway.client("inbound", OTHER);
    client.send(b"MAIL FROM:<x@ext.example>\r\nAUTH PLAIN AHUxAHB3\r\n");
    client.expect(NOT_AUTHENTICATED);
    client.expect_closed();
}

#[test]
fn b13_nothing_is_processed_behind_the_refusal() {
    let gateway = Gateway::start(&control("only", &[LISTED], "anonymous"));
    let mut client = gateway.connect("inbound", OTHER);
    client.expect("220");
    client.send(b"EHLO client.ext.example\r\nMAIL FROM:<x@ext.example>\r\nRCPT TO:<alice@corp.example>\r\nDATA\r\n");
    client.expect("250");
    client.expect(NOT_AUTHENTICATED);
    client.expect_closed();
    assert_eq!(gateway.metrics().sum("bridgehead_messages_received_total", &[]), 0.0);
    assert_eq!(gateway.queued(), 0);
}

#[test]
fn b14_commands_that_submit_nothing_get_their_usual_replies() {
    let gateway = Gateway::start(&control("only", &[LISTED], "anonymous"));
    let mut client = gateway.client("inbound", OTHER);
    client.ask("NOOP", "250");
    client.ask("RSET", "250");
    client.ask("HELP", "214");
    client.quit();
}

#[test]
fn b16_without_anonymous_submission_the_listed_must_authenticate_too() {
    let tables = "[virtual_server.inbound.authentication]\nanonymous = false\n";
    let gateway = Gateway::start(&format!("{}{tables}", control("only", &[LISTED], "anonymous")));
    let mut client = gateway.client("inbound", LISTED);
    client.ask("MAIL FROM:<x@ext.example>", NOT_AUTHENTICATED);
}

#[test]
fn b17_the_other_mode_is_judged_at_mail_as_well() {
    let gateway = Gateway::start(&control("all-except", &[OTHER], "anonymous"));
    assert_must_authenticate(&gateway, OTHER);
    assert_submits(&gateway, LISTED);
}

#[test]
fn b19_helo_makes_no_difference() {
    let gateway = Gateway::start(&control("only", &[LISTED], "anonymous"));
    let mut client = gateway.connect("inbound", OTHER);
    client.expect("220");
    client.ask("HELO client.ext.example", "250");
    client.ask("MAIL FROM:<x@ext.example>", NOT_AUTHENTICATED);
    client.expect_closed();
}

#[test]
fn b20_a_mapped_address_is_its_ipv4_address() {
    if !std::path::Path::new("/proc/net/if_inet6").exists() {
        return e2e::skip("this machine has no IPv6");
    }
    // `::` is every address of the machine, so IPv4 clients come in as ::ffff:127.0.0.x.
    let gateway = Gateway::start(&control("only", &[LISTED], "anonymous").replace("127.0.0.2:0", "[::]:0"));
    let address = ([127, 0, 0, 2], gateway.address("inbound").port()).into();
    let mut client = Client::connect(address, LISTED);
    client.greet();
    client.ask("MAIL FROM:<x@ext.example>", "250 2.1.0");
    let mut client = Client::connect(address, OTHER);
    client.greet();
    client.ask("MAIL FROM:<x@ext.example>", NOT_AUTHENTICATED);
}

#[test]
fn b21_the_refusal_is_counted_and_no_message_is() {
    let gateway = Gateway::start(&control("only", &[LISTED], "anonymous"));
    let refused = |gateway: &Gateway| {
        let labels = ["server=\"inbound\"", "reason=\"not-authenticated\""];
        gateway.metrics().sum("bridgehead_refused_total", &labels)
    };
    assert_eq!(refused(&gateway), 0.0);
    assert_must_authenticate(&gateway, OTHER);
    assert_eq!(refused(&gateway), 1.0);
    assert_eq!(gateway.metrics().sum("bridgehead_messages_received_total", &["server=\"inbound\""]), 0.0);
}

#[test]
fn c01_being_listed_for_connections_gives_no_relaying() {
    let gateway = Gateway::start(&control("only", &[LISTED], "anonymous"));
    let mut client = gateway.client("inbound", LISTED);
    client.ask("MAIL FROM:<x@ext.example>", "250 2.1.0");
    client.ask("RCPT TO:<bob@ext.example>", "550 5.7.1 Unable to relay for bob@ext.example");
}

#[test]
fn c04_the_relay_list_gives_it() {
    let relay = format!("[virtual_server.inbound.relay]\nmode = \"only\"\nlist = [\"{LISTED}\"]\n");
    let gateway = Gateway::start(&format!("{}{relay}", control("only", &[LISTED], "anonymous")));
    let mut client = gateway.client("inbound", LISTED);
    client.ask("MAIL FROM:<x@ext.example>", "250 2.1.0");
    client.ask("RCPT TO:<bob@ext.example>", "250 2.1.5");
}

#[test]
fn i09_a_relay_list_does_not_open_the_door() {
    let relay = "[virtual_server.inbound.relay]\nmode = \"only\"\nlist = [\"127.0.0.7\"]\n";
    let gateway = Gateway::start(&format!("{}{relay}", control("only", &[LISTED], "everyone")));
    assert_refused(&gateway, "127.0.0.7");
}

#[test]
fn i10_nor_does_it_stand_for_authentication() {
    let relay = "[virtual_server.inbound.relay]\nmode = \"only\"\nlist = [\"127.0.0.7\"]\n";
    let gateway = Gateway::start(&format!("{}{relay}", control("only", &[LISTED], "anonymous")));
    assert_must_authenticate(&gateway, "127.0.0.7");
}

#[test]
fn l12_one_connection_too_many_is_put_off() {
    let gateway = Gateway::start(&inbound("[virtual_server.inbound.limits]\nconnections = 2\n"));
    let first = gateway.client("inbound", LISTED);
    let _second = gateway.client("inbound", LISTED);
    let mut third = gateway.connect("inbound", LISTED);
    third.expect("421");
    third.expect_closed();
    first.quit();
    e2e::until("room for a third", || {
        let mut client = gateway.connect("inbound", LISTED);
        (client.reply().code() == 220).then_some(())
    });
}

//! One server towards the Internet and one towards the inside (rows D): each with its own rules,
//! route and numbers.

use e2e::{Client, Gateway, Peer, Script, mail, until};

use crate::{CORP, HOP, LISTED, OTHER};

/// `inbound` for the world, `outbound` for LISTED only, which may relay by way of `smart_host`.
fn two_servers(smart_host: &str, inbound_tables: &str) -> String {
    format!(
        "{CORP}
[virtual_server.inbound]
listen = [\"127.0.0.2:0\"]
{inbound_tables}
[virtual_server.outbound]
listen = [\"127.0.0.3:0\"]
connection_control = {{ mode = \"only\", list = [\"{LISTED}\"] }}
relay = {{ mode = \"only\", list = [\"{LISTED}\"] }}
delivery = {{ smart_hosts = [\"{smart_host}\"] }}
"
    )
}

#[test]
fn d01_d02_nothing_that_takes_a_password_is_offered() {
    let gateway = Gateway::start(&two_servers("[127.0.0.9]:9", ""));
    let mut client = gateway.connect("inbound", OTHER);
    let hello = client.greet();
    for keyword in ["AUTH", "XCLIENT", "X-EXPS", "X-LINK2STATE", "XEXCH50"] {
        assert!(!hello.offers(keyword), "{keyword} is offered\n{}", client.transcript());
    }
    client.ask("AUTH LOGIN", "502 5.5.1");
    client.quit();
}

#[test]
fn d03_mail_from_the_internet_comes_in() {
    let gateway = Gateway::start(&two_servers("[127.0.0.9]:9", ""));
    let (message, token) = mail::message("from outside");
    gateway.client("inbound", OTHER).deliver("x@ext.example", "alice@corp.example", &message);
    let dropped = gateway.dropped_with(&token);
    assert!(dropped.contains("X-Receiver: <alice@corp.example>"), "{dropped}");
}

#[test]
fn d04_and_does_not_go_out_again() {
    let gateway = Gateway::start(&two_servers("[127.0.0.9]:9", ""));
    let mut client = gateway.client("inbound", OTHER);
    client.ask("MAIL FROM:<x@ext.example>", "250");
    client.ask("RCPT TO:<bob@ext.example>", "550 5.7.1 Unable to relay for bob@ext.example");
}

#[test]
fn d11_only_the_perimeter_may_come_in_and_outbound_does_not_mind() {
    let perimeter = "connection_control = { mode = \"only\", list = [\"127.0.0.33\"] }";
    let gateway = Gateway::start(&two_servers("[127.0.0.9]:9", perimeter));
    gateway.client("inbound", "127.0.0.33").quit();
    let mut other = gateway.connect("inbound", OTHER);
    other.expect("554 5.7.1");
    other.expect_closed();
    gateway.client("outbound", LISTED).quit();
}

#[test]
fn d15_three_in_and_two_out_are_counted_apart() {
    let hop = Peer::start(HOP, Script::polite());
    let gateway = Gateway::start(&two_servers(&hop.route(), ""));
    for _ in 0..3 {
        let (message, token) = mail::message("in");
        gateway.client("inbound", OTHER).deliver("x@ext.example", "alice@corp.example", &message);
        let _ = gateway.dropped_with(&token);
    }
    for _ in 0..2 {
        let (message, _) = mail::message("out");
        gateway.client("outbound", LISTED).deliver("alice@corp.example", "bob@ext.example", &message);
    }
    let _ = hop.wait_for(2);
    until("the last outcome to be counted", || {
        let metrics = gateway.metrics();
        (metrics.sum("bridgehead_messages_sent_total", &["server=\"outbound\""]) == 2.0).then_some(())
    });
    let metrics = gateway.metrics();
    let count = |name: &str, server: &str| metrics.sum(name, &[&format!("server=\"{server}\"")]);
    assert_eq!(count("bridgehead_messages_received_total", "inbound"), 3.0);
    assert_eq!(count("bridgehead_messages_received_total", "outbound"), 2.0);
    assert_eq!(count("bridgehead_messages_sent_total", "inbound"), 0.0);
    assert_eq!(count("bridgehead_directory_drops_total", "inbound"), 3.0);
    assert_eq!(count("bridgehead_recipients_relayed_total", "outbound"), 2.0);
}

#[test]
fn d16_two_servers_on_one_address_do_not_start() {
    let settings = format!(
        "{CORP}[virtual_server.inbound]\nlisten = [\"127.0.0.2:24625\"]\n\
         [virtual_server.outbound]\nlisten = [\"127.0.0.2:24625\"]\n"
    );
    let refused = Gateway::try_start(&settings, &[]).expect_err("two servers cannot have one address");
    assert_ne!(refused.code, 0);
    assert!(refused.output.contains("inbound") && refused.output.contains("outbound"), "{}", refused.output);
}

#[test]
fn d17_mail_leaves_from_the_address_the_system_chooses_or_the_one_that_is_set() {
    let hop = Peer::start(HOP, Script::polite());
    let gateway = Gateway::start(&two_servers(&hop.route(), ""));
    let (message, token) = mail::message("chosen by the system");
    gateway.client("outbound", LISTED).deliver("alice@corp.example", "bob@ext.example", &message);
    assert_ne!(hop.received_with(&token).client.ip().to_string(), "127.0.0.3");

    let set = two_servers(&hop.route(), "").replace("delivery = {", "delivery = { source_address = \"127.0.0.77\",");
    let gateway = Gateway::start(&set);
    let (message, token) = mail::message("set");
    gateway.client("outbound", LISTED).deliver("alice@corp.example", "bob@ext.example", &message);
    assert_eq!(hop.received_with(&token).client.ip().to_string(), "127.0.0.77");
}

#[test]
fn d18_a_server_is_reached_only_at_its_own_address() {
    let gateway = Gateway::start(&two_servers("[127.0.0.9]:9", ""));
    let inbound = gateway.address("inbound");
    for elsewhere in [[127, 0, 0, 1], [127, 0, 0, 3]] {
        // Another test's server may have the same port there, so it is ours that is asked who came.
        drop(Client::try_connect((elsewhere, inbound.port()).into(), OTHER));
    }
    let came = gateway.metrics().sum("bridgehead_inbound_connections_total", &["server=\"inbound\""]);
    assert!(came == 0.0, "{came} clients came in by another address");
}

#[test]
fn d22_nobody_may_say_that_he_is_somebody_else() {
    let gateway = Gateway::start(&two_servers("[127.0.0.9]:9", ""));
    for server in ["inbound", "outbound"] {
        let mut client = gateway.connect(server, LISTED);
        assert!(!client.greet().offers("XCLIENT"));
        client.ask("XCLIENT ADDR=127.0.0.5 LOGIN=u1", "500 5.5.1");
        client.quit();
    }
    // Nor does it change anything: the client is still who it is.
    let mut client = gateway.client("inbound", OTHER);
    client.ask(&format!("XCLIENT ADDR={LISTED}"), "500 5.5.1");
    client.ask("MAIL FROM:<x@ext.example>", "250");
    client.ask("RCPT TO:<bob@ext.example>", "550 5.7.1");
}

#[test]
fn d20_outbound_goes_on_without_inbound() {
    let hop = Peer::start(HOP, Script::polite());
    let both = two_servers(&hop.route(), "");
    let gateway = Gateway::start(&both);
    let was = gateway.address("inbound");
    let (before, rest) = both.split_once("[virtual_server.inbound]").unwrap();
    let outbound_only =
        format!("{before}[virtual_server.outbound]{}", rest.split_once("[virtual_server.outbound]").unwrap().1);
    gateway.rewrite(&outbound_only);
    gateway.signal("HUP");
    until("inbound to be closed", || Client::try_connect(was, OTHER).is_err().then_some(()));
    let (message, token) = mail::message("still going out");
    gateway.client("outbound", LISTED).deliver("alice@corp.example", "bob@ext.example", &message);
    let _ = hop.received_with(&token);
}

//! Mail for an organization whose own server stands behind us (rows E and F): remote domains with a
//! route, and nothing else relayed.

use e2e::{Act, At, Client, Gateway, Peer, Reserved, Script, command, mail, until};

use crate::{CORP, HOP, LISTED, OTHER, published};

/// One RCPT after MAIL, on a connection of its own.
fn recipient(gateway: &Gateway, path: &str, expected: &str) {
    let mut client = gateway.client("inet", OTHER);
    client.ask("MAIL FROM:<x@ext.example>", "250");
    client.ask(&format!("RCPT TO:{path}"), expected);
}

fn quiet() -> String {
    published("[127.0.0.9]:9", "[127.0.0.9]:9")
}

#[test]
fn e06_a_smart_host_in_brackets_is_connected_to() {
    let hop = Peer::start(HOP, Script::polite());
    let gateway = Gateway::start(&published(&hop.route(), &hop.route()));
    let (message, token) = mail::message("by address");
    gateway.client("inet", OTHER).deliver("x@ext.example", "alice@corp.example", &message);
    let _ = hop.received_with(&token);
}

#[test]
fn e07_an_address_without_brackets_is_taken_as_one_with_a_warning() {
    let hop = Peer::start(HOP, Script::polite());
    let bare = hop.address().to_string();
    let gateway = Gateway::start(&published(&bare, &bare));
    let checked = command(&["check", &gateway.settings_file().display().to_string()]).success();
    assert!(checked.text().contains("warning"), "{}", checked.text());
    let (message, token) = mail::message("by bare address");
    gateway.client("inet", OTHER).deliver("x@ext.example", "alice@corp.example", &message);
    let _ = hop.received_with(&token);
}

#[test]
fn e10_mail_that_would_come_back_to_us_is_returned() {
    // The route of corp.example is our own listener, which a connection shows to be ourselves.
    let senders = Peer::start(HOP, Script::polite());
    let own = Reserved::on("127.0.0.2");
    let address = own.address();
    drop(own);
    let settings = published(&format!("[127.0.0.2]:{}", address.port()), &senders.route())
        .replace("127.0.0.2:0", &address.to_string());
    let gateway = Gateway::start(&settings);
    let (message, token) = mail::message("in circles");
    gateway.client("inet", OTHER).deliver("x@corp2.example", "alice@corp.example", &message);
    let report = senders.received_with(&token);
    assert!(report.content.contains("5.4.6"), "{}", report.content);
    assert!(report.from.starts_with("<>"), "{}", report.from);
    assert_eq!(gateway.metrics().sum("bridgehead_inbound_connections_total", &[]), 1.0);
}

#[test]
fn e13_one_server_on_all_addresses_does_not_start_beside_another() {
    let settings = format!(
        "{CORP}[virtual_server.inbound]\nlisten = [\"127.0.0.2:24626\"]\n\
         [virtual_server.corp]\nlisten = [\"0.0.0.0:24626\"]\n"
    );
    let refused = Gateway::try_start(&settings, &[]).expect_err("the addresses overlap");
    assert!(refused.output.contains("inbound") && refused.output.contains("corp"), "{}", refused.output);
}

#[test]
fn f01_f10_mail_for_the_published_domain_is_forwarded() {
    let hop = Peer::start(HOP, Script::polite());
    let gateway = Gateway::start(&published(&hop.route(), &hop.route()));
    let (message, token) = mail::message("from the Internet");
    gateway.client("inet", OTHER).deliver("x@ext.example", "alice@corp.example", &message);
    let received = hop.received_with(&token);
    assert_eq!(received.to, ["<alice@corp.example>"]);
    assert!(received.from.starts_with("<x@ext.example>"), "{}", received.from);
    assert!(received.content.starts_with("Received: "), "{}", received.content);
    assert!(received.content.ends_with(&message), "the message itself must not change\n{}", received.content);

    let (message, token) = mail::message("null sender");
    gateway.client("inet", OTHER).deliver("", "alice@corp.example", &message);
    assert!(hop.received_with(&token).from.starts_with("<>"));
}

#[test]
fn f02_f04_other_domains_are_not_relayed_to() {
    let gateway = Gateway::start(&quiet());
    recipient(&gateway, "<bob@ext.example>", "550 5.7.1 Unable to relay for bob@ext.example");
    recipient(&gateway, "<user@sub.corp.example>", "550 5.7.1");
}

#[test]
fn f03_each_recipient_is_judged_alone() {
    let hop = Peer::start(HOP, Script::polite());
    let gateway = Gateway::start(&published(&hop.route(), &hop.route()));
    let (message, token) = mail::message("one of two");
    let mut client = gateway.client("inet", OTHER);
    client.ask("MAIL FROM:<x@ext.example>", "250");
    client.ask("RCPT TO:<alice@corp.example>", "250 2.1.5");
    client.ask("RCPT TO:<bob@ext.example>", "550 5.7.1");
    client.ask("DATA", "354");
    client.send(&mail::stuffed(&message));
    client.expect("250");
    assert_eq!(hop.received_with(&token).to, ["<alice@corp.example>"]);
}

#[test]
fn f05_a_star_stands_for_the_names_below() {
    let star = "[remote_domain.\"*.corp.example\"]\nallow_relay = true\nroute = \"[127.0.0.9]:9\"\n";
    let gateway = Gateway::start(&format!("{}{star}", quiet()));
    recipient(&gateway, "<user@sub.corp.example>", "250 2.1.5");
    recipient(&gateway, "<x@notcorp.example>", "550 5.7.1");
}

#[test]
fn f06_a_route_alone_is_no_permission() {
    let gateway = Gateway::start(&quiet().replace("allow_relay = true", "allow_relay = false"));
    recipient(&gateway, "<alice@corp.example>", "550 5.7.1");
}

#[test]
fn f07_mail_waits_for_a_server_that_is_down() {
    let (hop, senders) = (Reserved::on(HOP), Peer::start(HOP, Script::polite()));
    let gateway = Gateway::start(&published(&hop.route(), &senders.route()));
    let (message, token) = mail::message("patient");
    gateway.client("inet", OTHER).deliver("x@corp2.example", "alice@corp.example", &message);
    until("a failed attempt", || {
        let refused = gateway.metrics().sum("bridgehead_outbound_connections_refused_total", &[]);
        (refused >= 1.0).then_some(())
    });
    assert_eq!(gateway.queued(), 1);
    let hop = hop.open(Script::polite());
    let _ = hop.received_with(&token);
    gateway.wait_until_empty();
    assert_eq!(senders.count(), 0);
}

#[test]
fn f07_its_sender_is_told_of_the_delay_and_of_the_end() {
    let (hop, senders) = (Reserved::on(HOP), Peer::start(HOP, Script::polite()));
    let soon = "[queue]\ndelay_notification = \"2 s\"\nexpiration = \"5 s\"\n";
    let settings = published(&hop.route(), &senders.route()).replace("[queue]\n", soon);
    let gateway = Gateway::start(&settings);
    let (message, _) = mail::message("late");
    gateway.client("inet", OTHER).deliver("x@corp2.example", "alice@corp.example", &message);
    let reports = senders.wait_for(2);
    let action = |report: &e2e::Received| {
        let line = report.content.lines().find(|line| line.starts_with("Action:"));
        line.unwrap_or_default().to_owned()
    };
    assert_eq!((action(&reports[0]), action(&reports[1])), ("Action: delayed".to_owned(), "Action: failed".to_owned()));
    assert!(reports.iter().all(|report| report.from.starts_with("<>") && report.to == ["<x@corp2.example>"]));
    gateway.wait_until_empty();
}

#[test]
fn f08_old_relaying_tricks_do_not_work() {
    let gateway = Gateway::start(&quiet());
    recipient(&gateway, "<bob%ext.example@corp.example>", "550 5.7.1");
    recipient(&gateway, "<\"bob@ext.example\"@corp.example>", "550 5.7.1");
    recipient(&gateway, "<ext.example!bob@corp.example>", "550 5.7.1");
    recipient(&gateway, "<@corp.example:bob@ext.example>", "550 5.7.1");
    recipient(&gateway, "<bob@[192.0.2.1]>", "550 5.7.1");
    recipient(&gateway, "<bob@ext.example@corp.example>", "501 5.1.3");
    assert_eq!(gateway.queued(), 0);
}

#[test]
fn f09_a_forged_local_sender_does_not_help() {
    let gateway = Gateway::start(&quiet());
    let mut client = gateway.client("inet", OTHER);
    client.ask("MAIL FROM:<alice@corp.example>", "250");
    client.ask("RCPT TO:<bob@ext.example>", "550 5.7.1");
}

#[test]
fn f11_case_and_a_trailing_dot_do_not_matter() {
    let gateway = Gateway::start(&quiet());
    recipient(&gateway, "<alice@CORP.EXAMPLE>", "250 2.1.5");
    recipient(&gateway, "<alice@corp.example.>", "250 2.1.5");
}

#[test]
fn f12_no_authentication_is_offered() {
    let gateway = Gateway::start(&quiet());
    let mut client = gateway.connect("inet", LISTED);
    assert!(!client.greet().offers("AUTH"));
}

#[test]
fn f13_a_refusal_by_the_next_hop_is_returned_to_the_sender() {
    let refusing = Script::polite().when(At::Rcpt, "alice", Act::say("550 5.1.1 no alice here"));
    let (hop, senders) = (Peer::start(HOP, refusing), Peer::start(HOP, Script::polite()));
    let gateway = Gateway::start(&published(&hop.route(), &senders.route()));
    let (message, token) = mail::message("refused");
    gateway.client("inet", OTHER).deliver("x@corp2.example", "alice@corp.example", &message);
    let report = senders.received_with(&token);
    assert_eq!(report.to, ["<x@corp2.example>"]);
    for expected in ["multipart/report", "Action: failed", "Status: 5.1.1", "no alice here", "alice@corp.example"] {
        assert!(report.content.contains(expected), "no {expected} in\n{}", report.content);
    }
    gateway.wait_until_empty();
}

#[test]
fn rt1_to_rt5_the_classical_relay_tests() {
    let gateway = Gateway::start(&quiet());
    let own = gateway.address("inet").ip();
    // RT1, RT2, RT3, RT4, RT5: the sender never matters.
    let senders = [
        "spamtest@contoso.net",
        "spamtest",
        "",
        "alice@corp.example",
        &format!("spamtest@[{own}]"),
        "spamtest@localhost",
    ];
    for sender in senders {
        let mut client: Client = gateway.client("inet", OTHER);
        client.ask(&format!("MAIL FROM:<{sender}>"), "250 2.1.0");
        client.ask("RCPT TO:<relaytest@contoso.net>", "550 5.7.1 Unable to relay for relaytest@contoso.net");
    }
}

//! What becomes of a message after the 250: whatever the next hop does, it is delivered, waits, or
//! is returned.

use e2e::{Act, At, Gateway, Peer, Reserved, Script, mail, until};

use crate::{CORP, HOP, IMPATIENT, LISTED, OTHER, inbound, published};

/// Sends one message for corp.example by way of `hop` and waits until it is there.
fn arrives(script: Script) -> (Peer, Gateway) {
    let hop = Peer::start(HOP, script);
    let gateway = Gateway::start(&published(&hop.route(), &hop.route()));
    let (message, token) = mail::message("against odds");
    gateway.client("inet", OTHER).deliver("x@corp2.example", "alice@corp.example", &message);
    let _ = hop.received_with(&token);
    gateway.wait_until_empty();
    assert_eq!(hop.count(), 1, "it must come once, and no report with it: {:?}", hop.received());
    (hop, gateway)
}

#[test]
fn a_next_hop_that_hangs_up_once_at_any_step_gets_it_in_the_end() {
    for at in [At::Connect, At::Hello, At::Mail, At::Rcpt, At::Data, At::Content, At::Dot] {
        let _ = arrives(Script::polite().first(1, at, Act::Drop));
    }
}

#[test]
fn a_next_hop_that_defers_once_at_any_step_gets_it_in_the_end() {
    for at in [At::Connect, At::Hello, At::Mail, At::Rcpt, At::Data, At::Dot] {
        let _ = arrives(Script::polite().first(1, at, Act::say("451 4.3.0 try again")));
    }
}

#[test]
fn a_next_hop_that_shuts_down_gets_it_in_the_end() {
    for at in [At::Connect, At::Mail, At::Rcpt, At::Data] {
        let _ = arrives(Script::polite().first(1, at, Act::SayAndDrop("421 4.3.2 shutting down".into())));
    }
}

#[test]
fn a_next_hop_that_babbles_once_gets_it_in_the_end() {
    let garbage = [
        b"\x00\xff\xfe nothing of the kind\r\n".to_vec(),
        b"250-never\r\n251 ending\r\n".to_vec(),
        b"999 what\r\n".to_vec(),
        vec![b'x'; 100_000],
    ];
    for bytes in garbage {
        let _ = arrives(Script::polite().first(1, At::Hello, Act::Bytes(bytes)));
    }
}

#[test]
fn a_next_hop_from_1982_is_good_enough() {
    let (hop, _gateway) = arrives(Script::polite().of_1982());
    let from = hop.received().remove(0).from;
    assert_eq!(from, "<x@corp2.example>", "no parameters without extensions");
}

#[test]
fn a_failure_of_quit_harms_nobody() {
    let _ = arrives(Script::polite().always(At::Quit, Act::Drop));
}

#[test]
fn a_refused_message_is_returned_wherever_the_refusal_comes() {
    for at in [At::Mail, At::Rcpt, At::Data, At::Dot] {
        let script = Script::polite().always(at, Act::say("554 5.7.1 not wanted"));
        let (hop, senders) = (Peer::start(HOP, script), Peer::start(HOP, Script::polite()));
        let gateway = Gateway::start(&published(&hop.route(), &senders.route()));
        let (message, token) = mail::message("unwanted");
        gateway.client("inet", OTHER).deliver("x@corp2.example", "alice@corp.example", &message);
        let report = senders.received_with(&token);
        assert!(report.content.contains("not wanted"), "{at:?}\n{}", report.content);
        gateway.wait_until_empty();
        assert_eq!(hop.count(), 0);
    }
}

#[test]
fn recipients_of_one_message_have_fates_of_their_own() {
    let script = Script::polite().when(At::Rcpt, "never", Act::say("550 5.1.1 no such user")).first(
        1,
        At::Rcpt,
        Act::say("450 4.2.1 later"),
    );
    let (hop, senders) = (Peer::start(HOP, script), Peer::start(HOP, Script::polite()));
    let gateway = Gateway::start(&published(&hop.route(), &senders.route()));
    let (message, _) = mail::message("three fates");
    let mut client = gateway.client("inet", OTHER);
    client.ask("MAIL FROM:<x@corp2.example>", "250");
    for to in ["later", "never", "now"] {
        client.ask(&format!("RCPT TO:<{to}@corp.example>"), "250");
    }
    client.ask("DATA", "354");
    client.send(&mail::stuffed(&message));
    client.expect("250");
    let received = hop.wait_for(2);
    let mut to: Vec<String> = received.iter().flat_map(|received| received.to.clone()).collect();
    to.sort();
    assert_eq!(to, ["<later@corp.example>", "<now@corp.example>"]);
    let report = &senders.wait_for(1)[0].content;
    assert!(report.contains("never@corp.example") && !report.contains("later@corp.example"), "{report}");
    gateway.wait_until_empty();
}

#[test]
fn a_message_without_a_sender_is_never_reported_on() {
    let script = Script::polite().always(At::Rcpt, Act::say("550 5.1.1 no such user"));
    let hop = Peer::start(HOP, script);
    let gateway = Gateway::start(&published(&hop.route(), &hop.route()));
    let (message, _) = mail::message("nobody to tell");
    gateway.client("inet", OTHER).deliver("", "alice@corp.example", &message);
    gateway.wait_until_empty();
    assert!(hop.commands().iter().filter(|line| line.starts_with("MAIL")).count() == 1, "{:?}", hop.commands());
}

#[test]
fn l06_twenty_messages_to_a_connection() {
    let hop = Reserved::on(HOP);
    let settings = published(&hop.route(), &hop.route()).replace("\"1 s\"", "\"1 h\"");
    let gateway = Gateway::start(&format!("{settings}[delivery]\nconnections_per_domain = 1\n"));
    let mut client = gateway.client("inet", OTHER);
    for _ in 0..45 {
        let (message, _) = mail::message("one of many");
        client.deliver("x@corp2.example", "alice@corp.example", &message);
    }
    until("a failed attempt", || {
        let refused = gateway.metrics().sum("bridgehead_outbound_connections_refused_total", &[]);
        (refused >= 1.0).then_some(())
    });
    let hop = hop.open(Script::polite());
    let _ = gateway.queue(&["retry", "--all"]).success();
    let received = hop.wait_for(45);
    let on = |connection| received.iter().filter(|received| received.connection == connection).count();
    assert_eq!([on(0), on(1), on(2)], [20, 20, 5]);
}

#[test]
fn the_drop_directory_has_the_message_and_its_envelope() {
    let gateway = Gateway::start(&inbound(""));
    let message = "Subject: dots\r\n\r\n.\r\n..two\r\n.three\r\nend\r\n";
    let mut client = gateway.client("inbound", OTHER);
    client.ask("MAIL FROM:<x@ext.example>", "250");
    client.ask("RCPT TO:<alice@corp.example>", "250");
    client.ask("RCPT TO:<bob@corp.example>", "250");
    client.ask("DATA", "354");
    client.send(&mail::stuffed(message));
    client.expect("250");
    gateway.wait_until_empty();
    let dropped = gateway.dropped();
    assert_eq!(dropped.len(), 1, "{dropped:?}");
    let head = "X-Sender: <x@ext.example>\r\nX-Receiver: <alice@corp.example>\r\nX-Receiver: <bob@corp.example>\r\n\
                Return-Path: <x@ext.example>\r\nReceived: ";
    assert!(dropped[0].starts_with(head), "{}", dropped[0]);
    assert!(dropped[0].ends_with(message), "{}", dropped[0]);
}

#[test]
fn an_alias_domain_is_the_domain_it_stands_for() {
    let settings =
        inbound("").replace("[metrics]", "alias_domains = { \"old.example\" = \"corp.example\" }\n[metrics]");
    let gateway = Gateway::start(&settings);
    let (message, token) = mail::message("to an old name");
    gateway.client("inbound", OTHER).deliver("x@ext.example", "alice@old.example", &message);
    let dropped = gateway.dropped_with(&token);
    assert!(dropped.contains("X-Receiver: <alice@corp.example>"), "{dropped}");
}

#[test]
fn c06_only_known_recipients_are_accepted_when_they_are_listed() {
    let settings = inbound("").replace("[metrics]", "recipients = [\"alice@corp.example\"]\n[metrics]");
    let gateway = Gateway::start(&settings);
    let mut client = gateway.client("inbound", OTHER);
    client.ask("MAIL FROM:<x@ext.example>", "250");
    client.ask("RCPT TO:<nobody@corp.example>", "550 5.1.1 User unknown");
    client.ask("RCPT TO:<alice@corp.example>", "250 2.1.5");
}

#[test]
fn a_second_smart_host_takes_what_the_first_cannot() {
    let (first, second) = (Reserved::on(HOP), Peer::start(HOP, Script::polite()));
    let gateway = Gateway::start(&format!(
        "{CORP}[virtual_server.outbound]\nlisten = [\"127.0.0.3:0\"]\n\
         relay = {{ mode = \"only\", list = [\"{LISTED}\"] }}\n\
         delivery = {{ smart_hosts = [\"{}\", \"{}\"] }}\n{IMPATIENT}",
        first.route(),
        second.route()
    ));
    let (message, token) = mail::message("second choice");
    gateway.client("outbound", LISTED).deliver("alice@corp.example", "bob@ext.example", &message);
    let _ = second.received_with(&token);
}

#[test]
fn a_stalled_destination_holds_up_nobody_else() {
    let stalled = Peer::start(HOP, Script::polite().always(At::Mail, Act::Stall));
    let quick = Peer::start(HOP, Script::polite());
    let gateway = Gateway::start(&published(&stalled.route(), &quick.route()));
    let mut client = gateway.client("inet", OTHER);
    for _ in 0..50 {
        let (message, _) = mail::message("stuck");
        client.deliver("x@ext.example", "alice@corp.example", &message);
    }
    stalled.wait_for_command("MAIL");
    let (message, token) = mail::message("overtaking");
    client.deliver("x@ext.example", "carol@corp2.example", &message);
    let _ = quick.received_with(&token);
    assert_eq!(stalled.count(), 0);
}

#[test]
fn eight_bit_mail_waits_for_no_hop_that_cannot_take_it() {
    // A hop without 8BITMIME: the message is converted or returned, never sent as it is.
    let (hop, senders) = (Peer::start(HOP, Script::polite().offering(&["SIZE"])), Peer::start(HOP, Script::polite()));
    let gateway = Gateway::start(&published(&hop.route(), &senders.route()));
    let mut client = gateway.client("inet", OTHER);
    client.ask("MAIL FROM:<x@corp2.example> BODY=8BITMIME", "250");
    client.ask("RCPT TO:<alice@corp.example>", "250");
    client.ask("DATA", "354");
    client.send(
        "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGrüße\r\n.\r\n".as_bytes(),
    );
    client.expect("250");
    gateway.wait_until_empty();
    assert!(hop.received().iter().all(|received| received.content.is_ascii()), "{:?}", hop.received());
    assert_eq!(hop.count() + senders.count(), 1);
}

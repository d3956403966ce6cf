//! Clients that mean harm or do not know better: garbage, endless lines, smuggling, crowds. The
//! server answers as the protocol says, keeps its memory, and serves the next client.

use std::time::Instant;

use e2e::{Client, Gateway, mail};

use crate::{LISTED, OTHER, inbound};

/// A well-behaved client is served, and within reason.
fn assert_serves(gateway: &Gateway) {
    let (message, token) = mail::message("still here");
    gateway.client("inbound", LISTED).deliver("x@ext.example", "alice@corp.example", &message);
    let _ = gateway.dropped_with(&token);
}

/// Numbers that look like chance and are the same in every run.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    });
    bytes.take(length).collect()
}

#[test]
fn garbage_ends_one_session_and_nothing_else() {
    let gateway = Gateway::start(&inbound(""));
    for part in noise(200_000).chunks(20_000) {
        let mut client = gateway.connect("inbound", OTHER);
        client.expect("220");
        // It may hang up at any point of this.
        let _ = client.try_send(part).and_then(|()| client.try_send(b"\r\nQUIT\r\n"));
    }
    assert_serves(&gateway);
}

#[test]
fn twenty_errors_end_a_session() {
    let gateway = Gateway::start(&inbound(""));
    let mut client = gateway.client("inbound", OTHER);
    let mut replies = 0;
    loop {
        client.line("NONSENSE");
        let Some(reply) = client.try_reply() else { break };
        replies += 1;
        assert!(replies <= 21, "{}", client.transcript());
        if reply.code() == 421 {
            client.expect_closed();
            break;
        }
        assert_eq!(reply.code(), 500);
    }
    assert_serves(&gateway);
}

#[test]
fn m06_an_endless_line_is_not_kept() {
    let mut gateway = Gateway::start(&inbound(""));
    let before = gateway.process().resident_kib();
    let mut client = gateway.client("inbound", OTHER);
    let block = vec![b'x'; 1 << 20];
    let sent = (0..64).take_while(|_| client.try_send(&block).is_ok()).count();
    let after = gateway.process().peak_resident_kib();
    assert!(after < before + 16 * 1024, "{before} KiB before, {after} KiB at most, after {sent} MiB");
    if client.try_send(b"\r\n").is_ok() {
        let replies = std::iter::from_fn(|| client.try_reply()).take(1).map(|reply| reply.code());
        assert!(replies.into_iter().all(|code| code == 500 || code == 421));
    }
    assert_serves(&gateway);
}

#[test]
fn a_client_that_talks_on_behind_ehlo_can_be_hung_up_on() {
    let gateway = Gateway::start(&inbound("[virtual_server.inbound.protocol]\npipelining_violation = \"close\"\n"));
    let mut client = gateway.connect("inbound", OTHER);
    client.expect("220");
    client.send(b"EHLO client.ext.example\r\nMAIL FROM:<x@ext.example>\r\n");
    client.expect("554 5.5.1");
    client.expect_closed();
}

#[test]
fn what_may_be_pipelined_is_answered_in_order() {
    let gateway = Gateway::start(&inbound(""));
    let mut client = gateway.client("inbound", OTHER);
    let (message, token) = mail::message("pipelined");
    client.send(b"MAIL FROM:<x@ext.example>\r\nRCPT TO:<bob@ext.example>\r\nRCPT TO:<alice@corp.example>\r\nDATA\r\n");
    client.expect("250 2.1.0");
    client.expect("550 5.7.1");
    client.expect("250 2.1.5");
    client.expect("354");
    client.send(&mail::stuffed(&message));
    client.send(b"RSET\r\nQUIT\r\n");
    client.expect("250 2.");
    client.expect("250");
    client.expect("221");
    let _ = gateway.dropped_with(&token);
}

#[test]
fn l16_only_a_dot_between_crlfs_ends_a_message() {
    let gateway = Gateway::start(&inbound(""));
    let endings: [&[u8]; 6] = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r\r\n", b"\r\n\x00.\r\n"];
    for ending in endings {
        let mut client = gateway.client("inbound", OTHER);
        client.ask("MAIL FROM:<x@ext.example>", "250");
        client.ask("RCPT TO:<alice@corp.example>", "250");
        client.ask("DATA", "354");
        let mut content = b"Subject: x\r\n\r\nfirst".to_vec();
        content.extend_from_slice(ending);
        content.extend_from_slice(b"MAIL FROM:<smuggled@ext.example>\r\nRCPT TO:<alice@corp.example>\r\nDATA\r\n");
        content.extend_from_slice(b"Subject: smuggled\r\n\r\nsecond\r\n.\r\n");
        client.send(&content);
        let reply = client.reply();
        assert!((500..600).contains(&reply.code()), "{ending:?}\n{}", client.transcript());
        // Nothing behind the refusal was taken for a command.
        if client.try_send(b"NOOP\r\n").is_ok()
            && let Some(reply) = client.try_reply()
        {
            assert!([250, 421].contains(&reply.code()), "{}", client.transcript());
        }
    }
    assert_serves(&gateway);
    let dropped = gateway.dropped();
    assert!(!dropped.iter().any(|message| message.contains("smuggled")), "{dropped:?}");
    assert_eq!(dropped.len(), 1);
}

#[test]
fn too_large_a_message_is_refused_when_announced_and_when_sent() {
    // L01, L02, L03.
    let gateway = Gateway::start(&inbound("[virtual_server.inbound.limits]\nmessage_size = \"2048 KiB\"\n"));
    let mut client = gateway.connect("inbound", OTHER);
    assert_eq!(client.greet().keyword("SIZE"), Some("2097152"), "{}", client.transcript());
    client.ask("MAIL FROM:<x@ext.example> SIZE=2097153", "552 5.3.4");
    client.ask("MAIL FROM:<x@ext.example> SIZE=2097152", "250");
    client.ask("RSET", "250");
    client.ask("MAIL FROM:<x@ext.example>", "250");
    client.ask("RCPT TO:<alice@corp.example>", "250");
    client.ask("DATA", "354");
    let line = format!("{}\r\n", "x".repeat(998));
    client.send(line.repeat(2_097_152 / 1000 + 2).as_bytes());
    client.send(b".\r\n");
    client.expect("552 5.3.4");
    client.ask("NOOP", "250");
    assert_serves(&gateway);
}

#[test]
fn l04_a_session_that_has_brought_enough_is_ended() {
    let limits = "[virtual_server.inbound.limits]\nmessage_size = \"1 MiB\"\nsession_size = \"2 MiB\"\n";
    let gateway = Gateway::start(&inbound(limits));
    let mut client = gateway.client("inbound", OTHER);
    let message = format!("Subject: x\r\n\r\n{}", format!("{}\r\n", "x".repeat(98)).repeat(8_000));
    let mut taken = 0;
    let ended = loop {
        client.line("MAIL FROM:<x@ext.example>");
        client.line("RCPT TO:<alice@corp.example>");
        client.line("DATA");
        let replies = [client.reply(), client.reply(), client.reply()];
        if let Some(reply) = replies.iter().find(|reply| reply.code() == 421) {
            break reply.clone();
        }
        client.send(&mail::stuffed(&message));
        match client.reply() {
            reply if reply.code() == 421 => break reply,
            reply => assert_eq!(reply.code(), 250, "{}", client.transcript()),
        }
        taken += 1;
        assert!(taken < 4, "{}", client.transcript());
    };
    assert_eq!((taken, ended.code()), (2, 421), "{}", client.transcript());
    client.expect_closed();
}

#[test]
fn l21_verbs_of_other_servers_are_unknown() {
    let gateway = Gateway::start(&inbound(""));
    let mut client = gateway.client("inbound", OTHER);
    for verb in ["XEXCH50 2 2", "X-LINK2STATE FIRST CHUNK=x", "X-EXPS GSSAPI", "XCLIENT ADDR=127.0.0.5", "TURN"] {
        client.line(verb);
        let reply = client.reply();
        assert!([500, 502, 530].contains(&reply.code()), "{}", client.transcript());
    }
}

#[test]
fn l18_vrfy_tells_nothing() {
    let gateway = Gateway::start(&inbound(""));
    let mut client = gateway.client("inbound", OTHER);
    let alice = client.ask("VRFY alice", "252").last().replace("alice", "X");
    let nobody = client.ask("VRFY nobody", "252").last().replace("nobody", "X");
    assert_eq!(alice, nobody);
}

#[test]
fn a_crowd_of_idle_connections_keeps_nobody_waiting() {
    let crowd = descriptors().saturating_sub(200).min(1000);
    let limits = "[virtual_server.inbound.limits]\nconnections = 2000\nconnections_per_address = \"unlimited\"\n";
    let mut gateway = Gateway::start(&inbound(limits));
    let before = gateway.process().resident_kib();
    let mut idle: Vec<Client> = (0..crowd).map(|_| gateway.connect("inbound", OTHER)).collect();
    idle.iter_mut().for_each(|client| drop(client.expect("220")));
    let each = gateway.process().resident_kib().saturating_sub(before) * 1024 / u64::try_from(crowd).unwrap();
    assert!(each < 16 * 1024, "{each} bytes for an idle connection");
    let start = Instant::now();
    assert_serves(&gateway);
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    for mut client in idle {
        client.ask("NOOP", "250");
    }
}

/// How many files this process may have open.
pub(crate) fn descriptors() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap_or_default();
    line.split_whitespace().nth(3).and_then(|figure| figure.parse().ok()).unwrap_or(1024)
}

#[test]
fn one_address_cannot_take_all_connections() {
    let gateway = Gateway::start(&inbound("[virtual_server.inbound.limits]\nconnections_per_address = 3\n"));
    let mut held: Vec<Client> = (0..3).map(|_| gateway.connect("inbound", OTHER)).collect();
    held.iter_mut().for_each(|client| drop(client.expect("220")));
    let mut fourth = gateway.connect("inbound", OTHER);
    fourth.expect("421");
    fourth.expect_closed();
    let mut elsewhere = gateway.connect("inbound", "127.9.0.1");
    elsewhere.expect("220");
}

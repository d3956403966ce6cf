//! Large messages and many of them: memory does not grow with either.

use e2e::foreign::{Sink, Source};
use e2e::{Gateway, skip, until_within};
use std::io::Write;
use std::net::TcpListener;
use std::thread;
use std::time::Instant;

use crate::{CORP, HOP, IMPATIENT, LISTED};

const MEBIBYTE: usize = 1 << 20;

/// Everything for outside goes to `hop`; messages may be large.
fn roomy(hop: &str) -> String {
    format!(
        "{CORP}[virtual_server.inbound]\nlisten = [\"127.0.0.2:0\"]\n\
         relay = {{ mode = \"only\", list = [\"{LISTED}\", \"127.0.0.1\"] }}\n\
         limits = {{ message_size = \"200 MiB\" }}\n\
         delivery = {{ smart_hosts = [\"{hop}\"] }}\n{IMPATIENT}"
    )
}

#[test]
fn a_message_of_150_mebibytes_passes_through_little_memory() {
    let Some(sink) = Sink::start(HOP) else { return skip("smtp-sink is not installed") };
    let mut gateway = Gateway::start(&roomy(&format!("[{}]:{}", sink.address().ip(), sink.address().port())));
    let before = gateway.process().peak_resident_kib();
    let mut client = gateway.client("inbound", LISTED);
    client.ask("MAIL FROM:<x@ext.example>", "250");
    client.ask("RCPT TO:<alice@corp.example>", "250");
    client.ask("RCPT TO:<bob@ext.example>", "250");
    client.ask("DATA", "354");
    client.send(b"Subject: large\r\n\r\n");
    let block = format!("{}\r\n", "x".repeat(126)).repeat(MEBIBYTE / 128);
    for _ in 0..150 {
        client.send(block.as_bytes());
    }
    client.send(b".\r\n");
    client.expect("250");
    until_within(2 * e2e::PATIENCE, "the message at the next hop", || (sink.count() == 1).then_some(()));
    until_within(2 * e2e::PATIENCE, "an empty queue", || (gateway.queued() == 0).then_some(()));
    let peak = gateway.process().peak_resident_kib();
    assert!(peak < before + 32 * 1024, "{before} KiB before, {peak} KiB at most");
    let dropped = std::fs::read_dir(gateway.state().join("drop")).unwrap();
    let sizes: Vec<u64> = dropped.map(|entry| entry.unwrap().metadata().unwrap().len()).collect();
    assert!(sizes.len() == 1 && sizes[0] > 150 * MEBIBYTE as u64, "{sizes:?}");
}

#[test]
fn thousands_of_messages_all_arrive() {
    let Some(sink) = Sink::start(HOP) else { return skip("smtp-sink is not installed") };
    let mut gateway = Gateway::start(&roomy(&format!("[{}]:{}", sink.address().ip(), sink.address().port())));
    let messages = if e2e::long() { 50_000 } else { 2_000 };
    let source =
        Source { sessions: 20, messages, bytes: 4096, from: "x@ext.example", to: "bob@ext.example", reuse: false };
    let _ = source.run(gateway.address("inbound"));
    until_within(4 * e2e::PATIENCE, "all messages at the next hop", || {
        (sink.count() >= u64::from(messages)).then_some(())
    });
    until_within(e2e::PATIENCE, "an empty queue", || (gateway.queued() == 0).then_some(()));
    assert_eq!(sink.count(), u64::from(messages), "each once");
    let metrics = gateway.metrics();
    assert_eq!(metrics.sum("bridgehead_messages_received_total", &[]), f64::from(messages));
    assert_eq!(metrics.sum("bridgehead_messages_sent_total", &[]), f64::from(messages));
    let peak = gateway.process().peak_resident_kib();
    assert!(peak < 256 * 1024, "{peak} KiB at most");
}

#[test]
fn what_waits_for_a_next_hop_that_is_down_takes_little_memory() {
    let Some(_source) = Sink::start(HOP) else { return skip("smtp-source is not installed") };
    let down = closed(HOP);
    let mut gateway = Gateway::start(&format!(
        "{CORP}[virtual_server.inbound]\nlisten = [\"127.0.0.2:0\"]\nrelay = {{ mode = \"only\", list = [\"127.0.0.1\"] }}\n\
         delivery = {{ smart_hosts = [\"{down}\"] }}\n"
    ));
    let idle = gateway.process().resident_kib();
    let messages: u32 = if e2e::long() { 100_000 } else { 10_000 };
    let source =
        Source { sessions: 20, messages, bytes: 1024, from: "x@ext.example", to: "bob@ext.example", reuse: true };
    let took = source.run(gateway.address("inbound"));
    let queued = gateway.process().resident_kib();
    gateway.kill();
    let begin = Instant::now();
    gateway.restart();
    drop(gateway.client("inbound", LISTED));
    let greeted = begin.elapsed();
    assert_eq!(gateway.queued(), u64::from(messages));
    let (restarted, peak) = (gateway.process().resident_kib(), gateway.process().peak_resident_kib());
    println!(
        "{messages} messages in {took:?}: {idle} KiB idle, {queued} KiB queued, {restarted} KiB after a restart \
         ({peak} KiB at most), greeted {greeted:?} after it"
    );
    // What waits: its metadata, and what the allocator loses. Figure 7 counts the whole process.
    let room = u64::from(messages) * 700 / 1024 + 8 * 1024;
    assert!(queued < idle + room, "{idle} KiB idle, {queued} KiB queued");
    assert!(peak < idle + room, "{idle} KiB idle, {peak} KiB at most after a restart");
}

/// A next hop that takes nothing.
fn closed(ip: &str) -> String {
    let listener = TcpListener::bind((ip, 0)).expect("a port");
    let port = listener.local_addr().expect("a bound socket").port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // Whoever asks may have gone.
            let _ = stream.write_all(b"421 4.3.2 closed\r\n");
        }
    });
    format!("[{ip}]:{port}")
}

//! The bounds of the program, in figures: memory for each kind of client, connections, descriptors
//! (faults page, figures 5 to 8). Figures are printed; what is asserted of time leaves room for a
//! machine that does other things as well.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use e2e::{Client, Gateway, mail, pass, until};

use crate::{LISTED, OTHER, inbound};

/// Limits that the tests of other limits must not meet.
const MANY: &str = "[virtual_server.inbound.limits]\nconnections = 4000\nconnections_per_address = \"unlimited\"\n";

/// What the process has in memory, in KiB, once what was sent to it has been read: when memory does
/// not grow any more.
fn settled_kib(gateway: &mut Gateway) -> u64 {
    let (mut last, mut same) = (0, 0);
    until("memory to stop growing", || {
        pass(Duration::from_millis(100));
        let now = gateway.process().resident_kib();
        same = if now.abs_diff(last) < 64 { same + 1 } else { 0 };
        last = now;
        (same == 5).then_some(now)
    })
}

/// A session with a message under way, of which the header has been sent.
fn in_data(gateway: &Gateway, source: &str) -> Client {
    let mut client = gateway.client("inbound", source);
    client.ask("MAIL FROM:<x@ext.example>", "250");
    client.ask("RCPT TO:<alice@corp.example>", "250");
    client.ask("DATA", "354");
    client.send(b"Subject: long\r\n\r\n");
    client
}

/// Lines of a message, about so many octets.
fn lines(octets: usize) -> Vec<u8> {
    b"a line of the message that is as long as lines are wont to be, ever\r\n".repeat(octets / 69 + 1)
}

#[test]
fn a_client_that_never_reads_costs_at_most_64_kib() {
    let mut gateway = Gateway::start(&inbound(MANY));
    drop(gateway.client("inbound", LISTED));
    let before = settled_kib(&mut gateway);
    let clients: Vec<TcpStream> = (0..100).map(|_| deaf(&gateway)).collect();
    let each = settled_kib(&mut gateway).saturating_sub(before) / 100;
    println!("a client that never reads: {each} KiB");
    assert!(each <= 64, "{each} KiB for a client that never reads");
    drop(clients);
}

/// A client that sends commands until nothing more is taken, and reads nothing.
fn deaf(gateway: &Gateway) -> TcpStream {
    let mut stream = TcpStream::connect(gateway.address("inbound")).expect("a connection");
    stream.write_all(b"EHLO deaf.example\r\n").expect("it listens");
    stream.set_nonblocking(true).expect("a socket");
    let commands = b"RSET\r\n".repeat(2000);
    let mut stuck = 0;
    while stuck < 20 {
        match stream.write(&commands) {
            Ok(_) => stuck = 0,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                stuck += 1;
                pass(Duration::from_millis(5));
            }
            Err(error) => panic!("hung up on: {error}"),
        }
    }
    stream
}

#[test]
fn a_message_under_way_costs_at_most_256_kib_whatever_its_size() {
    let mut gateway = Gateway::start(&inbound(MANY));
    let before = settled_kib(&mut gateway);
    // What is made once, such as the threads that write and what each of them keeps, is shared by all.
    let mut clients = under_way(&gateway, 150);
    let each = settled_kib(&mut gateway).saturating_sub(before) / 150;
    println!("a message of 3 MiB under way: {each} KiB");
    assert!(each <= 256, "{each} KiB for a message under way");
    for client in &mut clients {
        client.send(b".\r\n");
        client.expect("250");
    }
}

/// Sessions that have sent a large part of a message.
fn under_way(gateway: &Gateway, count: usize) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..count).map(|_| in_data(gateway, OTHER)).collect();
    let part = lines(3 << 20);
    clients.iter_mut().for_each(|client| client.send(&part));
    clients
}

#[test]
fn a_flood_from_one_address_and_slow_writers_keep_nobody_waiting() {
    let limits = "[limits]\nconnections = 4000\n[virtual_server.inbound.limits]\nconnections = 4000\nconnections_per_network = \"unlimited\"\n";
    let gateway = Gateway::start(&inbound(limits));
    let slow = crate::abuse::descriptors().saturating_sub(300).min(1000);
    let mut writers: Vec<Client> =
        (0..slow).map(|at| in_data(&gateway, &format!("127.1.{}.{}", at / 250, at % 250 + 1))).collect();
    let held: Vec<Client> = (0..100).map(|_| gateway.connect("inbound", OTHER)).collect();
    let (over, refused) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut waits = std::thread::scope(|scope| {
        scope.spawn(|| {
            // A hundred octets each, as long as the others are at it: never silent, hardly fast enough.
            while !over.load(Ordering::Relaxed) {
                writers.iter_mut().for_each(|writer| writer.send(&lines(100)));
                pass(Duration::from_millis(50));
            }
        });
        scope.spawn(|| {
            let start = Instant::now();
            while !over.load(Ordering::Relaxed) {
                // Five hundred a second.
                while refused.load(Ordering::Relaxed) as u128 > start.elapsed().as_millis() / 2 {
                    pass(Duration::from_millis(1));
                }
                gateway.connect("inbound", OTHER).expect("421");
                refused.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut waits = Vec::new();
        while waits.len() < 300 || (refused.load(Ordering::Relaxed) < 500 && waits.len() < 50_000) {
            waits.push(greeting(&gateway, &format!("127.2.0.{}", waits.len() % 250 + 1)));
        }
        over.store(true, Ordering::Relaxed);
        waits
    });
    waits.sort_unstable();
    let (middle, p99) = (waits[waits.len() / 2], waits[waits.len() * 99 / 100]);
    let refused = refused.into_inner();
    println!(
        "{slow} slow writers, {refused} refused from one address: {} others accepted in {middle:?}, p99 {p99:?}",
        waits.len()
    );
    assert!(p99 < Duration::from_secs(2), "{p99:?}");
    assert!(refused >= 500, "the flood was no flood");
    let written = gateway.log().lines().filter(|line| line.contains("too-many-from-address")).count();
    assert!(written < refused / 2, "{written} lines for {refused} refusals");
    drop(held);
}

/// How long a client from `source` waits for its greeting.
fn greeting(gateway: &Gateway, source: &str) -> Duration {
    let start = Instant::now();
    gateway.connect("inbound", source).expect("220");
    start.elapsed()
}

#[test]
fn a_flood_is_ten_lines_a_second_and_their_number() {
    let gateway = Gateway::start(&inbound("[virtual_server.inbound.limits]\nconnections_per_address = 1\n"));
    let mut held = gateway.connect("inbound", OTHER);
    held.expect("220");
    for _ in 0..200 {
        gateway.connect("inbound", OTHER).expect("421 4.7.0");
    }
    until("the number of lines not written", || gateway.log().contains("\"suppressed\"").then_some(()));
    let metrics = gateway.metrics();
    let labels = ["server=\"inbound\"", "reason=\"too-many-from-address\""];
    let refused = metrics.sum("bridgehead_refused_total", &labels);
    assert!((refused - 200.0).abs() < 0.5, "{refused} were counted");
    let written = gateway.log().lines().filter(|line| line.contains("\"refused\"")).count();
    assert!(written < 200, "{written} lines");
}

#[test]
fn new_mail_is_put_off_while_memory_is_short() {
    let limits = format!("[limits]\nmemory = \"48 MiB\"\n{MANY}");
    let gateway = Gateway::start(&inbound(&limits));
    let mut asking = gateway.client("inbound", LISTED);
    asking.ask("NOOP", "250");
    // Each holds what a message may hold before it is written to the disk.
    let mut clients = Vec::new();
    let mut put_off = false;
    while !put_off {
        // Who is turned away at the door holds a little while he is there: the next may come in again.
        clients.extend(holding(&gateway));
        assert!(clients.len() < 2000, "there is no end to the memory");
        asking.line("MAIL FROM:<x@ext.example>");
        let reply = asking.reply();
        put_off = reply.code() == 452;
        if put_off {
            assert!(reply.last().starts_with("452 4.3.1"), "{}", reply.last());
        } else {
            asking.ask("RSET", "250");
        }
    }
    println!("{} messages under way in 48 MiB", clients.len());
    clients.iter_mut().for_each(|client| client.send(b".\r\n"));
    let taken = clients.iter_mut().filter_map(Client::try_reply).filter(|reply| reply.code() == 250).count();
    assert!(taken > 0, "what was under way is finished");
    drop(clients);
    until("room again", || {
        asking.line("MAIL FROM:<x@ext.example>");
        (asking.reply().code() == 250).then_some(())
    });
    let (message, token) = mail::message("there is room");
    gateway.client("inbound", LISTED).deliver("x@ext.example", "alice@corp.example", &message);
    let _ = gateway.dropped_with(&token);
}

/// A session that holds as much as it may; `None` when nobody is let in any more.
fn holding(gateway: &Gateway) -> Option<Client> {
    let mut client = gateway.connect("inbound", OTHER);
    let greeting = client.reply();
    if greeting.code() == 421 {
        assert!(greeting.last().starts_with("421 4.3.2"), "{}", greeting.last());
        return None;
    }
    client.ask("EHLO there.example", "250");
    client.line("MAIL FROM:<x@ext.example>");
    if client.reply().code() == 452 {
        return None;
    }
    client.ask("RCPT TO:<alice@corp.example>", "250");
    client.ask("DATA", "354");
    client.send(b"Subject: long\r\n\r\n");
    client.send(&lines(100 << 10));
    Some(client)
}

#[test]
fn without_a_descriptor_clients_are_told_and_nothing_spins() {
    let gateway = Gateway::start(&inbound(MANY));
    drop(gateway.client("inbound", LISTED));
    let open = descriptors_of(&gateway);
    set_descriptors(&gateway, open);
    // Whatever was still closing has made room for a few.
    let mut held = Vec::new();
    let told = until("a client to be told", || {
        let mut client = gateway.connect("inbound", OTHER);
        let reply = client.reply();
        held.push(client);
        (reply.code() == 421).then(|| reply.last().to_owned())
    });
    assert!(told.starts_with("421 4.3.2"), "{told}");
    let spent = processor_ms(&gateway);
    pass(Duration::from_secs(1));
    let spun = processor_ms(&gateway) - spent;
    assert!(spun < 500, "{spun} ms of processor time in a second of waiting");
    let faults = gateway.log().lines().filter(|line| line.contains("\"accept-failed\"")).count();
    assert!((1..=2).contains(&faults), "{faults} lines about it");
    set_descriptors(&gateway, 1024);
    drop(held);
    let (message, token) = mail::message("descriptors again");
    until("service again", || {
        let mut client = gateway.connect("inbound", LISTED);
        (client.reply().code() == 220).then_some(())
    });
    gateway.client("inbound", LISTED).deliver("x@ext.example", "alice@corp.example", &message);
    let _ = gateway.dropped_with(&token);
}

#[test]
fn mail_waits_for_a_descriptor_and_no_longer() {
    let gateway = Gateway::start(&inbound(MANY));
    let (message, token) = mail::message("without a descriptor");
    let mut client = in_data(&gateway, LISTED);
    set_descriptors(&gateway, descriptors_of(&gateway));
    client.send(&mail::stuffed(&message));
    client.expect("250");
    until("the delivery to be postponed", || gateway.log().contains("hop-postponed").then_some(()));
    set_descriptors(&gateway, 1024);
    // A directory that had failed would rest for a quarter of an hour.
    let _ = gateway.dropped_with(&token);
    assert!(!gateway.log().contains("hop-refused"), "{}", gateway.log());
}

#[test]
fn limits_are_fitted_to_the_descriptors() {
    let gateway = Gateway::start(&inbound("[virtual_server.inbound.limits]\nconnections = 100000000\n"));
    until("a line about it", || gateway.log().contains("limit-lowered").then_some(()));
    drop(gateway.client("inbound", LISTED));
}

/// How many descriptors the program has open.
fn descriptors_of(gateway: &Gateway) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", gateway.id())).map(Iterator::count).unwrap_or(0)
}

/// Changes how many it may have open.
fn set_descriptors(gateway: &Gateway, count: usize) {
    let limit = format!("--nofile={count}:");
    let done = Command::new("prlimit").arg("--pid").arg(gateway.id().to_string()).arg(limit).status();
    assert!(done.is_ok_and(|status| status.success()), "prlimit, of util-linux");
}

/// Processor time it has used, in milliseconds: clock ticks are hundredths of a second.
fn processor_ms(gateway: &Gateway) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", gateway.id())).expect("it runs");
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    behind_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}

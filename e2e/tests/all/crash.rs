//! `kill -9` under load: whatever was answered with 250 arrives, at least once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::Duration;

use e2e::{Client, Gateway, Peer, Script, mail, until, until_within};

use crate::{CORP, HOP, IMPATIENT, LISTED};

const SENDERS: usize = 8;

/// What the senders and the test share.
struct Load {
    address: RwLock<SocketAddr>,
    promised: Mutex<BTreeSet<String>>,
    over: AtomicBool,
}

impl Load {
    fn promised(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.promised.lock().expect("no sender panics while it holds the lock")
    }

    /// Sends until it is over; a lost connection is nothing special.
    fn send(&self, sender: usize) {
        let mut count = 0_usize;
        while !self.over.load(Ordering::Relaxed) {
            let address = *self.address.read().expect("the address is only replaced");
            let Some(mut client) = greeted(address) else { continue };
            while self.send_one(&mut client, sender, count).is_some() {
                count += 1;
                if self.over.load(Ordering::Relaxed) {
                    return;
                }
            }
        }
    }

    /// One message; `None` when the connection was lost. Only a 250 to the dot is a promise.
    fn send_one(&self, client: &mut Client, sender: usize, count: usize) -> Option<()> {
        let (message, token) = mail::message("promised");
        // Half go on to a next hop, half into the drop directory; some are large enough for a file
        // of their own in the spool.
        let to = if (sender + count).is_multiple_of(2) { "bob@ext.example" } else { "alice@corp.example" };
        let padding = if count % 10 == 9 { format!("{}\r\n", "x".repeat(70)).repeat(6_000) } else { String::new() };
        say(client, "MAIL FROM:<x@ext.example>", 250)?;
        say(client, &format!("RCPT TO:<{to}>"), 250)?;
        say(client, "DATA", 354)?;
        client.try_send(&mail::stuffed(&format!("{message}{padding}"))).ok()?;
        expect(client, 250)?;
        self.promised().insert(token);
        Some(())
    }
}

fn greeted(address: SocketAddr) -> Option<Client> {
    let mut client = Client::try_connect(address, LISTED).ok()?;
    expect(&mut client, 220)?;
    say(&mut client, "EHLO client.ext.example", 250)?;
    Some(client)
}

fn say(client: &mut Client, line: &str, code: u16) -> Option<()> {
    client.try_send(format!("{line}\r\n").as_bytes()).ok()?;
    expect(client, code)
}

fn expect(client: &mut Client, code: u16) -> Option<()> {
    (client.reply_within(Duration::from_secs(5))?.code() == code).then_some(())
}

#[test]
fn nothing_promised_is_lost_when_the_process_is_killed() {
    let rounds = if e2e::long() { 200 } else { 10 };
    let hop = Peer::start(HOP, Script::polite());
    let mut gateway = Gateway::start(&format!(
        "{CORP}[virtual_server.inbound]\nlisten = [\"127.0.0.2:0\"]\n\
         relay = {{ mode = \"only\", list = [\"{LISTED}\"] }}\n\
         delivery = {{ smart_hosts = [\"{}\"] }}\n{IMPATIENT}",
        hop.route()
    ));
    let load = Arc::new(Load {
        address: RwLock::new(gateway.address("inbound")),
        promised: Mutex::new(BTreeSet::new()),
        over: AtomicBool::new(false),
    });
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let load = Arc::clone(&load);
            std::thread::spawn(move || load.send(sender))
        })
        .collect();
    for round in 0..rounds {
        // A different number of promises each time: the phase of the kill wanders.
        let wanted = load.promised().len() + 3 + (round * 37) % 61;
        until(format!("{wanted} promises in round {round}"), || (load.promised().len() >= wanted).then_some(()));
        gateway.kill();
        gateway.restart();
        *load.address.write().expect("the address is only replaced") = gateway.address("inbound");
    }
    load.over.store(true, Ordering::Relaxed);
    senders.into_iter().for_each(|sender| sender.join().expect("a sender only sends"));
    let promised = load.promised().clone();
    until_within(2 * e2e::PATIENCE, "the queue to become empty", || (gateway.queued() == 0).then_some(()));
    let arrived = arrivals(&gateway, &hop);
    let lost: Vec<&String> = promised.iter().filter(|token| !arrived.contains_key(*token)).collect();
    let twice = arrived.values().filter(|count| **count > 1).count();
    println!("{rounds} kills, {} promised, {} arrived, {twice} more than once", promised.len(), arrived.len());
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), promised.len());
    // A delivery in flight may be repeated, and no more than 100 connections to one destination are.
    assert!(twice <= rounds * 100, "{twice} duplicates");
}

/// How often each token arrived, here or there.
fn arrivals(gateway: &Gateway, hop: &Peer) -> BTreeMap<String, usize> {
    let contents = hop.received().into_iter().map(|received| received.content).chain(gateway.dropped());
    let mut arrived = BTreeMap::new();
    for content in contents {
        let start = content.find("token-").expect("every message has its token");
        let end = content[start..].find("-end").expect("every token has its end") + start + "-end".len();
        *arrived.entry(content[start..end].to_owned()).or_insert(0) += 1;
    }
    arrived
}

#[test]
fn a_message_at_rest_survives_and_comes_once() {
    let hop = e2e::Reserved::on(HOP);
    let mut gateway = Gateway::start(&crate::published(&hop.route(), &hop.route()));
    let (message, token) = mail::message("at rest");
    gateway.client("inet", LISTED).deliver("x@ext.example", "alice@corp.example", &message);
    for _ in 0..3 {
        gateway.kill();
        gateway.restart();
        assert_eq!(gateway.queued(), 1);
    }
    let hop = hop.open(Script::polite());
    let _ = hop.received_with(&token);
    gateway.wait_until_empty();
    assert_eq!(hop.count(), 1);
}

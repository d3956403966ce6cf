//! Too few descriptors and too little memory (faults page: "EMFILE, ENFILE", "ENOMEM / OOM killer",
//! figure 5): mail is put off, not lost; nothing spins, nothing dies, and it is over when it is over.

use std::time::{Duration, Instant};

use e2e::load::{Load, Mix, Promise, Tally, message, own_network};
use e2e::{Act, At, Client, Gateway, MemoryLimit, Peer, Script, Start, foreign, mail, skip, until, until_within};

use crate::HOP;

/// How soon everything must be as before (figure 5).
const BACK: Duration = Duration::from_secs(5);
const MEBIBYTE: u64 = 1 << 20;

/// Everybody may relay to ext.example, by way of `hop`. The retry intervals are the usual ones: a hop that
/// is taken for dead rests for a quarter of an hour.
fn relaying(hop: &Peer) -> String {
    format!(
        "[organization]\ndomains = [\"corp.example\"]\n[metrics]\nlisten = [\"127.0.0.1:0\"]\n\
         [virtual_server.inbound]\nlisten = [\"127.0.0.2:0\"]\n\
         [remote_domain.\"ext.example\"]\nallow_relay = true\nroute = \"{}\"\n",
        hop.route()
    )
}

fn outside(small: usize, large: usize) -> Mix {
    Mix { source: None, small, large, recipients: vec![vec!["bob@ext.example"]] }
}

/// How long it takes until somebody new has sent a few messages.
fn time_until_served(gateway: &Gateway, promised: &mut Vec<Promise>) -> Duration {
    let start = Instant::now();
    let load = Load::start(gateway.address("inbound"), 2, outside(900, 900));
    until("promises", || (load.promised() >= 10).then_some(()));
    let back = start.elapsed();
    promised.extend(load.stop());
    back
}

/// Clients that connect and say nothing; those that were let in and those that wait.
fn crowd(gateway: &Gateway, count: usize) -> Vec<Client> {
    let address = gateway.address("inbound");
    (0..count).filter_map(|sender| Client::try_connect(address, &own_network(sender)).ok()).collect()
}

#[test]
fn sixty_four_descriptors_are_enough_to_live() {
    if !foreign::installed("prlimit") {
        return skip("prlimit is not installed");
    }
    let hop = Peer::start(HOP, Script::polite());
    let mut gateway = Start::with(&relaying(&hop)).under(&["prlimit", "--nofile=64:64"]).go();
    let mut promised = Vec::new();
    let _ = time_until_served(&gateway, &mut promised);

    let idle = crowd(&gateway, 200);
    let computed = gateway.process().computes_in(Duration::from_secs(2));
    assert!(computed < Duration::from_secs(1), "{computed:?} of work in 2 s in which nobody said anything");
    drop(idle);

    let load = Load::start(gateway.address("inbound"), 200, outside(900, 300_000));
    let (wanted, start) = (if e2e::long() { 20_000 } else { 300 }, Instant::now());
    until_within(10 * e2e::PATIENCE, "promises under pressure", || {
        (load.promised() >= wanted || start.elapsed() > 3 * BACK).then_some(())
    });
    let (refused, broken) = (load.refused(), load.lost_connections());
    promised.extend(load.stop());
    let back = time_until_served(&gateway, &mut promised);
    assert!(gateway.process().ended().is_none(), "it lives");
    // Nobody holds the next hop for dead: it never was.
    let start = Instant::now();
    gateway.wait_until_empty();
    let drained = start.elapsed();
    let tally = Tally::of(&promised, &hop, &[]);
    println!(
        "64 descriptors, 200 clients: {} accepted, {} delivered, refused {refused:?}, {broken} connections broken, \
         {computed:?} of work in 2 s of silence, back after {back:?}, drained after {drained:?}",
        tally.promised, tally.arrived
    );
    tally.assert_whole();
    assert!(refused.keys().all(|code| matches!(code, 421 | 451 | 452)), "{refused:?}");
    assert!(back <= BACK, "{back:?}");
}

/// A client in the middle of a message, and the token of that.
struct Half {
    client: Client,
    token: String,
}

/// Begins messages of which all but the end is sent. Some clients are refused; their codes.
fn begin_messages(gateway: &Gateway, count: usize, size: usize) -> (Vec<Half>, Vec<u16>) {
    let (mut halves, mut codes) = (Vec::new(), Vec::new());
    for client in crowd(gateway, count) {
        let token = mail::token();
        match begin_message(client, &token, size) {
            Ok(client) => halves.push(Half { client, token }),
            Err(code) => codes.push(code),
        }
    }
    (halves, codes)
}

/// The code with which a client was refused; 0 when its connection ended without one.
fn begin_message(mut client: Client, token: &str, size: usize) -> Result<Client, u16> {
    let lines = ["", "EHLO client.ext.example", "MAIL FROM:<x@ext.example>", "RCPT TO:<bob@ext.example>", "DATA"];
    for line in lines {
        if !line.is_empty() {
            client.try_send(format!("{line}\r\n").as_bytes()).map_err(|_| 0_u16)?;
        }
        let code = client.reply_within(Duration::from_secs(10)).map_or(0, |reply| reply.code());
        if !(200..400).contains(&code) {
            return Err(code);
        }
    }
    let bytes = mail::stuffed(&message(token, size));
    client.try_send(&bytes[..bytes.len() - 3]).map_err(|_| 0_u16)?;
    Ok(client)
}

#[test]
fn sixty_four_mebibytes_are_enough_to_live() {
    let limit = match MemoryLimit::of(64 * MEBIBYTE) {
        Ok(limit) => limit,
        Err(why) => return skip(&why),
    };
    let slow = Act::Late(Duration::from_millis(20));
    let hop = Peer::start(HOP, Script::polite().always(At::Dot, slow));
    let words = limit.words();
    let mut gateway = Start::with(&relaying(&hop)).under(&words.each_ref().map(String::as_str)).go();
    let mut promised = Vec::new();
    let _ = time_until_served(&gateway, &mut promised);

    // Each just short of what would go into a file: far more, all together, than there is.
    let (halves, codes) = begin_messages(&gateway, 400, 240_000);
    let begun = halves.len();
    let held = gateway.process().resident_kib();
    for Half { mut client, token } in halves {
        if client.try_send(b".\r\n").is_ok() && client.reply_within(BACK).is_some_and(|reply| reply.code() == 250) {
            promised.push(Promise { token, recipients: vec!["bob@ext.example"] });
        }
    }
    let finished = promised.len();

    let load = Load::start(gateway.address("inbound"), if e2e::long() { 100 } else { 40 }, outside(60_000, 4_000_000));
    let (wanted, start) = (if e2e::long() { 5_000 } else { 150 }, Instant::now());
    until_within(20 * e2e::PATIENCE, "promises under pressure", || {
        (load.promised() >= wanted || (!e2e::long() && start.elapsed() > 2 * BACK)).then_some(())
    });
    let refused = load.refused();
    promised.extend(load.stop());
    let back = time_until_served(&gateway, &mut promised);
    until_within(4 * e2e::PATIENCE, "an empty queue", || (gateway.queued() == 0).then_some(()));
    assert!(gateway.process().ended().is_none() && limit.killed() == 0, "it lives");
    let peak = gateway.process().peak_resident_kib();
    let tally = Tally::of(&promised, &hop, &[]);
    println!(
        "64 MiB: {begun} of 400 clients in DATA at once with 240,000 octets each ({held} KiB resident then), \
         {finished} of them done, the others {codes:?}; under load {} accepted, {} delivered, refused {refused:?}; \
         {peak} KiB resident at most, {} KiB with caches, back after {back:?}",
        tally.promised,
        tally.arrived,
        limit.peak() / 1024
    );
    tally.assert_whole();
    assert!(
        codes.iter().chain(refused.keys()).all(|code| matches!(code, 0 | 421 | 451 | 452)),
        "{codes:?} {refused:?}"
    );
    assert!(back <= BACK, "{back:?}");
}

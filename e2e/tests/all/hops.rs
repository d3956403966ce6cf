//! Next hops that misbehave in every way over a real socket (faults page: "slow, silent, babbling peers",
//! figure 8): nothing is lost, nothing is stuck, and no other destination waits for them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use e2e::load::{Load, Mix, Tally};
use e2e::{Act, At, Client, Gateway, Peer, Script, mail, until, until_within};

use crate::{CORP, HOP, IMPATIENT, LISTED, OTHER};

/// Where a next hop can do something of its own.
const STEPS: [At; 7] = [At::Connect, At::Hello, At::Mail, At::Rcpt, At::Data, At::Content, At::Dot];

/// A next hop, the domain that is routed to it, and what it does wrong.
struct Bad {
    what: String,
    domain: String,
    peer: Peer,
    tokens: Vec<String>,
}

/// How one that does this, the first time it comes there, is called.
fn manners() -> Vec<(String, Script)> {
    let mut all = Vec::new();
    let mut add = |what: &str, at: At, act: Act| {
        all.push((format!("{what} at {at:?}"), Script::polite().first(2, at, act)));
    };
    for at in STEPS {
        add("drops", at, Act::Drop);
        if at == At::Content {
            // In the middle of the content there is no reply.
            continue;
        }
        let code = if at == At::Connect { "421 4.3.2 full" } else { "450 4.3.0 not now" };
        add("defers", at, Act::say(code));
        add("defers and drops", at, Act::SayAndDrop(code.to_owned()));
        add("babbles", at, Act::Bytes(b"\x00\xff\x16\x03 what?\r\n".to_vec()));
        add("never ends its reply", at, Act::Repeat(b"250-and another thing\r\n".to_vec()));
        add("never ends its line", at, Act::Repeat(vec![b'2'; 4096]));
    }
    let drip = Act::Drip(b"250 peer\r\n".to_vec());
    all.push(("drips its reply".to_owned(), Script::polite().first(1, At::Hello, drip)));
    all
}

/// Peers with these manners, a gateway that routes a domain to each, and one to `good`.
fn surrounded(manners: Vec<(String, Script)>, good: &Peer, senders: &Peer) -> (Gateway, Vec<Bad>) {
    let mut settings = format!(
        "[organization]\ndomains = [\"bogus1.example\"]\n[metrics]\nlisten = [\"127.0.0.1:0\"]\n\
         [virtual_server.inet]\nlisten = [\"127.0.0.2:0\"]\n{IMPATIENT}"
    );
    let mut route = |domain: &str, peer: &Peer| {
        let _ = write!(settings, "[remote_domain.\"{domain}\"]\nallow_relay = true\nroute = \"{}\"\n", peer.route());
    };
    route("good.example", good);
    route("corp2.example", senders);
    let mut bad = Vec::new();
    for (number, (what, script)) in manners.into_iter().enumerate() {
        let (domain, peer) = (format!("bad{number}.example"), Peer::start(HOP, script));
        route(&domain, &peer);
        bad.push(Bad { what, domain, peer, tokens: Vec::new() });
    }
    (Gateway::start(&settings), bad)
}

/// Gives two messages to the gateway for each of them.
fn send_to_all(gateway: &Gateway, bad: &mut [Bad]) {
    let mut client = gateway.client("inet", OTHER);
    for one in bad {
        for _ in 0..2 {
            let (message, token) = mail::message(&one.what);
            client.deliver("x@corp2.example", &format!("alice@{}", one.domain), &message);
            one.tokens.push(token);
        }
    }
    client.quit();
}

/// How long a message takes from its 250 to its arrival at `good`.
fn latency(client: &mut Client, to: &str, good: &Peer) -> Duration {
    let (message, token) = mail::message("probe");
    client.deliver("x@corp2.example", to, &message);
    let start = Instant::now();
    let received = good.received_with(&token);
    received.at.saturating_duration_since(start)
}

fn median(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() - 1])
}

#[test]
fn nothing_is_lost_on_hops_that_misbehave() {
    let (good, senders) = (Peer::start(HOP, Script::polite()), Peer::start(HOP, Script::polite()));
    let (mut gateway, mut bad) = surrounded(manners(), &good, &senders);
    let before = gateway.process().resident_kib();
    send_to_all(&gateway, &mut bad);
    let mut client = gateway.client("inet", OTHER);
    let probes = (0..20).map(|_| latency(&mut client, "alice@good.example", &good)).collect();
    let (middle, longest) = median(probes);
    for one in &bad {
        until_within(2 * e2e::PATIENCE, format!("the mail for one that {}", one.what), || {
            (one.peer.count() >= 2).then_some(())
        });
        for token in &one.tokens {
            let copies = one.peer.received().iter().filter(|received| received.content.contains(token)).count();
            assert_eq!(copies, 1, "copies of {token} at one that {}", one.what);
        }
    }
    gateway.wait_until_empty();
    let peak = gateway.process().peak_resident_kib();
    println!(
        "{} hops that misbehave: all mail arrived once; meanwhile {middle:?} to a good one, {longest:?} at most; \
         {before} KiB before, {peak} KiB at most",
        bad.len()
    );
    assert_eq!(senders.count(), 0, "nothing was given up");
    assert!(peak < before + 32 * 1024, "{before} KiB before, {peak} KiB at most");
}

#[test]
fn a_hop_that_stalls_is_tried_again_when_it_hangs_up() {
    let (good, senders) = (Peer::start(HOP, Script::polite()), Peer::start(HOP, Script::polite()));
    let stalls = |at| (format!("stalls at {at:?}"), Script::polite().first(1, at, Act::Stall));
    let drips = ("drips for hours".to_owned(), Script::polite().first(1, At::Mail, Act::Drip(vec![b'2'; 5000])));
    let manners = STEPS.into_iter().map(stalls).chain([drips]).collect();
    let (gateway, mut bad) = surrounded(manners, &good, &senders);
    send_to_all(&gateway, &mut bad);
    for one in &bad {
        until(format!("a connection to one that {}", one.what), || (one.peer.connections() > 0).then_some(()));
    }
    let mut client = gateway.client("inet", OTHER);
    let _ = latency(&mut client, "alice@good.example", &good);
    for one in &bad {
        one.peer.hang_up();
        let _ = one.peer.wait_for(2);
    }
    gateway.wait_until_empty();
    assert_eq!(senders.count(), 0, "nothing was given up");
}

#[test]
fn a_stalled_destination_delays_no_other() {
    let wanted = if e2e::long() { 10_000 } else { 1_000 };
    let (stalled, good) =
        (Peer::start(HOP, Script::polite().always(At::Mail, Act::Stall)), Peer::start(HOP, Script::polite()));
    let gateway = Gateway::start(&format!(
        "{CORP}[virtual_server.inbound]\nlisten = [\"127.0.0.2:0\"]\n\
         relay = {{ mode = \"only\", list = [\"{LISTED}\"] }}\n\
         delivery = {{ smart_hosts = [\"{}\"] }}\n\
         [remote_domain.\"good.example\"]\nallow_relay = true\nroute = \"{}\"\n{IMPATIENT}",
        stalled.route(),
        good.route()
    ));
    let mut client = gateway.client("inbound", LISTED);
    let quiet = (0..20).map(|_| latency(&mut client, "alice@good.example", &good)).collect();
    client.quit();
    let mix = Mix { small: 200, large: 200, recipients: vec![vec!["bob@ext.example"]], ..Mix::default() };
    let load = Load::start(gateway.address("inbound"), 16, mix);
    until_within(10 * e2e::PATIENCE, format!("{wanted} promises"), || (load.promised() >= wanted).then_some(()));
    let promised = load.stop();
    let mut client = gateway.client("inbound", LISTED);
    let stuck = (0..20).map(|_| latency(&mut client, "alice@good.example", &good)).collect();
    let ((quiet, quiet_longest), (stuck, stuck_longest)) = (median(quiet), median(stuck));
    println!(
        "{} messages behind {} stalled connections: {stuck:?} to another, {stuck_longest:?} at most; \
         {quiet:?} and {quiet_longest:?} before",
        promised.len(),
        stalled.open()
    );
    assert!(stalled.open() > 0 && stalled.count() == 0, "it stalls");
    // The median: what else this machine is doing must not decide.
    assert!(stuck <= quiet + Duration::from_millis(100), "{stuck:?} instead of {quiet:?}");
    stalled.behave(Script::polite());
    stalled.hang_up();
    until_within(4 * e2e::PATIENCE, "an empty queue", || (gateway.queued() == 0).then_some(()));
    Tally::of(&promised, &stalled, &[]).assert_whole();
}

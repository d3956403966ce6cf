//! `kill -9` at any moment: whatever was answered with 250 arrives, whole, and what was not under way
//! comes once (faults page: "kill -9 at any instruction", "crash inside recovery", figure 1).

use std::time::{Duration, Instant};

use e2e::load::{Load, Mix, Tally};
use e2e::{Act, At, Dice, Gateway, Peer, Script, mail, until, until_within};

use crate::{CORP, HOP, IMPATIENT, LISTED};

const SENDERS: usize = 8;
/// A copy that came so long before a kill was durable here: faults page, figure 1, says 5 ms. Flushes
/// take longer than that on a machine where others flush too, hence the margin. And so long after a kill
/// a next hop may still have been reading what was under way.
const SETTLED: Duration = Duration::from_secs(1);

/// Mail for outside goes to `hop`, mail for corp.example into the drop directory.
fn relaying(hop: &Peer) -> String {
    format!(
        "{CORP}[virtual_server.inbound]\nlisten = [\"127.0.0.2:0\"]\n\
         relay = {{ mode = \"only\", list = [\"{LISTED}\"] }}\n\
         delivery = {{ smart_hosts = [\"{}\"] }}\n{IMPATIENT}",
        hop.route()
    )
}

/// How a next hop may be at any moment.
fn moods() -> [Script; 5] {
    let slow = Act::Late(Duration::from_millis(20));
    [
        Script::polite(),
        Script::polite().always(At::Dot, slow.clone()).always(At::Mail, slow),
        Script::polite().always(At::Connect, Act::Drop),
        Script::polite().first(5, At::Content, Act::Drop).first(5, At::Dot, Act::Drop),
        Script::polite().first(9, At::Rcpt, Act::say("450 4.2.1 busy")).first(9, At::Dot, Act::say("451 4.3.0 later")),
    ]
}

/// When the process was killed, and how many deliveries were under way.
#[derive(Default)]
struct Kills {
    at: Vec<Instant>,
    open: usize,
}

impl Kills {
    fn kill(&mut self, gateway: &mut Gateway, hop: &Peer) {
        let open = hop.open();
        gateway.kill();
        self.at.push(Instant::now());
        self.open += open;
    }

    /// Copies that came about when a kill did: the next hop's 250 may not have been durable here.
    fn just_arrived(&self, hop: &Peer) -> usize {
        let all = hop.received();
        all.iter().filter(|received| self.nearest(received.at) <= SETTLED).count()
    }

    /// How far away the nearest kill was.
    fn nearest(&self, moment: Instant) -> Duration {
        let far = |kill: &Instant| kill.saturating_duration_since(moment).max(moment.saturating_duration_since(*kill));
        self.at.iter().map(far).min().unwrap_or(Duration::MAX)
    }
}

#[test]
fn nothing_promised_is_lost_when_the_process_is_killed() {
    let rounds = if e2e::long() { 200 } else { 10 };
    let mut dice = Dice::new();
    let hop = Peer::start(HOP, Script::polite());
    let mut gateway = Gateway::start(&relaying(&hop));
    let load = Load::start(gateway.address("inbound"), SENDERS, Mix::default());
    let mut kills = Kills::default();
    for round in 0..rounds {
        hop.behave(moods()[round % 5].clone());
        let wanted = load.promised() + usize::try_from(dice.below(60)).expect("a small number");
        until(format!("{wanted} promises in round {round}"), || (load.promised() >= wanted).then_some(()));
        if round % 3 == 1 {
            // In the middle of a delivery, if the next hop is in the mood to take one.
            let start = Instant::now();
            until("a delivery", || (hop.open() > 0 || start.elapsed() > Duration::from_secs(1)).then_some(()));
        }
        kills.kill(&mut gateway, &hop);
        if round % 3 == 2 {
            kill_while_starting(&mut gateway, &hop, &mut dice, &mut kills);
        }
        gateway.restart();
        load.turn_to(gateway.address("inbound"));
    }
    hop.behave(Script::polite());
    let promised = load.stop();
    until_within(4 * e2e::PATIENCE, "the queue to become empty", || (gateway.queued() == 0).then_some(()));
    let tally = Tally::of(&promised, &hop, &gateway.dropped());
    let twice = tally.duplicates.len();
    let (open, fresh) = (kills.open, kills.just_arrived(&hop));
    println!(
        "{} kills in {rounds} rounds: {} accepted, {} delivered, {twice} duplicates \
         ({open} connections open at the kills, {fresh} copies about then)",
        kills.at.len(),
        tally.promised,
        tally.arrived,
    );
    tally.assert_whole();
    assert!(twice <= open + fresh, "{twice} duplicates, and only {open} + {fresh} deliveries under way");
    // A copy that is older than that has been delivered again although its outcome was known.
    let late: Vec<Duration> =
        tally.duplicates.iter().map(|at| kills.nearest(*at)).filter(|far| *far > SETTLED).collect();
    assert!(late.is_empty(), "{} of {twice} duplicates came long before a kill: {late:?}", late.len());
}

/// A few starts that are killed at a random moment: while the spool is read, while a segment is begun,
/// while the first deliveries run.
fn kill_while_starting(gateway: &mut Gateway, hop: &Peer, dice: &mut Dice, kills: &mut Kills) {
    for _ in 0..3 {
        gateway.relaunch();
        dice.pause(Duration::from_millis(120));
        kills.kill(gateway, hop);
    }
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

#[test]
fn nothing_comes_twice_when_nothing_was_under_way() {
    let rounds = if e2e::long() { 20 } else { 3 };
    let hop = Peer::start(HOP, Script::polite());
    let mut gateway = Gateway::start(&relaying(&hop));
    let mut promised = Vec::new();
    for _ in 0..rounds {
        let load = Load::start(gateway.address("inbound"), SENDERS, Mix::default());
        until("promises", || (load.promised() >= 40).then_some(()));
        promised.extend(load.stop());
        gateway.wait_until_empty();
        // One more flush: whatever was said before it is durable with it. In a directory a message that
        // comes again takes its own place.
        let (last, _) = mail::message("last");
        gateway.client("inbound", LISTED).deliver("x@ext.example", "dora@corp.example", &last);
        gateway.kill();
        gateway.restart();
    }
    gateway.wait_until_empty();
    let mut dropped = gateway.dropped();
    dropped.retain(|content| !content.contains("dora@corp.example"));
    let tally = Tally::of(&promised, &hop, &dropped);
    let twice = tally.duplicates.len();
    println!("{rounds} kills at rest: {} accepted, {} delivered, {twice} duplicates", tally.promised, tally.arrived);
    tally.assert_whole();
    assert_eq!(twice, 0);
}

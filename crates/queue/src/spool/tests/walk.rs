//! The power-cut walk: a history is filmed, and at every moment between two calls of the disk the
//! power is cut many times over, of what was not flushed a part surviving that a seed decides. Each
//! of the disks that come of it is opened, compared with the state table of `docs/spool.md`, and
//! used on; and its opening is filmed as well and cut again.
//!
//! A state is a disk and what was promised when the power went; one that has been seen does not
//! count again. `E2E_LONG=1` walks further.

use super::*;
use crate::disk::memory::{Call, Fault};
use std::io::ErrorKind;

/// How far to walk.
struct Reach {
    /// Cuts at each moment of the history.
    cuts: u64,
    /// Moments of an opening at which it is interrupted.
    interruptions: usize,
    /// How often in a row an opening is interrupted.
    depth: u32,
}

pub(super) fn is_long() -> bool {
    std::env::var_os("E2E_LONG").is_some()
}

/// What had been promised at a moment.
struct Known<'a> {
    moment: usize,
    expected: &'a Promises,
    issued: &'a BTreeSet<MessageId>,
}

struct Walk {
    reach: Reach,
    dice: Dice,
    /// The states of this film, by fingerprint and moment.
    seen: BTreeSet<(u64, usize)>,
    states: usize,
}

impl Walk {
    fn new(reach: Reach) -> Walk {
        Walk { reach, dice: Dice(11), seen: BTreeSet::new(), states: 0 }
    }

    /// Every moment of a film, or every so manieth beginning with `first`.
    fn film(&mut self, bench: &mut Bench, first: usize, step: usize) {
        let past = bench.past.take().expect("filmed");
        self.seen.clear();
        let begun = past[0].0;
        for (moment, frame) in bench.disk.frames().iter().enumerate().skip(first).step_by(step) {
            let known = past.partition_point(|(calls, _)| *calls <= begun + moment as u64) - 1;
            let known = Known { moment: known, expected: &past[known].1, issued: &bench.issued };
            for _ in 0..self.reach.cuts {
                self.cut(&known, frame, self.reach.depth);
            }
        }
    }

    fn cut(&mut self, known: &Known<'_>, frame: &MemoryDisk, depth: u32) {
        let seed = self.dice.roll();
        let disk = frame.fork().cut(seed);
        if !self.seen.insert((disk.fingerprint(), known.moment)) {
            return;
        }
        self.states += 1;
        disk.film();
        let mut bench = recovered(known, disk);
        let opening = bench.disk.frames();
        if self.states.is_multiple_of(16) {
            goes_on(&mut bench);
        } else {
            bench.stage(700).expect("takes a message");
            assert!(bench.flush().is_none());
        }
        if depth == 0 || opening.is_empty() {
            return;
        }
        for _ in 0..self.reach.interruptions {
            let frame = &opening[self.dice.below(opening.len())];
            self.cut(known, frame, depth - 1);
        }
    }

    /// Says how far the walk has gone, and that it is far enough.
    fn reached(&self, least: usize, least_if_long: usize) {
        println!("{} states", self.states);
        let least = if is_long() { least_if_long } else { least };
        assert!(self.states >= least, "{} states, fewer than {least}", self.states);
    }
}

/// Opens what a power cut left, and compares.
fn recovered(known: &Known<'_>, disk: MemoryDisk) -> Bench {
    let (spool, recovery) = Spool::open(disk.clone(), settings()).expect("opens");
    let expected = known.expected.clone();
    let mut bench = Bench { disk, spool, expected, issued: known.issued.clone(), past: None };
    assert!(recovery.damages.is_empty() && recovery.kept.is_empty(), "{:?}", recovery.damages);
    assert!(recovery.broken.is_none(), "{:?}", recovery.broken);
    bench.compare(&recovery);
    let bodies = bench.expected.values().filter(|expected| expected.body.len() > 8 << 10).count();
    assert_eq!(files(&bench.disk, "body-"), bodies, "the file of a large body is there as long as its message");
    bench
}

fn files(disk: &MemoryDisk, prefix: &str) -> usize {
    use crate::disk::Disk;
    disk.list().expect("a list").iter().filter(|name| name.starts_with(prefix)).count()
}

/// A bench whose disk is filmed from here on.
fn filmed() -> Bench {
    let mut bench = Bench::new();
    bench.past = Some(Vec::new());
    bench.note();
    bench.disk.film();
    bench
}

/// Accepts, attempts, holds, releases, finishes, turns segments, recycles and compacts; it goes on
/// after a failure as the owner of a spool does.
fn history(bench: &mut Bench, rounds: usize, sizes: impl Fn(usize) -> [usize; 4]) {
    let mut dice = Dice(7);
    let steady = bench.stage(300).ok();
    bench.flush();
    for round in 0..rounds {
        if bench.spool.is_broken() {
            let _ = bench.spool.restore();
        }
        for size in sizes(round) {
            let _ = bench.stage(size);
        }
        if round % 4 == 3 {
            abandon(bench);
        }
        bench.flush();
        for id in bench.ids_in(Standing::Promised) {
            let kept = steady == Some(id);
            match dice.below(8) {
                0 if !kept => {}
                1 => bench.attempt(id, dice.below(3), Ending::Deferred),
                2 if kept => bench.say(id, if round % 2 == 0 { Fact::Held } else { Fact::Released }),
                _ if !kept => bench.finish(id),
                _ => {}
            }
        }
        bench.flush();
        if round % 3 == 2 {
            let _ = bench.settle();
        }
        bench.expected.retain(|_, expected| expected.standing != Standing::Over);
        bench.note();
    }
}

/// A client begins a large body and goes away.
fn abandon(bench: &mut Bench) {
    let id = bench.next_id();
    if let Ok(mut file) = bench.spool.bodies().create(id) {
        let mut draft = Draft::new();
        draft.push(&[b'x'; 5000]);
        let _ = file.append(&mut draft);
    }
}

fn small_mail(round: usize) -> [usize; 4] {
    [200, 6000, 3000 + 100 * round, if round.is_multiple_of(6) { 10_000 } else { 10 }]
}

fn large_mail(round: usize) -> [usize; 4] {
    [9_000 + 700 * round, 12_000, 100, 8_193]
}

/// After a recovery the spool works, and a second start finds the same.
pub(super) fn goes_on(bench: &mut Bench) {
    bench.stage(700).expect("takes a message");
    bench.stage(9000).expect("takes a large message");
    assert!(bench.flush().is_none());
    let promised = bench.ids_in(Standing::Promised);
    promised.iter().step_by(2).for_each(|id| bench.finish(*id));
    assert!(bench.flush().is_none());
    bench.settle().expect("housekeeping");
    bench.read_all();
    let disk = bench.disk.clone();
    let recovery = bench.reopen(disk);
    assert!(recovery.damages.is_empty(), "{:?}", recovery.damages);
}

fn power_cut_reach() -> Reach {
    let (cuts, interruptions, depth) = if is_long() { (400, 6, 3) } else { (150, 4, 2) };
    Reach { cuts, interruptions, depth }
}

#[test]
fn the_power_may_go_at_any_moment_of_a_history() {
    let mut bench = filmed();
    history(&mut bench, 34, small_mail);
    assert!(bench.spool.status().copied_bytes > 0, "the history compacts: {:?}", bench.spool.status());
    let mut walk = Walk::new(power_cut_reach());
    walk.film(&mut bench, 0, 1);
    walk.reached(12_000, 50_000);
}

#[test]
fn the_power_may_go_at_any_moment_of_large_bodies() {
    let mut bench = filmed();
    history(&mut bench, 10, large_mail);
    let mut walk = Walk::new(power_cut_reach());
    walk.film(&mut bench, 0, 1);
    walk.reached(12_000, 50_000);
}

#[test]
fn the_power_may_go_at_any_moment_of_a_failing_spool() {
    let mut walk = Walk::new(Reach { cuts: 3, interruptions: 1, depth: 1 });
    for at in 0..calls(short) {
        for fault in FAULTS {
            let mut bench = filmed();
            bench.disk.fail_at(at, fault);
            short(&mut bench);
            let next = usize::try_from(at).expect("a small number") + 1;
            walk.film(&mut bench, next, if is_long() { 1 } else { 7 });
        }
    }
    walk.reached(6_000, 40_000);
}

const FAULTS: [Fault; 3] =
    [Fault::Once(ErrorKind::Other), Fault::FromThenOn(ErrorKind::Other), Fault::Once(ErrorKind::StorageFull)];

/// A history that is run many times.
fn short(bench: &mut Bench) {
    history(bench, 12, |round| if round % 4 == 1 { large_mail(round) } else { small_mail(round) });
}

/// The changing calls a history makes when nothing fails.
fn calls(history: impl Fn(&mut Bench)) -> u64 {
    let mut bench = Bench::new();
    let before = bench.disk.calls();
    history(&mut bench);
    bench.disk.calls() - before
}

/// Whatever has failed, the spool is well again once the disk is, without a restart, and after one.
fn recovers(mut bench: Bench, seed: u64) {
    bench.disk.heal();
    bench.disk.set_capacity(None);
    bench.spool.restore().expect("a fresh segment");
    assert!(bench.flush().is_none(), "nothing fails any more");
    assert!(bench.ids_in(Standing::Open).is_empty() && bench.ids_in(Standing::Refused).is_empty());
    bench.stage(100).expect("service is back");
    assert!(bench.flush().is_none());
    bench.settle().expect("housekeeping");
    bench.read_all();
    assert!(bench.spool.status().segments < 24, "failures do not fill the disk: {:?}", bench.spool.status());
    let disk = bench.disk.cut(seed);
    let recovery = bench.reopen(disk);
    assert!(recovery.damages.is_empty(), "{:?}", recovery.damages);
    goes_on(&mut bench);
}

#[test]
fn any_call_may_fail_and_another_after_it() {
    let calls = calls(short);
    let mut dice = Dice(5);
    let mut runs = 0;
    for first in 0..calls {
        for fault in FAULTS {
            // What follows a failure is where a second one hurts most; of the rest some are drawn.
            let later = calls.saturating_sub(first + 7);
            let drawn = (0..if is_long() { 40 } else { 2 })
                .filter(|_| later > 0)
                .map(|_| 7 + dice.roll() % later)
                .collect::<Vec<_>>();
            for second in std::iter::once(None).chain((1..7).chain(drawn).map(Some)) {
                let mut bench = Bench::new();
                match second {
                    None => bench.disk.fail_at(first, fault),
                    Some(second) => {
                        bench.disk.fail_at(first, Fault::Once(ErrorKind::Other));
                        bench.disk.fail_also_at(first + second, fault);
                    }
                }
                short(&mut bench);
                recovers(bench, first);
                runs += 1;
            }
        }
    }
    println!("{runs} runs with one failure or two");
}

#[test]
fn the_disk_may_be_full_at_any_size() {
    let step = if is_long() { 4 << 10 } else { 24 << 10 };
    let needed = {
        let mut bench = Bench::new();
        short(&mut bench);
        bench.disk.bytes()
    };
    assert!(needed > 3 * (64 << 10), "{needed}");
    for capacity in (0..needed).step_by(step) {
        // Full from the first start on, and full all of a sudden.
        for sudden in [false, true] {
            let disk = MemoryDisk::new();
            if !sudden {
                disk.set_capacity(Some(capacity));
            }
            let mut bench = Bench::on(disk);
            bench.disk.set_capacity(Some(capacity));
            short(&mut bench);
            for _ in 0..3 {
                let disk = bench.disk.cut(capacity);
                let recovery = bench.reopen(disk);
                assert!(recovery.damages.is_empty(), "{:?}", recovery.damages);
                history(&mut bench, 3, small_mail);
            }
            recovers(bench, capacity);
        }
    }
}

#[test]
fn any_read_may_fail_at_a_start_and_the_next_start_finds_all() {
    let mut bench = Bench::new();
    history(&mut bench, 30, small_mail);
    let looks = {
        let disk = bench.disk.fork();
        let before = disk.count(Call::Look);
        let _ = Spool::open(disk.clone(), settings()).expect("opens");
        disk.count(Call::Look) - before
    };
    assert!(looks > 15, "{looks}");
    let mut starts = 0;
    for look in 0..looks {
        for second in [None, Some(look + 1), Some(look + 5)] {
            let disk = bench.disk.fork();
            disk.fail_call(Call::Look, look, Fault::Once(ErrorKind::Other));
            second.into_iter().for_each(|second| disk.fail_also_at(second, Fault::Once(ErrorKind::Other)));
            let opened = Spool::open(disk.clone(), settings());
            disk.heal();
            let expected = match opened {
                Ok((spool, recovery)) => used_half_blind(&bench, disk.clone(), spool, &recovery),
                Err(_) => bench.expected.clone(),
            };
            let known = Known { moment: 0, expected: &expected, issued: &bench.issued };
            recovered(&known, disk.cut(look));
            starts += 1;
        }
    }
    println!("{starts} starts");
}

/// Uses a spool that could not read everything; what must be there at the next start.
fn used_half_blind(before: &Bench, disk: MemoryDisk, spool: Spool<MemoryDisk>, recovery: &Recovery) -> Promises {
    let found: BTreeSet<_> = recovery.messages.iter().map(|queued| queued.id).collect();
    // A finished one comes back if what ends it could not be read.
    found.iter().for_each(|id| assert!(before.issued.contains(id), "{id} was never staged"));
    // Nothing more is said of what was there: it may have been read in part only.
    let mut bench = Bench { disk, spool, expected: BTreeMap::new(), issued: before.issued.clone(), past: None };
    history(&mut bench, 20, small_mail);
    bench.settle().expect("housekeeping");
    before.expected.clone().into_iter().chain(bench.expected).collect()
}

//! The power is cut before every single call of the disk, and of what was not flushed a random part
//! survives. This walks the state table of `docs/spool.md`.

use super::*;
use crate::disk::memory::Fault;

/// A history that accepts, attempts, finishes, turns segments, recycles and compacts; it stops as
/// soon as the power is gone.
fn history(bench: &mut Bench) {
    let mut dice = Dice(7);
    let steady = bench.stage(300).and_then(|id| bench.flush().map_or(Ok(id), Err));
    for round in 0..34 {
        if bench.disk.is_dead() {
            return;
        }
        for size in [200, 6000, 3000 + 100 * round, if round % 6 == 0 { 10_000 } else { 10 }] {
            let _ = bench.stage(size);
        }
        bench.flush();
        for id in bench.ids_in(Standing::Promised) {
            let kept = steady.as_ref().is_ok_and(|steady| *steady == id);
            match dice.below(8) {
                0 if !kept => {}
                1 => bench.attempt(id, dice_recipient(&mut dice), Ending::Deferred),
                2 if kept => bench.say(id, if round % 2 == 0 { Fact::Held } else { Fact::Released }),
                _ if !kept => bench.finish(id),
                _ => {}
            }
        }
        bench.flush();
        if round % 3 == 2 {
            let _ = bench.settle();
        }
    }
}

fn dice_recipient(dice: &mut Dice) -> usize {
    dice.below(3)
}

#[test]
fn a_power_cut_before_any_call_loses_nothing_that_was_promised() {
    let calls = {
        let mut bench = Bench::new();
        let before = bench.disk.calls();
        history(&mut bench);
        let status = bench.spool.status();
        assert!(status.copied_bytes > 0, "the history compacts: {status:?}");
        bench.disk.calls() - before
    };
    assert!(calls > 150, "the history is long enough: {calls}");
    for at in 0..calls {
        for seed in 0..4 {
            let mut bench = Bench::new();
            bench.disk.fail_at(at, Fault::PowerCut);
            history(&mut bench);
            assert!(bench.disk.is_dead(), "call {at} is reached");
            let disk = bench.disk.cut(seed * 1000 + at);
            let recovery = bench.reopen(disk);
            assert!(recovery.damages.is_empty(), "call {at}, seed {seed}: {:?}", recovery.damages);
            assert!(recovery.broken.is_none());
            goes_on(&mut bench);
        }
    }
}

/// After a recovery the spool works, and a second start finds the same.
fn goes_on(bench: &mut Bench) {
    bench.stage(700).expect("takes a message");
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

#[test]
fn a_power_cut_before_the_very_first_calls_leaves_a_spool_that_opens() {
    for at in 0..6 {
        for seed in 0..8 {
            let disk = MemoryDisk::new();
            disk.fail_at(at, Fault::PowerCut);
            let _ = Spool::open(disk.clone(), settings());
            let disk = disk.cut(seed);
            let mut bench = Bench::on(disk);
            goes_on(&mut bench);
        }
    }
}

#[test]
fn a_power_cut_inside_recovery_changes_nothing() {
    for first in [40, 77, 123, 150] {
        for at in 0..12 {
            let mut bench = Bench::new();
            bench.disk.fail_at(first, Fault::PowerCut);
            history(&mut bench);
            let mut disk = bench.disk.cut(first + at);
            // Again and again, always at the same point of the start.
            for again in 0..3 {
                disk.fail_at(at, Fault::PowerCut);
                let _ = Spool::open(disk.clone(), settings());
                disk = disk.cut(again);
            }
            let recovery = bench.reopen(disk);
            assert!(recovery.damages.is_empty(), "{first}, {at}: {:?}", recovery.damages);
            goes_on(&mut bench);
        }
    }
}

#[test]
fn a_body_file_that_no_record_names_is_removed() {
    let mut bench = Bench::new();
    let id = bench.next_id();
    let _unnamed = bench.write_file(id, &[b'x'; 9000]).unwrap();
    let disk = bench.disk.cut(1);
    assert!(disk.content(&crate::body::file_name(id)).is_some());
    bench.reopen(disk);
    assert!(bench.disk.content(&crate::body::file_name(id)).is_none());
}

#[test]
fn identifiers_never_come_again() {
    let mut bench = Bench::new();
    for seed in 0..20 {
        for _ in 0..5 {
            bench.next_id();
        }
        let disk = bench.disk.cut(seed);
        bench.reopen(disk);
    }
}

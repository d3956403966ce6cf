//! Writes and flushes that fail, and disks that are full.

use super::*;
use crate::disk::memory::{Call, Fault};
use std::io::ErrorKind;

#[test]
fn a_failed_flush_is_final_for_the_segment() {
    for call in [Call::Write, Call::Sync] {
        let mut bench = Bench::new();
        let before = bench.stage(300).unwrap();
        assert!(bench.flush().is_none());
        bench.attempt(before, 0, Ending::Deferred);
        let refused = bench.stage(400).unwrap();
        bench.disk.fail_call(call, 0, Fault::FromThenOn(ErrorKind::Other));
        let flush = bench.spool.flush();
        assert!(flush.receipts.is_empty() && flush.refused == [refused]);
        assert!(matches!(flush.error, Some(Error::Disk { .. })));
        assert!(bench.spool.is_broken() && !bench.spool.has_room());
        assert!(matches!(bench.stage(10), Err(Error::Broken)));
        assert!(bench.spool.needs_flush(), "the outcome is still staged");
        bench.read_all();
        bench.disk.heal();
        bench.spool.restore().expect("a fresh segment");
        assert!(bench.flush().is_none() && bench.spool.has_room());
        only_the_first_comes_back(&mut bench, refused);
    }
}

#[test]
fn what_is_refused_does_not_come_back_if_the_power_goes_then() {
    for call in [Call::Write, Call::Sync] {
        for seed in 0..40 {
            let mut bench = Bench::new();
            let before = bench.stage(300).unwrap();
            assert!(bench.flush().is_none());
            bench.attempt(before, 0, Ending::Deferred);
            let refused = bench.stage(400).unwrap();
            let syncs = bench.disk.count(Call::Sync);
            bench.disk.fail_call(call, 0, Fault::Once(ErrorKind::Other));
            let flush = bench.spool.flush();
            assert!(flush.receipts.is_empty() && flush.refused == [refused] && flush.error.is_some());
            assert!(!bench.spool.is_broken() && !bench.spool.needs_flush(), "it goes on in a fresh segment");
            assert!(bench.disk.count(Call::Sync) > syncs + 1, "which has been flushed");
            bench.disk = bench.disk.cut(seed);
            only_the_first_comes_back(&mut bench, refused);
        }
    }
}

/// Of two messages the refused one is forgotten, and what was said of the other counts once.
fn only_the_first_comes_back(bench: &mut Bench, refused: MessageId) {
    bench.expected.remove(&refused);
    let disk = bench.disk.clone();
    let recovery = bench.reopen(disk);
    assert_eq!(recovery.messages.len(), 1, "{:?}", recovery.messages);
    let attempts = recovery.messages[0].brief.standing(0).map(|standing| standing.attempts);
    assert_eq!(attempts, Some(1), "the outcome counts once");
}

#[test]
fn a_full_disk_refuses_mail_and_still_remembers_outcomes() {
    let disk = MemoryDisk::new();
    disk.set_capacity(Some(4 * (64 << 10)));
    let mut bench = Bench::on(disk);
    let mut taken = 0;
    while bench.spool.has_room() {
        bench.stage(3000).expect("there is room");
        assert!(bench.flush().is_none(), "there was room for {taken}");
        bench.settle().expect("housekeeping");
        taken += 1;
    }
    assert!(taken > 25, "most of the disk is used: {taken}");
    // Who does not ask is refused as well, before the last segment is used up.
    while bench.stage(3000).is_ok() {
        match bench.flush() {
            None => {}
            Some(Error::NoRoom) => break,
            Some(other) => panic!("{other}"),
        }
    }
    bench.expected.retain(|_, expected| expected.standing == Standing::Promised);
    for _ in 0..3 {
        for id in bench.ids_in(Standing::Promised) {
            bench.attempt(id, 0, Ending::Deferred);
        }
        assert!(bench.flush().is_none(), "outcomes fit");
    }
    for id in bench.ids_in(Standing::Promised) {
        bench.finish(id);
    }
    assert!(bench.flush().is_none(), "so does the end");
    bench.settle().expect("housekeeping");
    assert!(bench.spool.has_room(), "{:?}", bench.spool.status());
    let disk = bench.disk.clone();
    assert!(bench.reopen(disk).messages.is_empty());
}

#[test]
fn a_start_on_a_full_disk_finds_everything_and_comes_back_when_there_is_room() {
    let mut bench = Bench::new();
    let id = bench.stage(300).unwrap();
    assert!(bench.flush().is_none());
    bench.disk.set_capacity(Some(0));
    for _ in 0..4 {
        let disk = bench.disk.cut(3);
        let recovery = bench.reopen(disk);
        assert_eq!(recovery.messages.len(), 1);
    }
    assert!(!bench.spool.has_room());
    bench.disk.set_capacity(None);
    bench.spool.restore().expect("a fresh segment");
    bench.finish(id);
    assert!(bench.flush().is_none());
    bench.settle().expect("housekeeping");
    assert!(bench.spool.has_room());
    let disk = bench.disk.clone();
    assert!(bench.reopen(disk).messages.is_empty());
}

#[test]
fn a_message_larger_than_a_segment_is_refused() {
    let mut bench = Bench::new();
    let id = bench.next_id();
    let mut envelope = envelope(id);
    envelope.trace = vec![b'x'; 40 << 10].into();
    assert!(matches!(bench.spool.stage_message(&envelope, &body(b"")), Err(Error::TooLarge)));
    assert!(!bench.spool.needs_flush());
}

//! The disk used is bounded by what is queued, and copying by what is written.

use super::*;

#[test]
fn steady_mail_uses_a_bounded_number_of_segments() {
    let mut bench = Bench::new();
    let mut most = 0;
    for _ in 0..400 {
        for size in [500, 4000, 1500] {
            bench.stage(size).unwrap();
        }
        assert!(bench.flush().is_none());
        let done: Vec<_> = bench.ids_in(Standing::Promised);
        done.iter().for_each(|id| bench.finish(*id));
        assert!(bench.flush().is_none());
        bench.expected.retain(|_, expected| expected.standing != Standing::Over);
        bench.settle().unwrap();
        most = most.max(bench.spool.status().segments);
    }
    assert!(most <= 5, "{most} segments for a queue that is empty again and again");
    assert_eq!(bench.spool.status().copied_bytes, 0, "nothing is copied when everything goes");
}

#[test]
fn a_few_long_lived_messages_do_not_keep_the_log() {
    let mut bench = Bench::new();
    let mut most = 0;
    for round in 0..400 {
        for size in [500, 4000, 1500] {
            bench.stage(size).unwrap();
        }
        assert!(bench.flush().is_none());
        // One of 30 messages stays for ever and is attempted now and then.
        for id in bench.ids_in(Standing::Promised) {
            match id.0 % 30 {
                0 if round % 40 == 0 => bench.attempt(id, 0, Ending::Deferred),
                0 => {}
                _ => bench.finish(id),
            }
        }
        assert!(bench.flush().is_none());
        bench.expected.retain(|_, expected| expected.standing != Standing::Over);
        bench.settle().unwrap();
        let status = bench.spool.status();
        most = most.max(status.segments);
        let bound = 2 * status.message_bytes / (64 << 10) + 8;
        assert!(status.segments as u64 <= bound, "round {round}: {status:?}");
    }
    let status = bench.spool.status();
    assert!(status.copied_bytes > 0 && status.copied_bytes <= status.written_bytes / 2, "{status:?}");
    assert!(most < 20, "{most}");
    bench.read_all();
    let disk = bench.disk.clone();
    bench.reopen(disk);
}

#[test]
fn a_location_follows_its_message() {
    let mut bench = Bench::new();
    let id = bench.stage(2000).unwrap();
    assert!(bench.flush().is_none());
    let location = bench.spool.location(id).unwrap();
    let mut reader = bench.spool.reader().chunks(&location);
    let mut octets = reader.next_chunk(700).unwrap().unwrap().to_vec();
    for _ in 0..200 {
        bench.stage(3000).unwrap();
        assert!(bench.flush().is_none());
        for other in bench.ids_in(Standing::Promised).into_iter().filter(|other| *other != id) {
            bench.finish(other);
        }
        assert!(bench.flush().is_none());
        bench.settle().unwrap();
    }
    assert!(bench.spool.status().copied_bytes > 2000, "it was moved");
    while let Some(chunk) = reader.next_chunk(700).unwrap() {
        octets.extend_from_slice(&chunk);
    }
    assert_eq!(*octets, *bench.expected[&id].body);
    assert_eq!(bench.spool.reader().envelope(&location).unwrap(), bench.expected[&id].envelope);
    bench.finish(id);
    assert!(bench.flush().is_none());
    assert!(read(&bench.spool, &location).is_err(), "gone is gone");
    assert!(matches!(bench.spool.reader().envelope(&location), Err(ReadError::Gone)));
}

#[test]
fn spare_segments_are_kept_and_no_more() {
    let mut bench = Bench::new();
    let ids: Vec<_> = (0..150)
        .map(|_| {
            let id = bench.stage(6000).unwrap();
            assert!(bench.flush().is_none());
            id
        })
        .collect();
    assert!(bench.spool.status().segments > 12);
    ids.into_iter().for_each(|id| bench.finish(id));
    assert!(bench.flush().is_none());
    bench.settle().unwrap();
    let status = bench.spool.status();
    assert!(status.free_segments <= 2 && status.segments <= 4, "{status:?}");
}

#[test]
fn what_is_remembered_about_a_long_lived_message_outlives_its_segments() {
    let mut bench = Bench::new();
    let old = bench.stage(100).unwrap();
    assert!(bench.flush().is_none());
    for round in 0..150 {
        if round % 10 == 0 {
            bench.attempt(old, round % 3, Ending::Deferred);
        }
        let id = bench.stage(6000).unwrap();
        assert!(bench.flush().is_none());
        bench.finish(id);
        assert!(bench.flush().is_none());
        bench.expected.remove(&id);
        bench.settle().unwrap();
    }
    assert!(bench.spool.status().segments <= 7, "{:?}", bench.spool.status());
    let disk = bench.disk.clone();
    let recovery = bench.reopen(disk);
    let attempts: u32 =
        (0..3).filter_map(|place| recovery.messages[0].brief.standing(place)).map(|standing| standing.attempts).sum();
    assert_eq!(attempts, 15);
}

#[test]
fn what_is_finished_while_it_is_being_copied_is_not_copied() {
    use crate::disk::memory::{Call, Fault};
    let mut bench = Bench::new();
    let id = bench.stage(3000).unwrap();
    assert!(bench.flush().is_none());
    bench.attempt(id, 0, Ending::Deferred);
    assert!(bench.flush().is_none());
    // A failed write makes the spool leave the segment and empty it.
    bench.disk.fail_call(Call::Write, 0, Fault::Once(std::io::ErrorKind::Other));
    bench.stage(10).unwrap();
    assert!(bench.flush().is_some());
    while bench.spool.status().staged < 2 {
        assert!(bench.spool.maintain().unwrap(), "the copies are staged");
    }
    // The record that ends it names the segments that hold it; a copy would be one more.
    bench.finish(id);
    assert_eq!(bench.spool.status().staged, 1, "the end");
    assert!(bench.flush().is_none());
    assert_eq!(bench.spool.status().copied_bytes, 0);
}

//! Every octet of a small spool changed in turn, and every segment cut off at every length.
//!
//! What a changed octet costs is known exactly: the record it is part of. Everything else must be
//! found as it was, the loss must be reported, and no body may be handed out that is not the one
//! that came. `E2E_LONG=1` changes every bit and cuts at every octet.

use super::*;
use crate::body::file_name;
use crate::log::slot_name;
use crate::record::{HEAD_BYTES, Kind as Records};
use crate::spool::Survey;
use crate::spool::survey::Sight;
use std::ops::Range;

/// A record on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    file: String,
    octets: Range<usize>,
    kind: Records,
    id: MessageId,
    turn: u32,
}

/// Two segments with records of all kinds, and a body in a file of its own.
struct Small {
    disk: MemoryDisk,
    marks: Vec<Mark>,
    /// Everything that was ever accepted, with everything that was said about it.
    ever: Promises,
    /// The file of the large body.
    body: String,
}

fn small() -> Small {
    let mut bench = Bench::new();
    let ids = [90, 300, 9000].map(|size| bench.stage(size).expect("room"));
    assert!(bench.flush().is_none());
    bench.attempt(ids[0], 0, Ending::Delivered);
    bench.attempt(ids[0], 1, Ending::Deferred);
    bench.say(ids[2], Fact::Held);
    assert!(bench.flush().is_none());
    bench.say(ids[2], Fact::Released);
    bench.finish(ids[1]);
    assert!(bench.flush().is_none());
    // A second start, whose segment says where the first one ends.
    let (spool, _) = Spool::open(bench.disk.clone(), settings()).expect("opens");
    bench.spool = spool;
    for size in [50, 70] {
        bench.stage(size).expect("room");
    }
    bench.attempt(ids[0], 2, Ending::Failed);
    assert!(bench.flush().is_none());
    bench.stage(80).expect("room");
    assert!(bench.flush().is_none());
    let marks = marks(&bench.disk);
    let kinds: BTreeSet<Records> = marks.iter().map(|mark| mark.kind).collect();
    assert_eq!(kinds.len(), 6, "{kinds:?}");
    Small { disk: bench.disk, marks, ever: bench.expected, body: file_name(ids[2]) }
}

/// Every record that can be read.
fn marks(disk: &MemoryDisk) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut file = String::new();
    let survey = Survey::new(disk, |sight| match sight {
        Sight::Segment { file: name, .. } => name.clone_into(&mut file),
        Sight::Record { head, offset, .. } => {
            let begin = usize::try_from(offset).expect("a small file");
            // What aligns the next record says nothing.
            let length = HEAD_BYTES + u64::from(head.meta_bytes) + u64::from(head.body_bytes);
            let end = begin + usize::try_from(length).expect("a small record");
            let (kind, id, turn) = (head.kind, head.id, head.turn);
            marks.push(Mark { file: file.clone(), octets: begin..end, kind, id, turn });
        }
    });
    survey.expect("reads");
    marks
}

impl Small {
    /// Compares a disk on which only these records are left with what they say.
    fn compare(&self, disk: &MemoryDisk, left: &[Mark], what: &str) -> Recovery {
        assert_eq!(marks(disk), left, "{what}: the records that can be read");
        let (spool, recovery) = Spool::open(disk.clone(), settings()).expect("opens");
        let says = |kind, id| left.iter().any(|mark| mark.kind == kind && mark.id == id);
        let alive: Vec<_> = self
            .ever
            .keys()
            .filter(|id| says(Records::Message, **id) && !says(Records::Finished, **id))
            .filter(|id| file_name(**id) != self.body || disk.content(&self.body).is_some())
            .copied()
            .collect();
        let found: Vec<_> = recovery.messages.iter().map(|queued| queued.id).collect();
        assert_eq!(found, alive, "{what}");
        for queued in &recovery.messages {
            let expected = &self.ever[&queued.id];
            let said = |at| left.iter().any(|mark| mark.id == queued.id && mark.turn as usize == at + 1);
            assert_eq!((whole(&spool, queued), queued.retry_at), expected.after(said), "{what}");
            if let Ok(octets) = read(&spool, &queued.location) {
                assert_eq!(octets, *expected.body, "{what}");
            } else {
                assert_ne!(disk.content(&self.body).as_deref(), Some(&*expected.body), "{what}");
            }
        }
        recovery
    }

    /// Where the last batch of the last segment begins: what stands there may have been torn.
    fn unsettled(&self) -> usize {
        self.marks.iter().filter(|mark| mark.file == slot_name(2)).map(|mark| mark.octets.start & !4095).max().unwrap()
    }
}

/// Where a file says something, and some other places.
fn places(content: &[u8]) -> Vec<usize> {
    let near = |at: usize| content[at.saturating_sub(8)..(at + 8).min(content.len())].iter().any(|octet| *octet != 0);
    (0..content.len()).filter(|at| super::walk::is_long() || near(*at) || at.is_multiple_of(61)).collect()
}

#[test]
fn a_changed_octet_costs_its_record_and_is_reported() {
    let small = small();
    let masks: &[u8] = if super::walk::is_long() { &[1, 2, 4, 8, 16, 32, 64, 128] } else { &[0x01, 0x80] };
    let mut states = 0;
    for name in [slot_name(1), slot_name(2)] {
        let content = small.disk.content(&name).expect("a segment");
        for at in places(&content) {
            for mask in masks {
                let disk = small.disk.fork();
                disk.flip(&name, at, *mask);
                let hit = |mark: &Mark| mark.file == name && mark.octets.contains(&at);
                let left: Vec<Mark> = small.marks.iter().filter(|mark| !hit(mark)).cloned().collect();
                let what = format!("{name}, octet {at}, mask {mask:02x}");
                let recovery = small.compare(&disk, &left, &what);
                let header = at < 44 || (4096..4096 + 44).contains(&at);
                let torn = name == slot_name(2) && at >= small.unsettled();
                let lost = left.len() < small.marks.len();
                assert!(!(header || lost && !torn) || !recovery.damages.is_empty(), "{what}: not reported");
                assert!(recovery.damages.len() <= 2, "{what}: {:?}", recovery.damages);
                states += 1;
            }
        }
    }
    println!("{states} changed octets");
    assert!(states > 8_000);
}

#[test]
fn a_changed_octet_of_a_large_body_is_never_handed_out() {
    let small = small();
    let length = small.disk.content(&small.body).expect("the file").len();
    for at in (0..length).step_by(if super::walk::is_long() { 1 } else { 17 }) {
        let disk = small.disk.fork();
        disk.flip(&small.body, at, 1 << (at % 8));
        small.compare(&disk, &small.marks, &format!("octet {at} of the body"));
    }
}

#[test]
fn a_segment_that_is_cut_off_costs_what_is_behind() {
    let small = small();
    let mut states = 0;
    for name in [slot_name(1), slot_name(2)] {
        let content = small.disk.content(&name).expect("a segment");
        for length in (0..content.len())
            .filter(|at| super::walk::is_long() || (*at < 20_000 && at % 4096 < 500) || at.is_multiple_of(997))
        {
            let disk = small.disk.fork();
            disk.truncate(&name, length);
            let cut = |mark: &Mark| mark.file == name && mark.octets.end.next_multiple_of(8) > length;
            let headless = |mark: &Mark| mark.file == name && length < 44;
            let left: Vec<Mark> = small.marks.iter().filter(|m| !cut(m) && !headless(m)).cloned().collect();
            let what = format!("{name}, {length} octets long");
            let recovery = small.compare(&disk, &left, &what);
            // Nothing but zeros is how a file begins that was never used.
            assert!(length == 0 || !recovery.damages.is_empty(), "{what}: not reported");
            states += 1;
        }
    }
    println!("{states} lengths");
}

#[test]
fn a_large_body_that_is_cut_off_is_reported_and_never_handed_out() {
    let small = small();
    let length = small.disk.content(&small.body).expect("the file").len();
    for length in (0..length).step_by(if super::walk::is_long() { 1 } else { 31 }) {
        let disk = small.disk.fork();
        disk.truncate(&small.body, length);
        let (_, recovery) = Spool::open(disk, settings()).expect("opens");
        let [damage] = &recovery.damages[..] else { panic!("{length}: {:?}", recovery.damages) };
        assert_eq!((damage.what, &damage.file), (crate::spool::Flaw::BodyFile, &small.body));
    }
}

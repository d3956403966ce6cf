//! Octets that change on the disk.

use super::*;
use crate::log::slot_name;
use crate::spool::Flaw;

/// A small spool over two segments: messages, attempts, a finished one, a large body.
fn small() -> (Bench, BTreeMap<MessageId, Expected>) {
    let mut bench = Bench::new();
    for size in [90, 300, 9000] {
        bench.stage(size).unwrap();
        assert!(bench.flush().is_none());
    }
    let promised = bench.ids_in(Standing::Promised);
    bench.attempt(promised[0], 0, Ending::Delivered);
    bench.finish(promised[1]);
    assert!(bench.flush().is_none());
    let mut ever = bench.expected.clone();
    let disk = bench.disk.clone();
    bench.reopen(disk);
    bench.stage(50).unwrap();
    bench.stage(70).unwrap();
    assert!(bench.flush().is_none());
    bench.stage(80).unwrap();
    assert!(bench.flush().is_none());
    ever.extend(bench.expected.clone());
    (bench, ever)
}

/// Where a file says something; the zeros and the padding around it are left out.
fn places(content: &[u8]) -> Vec<usize> {
    (0..content.len())
        .filter(|at| content[at.saturating_sub(8)..(at + 8).min(content.len())].iter().any(|o| *o != 0))
        .collect()
}

#[test]
fn any_octet_may_change_and_no_wrong_message_comes_out() {
    // A finished message may come back when the record that says so rots: twice is better than never.
    let (bench, ever) = small();
    let promised = bench.ids_in(Standing::Promised);
    for slot in [1, 2] {
        let name = slot_name(slot);
        let Some(content) = bench.disk.content(&name) else { continue };
        for at in places(&content) {
            let disk = bench.disk.snapshot();
            disk.flip(&name, at, if at % 2 == 0 { 0x01 } else { 0x80 });
            let (spool, recovery) = Spool::open(disk, settings()).expect("opens");
            let mut lost = promised.len();
            for queued in &recovery.messages {
                let Some(expected) = ever.get(&queued.id) else {
                    panic!("{name} {at}: {} was never staged", queued.id)
                };
                let envelope = whole(&spool, queued);
                let mut like = expected.envelope.clone();
                like.recipients.clone_from(&envelope.recipients);
                assert_eq!(like, envelope, "{name} {at}");
                if let Ok(octets) = read(&spool, &queued.location) {
                    assert_eq!(*octets, *expected.body, "{name} {at}");
                    lost -= usize::from(promised.contains(&queued.id));
                }
            }
            assert!(lost <= 1, "{name} {at}: one octet costs one message at most, not {lost}");
        }
    }
}

#[test]
fn a_record_in_the_middle_that_rots_is_reported_and_costs_itself_only() {
    let (mut bench, _) = small();
    let promised = bench.ids_in(Standing::Promised);
    let name = slot_name(1);
    let content = bench.disk.content(&name).unwrap();
    // The trace field of the first message names it.
    let mark = format!("by mx.test id {}", promised[0]).into_bytes();
    let at = content.windows(mark.len()).position(|window| window == mark).expect("the record is there");
    bench.disk.flip(&name, at, 0x20);
    let disk = bench.disk.clone();
    let (_, recovery) = Spool::open(disk, settings()).expect("opens");
    let [damage] = &recovery.damages[..] else { panic!("{:?}", recovery.damages) };
    assert_eq!((damage.what, damage.message, damage.file.as_str()), (Flaw::Record, Some(promised[0]), name.as_str()));
    assert_eq!(recovery.messages.len(), promised.len() - 1);
    // The segment is put aside when nothing in it is needed any more.
    bench.expected.remove(&promised[0]);
    let disk = bench.disk.clone();
    let (spool, recovery) = Spool::open(disk, settings()).expect("opens");
    bench.spool = spool;
    assert_eq!(recovery.damages.len(), 1, "reported until it is put aside");
    bench.settle().expect("housekeeping");
    assert!(bench.disk.content(&name).is_none(), "put aside");
    bench.read_all();
    let disk = bench.disk.clone();
    let recovery = bench.reopen(disk);
    assert!(recovery.damages.is_empty());
    assert_eq!(recovery.kept.len(), 1);
}

#[test]
fn a_missing_or_cut_body_file_is_reported() {
    let (bench, _) = small();
    let large = *bench.expected.iter().find(|(_, e)| e.body.len() == 9000).expect("a large one").0;
    use crate::disk::Disk;
    let disk = bench.disk.snapshot();
    disk.remove(&crate::body::file_name(large)).unwrap();
    let (_, recovery) = Spool::open(disk, settings()).expect("opens");
    assert_eq!(recovery.damages.len(), 1);
    assert_eq!((recovery.damages[0].what, recovery.damages[0].message), (Flaw::BodyFile, Some(large)));
    let disk = bench.disk.snapshot();
    disk.flip(&crate::body::file_name(large), 4000, 1);
    let (spool, recovery) = Spool::open(disk, settings()).expect("opens");
    let queued = recovery.messages.iter().find(|queued| queued.id == large).expect("it is listed");
    assert!(read(&spool, &queued.location).is_err(), "and not handed out");
}

#[test]
fn a_segment_without_a_header_is_put_aside_and_identifiers_do_not_come_again() {
    let (mut bench, _) = small();
    let newest = slot_name(2);
    for at in [0, 4096] {
        bench.disk.flip(&newest, at, 0xFF);
    }
    let disk = bench.disk.clone();
    let (spool, recovery) = Spool::open(disk, settings()).expect("opens");
    assert!(recovery.damages.iter().any(|damage| damage.what == Flaw::Header));
    bench.spool = spool;
    bench.next_id();
    assert!(bench.disk.content(&newest).is_none(), "put aside");
}

#[test]
fn a_body_cannot_forge_a_record() {
    use crate::record::{Head, Kind as Records};
    let mut bench = Bench::new();
    let victim = bench.stage(100).unwrap();
    assert!(bench.flush().is_none());
    // Everything a stranger can know, but not the salt.
    let meta = super::super::codec::write_finished(&[1]);
    let head = Head {
        kind: Records::Finished,
        segment: 1,
        id: victim,
        batch: 2,
        turn: 1,
        meta_bytes: 12,
        meta_checksum: crc32c::crc32c(&meta),
        body_bytes: 0,
        body_checksum: 0,
    };
    let mut octets = Vec::new();
    for shift in 0..8 {
        octets.extend(std::iter::repeat_n(b'x', shift));
        octets.extend(head.encode(0));
        octets.extend(&meta);
        octets.resize(octets.len().next_multiple_of(8), b'x');
    }
    let id = bench.next_id();
    bench.spool.stage_message(&envelope(id), &body(&octets)).unwrap();
    assert_eq!(bench.spool.flush().receipts.len(), 1);
    // The head of the forger's own message rots, so that the walk looks inside.
    let content = bench.disk.content(&slot_name(1)).unwrap();
    let at = content.chunks(4096).skip(3).position(|block| block.starts_with(b"BHr1")).expect("a batch");
    bench.disk.flip(&slot_name(1), (at + 3) * 4096, 1);
    let (_, recovery) = Spool::open(bench.disk.clone(), settings()).expect("opens");
    assert!(recovery.messages.iter().any(|queued| queued.id == victim), "{recovery:?}");
}

#[test]
fn a_segment_that_cannot_be_read_stays_for_the_next_start() {
    use crate::disk::memory::{Call, Fault};
    let (mut bench, _) = small();
    let promised = bench.ids_in(Standing::Promised).len();
    let mut found = Vec::new();
    for look in 0..14 {
        bench.disk.fail_call(Call::Look, look, Fault::Once(std::io::ErrorKind::Other));
        let Ok((mut spool, recovery)) = Spool::open(bench.disk.clone(), settings()) else { continue };
        bench.disk.heal();
        found.push(recovery.messages.len());
        assert!(recovery.messages.len() <= promised + 1);
        for _ in 0..20 {
            spool.maintain().expect("housekeeping");
            assert!(spool.flush().error.is_none());
        }
        assert!(recovery.kept.is_empty());
    }
    assert!(found.iter().any(|count| *count < promised), "something could not be read: {found:?}");
    let (spool, recovery) = Spool::open(bench.disk.clone(), settings()).expect("opens");
    bench.spool = spool;
    let there: BTreeSet<_> = recovery.messages.iter().map(|queued| queued.id).collect();
    bench.ids_in(Standing::Promised).iter().for_each(|id| assert!(there.contains(id), "{id} is lost"));
    bench.read_all();
}

#[test]
fn an_envelope_that_rots_is_not_handed_out_and_its_body_still_is() {
    let mut bench = Bench::new();
    let id = bench.stage(3000).unwrap();
    assert!(bench.flush().is_none());
    let mark = format!("by mx.test id {id}").into_bytes();
    let content = bench.disk.content(&slot_name(1)).unwrap();
    let at = content.windows(mark.len()).position(|window| window == mark).expect("the record is there");
    bench.disk.flip(&slot_name(1), at, 1);
    let location = bench.spool.location(id).unwrap();
    assert!(matches!(bench.spool.reader().envelope(&location), Err(ReadError::Damaged)));
    assert_eq!(read(&bench.spool, &location), Ok(bench.expected[&id].body.to_vec()));
}

#[test]
fn a_record_that_rots_while_the_spool_is_open_is_not_copied() {
    use crate::disk::memory::{Call, Fault};
    let mut bench = Bench::new();
    let rotten = bench.stage(3000).unwrap();
    let good = bench.stage(3000).unwrap();
    assert!(bench.flush().is_none());
    let mark = format!("by mx.test id {rotten}").into_bytes();
    let content = bench.disk.content(&slot_name(1)).unwrap();
    let at = content.windows(mark.len()).position(|window| window == mark).expect("the record is there");
    bench.disk.flip(&slot_name(1), at + 1000, 1);
    // A failed write makes the spool leave the segment and empty it.
    bench.disk.fail_call(Call::Write, 0, Fault::Once(std::io::ErrorKind::Other));
    bench.stage(10).unwrap();
    assert!(bench.flush().is_some());
    bench.settle().unwrap();
    assert!(bench.spool.status().copied_bytes > 0);
    let location = bench.spool.location(rotten).unwrap();
    assert!(read(&bench.spool, &location).is_err());
    let location = bench.spool.location(good).unwrap();
    assert_eq!(read(&bench.spool, &location), Ok(bench.expected[&good].body.to_vec()));
    bench.finish(rotten);
    assert!(bench.flush().is_none());
    bench.settle().unwrap();
    assert!(bench.disk.content(&format!("kept-{}-1", slot_name(1))).is_some(), "put aside");
}

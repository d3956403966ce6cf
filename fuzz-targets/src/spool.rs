//! A whole spool directory made of octets: records that agree with their checksums and records that
//! do not, in segments whose heads say anything. It opens without a panic, gives out no body that is
//! not what its record promised, finds the same when it is opened again, and goes on taking mail.

mod directory;
mod sealed;

pub(crate) use directory::Directory;
pub(crate) use sealed::{Record, first_meaning, seal};

use crate::input::{Input, has_control};
use queue::disk::memory::MemoryDisk;
use queue::spool::{Error, Recovery, Settings, Spool};
use queue::{Draft, MessageId};
use std::collections::BTreeMap;

/// Octets of a segment: the least there may be.
pub(crate) const SEGMENT_BYTES: usize = 64 << 10;
/// Steps of housekeeping that the few segments of one input can need.
const STEPS: usize = 200;

pub(crate) fn settings() -> Settings {
    Settings {
        segment_bytes: SEGMENT_BYTES as u64,
        body_file_over_bytes: 4096,
        reserve_bytes: 0,
        spare_segments: 1,
        salt: 7,
    }
}

pub(crate) fn run(octets: &[u8]) {
    let directory = Directory::build(Input(octets));
    let first = match Spool::open(directory.disk.snapshot(), settings()) {
        Err(Error::Version(version)) => return assert!(!(1..=2).contains(&version)),
        Err(error) => panic!("{error}"),
        Ok((spool, recovery)) => bodies(&spool, &recovery, Some(&directory)),
    };
    // A start changes nothing that the next start would see otherwise.
    let disk = directory.disk.snapshot();
    drop(Spool::open(disk.clone(), settings()).unwrap());
    let (mut spool, recovery) = Spool::open(disk.clone(), settings()).unwrap();
    assert_eq!(bodies(&spool, &recovery, None), first);
    let id = take_one(&mut spool, &recovery);
    for _ in 0..STEPS {
        if !spool.maintain().unwrap() {
            break;
        }
        assert!(spool.flush().error.is_none());
    }
    drop(spool);
    let (spool, recovery) = Spool::open(disk, settings()).unwrap();
    let mut last = bodies(&spool, &recovery, None);
    assert_eq!(last.remove(&id.0), Some(Some(BODY.to_vec())), "what had a receipt is there");
    // What is said about a message in two ways may end either way; what nobody spoke about stays.
    assert!(directory.speaks || last == first, "the same messages after all housekeeping");
}

const BODY: &[u8] = b"Subject: new\r\n\r\ntext\r\n";

/// The body of each message; `None` where it cannot be read.
type Bodies = BTreeMap<u64, Option<Vec<u8>>>;

fn bodies(spool: &Spool<MemoryDisk>, recovery: &Recovery, built: Option<&Directory>) -> Bodies {
    let reader = spool.reader();
    let mut bodies = Bodies::new();
    for queued in &recovery.messages {
        let (id, location) = (queued.id, &queued.location);
        let read = reader.body(location).ok().map(|chunks| chunks.concat());
        if let Some(body) = &read {
            assert_eq!((body.len() as u64, crc32c::crc32c(body)), (location.size_bytes(), location.checksum()));
            if let Some(directory) = built {
                let written =
                    location.is_file() || directory.bodies.iter().any(|(of, text)| *of == id.0 && text == body);
                assert!(written, "{id}: {body:?} was never written for it");
            }
        }
        assert!(bodies.insert(id.0, read).is_none(), "each message once");
    }
    bodies
}

fn take_one(spool: &mut Spool<MemoryDisk>, recovery: &Recovery) -> MessageId {
    let id = spool.ids().next();
    assert!(recovery.messages.iter().all(|queued| queued.id != id), "an identifier is given out once");
    let mut draft = Draft::new();
    draft.push(BODY);
    spool.stage_message(&sealed::envelope(id), &draft.finish()).unwrap();
    let flush = spool.flush();
    assert!(flush.error.is_none() && flush.receipts.len() == 1);
    id
}

/// The same directories, shown and verified.
pub(crate) fn dump(octets: &[u8]) {
    let directory = Directory::build(Input(octets));
    let mut lines = 0;
    let dumped = queue::dump::dump(&directory.disk, |line| {
        assert!(!has_control(line), "{line:?}");
        lines += 1;
    });
    let Ok(summary) = dumped else { return };
    assert!(lines > summary.messages.len());
    let verified = queue::dump::verify(&directory.disk).unwrap();
    assert_eq!(verified.messages, summary.messages);
    assert!(verified.damages.len() >= summary.damages.len());
}

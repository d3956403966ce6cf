//! The meaning of a message record: any octets are an envelope or none, and what was read is written
//! as something that is read as the same.

use crate::spool::{Record, SEGMENT_BYTES, seal, settings};
use queue::disk::memory::MemoryDisk;
use queue::disk::{Disk, DiskFile};
use queue::spool::{Queued, Spool};
use queue::{Draft, Envelope, MessageId};
use std::io::IoSlice;

const SALT: u64 = 42;
const ID: MessageId = MessageId(3 << 32 | 1);

pub(crate) fn run(octets: &[u8]) {
    let disk = disk_with(&octets[..octets.len().min(SEGMENT_BYTES / 4)]);
    let (mut spool, recovery) = Spool::open(disk.clone(), settings()).unwrap();
    let Some(queued) = recovery.messages.first() else { return };
    assert!(queued.id == ID && recovery.messages.len() == 1);
    let read = whole(&spool, queued);
    let written = Envelope { id: spool.ids().next(), ..read.clone() };
    spool.stage_message(&written, &Draft::new().finish()).unwrap();
    let flush = spool.flush();
    assert!(flush.error.is_none() && flush.receipts.len() == 1, "{:?}", flush.error);
    drop(spool);
    let (spool, recovery) = Spool::open(disk, settings()).unwrap();
    let found: Vec<Envelope> = recovery.messages.iter().map(|queued| whole(&spool, queued)).collect();
    assert_eq!(found, [read, written]);
}

/// The envelope as it was written; what is kept in memory of it agrees.
fn whole(spool: &Spool<MemoryDisk>, queued: &Queued) -> Envelope {
    let envelope = spool.reader().envelope(&queued.location).unwrap();
    let completed = queued.brief.complete(envelope.clone());
    assert_eq!(completed, envelope);
    envelope
}

/// A directory with one record of this meaning.
fn disk_with(meaning: &[u8]) -> MemoryDisk {
    let mut segment = vec![0; SEGMENT_BYTES];
    seal(&mut segment, 1, 3, SALT);
    let record = Record { kind: 1, segment: 1, id: ID.0, batch: 2, meaning, ..Record::default() }.octets(SALT);
    segment[8192..8192 + record.len()].copy_from_slice(&record);
    let disk = MemoryDisk::new();
    disk.create("segment-000001").unwrap().write_at(0, &[IoSlice::new(&segment)]).unwrap();
    disk
}

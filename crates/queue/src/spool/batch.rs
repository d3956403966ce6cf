//! What is staged, and how it becomes one write.

use crate::log::Segment;
use crate::record::{BLOCK, BLOCK_BYTES, Head, Kind, record_bytes};
use crate::{disk::DiskFile, envelope::MessageId};
use bytes::Bytes;
use std::io::{self, IoSlice};
use std::ops::Range;

static ZEROS: [u8; 8] = [0; 8];

/// A record that waits for the next flush.
pub(crate) struct Staged {
    pub(crate) kind: Kind,
    pub(crate) id: MessageId,
    pub(crate) turn: u32,
    pub(crate) meta: Vec<u8>,
    pub(crate) body: Vec<Bytes>,
    pub(crate) body_bytes: u32,
    pub(crate) body_checksum: u32,
    /// The segment it is copied from; `None` for what is new.
    pub(crate) from: Option<u64>,
    /// The segments that must be gone before the record is needed no longer.
    pub(crate) speaks_of: Vec<u64>,
    /// Length and checksum of a body in a file of its own.
    pub(crate) file: Option<(u64, u32)>,
}

impl Staged {
    /// A record without a body.
    pub(crate) fn fact(kind: Kind, id: MessageId, turn: u32, meta: Vec<u8>) -> Staged {
        let (body, speaks_of) = (Vec::new(), Vec::new());
        Staged { kind, id, turn, meta, body, body_bytes: 0, body_checksum: 0, from: None, speaks_of, file: None }
    }

    /// Whether somebody waits for a receipt.
    pub(crate) fn is_new_message(&self) -> bool {
        self.kind == Kind::Message && self.from.is_none()
    }

    pub(crate) fn record_bytes(&self) -> u64 {
        record_bytes(self.meta.len() as u64, u64::from(self.body_bytes))
    }

    fn head(&self, segment: u64, batch: u32) -> Head {
        Head {
            kind: self.kind,
            segment,
            id: self.id,
            batch,
            turn: self.turn,
            meta_bytes: u32::try_from(self.meta.len()).expect("invariant: checked against the segment when staged"),
            meta_checksum: crc32c::crc32c(&self.meta),
            body_bytes: self.body_bytes,
            body_checksum: self.body_checksum,
        }
    }
}

/// Everything that is staged, in order; it knows without counting for whom.
#[derive(Default)]
pub(crate) struct Stage {
    records: Vec<Staged>,
    messages: usize,
    copies: usize,
}

impl Stage {
    pub(crate) fn push(&mut self, record: Staged) {
        self.count(&record);
        self.records.push(record);
    }

    pub(crate) fn push_front(&mut self, record: Staged) {
        self.count(&record);
        self.records.insert(0, record);
    }

    fn count(&mut self, record: &Staged) {
        self.messages += usize::from(record.is_new_message());
        self.copies += usize::from(record.from.is_some());
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether somebody waits for a receipt.
    pub(crate) fn has_messages(&self) -> bool {
        self.messages > 0
    }

    /// Whether something is being copied out of an old segment.
    pub(crate) fn has_copies(&self) -> bool {
        self.copies > 0
    }

    /// Whether the first record is of this kind.
    pub(crate) fn begins_with(&self, kind: Kind) -> bool {
        self.records.first().is_some_and(|record| record.kind == kind)
    }

    /// The first records.
    pub(crate) fn front(&self, count: usize) -> &[Staged] {
        &self.records[..count]
    }

    /// Takes the first records away.
    pub(crate) fn take(&mut self, count: usize) -> Vec<Staged> {
        let rest = self.records.split_off(count);
        let taken = std::mem::take(self).records;
        rest.into_iter().for_each(|record| self.push(record));
        taken
    }

    /// Takes away the records that are not wanted.
    pub(crate) fn remove(&mut self, unwanted: impl Fn(&Staged) -> bool) -> Vec<Staged> {
        let (removed, kept): (Vec<_>, Vec<_>) = std::mem::take(self).records.into_iter().partition(unwanted);
        kept.into_iter().for_each(|record| self.push(record));
        removed
    }

    /// How many of the records fit into so much room, from the front.
    pub(crate) fn fitting(&self, room: u64) -> usize {
        let mut used = 0;
        let fits = |record: &&Staged| {
            used += record.record_bytes();
            used <= room
        };
        self.records.iter().take_while(fits).count()
    }
}

/// Writes the records behind one another, pads to the block, and flushes. Returns where the next
/// batch goes.
pub(crate) fn write<F: DiskFile>(staged: &[Staged], number: u64, segment: &Segment<F>) -> io::Result<u64> {
    let (heads, pieces) = layout(staged, number, segment);
    let parts: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece.octets(&heads))).collect();
    let length: u64 = parts.iter().map(|part| part.len() as u64).sum();
    assert!(length.is_multiple_of(BLOCK_BYTES), "a batch is whole blocks");
    assert!(segment.position + length <= segment.length, "a batch lies within its segment");
    segment.file.write_at(segment.position, &parts)?;
    segment.file.sync_data()?;
    Ok(segment.position + length)
}

/// A part of a batch: of what was encoded for it, or of a body, which is written from where it is.
enum Piece<'a> {
    Encoded(Range<usize>),
    Body(&'a [u8]),
}

impl Piece<'_> {
    fn octets<'a>(&'a self, encoded: &'a [u8]) -> &'a [u8] {
        match self {
            Piece::Encoded(range) => &encoded[range.clone()],
            Piece::Body(octets) => octets,
        }
    }
}

fn layout<'a, F>(staged: &'a [Staged], number: u64, segment: &Segment<F>) -> (Vec<u8>, Vec<Piece<'a>>) {
    let batch = u32::try_from(segment.position / BLOCK_BYTES).expect("invariant: a segment has fewer blocks");
    let mut encoded = Vec::with_capacity(BLOCK);
    let mut pieces = Vec::new();
    let mut begun = 0;
    let mut total = 0;
    for record in staged {
        encoded.extend_from_slice(&record.head(number, batch).encode(segment.salt));
        encoded.extend_from_slice(&record.meta);
        if !record.body.is_empty() {
            pieces.push(Piece::Encoded(begun..encoded.len()));
            pieces.extend(record.body.iter().map(|chunk| Piece::Body(chunk)));
            begun = encoded.len();
        }
        total += record.record_bytes();
        let bare = crate::record::HEAD_BYTES + record.meta.len() as u64 + u64::from(record.body_bytes);
        let alignment = usize::try_from(record.record_bytes() - bare).expect("invariant: less than eight");
        encoded.extend_from_slice(&ZEROS[..alignment]);
    }
    let padding = total.next_multiple_of(BLOCK_BYTES) - total;
    encoded.resize(encoded.len() + usize::try_from(padding).expect("invariant: less than a block"), 0);
    pieces.push(Piece::Encoded(begun..encoded.len()));
    (encoded, pieces)
}

//! The frame of a record: what stands in front of every fact in the log.
//!
//! A record is a head of 56 octets, its meaning (see [`crate::spool`]'s codec) and, for a message,
//! the body. The head says in which segment the record was written, so that octets of the segment's
//! earlier lives are never taken for records, and is checksummed together with the segment's salt,
//! so that nobody who does not know the salt can write one. Numbers are little-endian.

use crate::envelope::MessageId;

/// Octets of a head.
pub(crate) const HEAD_BYTES: u64 = HEAD as u64;
const HEAD: usize = 56;
/// Batches begin and end at multiples of this, so that writing one never touches an older one.
pub(crate) const BLOCK_BYTES: u64 = BLOCK as u64;
/// The same, for what is in memory.
pub(crate) const BLOCK: usize = 4096;
/// Records begin at multiples of this.
const ALIGNMENT: u64 = 8;
/// What a head begins with.
pub(crate) const MAGIC: [u8; 4] = *b"BHr1";

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A message: envelope and body.
    Message,
    /// What came of an attempt.
    Attempt,
    /// An administrator holds the message back.
    Held,
    /// An administrator has released it.
    Released,
    /// Nothing is left to do for the message.
    Finished,
    /// Up to where another segment is to be believed.
    Closed,
}

impl Kind {
    const ALL: [Kind; 6] = [Kind::Message, Kind::Attempt, Kind::Held, Kind::Released, Kind::Finished, Kind::Closed];

    /// The octet it is written as.
    fn code(self) -> u8 {
        match self {
            Kind::Message => 1,
            Kind::Attempt => 2,
            Kind::Held => 3,
            Kind::Released => 4,
            Kind::Finished => 5,
            Kind::Closed => 6,
        }
    }

    /// The word it is shown as.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Message => "message",
            Kind::Attempt => "attempt",
            Kind::Held => "held",
            Kind::Released => "released",
            Kind::Finished => "finished",
            Kind::Closed => "closed",
        }
    }
}

/// The head of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    /// The number of the segment it was written in.
    pub(crate) segment: u64,
    /// The message; zero for [`Kind::Closed`].
    pub(crate) id: MessageId,
    /// The block at which the batch begins that it was written with.
    pub(crate) batch: u32,
    /// Its place among the facts about the message: a copy of a record has the same one.
    pub(crate) turn: u32,
    pub(crate) meta_bytes: u32,
    pub(crate) meta_checksum: u32,
    pub(crate) body_bytes: u32,
    pub(crate) body_checksum: u32,
}

impl Head {
    /// Octets of the whole record, with what aligns the next one.
    pub(crate) fn record_bytes(&self) -> u64 {
        record_bytes(u64::from(self.meta_bytes), u64::from(self.body_bytes))
    }

    pub(crate) fn encode(&self, salt: u64) -> [u8; HEAD] {
        let mut to = [0; HEAD];
        to[0..4].copy_from_slice(&MAGIC);
        to[4] = self.kind.code();
        to[8..16].copy_from_slice(&self.segment.to_le_bytes());
        to[16..24].copy_from_slice(&self.id.0.to_le_bytes());
        to[24..28].copy_from_slice(&self.batch.to_le_bytes());
        to[28..32].copy_from_slice(&self.turn.to_le_bytes());
        to[32..36].copy_from_slice(&self.meta_bytes.to_le_bytes());
        to[36..40].copy_from_slice(&self.meta_checksum.to_le_bytes());
        to[40..44].copy_from_slice(&self.body_bytes.to_le_bytes());
        to[44..48].copy_from_slice(&self.body_checksum.to_le_bytes());
        let checksum = checksum(salt, &to[..52]);
        to[52..56].copy_from_slice(&checksum.to_le_bytes());
        to
    }

    /// The head at the beginning of `from`, if one is there that was written with this salt.
    pub(crate) fn decode(from: &[u8], salt: u64) -> Option<Head> {
        let from = from.get(..HEAD)?;
        if from[..4] != MAGIC || checksum(salt, &from[..52]) != u32_at(from, 52) {
            return None;
        }
        let kind = Kind::ALL.into_iter().find(|kind| kind.code() == from[4])?;
        Some(Head {
            kind,
            segment: u64_at(from, 8),
            id: MessageId(u64_at(from, 16)),
            batch: u32_at(from, 24),
            turn: u32_at(from, 28),
            meta_bytes: u32_at(from, 32),
            meta_checksum: u32_at(from, 36),
            body_bytes: u32_at(from, 40),
            body_checksum: u32_at(from, 44),
        })
    }
}

/// Octets of a record with so much meaning and body.
pub(crate) fn record_bytes(meta: u64, body: u64) -> u64 {
    (HEAD_BYTES + meta + body).next_multiple_of(ALIGNMENT)
}

fn checksum(salt: u64, octets: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), octets)
}

/// The number at a place; the caller has checked that it is there.
pub(crate) fn u32_at(from: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(from[at..at + 4].try_into().expect("invariant: four octets were taken"))
}

/// The number at a place; the caller has checked that it is there.
pub(crate) fn u64_at(from: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(from[at..at + 8].try_into().expect("invariant: eight octets were taken"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head() -> Head {
        Head {
            kind: Kind::Attempt,
            segment: 7,
            id: MessageId(1 << 32 | 9),
            batch: 3,
            turn: 2,
            meta_bytes: 100,
            meta_checksum: 0xDEAD_BEEF,
            body_bytes: 5,
            body_checksum: 1,
        }
    }

    #[test]
    fn a_head_reads_back_and_no_changed_one_does() {
        let octets = head().encode(42);
        assert_eq!(Head::decode(&octets, 42), Some(head()));
        assert_eq!(Head::decode(&octets, 43), None, "a head of a stranger");
        for at in 0..octets.len() {
            for bit in 0..8 {
                let mut changed = octets;
                changed[at] ^= 1 << bit;
                assert_eq!(Head::decode(&changed, 42), None, "octet {at}, bit {bit}");
            }
        }
        assert_eq!(head().record_bytes(), 168);
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Head::decode(&octets, 0);
        }
    }
}

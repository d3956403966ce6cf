//! The spool: every promise we have made, durable before it was made.
//!
//! Facts are staged and then made durable together: one write, one flush of the disk, a [`Receipt`]
//! for each message. A write that fails is never tried again in the same place; the spool refuses
//! mail until it goes on in a fresh segment, and no fact is lost by that. The format and the crash
//! argument are in `docs/spool.md`.

mod batch;
pub(crate) mod codec;
mod compact;
mod flush;
mod found;
mod index;
mod open;
mod place;
mod reader;
mod scan;
mod settings;
mod story;
mod survey;
#[cfg(test)]
mod tests;

/// Those of the standard library here, those of loom where `place` is checked.
mod atomic {
    pub(super) use std::sync::atomic::{AtomicU64, Ordering, fence};
}

pub use flush::{Flush, Receipt};
pub use found::{Damage, Flaw, Queued, Recovery};
pub use reader::{BodyReader, Location, ReadError, Reader};
pub use settings::{Error, Settings};
pub(crate) use survey::{Alive, Sight, Survey};

use crate::body::{self, Bodies, Body, Kept};
use crate::disk::Disk;
use crate::envelope::{Envelope, MessageId, Outcome};
use crate::log::Log;
use crate::record::Kind;
use batch::{Stage, Staged};
use codec::Place;
use index::Index;
use mail::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The spool. It has one owner; everything that may be used beside it is a handle of its own:
/// [`Ids`], [`Reader`], [`Bodies`].
pub struct Spool<D: Disk> {
    disk: D,
    settings: Settings,
    log: Log<D>,
    index: Index,
    staged: Stage,
    ids: Ids,
    incarnation: u32,
    /// Body files of finished messages.
    doomed: Vec<MessageId>,
    cleaning: Option<compact::Cleaning<D::File>>,
    /// Segments that have been walked through to empty them.
    emptied: BTreeSet<u64>,
    written_bytes: u64,
    /// Housekeeping is due when so many octets have been written.
    maintain_at: u64,
    copied_bytes: u64,
}

/// How the spool is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Status {
    /// Messages that are ours.
    pub messages: usize,
    /// Octets of their records; bodies with files of their own not counted.
    pub message_bytes: u64,
    /// Segments on the disk, the empty ones too.
    pub segments: usize,
    /// Segments that are empty.
    pub free_segments: usize,
    /// Records staged.
    pub staged: usize,
    /// Octets written by flushes since the start.
    pub written_bytes: u64,
    /// How many of them were copies out of old segments.
    pub copied_bytes: u64,
}

/// Gives out message identifiers that never repeat, without a clock.
#[derive(Clone, Debug)]
pub struct Ids(Arc<AtomicU64>);

impl Ids {
    /// The next identifier.
    #[must_use]
    pub fn next(&self) -> MessageId {
        MessageId(self.0.fetch_add(1, Ordering::Relaxed))
    }

    /// The high half of the next identifier.
    fn incarnation(&self) -> u32 {
        u32::try_from(self.0.load(Ordering::Relaxed) >> 32).expect("invariant: the high half of 64 bits has 32")
    }
}

/// What came of an attempt to deliver a message, to be remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The message.
    pub id: MessageId,
    /// What has become of the recipients that were attempted.
    pub outcomes: Vec<Outcome>,
    /// When those that are still pending are due again; `None`: at once.
    pub retry_at: Option<Timestamp>,
    /// The sender has been told by now that the message is late.
    pub warned: bool,
}

impl<D: Disk> Spool<D> {
    /// The source of message identifiers.
    #[must_use]
    pub fn ids(&self) -> Ids {
        self.ids.clone()
    }

    /// Reads envelopes and bodies, beside the owner.
    #[must_use]
    pub fn reader(&self) -> Reader<D> {
        Reader::new(self.disk.clone())
    }

    /// Makes the files of large bodies, beside the owner.
    #[must_use]
    pub fn bodies(&self) -> Bodies<D> {
        Bodies::new(self.disk.clone(), self.settings.body_file_over_bytes)
    }

    /// Where a message that is ours can be read.
    #[must_use]
    pub fn location(&self, id: MessageId) -> Option<Location> {
        self.index.get(&id).map(|entry| entry.location.clone())
    }

    /// Buffers a message for the next flush; nothing is promised yet. The identifier must come from
    /// [`Spool::ids`] and be used once.
    ///
    /// # Errors
    /// [`Error::Broken`] and [`Error::TooLarge`]; the message is forgotten then, and its body file
    /// removed.
    pub fn stage_message(&mut self, envelope: &Envelope, body: &Body) -> Result<(), Error> {
        match self.message(envelope, body) {
            Ok(staged) => {
                self.staged.push(staged);
                Ok(())
            }
            Err(error) => {
                self.bodies().discard(body);
                Err(error)
            }
        }
    }

    fn message(&self, envelope: &Envelope, body: &Body) -> Result<Staged, Error> {
        if self.log.active.is_none() {
            return Err(Error::Broken);
        }
        assert!(!self.index.contains_key(&envelope.id), "an identifier is used once");
        let (place, chunks) = match &body.kept {
            Kept::Memory(chunks) => (Place::Inline, chunks.clone()),
            Kept::File(id) => {
                assert_eq!(*id, envelope.id, "a body file is made for the message that names it");
                (Place::File { size: body.size, checksum: body.checksum }, Vec::new())
            }
        };
        let mut staged = Staged::fact(Kind::Message, envelope.id, 0, codec::write_message(envelope, place));
        match place {
            Place::Inline => {
                staged.body_bytes = u32::try_from(body.size).map_err(|_| Error::TooLarge)?;
                staged.body_checksum = body.checksum;
                staged.body = chunks;
            }
            Place::File { size, checksum } => staged.file = Some((size, checksum)),
        }
        // A fresh segment must take it together with what is written first into every segment.
        if staged.record_bytes() > self.settings.segment_bytes / 2 {
            return Err(Error::TooLarge);
        }
        Ok(staged)
    }

    /// Buffers what came of an attempt. Unknown and finished messages are passed over.
    pub fn stage_attempt(&mut self, attempt: &Attempt) {
        self.stage_fact(Kind::Attempt, attempt.id, || codec::write_attempt(attempt));
    }

    /// Buffers that an administrator holds the message back.
    pub fn stage_held(&mut self, id: MessageId) {
        self.stage_fact(Kind::Held, id, Vec::new);
    }

    /// Buffers that an administrator has released the message.
    pub fn stage_released(&mut self, id: MessageId) {
        self.stage_fact(Kind::Released, id, Vec::new);
    }

    fn stage_fact(&mut self, kind: Kind, id: MessageId, meta: impl FnOnce() -> Vec<u8>) {
        let Some(entry) = self.index.get_mut(&id).filter(|entry| !entry.finishing) else { return };
        let meta = meta();
        let turn = entry.take_turn();
        self.staged.push(Staged::fact(kind, id, turn, meta));
    }

    /// Buffers that nothing is left to do for the message. A report about it must have a receipt of
    /// its own *before* this is staged: of what is staged together, a power cut may keep any part.
    pub fn stage_finished(&mut self, id: MessageId) {
        let Some(entry) = self.index.get_mut(&id).filter(|entry| !entry.finishing) else { return };
        entry.finishing = true;
        let homes = entry.homes(&self.log.segments);
        let turn = entry.take_turn();
        // A copy that has not been written yet is not needed, and must not appear in a segment that
        // the record does not name.
        if self.staged.has_copies() {
            self.staged.remove(|record| record.id == id && record.from.is_some() && record.kind != Kind::Closed);
        }
        let mut staged = Staged::fact(Kind::Finished, id, turn, codec::write_finished(&homes));
        staged.speaks_of = homes;
        self.staged.push(staged);
    }

    /// Whether anything is staged.
    #[must_use]
    pub fn needs_flush(&self) -> bool {
        !self.staged.is_empty()
    }

    /// Whether something is staged and nobody waits for it: the flush may wait up to 5 ms for company.
    #[must_use]
    pub fn staged_only_outcomes(&self) -> bool {
        self.needs_flush() && !self.staged.has_messages()
    }

    /// Whether the last write failed and no fresh segment has been found since. New messages are
    /// refused; call [`Spool::restore`] every second or so.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.log.active.is_none()
    }

    /// Tries to go on in a fresh segment; what is staged is written by the next flush.
    ///
    /// # Errors
    /// [`Error::Disk`]: not yet.
    pub fn restore(&mut self) -> Result<(), Error> {
        if self.log.active.is_some() {
            return Ok(());
        }
        self.log.make_way()?;
        self.turn()
    }

    /// Whether a new message may be accepted: the spool is not broken, and the reserve is untouched
    /// as of the last flush or step of [`Spool::maintain`]. Otherwise the answer is 452 4.3.1 (or
    /// 451 4.3.0 when [broken](Spool::is_broken)).
    #[must_use]
    pub fn has_room(&self) -> bool {
        let tight = self.touches_reserve() && self.log.room() < self.settings.segment_bytes / 4;
        !self.is_broken() && self.log.free_bytes >= self.settings.reserve_bytes && !tight
    }

    /// Whether the next segment would be the last empty one.
    fn touches_reserve(&self) -> bool {
        self.log.free_segments() <= 1 && !self.log.can_grow(self.settings.reserve_bytes)
    }

    /// Whether enough has happened since the last step of housekeeping for another one. Asking the disk
    /// how full it is, and every segment whether it is needed, was one system call in each message.
    #[must_use]
    pub fn maintenance_is_due(&self) -> bool {
        self.written_bytes >= self.maintain_at || !self.doomed.is_empty() || self.is_broken()
    }

    /// One bounded step of housekeeping: removing body files, preparing and deleting spare segments,
    /// copying what is left out of old segments (it is staged: flush afterwards). Looks how much room
    /// the disk has. Returns whether there is more to do; call it between flushes when it
    /// [is due](Spool::maintenance_is_due), and once a second when idle.
    ///
    /// # Errors
    /// The disk's. Nothing is lost; it will be tried again.
    pub fn maintain(&mut self) -> Result<bool, Error> {
        self.maintain_at = self.written_bytes + self.settings.segment_bytes.div_ceil(MAINTAINED_PER_SEGMENT);
        if self.remove_bodies().map_err(Error::disk("removing a body"))? {
            return Ok(true);
        }
        if self.log.tidy(self.settings.reserve_bytes)? {
            return Ok(true);
        }
        self.compact()
    }

    /// Removes some of the body files that nobody needs; whether there were any.
    fn remove_bodies(&mut self) -> std::io::Result<bool> {
        for _ in 0..BODIES_PER_STEP {
            let Some(id) = self.doomed.last() else { return Ok(false) };
            match self.disk.remove(&body::file_name(*id)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => self.doomed.pop(),
            };
        }
        Ok(true)
    }

    /// How the spool is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            messages: self.index.len(),
            message_bytes: self.log.segments.values().map(|segment| segment.live_bytes).sum(),
            segments: self.log.all_segments(),
            free_segments: self.log.free_segments(),
            staged: self.staged.len(),
            written_bytes: self.written_bytes,
            copied_bytes: self.copied_bytes,
        }
    }
}

/// Steps of housekeeping while one segment is written.
const MAINTAINED_PER_SEGMENT: u64 = 64;
/// Body files removed by one step of housekeeping.
const BODIES_PER_STEP: usize = 16;

//! The spool: every promise we have made, durable before it was made.
//!
//! Facts are staged and then made durable together: one write, one flush of the disk, a [`Receipt`]
//! for each message. A write that fails is never tried again in the same place; the spool refuses
//! mail until it goes on in a fresh segment, and no fact is lost by that. The format and the crash
//! argument are in `docs/spool.md`.

mod batch;
pub(crate) mod codec;
mod compact;
mod index;
mod open;
mod reader;
mod scan;
mod settings;
mod survey;
#[cfg(test)]
mod tests;

pub use reader::{BodyReader, Location, ReadError, Reader};
pub use settings::{Error, Settings};
pub(crate) use survey::{Sight, Survey};

use crate::body::{self, Bodies, Body, Kept};
use crate::disk::Disk;
use crate::envelope::{Envelope, MessageId, Outcome};
use crate::log::{Health, Log};
use crate::record::{HEAD_BYTES, Kind};
use batch::Staged;
use codec::{Closed, Place};
use index::Entry;
use mail::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The spool. It has one owner; everything that may be used beside it is a handle of its own:
/// [`Ids`], [`Reader`], [`Bodies`].
pub struct Spool<D: Disk> {
    disk: D,
    settings: Settings,
    log: Log<D>,
    index: BTreeMap<MessageId, Entry>,
    staged: Vec<Staged>,
    ids: Ids,
    incarnation: u32,
    /// Body files of finished messages.
    doomed: Vec<MessageId>,
    cleaning: Option<compact::Cleaning<D::File>>,
    /// Segments that have been walked through to empty them.
    emptied: BTreeSet<u64>,
    written_bytes: u64,
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

/// Proof that a message is durable. Only [`Spool::flush`] makes one.
#[derive(Debug)]
#[must_use = "a receipt is what a 250 is given for"]
pub struct Receipt {
    id: MessageId,
    location: Location,
}

impl Receipt {
    /// The message.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// Where its body can be read.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
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

/// What a flush has achieved.
#[derive(Debug, Default)]
pub struct Flush {
    /// One for each staged message that is durable now, in the order of staging.
    pub receipts: Vec<Receipt>,
    /// Staged messages that are not durable, and have been forgotten: refuse them.
    pub refused: Vec<MessageId>,
    /// Why there are refused messages, or outcomes that are still staged.
    pub error: Option<Error>,
}

/// A message found at start.
#[derive(Clone, Debug)]
pub struct Queued {
    /// The envelope, with everything that has become of it.
    pub envelope: Arc<Envelope>,
    /// Where its body can be read.
    pub location: Location,
    /// When it is due again, as the last attempt said.
    pub retry_at: Option<Timestamp>,
}

/// What was found at start.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Every message that is still ours, in the order of their identifiers.
    pub messages: Vec<Queued>,
    /// Where the disk did not return what it had promised to keep.
    pub damages: Vec<Damage>,
    /// Files that an earlier start has put aside because something in them could not be read.
    pub kept: Vec<String>,
    /// Why nothing can be written yet: the spool [is broken](Spool::is_broken).
    pub broken: Option<Error>,
    /// Segments read.
    pub segments: usize,
    /// Octets read.
    pub bytes_read: u64,
}

/// A place where the disk did not return what it had promised to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: String,
    /// Where in it.
    pub offset: u64,
    /// What is wrong.
    pub what: Flaw,
    /// The message that is lost by it, if that could still be read.
    pub message: Option<MessageId>,
}

/// What can be wrong with a place on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// One of the two copies of a segment's header.
    HeaderCopy,
    /// Both copies of a segment's header: nothing in it can be read.
    Header,
    /// Octets that are no record, between records.
    Gap,
    /// A record whose content does not agree with its checksum.
    Record,
    /// A record that agrees with its checksum and makes no sense.
    Meaning,
    /// The file of a large body is missing or has the wrong length.
    BodyFile,
    /// The file is shorter than it was made.
    Short,
    /// The file could not be read.
    Unreadable,
}

impl<D: Disk> Spool<D> {
    /// The source of message identifiers.
    #[must_use]
    pub fn ids(&self) -> Ids {
        self.ids.clone()
    }

    /// Reads bodies, beside the owner.
    #[must_use]
    pub fn reader(&self) -> Reader<D> {
        Reader::new(self.disk.clone())
    }

    /// Makes the files of large bodies, beside the owner.
    #[must_use]
    pub fn bodies(&self) -> Bodies<D> {
        Bodies::new(self.disk.clone(), self.settings.body_file_over_bytes)
    }

    /// Where the body of a message that is ours can be read.
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
        self.staged.retain(|record| record.id != id || record.from.is_none() || record.kind == Kind::Closed);
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
        self.needs_flush() && !self.staged.iter().any(Staged::is_new_message)
    }

    /// Makes everything that is staged durable: one write and one flush of the disk, and one more of
    /// each where a segment ends. When that fails, all messages that were staged are refused and
    /// forgotten; outcomes stay staged and are written into the next segment.
    pub fn flush(&mut self) -> Flush {
        let mut flush = Flush::default();
        while !self.staged.is_empty() {
            if let Err(error) = self.flush_some(&mut flush) {
                self.give_up(&mut flush, error);
                break;
            }
        }
        self.log.look_at_free_space();
        flush
    }

    /// Writes one batch, or makes room for one.
    fn flush_some(&mut self, flush: &mut Flush) -> Result<(), Error> {
        if self.log.active.is_none() {
            self.restore()?;
        }
        let count = batch::fitting(&self.staged, self.log.room());
        if count > 0 {
            return self.write(count, flush);
        }
        if self.touches_reserve() && self.staged.iter().any(Staged::is_new_message) {
            // The last empty segment is for outcomes.
            self.refuse(flush);
            flush.error = Some(Error::NoRoom);
            return Ok(());
        }
        self.turn()
    }

    /// Goes on in a fresh segment, and says there how far the old one is to be believed.
    fn turn(&mut self) -> Result<(), Error> {
        let old = self.log.active;
        let incarnation = self.ids.incarnation().max(self.incarnation);
        self.log.turn(incarnation)?;
        if let Some(segment) = old.and_then(|number| self.log.segments.get(&number)) {
            let closed = Closed { segment: old.unwrap_or_default(), settled: segment.position, end: segment.position };
            self.stage_closed(closed);
        }
        Ok(())
    }

    /// In front of everything else, so that it is durable before anything that relies on it.
    fn stage_closed(&mut self, closed: Closed) {
        let mut staged = Staged::fact(Kind::Closed, MessageId(0), 0, codec::write_closed(closed));
        staged.speaks_of = vec![closed.segment];
        self.staged.insert(0, staged);
    }

    fn write(&mut self, count: usize, flush: &mut Flush) -> Result<(), Error> {
        let number = self.log.active.expect("invariant: there is room only in an active segment");
        let segment = self.log.segments.get_mut(&number).expect("invariant: the active segment is in the log");
        let begin = segment.position;
        match batch::write(&self.staged[..count], number, segment) {
            Ok(end) => {
                segment.position = end;
                self.written_bytes += end - begin;
                let mut at = begin;
                for record in self.staged.drain(..count).collect::<Vec<_>>() {
                    let length = record.record_bytes();
                    self.durable(record, number, at, flush);
                    at += length;
                }
                Ok(())
            }
            Err(error) => {
                // What the kernel still has of this batch is worth nothing, whatever a second flush
                // would say. What was flushed before stays as good as it was.
                segment.health = Health::Retired;
                self.log.active = None;
                self.stage_closed(Closed { segment: number, settled: begin, end: begin });
                Err(Error::disk("writing the log")(error))
            }
        }
    }

    /// A record is durable at its place: it counts from now on.
    fn durable(&mut self, record: Staged, number: u64, at: u64, flush: &mut Flush) {
        let length = record.record_bytes();
        if record.from.is_some() {
            self.copied_bytes += length;
        }
        let segments = &mut self.log.segments;
        match (record.kind, record.from) {
            (Kind::Message, None) => {
                let location = self.locate(&record, number, at);
                let entry = Entry::new(location.clone(), number, length);
                entry.settled(&mut self.log.segments);
                self.index.insert(record.id, entry);
                flush.receipts.push(Receipt { id: record.id, location });
            }
            (Kind::Message, Some(_)) => {
                if let Some(entry) = self.index.get_mut(&record.id) {
                    entry.moved(number, segments);
                    let slot = segments.get(&number).map_or(0, |segment| segment.slot);
                    entry.location.moved(slot, at + HEAD_BYTES + record.meta.len() as u64);
                }
            }
            (Kind::Attempt | Kind::Held | Kind::Released, from) => {
                if let Some(entry) = self.index.get_mut(&record.id) {
                    entry.remembered(from, number, length, segments);
                }
            }
            (Kind::Finished, None) => {
                self.log.says(number, None, &record.speaks_of);
                self.finished(record.id);
            }
            (Kind::Finished | Kind::Closed, from) => self.log.says(number, from, &record.speaks_of),
        }
    }

    fn locate(&self, record: &Staged, number: u64, at: u64) -> Location {
        let slot = self.log.segments.get(&number).map_or(0, |segment| segment.slot);
        match record.file {
            Some((size, checksum)) => Location::in_file(record.id, size, checksum),
            None => {
                let body = at + HEAD_BYTES + record.meta.len() as u64;
                Location::in_segment(record.id, u64::from(record.body_bytes), record.body_checksum, slot, body)
            }
        }
    }

    fn finished(&mut self, id: MessageId) {
        let Some(entry) = self.index.remove(&id) else { return };
        entry.released(&mut self.log.segments);
        if entry.location.is_file() {
            self.doomed.push(id);
        }
        entry.location.gone();
    }

    /// After a failure: nobody is promised anything, and what must not be lost stays staged.
    fn give_up(&mut self, flush: &mut Flush, error: Error) {
        self.refuse(flush);
        // Copies are made again when there is a segment for them.
        self.staged.retain(|record| record.from.is_none());
        self.cleaning = None;
        self.emptied.clear();
        flush.error = Some(error);
    }

    /// Forgets the messages that are staged.
    fn refuse(&mut self, flush: &mut Flush) {
        let (refused, rest) = std::mem::take(&mut self.staged).into_iter().partition(Staged::is_new_message);
        self.staged = rest;
        let refused: Vec<Staged> = refused;
        for record in refused {
            if record.file.is_some() {
                self.doomed.push(record.id);
            }
            flush.refused.push(record.id);
        }
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

    /// One bounded step of housekeeping: removing body files, preparing and deleting spare segments,
    /// copying what is left out of old segments (it is staged: flush afterwards). Returns whether
    /// there is more to do; call it between flushes, and once a second when idle.
    ///
    /// # Errors
    /// The disk's. Nothing is lost; it will be tried again.
    pub fn maintain(&mut self) -> Result<bool, Error> {
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

/// Body files removed by one step of housekeeping.
const BODIES_PER_STEP: usize = 16;

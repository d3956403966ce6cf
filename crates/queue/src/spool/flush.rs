//! Making durable what is staged, and what follows when that fails.
//!
//! The one place where receipts are made. One write and one flush of the disk for everything that is
//! staged; a failure is final for the segment, and nobody is promised anything by it.

use super::batch::{self, Staged};
use super::codec::{self, Closed};
use super::index::Entry;
use super::reader::Extent;
use super::{Error, Location, Spool};
use crate::disk::Disk;
use crate::envelope::MessageId;
use crate::log::Health;
use crate::record::Kind;

/// Messages that the index always has room for.
const INDEX_LEAST: usize = 4096;

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

    /// Where it can be read.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }
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

impl<D: Disk> Spool<D> {
    /// Makes everything that is staged durable: one write and one flush of the disk, and one more of
    /// each where a segment ends. When that fails, all messages that were staged are refused and
    /// forgotten; outcomes stay staged and are written into the next segment.
    ///
    /// That segment is tried at once, and once: what is refused may have reached the disk, and must not
    /// come back if the power goes after somebody was told no. If the disk fails again, it may, until
    /// [`Spool::restore`] and a flush succeed.
    pub fn flush(&mut self) -> Flush {
        let mut flush = Flush::default();
        let mut failed = false;
        while !self.staged.is_empty() {
            let Err(error) = self.flush_some(&mut flush) else { continue };
            self.give_up(&mut flush, error);
            if failed || !self.staged.begins_with(Kind::Closed) {
                break;
            }
            failed = true;
        }
        if flush.error.is_some() {
            self.log.look_at_free_space();
        }
        flush
    }

    /// Writes one batch, or makes room for one.
    fn flush_some(&mut self, flush: &mut Flush) -> Result<(), Error> {
        if self.log.active.is_none() {
            self.restore()?;
        }
        let count = self.staged.fitting(self.log.room());
        if count > 0 {
            return self.write(count, flush);
        }
        if self.touches_reserve() && self.staged.has_messages() {
            // The last empty segment is for outcomes.
            self.refuse(flush);
            flush.error = Some(Error::NoRoom);
            return Ok(());
        }
        self.turn()
    }

    /// Goes on in a fresh segment, and says there how far the old one is to be believed.
    pub(super) fn turn(&mut self) -> Result<(), Error> {
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
    pub(super) fn stage_closed(&mut self, closed: Closed) {
        let mut staged = Staged::fact(Kind::Closed, MessageId(0), 0, codec::write_closed(closed));
        staged.speaks_of = vec![closed.segment];
        self.staged.push_front(staged);
    }

    fn write(&mut self, count: usize, flush: &mut Flush) -> Result<(), Error> {
        let number = self.log.active.expect("invariant: there is room only in an active segment");
        let segment = self.log.segments.get_mut(&number).expect("invariant: the active segment is in the log");
        let begin = segment.position;
        match batch::write(self.staged.front(count), number, segment) {
            Ok(end) => {
                segment.position = end;
                self.written_bytes += end - begin;
                let mut at = begin;
                for record in self.staged.take(count) {
                    let length = record.record_bytes();
                    self.durable(&record, number, at, flush);
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
    fn durable(&mut self, record: &Staged, number: u64, at: u64, flush: &mut Flush) {
        let length = record.record_bytes();
        if record.from.is_some() {
            self.copied_bytes += length;
        }
        let segments = &mut self.log.segments;
        match (record.kind, record.from) {
            (Kind::Message, None) => {
                let location = self.locate(record, number, at);
                let entry = Entry::new(location.clone(), number);
                entry.settled(&mut self.log.segments);
                self.index.insert(record.id, entry);
                flush.receipts.push(Receipt { id: record.id, location });
            }
            (Kind::Message, Some(_)) => {
                if let Some(entry) = self.index.get_mut(&record.id) {
                    entry.moved(number, segments);
                    let slot = segments.get(&number).map_or(0, |segment| segment.slot);
                    entry.location.moved(slot, at);
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
        let (body_bytes, body_checksum) = record.file.unwrap_or((u64::from(record.body_bytes), record.body_checksum));
        let extent = Extent {
            meta_bytes: u32::try_from(record.meta.len()).expect("invariant: checked against the segment when staged"),
            meta_checksum: crc32c::crc32c(&record.meta),
            body_bytes,
            body_checksum,
            own_file: record.file.is_some(),
        };
        Location::new(record.id, slot, at, extent)
    }

    fn finished(&mut self, id: MessageId) {
        let Some(entry) = self.index.remove(&id) else { return };
        // What a long queue has taken is given back when it is short again.
        if self.index.len() < self.index.capacity() / 8 {
            self.index.shrink_to(INDEX_LEAST.max(2 * self.index.len()));
        }
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
        self.staged.remove(|record| record.from.is_some());
        self.cleaning = None;
        self.emptied.clear();
        flush.error.get_or_insert(error);
    }

    /// Forgets the messages that are staged.
    fn refuse(&mut self, flush: &mut Flush) {
        for record in self.staged.remove(Staged::is_new_message) {
            if record.file.is_some() {
                self.doomed.push(record.id);
            }
            flush.refused.push(record.id);
        }
    }
}

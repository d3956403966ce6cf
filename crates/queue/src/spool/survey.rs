//! Reading everything that is on the disk, without changing anything.
//!
//! The log is a set of facts, not a story: every record says what it is about and its turn among
//! the facts about the same message, and a copy of a record says the same as the record. So the
//! segments can be read in any order; the newest come first, because they say which messages of the
//! older ones are finished and how far those are to be believed.

use super::codec::{self, Closed, Place};
use super::index::Entry;
use super::reader::Extent;
use super::scan::{Found, Scan};
use super::story::{Fact, Story};
use super::{Damage, Error, Flaw, Location};
use crate::brief::{Brief, Diagnoses};
use crate::disk::{Disk, DiskFile};
use crate::envelope::MessageId;
use crate::log::{Copy, HEADER_BYTES, Header, Health, Segment, slot_name, slot_of};
use crate::record::{BLOCK, BLOCK_BYTES, Head, Kind};
use mail::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// A message that was found.
pub(crate) struct Alive {
    pub(crate) entry: Entry,
    pub(crate) brief: Brief,
    pub(crate) retry_at: Option<Timestamp>,
}

/// One record or flaw, for who wants to see them all.
pub(crate) enum Sight<'a> {
    Segment { file: &'a str, header: Header },
    Record { head: Head, offset: u64, meta: &'a [u8] },
}

/// Everything that was found.
pub(crate) struct Survey<D: Disk> {
    pub(crate) segments: BTreeMap<u64, Segment<D::File>>,
    /// Slots whose files were never used: file and length.
    pub(crate) blanks: Vec<(u32, D::File, u64)>,
    /// Slots whose files have no header that can be read.
    pub(crate) headless: Vec<u32>,
    /// Slots whose files cannot be read at all.
    pub(crate) unreadable: Vec<u32>,
    pub(crate) messages: BTreeMap<MessageId, Alive>,
    pub(crate) dead: BTreeSet<MessageId>,
    pub(crate) damages: Vec<Damage>,
    /// Segments that nobody has closed, and how far they are to be believed.
    pub(crate) open: Vec<Closed>,
    /// Files of large bodies, by their messages.
    pub(crate) bodies: Vec<MessageId>,
    /// Files that an earlier start has put aside.
    pub(crate) kept: Vec<String>,
    pub(crate) bytes_read: u64,
    /// The highest incarnation of which there is a sign.
    pub(crate) incarnation: u32,
    /// By the number of the segment.
    pub(crate) incarnations: BTreeMap<u64, u32>,
    closed: BTreeMap<u64, Closed>,
    stories: BTreeMap<MessageId, Story>,
    pub(crate) diagnoses: Diagnoses,
}

/// What was found out about one segment while walking through it.
#[derive(Default)]
struct Walk {
    last_batch: u64,
    end: u64,
    flaws: Vec<Damage>,
}

impl<D: Disk> Survey<D> {
    /// Reads the whole directory; `look` is shown every segment and record.
    pub(crate) fn new(disk: &D, mut look: impl FnMut(Sight<'_>)) -> Result<Survey<D>, Error> {
        let mut survey = Survey {
            segments: BTreeMap::new(),
            blanks: Vec::new(),
            headless: Vec::new(),
            unreadable: Vec::new(),
            messages: BTreeMap::new(),
            dead: BTreeSet::new(),
            damages: Vec::new(),
            open: Vec::new(),
            bodies: Vec::new(),
            kept: Vec::new(),
            bytes_read: 0,
            incarnation: 0,
            incarnations: BTreeMap::new(),
            closed: BTreeMap::new(),
            stories: BTreeMap::new(),
            diagnoses: Diagnoses::default(),
        };
        let mut headers = survey.headers(disk)?;
        headers.sort_by_key(|(header, _)| std::cmp::Reverse(header.number));
        for (header, slot) in headers {
            look(Sight::Segment { file: &slot_name(slot), header });
            survey.walk(header, &mut look);
        }
        survey.settle(disk);
        Ok(survey)
    }

    /// Opens every file and reads what it is.
    fn headers(&mut self, disk: &D) -> Result<Vec<(Header, u32)>, Error> {
        let mut found = Vec::new();
        let mut names = disk.list().map_err(Error::disk("reading the directory"))?;
        // Of two files that are the same segment every start must believe the same one.
        names.sort_unstable();
        for name in names {
            if let Some(slot) = slot_of(&name) {
                if let Some(header) = self.header(disk, slot)? {
                    found.push((header, slot));
                }
            } else if let Some(id) = crate::body::file_owner(&name) {
                self.incarnation = self.incarnation.max(incarnation_of(id));
                self.bodies.push(id);
            } else if name.starts_with(crate::log::KEPT) {
                self.kept.push(name);
            }
        }
        Ok(found)
    }

    fn header(&mut self, disk: &D, slot: u32) -> Result<Option<Header>, Error> {
        let Ok((file, length, copies)) = read_copies(disk, slot) else {
            self.damages.push(damage(slot, 0, Flaw::Unreadable));
            self.unreadable.push(slot);
            return Ok(None);
        };
        let mut best: Option<Header> = None;
        for (at, copy) in copies.into_iter().enumerate() {
            match copy {
                Copy::Later(version) => return Err(Error::Version(version)),
                Copy::Good(header) if best.is_none_or(|best| best.number < header.number) => best = Some(header),
                Copy::Bad => self.damages.push(damage(slot, at as u64 * BLOCK_BYTES, Flaw::HeaderCopy)),
                Copy::Good(_) | Copy::Blank => {}
            }
        }
        let Some(header) = best else {
            if copies == [Copy::Blank; 2] {
                self.blanks.push((slot, file, length));
            } else {
                self.damages.push(damage(slot, 0, Flaw::Header));
                self.headless.push(slot);
            }
            return Ok(None);
        };
        self.incarnation = self.incarnation.max(header.incarnation);
        if length < header.length {
            self.damages.push(damage(slot, length, Flaw::Short));
        }
        let mut segment = Segment::new(slot, file, length, header.salt);
        if length < header.length || copies.contains(&Copy::Bad) {
            segment.health = Health::Damaged;
        }
        self.incarnations.insert(header.number, header.incarnation);
        self.segments.insert(header.number, segment);
        Ok(Some(header))
    }

    /// Walks through one segment and takes in what it says.
    fn walk(&mut self, header: Header, look: &mut impl FnMut(Sight<'_>)) {
        let number = header.number;
        let Some(segment) = self.segments.get(&number) else { return };
        let (slot, file, length) = (segment.slot, segment.file.clone(), segment.length);
        let closed = self.closed.get(&number).copied();
        let end = closed.map_or(length, |closed| closed.end.min(length));
        let mut scan = Scan::new(file, number, header.salt, end);
        let mut walk = Walk { end: HEADER_BYTES, ..Walk::default() };
        loop {
            match scan.next() {
                Ok(None) => break,
                Ok(Some(Found::Record { head, offset, meta, .. })) => {
                    look(Sight::Record { head, offset, meta });
                    walk.last_batch = u64::from(head.batch) * BLOCK_BYTES;
                    walk.end = (offset + head.record_bytes()).next_multiple_of(BLOCK_BYTES).min(length);
                    if !self.record(slot, head, offset, meta) {
                        let message = (head.kind == Kind::Message).then_some(head.id);
                        self.damages.push(Damage { message, ..damage(slot, offset, Flaw::Meaning) });
                        self.mark(number, Health::Damaged);
                    }
                }
                Ok(Some(Found::Flaw { offset, what, head })) => {
                    let batch = head.map_or(0, |head| u64::from(head.batch) * BLOCK_BYTES);
                    walk.last_batch = walk.last_batch.max(batch);
                    let message = head.filter(|head| head.kind == Kind::Message).map(|head| head.id);
                    walk.flaws.push(Damage { message, ..damage(slot, offset, what) });
                }
                Err(_) => {
                    self.damages.push(damage(slot, scan.position(), Flaw::Unreadable));
                    self.mark(number, Health::Unread);
                    break;
                }
            }
        }
        self.bytes_read += length;
        self.judge(number, closed, walk);
    }

    /// Tells damage from a write that the power cut interrupted. A batch is written only after the
    /// one before it was flushed, so only the last batch can be incomplete without a lie of the disk.
    fn judge(&mut self, number: u64, closed: Option<Closed>, walk: Walk) {
        let settled = closed.map_or(walk.last_batch, |closed| closed.settled);
        let torn = walk.flaws.iter().any(|flaw| flaw.offset >= settled);
        let (lies, _): (Vec<Damage>, Vec<Damage>) = walk.flaws.into_iter().partition(|flaw| flaw.offset < settled);
        if !lies.is_empty() {
            self.mark(number, Health::Damaged);
            self.damages.extend(lies);
        }
        // Where one ends that could not be read to its end, the next start finds out.
        let unread = self.segments.get(&number).is_some_and(|segment| segment.health == Health::Unread);
        if closed.is_none() && !unread {
            let settled = if torn { settled } else { walk.end };
            self.open.push(Closed { segment: number, settled, end: walk.end });
        }
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.position = walk.end;
        }
    }

    fn mark(&mut self, number: u64, health: Health) {
        if let Some(segment) = self.segments.get_mut(&number)
            && segment.health != Health::Unread
        {
            segment.health = health;
        }
    }

    /// Takes in what one record says; false if it makes no sense.
    fn record(&mut self, slot: u32, head: Head, offset: u64, meta: &[u8]) -> bool {
        self.incarnation = self.incarnation.max(incarnation_of(head.id));
        let fact = match head.kind {
            Kind::Message => return self.message(slot, head, offset, meta),
            Kind::Closed => return self.closed(head, meta),
            Kind::Finished => return self.finished(head, meta),
            Kind::Attempt => match codec::read_attempt(head.id, meta) {
                Some(attempt) => Fact::Attempt(attempt),
                None => return false,
            },
            Kind::Held => Fact::Held,
            Kind::Released => Fact::Released,
        };
        if !self.dead.contains(&head.id) {
            let story = self.stories.entry(head.id).or_default();
            story.stands_in(head.segment, head.record_bytes());
            story.hear(head.turn, &fact, &mut self.diagnoses);
        }
        true
    }

    fn message(&mut self, slot: u32, head: Head, offset: u64, meta: &[u8]) -> bool {
        if self.dead.contains(&head.id) {
            return true;
        }
        if let Some(kept) = self.messages.get_mut(&head.id) {
            kept.entry.was_in(head.segment);
            return true;
        }
        let Some((envelope, place)) = codec::read_message(head.id, meta) else { return false };
        let (body_bytes, body_checksum) = match place {
            Place::Inline => (u64::from(head.body_bytes), head.body_checksum),
            Place::File { size, checksum } => (size, checksum),
        };
        let extent = Extent {
            meta_bytes: head.meta_bytes,
            meta_checksum: head.meta_checksum,
            body_bytes,
            body_checksum,
            own_file: place != Place::Inline,
        };
        let entry = Entry::new(Location::new(head.id, slot, offset, extent), head.segment);
        let brief = Brief::new(&envelope, &mut self.diagnoses);
        self.messages.insert(head.id, Alive { entry, brief, retry_at: None });
        true
    }

    fn closed(&mut self, head: Head, meta: &[u8]) -> bool {
        let Some(closed) = codec::read_closed(meta) else { return false };
        // A segment speaks only of older ones.
        if closed.segment < head.segment {
            self.closed.insert(closed.segment, closed);
            self.speaks_of(head.segment, &[closed.segment]);
        }
        true
    }

    fn finished(&mut self, head: Head, meta: &[u8]) -> bool {
        let Some(homes) = codec::read_finished(meta) else { return false };
        self.speaks_of(head.segment, &homes);
        self.messages.remove(&head.id);
        self.stories.remove(&head.id);
        self.dead.insert(head.id);
        true
    }

    /// Remembers that something said in a segment is needed while the others are there.
    fn speaks_of(&mut self, number: u64, others: &[u64]) {
        let there: Vec<u64> =
            others.iter().copied().filter(|other| *other != number && self.segments.contains_key(other)).collect();
        if let Some(segment) = self.segments.get_mut(&number) {
            there.into_iter().for_each(|other| *segment.speaks_of.entry(other).or_default() += 1);
        }
    }

    /// Brings facts and messages together, and looks whether the files of large bodies are there.
    fn settle(&mut self, disk: &D) {
        for (id, story) in std::mem::take(&mut self.stories) {
            if let Some(kept) = self.messages.get_mut(&id) {
                story.settle(kept);
            }
        }
        let mut lost = Vec::new();
        for (id, kept) in &self.messages {
            if kept.entry.location.is_file() && !has_body(disk, *id, kept.entry.location.size_bytes()) {
                lost.push(*id);
            }
        }
        for id in lost {
            self.messages.remove(&id);
            let file = crate::body::file_name(id);
            self.damages.push(Damage { file, offset: 0, what: Flaw::BodyFile, message: Some(id) });
        }
        self.messages.values().for_each(|kept| kept.entry.count(&mut self.segments));
    }
}

fn incarnation_of(id: MessageId) -> u32 {
    u32::try_from(id.0 >> 32).expect("invariant: the high half of 64 bits has 32")
}

fn damage(slot: u32, offset: u64, what: Flaw) -> Damage {
    Damage { file: slot_name(slot), offset, what, message: None }
}

/// Whether the body file is there and as long as it was. One that cannot be opened just now counts
/// as there: an attempt to read it will say what is wrong.
fn has_body<D: Disk>(disk: &D, id: MessageId, size: u64) -> bool {
    match disk.open(&crate::body::file_name(id)).and_then(|file| file.length()) {
        Ok(length) => length == size,
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

/// A file of the log, its length, and both copies of its header.
fn read_copies<D: Disk>(disk: &D, slot: u32) -> std::io::Result<(D::File, u64, [Copy; 2])> {
    let file = disk.open(&slot_name(slot))?;
    let length = file.length()?;
    let mut octets = vec![0; 2 * BLOCK];
    let mut done = 0;
    while done < octets.len() {
        match file.read_at(done as u64, &mut octets[done..])? {
            0 => break,
            count => done += count,
        }
    }
    let (first, second) = octets.split_at(BLOCK);
    Ok((file, length, [Copy::decode(first), Copy::decode(second)]))
}

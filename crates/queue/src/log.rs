//! The segments of the log: files of one size, written from front to back, recycled in place.
//!
//! A file is filled with zeros once; from then on neither its length nor its place on the medium
//! changes, which is what makes a flush cheap. Its header says which life it is in: a number that
//! never repeats. A segment is written over only after the header with the new number is durable,
//! so at every moment the disk shows either the old life or the new one.

use crate::disk::{Disk, DiskFile};
use crate::envelope::INCARNATIONS;
use crate::record::{BLOCK, BLOCK_BYTES, u32_at, u64_at};
use crate::spool::{Error, Settings};
use std::collections::BTreeMap;
use std::io::{self, IoSlice};

/// Octets before the first record: two blocks, each with a copy of the header.
pub(crate) const HEADER_BYTES: u64 = 2 * BLOCK_BYTES;
/// The version of the format that is written, and the latest that can be read. A record may be copied from an
/// earlier one as it is: what has been added since stands behind a flag that nothing of it has.
pub(crate) const FORMAT: u32 = 2;
/// The earliest that can be read.
pub(crate) const EARLIEST_FORMAT: u32 = 1;
const MAGIC: [u8; 8] = *b"BHspool\n";
/// Octets of a header that mean something.
const USED_BYTES: usize = 44;
/// Zeros written by one call when a segment is made.
pub(crate) const FILL_BYTES: u64 = 4 << 20;
/// What blank segments are made of, again and again.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
/// More useless segments than this are not made while they cannot be removed.
const MISTRUSTED_SEGMENTS: usize = 4;
/// Slots are below this, so that one more can always be counted.
const SLOTS: u32 = 1 << 23;
/// And so are the numbers of segments.
const NUMBERS: u64 = 1 << 63;
/// What the names of files begin with that are kept for a person to look at.
pub(crate) const KEPT: &str = "kept-";

/// The file name of a slot.
pub(crate) fn slot_name(slot: u32) -> String {
    format!("segment-{slot:06}")
}

/// The slot that a file name stands for; none for a name that no spool has ever come to.
pub(crate) fn slot_of(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("segment-")?;
    let slot = digits.parse().ok()?;
    (slot < SLOTS && slot_name(slot) == name).then_some(slot)
}

/// What the header of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Which life of which segment; never repeats.
    pub(crate) number: u64,
    /// How often the spool had been opened; the high half of message identifiers.
    pub(crate) incarnation: u32,
    /// Goes into the checksum of every head in the segment.
    pub(crate) salt: u64,
    /// Octets of the file.
    pub(crate) length: u64,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut to = vec![0; BLOCK];
        to[0..8].copy_from_slice(&MAGIC);
        to[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        to[12..16].copy_from_slice(&self.incarnation.to_le_bytes());
        to[16..24].copy_from_slice(&self.number.to_le_bytes());
        to[24..32].copy_from_slice(&self.salt.to_le_bytes());
        to[32..40].copy_from_slice(&self.length.to_le_bytes());
        let checksum = crc32c::crc32c(&to[..40]);
        to[40..44].copy_from_slice(&checksum.to_le_bytes());
        to
    }
}

/// One of the two places of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copy {
    /// Zeros: never written.
    Blank,
    /// Neither zeros nor a header.
    Bad,
    /// Written by a later release.
    Later(u32),
    Good(Header),
}

impl Copy {
    pub(crate) fn decode(from: &[u8]) -> Copy {
        let Some(from) = from.get(..USED_BYTES) else { return Copy::Blank };
        if from.iter().all(|octet| *octet == 0) {
            return Copy::Blank;
        }
        if from[..8] != MAGIC || crc32c::crc32c(&from[..40]) != u32_at(from, 40) {
            return Copy::Bad;
        }
        match u32_at(from, 8) {
            EARLIEST_FORMAT..=FORMAT if u64_at(from, 16) >= NUMBERS || u32_at(from, 12) >= INCARNATIONS => Copy::Bad,
            EARLIEST_FORMAT..=FORMAT => Copy::Good(Header {
                incarnation: u32_at(from, 12),
                number: u64_at(from, 16),
                salt: u64_at(from, 24),
                length: u64_at(from, 32),
            }),
            version => Copy::Later(version),
        }
    }
}

/// A life of a segment that is on the disk.
pub(crate) struct Segment<F> {
    pub(crate) slot: u32,
    pub(crate) file: F,
    pub(crate) length: u64,
    pub(crate) salt: u64,
    /// Where the next batch goes; behind everything that may be believed.
    pub(crate) position: u64,
    /// Messages that live here, and the octets of their records.
    pub(crate) live: u32,
    pub(crate) live_bytes: u64,
    /// Octets of what is remembered here about messages that are alive, here or elsewhere.
    pub(crate) fact_bytes: u64,
    /// The segments of which something is said here that is needed as long as they are there, and
    /// how many records say it.
    pub(crate) speaks_of: BTreeMap<u64, u32>,
    /// How far it may be trusted.
    pub(crate) health: Health,
}

/// How far a segment may be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// As far as any.
    Sound,
    /// A write to it failed: what had been flushed before counts, and it is never written again.
    Retired,
    /// Something in it is not what was written: it is put aside for a person to look at.
    Damaged,
    /// The disk did not let it be read to its end. It stays where it is: the next start tries again.
    Unread,
}

impl<F> Segment<F> {
    pub(crate) fn new(slot: u32, file: F, length: u64, salt: u64) -> Segment<F> {
        Segment {
            slot,
            file,
            length,
            salt,
            position: HEADER_BYTES,
            live: 0,
            live_bytes: 0,
            fact_bytes: 0,
            speaks_of: BTreeMap::new(),
            health: Health::Sound,
        }
    }

    /// Octets that must be copied before the segment can go.
    pub(crate) fn needed_bytes(&self) -> u64 {
        let spoken: u64 = self.speaks_of.values().map(|count| u64::from(*count)).sum();
        self.live_bytes + self.fact_bytes + spoken * TOMBSTONE_BYTES
    }

    /// Whether nothing in it is needed any more.
    fn is_free(&self) -> bool {
        self.live == 0 && self.fact_bytes == 0 && self.speaks_of.is_empty()
    }
}

/// Octets of the record that a message is finished.
const TOMBSTONE_BYTES: u64 = 72;

/// A segment that has been filled with zeros and never used.
struct Blank<F> {
    slot: u32,
    file: F,
    /// How far the zeros have come.
    filled: u64,
}

/// All segments, and the one that is being written.
pub(crate) struct Log<D: Disk> {
    disk: D,
    length: u64,
    spares: usize,
    salt: u64,
    pub(crate) segments: BTreeMap<u64, Segment<D::File>>,
    blanks: Vec<Blank<D::File>>,
    /// Being filled with zeros, step by step.
    filling: Option<Blank<D::File>>,
    pub(crate) active: Option<u64>,
    next_number: u64,
    next_slot: u32,
    /// Files that are of no use and could not be removed yet.
    rubbish: Vec<String>,
    /// The names that were found at the start are durable.
    settled_names: bool,
    /// Segments with lower numbers stay as they are: see [`Log::freeze`].
    frozen_below: u64,
    pub(crate) free_bytes: u64,
}

impl<D: Disk> Log<D> {
    pub(crate) fn new(disk: D, settings: &Settings) -> Log<D> {
        Log {
            disk,
            length: settings.segment_bytes,
            spares: settings.spare_segments,
            salt: settings.salt,
            segments: BTreeMap::new(),
            blanks: Vec::new(),
            filling: None,
            active: None,
            next_number: 1,
            next_slot: 1,
            rubbish: Vec::new(),
            settled_names: false,
            frozen_below: 0,
            free_bytes: u64::MAX,
        }
    }

    /// Takes in a segment that was found on the disk.
    pub(crate) fn found(&mut self, number: u64, segment: Segment<D::File>) {
        self.next_slot = self.next_slot.max(segment.slot + 1);
        self.next_number = self.next_number.max(number + 1);
        self.segments.insert(number, segment);
    }

    /// Takes in a file that was found blank. One of the wrong length was never finished.
    pub(crate) fn found_blank(&mut self, slot: u32, file: D::File, length: u64) {
        self.next_slot = self.next_slot.max(slot + 1);
        if length == self.length {
            self.blanks.push(Blank { slot, file, filled: length });
        } else {
            self.rubbish.push(slot_name(slot));
        }
    }

    /// A slot that is in use, though nobody knows what is in its file; it may have been the newest.
    pub(crate) fn seen(&mut self, slot: u32) {
        self.next_slot = self.next_slot.max(slot + 1);
        self.next_number += 1;
    }

    /// Something could not be read, and nobody knows what it says of the rest. Until a start that can
    /// read everything no segment that is there now is written over, emptied or removed: one that
    /// seems free may be all that says of messages in the hidden one that they are finished.
    pub(crate) fn freeze(&mut self) {
        self.frozen_below = self.next_number;
    }

    /// Whether a segment must stay as it is.
    pub(crate) fn is_frozen(&self, number: u64) -> bool {
        number < self.frozen_below
    }

    /// Flushes what was read of a segment; one that cannot be flushed is never written again.
    pub(crate) fn settle(&mut self, number: u64) {
        if let Some(segment) = self.segments.get_mut(&number)
            && segment.file.sync_data().is_err()
            && segment.health == Health::Sound
        {
            segment.health = Health::Retired;
        }
    }

    /// Something was said in a segment that is needed while others are there; if it was a copy, it
    /// is needed in the old place no longer.
    pub(crate) fn says(&mut self, number: u64, from: Option<u64>, others: &[u64]) {
        let there: Vec<u64> = others.iter().copied().filter(|other| self.segments.contains_key(other)).collect();
        for other in there {
            if let Some(count) = from.and_then(|from| self.segments.get_mut(&from)?.speaks_of.get_mut(&other)) {
                *count -= 1;
            }
            if other != number
                && let Some(segment) = self.segments.get_mut(&number)
            {
                *segment.speaks_of.entry(other).or_default() += 1;
            }
        }
        if let Some(segment) = from.and_then(|from| self.segments.get_mut(&from)) {
            segment.speaks_of.retain(|_, count| *count > 0);
        }
    }

    /// All segments on the disk, the blank ones too.
    pub(crate) fn all_segments(&self) -> usize {
        self.segments.len() + self.blanks.len() + usize::from(self.filling.is_some())
    }

    /// Asks how much the disk still takes; keeps the old answer if it does not say.
    pub(crate) fn look_at_free_space(&mut self) {
        if let Ok(bytes) = self.disk.free_bytes() {
            self.free_bytes = bytes;
        }
    }

    /// Before a fresh segment is looked for after a failure: takes away what failed, so that trying
    /// again every second does not fill the disk with segments that nobody trusts.
    pub(crate) fn make_way(&mut self) -> Result<(), Error> {
        let swept = self.sweep().map_err(Error::disk("removing a file"));
        let discarded = self.discardable().map_or(Ok(()), |number| self.discard(number));
        let useless = self.rubbish.len() + self.segments.values().filter(|s| s.health == Health::Retired).count();
        if useless > MISTRUSTED_SEGMENTS { swept.and(discarded) } else { Ok(()) }
    }

    /// Octets that a batch may have, the rest of the active segment.
    pub(crate) fn room(&self) -> u64 {
        self.active_segment().map_or(0, |segment| segment.length - segment.position)
    }

    pub(crate) fn active_segment(&self) -> Option<&Segment<D::File>> {
        self.active.and_then(|number| self.segments.get(&number))
    }

    /// Segments that could be written next without making one.
    pub(crate) fn free_segments(&self) -> usize {
        self.blanks.len() + self.free_numbers().count()
    }

    fn free_numbers(&self) -> impl Iterator<Item = u64> {
        let usable = |(number, segment): (&u64, &Segment<D::File>)| {
            let right = segment.health == Health::Sound && segment.length == self.length;
            let open = self.active != Some(*number) && !self.is_frozen(*number);
            (right && segment.is_free() && open).then_some(*number)
        };
        self.segments.iter().filter_map(usable)
    }

    /// Whether the disk has place for another segment beside the reserve.
    pub(crate) fn can_grow(&self, reserve: u64) -> bool {
        self.free_bytes >= reserve.saturating_add(self.length)
    }

    /// Makes a fresh segment the active one. The oldest free one is taken first, because the records
    /// that speak of it are then needed no longer.
    pub(crate) fn turn(&mut self, incarnation: u32) -> Result<(), Error> {
        self.active = None;
        self.settle_names()?;
        let oldest = self.free_numbers().next();
        let (slot, file) = match oldest {
            Some(number) => (self.segments[&number].slot, self.segments[&number].file.clone()),
            None => match self.blanks.pop() {
                Some(blank) => (blank.slot, blank.file),
                None => self.make()?,
            },
        };
        let number = self.next_number;
        self.next_number += 1;
        let header = Header { number, incarnation, salt: self.salt, length: self.length };
        if let Err(error) = write_header(&file, header) {
            match oldest.and_then(|number| self.segments.get_mut(&number)) {
                Some(segment) => segment.health = Health::Retired,
                None => self.rubbish.push(slot_name(slot)),
            }
            return Err(Error::disk("starting a segment")(error));
        }
        if let Some(number) = oldest {
            self.forget(number);
        }
        self.segments.insert(number, Segment::new(slot, file, self.length, self.salt));
        self.active = Some(number);
        Ok(())
    }

    /// A program that died may have made or removed files and not have come to flush the directory: a
    /// segment must not be written whose name the next power cut takes away, and none be forgotten that
    /// it brings back.
    fn settle_names(&mut self) -> Result<(), Error> {
        if !self.settled_names {
            self.disk.sync_directory().map_err(Error::disk("flushing the directory"))?;
            self.settled_names = true;
        }
        Ok(())
    }

    /// A life of a segment is no longer on the disk.
    fn forget(&mut self, number: u64) {
        self.segments.remove(&number);
        for segment in self.segments.values_mut() {
            segment.speaks_of.remove(&number);
        }
    }

    /// Makes a segment at once, because one is needed now.
    fn make(&mut self) -> Result<(u32, D::File), Error> {
        loop {
            if let Some(blank) = self.blanks.pop() {
                return Ok((blank.slot, blank.file));
            }
            // What is half filled is as good a beginning as any.
            self.fill()?;
        }
    }

    /// One step towards a blank segment; true when it has become one.
    fn fill(&mut self) -> Result<bool, Error> {
        let mut blank = match self.filling.take() {
            Some(blank) => blank,
            None => {
                let slot = self.next_slot;
                self.next_slot += 1;
                let file = self.disk.create(&slot_name(slot)).map_err(Error::disk("making a segment"))?;
                Blank { slot, file, filled: 0 }
            }
        };
        match self.fill_step(&mut blank) {
            Ok(true) => self.blanks.push(blank),
            Ok(false) => self.filling = Some(blank),
            Err(error) => {
                // The half-made file must not sit on the disk that is full because of it.
                self.rubbish.push(slot_name(blank.slot));
                let _ = self.sweep();
                return Err(Error::disk("making a segment")(error));
            }
        }
        Ok(self.filling.is_none())
    }

    fn fill_step(&self, blank: &mut Blank<D::File>) -> io::Result<bool> {
        let count = FILL_BYTES.min(self.length - blank.filled);
        let mut parts = Vec::new();
        let mut left = usize::try_from(count).map_err(io::Error::other)?;
        while left > 0 {
            let part = left.min(ZEROS.len());
            parts.push(IoSlice::new(&ZEROS[..part]));
            left -= part;
        }
        blank.file.write_at(blank.filled, &parts)?;
        // Flushed step by step, so that no acceptance waits behind one long flush.
        blank.file.sync_data()?;
        blank.filled += count;
        if blank.filled == self.length {
            self.disk.sync_directory()?;
        }
        Ok(blank.filled == self.length)
    }

    /// Removes files that are of no use.
    fn sweep(&mut self) -> io::Result<()> {
        while let Some(name) = self.rubbish.last() {
            match self.disk.remove(name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => self.rubbish.pop(),
            };
        }
        Ok(())
    }

    /// One step of keeping the number of empty segments right; true if there may be more to do.
    pub(crate) fn tidy(&mut self, reserve: u64) -> Result<bool, Error> {
        self.free_bytes = self.disk.free_bytes().map_err(Error::disk("asking for free space"))?;
        if !self.rubbish.is_empty() {
            self.sweep().map_err(Error::disk("removing a file"))?;
            return Ok(true);
        }
        if let Some(number) = self.discardable() {
            self.discard(number)?;
            return Ok(true);
        }
        let free = self.free_segments();
        if free > self.spares {
            return self.shrink();
        }
        if self.filling.is_some() || (free == 0 && self.active.is_some() && self.can_grow(reserve)) {
            return self.fill().map(|done| !done);
        }
        Ok(false)
    }

    /// A segment nobody needs that can never be written again.
    fn discardable(&self) -> Option<u64> {
        let useless = |segment: &Segment<D::File>| match segment.health {
            Health::Sound => segment.length != self.length,
            Health::Retired | Health::Damaged => true,
            Health::Unread => false,
        };
        let mut numbers = self.removable().filter(|number| useless(&self.segments[number]));
        numbers.next()
    }

    /// Takes one empty segment off the disk, if there is one that may go.
    fn shrink(&mut self) -> Result<bool, Error> {
        if let Some(blank) = self.blanks.pop() {
            self.rubbish.push(slot_name(blank.slot));
            return self.sweep().map(|()| true).map_err(Error::disk("removing a segment"));
        }
        let oldest = self.removable().find(|number| self.segments[number].health == Health::Sound);
        oldest.map_or(Ok(false), |number| self.discard(number).map(|()| true))
    }

    /// Segments that nobody needs. The newest one stays even then: its header is what keeps numbers
    /// and identifiers from being given out again.
    fn removable(&self) -> impl Iterator<Item = u64> {
        let newest = self.segments.keys().next_back().copied();
        let free = self.segments.iter().filter(|(_, segment)| segment.is_free()).map(|(number, _)| *number);
        free.filter(move |number| self.active != Some(*number) && newest != Some(*number) && !self.is_frozen(*number))
    }

    /// Removes a segment, or puts it aside if it is damaged. It counts as there until the directory
    /// is durable: a power cut could bring it back.
    fn discard(&mut self, number: u64) -> Result<(), Error> {
        let segment = &self.segments[&number];
        let name = slot_name(segment.slot);
        let gone = match segment.health {
            Health::Damaged => self.disk.rename(&name, &format!("{KEPT}{name}-{number}")),
            Health::Sound | Health::Retired | Health::Unread => self.disk.remove(&name),
        };
        match gone {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::disk("removing a segment")(error));
            }
            _ => {}
        }
        self.disk.sync_directory().map_err(Error::disk("removing a segment"))?;
        self.forget(number);
        Ok(())
    }
}

fn write_header<F: DiskFile>(file: &F, header: Header) -> io::Result<()> {
    let copy = header.encode();
    file.write_at(0, &[IoSlice::new(&copy), IoSlice::new(&copy)])?;
    file.sync_data()
}

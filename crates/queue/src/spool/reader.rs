//! Reading bodies back, beside the owner of the spool and without waiting for it.
//!
//! A [`Location`] follows its message: when the owner copies the message to another segment it
//! changes the place in the location, and only then may the old segment be written over. A reader
//! therefore looks at the place before and after each chunk, and believes only what did not move.

use crate::body::file_name;
use crate::disk::{Disk, DiskFile};
use crate::envelope::MessageId;
use crate::log;
use crate::spool::place::Place;
use bytes::Bytes;
use std::fmt;
use std::io;
use std::sync::Arc;

/// Octets of a chunk, when the caller has no wish of its own.
const CHUNK_BYTES: usize = 64 << 10;
/// The low bits of a place that hold the offset; above them is the slot of the segment.
const OFFSET_BITS: u32 = 40;
/// The message is gone.
const GONE: u64 = u64::MAX;
/// The body has a file of its own.
const OWN_FILE: u64 = u64::MAX - 1;

/// Where the body of a message can be read. Cheap to clone; it stays right when the message is
/// moved, and knows when the message is finished.
#[derive(Clone)]
pub struct Location(Arc<Shared>);

struct Shared {
    id: MessageId,
    size: u64,
    checksum: u32,
    place: Place,
}

impl Location {
    pub(crate) fn in_segment(id: MessageId, size: u64, checksum: u32, slot: u32, offset: u64) -> Location {
        Location(Arc::new(Shared { id, size, checksum, place: Place::new(place(slot, offset)) }))
    }

    pub(crate) fn in_file(id: MessageId, size: u64, checksum: u32) -> Location {
        Location(Arc::new(Shared { id, size, checksum, place: Place::new(OWN_FILE) }))
    }

    /// The body is elsewhere from now on. A body with its own file stays there.
    pub(crate) fn moved(&self, slot: u32, offset: u64) {
        if self.0.place.now() != OWN_FILE {
            self.0.place.change(place(slot, offset));
        }
    }

    /// The message is finished; its body may be written over at any moment.
    pub(crate) fn gone(&self) {
        self.0.place.change(GONE);
    }

    /// The message.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.0.id
    }

    /// Octets of the body.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.0.size
    }

    /// The CRC-32C of the body.
    #[must_use]
    pub fn checksum(&self) -> u32 {
        self.0.checksum
    }

    /// Whether the body has a file of its own.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.0.place.now() == OWN_FILE
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({}, {} octets)", self.0.id, self.0.size)
    }
}

fn place(slot: u32, offset: u64) -> u64 {
    assert!(slot < 1 << (64 - OFFSET_BITS) && offset < 1 << OFFSET_BITS, "a place has 24 bits of slot, 40 of offset");
    u64::from(slot) << OFFSET_BITS | offset
}

/// Why a body could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// The message has been finished meanwhile.
    Gone,
    /// The disk refused.
    Disk(io::Error),
    /// The body does not agree with its checksum: the disk lied.
    Damaged,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Gone => f.write_str("the message is finished"),
            ReadError::Disk(error) => write!(f, "reading a body: {error}"),
            ReadError::Damaged => f.write_str("a body does not agree with its checksum"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Reads bodies; clone it freely.
#[derive(Clone)]
pub struct Reader<D: Disk> {
    disk: D,
}

impl<D: Disk> Reader<D> {
    pub(crate) fn new(disk: D) -> Reader<D> {
        Reader { disk }
    }

    /// The whole body, checked.
    ///
    /// # Errors
    /// [`ReadError`]; never octets that are not the body's.
    pub fn body(&self, location: &Location) -> Result<Vec<Bytes>, ReadError> {
        let mut reader = self.chunks(location);
        let mut chunks = Vec::new();
        while let Some(chunk) = reader.next_chunk(CHUNK_BYTES)? {
            chunks.push(chunk);
        }
        Ok(chunks)
    }

    /// Reads the body chunk by chunk, from its beginning. What has been handed out before the last
    /// chunk has not been checked: check first with [`Reader::verify`] where that matters.
    #[must_use]
    pub fn chunks(&self, location: &Location) -> BodyReader<D> {
        BodyReader { disk: self.disk.clone(), location: location.clone(), open: None, at: 0, checksum: 0 }
    }

    /// Reads the whole body and forgets it again.
    ///
    /// # Errors
    /// As [`Reader::body`].
    pub fn verify(&self, location: &Location) -> Result<(), ReadError> {
        let mut reader = self.chunks(location);
        while reader.next_chunk(CHUNK_BYTES)?.is_some() {}
        Ok(())
    }
}

/// A body being read.
pub struct BodyReader<D: Disk> {
    disk: D,
    location: Location,
    /// The file that was read last, and the place it belongs to.
    open: Option<(u64, D::File)>,
    at: u64,
    checksum: u32,
}

impl<D: Disk> BodyReader<D> {
    /// The next chunk, of at most `limit` octets; `None` at the end. The checksum is compared before
    /// the last chunk is handed out.
    ///
    /// # Errors
    /// [`ReadError`]; the body cannot be had then.
    pub fn next_chunk(&mut self, limit: usize) -> Result<Option<Bytes>, ReadError> {
        let left = self.location.0.size - self.at;
        if left == 0 {
            return if self.checksum == self.location.0.checksum { Ok(None) } else { Err(ReadError::Damaged) };
        }
        let count = usize::try_from(left).map_or(limit.max(1), |left| left.min(limit.max(1)));
        let mut chunk = vec![0; count];
        self.fill(&mut chunk)?;
        self.checksum = crc32c::crc32c_append(self.checksum, &chunk);
        self.at += count as u64;
        if self.at == self.location.0.size && self.checksum != self.location.0.checksum {
            return Err(ReadError::Damaged);
        }
        Ok(Some(Bytes::from(chunk)))
    }

    /// Octets read so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Fills the chunk from where the body is, again if it moved meanwhile.
    fn fill(&mut self, chunk: &mut [u8]) -> Result<(), ReadError> {
        let shared = Arc::clone(&self.location.0);
        shared.place.read(|place| if place == GONE { Err(ReadError::Gone) } else { self.read_from(place, chunk) })
    }

    fn read_from(&mut self, place: u64, chunk: &mut [u8]) -> Result<(), ReadError> {
        let (file, base) = self.file_at(place).map_err(ReadError::Disk)?;
        let mut done = 0;
        while done < chunk.len() {
            match file.read_at(base + self.at + done as u64, &mut chunk[done..]).map_err(ReadError::Disk)? {
                0 => return Err(ReadError::Damaged),
                count => done += count,
            }
        }
        Ok(())
    }

    /// The file at a place, and where the body begins in it.
    fn file_at(&mut self, place: u64) -> io::Result<(D::File, u64)> {
        let base = if place == OWN_FILE { 0 } else { place & ((1 << OFFSET_BITS) - 1) };
        if let Some((at, file)) = &self.open
            && *at == place
        {
            return Ok((file.clone(), base));
        }
        let name = match place {
            OWN_FILE => file_name(self.location.0.id),
            _ => log::slot_name(u32::try_from(place >> OFFSET_BITS).expect("invariant: a slot has 24 bits")),
        };
        let file = self.disk.open(&name)?;
        self.open = Some((place, file.clone()));
        Ok((file, base))
    }
}

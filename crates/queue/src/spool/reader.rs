//! Reading messages back, beside the owner of the spool and without waiting for it.
//!
//! A [`Location`] follows its message: when the owner copies the message to another segment it
//! changes the place in the location, and only then may the old segment be written over. A reader
//! therefore looks at the place before and after each chunk, and believes only what did not move.

use super::codec;
use crate::body::file_name;
use crate::disk::{Disk, DiskFile};
use crate::envelope::{Envelope, MessageId};
use crate::log;
use crate::record::{HEAD_BYTES, record_bytes};
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

/// Where a message can be read: its envelope and its body. Cheap to clone; it stays right when the
/// message is moved, and knows when the message is finished.
#[derive(Clone)]
pub struct Location(Arc<Shared>);

struct Shared {
    /// Where the record is; changed by the owner alone.
    place: Place,
    id: MessageId,
    extent: Extent,
}

/// How much there is to read of a message, and what it must agree with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Octets and CRC-32C of what stands in front of the body in the record.
    pub(crate) meta_bytes: u32,
    pub(crate) meta_checksum: u32,
    /// Octets and CRC-32C of the body.
    pub(crate) body_bytes: u64,
    pub(crate) body_checksum: u32,
    /// The body has a file of its own.
    pub(crate) own_file: bool,
}

const _: () = assert!(size_of::<Shared>() == 40);

impl Location {
    /// A message whose record is in a slot, from this offset on.
    pub(crate) fn new(id: MessageId, slot: u32, offset: u64, extent: Extent) -> Location {
        Location(Arc::new(Shared { place: Place::new(place(slot, offset)), id, extent }))
    }

    /// The record is elsewhere from now on. A body with its own file stays there.
    pub(crate) fn moved(&self, slot: u32, offset: u64) {
        self.0.place.change(place(slot, offset));
    }

    /// The message is finished; its record and its body may be written over at any moment.
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
        self.0.extent.body_bytes
    }

    /// The CRC-32C of the body.
    #[must_use]
    pub fn checksum(&self) -> u32 {
        self.0.extent.body_checksum
    }

    /// Whether the body has a file of its own.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.0.extent.own_file
    }

    /// Octets of the record.
    pub(crate) fn record_bytes(&self) -> u64 {
        let Extent { meta_bytes, body_bytes, own_file, .. } = self.0.extent;
        record_bytes(u64::from(meta_bytes), if own_file { 0 } else { body_bytes })
    }

    /// Reads from where the record is, again if it moved meanwhile.
    fn steadily<R>(&self, mut read: impl FnMut(u64) -> Result<R, ReadError>) -> Result<R, ReadError> {
        self.0.place.read(|place| if place == GONE { Err(ReadError::Gone) } else { read(place) })
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({}, {} octets)", self.0.id, self.size_bytes())
    }
}

fn place(slot: u32, offset: u64) -> u64 {
    assert!(slot < 1 << (64 - OFFSET_BITS) && offset < 1 << OFFSET_BITS, "a place has 24 bits of slot, 40 of offset");
    u64::from(slot) << OFFSET_BITS | offset
}

/// The name of the segment file at a place, and where the record begins in it.
fn segment_at(place: u64) -> (String, u64) {
    let slot = u32::try_from(place >> OFFSET_BITS).expect("invariant: a slot has 24 bits");
    (log::slot_name(slot), place & ((1 << OFFSET_BITS) - 1))
}

/// Fills a buffer from a file; one that ends before that is damaged.
fn fill(file: &impl DiskFile, at: u64, octets: &mut [u8]) -> Result<(), ReadError> {
    let mut done = 0;
    while done < octets.len() {
        match file.read_at(at + done as u64, &mut octets[done..]).map_err(ReadError::Disk)? {
            0 => return Err(ReadError::Damaged),
            count => done += count,
        }
    }
    Ok(())
}

/// Why a message could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// The message has been finished meanwhile.
    Gone,
    /// The disk refused.
    Disk(io::Error),
    /// What was read does not agree with its checksum: the disk lied.
    Damaged,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Gone => f.write_str("the message is finished"),
            ReadError::Disk(error) => write!(f, "reading a stored message: {error}"),
            ReadError::Damaged => f.write_str("a stored message does not agree with its checksum"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Reads envelopes and bodies; clone it freely.
#[derive(Clone)]
pub struct Reader<D: Disk> {
    disk: D,
}

impl<D: Disk> Reader<D> {
    pub(crate) fn new(disk: D) -> Reader<D> {
        Reader { disk }
    }

    /// The envelope as it was accepted, checked; what has become of it since is in its
    /// [`crate::Brief`].
    ///
    /// # Errors
    /// [`ReadError`]; never an envelope that is not the message's.
    pub fn envelope(&self, location: &Location) -> Result<Envelope, ReadError> {
        let extent = location.0.extent;
        let meta = location.steadily(|place| {
            let (name, offset) = segment_at(place);
            let file = self.disk.open(&name).map_err(ReadError::Disk)?;
            let mut meta = vec![0; extent.meta_bytes as usize];
            fill(&file, offset + HEAD_BYTES, &mut meta)?;
            Ok(meta)
        })?;
        if crc32c::crc32c(&meta) != extent.meta_checksum {
            return Err(ReadError::Damaged);
        }
        codec::read_message(location.0.id, &meta).map(|(envelope, _)| envelope).ok_or(ReadError::Damaged)
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
        let left = self.location.size_bytes() - self.at;
        if left == 0 {
            return if self.checksum == self.location.checksum() { Ok(None) } else { Err(ReadError::Damaged) };
        }
        let count = usize::try_from(left).map_or(limit.max(1), |left| left.min(limit.max(1)));
        let mut chunk = vec![0; count];
        self.fill(&mut chunk)?;
        self.checksum = crc32c::crc32c_append(self.checksum, &chunk);
        self.at += count as u64;
        if self.at == self.location.size_bytes() && self.checksum != self.location.checksum() {
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
        let location = self.location.clone();
        location.steadily(|place| {
            let (file, begin) = self.file_at(place).map_err(ReadError::Disk)?;
            fill(&file, begin + self.at, chunk)
        })
    }

    /// The file that holds the body of a record at a place, and where it begins in it.
    fn file_at(&mut self, place: u64) -> io::Result<(D::File, u64)> {
        let Extent { own_file, meta_bytes, .. } = self.location.0.extent;
        // A file of its own is the same wherever the record goes.
        let (key, name, begin) = if own_file {
            (0, file_name(self.location.0.id), 0)
        } else {
            let (name, offset) = segment_at(place);
            (place, name, offset + HEAD_BYTES + u64::from(meta_bytes))
        };
        if let Some((at, file)) = &self.open
            && *at == key
        {
            return Ok((file.clone(), begin));
        }
        let file = self.disk.open(&name)?;
        self.open = Some((key, file.clone()));
        Ok((file, begin))
    }
}

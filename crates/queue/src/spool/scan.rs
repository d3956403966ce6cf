//! Walking through a segment: every record that was written in it, and every place that is none.
//!
//! Reads in large steps and holds one window. Where a record should be and is none, the walk looks
//! for the next head of the same segment and goes on there; what it passed over is a gap.

use super::Flaw;
use crate::disk::DiskFile;
use crate::log::HEADER_BYTES;
use crate::record::{BLOCK, BLOCK_BYTES, HEAD_BYTES, Head, Kind, MAGIC};
use std::io;

/// Octets read at once.
const WINDOW_BYTES: usize = 1 << 20;

static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// What stands at a place of a segment.
pub(crate) enum Found<'a> {
    /// A record that agrees with its checksums.
    Record { head: Head, offset: u64, meta: &'a [u8], body: &'a [u8] },
    /// No record, or one that does not agree. A head that could be read is named.
    Flaw { offset: u64, what: Flaw, head: Option<Head> },
}

/// A walk through one segment.
pub(crate) struct Scan<F> {
    window: Window<F>,
    number: u64,
    salt: u64,
    /// Where the segment ends, or where it is no longer to be believed.
    end: u64,
    at: u64,
    /// The block where the batch begins that the walk is in.
    batch: u64,
}

impl<F: DiskFile> Scan<F> {
    pub(crate) fn new(file: F, number: u64, salt: u64, end: u64) -> Scan<F> {
        let window = Window { file, end, base: 0, octets: Vec::new() };
        // A file may have been cut off within its header.
        Scan { window, number, salt, end, at: HEADER_BYTES.min(end), batch: 0 }
    }

    /// How far the walk has come.
    pub(crate) fn position(&self) -> u64 {
        self.at
    }

    /// What comes next; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Found<'_>>> {
        loop {
            let Some(head) = self.head_at(self.at)? else {
                if self.skip_padding()? {
                    continue;
                }
                return self.gap();
            };
            let offset = self.at;
            self.at += head.record_bytes();
            self.batch = u64::from(head.batch);
            return self.payload(head, offset).map(Some);
        }
    }

    /// The head at a place, if a record of this segment's present life can be there.
    fn head_at(&mut self, at: u64) -> io::Result<Option<Head>> {
        if at + HEAD_BYTES > self.end {
            return Ok(None);
        }
        let (number, salt, end, batch) = (self.number, self.salt, self.end, self.batch);
        let octets = self.window.get(at, HEAD_BYTES)?;
        let fits = |head: &Head| {
            let begins = u64::from(head.batch) * BLOCK_BYTES;
            head.segment == number
                && head.id.is_possible()
                && at + head.record_bytes() <= end
                && (HEADER_BYTES..=at).contains(&begins)
                && u64::from(head.batch) >= batch
                && (head.body_bytes == 0 || head.kind == Kind::Message)
        };
        Ok(Head::decode(octets, salt).filter(fits))
    }

    fn payload(&mut self, head: Head, offset: u64) -> io::Result<Found<'_>> {
        let meta_bytes = head.meta_bytes as usize;
        let length = u64::from(head.meta_bytes) + u64::from(head.body_bytes);
        let octets = self.window.get(offset + HEAD_BYTES, length)?;
        if octets.len() as u64 == length {
            let (meta, body) = octets.split_at(meta_bytes);
            if crc32c::crc32c(meta) == head.meta_checksum && crc32c::crc32c(body) == head.body_checksum {
                return Ok(Found::Record { head, offset, meta, body });
            }
        }
        Ok(Found::Flaw { offset, what: Flaw::Record, head: Some(head) })
    }

    /// Passes over the zeros between the last record of a batch and the next block.
    fn skip_padding(&mut self) -> io::Result<bool> {
        let boundary = self.at.next_multiple_of(BLOCK_BYTES).min(self.end);
        // A file that was cut off may end before the first record.
        if boundary <= self.at {
            return Ok(false);
        }
        let octets = self.window.get(self.at, boundary - self.at)?;
        let padding = *octets == ZEROS[..octets.len()];
        if padding {
            self.at = boundary;
        }
        Ok(padding)
    }

    /// Looks for the next head. What lies before it is a gap; what lies before the end is one only
    /// in the middle of a block, for behind the last batch anything may stand.
    fn gap(&mut self) -> io::Result<Option<Found<'_>>> {
        let offset = self.at;
        let next = self.find_head(offset)?;
        self.at = next.unwrap_or(self.end);
        let torn = !offset.is_multiple_of(BLOCK_BYTES) && offset < self.end;
        Ok((next.is_some() || torn).then_some(Found::Flaw { offset, what: Flaw::Gap, head: None }))
    }

    fn find_head(&mut self, from: u64) -> io::Result<Option<u64>> {
        let mut at = from;
        while at + HEAD_BYTES <= self.end {
            let octets = self.window.get(at, HEAD_BYTES)?;
            if (octets.len() as u64) < HEAD_BYTES {
                return Ok(None);
            }
            let octets = self.window.rest(at);
            let Some(found) = memchr::memmem::find(octets, &MAGIC) else {
                // A mark may lie across the end of the window.
                at += (octets.len() - MAGIC.len() + 1) as u64;
                continue;
            };
            at += found as u64;
            if at.is_multiple_of(8) && self.head_at(at)?.is_some() {
                return Ok(Some(at));
            }
            at += 1;
        }
        Ok(None)
    }
}

/// The part of the file that is in memory.
struct Window<F> {
    file: F,
    end: u64,
    base: u64,
    octets: Vec<u8>,
}

impl<F: DiskFile> Window<F> {
    /// Octets of the file; fewer than asked for only at the end.
    fn get(&mut self, at: u64, count: u64) -> io::Result<&[u8]> {
        let count = usize::try_from(count).map_err(io::Error::other)?;
        let inside = at >= self.base && at + count as u64 <= self.base + self.octets.len() as u64;
        if !inside {
            let left = usize::try_from(self.end.saturating_sub(at)).map_err(io::Error::other)?;
            self.fill(at, count.max(WINDOW_BYTES).min(left))?;
        }
        let from = usize::try_from(at - self.base).map_err(io::Error::other)?;
        let to = (from + count).min(self.octets.len());
        Ok(&self.octets[from.min(to)..to])
    }

    /// What is in memory from a place on.
    fn rest(&self, at: u64) -> &[u8] {
        usize::try_from(at - self.base).ok().and_then(|from| self.octets.get(from..)).unwrap_or_default()
    }

    fn fill(&mut self, at: u64, count: usize) -> io::Result<()> {
        self.base = at;
        self.octets.resize(count, 0);
        let mut done = 0;
        while done < count {
            match self.file.read_at(at + done as u64, &mut self.octets[done..]) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) => {
                    self.octets.clear();
                    return Err(error);
                }
            }
        }
        self.octets.truncate(done);
        Ok(())
    }
}

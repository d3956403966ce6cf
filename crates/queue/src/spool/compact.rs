//! Emptying segments that a few long-lived records keep from being reused.
//!
//! What is still needed of a segment is copied into the active one: the messages that live there,
//! what is remembered about living messages, and that messages are finished whose records are still
//! in other segments. A copy says the same as the record, so a crash at any moment leaves one of
//! them or both, and both are as good as one.

use super::batch::Staged;
use super::codec;
use super::scan::{Found, Scan};
use super::{Error, Spool};
use crate::disk::Disk;
use crate::log::{Health, Segment};
use crate::record::{Head, Kind};
use bytes::Bytes;

/// Octets that one step walks through, and at most stages (and one record more).
const STEP_BYTES: u64 = 1 << 20;
/// Segments beyond twice what is needed that are left alone.
const SLACK_SEGMENTS: u64 = 2;

/// A segment being emptied.
pub(crate) struct Cleaning<F> {
    number: u64,
    scan: Scan<F>,
}

impl<D: Disk> Spool<D> {
    /// One step of emptying a segment; true if there is more to do after the next flush.
    pub(crate) fn compact(&mut self) -> Result<bool, Error> {
        if self.log.active.is_none() {
            return Ok(false);
        }
        // The result of the last step is known when it has been flushed.
        if self.staged.has_copies() {
            return Ok(true);
        }
        let mut cleaning = match self.cleaning.take() {
            Some(cleaning) => cleaning,
            None => match self.choose() {
                Some(cleaning) => cleaning,
                None => return Ok(false),
            },
        };
        let done = self.clean(&mut cleaning)?;
        if done {
            // Whatever could not be read of it stays; trying again would find the same.
            self.emptied.insert(cleaning.number);
        } else {
            self.cleaning = Some(cleaning);
        }
        Ok(true)
    }

    /// The segment that is worth emptying: one that is not trusted, or the one of which least is
    /// needed if too many are kept. Never more than half of one is copied to win all of it, so
    /// writing everything twice is the worst that this can come to.
    fn choose(&mut self) -> Option<Cleaning<D::File>> {
        let log = &self.log;
        self.emptied.retain(|number| log.segments.contains_key(number));
        let open = |(number, segment): &(&u64, &Segment<D::File>)| {
            let wanted = log.active != Some(**number) && !log.is_frozen(**number) && segment.needed_bytes() > 0;
            wanted && !self.emptied.contains(*number)
        };
        let suspect = log.segments.iter().filter(open).find(|(_, segment)| segment.health != Health::Sound);
        let (kept, needed) = log
            .segments
            .values()
            .filter(|segment| segment.needed_bytes() > 0)
            .fold((0, 0), |(kept, needed), segment| (kept + segment.length, needed + segment.needed_bytes()));
        let crowded = kept > 2 * needed + SLACK_SEGMENTS * self.settings.segment_bytes;
        let tight = log.free_segments() == 0 && !log.can_grow(self.settings.reserve_bytes);
        let leanest = || {
            let (number, segment) =
                log.segments.iter().filter(open).min_by_key(|(_, segment)| segment.needed_bytes())?;
            (segment.needed_bytes() <= segment.length / 2).then_some((number, segment))
        };
        let (number, segment) = suspect.or_else(|| if crowded || tight { leanest() } else { None })?;
        let scan = Scan::new(segment.file.clone(), *number, segment.salt, segment.position);
        Some(Cleaning { number: *number, scan })
    }

    /// Walks a step further and stages what is needed; true at the end.
    fn clean(&mut self, cleaning: &mut Cleaning<D::File>) -> Result<bool, Error> {
        let begun = cleaning.scan.position();
        while cleaning.scan.position() < begun + STEP_BYTES {
            let found = match cleaning.scan.next() {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(true),
                Err(source) => {
                    self.emptied.insert(cleaning.number);
                    return Err(Error::Disk { during: "reading a segment", source });
                }
            };
            match found {
                Found::Record { head, meta, body, .. } => {
                    self.copy(cleaning.number, head, meta, body).into_iter().for_each(|copy| self.staged.push(copy));
                }
                Found::Flaw { head: Some(head), .. } => self.note_rot(cleaning.number, head),
                Found::Flaw { .. } => {}
            }
        }
        Ok(false)
    }

    /// A record that is no longer what it was. If a message lived in it, the segment is not written
    /// again; readers of the body are told by its checksum.
    fn note_rot(&mut self, number: u64, head: Head) {
        let lives_here = head.kind == Kind::Message && self.index.get(&head.id).is_some_and(|e| e.home == number);
        if let Some(segment) = self.log.segments.get_mut(&number).filter(|_| lives_here) {
            segment.health = Health::Damaged;
        }
    }

    /// The copy of a record, if it is needed and the segment is where it is needed from.
    fn copy(&self, from: u64, head: Head, meta: &[u8], body: &[u8]) -> Option<Staged> {
        let entry = self.index.get(&head.id).filter(|entry| !entry.finishing);
        let mut speaks_of = Vec::new();
        let mut body_chunks = Vec::new();
        match head.kind {
            Kind::Message => {
                entry.filter(|entry| entry.home == from)?;
                if !body.is_empty() {
                    body_chunks.push(Bytes::copy_from_slice(body));
                }
            }
            Kind::Attempt | Kind::Held | Kind::Released => {
                entry.filter(|entry| entry.remembers_in(from))?;
            }
            Kind::Finished => speaks_of = self.still_there(from, codec::read_finished(meta)?),
            Kind::Closed => speaks_of = self.still_there(from, vec![codec::read_closed(meta)?.segment]),
        }
        if matches!(head.kind, Kind::Finished | Kind::Closed) && speaks_of.is_empty() {
            return None;
        }
        let mut copy = Staged::fact(head.kind, head.id, head.turn, meta.to_vec());
        copy.body = body_chunks;
        copy.body_bytes = head.body_bytes;
        copy.body_checksum = head.body_checksum;
        copy.from = Some(from);
        copy.speaks_of = speaks_of;
        Some(copy)
    }

    fn still_there(&self, from: u64, numbers: Vec<u64>) -> Vec<u64> {
        numbers.into_iter().filter(|number| *number != from && self.log.segments.contains_key(number)).collect()
    }
}

//! Opening the spool: what was found becomes what is known, and a fresh segment is begun.
//!
//! The survey changes nothing, and what follows it only removes what no record names and writes the
//! header of a segment that nobody needs. So a start may be interrupted anywhere and begun again.

use super::index::Index;
use super::survey::Alive;
use super::{Damage, Error, Flaw, Ids, Queued, Recovery, Settings, Spool, Survey};
use crate::body;
use crate::disk::Disk;
use crate::envelope::MessageId;
use crate::log::{HEADER_BYTES, KEPT, Log, slot_name};
use crate::record::BLOCK_BYTES;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// The smallest segment that makes sense.
const SEGMENT_BYTES_LEAST: u64 = 64 << 10;
/// The largest: blocks are counted with 32 bits, offsets in locations with 40.
const SEGMENT_BYTES_MOST: u64 = 1 << 32;

impl<D: Disk> Spool<D> {
    /// Reads everything that is there, finds the messages that are still ours and makes the spool
    /// ready for more. May be interrupted at any point and begun again.
    ///
    /// # Errors
    /// [`Error::Disk`] when the directory itself cannot be read, [`Error::Version`] when it was
    /// written by a later release, [`Error::Settings`] when the settings contradict one another. A
    /// disk that can be read and not written gives a spool that [is broken](Spool::is_broken).
    pub fn open(disk: D, settings: Settings) -> Result<(Spool<D>, Recovery), Error> {
        check(&settings)?;
        let survey = Survey::new(&disk, |_| {})?;
        // A headless segment may have been the newest: whatever it was called must not come again.
        let hidden = u32::try_from(survey.headless.len() + survey.unreadable.len()).unwrap_or(u32::MAX);
        let incarnation = survey.incarnation.saturating_add(1).saturating_add(hidden);
        let mut spool = Spool {
            log: Log::new(disk.clone(), &settings),
            disk,
            settings,
            index: Index::default(),
            staged: super::batch::Stage::default(),
            ids: Ids(Arc::new(AtomicU64::new(u64::from(incarnation) << 32 | 1))),
            incarnation,
            doomed: Vec::new(),
            cleaning: None,
            emptied: BTreeSet::new(),
            written_bytes: 0,
            maintain_at: 0,
            copied_bytes: 0,
        };
        let mut recovery = spool.take_in(survey);
        recovery.broken = spool.restore().err();
        spool.log.look_at_free_space();
        Ok((spool, recovery))
    }

    /// Makes the survey the present state.
    fn take_in(&mut self, survey: Survey<D>) -> Recovery {
        let segments = survey.segments.len() + survey.blanks.len();
        self.index.reserve(survey.messages.len());
        let mut messages = Vec::with_capacity(survey.messages.len());
        for (id, Alive { entry, brief, retry_at }) in survey.messages {
            messages.push(Queued { id, brief, location: entry.location.clone(), retry_at });
            self.index.insert(id, entry);
        }
        self.clear_bodies(&survey.bodies, &survey.damages);
        self.take_in_segments(survey.segments, &survey.open);
        for (slot, file, length) in survey.blanks {
            self.log.found_blank(slot, file, length);
        }
        for slot in survey.headless {
            self.log.seen(slot);
            // Left where it is if that fails; it is found again at the next start.
            let _ = self.disk.rename(&slot_name(slot), &format!("{KEPT}{}-{}", slot_name(slot), self.incarnation));
        }
        survey.unreadable.into_iter().for_each(|slot| self.log.seen(slot));
        if survey.damages.iter().any(|damage| damage.what == Flaw::Unreadable) {
            self.log.freeze();
        }
        Recovery {
            messages,
            diagnoses: survey.diagnoses,
            damages: survey.damages,
            kept: survey.kept,
            broken: None,
            segments,
            bytes_read: survey.bytes_read,
        }
    }

    fn take_in_segments(
        &mut self,
        segments: BTreeMap<u64, crate::log::Segment<D::File>>,
        open: &[super::codec::Closed],
    ) {
        segments.into_iter().for_each(|(number, segment)| self.log.found(number, segment));
        for closed in open {
            // What was read may be known to the kernel only, after a crash of the process alone.
            self.log.settle(closed.segment);
            self.stage_closed(*closed);
        }
    }

    /// Removes the body files that no message names. After damage they may be all that is left of a
    /// message, and are put aside instead; while something cannot be read they stay, because the
    /// record that names them may be found at the next start.
    fn clear_bodies(&self, bodies: &[MessageId], damages: &[Damage]) {
        if damages.iter().any(|damage| damage.what == Flaw::Unreadable) {
            return;
        }
        for id in bodies.iter().filter(|id| !self.index.contains_key(id)) {
            let name = body::file_name(*id);
            // Left where it is if that fails; it is found again at the next start.
            let _ = if damages.is_empty() {
                self.disk.remove(&name)
            } else {
                self.disk.rename(&name, &format!("{KEPT}{name}"))
            };
        }
    }
}

fn check(settings: &Settings) -> Result<(), Error> {
    let segment = settings.segment_bytes;
    let wrong =
        if !segment.is_multiple_of(BLOCK_BYTES) || !(SEGMENT_BYTES_LEAST..=SEGMENT_BYTES_MOST).contains(&segment) {
            "a segment must be whole blocks of 4096 octets, from 64 KiB to 4 GiB"
        } else if settings.body_file_over_bytes > (segment - HEADER_BYTES) / 4 {
            "a body larger than a quarter of a segment needs a file of its own"
        } else if settings.spare_segments == 0 {
            "one empty segment must be kept"
        } else {
            return Ok(());
        };
    Err(Error::Settings(wrong))
}

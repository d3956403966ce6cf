//! Which messages are alive and which records say so.

use super::codec::Place;
use super::reader::Location;
use super::survey::Kept;
use crate::log::Segment;
use std::collections::BTreeMap;

/// A message that is alive.
pub(crate) struct Entry {
    pub(crate) location: Location,
    /// The segment of its record.
    pub(crate) home: u64,
    pub(crate) record_bytes: u64,
    /// Segments that hold older copies of its record; some may be gone.
    former: Vec<u64>,
    /// The segments of what is remembered about it, and the octets there.
    facts: Vec<(u64, u64)>,
    /// The turn of the next fact.
    turn: u32,
    /// That it is finished is staged already.
    pub(crate) finishing: bool,
}

impl Entry {
    pub(crate) fn new(location: Location, home: u64, record_bytes: u64) -> Entry {
        let (former, facts) = (Vec::new(), Vec::new());
        Entry { location, home, record_bytes, former, facts, turn: 1, finishing: false }
    }

    /// The entry of a message that was found on the disk.
    pub(crate) fn found(kept: &Kept) -> Entry {
        let id = kept.envelope.id;
        let location = match kept.place {
            Place::Inline => Location::in_segment(id, kept.body_bytes, kept.body_checksum, kept.slot, kept.body_at),
            Place::File { size, checksum } => Location::in_file(id, size, checksum),
        };
        Entry {
            location,
            home: kept.home,
            record_bytes: kept.record_bytes,
            former: kept.former.clone(),
            facts: kept.said.iter().map(|said| (said.segment, said.bytes)).collect(),
            turn: kept.said.iter().map(|said| said.turn.saturating_add(1)).max().unwrap_or(1),
            finishing: false,
        }
    }

    /// The turn of a new fact about the message.
    pub(crate) fn take_turn(&mut self) -> u32 {
        let turn = self.turn;
        self.turn = self.turn.saturating_add(1);
        turn
    }

    /// The segments that hold the message: what says that it is finished is needed while one of
    /// them is there.
    pub(crate) fn homes<F>(&self, segments: &BTreeMap<u64, Segment<F>>) -> Vec<u64> {
        let all = self.former.iter().chain([&self.home]);
        all.copied().filter(|home| segments.contains_key(home)).collect()
    }

    /// The record has a copy in another segment now, and lives there.
    pub(crate) fn moved<F>(&mut self, to: u64, segments: &mut BTreeMap<u64, Segment<F>>) {
        if let Some(old) = segments.get_mut(&self.home) {
            old.live -= 1;
            old.live_bytes -= self.record_bytes;
        }
        self.former.retain(|home| segments.contains_key(home));
        self.former.push(self.home);
        self.home = to;
        self.settled(segments);
    }

    /// The record counts in its home.
    pub(crate) fn settled<F>(&self, segments: &mut BTreeMap<u64, Segment<F>>) {
        if let Some(home) = segments.get_mut(&self.home) {
            home.live += 1;
            home.live_bytes += self.record_bytes;
        }
    }

    /// Something is remembered about it in a segment; if it is a copy, no longer in the other.
    pub(crate) fn remembered<F>(
        &mut self,
        from: Option<u64>,
        to: u64,
        bytes: u64,
        segments: &mut BTreeMap<u64, Segment<F>>,
    ) {
        if let Some(at) = self.facts.iter().position(|fact| from == Some(fact.0) && fact.1 == bytes) {
            let (number, bytes) = self.facts.swap_remove(at);
            if let Some(segment) = segments.get_mut(&number) {
                segment.fact_bytes -= bytes;
            }
        }
        self.facts.push((to, bytes));
        if let Some(segment) = segments.get_mut(&to) {
            segment.fact_bytes += bytes;
        }
    }

    /// Whether a segment says something about it that is needed.
    pub(crate) fn remembers_in(&self, number: u64) -> bool {
        self.facts.iter().any(|fact| fact.0 == number)
    }

    /// Nothing about the message is needed any more.
    pub(crate) fn released<F>(&self, segments: &mut BTreeMap<u64, Segment<F>>) {
        if let Some(home) = segments.get_mut(&self.home) {
            home.live -= 1;
            home.live_bytes -= self.record_bytes;
        }
        for (number, bytes) in &self.facts {
            if let Some(segment) = segments.get_mut(number) {
                segment.fact_bytes -= bytes;
            }
        }
    }
}

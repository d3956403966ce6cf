//! Which messages are alive and which records say so.

use super::reader::Location;
use crate::envelope::MessageId;
use crate::log::Segment;
use std::collections::BTreeMap;

/// A message that is alive. There may be hundreds of thousands: what few of them have is elsewhere.
pub(crate) struct Entry {
    pub(crate) location: Location,
    /// The segment of its record.
    pub(crate) home: u64,
    /// `None` as long as nothing has become of it.
    past: Option<Box<Past>>,
    /// The turn of the next fact.
    turn: u32,
    /// That it is finished is staged already.
    pub(crate) finishing: bool,
}

const _: () = assert!(size_of::<Entry>() == 32);

/// The messages that are alive. A tree would take half as much again.
#[expect(clippy::disallowed_types, reason = "it is only looked up; what is listed at a start comes from the survey")]
pub(crate) type Index = std::collections::HashMap<MessageId, Entry>;

/// What has become of a message, as far as segments are concerned.
#[derive(Default)]
struct Past {
    /// Segments that hold older copies of its record; some may be gone.
    former: Vec<u64>,
    /// The segments of what is remembered about it, and the octets there.
    facts: Vec<(u64, u64)>,
}

impl Entry {
    pub(crate) fn new(location: Location, home: u64) -> Entry {
        Entry { location, home, past: None, turn: 1, finishing: false }
    }

    /// Octets of its record.
    pub(crate) fn record_bytes(&self) -> u64 {
        self.location.record_bytes()
    }

    /// A fact with this turn is on the disk.
    pub(crate) fn heard(&mut self, turn: u32) {
        self.turn = self.turn.max(turn.saturating_add(1));
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
        let all = self.former().iter().chain([&self.home]);
        all.copied().filter(|home| segments.contains_key(home)).collect()
    }

    /// A segment holds an older copy of the record.
    pub(crate) fn was_in(&mut self, number: u64) {
        if self.home != number && !self.former().contains(&number) {
            push(&mut self.past.get_or_insert_default().former, number);
        }
    }

    /// The record has a copy in another segment now, and lives there.
    pub(crate) fn moved<F>(&mut self, to: u64, segments: &mut BTreeMap<u64, Segment<F>>) {
        if let Some(old) = segments.get_mut(&self.home) {
            old.live -= 1;
            old.live_bytes -= self.record_bytes();
        }
        let past = self.past.get_or_insert_default();
        past.former.retain(|home| segments.contains_key(home));
        push(&mut past.former, self.home);
        self.home = to;
        self.settled(segments);
    }

    /// The record counts in its home.
    pub(crate) fn settled<F>(&self, segments: &mut BTreeMap<u64, Segment<F>>) {
        if let Some(home) = segments.get_mut(&self.home) {
            home.live += 1;
            home.live_bytes += self.record_bytes();
        }
    }

    /// Something is remembered about it in a segment, as a start has found.
    pub(crate) fn found(&mut self, number: u64, bytes: u64) {
        push(&mut self.past.get_or_insert_default().facts, (number, bytes));
    }

    /// What counts in segments on its account.
    pub(crate) fn count<F>(&self, segments: &mut BTreeMap<u64, Segment<F>>) {
        self.settled(segments);
        for (number, bytes) in self.facts() {
            if let Some(segment) = segments.get_mut(number) {
                segment.fact_bytes += bytes;
            }
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
        let facts = &mut self.past.get_or_insert_default().facts;
        if let Some(at) = facts.iter().position(|fact| from == Some(fact.0) && fact.1 >= bytes) {
            let (number, left) = (facts[at].0, facts[at].1 - bytes);
            facts[at].1 = left;
            if left == 0 {
                facts.swap_remove(at);
            }
            if let Some(segment) = segments.get_mut(&number) {
                segment.fact_bytes -= bytes;
            }
        }
        match facts.iter_mut().find(|fact| fact.0 == to) {
            Some(fact) => fact.1 += bytes,
            None => push(facts, (to, bytes)),
        }
        if let Some(segment) = segments.get_mut(&to) {
            segment.fact_bytes += bytes;
        }
    }

    /// Whether a segment says something about it that is needed.
    pub(crate) fn remembers_in(&self, number: u64) -> bool {
        self.facts().iter().any(|fact| fact.0 == number)
    }

    /// Nothing about the message is needed any more.
    pub(crate) fn released<F>(&self, segments: &mut BTreeMap<u64, Segment<F>>) {
        if let Some(home) = segments.get_mut(&self.home) {
            home.live -= 1;
            home.live_bytes -= self.record_bytes();
        }
        for (number, bytes) in self.facts() {
            if let Some(segment) = segments.get_mut(number) {
                segment.fact_bytes -= bytes;
            }
        }
    }

    fn former(&self) -> &[u64] {
        self.past.as_ref().map_or(&[], |past| &past.former)
    }

    fn facts(&self) -> &[(u64, u64)] {
        self.past.as_ref().map_or(&[], |past| &past.facts)
    }
}

/// There is rarely a second one, so no room is made for it.
fn push<T>(list: &mut Vec<T>, value: T) {
    list.reserve_exact(1);
    list.push(value);
}

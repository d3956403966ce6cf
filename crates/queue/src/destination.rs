//! Destinations: one way out (a connector and a next hop, or a drop directory), what waits for it,
//! and how it has been lately.
//!
//! A destination is an opaque name to the schedule; the gateway makes it and knows how to go there.
//! Every item of a destination stands in exactly one row of each of its two books: *when it is to
//! be attempted* (due or later) and *when its sender must hear of it* (fresh, told, or on grace);
//! items that are held or under way stand in neither.

use crate::envelope::MessageId;
use crate::retry::Retry;
use mail::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

/// A destination, by the number the schedule gave it. Numbers are never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DestinationId(pub(crate) u32);

/// The delivery settings that hold for one destination (reference 1.3 and 1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// When to try again, to tell, to give up. After failed connections it is the destination that
    /// rests by these intervals.
    pub retry: Retry,
    /// Connections it may have at once; at least one.
    pub connections: u32,
    /// Messages one connection may carry before a new one must be opened; at least one.
    pub messages_per_connection: u32,
}

impl Default for Terms {
    /// 100 connections, 20 messages each (reference 1.3, 1.4).
    fn default() -> Terms {
        Terms { retry: Retry::default(), connections: 100, messages_per_connection: 20 }
    }
}

/// The state of a destination as the queue view shows it (reference 6.4). The view's Scheduled,
/// Remote and Disabled have no counterpart: nothing here waits for a window or for the peer's ETRN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DestinationState {
    /// A connection is open.
    Active,
    /// It has mail, or may have, and can be connected to.
    Ready,
    /// It failed, or everything for it was deferred; it waits for the next attempt.
    Retry,
    /// An administrator stopped it; it still takes new mail.
    Frozen,
}

/// If a destination was served nothing for this long although something is due, one connection more
/// is opened even where the open ones could carry everything: one of them may have stalled.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long a destination waits when this host was short of something.
pub(crate) const SHORTAGE: Duration = Duration::from_secs(2);

/// How long no connection is added after one failed although others are at work.
pub(crate) const CROWDED: Duration = Duration::from_secs(60);

/// A set ordered by time, oldest first, and then by age of the message.
pub(crate) type Timeline = BTreeSet<(Timestamp, MessageId)>;

/// Everything the schedule knows about one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) name: Box<str>,
    pub(crate) terms: Terms,
    /// To be attempted as soon as there is a connection; by due time.
    pub(crate) due: Timeline,
    /// To be attempted at a later time; by due time.
    pub(crate) later: Timeline,
    /// Neither told nor given up; by the time of receipt, as are all that follow.
    pub(crate) fresh: Timeline,
    /// The sender knows that it is late.
    pub(crate) told: Timeline,
    /// Too old already when it was admitted: attempted once before it is given up.
    pub(crate) grace: Timeline,
    /// An administrator holds it back.
    pub(crate) held: Timeline,
    /// A connection carries it.
    pub(crate) carried: Timeline,
    /// Open connections.
    pub(crate) connections: u32,
    /// How many messages more the open connections may carry.
    pub(crate) capacity: u64,
    /// When a connection last took something.
    pub(crate) served: Timestamp,
    /// Connections that failed since one last succeeded.
    pub(crate) failures: u32,
    /// After a failure: no connection before this.
    pub(crate) rests_until: Option<Timestamp>,
    /// What the last failure was, in words.
    pub(crate) last_error: Option<Box<str>>,
    /// An administrator stopped it.
    pub(crate) frozen: bool,
    /// Octets of everything that waits.
    pub(crate) size_bytes: u64,
}

impl Destination {
    pub(crate) fn new(name: Box<str>, terms: Terms) -> Destination {
        Destination {
            name,
            terms,
            due: Timeline::new(),
            later: Timeline::new(),
            fresh: Timeline::new(),
            told: Timeline::new(),
            grace: Timeline::new(),
            held: Timeline::new(),
            carried: Timeline::new(),
            connections: 0,
            capacity: 0,
            served: Timestamp::default(),
            failures: 0,
            rests_until: None,
            last_error: None,
            frozen: false,
            size_bytes: 0,
        }
    }

    /// Moves what has become due to where it is taken from. A clock that jumps back changes nothing.
    pub(crate) fn ripen(&mut self, now: Timestamp) {
        while let Some(&first) = self.later.first().filter(|(at, _)| *at <= now) {
            self.later.remove(&first);
            self.due.insert(first);
        }
        if self.rests_until.is_some_and(|until| until <= now) {
            self.rests_until = None;
        }
    }

    /// How many connections it may have now: one while it is not known to have recovered.
    pub(crate) fn allowed(&self) -> u32 {
        if self.failures > 0 { 1 } else { self.terms.connections.max(1) }
    }

    /// Whether an open connection has something to carry. A rest does not stop connections that work.
    pub(crate) fn can_carry(&self) -> bool {
        !self.frozen && !self.due.is_empty()
    }

    /// Whether a connection more is allowed and would help.
    pub(crate) fn wants_connection(&self, now: Timestamp) -> bool {
        self.can_carry()
            && self.rests_until.is_none()
            && self.connections < self.allowed()
            && (!self.is_covered() || now >= self.impatient_at())
    }

    /// When there is something new to do without anybody doing anything: a rest is over, something
    /// becomes due, patience runs out.
    pub(crate) fn wakes_at(&self) -> Option<Timestamp> {
        if self.frozen {
            return None;
        }
        let later = self.later.first().map(|(at, _)| *at);
        let rested = self.rests_until.filter(|until| !self.due.is_empty() || later.is_some_and(|at| at <= *until));
        if self.connections == 0 && rested.is_some() {
            return rested;
        }
        let may_grow = !self.due.is_empty() && self.rests_until.is_none() && self.connections < self.allowed();
        let impatient = (may_grow && self.is_covered()).then(|| self.impatient_at());
        [later, rested, impatient].into_iter().flatten().min()
    }

    /// When a sender must hear of something.
    pub(crate) fn tells_at(&self) -> Option<Timestamp> {
        [self.warns_at(), self.expires_at().map(|(at, _)| at)].into_iter().flatten().min()
    }

    /// When the sender of the oldest message must be told that it is late.
    pub(crate) fn warns_at(&self) -> Option<Timestamp> {
        self.fresh.first().map(|(received, _)| self.terms.retry.late_at(*received))
    }

    /// When the oldest message must be given up, and which book it stands in.
    pub(crate) fn expires_at(&self) -> Option<(Timestamp, MessageId)> {
        let oldest = [self.fresh.first(), self.told.first()].into_iter().flatten().min()?;
        Some((self.terms.retry.expires_at(oldest.0), oldest.1))
    }

    /// A connection could not be made or was of no use; it is no longer among the open ones.
    pub(crate) fn failed(&mut self, error: Box<str>, now: Timestamp) {
        self.last_error = Some(error);
        if self.connections > 0 {
            // Others are still at work: the peer takes no more at once, or is about to fail them as
            // well. The last one to fail decides.
            self.rests_until = self.rests_until.max(Some(now.after(CROWDED)));
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.rests_until = Some(self.terms.retry.next_attempt(self.failures, now));
        // The attempt that grace was for has been made, if in vain.
        self.told.append(&mut self.grace);
    }

    /// A connection could not be made because this host was short of something.
    pub(crate) fn postponed(&mut self, error: Box<str>, now: Timestamp) {
        self.last_error = Some(error);
        self.rests_until = self.rests_until.max(Some(now.after(SHORTAGE)));
    }

    /// A transaction took place: whatever waits only because of earlier failures may go.
    pub(crate) fn recovered(&mut self) {
        if self.failures > 0 {
            self.failures = 0;
            self.rests_until = None;
        }
        if self.rests_until.is_none() {
            self.last_error = None;
        }
    }

    /// Its state for the queue view.
    pub(crate) fn state(&self, now: Timestamp) -> DestinationState {
        if self.frozen {
            DestinationState::Frozen
        } else if self.connections > 0 {
            DestinationState::Active
        } else if self.next_retry(now).is_some() {
            DestinationState::Retry
        } else {
            DestinationState::Ready
        }
    }

    /// When the next attempt is, if there is anything to attempt and not at once.
    pub(crate) fn next_retry(&self, now: Timestamp) -> Option<Timestamp> {
        let rested = self.rests_until.filter(|until| *until > now);
        let first = [self.due.first(), self.later.first()].into_iter().flatten().min()?;
        let due = Some(first.0).filter(|at| *at > now);
        rested.max(due)
    }

    /// How many messages wait or are under way.
    pub(crate) fn messages(&self) -> usize {
        self.due.len() + self.later.len() + self.held.len() + self.carried.len()
    }

    /// When the oldest of them was received.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        let books = [&self.fresh, &self.told, &self.grace, &self.held, &self.carried];
        books.into_iter().filter_map(|book| book.first()).map(|(received, _)| *received).min()
    }

    /// Whether the open connections can carry everything that is due.
    fn is_covered(&self) -> bool {
        self.connections > 0 && self.due.len() as u64 <= self.capacity
    }

    fn impatient_at(&self) -> Timestamp {
        let due = self.due.first().map_or(self.served, |(at, _)| *at);
        due.max(self.served).after(PATIENCE)
    }
}

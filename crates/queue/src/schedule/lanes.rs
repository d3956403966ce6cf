//! Who is next: the destinations that could do something now, and when the others could.
//!
//! Each destination stands in a lane only while it has business there, so the next one is found
//! without looking at those that wait. Whatever changes a destination marks it; marked destinations
//! are placed anew before the lanes are read.

use crate::destination::{Destination, DestinationId};
use mail::Timestamp;
use std::collections::BTreeSet;

#[derive(Clone, Debug, Default)]
pub(super) struct Lanes {
    /// An idle connection and something due; least recently served first.
    reuse: BTreeSet<(u64, DestinationId)>,
    /// Wants a connection more; fewest open first, then least recently served. So one that holds
    /// many connections never stands before one that has none.
    open: BTreeSet<(u32, u64, DestinationId)>,
    /// When a sender must hear of something.
    tell: BTreeSet<(Timestamp, DestinationId)>,
    /// When a destination must be looked at again.
    wake: BTreeSet<(Timestamp, DestinationId)>,
    /// Where each destination stands, by its number.
    places: Vec<Place>,
    marked: Vec<DestinationId>,
    turn: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    reuse: Option<u64>,
    open: Option<(u32, u64)>,
    tell: Option<Timestamp>,
    wake: Option<Timestamp>,
    /// The turn in which it was last served.
    turn: u64,
    marked: bool,
}

impl Lanes {
    /// A destination more; they are numbered in the order of these calls.
    pub(super) fn add(&mut self) {
        self.places.push(Place::default());
    }

    /// Something about the destination has changed.
    pub(super) fn mark(&mut self, id: DestinationId) {
        let place = &mut self.places[id.0 as usize];
        if !place.marked {
            place.marked = true;
            self.marked.push(id);
        }
    }

    /// The destination had its turn.
    pub(super) fn served(&mut self, id: DestinationId) {
        self.mark(id);
        self.turn += 1;
        let turn = self.turn;
        let place = &mut self.places[id.0 as usize];
        // Its old keys are taken out before the turn they contain is forgotten.
        if let Some(turn) = place.reuse.take() {
            self.reuse.remove(&(turn, id));
        }
        if let Some((connections, turn)) = place.open.take() {
            self.open.remove(&(connections, turn, id));
        }
        place.turn = turn;
    }

    /// Marks those whose time has come, and returns all that must be placed anew.
    pub(super) fn marked(&mut self, now: Timestamp) -> Vec<DestinationId> {
        while let Some((_, id)) = self.wake.first().copied().filter(|(at, _)| *at <= now) {
            self.wake.pop_first();
            self.places[id.0 as usize].wake = None;
            self.mark(id);
        }
        std::mem::take(&mut self.marked)
    }

    /// Puts a destination where it now belongs.
    pub(super) fn place(&mut self, id: DestinationId, destination: &Destination, has_idle: bool, now: Timestamp) {
        let place = &mut self.places[id.0 as usize];
        let old = *place;
        let reuse = has_idle && destination.can_carry();
        let open = !reuse && destination.wants_connection(now);
        place.marked = false;
        place.reuse = reuse.then_some(old.turn);
        place.open = open.then_some((destination.connections, old.turn));
        place.tell = destination.tells_at();
        place.wake = destination.wakes_at().filter(|at| *at > now);
        let new = *place;
        move_key(&mut self.reuse, old.reuse.map(|turn| (turn, id)), new.reuse.map(|turn| (turn, id)));
        move_key(&mut self.open, old.open.map(|(n, turn)| (n, turn, id)), new.open.map(|(n, turn)| (n, turn, id)));
        move_key(&mut self.tell, old.tell.map(|at| (at, id)), new.tell.map(|at| (at, id)));
        move_key(&mut self.wake, old.wake.map(|at| (at, id)), new.wake.map(|at| (at, id)));
    }

    /// The next that can use an idle connection.
    pub(super) fn first_reuse(&self) -> Option<DestinationId> {
        self.reuse.first().map(|(_, id)| *id)
    }

    /// The next that wants a connection, and how many it has.
    pub(super) fn first_open(&self) -> Option<(u32, DestinationId)> {
        self.open.first().map(|(connections, _, id)| (*connections, *id))
    }

    /// The one whose sender must hear of something by now.
    pub(super) fn first_tell(&self, now: Timestamp) -> Option<DestinationId> {
        self.tell.first().filter(|(at, _)| *at <= now).map(|(_, id)| *id)
    }

    /// When there will be something to do if nothing happens.
    pub(super) fn wakes_at(&self) -> Option<Timestamp> {
        let tell = self.tell.first().map(|(at, _)| *at);
        let wake = self.wake.first().map(|(at, _)| *at);
        [tell, wake].into_iter().flatten().min()
    }
}

fn move_key<K: Ord>(lane: &mut BTreeSet<K>, old: Option<K>, new: Option<K>) {
    if old == new {
        return;
    }
    if let Some(old) = old {
        lane.remove(&old);
    }
    if let Some(new) = new {
        lane.insert(new);
    }
}

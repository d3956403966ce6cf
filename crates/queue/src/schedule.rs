//! The schedule: which message is attempted when, over which connection.
//!
//! Pure, given the time. It promises that an item is carried by at most one connection, that no
//! limit on connections is ever passed, that destinations take turns and the oldest due goes first
//! within one, and that a destination that is slow or dead costs the others nothing. It knows no
//! envelope and no reply; what it holds can be rebuilt from the spool at any moment.
//!
//! The driver's loop: perform what [`Schedule::next`] says until it says to wait. A connection it
//! was told to open carries the item that came with it, reports [`Schedule::finished`], asks for
//! [`Schedule::more`], may offer itself as [`Schedule::idle`] when there is none, and ends with
//! [`Schedule::closed`]. Outcomes are recorded in the spool before the schedule is told.

mod connection;
mod control;
mod item;
mod lanes;
mod places;
#[cfg(test)]
mod tests;
mod view;

pub use connection::{ConnectionEnd, ConnectionId, Disposition};
pub use control::Removed;
pub use item::Item;
pub use places::Places;
pub use view::Summary;

use crate::destination::{Destination, DestinationId, Terms};
use crate::envelope::MessageId;
use connection::Connection;
use item::Entry;
use lanes::Lanes;
use mail::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Connections all destinations may have together unless the settings say otherwise (reference 1.4).
const TOTAL_CONNECTIONS: u32 = 1000;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Open a connection to `item.destination` and attempt the item over it.
    Attempt {
        /// The new connection.
        connection: ConnectionId,
        /// The first message for it.
        item: Item,
    },
    /// Attempt the item over a connection that is open and idle.
    Use {
        /// The idle connection.
        connection: ConnectionId,
        /// The message for it.
        item: Item,
    },
    /// Close this idle connection: another destination needs its place.
    Close {
        /// The idle connection; it counts until [`Schedule::closed`] is called.
        connection: ConnectionId,
    },
    /// Tell the sender that the message is late. Said once; the schedule holds it for told.
    Warn {
        /// The message.
        message: MessageId,
    },
    /// The message has expired: fail these recipients and tell the sender. The items have left the schedule.
    GiveUp {
        /// The message.
        message: MessageId,
        /// Its expired parts; at least one, each with the destination whose
        /// [`Schedule::last_error`] says why.
        items: Vec<Item>,
    },
    /// Nothing before this moment unless something happens.
    WaitUntil(Timestamp),
    /// Nothing unless something happens.
    Idle,
}

/// The schedule.
#[derive(Clone, Debug)]
pub struct Schedule {
    total_connections: u32,
    names: BTreeMap<Box<str>, DestinationId>,
    destinations: Vec<Destination>,
    items: BTreeMap<(MessageId, DestinationId), Entry>,
    connections: BTreeMap<ConnectionId, Connection>,
    /// Open connections that have nothing to carry.
    idle: BTreeSet<(DestinationId, ConnectionId)>,
    /// The idle connection that is being closed so that another destination has a place.
    making_room: Option<ConnectionId>,
    lanes: Lanes,
    last_connection: u64,
    /// Whether the latest word was about telling; work and telling take turns.
    spoke: bool,
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule::new()
    }
}

impl Schedule {
    /// A schedule with nothing in it.
    #[must_use]
    pub fn new() -> Schedule {
        Schedule {
            total_connections: TOTAL_CONNECTIONS,
            names: BTreeMap::new(),
            destinations: Vec::new(),
            items: BTreeMap::new(),
            connections: BTreeMap::new(),
            idle: BTreeSet::new(),
            making_room: None,
            lanes: Lanes::default(),
            last_connection: 0,
            spoke: false,
        }
    }

    /// Sets how many connections all destinations may have together (at least one). Connections
    /// that are over a lowered limit finish their work.
    pub fn set_total_connections(&mut self, limit: u32) {
        self.total_connections = limit.max(1);
    }

    /// The number of the destination called `name`, from now on with these terms. Open connections
    /// keep the number of messages they were opened for. Destinations are never forgotten: the
    /// settings name them, so there are few.
    pub fn destination(&mut self, name: &str, terms: Terms) -> DestinationId {
        if let Some(&id) = self.names.get(name) {
            self.destinations[id.0 as usize].terms = terms;
            self.lanes.mark(id);
            return id;
        }
        let number = u32::try_from(self.destinations.len()).expect("invariant: fewer than 2^32 destinations");
        let id = DestinationId(number);
        self.names.insert(name.into(), id);
        self.destinations.push(Destination::new(name.into(), terms));
        self.lanes.add();
        id
    }

    /// Takes an item in. One that has already expired, because we were not running, is attempted
    /// once before it is given up. There is one item for a message and a destination: another one
    /// takes the place of the first, unless that is under way; then nothing happens and `false` is returned.
    pub fn admit(&mut self, item: Item, now: Timestamp) -> bool {
        let key = (item.message, item.destination);
        if self.items.get(&key).is_some_and(|entry| entry.carried) {
            return false;
        }
        self.take_out(key);
        let destination = &mut self.destinations[key.1.0 as usize];
        let grace = destination.terms.retry.is_expired(item.received, now);
        let entry = Entry::new(item, grace);
        destination.size_bytes = destination.size_bytes.saturating_add(entry.size_bytes);
        destination.enter(key.0, &entry);
        self.items.insert(key, entry);
        self.lanes.mark(key.1);
        true
    }

    /// What is to be done now. Called again and again until it says to wait.
    pub fn next(&mut self, now: Timestamp) -> Next {
        for id in self.lanes.marked(now) {
            let destination = &mut self.destinations[id.0 as usize];
            destination.ripen(now);
            let has_idle = self.idle.range((id, ConnectionId(0))..=(id, ConnectionId(u64::MAX))).next().is_some();
            self.lanes.place(id, destination, has_idle, now);
        }
        let word = if self.spoke { self.work(now) } else { self.tell(now) };
        if let Some(word) = word {
            self.spoke = !self.spoke;
            return word;
        }
        let other = if self.spoke { self.tell(now) } else { self.work(now) };
        match (other, self.lanes.wakes_at()) {
            (Some(word), _) => word,
            (None, Some(at)) => Next::WaitUntil(at),
            (None, None) => Next::Idle,
        }
    }

    /// The next message for a connection that has finished one; `None` when nothing is due for its
    /// destination or it has carried enough.
    pub fn more(&mut self, connection: ConnectionId, now: Timestamp) -> Option<Item> {
        let known = self.connections.get(&connection)?;
        if known.ending || known.room == 0 || known.carries.is_some() {
            return None;
        }
        let destination = known.destination;
        self.destinations[destination.0 as usize].ripen(now);
        self.lanes.mark(destination);
        self.destinations[destination.0 as usize].can_carry().then(|| self.take(destination, connection, now))
    }

    /// Tells what became of the item that the connection carries. Says `false`, and does nothing to
    /// any item, when it does not carry that message, or an administrator has removed it meanwhile.
    pub fn finished(&mut self, connection: ConnectionId, message: MessageId, disposition: Disposition) -> bool {
        let Some(known) = self.connections.get_mut(&connection).filter(|c| c.carries == Some(message)) else {
            return false;
        };
        known.carries = None;
        known.finished = known.finished.saturating_add(1);
        let id = known.destination;
        let destination = &mut self.destinations[id.0 as usize];
        destination.recovered();
        self.lanes.mark(id);
        let Some(entry) = self.items.get_mut(&(message, id)).filter(|entry| entry.carried) else { return false };
        match disposition {
            Disposition::Retry { recipients, at } if !recipients.is_empty() => {
                destination.leave(message, entry);
                entry.recipients = recipients;
                entry.due = at;
                entry.attempts = entry.attempts.saturating_add(1);
                entry.carried = false;
                entry.grace = false;
                destination.enter(message, entry);
            }
            Disposition::Retry { .. } | Disposition::Done => {
                self.take_out((message, id));
            }
        }
        true
    }

    /// The connection has nothing to carry and would stay open. Says whether it may: `false` means
    /// that it must be closed. [`Next::Use`] gives it work, [`Next::Close`] ends it, and it may be
    /// closed at any time.
    #[must_use]
    pub fn idle(&mut self, connection: ConnectionId) -> bool {
        let Some(known) = self.connections.get_mut(&connection) else { return false };
        if known.ending || known.room == 0 || known.carries.is_some() {
            return false;
        }
        self.idle.insert((known.destination, connection));
        self.lanes.mark(known.destination);
        true
    }

    /// The connection has ended. An item it still carried goes back as it was. A connection that
    /// finished nothing although it was given something has failed, whatever `end` says; after a
    /// failure the destination rests, then one connection alone tries.
    pub fn closed(&mut self, connection: ConnectionId, end: ConnectionEnd, now: Timestamp) {
        let Some(known) = self.connections.remove(&connection) else { return };
        let id = known.destination;
        self.idle.remove(&(id, connection));
        if self.making_room == Some(connection) {
            self.making_room = None;
        }
        let destination = &mut self.destinations[id.0 as usize];
        destination.connections -= 1;
        destination.capacity -= u64::from(known.room);
        let back = known.carries.and_then(|message| {
            let entry = self.items.get_mut(&(message, id)).filter(|entry| entry.carried)?;
            destination.leave(message, entry);
            entry.carried = false;
            destination.enter(message, entry);
            Some(())
        });
        match end {
            ConnectionEnd::Failed { error } => destination.failed(error, now),
            ConnectionEnd::Postponed { error } => destination.postponed(error, now),
            ConnectionEnd::Closed if known.finished == 0 && back.is_some() && !known.ending => {
                destination.failed("the connection ended before a message could be sent".into(), now);
            }
            ConnectionEnd::Closed => {}
        }
        self.lanes.mark(id);
    }

    /// Work for a connection, if there is any.
    fn work(&mut self, now: Timestamp) -> Option<Next> {
        if let Some(id) = self.lanes.first_reuse() {
            let range = (id, ConnectionId(0))..=(id, ConnectionId(u64::MAX));
            let (_, connection) = *self.idle.range(range).next().expect("invariant: the lane says one is idle");
            self.idle.remove(&(id, connection));
            let item = self.take(id, connection, now);
            return Some(Next::Use { connection, item });
        }
        let (connections, id) = self.lanes.first_open()?;
        let used = u32::try_from(self.connections.len()).unwrap_or(u32::MAX);
        let free = self.total_connections.saturating_sub(used);
        // No destination holds more connections than it leaves free, its first apart: however many
        // are slow, there is one for the next that comes. The lane is sorted by this number, so if
        // the first may not, none may.
        if free > 0 && (connections == 0 || connections < free) {
            let connection = self.open(id);
            let item = self.take(id, connection, now);
            return Some(Next::Attempt { connection, item });
        }
        (free == 0 && connections == 0).then(|| self.make_room()).flatten()
    }

    /// Ends an idle connection for the sake of a destination that has none. One at a time.
    fn make_room(&mut self) -> Option<Next> {
        if self.making_room.is_some() {
            return None;
        }
        let (_, connection) = *self.idle.first()?;
        self.end(connection);
        self.making_room = Some(connection);
        Some(Next::Close { connection })
    }

    /// Somebody who must hear of something, if there is anybody.
    fn tell(&mut self, now: Timestamp) -> Option<Next> {
        let id = self.lanes.first_tell(now)?;
        let destination = &self.destinations[id.0 as usize];
        if let Some((_, message)) = destination.expires_at().filter(|(at, _)| *at <= now) {
            return Some(Next::GiveUp { message, items: self.give_up(message, now) });
        }
        let (_, message) = *destination.fresh.first().expect("invariant: the lane says there is one");
        let keys: Vec<_> = self.keys(message).collect();
        for key in keys {
            let entry = self.items.get_mut(&key).expect("invariant: listed above");
            let destination = &mut self.destinations[key.1.0 as usize];
            let waits = !entry.held && !entry.carried;
            if waits {
                destination.leave(message, entry);
            }
            entry.warned = true;
            if waits {
                destination.enter(message, entry);
            }
            self.lanes.mark(key.1);
        }
        Some(Next::Warn { message })
    }

    /// Takes out every part of the message that has expired and that nobody holds or carries.
    fn give_up(&mut self, message: MessageId, now: Timestamp) -> Vec<Item> {
        let keys: Vec<_> = self.keys(message).collect();
        let mut items = Vec::new();
        for key in keys {
            let entry = &self.items[&key];
            let destination = &self.destinations[key.1.0 as usize];
            let at = (entry.received, message);
            let aged = destination.fresh.contains(&at) || destination.told.contains(&at);
            if aged && destination.terms.retry.is_expired(entry.received, now) {
                items.extend(self.take_out(key));
            }
        }
        items
    }

    fn open(&mut self, id: DestinationId) -> ConnectionId {
        self.last_connection += 1;
        let connection = ConnectionId(self.last_connection);
        let destination = &mut self.destinations[id.0 as usize];
        let room = destination.terms.messages_per_connection.max(1);
        destination.connections += 1;
        destination.capacity += u64::from(room);
        let known = Connection { destination: id, room, finished: 0, carries: None, ending: false };
        self.connections.insert(connection, known);
        connection
    }

    /// Gives the connection what has been due longest.
    fn take(&mut self, id: DestinationId, connection: ConnectionId, now: Timestamp) -> Item {
        let destination = &mut self.destinations[id.0 as usize];
        let (_, message) = *destination.due.first().expect("invariant: the caller saw that something is due");
        let entry = self.items.get_mut(&(message, id)).expect("invariant: what is due is an item");
        assert!(!entry.carried, "an item is carried by one connection at most");
        destination.leave(message, entry);
        entry.carried = true;
        destination.enter(message, entry);
        destination.served = now;
        destination.capacity -= 1;
        let known = self.connections.get_mut(&connection).expect("invariant: the caller has found it");
        assert!(known.room > 0 && known.carries.is_none(), "a connection carries one item, and not too many");
        known.room -= 1;
        known.carries = Some(message);
        let item = entry.item(message, id);
        self.idle.remove(&(id, connection));
        self.lanes.served(id);
        item
    }

    /// Makes a connection take nothing more.
    fn end(&mut self, connection: ConnectionId) {
        let Some(known) = self.connections.get_mut(&connection) else { return };
        let id = known.destination;
        self.destinations[id.0 as usize].capacity -= u64::from(std::mem::take(&mut known.room));
        known.ending = true;
        self.idle.remove(&(id, connection));
        self.lanes.mark(id);
    }

    /// Takes an item out altogether.
    fn take_out(&mut self, key: (MessageId, DestinationId)) -> Option<Item> {
        let entry = self.items.remove(&key)?;
        let destination = &mut self.destinations[key.1.0 as usize];
        destination.leave(key.0, &entry);
        destination.size_bytes = destination.size_bytes.saturating_sub(entry.size_bytes);
        self.lanes.mark(key.1);
        Some(entry.item(key.0, key.1))
    }

    /// The parts of a message.
    fn keys(&self, message: MessageId) -> impl Iterator<Item = (MessageId, DestinationId)> + '_ {
        let range = (message, DestinationId(0))..=(message, DestinationId(u32::MAX));
        self.items.range(range).map(|(key, _)| *key)
    }
}

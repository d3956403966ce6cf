//! The queue as an administrator sees it (reference 6.4).

use super::{ConnectionId, Item, Schedule};
use crate::destination::{DestinationId, DestinationState};
use crate::envelope::MessageId;
use mail::Timestamp;

/// One line of the queue view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary<'a> {
    /// The destination.
    pub destination: DestinationId,
    /// What the gateway called it.
    pub name: &'a str,
    /// Its state.
    pub state: DestinationState,
    /// Messages that wait or are under way, held ones included.
    pub messages: usize,
    /// How many of them are held.
    pub held: usize,
    /// Octets of all of them.
    pub size_bytes: u64,
    /// Open connections.
    pub connections: u32,
    /// When the oldest was received.
    pub oldest: Option<Timestamp>,
    /// When the next attempt is, if that is not now.
    pub next_retry: Option<Timestamp>,
    /// What the last failure was, if it has not been overcome.
    pub last_error: Option<&'a str>,
}

impl Schedule {
    /// Every destination, in the order in which they became known.
    pub fn summaries(&self, now: Timestamp) -> impl Iterator<Item = Summary<'_>> {
        (0..).zip(&self.destinations).map(move |(number, destination)| Summary {
            destination: DestinationId(number),
            name: &destination.name,
            state: destination.state(now),
            messages: destination.messages(),
            held: destination.held.len(),
            size_bytes: destination.size_bytes,
            connections: destination.connections,
            oldest: destination.oldest(),
            next_retry: destination.next_retry(now).filter(|_| !destination.frozen),
            last_error: destination.last_error.as_deref(),
        })
    }

    /// Every item, by message.
    pub fn items(&self) -> impl Iterator<Item = Item> + '_ {
        self.items.iter().map(|((message, id), entry)| entry.item(*message, *id))
    }

    /// The parts of one message.
    pub fn items_of(&self, message: MessageId) -> impl Iterator<Item = Item> + '_ {
        self.keys(message).map(|key| self.items[&key].item(key.0, key.1))
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What the gateway called a destination.
    #[must_use]
    pub fn name(&self, id: DestinationId) -> &str {
        &self.destinations[id.0 as usize].name
    }

    /// The destination called `name`, if there is one.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<DestinationId> {
        self.names.get(name).copied()
    }

    /// Whether no new connection to a destination is opened for now: it failed, or is frozen.
    #[must_use]
    pub fn is_resting(&self, id: DestinationId) -> bool {
        let destination = &self.destinations[id.0 as usize];
        destination.frozen || destination.rests_until.is_some()
    }

    /// The settings that hold for a destination.
    #[must_use]
    pub fn terms(&self, id: DestinationId) -> &crate::Terms {
        &self.destinations[id.0 as usize].terms
    }

    /// What the last failure of a destination was, if it has not been overcome.
    #[must_use]
    pub fn last_error(&self, id: DestinationId) -> Option<&str> {
        self.destinations[id.0 as usize].last_error.as_deref()
    }

    /// The open connections, each with its destination and the message it carries.
    pub fn connections(&self) -> impl Iterator<Item = (ConnectionId, DestinationId, Option<MessageId>)> + '_ {
        self.connections.iter().map(|(id, c)| (*id, c.destination, c.carries))
    }
}

//! An item, what is kept of it, and the books of its destination it is written in.

use super::Places;
use crate::destination::{Destination, DestinationId};
use crate::envelope::MessageId;
use mail::Timestamp;

/// A message, or the part of it that goes to one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The message.
    pub message: MessageId,
    /// Where this part goes.
    pub destination: DestinationId,
    /// For which of its recipients.
    pub recipients: Places,
    /// Not before this; a new message is due when it was received.
    pub due: Timestamp,
    /// When the message was received; its age decides about telling and giving up.
    pub received: Timestamp,
    /// Octets of the body, for the queue view.
    pub size_bytes: u64,
    /// Attempts so far.
    pub attempts: u32,
    /// The sender knows that the message is late.
    pub warned: bool,
    /// An administrator holds it back.
    pub held: bool,
}

/// What is kept of an item; its key has the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) recipients: Places,
    pub(super) due: Timestamp,
    pub(super) received: Timestamp,
    pub(super) size_bytes: u64,
    pub(super) attempts: u32,
    pub(super) warned: bool,
    pub(super) held: bool,
    /// A connection carries it.
    pub(super) carried: bool,
    /// It was too old when admitted, and gets one attempt before it is given up.
    pub(super) grace: bool,
}

const _: () = assert!(size_of::<Entry>() <= 48);

impl Entry {
    /// What is kept of `item`.
    pub(super) fn new(item: Item, grace: bool) -> Entry {
        Entry {
            recipients: item.recipients,
            due: item.due,
            received: item.received,
            size_bytes: item.size_bytes,
            attempts: item.attempts,
            warned: item.warned,
            held: item.held,
            carried: false,
            grace,
        }
    }

    /// The item it was made of.
    pub(super) fn item(&self, message: MessageId, destination: DestinationId) -> Item {
        Item {
            message,
            destination,
            recipients: self.recipients.clone(),
            due: self.due,
            received: self.received,
            size_bytes: self.size_bytes,
            attempts: self.attempts,
            warned: self.warned,
            held: self.held,
        }
    }
}

impl Destination {
    /// Writes an item into the books it belongs in.
    pub(super) fn enter(&mut self, message: MessageId, entry: &Entry) {
        let aged = (entry.received, message);
        if entry.carried {
            self.carried.insert(aged);
        } else if entry.held {
            self.held.insert(aged);
        } else {
            // Whether it is due yet is seen when the destination is next looked at.
            self.later.insert((entry.due, message));
            match (entry.grace, entry.warned) {
                (true, _) => self.grace.insert(aged),
                (false, true) => self.told.insert(aged),
                (false, false) => self.fresh.insert(aged),
            };
        }
    }

    /// Strikes an item out of all books.
    pub(super) fn leave(&mut self, message: MessageId, entry: &Entry) {
        let aged = (entry.received, message);
        if entry.carried {
            self.carried.remove(&aged);
        } else if entry.held {
            self.held.remove(&aged);
        } else {
            let at = (entry.due, message);
            let _ = self.due.remove(&at) || self.later.remove(&at);
            let _ = self.fresh.remove(&aged) || self.told.remove(&aged) || self.grace.remove(&aged);
        }
    }

    /// Makes an item due now, if it would be later.
    pub(super) fn bring_forward(&mut self, message: MessageId, entry: &mut Entry, now: Timestamp) {
        self.leave(message, entry);
        entry.due = entry.due.min(now);
        self.enter(message, entry);
    }
}

//! What an administrator does to the schedule (reference 6.4): hold and release a message, take it
//! out, try again now, freeze and unfreeze a destination.

use super::{ConnectionId, Item, Schedule};
use crate::destination::DestinationId;
use crate::envelope::MessageId;
use mail::Timestamp;

/// What was taken out of the schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The parts of the message, one for each destination.
    pub items: Vec<Item>,
    /// Connections that carry one of them at this moment. What they report about it is ignored, but
    /// the message may arrive all the same.
    pub under_way: Vec<ConnectionId>,
}

impl Schedule {
    /// Holds a message back. What is under way ends as it ends, and is held if it must be tried
    /// again. A held message is neither attempted nor told of nor given up. `false` if there is no such message.
    pub fn hold(&mut self, message: MessageId) -> bool {
        self.set_held(message, true)
    }

    /// Lets a held message go. `false` if there is no such message.
    pub fn release(&mut self, message: MessageId) -> bool {
        self.set_held(message, false)
    }

    /// Takes a message out; nothing more will be done for it. Reporting that to its sender is the
    /// caller's business. `None` if there is no such message.
    pub fn remove(&mut self, message: MessageId) -> Option<Removed> {
        let keys: Vec<_> = self.keys(message).collect();
        let carries = |id: &DestinationId| {
            self.connections.iter().find(|(_, c)| c.destination == *id && c.carries == Some(message))
        };
        let carried = keys.iter().filter(|key| self.items[*key].carried);
        let under_way = carried.filter_map(|(_, id)| carries(id)).map(|(connection, _)| *connection).collect();
        let items: Vec<_> = keys.into_iter().filter_map(|key| self.take_out(key)).collect();
        (!items.is_empty()).then_some(Removed { items, under_way })
    }

    /// Makes a message due now and ends the rest of its destinations. What is held stays held, what
    /// is frozen stays frozen. `false` if there is no such message.
    pub fn retry_message(&mut self, message: MessageId, now: Timestamp) -> bool {
        let keys: Vec<_> = self.keys(message).collect();
        for key in &keys {
            let entry = self.items.get_mut(key).expect("invariant: listed above");
            let destination = &mut self.destinations[key.1.0 as usize];
            destination.rests_until = None;
            destination.bring_forward(message, entry, now);
            self.lanes.mark(key.1);
        }
        !keys.is_empty()
    }

    /// Forces a connection: everything for the destination is due now, and its rest is over. If it
    /// was failing, one connection alone tries first. Takes time in proportion to what waits.
    pub fn retry_destination(&mut self, id: DestinationId, now: Timestamp) {
        let destination = &mut self.destinations[id.0 as usize];
        destination.rests_until = None;
        let waiting: Vec<MessageId> = destination.later.iter().map(|(_, message)| *message).collect();
        for message in waiting {
            let entry = self.items.get_mut(&(message, id)).expect("invariant: what waits is an item");
            destination.bring_forward(message, entry, now);
        }
        self.lanes.mark(id);
    }

    /// Stops a destination. Returns the connections that must be ended at once; until they are, they
    /// take nothing more. Mail for it is still admitted, grows old and expires.
    pub fn freeze(&mut self, id: DestinationId) -> Vec<ConnectionId> {
        self.destinations[id.0 as usize].frozen = true;
        self.lanes.mark(id);
        let open = self.connections.iter().filter(|(_, c)| c.destination == id);
        let open: Vec<ConnectionId> = open.map(|(connection, _)| *connection).collect();
        for connection in &open {
            self.end(*connection);
        }
        open
    }

    /// Lets a frozen destination go on.
    pub fn unfreeze(&mut self, id: DestinationId) {
        self.destinations[id.0 as usize].frozen = false;
        self.lanes.mark(id);
    }

    fn set_held(&mut self, message: MessageId, held: bool) -> bool {
        let keys: Vec<_> = self.keys(message).collect();
        for key in &keys {
            let entry = self.items.get_mut(key).expect("invariant: listed above");
            let destination = &mut self.destinations[key.1.0 as usize];
            destination.leave(message, entry);
            entry.held = held;
            destination.enter(message, entry);
            self.lanes.mark(key.1);
        }
        !keys.is_empty()
    }
}

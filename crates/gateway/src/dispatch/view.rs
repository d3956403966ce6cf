//! The queue as administrators see it: plain values that cross the control socket as JSON.

use super::Dispatcher;
use crate::world::World;
use queue::{Brief, Item, MessageId, Summary};
use serde::{Deserialize, Serialize};

/// The queue at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueView {
    /// Destinations that have messages, rest after a failure, or are frozen.
    pub destinations: Vec<DestinationView>,
    /// The messages that were asked for, oldest first.
    pub messages: Vec<MessageView>,
}

/// One destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationView {
    /// Its name.
    pub name: String,
    /// Active, Ready, Retry or Frozen (reference 6.4).
    pub state: String,
    /// Messages that wait or are under way.
    pub messages: usize,
    /// How many of them are held.
    pub held: usize,
    /// Octets of all of them.
    pub bytes: u64,
    /// Open connections.
    pub connections: u32,
    /// When it is tried next, if not now.
    pub next_retry: Option<String>,
    /// What went wrong last.
    pub last_error: Option<String>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageView {
    /// Its identifier.
    pub id: String,
    /// The virtual server that received it.
    pub server: String,
    /// When.
    pub received: String,
    /// Who it is from; empty for the null reverse-path.
    pub from: String,
    /// Octets.
    pub bytes: u64,
    /// An administrator holds it.
    pub held: bool,
    /// When its next attempt is due.
    pub due: Option<String>,
    /// Its recipients.
    pub recipients: Vec<RecipientView>,
}

/// One recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipientView {
    /// Whom.
    pub to: String,
    /// Pending, delivered or failed.
    pub state: String,
    /// How often it has been attempted.
    pub attempts: u32,
    /// What was said last.
    pub last: Option<String>,
    /// Where it goes, if it is still to go.
    pub destination: Option<String>,
}

impl<W: World> Dispatcher<W> {
    /// One destination as it stands in the schedule.
    pub(super) fn destination_view(&self, summary: &Summary<'_>) -> DestinationView {
        DestinationView {
            name: summary.name.to_owned(),
            state: format!("{:?}", summary.state),
            messages: summary.messages,
            held: summary.held,
            bytes: summary.size_bytes,
            connections: summary.connections,
            next_retry: summary.next_retry.map(|at| self.shown(at).to_string()),
            last_error: summary.last_error.map(str::to_owned),
        }
    }

    /// One message as it stands in the schedule.
    pub(super) fn message_view(&self, id: MessageId, brief: &Brief) -> MessageView {
        let schedule = &self.schedule;
        let items: Vec<Item> = schedule.items_of(id).collect();
        let recipients = brief.forward_paths().enumerate().filter_map(|(place, forward_path)| {
            let standing = brief.standing(place)?;
            let way = items.iter().find(|item| item.recipients.contains(place)).map(|item| item.destination);
            // Until a next hop has said something about the recipient, what is known is about its destination.
            let about_way = || way.and_then(|way| schedule.last_error(way)).map(str::to_owned);
            Some(RecipientView {
                to: forward_path.to_string(),
                state: format!("{:?}", standing.state).to_lowercase(),
                attempts: standing.attempts,
                last: standing.last.map(|last| last.text.to_string()).or_else(about_way),
                destination: way.map(|way| schedule.name(way).to_owned()),
            })
        });
        MessageView {
            id: id.to_string(),
            server: brief.server().to_owned(),
            received: brief.received().to_string(),
            from: brief.reverse_path().to_string(),
            bytes: brief.size_bytes(),
            held: brief.is_held(),
            due: items.iter().map(|item| item.due).min().map(|due| self.shown(due).to_string()),
            recipients: recipients.collect(),
        }
    }
}

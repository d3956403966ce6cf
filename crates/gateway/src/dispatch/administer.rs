//! What administrators may do to the queue. What they see of it is in [`super::view`].

use super::Dispatcher;
use super::view::QueueView;
use crate::event::Event;
use crate::keeper::Errand;
use crate::world::World;
use mail::Timestamp;
use queue::{Brief, ConnectionId, DestinationState, MessageId};
use serde::{Deserialize, Serialize};

/// Which messages are meant. Every field that is given must agree; none given means all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// These identifiers.
    #[serde(default)]
    pub ids: Vec<String>,
    /// The reverse-path contains this; `<>` is the null reverse-path.
    pub from: Option<String>,
    /// A recipient that is still to be attempted contains this.
    pub to: Option<String>,
    /// The name of a destination contains this.
    pub destination: Option<String>,
    /// Received by this virtual server.
    pub server: Option<String>,
    /// Received at least so many seconds ago.
    pub older_than_s: Option<u64>,
}

/// A question or command about the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueueCommand {
    /// Destinations and messages.
    List(Filter),
    /// One message with everything that has become of it.
    Show(String),
    /// How many messages a command would touch.
    Count(Filter),
    /// Attempt now.
    Retry(Filter),
    /// Hold back.
    Hold(Filter),
    /// Let go again.
    Release(Filter),
    /// Take out; the senders are told unless they are not to be.
    Delete {
        /// Which.
        filter: Filter,
        /// Whether their senders are told.
        report: bool,
    },
    /// Stop the destinations whose name contains this; their sessions end at once.
    Freeze(String),
    /// Let them go on.
    Unfreeze(String),
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueueAnswer {
    /// What was to be listed, or shown.
    View(QueueView),
    /// How many messages, or destinations, were touched or would be.
    Done(usize),
    /// There is no such message.
    NotFound(String),
}

impl<W: World> Dispatcher<W> {
    pub(super) fn administer(&mut self, command: QueueCommand) -> QueueAnswer {
        let now = self.gateway.world.now();
        let (word, touched) = match command {
            QueueCommand::List(filter) => return QueueAnswer::View(self.view(&filter, now)),
            QueueCommand::Show(id) => return self.show(id),
            QueueCommand::Count(filter) => return QueueAnswer::Done(self.matching(&filter, now).len()),
            QueueCommand::Retry(filter) => {
                ("retry", self.each(&filter, now, |all, id| _ = all.schedule.retry_message(id, all.clock.now())))
            }
            QueueCommand::Hold(filter) => ("hold", self.each(&filter, now, |all, id| all.set_held(id, true))),
            QueueCommand::Release(filter) => ("release", self.each(&filter, now, |all, id| all.set_held(id, false))),
            QueueCommand::Delete { filter, report } => {
                ("delete", self.each(&filter, now, |all, id| all.take_away(id, report)))
            }
            QueueCommand::Freeze(name) => ("freeze", self.freeze(&name, true)),
            QueueCommand::Unfreeze(name) => ("unfreeze", self.freeze(&name, false)),
        };
        self.gateway.recorder.record(&Event::Administered { command: word, touched });
        QueueAnswer::Done(touched)
    }

    fn each(&mut self, filter: &Filter, now: Timestamp, mut act: impl FnMut(&mut Self, MessageId)) -> usize {
        let ids = self.matching(filter, now);
        ids.iter().for_each(|id| act(self, *id));
        ids.len()
    }

    fn set_held(&mut self, id: MessageId, held: bool) {
        let Some(message) = self.messages.get_mut(&id) else { return };
        message.brief.set_held(held);
        if held {
            self.let_go(id);
            self.schedule.hold(id);
        } else {
            self.schedule.release(id);
        }
        self.outbox.push_back(if held { Errand::Held(id) } else { Errand::Released(id) });
    }

    fn freeze(&mut self, name: &str, frozen: bool) -> usize {
        let summaries = self.schedule.summaries(self.clock.now()).filter(|summary| summary.name.contains(name));
        let meant: Vec<_> = summaries.map(|summary| summary.destination).collect();
        for destination in &meant {
            if frozen {
                let open: Vec<ConnectionId> = self.schedule.freeze(*destination);
                open.iter().filter_map(|id| self.lines.get(id)).for_each(|line| line.cut.cancel());
            } else {
                self.schedule.unfreeze(*destination);
            }
        }
        self.cool();
        meant.len()
    }

    /// The identifiers of the messages that a filter means, oldest first.
    fn matching(&self, filter: &Filter, now: Timestamp) -> Vec<MessageId> {
        let means = |id: &MessageId| self.messages.get(id).is_some_and(|m| self.means(filter, *id, &m.brief, now));
        if filter.ids.is_empty() {
            let mut meant: Vec<MessageId> = self.messages.keys().copied().filter(|id| means(id)).collect();
            meant.sort_unstable();
            return meant;
        }
        filter.ids.iter().filter_map(|id| id.parse().ok()).filter(|id| means(id)).collect()
    }

    fn means(&self, filter: &Filter, id: MessageId, brief: &Brief, now: Timestamp) -> bool {
        let from = filter.from.as_ref().is_none_or(|from| format!("<{}>", brief.reverse_path()).contains(&**from));
        let to = filter
            .to
            .as_ref()
            .is_none_or(|to| brief.pending().any(|(_, forward_path)| forward_path.to_string().contains(&**to)));
        let server = filter.server.as_ref().is_none_or(|server| *brief.server() == **server);
        let age = filter.older_than_s.is_none_or(|age| now.since(brief.received()).as_secs() >= age);
        let way = filter.destination.as_ref().is_none_or(|name| {
            self.schedule.items_of(id).any(|item| self.schedule.name(item.destination).contains(&**name))
        });
        from && to && server && age && way
    }

    fn view(&self, filter: &Filter, now: Timestamp) -> QueueView {
        let wanted = filter.destination.as_deref().unwrap_or_default();
        QueueView {
            destinations: self
                .schedule
                .summaries(self.clock.now())
                .filter(|s| s.messages > 0 || matches!(s.state, DestinationState::Retry | DestinationState::Frozen))
                .filter(|summary| summary.name.contains(wanted))
                .map(|summary| self.destination_view(&summary))
                .collect(),
            messages: self
                .matching(filter, now)
                .iter()
                .filter_map(|id| Some(self.message_view(*id, &self.messages.get(id)?.brief)))
                .collect(),
        }
    }

    fn show(&self, id: String) -> QueueAnswer {
        let parsed: Option<MessageId> = id.parse().ok();
        match parsed.and_then(|id| self.messages.get(&id).map(|message| (id, message))) {
            None => QueueAnswer::NotFound(id),
            Some((id, message)) => QueueAnswer::View(QueueView {
                destinations: Vec::new(),
                messages: vec![self.message_view(id, &message.brief)],
            }),
        }
    }
}

//! Deleting messages. What is under way is broken off first, and what its next hop has said by then
//! still counts: a message must not be reported as deleted by one and delivered, or refused, by another.
//! The command is answered when everything it deletes has come to its end, and that is durable.

use super::{Dispatcher, Line, QueueAnswer};
use crate::world::World;
use queue::MessageId;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::oneshot;

/// Deletions that are not done yet.
#[derive(Default)]
pub(super) struct Deletions {
    /// Messages that go as soon as nothing carries or concludes them; whether their senders are told.
    doomed: BTreeMap<MessageId, bool>,
    unanswered: Vec<Unanswered>,
}

/// A command that waits for its answer.
struct Unanswered {
    /// What it deletes and is not gone yet.
    open: BTreeSet<MessageId>,
    said: QueueAnswer,
    answer: oneshot::Sender<QueueAnswer>,
}

impl Line {
    pub(super) fn carries_message(&self, id: MessageId) -> bool {
        self.carries.as_ref().is_some_and(|item| item.message == id)
    }

    /// Ends the connection at once. What its next hop has said by now it still tells.
    fn break_off(&mut self) {
        self.cut.cancel();
        self.jobs = None;
    }
}

impl<W: World> Dispatcher<W> {
    /// Takes a message out of the queue, now or as soon as it is not under way.
    pub(super) fn take_away(&mut self, id: MessageId, report: bool) {
        let mut carrying: Vec<&mut Line> = self.lines.values_mut().filter(|line| line.carries_message(id)).collect();
        if !carrying.is_empty() || self.ending.contains(&id) {
            carrying.iter_mut().for_each(|line| line.break_off());
            self.deletions.doomed.insert(id, report);
            return;
        }
        self.schedule.remove(id);
        if report {
            self.delete(id);
        } else {
            self.forget(id);
        }
    }

    /// Answers a deletion when everything it touched is gone.
    pub(super) fn confirm_deletion(&mut self, said: QueueAnswer, answer: oneshot::Sender<QueueAnswer>) {
        let open: BTreeSet<MessageId> = self.ending.iter().chain(self.deletions.doomed.keys()).copied().collect();
        if open.is_empty() {
            return self.confirm(said, answer);
        }
        self.deletions.unanswered.push(Unanswered { open, said, answer });
    }

    /// Something has become of a message: what is to go goes now, if nothing carries it any more.
    pub(super) fn delete_doomed(&mut self, id: MessageId) {
        let is_free = !self.ending.contains(&id) && !self.lines.values().any(|line| line.carries_message(id));
        if !is_free {
            return;
        }
        if let Some(report) = self.deletions.doomed.remove(&id) {
            self.take_away(id, report);
        }
        if self.ending.contains(&id) {
            return;
        }
        for command in &mut self.deletions.unanswered {
            command.open.remove(&id);
        }
        let commands = std::mem::take(&mut self.deletions.unanswered);
        let (done, open): (Vec<_>, Vec<_>) = commands.into_iter().partition(|command| command.open.is_empty());
        self.deletions.unanswered = open;
        for Unanswered { said, answer, .. } in done {
            self.confirm(said, answer);
        }
    }
}

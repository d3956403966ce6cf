//! Recipients that come to an end without a connection: too late, deleted. And those whose
//! sender must be told that the message is late.

use super::{Dispatcher, Message, Order};
use crate::Law;
use crate::conclude::{self, Occasion};
use crate::deliver::Stored;
use crate::keeper::Errand;
use crate::plan;
use crate::world::World;
use queue::spool::Attempt;
use queue::{Diagnosis, Ending, Item, MessageId, Outcome, State};
use std::sync::Arc;

impl<W: World> Dispatcher<W> {
    /// These parts of a message have been tried for as long as they may.
    pub(super) fn give_up(&mut self, id: MessageId, items: &[Item]) {
        let mut outcomes = Vec::new();
        for item in items {
            let last_error = self.last_error(id, item);
            outcomes.extend(failed(item.recipients.iter(), &conclude::expired(last_error.as_deref())));
        }
        self.settle(id, outcomes);
    }

    /// An administrator deleted a message and wants its sender told.
    pub(super) fn delete(&mut self, id: MessageId) {
        let Some(message) = self.messages.get(&id) else { return };
        let places: Vec<usize> = message.envelope.pending().map(|(place, _)| place).collect();
        self.settle(id, failed(places.into_iter(), &conclude::deleted()));
    }

    /// Reports are made durable by a task; the end is recorded when it says so.
    fn settle(&mut self, id: MessageId, outcomes: Vec<Outcome>) {
        let Some(message) = self.messages.get(&id) else { return };
        let (gateway, envelope, content) = (self.gateway.clone(), message.envelope.clone(), stored(message));
        let conclusions = self.conclusions.clone();
        self.concluding += 1;
        self.ending.insert(id);
        self.gateway.tasks.spawn(async move {
            // Never closed, so there is always a permit at last.
            let _permit = conclusions.acquire().await;
            let settled = conclude::settle(&gateway, &envelope, &content, outcomes, Occasion::Decision).await;
            let age = gateway.world.now().since(envelope.received);
            conclude::say(&gateway.recorder, &envelope, &settled.outcomes, "none", age);
            // Fails only when everything stops; then it is done again after the start.
            let _ = gateway.orders.send(Order::Settled { message: id, outcomes: settled.outcomes }).await;
        });
    }

    /// What a task has settled is recorded; what it could not is scheduled again.
    pub(super) fn settled(&mut self, law: &Arc<Law<W>>, id: MessageId, outcomes: &[Outcome]) {
        self.concluding -= 1;
        self.ending.remove(&id);
        let Some(message) = self.messages.get_mut(&id) else { return };
        Arc::make_mut(&mut message.envelope).apply(outcomes);
        let (envelope, since, warned) = (message.envelope.clone(), message.since, message.envelope.warned);
        if envelope.is_finished() {
            return self.forget(id);
        }
        let put_off = outcomes.iter().any(|outcome| outcome.result == Ending::Deferred);
        let again = put_off.then(|| plan::retry(&law.config).next_attempt(1, self.clock.now()));
        let retry_at = self.schedule.items_of(id).map(|item| item.due).chain(again).min().map(|at| self.shown(at));
        self.outbox.push_back(Errand::Attempt(Attempt { id, outcomes: outcomes.to_vec(), retry_at, warned }));
        if let Some(at) = again {
            self.schedule_parts(law, &envelope, since, at);
        }
        self.catch_up(law, id);
    }

    /// The sender of a message is told, once, that it is late.
    pub(super) fn warn(&mut self, id: MessageId) {
        let Some(message) = self.messages.get(&id) else { return };
        let mut cases: Vec<(usize, Diagnosis)> = Vec::new();
        for item in self.schedule.items_of(id) {
            let diagnosis = conclude::late(self.last_error(id, &item).as_deref());
            cases.extend(item.recipients.iter().map(|place| (place, diagnosis.clone())));
        }
        let (gateway, envelope, content) = (self.gateway.clone(), message.envelope.clone(), stored(message));
        let retry_until = self.shown(plan::retry(&gateway.law.load().config).expires_at(message.since));
        let conclusions = self.conclusions.clone();
        self.concluding += 1;
        self.gateway.tasks.spawn(async move {
            let _permit = conclusions.acquire().await;
            let event = queue::report::Event::Delayed { retry_until };
            let told = conclude::tell(&gateway, &envelope, &content, event, &cases, None).await.is_ok();
            // Fails only when everything stops; then the sender is told again after the start.
            let _ = gateway.orders.send(Order::Warned { message: id, told }).await;
        });
    }

    pub(super) fn warned(&mut self, id: MessageId, told: bool) {
        self.concluding -= 1;
        if !told {
            return;
        }
        let retry_at = self.schedule.items_of(id).map(|item| item.due).min().map(|at| self.shown(at));
        let Some(message) = self.messages.get_mut(&id) else { return };
        Arc::make_mut(&mut message.envelope).warned = true;
        self.outbox.push_back(Errand::Attempt(Attempt { id, outcomes: Vec::new(), retry_at, warned: true }));
    }

    /// What was last said against this part of a message: about its recipients, or about its way.
    fn last_error(&self, id: MessageId, item: &Item) -> Option<String> {
        let envelope = &self.messages.get(&id)?.envelope;
        let about_recipient = item
            .recipients
            .iter()
            .filter_map(|place| envelope.recipients.get(place))
            .filter(|recipient| recipient.state == State::Pending)
            .find_map(|recipient| recipient.last.as_ref().map(|last| last.text.to_string()));
        about_recipient.or_else(|| self.schedule.last_error(item.destination).map(str::to_owned))
    }
}

fn failed(places: impl Iterator<Item = usize>, diagnosis: &Diagnosis) -> Vec<Outcome> {
    places.map(|recipient| Outcome { recipient, result: Ending::Failed, diagnosis: diagnosis.clone() }).collect()
}

fn stored(message: &Message) -> Stored {
    Stored { memory: message.body.clone(), location: message.location.clone() }
}

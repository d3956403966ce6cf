//! Recipients that come to an end without a connection: too late, deleted. And those whose
//! sender must be told that the message is late.

use super::{Dispatcher, Order};
use crate::Law;
use crate::conclude::{self, Occasion};
use crate::keeper::Errand;
use crate::plan;
use crate::recall::{Recalled, recall};
use crate::world::World;
use queue::spool::{Attempt, ReadError};
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
        let places: Vec<usize> = message.brief.pending().map(|(place, _)| place).collect();
        self.settle(id, failed(places.into_iter(), &conclude::deleted()));
    }

    /// Reports are made durable by a task; the end is recorded when it says so.
    fn settle(&mut self, id: MessageId, outcomes: Vec<Outcome>) {
        let Some(letter) = self.letter(id) else { return };
        let (gateway, conclusions) = (self.gateway.clone(), self.conclusions.clone());
        self.concluding += 1;
        self.ending.insert(id);
        self.gateway.tasks.spawn(async move {
            // Never closed, so there is always a permit at last.
            let _permit = conclusions.acquire().await;
            let Recalled { envelope, error } = recall(&gateway, &letter).await;
            let settled = match error {
                None | Some(ReadError::Damaged) => {
                    conclude::settle(&gateway, &envelope, &letter.content, outcomes, Occasion::Decision).await
                }
                // Nobody can be told now.
                Some(ReadError::Disk(_) | ReadError::Gone) => conclude::put_off(outcomes),
            };
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
        message.brief.apply(outcomes, &mut self.diagnoses);
        let warned = message.brief.is_warned();
        if message.brief.is_finished() {
            self.forget(id);
            return self.delete_doomed(id);
        }
        self.let_go(id);
        let put_off = outcomes.iter().any(|outcome| outcome.result == Ending::Deferred);
        let again = put_off.then(|| plan::retry(&law.config).next_attempt(1, self.clock.now()));
        let retry_at = self.schedule.items_of(id).map(|item| item.due).chain(again).min().map(|at| self.shown(at));
        self.outbox.push_back(Errand::Attempt(Attempt { id, outcomes: outcomes.to_vec(), retry_at, warned }));
        if let Some(at) = again {
            self.schedule_parts(law, id, self.since(id), at);
        }
        self.delete_doomed(id);
        self.catch_up(law, id);
    }

    /// The sender of a message is told, once, that it is late.
    pub(super) fn warn(&mut self, id: MessageId) {
        let Some(letter) = self.letter(id) else { return };
        let mut cases: Vec<(usize, Diagnosis)> = Vec::new();
        for item in self.schedule.items_of(id) {
            let diagnosis = conclude::late(self.last_error(id, &item).as_deref());
            cases.extend(item.recipients.iter().map(|place| (place, diagnosis.clone())));
        }
        let (gateway, conclusions) = (self.gateway.clone(), self.conclusions.clone());
        let retry_until = self.shown(plan::retry(&gateway.law.load().config).expires_at(self.since(id)));
        self.concluding += 1;
        self.gateway.tasks.spawn(async move {
            let _permit = conclusions.acquire().await;
            let Recalled { envelope, error } = recall(&gateway, &letter).await;
            let event = queue::report::Event::Delayed { retry_until };
            let told = match error {
                None => conclude::tell(&gateway, &envelope, &letter.content, event, &cases, None).await.is_ok(),
                // Whether the sender wants to know cannot be read.
                Some(_) => false,
            };
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
        message.brief.set_warned();
        self.outbox.push_back(Errand::Attempt(Attempt { id, outcomes: Vec::new(), retry_at, warned: true }));
    }

    /// What was last said against this part of a message: about its recipients, or about its way.
    fn last_error(&self, id: MessageId, item: &Item) -> Option<String> {
        let brief = &self.messages.get(&id)?.brief;
        let about_recipient = item
            .recipients
            .iter()
            .filter_map(|place| brief.standing(place))
            .filter(|standing| standing.state == State::Pending)
            .find_map(|standing| standing.last.map(|last| last.text.to_string()));
        about_recipient.or_else(|| self.schedule.last_error(item.destination).map(str::to_owned))
    }
}

fn failed(places: impl Iterator<Item = usize>, diagnosis: &Diagnosis) -> Vec<Outcome> {
    places.map(|recipient| Outcome { recipient, result: Ending::Failed, diagnosis: diagnosis.clone() }).collect()
}

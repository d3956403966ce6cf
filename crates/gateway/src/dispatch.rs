//! Dispatch: the one owner of the schedule and of what is known about queued messages.
//!
//! Connections, the keeper, and administrators send it orders; it tells connections what to carry
//! and the keeper what to remember. It never waits for the keeper: what is to be recorded stands in
//! a line of its own, and goes as the keeper has room. Outcomes are in that line before the
//! schedule hears of them.

mod administer;
mod delete;
mod settle;
mod steady;
mod view;
mod ways;

pub use administer::{Filter, QueueAnswer, QueueCommand};
pub use view::{DestinationView, MessageView, QueueView, RecipientView};

use crate::deliver::{self, Assignment, Carrier, Stored};
use crate::keeper::Errand;
use crate::memory::{Held, QUEUED_OCTETS};
use crate::plan;
use crate::recall::{AtHand, Letter};
use crate::world::World;
use crate::{Gateway, Law};
use bytes::Bytes;
use delete::Deletions;
use mail::Timestamp;
use queue::spool::{Attempt, Location, Queued};
use queue::{
    Brief, ConnectionEnd, ConnectionId, DestinationId, Diagnoses, Disposition, Ending, Envelope, Item, MessageId, Next,
    Outcome, Places, Schedule,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use steady::Steady;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use ways::Ways;

/// Orders that may wait.
pub(crate) const ORDERS: usize = 4096;
/// Orders that are looked at before the schedule is asked again.
const BATCH: usize = 256;
/// Messages that are concluded beside the connections at the same time; each holds what its report returns.
const CONCLUSIONS: usize = 32;
/// Octets of envelopes and bodies that are kept in memory until they have been sent once.
const KEPT_OCTETS: u64 = 32 * 1024 * 1024;

/// A message that has just become ours.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// Its envelope.
    pub envelope: Arc<Envelope>,
    /// Where its body is.
    pub location: Location,
    /// Its body, if it is still in memory.
    pub body: Option<Vec<Bytes>>,
}

/// Something for the dispatcher to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// A message has become ours.
    Admit(Box<Admitted>),
    /// A connection has finished a message; reports that were asked for are durable.
    Finished { connection: ConnectionId, message: MessageId, outcomes: Vec<Outcome> },
    /// A connection has ended.
    Closed { connection: ConnectionId, end: ConnectionEnd },
    /// Recipients that no connection carried have come to an end; reports are durable.
    Settled { message: MessageId, outcomes: Vec<Outcome> },
    /// The sender of a message was to be told that it is late.
    Warned {
        /// The message.
        message: MessageId,
        /// The report is durable.
        told: bool,
    },
    /// There are new settings.
    Reloaded,
    /// An administrator asks or commands.
    Queue(QueueCommand, oneshot::Sender<QueueAnswer>),
    /// The gauges are about to be read.
    Survey(oneshot::Sender<()>),
}

/// What is known about a queued message. There may be hundreds of thousands.
#[derive(Debug)]
struct Message {
    brief: Brief,
    location: Location,
}

const _: () = assert!(size_of::<Message>() == 32);

/// All of them. A tree would take half as much again.
#[expect(clippy::disallowed_types, reason = "what is listed of it is sorted")]
type Messages = std::collections::HashMap<MessageId, Message>;

/// What is still in memory of a message since it was received.
#[derive(Debug)]
struct Fresh {
    envelope: Arc<Envelope>,
    body: Option<Vec<Bytes>>,
}

/// A connection as the dispatcher sees it.
struct Line {
    destination: DestinationId,
    /// `None` when it is to carry nothing more.
    jobs: Option<mpsc::Sender<Assignment>>,
    cut: CancellationToken,
    carries: Option<Item>,
}

/// The owner of the schedule.
pub(crate) struct Dispatcher<W: World> {
    gateway: Arc<Gateway<W>>,
    orders: mpsc::Receiver<Order>,
    schedule: Schedule,
    clock: Steady,
    ways: Ways,
    messages: Messages,
    /// What was last said of recipients, once each.
    diagnoses: Diagnoses,
    /// Messages whose first attempt is near.
    fresh: BTreeMap<MessageId, Fresh>,
    lines: BTreeMap<ConnectionId, Line>,
    /// Messages that could not be planned anew because they were under way; planned when nothing carries them.
    outdated: BTreeSet<MessageId>,
    /// What the keeper is to be told.
    outbox: VecDeque<Errand>,
    /// Octets of everything that is fresh.
    kept_octets: u64,
    /// What the queue costs.
    held: Held,
    /// Connections opened so far, by way.
    turns: BTreeMap<DestinationId, usize>,
    /// Whoever concludes a message holds a permit: an outage of days, or one command, ends thousands.
    conclusions: Arc<Semaphore>,
    /// How many conclude a message, or wait for it.
    concluding: usize,
    /// Messages of which some recipients are coming to an end without a connection: their outcomes are
    /// on the way, and nobody may plan or delete them meanwhile.
    ending: BTreeSet<MessageId>,
    deletions: Deletions,
    stopping: bool,
}

impl<W: World> Dispatcher<W> {
    /// A dispatcher that knows what the spool held at the start.
    pub(crate) fn new(
        gateway: Arc<Gateway<W>>,
        orders: mpsc::Receiver<Order>,
        recovered: Vec<Queued>,
        diagnoses: Diagnoses,
    ) -> Dispatcher<W> {
        let law = gateway.law.load_full();
        let mut schedule = Schedule::new();
        schedule.set_total_connections(law.config.delivery.connections);
        let clock = Steady::new(gateway.world.now());
        let held = gateway.memory.hold(0);
        let mut dispatcher = Dispatcher {
            gateway,
            orders,
            schedule,
            clock,
            ways: Ways::default(),
            messages: Messages::with_capacity(recovered.len()),
            diagnoses,
            fresh: BTreeMap::new(),
            lines: BTreeMap::new(),
            outdated: BTreeSet::new(),
            outbox: VecDeque::new(),
            kept_octets: 0,
            held,
            turns: BTreeMap::new(),
            conclusions: Arc::new(Semaphore::new(CONCLUSIONS)),
            concluding: 0,
            ending: BTreeSet::new(),
            deletions: Deletions::default(),
            stopping: false,
        };
        for Queued { id, brief, location, retry_at } in recovered {
            let due = retry_at.unwrap_or(brief.received());
            dispatcher.messages.insert(id, Message { brief, location });
            // What was written down by a clock that was ahead does not wait for it.
            let latest = clock.now().after(plan::retry(&law.config).longest());
            dispatcher.schedule_parts(&law, id, dispatcher.since(id), due.min(latest));
        }
        dispatcher
    }

    /// Works until everything stops.
    pub(crate) async fn run(mut self) {
        let gateway = self.gateway.clone();
        let mut batch = Vec::with_capacity(BATCH);
        let mut cut = false;
        loop {
            let wake = if self.stopping { None } else { self.turn() };
            // First, because whether anything is left decides whether there is anything to wait for.
            self.pass_on();
            if self.stopping && self.lines.is_empty() && self.concluding == 0 && self.outbox.is_empty() {
                break;
            }
            let now = self.clock.now();
            tokio::select! {
                biased;
                count = self.orders.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        break;
                    }
                    let law = gateway.law.load_full();
                    batch.drain(..).for_each(|order| self.perform(&law, order));
                }
                permit = gateway.keeper.reserve(), if !self.outbox.is_empty() => self.record(permit.ok()),
                () = gateway.stop.soft.given(), if !self.stopping => self.stop(),
                () = gateway.stop.hard.given(), if self.stopping && !cut => {
                    // What they have heard by now they still tell, and it is recorded.
                    self.lines.values().for_each(|line| line.cut.cancel());
                    cut = true;
                }
                () = tokio::time::sleep(wake.unwrap_or(now).since(now)), if wake.is_some() => {}
            }
        }
    }

    fn perform(&mut self, law: &Arc<Law<W>>, order: Order) {
        match order {
            Order::Admit(admitted) => self.enter(law, *admitted),
            Order::Finished { connection, message, outcomes } => self.finished(law, connection, message, &outcomes),
            Order::Closed { connection, end } => self.closed(law, connection, end),
            Order::Settled { message, outcomes } => self.settled(law, message, &outcomes),
            Order::Warned { message, told } => self.warned(message, told),
            Order::Reloaded => self.reloaded(law),
            Order::Queue(command, answer) => {
                let deletes = matches!(command, QueueCommand::Delete { .. });
                let said = self.administer(command);
                if deletes {
                    self.confirm_deletion(said, answer);
                } else {
                    self.confirm(said, answer);
                }
            }
            Order::Survey(done) => {
                self.survey();
                let _ = done.send(());
            }
        }
    }

    /// A command is answered when what it did is durable: it outlives a crash from then on.
    fn confirm(&mut self, said: QueueAnswer, answer: oneshot::Sender<QueueAnswer>) {
        if !matches!(said, QueueAnswer::Done(_)) || self.outbox.is_empty() {
            // Whoever asked may be gone.
            let _ = answer.send(said);
            return;
        }
        let (done, durable) = oneshot::channel();
        self.outbox.push_back(Errand::Barrier(done));
        self.gateway.tasks.spawn(async move {
            if durable.await.is_ok() {
                let _ = answer.send(said);
            }
        });
    }

    /// Does what the schedule says; returns when to ask again.
    fn turn(&mut self) -> Option<Timestamp> {
        self.held.set(self.messages.len() as u64 * QUEUED_OCTETS + self.kept_octets);
        loop {
            match self.schedule.next(self.clock.now()) {
                Next::Attempt { connection, item } => self.open(connection, item),
                Next::Use { connection, item } => self.hand(connection, item),
                Next::Close { connection } => self.release_line(connection),
                Next::Warn { message } => self.warn(message),
                Next::GiveUp { message, items } => self.give_up(message, &items),
                Next::WaitUntil(at) => return Some(at),
                Next::Idle => return None,
            }
        }
    }

    /// Takes a message in and schedules what is to be done for it.
    fn enter(&mut self, law: &Law<W>, message: Admitted) {
        let Admitted { envelope, location, body } = message;
        let id = envelope.id;
        let brief = Brief::new(&envelope, &mut self.diagnoses);
        self.messages.insert(id, Message { brief, location });
        let since = self.since(id);
        self.schedule_parts(law, id, since, since);
        let fresh = Fresh { envelope, body };
        let octets = fresh.octets();
        let most = KEPT_OCTETS.min(self.gateway.memory.limit() / 4);
        if self.kept_octets + octets <= most && !self.gateway.memory.is_tight() && !self.rests(id) {
            self.kept_octets += octets;
            self.fresh.insert(id, fresh);
        }
    }

    /// One item for each way that recipients still have to go.
    fn schedule_parts(&mut self, law: &Law<W>, id: MessageId, since: Timestamp, due: Timestamp) {
        let now = self.clock.now();
        let Some(message) = self.messages.get(&id) else { return };
        let server = message.brief.server();
        let parts = plan::plan(&law.config, server, message.brief.pending(), |route| {
            self.ways.destination(&mut self.schedule, &law.config, server, route)
        });
        for part in parts {
            let item = Item { received: since, ..item(id, &message.brief, part, due) };
            if !self.schedule.admit(item, now) {
                // A part of it is under way there; what this one adds must not be forgotten.
                self.outdated.insert(id);
            }
        }
    }

    /// Whether no part of a message will be attempted soon.
    fn rests(&self, id: MessageId) -> bool {
        self.schedule.items_of(id).all(|item| item.held || self.schedule.is_resting(item.destination))
    }

    /// What will not be attempted soon is read back from the spool when its time comes: while a next
    /// hop is down, what waits for it takes little memory.
    fn cool(&mut self) {
        let resting: Vec<MessageId> = self.fresh.keys().copied().filter(|id| self.rests(*id)).collect();
        resting.into_iter().for_each(|id| self.let_go(id));
    }

    /// Opens a connection for an item.
    fn open(&mut self, connection: ConnectionId, item: Item) {
        let destination = item.destination;
        let (Some(way), Some(job)) = (self.ways.get(destination).cloned(), self.job(&item)) else {
            return self.vanished(connection, &item);
        };
        let (jobs, queue) = mpsc::channel(1);
        let cut = CancellationToken::new();
        let line = Line { destination, jobs: Some(jobs), cut: cut.clone(), carries: Some(item) };
        self.lines.insert(connection, line);
        let (connect_limit, rate) = {
            let delivery = &self.gateway.law.load().config.delivery;
            (delivery.connect_limit, delivery.rate)
        };
        let turn = self.turns.entry(destination).or_default();
        *turn = turn.wrapping_add(1);
        let gateway = self.gateway.clone();
        let carrier = Carrier { gateway, way, id: connection, connect_limit, rate, turn: *turn, cut };
        self.gateway.tasks.spawn(deliver::connection(carrier, job, queue));
    }

    /// Gives an item to a connection that is open. If it is ending at this very moment the item
    /// goes back when it says so.
    fn hand(&mut self, connection: ConnectionId, item: Item) {
        let Some(job) = self.job(&item) else { return self.vanished(connection, &item) };
        let Some(line) = self.lines.get_mut(&connection) else { return };
        line.carries = Some(item);
        if let Some(jobs) = &line.jobs {
            let _ = jobs.try_send(job);
        }
    }

    fn job(&self, item: &Item) -> Option<Assignment> {
        Some(Assignment { item: item.clone(), letter: self.letter(item.message)? })
    }

    /// A message for whoever does something for it.
    fn letter(&self, id: MessageId) -> Option<Letter> {
        let Message { brief, location } = self.messages.get(&id)?;
        let location = location.clone();
        Some(match self.fresh.get(&id) {
            Some(Fresh { envelope, body }) => Letter {
                at_hand: AtHand::Envelope(envelope.clone()),
                content: Stored { memory: body.clone(), location },
            },
            None => Letter { at_hand: AtHand::Brief(brief.clone()), content: Stored { memory: None, location } },
        })
    }

    /// The schedule spoke of a message that is not there: a fault of ours, and no reason to stop.
    fn vanished(&mut self, connection: ConnectionId, item: &Item) {
        let what = format!("message {} is scheduled and not known", item.message);
        self.gateway.recorder.record(&crate::event::Event::Fault { place: "dispatch", what: &what });
        self.schedule.finished(connection, item.message, Disposition::Done);
        self.schedule.closed(connection, ConnectionEnd::Closed, self.clock.now());
    }

    /// A connection has finished a message, and may have the next.
    fn finished(&mut self, law: &Law<W>, connection: ConnectionId, message: MessageId, outcomes: &[Outcome]) {
        let now = self.clock.now();
        let Some(line) = self.lines.get_mut(&connection) else { return };
        let Some(item) = line.carries.take() else { return };
        let goes_on = line.jobs.is_some();
        let terms = *self.schedule.terms(line.destination);
        let disposition = disposition(outcomes, || terms.retry.next_attempt(item.attempts + 1, now), now);
        let again = match &disposition {
            Disposition::Done => None,
            Disposition::Retry { at, .. } => Some(*at),
        };
        self.remember(message, outcomes, item.destination, again);
        self.schedule.finished(connection, message, disposition);
        self.delete_doomed(message);
        self.catch_up(law, message);
        let next = if goes_on { self.schedule.more(connection, now) } else { None };
        match next {
            Some(item) => self.hand(connection, item),
            None if goes_on && self.schedule.idle(connection) => {}
            None => self.release_line(connection),
        }
    }

    /// Writes outcomes into the brief and into the keeper's line.
    fn remember(&mut self, id: MessageId, outcomes: &[Outcome], way: DestinationId, again: Option<Timestamp>) {
        let elsewhere = self.schedule.items_of(id).filter(|item| item.destination != way).map(|item| item.due);
        let retry_at = elsewhere.chain(again).min().map(|at| self.shown(at));
        let Some(message) = self.messages.get_mut(&id) else { return };
        message.brief.apply(outcomes, &mut self.diagnoses);
        if message.brief.is_finished() {
            return self.forget(id);
        }
        let warned = message.brief.is_warned();
        if let Some(fresh) = self.fresh.get_mut(&id) {
            Arc::make_mut(&mut fresh.envelope).apply(outcomes);
        }
        // What has to wait is read back from the spool when its time comes.
        if again.is_some() {
            self.let_go(id);
        }
        self.outbox.push_back(Errand::Attempt(Attempt { id, outcomes: outcomes.to_vec(), retry_at, warned }));
    }

    /// Nothing is left to do for a message.
    fn forget(&mut self, id: MessageId) {
        self.let_go(id);
        if self.messages.remove(&id).is_some() {
            // What a long queue has taken is given back when it is short again.
            if self.messages.len() < self.messages.capacity() / 8 {
                self.messages.shrink_to(ORDERS.max(2 * self.messages.len()));
            }
            self.outbox.push_back(Errand::Finished(id));
        }
    }

    /// Keeps no more of a message than waiting needs.
    fn let_go(&mut self, id: MessageId) {
        if let Some(fresh) = self.fresh.remove(&id) {
            self.kept_octets -= fresh.octets();
        }
    }

    fn closed(&mut self, law: &Law<W>, connection: ConnectionId, end: ConnectionEnd) {
        let line = self.lines.remove(&connection);
        self.schedule.closed(connection, end, self.clock.now());
        if line.as_ref().is_some_and(|line| self.schedule.is_resting(line.destination)) {
            self.cool();
        }
        if let Some(item) = line.and_then(|line| line.carries) {
            self.delete_doomed(item.message);
            self.catch_up(law, item.message);
        }
    }

    /// Lets a connection end when it has finished what it carries.
    fn release_line(&mut self, connection: ConnectionId) {
        if let Some(line) = self.lines.get_mut(&connection) {
            line.jobs = None;
        }
    }

    /// Gives the keeper all that it has room for.
    fn pass_on(&mut self) {
        while !self.outbox.is_empty()
            && let Some(permit) = self.gateway.keeper.try_reserve()
            && let Some(errand) = self.outbox.pop_front()
        {
            permit.send(errand);
        }
    }

    fn record(&mut self, permit: Option<mpsc::Permit<'_, Errand>>) {
        match (permit, self.outbox.pop_front()) {
            (Some(permit), Some(errand)) => permit.send(errand),
            // Without a keeper everything is stopping.
            _ => self.outbox.clear(),
        }
    }

    /// No new attempts; connections end after the message they carry.
    fn stop(&mut self) {
        self.stopping = true;
        self.lines.values_mut().for_each(|line| line.jobs = None);
    }

    /// New settings: everything that is not under way is planned anew, the rest as soon as it is not.
    fn reloaded(&mut self, law: &Arc<Law<W>>) {
        self.schedule.set_total_connections(law.config.delivery.connections);
        let old_ways = std::mem::take(&mut self.ways);
        let queued: BTreeSet<MessageId> = self.schedule.items().map(|item| item.message).collect();
        let carried: BTreeSet<MessageId> =
            self.lines.values().filter_map(|line| line.carries.as_ref().map(|item| item.message)).collect();
        let carried: BTreeSet<MessageId> = carried.union(&self.ending).copied().collect();
        self.outdated.extend(queued.intersection(&carried));
        for id in queued.difference(&carried) {
            self.plan_anew(law, *id);
        }
        // A part that waits while another part of its message is under way must still find its way.
        for item in self.schedule.items() {
            if let Some(old) = old_ways.get(item.destination) {
                self.ways.keep(&law.config, item.destination, old);
            }
        }
        // A connection was opened by the old settings, TLS and all: it carries nothing more.
        self.lines.values_mut().for_each(|line| line.jobs = None);
        let names: Vec<(DestinationId, String)> =
            self.schedule.summaries(self.clock.now()).map(|s| (s.destination, s.name.to_owned())).collect();
        for (_, name) in names {
            self.schedule.destination(&name, plan::terms(&law.config));
        }
    }

    /// Plans a message by the settings as they are now.
    fn plan_anew(&mut self, law: &Law<W>, id: MessageId) {
        let due = self.schedule.items_of(id).map(|item| item.due).min();
        if let Some(due) = due.filter(|_| self.messages.contains_key(&id)) {
            let since = self.since(id);
            self.schedule.remove(id);
            self.schedule_parts(law, id, since, due);
        }
    }

    /// Plans a message anew that was under way when new settings came, if it is not any more.
    fn catch_up(&mut self, law: &Law<W>, id: MessageId) {
        let carried = self.lines.values().any(|line| line.carries_message(id));
        if self.outdated.contains(&id) && !self.ending.contains(&id) && !carried {
            self.outdated.remove(&id);
            self.plan_anew(law, id);
        }
    }

    fn survey(&self) {
        let now = self.clock.now();
        let (mut waiting, mut resting) = (0, 0);
        for summary in self.schedule.summaries(now) {
            waiting += usize::from(summary.messages > 0);
            resting += usize::from(summary.state == queue::DestinationState::Retry);
        }
        self.gateway.recorder.counters().queue_is(self.messages.len(), waiting, resting);
    }
}

/// The part of a message that goes to one destination.
fn item(message: MessageId, brief: &Brief, part: (DestinationId, Places), due: Timestamp) -> Item {
    let (destination, recipients) = part;
    let attempts = recipients.iter().filter_map(|place| brief.standing(place)).map(|standing| standing.attempts).max();
    Item {
        message,
        destination,
        recipients,
        due,
        received: brief.received(),
        size_bytes: brief.size_bytes(),
        attempts: attempts.unwrap_or(0),
        warned: brief.is_warned(),
        held: brief.is_held(),
    }
}

impl Fresh {
    /// Octets that keeping it costs: a body arrived in chunks, and the smallest is a page; an
    /// envelope is mostly its trace and its recipients.
    fn octets(&self) -> u64 {
        let body = if self.body.is_some() { self.envelope.content.size_bytes.max(4096) } else { 0 };
        body + 512 + (self.envelope.trace.len() + 256 * self.envelope.recipients.len()) as u64
    }
}

/// What is left of an item after an attempt. Recipients that were only too many for one
/// transaction (RFC 5321 §4.5.3.1.10) are tried again at once, as long as some got through.
fn disposition(outcomes: &[Outcome], later: impl Fn() -> Timestamp, now: Timestamp) -> Disposition {
    let deferred = || outcomes.iter().filter(|outcome| outcome.result == Ending::Deferred);
    let recipients: Places = deferred().map(|outcome| outcome.recipient).collect();
    if recipients.is_empty() {
        return Disposition::Done;
    }
    let progress = outcomes.iter().any(|o| matches!(o.result, Ending::Delivered | Ending::Relayed));
    let too_many = |o: &Outcome| (o.diagnosis.status.subject, o.diagnosis.status.detail) == (5, 3);
    let at = if progress && deferred().all(too_many) { now } else { later() };
    Disposition::Retry { recipients, at }
}

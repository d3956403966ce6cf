//! Random histories. An observer that sees only what the schedule says keeps its own account of what
//! was admitted, what is carried and how many connections are open, and compares after every step;
//! then the schedule is rebuilt from its items and must be the same.

use super::*;
use proptest::prelude::*;

const NAMES: [&str; 3] = ["a", "b", "c"];
const TOTAL: u32 = 4;
const TERMS: Terms = Terms {
    retry: Retry {
        first: Duration::from_secs(1),
        second: Duration::from_secs(2),
        third: Duration::from_secs(4),
        subsequent: Duration::from_secs(8),
        delay_notification: Duration::from_secs(40),
        expiration: Duration::from_secs(120),
    },
    connections: 2,
    messages_per_connection: 3,
};

#[derive(Clone, Debug)]
enum Step {
    Pass {
        ms: u16,
    },
    Admit {
        message: u8,
        destination: u8,
        held: bool,
    },
    Next,
    /// What follows is about one of the open connections.
    Finish {
        connection: u8,
        retry_ms: Option<u16>,
    },
    More {
        connection: u8,
    },
    Idle {
        connection: u8,
    },
    Close {
        connection: u8,
        failed: bool,
    },
    /// What follows is done by an administrator.
    Hold {
        message: u8,
    },
    Release {
        message: u8,
    },
    Remove {
        message: u8,
    },
    RetryMessage {
        message: u8,
    },
    RetryDestination {
        destination: u8,
    },
    Freeze {
        destination: u8,
    },
    Unfreeze {
        destination: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (m, d, c) = (0..30u8, 0..3u8, any::<u8>());
    prop_oneof![
        3 => (0..9000u16).prop_map(|ms| Step::Pass { ms }),
        6 => (m.clone(), d.clone(), proptest::bool::weighted(0.1))
            .prop_map(|(message, destination, held)| Step::Admit { message, destination, held }),
        12 => Just(Step::Next),
        6 => (c, proptest::option::of(0..5000u16))
            .prop_map(|(connection, retry_ms)| Step::Finish { connection, retry_ms }),
        4 => c.prop_map(|connection| Step::More { connection }),
        2 => c.prop_map(|connection| Step::Idle { connection }),
        3 => (c, any::<bool>()).prop_map(|(connection, failed)| Step::Close { connection, failed }),
        1 => m.clone().prop_map(|message| Step::Hold { message }),
        1 => m.clone().prop_map(|message| Step::Release { message }),
        1 => m.clone().prop_map(|message| Step::Remove { message }),
        1 => m.prop_map(|message| Step::RetryMessage { message }),
        1 => d.clone().prop_map(|destination| Step::RetryDestination { destination }),
        1 => d.clone().prop_map(|destination| Step::Freeze { destination }),
        1 => d.prop_map(|destination| Step::Unfreeze { destination }),
    ]
}

type Key = (MessageId, DestinationId);

/// What can be known from outside.
struct Observer {
    schedule: Schedule,
    ids: [DestinationId; 3],
    now: Timestamp,
    /// Admitted and not yet ended, and whether held.
    alive: BTreeMap<Key, bool>,
    /// Open connections: destination, messages taken, what is carried.
    open: BTreeMap<ConnectionId, (DestinationId, u32, Option<MessageId>)>,
    frozen: BTreeSet<DestinationId>,
    told: BTreeSet<MessageId>,
}

impl Observer {
    fn new() -> Observer {
        let mut schedule = Schedule::new();
        schedule.set_total_connections(TOTAL);
        let ids = NAMES.map(|name| schedule.destination(name, TERMS));
        let (alive, open) = (BTreeMap::new(), BTreeMap::new());
        Observer { schedule, ids, now: at(0), alive, open, frozen: BTreeSet::new(), told: BTreeSet::new() }
    }

    fn connection(&self, pick: u8) -> Option<ConnectionId> {
        let count = self.open.len().max(1);
        self.open.keys().nth(usize::from(pick) % count).copied()
    }

    fn step(&mut self, step: &Step) {
        let message = |number: u8| MessageId(u64::from(number));
        match *step {
            Step::Pass { ms } => self.now = self.now.after(Duration::from_millis(ms.into())),
            Step::Admit { message: m, destination, held } => self.admit(message(m), usize::from(destination), held),
            Step::Next => {
                let next = self.schedule.next(self.now);
                self.performs(next);
            }
            Step::Finish { connection, retry_ms } => self.finish(connection, retry_ms),
            Step::More { connection } => self.more(connection),
            Step::Idle { connection } => {
                if let Some(connection) = self.connection(connection) {
                    let may = self.schedule.idle(connection);
                    assert!(!may || self.open[&connection].2.is_none());
                }
            }
            Step::Close { connection, failed } => {
                if let Some(connection) = self.connection(connection) {
                    self.close(connection, failed);
                }
            }
            Step::Hold { message: m } => {
                self.schedule.hold(message(m));
                self.set_held(message(m), true);
            }
            Step::Release { message: m } => {
                self.schedule.release(message(m));
                self.set_held(message(m), false);
            }
            Step::Remove { message: m } => self.remove(message(m)),
            Step::RetryMessage { message: m } => {
                self.schedule.retry_message(message(m), self.now);
            }
            Step::RetryDestination { destination } => {
                self.schedule.retry_destination(self.ids[usize::from(destination)], self.now);
            }
            Step::Freeze { destination } => {
                let id = self.ids[usize::from(destination)];
                let ending = self.schedule.freeze(id);
                let open = self.open.iter().filter(|(_, known)| known.0 == id);
                assert!(ending.iter().eq(open.map(|(connection, _)| connection)), "all its connections end");
                self.frozen.insert(id);
            }
            Step::Unfreeze { destination } => {
                let id = self.ids[usize::from(destination)];
                self.schedule.unfreeze(id);
                self.frozen.remove(&id);
            }
        }
        self.compare();
    }

    fn admit(&mut self, message: MessageId, destination: usize, held: bool) {
        let key = (message, self.ids[destination]);
        // The spool never gives the same message to a destination twice.
        if self.alive.contains_key(&key) || self.open.values().any(|known| known.2 == Some(message)) {
            return;
        }
        self.told.remove(&message);
        let item = Item { held, warned: false, ..fresh(message.0, key.1, self.now) };
        assert!(self.schedule.admit(item, self.now));
        self.alive.insert(key, held);
    }

    fn performs(&mut self, next: Next) {
        match next {
            Next::Attempt { connection, item } => {
                assert!(self.open.insert(connection, (item.destination, 0, None)).is_none(), "numbers never repeat");
                self.takes(connection, &item);
            }
            Next::Use { connection, item } => self.takes(connection, &item),
            Next::Close { connection } => {
                assert_eq!(self.open[&connection].2, None, "only idle connections make room");
                self.close(connection, false);
            }
            Next::Warn { message } => {
                assert!(self.told.insert(message), "told once");
            }
            Next::GiveUp { message, items } => {
                assert!(!items.is_empty());
                for item in items {
                    assert!(TERMS.retry.is_expired(item.received, self.now));
                    let carried =
                        self.open.values().any(|known| known.0 == item.destination && known.2 == Some(message));
                    assert!(!carried, "not while it is under way");
                    assert_eq!(self.alive.remove(&(message, item.destination)), Some(false), "alive and not held");
                }
            }
            Next::WaitUntil(at) => assert!(at > self.now, "waiting is never in vain"),
            Next::Idle => {}
        }
    }

    fn takes(&mut self, connection: ConnectionId, item: &Item) {
        let key = (item.message, item.destination);
        assert_eq!(self.alive.get(&key), Some(&false), "alive and not held");
        assert!(item.due <= self.now, "not before it is due");
        let twice = self.open.values().any(|known| known.0 == key.1 && known.2 == Some(key.0));
        assert!(!twice, "never twice at once");
        assert!(!self.frozen.contains(&key.1), "nothing for what is frozen");
        let known = self.open.get_mut(&connection).expect("an open connection");
        assert_eq!((known.0, known.2), (key.1, None));
        known.1 += 1;
        known.2 = Some(key.0);
        assert!(known.1 <= TERMS.messages_per_connection, "L06");
        assert!(self.open.len() <= TOTAL as usize, "L07: all together");
        let same = self.open.values().filter(|known| known.0 == key.1).count();
        assert!(same <= TERMS.connections as usize, "L07: one destination");
    }

    fn finish(&mut self, pick: u8, retry_ms: Option<u16>) {
        let Some(connection) = self.connection(pick) else { return };
        let known = self.open.get_mut(&connection).unwrap();
        let Some(message) = known.2.take() else { return };
        let key = (message, known.0);
        let disposition = match retry_ms {
            Some(ms) => {
                Disposition::Retry { recipients: Places::one(0), at: self.now.after(Duration::from_millis(ms.into())) }
            }
            None => {
                self.alive.remove(&key);
                Disposition::Done
            }
        };
        self.schedule.finished(connection, message, disposition);
    }

    fn more(&mut self, pick: u8) {
        let Some(connection) = self.connection(pick) else { return };
        if let Some(item) = self.schedule.more(connection, self.now) {
            self.takes(connection, &item);
        }
    }

    fn close(&mut self, connection: ConnectionId, failed: bool) {
        let error = || ConnectionEnd::Failed { error: "refused".into() };
        self.schedule.closed(connection, if failed { error() } else { ConnectionEnd::Closed }, self.now);
        self.open.remove(&connection);
    }

    fn remove(&mut self, message: MessageId) {
        let removed = self.schedule.remove(message).map_or(0, |removed| removed.items.len());
        let before = self.alive.len();
        self.alive.retain(|key, _| key.0 != message);
        assert_eq!(before - self.alive.len(), removed);
    }

    fn set_held(&mut self, message: MessageId, held: bool) {
        for (_, state) in self.alive.iter_mut().filter(|(key, _)| key.0 == message) {
            *state = held;
        }
    }

    /// Nothing is lost and nothing appears; the books add up; a rebuilt schedule has the same.
    fn compare(&self) {
        let items: BTreeMap<Key, bool> =
            self.schedule.items().map(|item| ((item.message, item.destination), item.held)).collect();
        assert_eq!(items, self.alive);
        let open: Vec<_> = self.schedule.connections().collect();
        assert_eq!(open, self.open.iter().map(|(c, known)| (*c, known.0, known.2)).collect::<Vec<_>>());
        let lines = self.schedule.summaries(self.now);
        assert_eq!(lines.map(|line| line.messages).sum::<usize>(), self.alive.len());
        for id in self.ids {
            let mut capacity = 0;
            let mut connections = 0;
            for known in self.schedule.connections.values().filter(|known| known.destination == id) {
                capacity += u64::from(known.room);
                connections += 1;
            }
            let destination = &self.schedule.destinations[id.0 as usize];
            assert_eq!((destination.capacity, destination.connections), (capacity, connections));
        }
        assert_eq!(books(&self.schedule, self.now), books(&self.rebuilt(), self.now));
    }

    /// A schedule made of the items alone, as after a restart.
    fn rebuilt(&self) -> Schedule {
        let mut schedule = Schedule::new();
        for name in NAMES {
            schedule.destination(name, TERMS);
        }
        for item in self.schedule.items() {
            // At the time of receipt, since grace for what expired during a stop is not the subject here.
            let received = item.received;
            assert!(schedule.admit(item, received));
        }
        schedule
    }

    /// Every obstacle out of the way and every connection good: all ends well.
    fn ends(mut self) {
        for id in self.ids {
            self.schedule.unfreeze(id);
        }
        self.frozen.clear();
        for message in 0..30 {
            self.schedule.release(MessageId(message));
        }
        self.alive.values_mut().for_each(|held| *held = false);
        for connection in self.open.keys().copied().collect::<Vec<_>>() {
            self.close(connection, false);
        }
        for _ in 0..2000 {
            let next = self.schedule.next(self.now);
            match next {
                Next::WaitUntil(at) => self.now = at,
                Next::Idle => break,
                Next::Attempt { connection, .. } => {
                    self.performs(next);
                    let pick = self.open.keys().position(|c| *c == connection).unwrap();
                    let pick = u8::try_from(pick).unwrap();
                    while self.open[&connection].2.is_some() {
                        self.finish(pick, None);
                        self.more(pick);
                    }
                    self.close(connection, false);
                }
                other => self.performs(other),
            }
            self.compare();
        }
        assert!(self.alive.is_empty(), "everything came to an end: {:?}", self.alive);
    }
}

/// The books of every destination, with what is under way put back.
fn books(schedule: &Schedule, now: Timestamp) -> Vec<[Vec<(Timestamp, MessageId)>; 5]> {
    let mut schedule = schedule.clone();
    for connection in schedule.connections.keys().copied().collect::<Vec<_>>() {
        schedule.end(connection);
        schedule.closed(connection, ConnectionEnd::Closed, now);
    }
    let books = schedule.destinations.iter_mut().map(|destination| {
        destination.ripen(now);
        assert!(destination.carried.is_empty() && destination.grace.is_empty());
        let Destination { due, later, fresh, told, held, .. } = destination;
        [due, later, fresh, told, held].map(|book| book.iter().copied().collect())
    });
    books.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn f07_l06_l07_no_history_loses_doubles_or_exceeds(steps in proptest::collection::vec(step(), 0..200)) {
        let mut observer = Observer::new();
        for step in &steps {
            observer.step(step);
        }
        observer.ends();
    }
}

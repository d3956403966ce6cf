//! The spool again, simply: what is known about a message stands in a table of a database (redb, two
//! phases to a commit) and is changed in place. Random histories go into both; after every flush both
//! must find the same messages, states and bodies when they are started anew, and so they must after
//! a crash. Nothing of the log is used by it but the octets of an envelope.

use super::*;
use crate::spool::codec::{self, Place};
use proptest::prelude::*;
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};
use std::io;
use std::sync::{Mutex, MutexGuard};

const MESSAGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("messages");
const RETRIES: TableDefinition<'_, u64, u64> = TableDefinition::new("retries");
const BODIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("bodies");

/// What was written and what was flushed of one file.
#[derive(Debug, Default)]
struct Octets {
    now: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
struct Storage(Arc<Mutex<Octets>>);

impl Storage {
    fn lock(&self) -> MutexGuard<'_, Octets> {
        self.0.lock().expect("nobody panics holding it")
    }

    /// What is left when everything that was not flushed is gone.
    fn cut(&self) -> Storage {
        let durable = self.lock().durable.clone();
        Storage(Arc::new(Mutex::new(Octets { now: durable.clone(), durable })))
    }
}

fn index(at: u64) -> usize {
    usize::try_from(at).expect("a small file")
}

impl StorageBackend for Storage {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let octets = self.lock();
        let there = octets.now.get(index(offset)..index(offset) + out.len());
        out.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.lock().now.resize(index(length), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let octets = &mut *self.lock();
        octets.durable.clone_from(&octets.now);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut octets = self.lock();
        let there = octets.now.get_mut(index(offset)..index(offset) + data.len());
        there.ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(data);
        Ok(())
    }
}

/// Something that is staged.
enum Said {
    Message(Envelope, Arc<[u8]>),
    Fact(MessageId, Fact),
    Finished(MessageId),
}

struct Reference {
    storage: Storage,
    database: Database,
    staged: Vec<Said>,
}

/// What stands about a message.
type Standings = BTreeMap<MessageId, (Envelope, Option<Timestamp>, Vec<u8>)>;

impl Reference {
    fn open(storage: Storage) -> Reference {
        let database =
            Database::builder().set_cache_size(1 << 20).create_with_backend(storage.clone()).expect("a database");
        Reference { storage, database, staged: Vec::new() }
    }

    /// What a start finds that comes after a crash.
    fn crashed(&self) -> Reference {
        Reference::open(self.storage.cut())
    }

    /// Everything staged, or nothing.
    fn flush(&mut self) {
        if self.staged.is_empty() {
            return;
        }
        let mut transaction = self.database.begin_write().expect("a transaction");
        transaction.set_two_phase_commit(true);
        {
            let mut messages = transaction.open_table(MESSAGES).expect("a table");
            let mut retries = transaction.open_table(RETRIES).expect("a table");
            let mut bodies = transaction.open_table(BODIES).expect("a table");
            for said in self.staged.drain(..) {
                match said {
                    Said::Message(envelope, body) => {
                        let octets = codec::write_message(&envelope, Place::Inline);
                        messages.insert(envelope.id.0, &octets[..]).expect("written");
                        bodies.insert(envelope.id.0, &body[..]).expect("written");
                    }
                    Said::Fact(id, fact) => {
                        let Some(mut envelope) = stored(&messages, id) else { continue };
                        if let Fact::Attempt(attempt) = &fact {
                            match attempt.retry_at {
                                Some(at) => drop(retries.insert(id.0, at.millis()).expect("written")),
                                None => drop(retries.remove(id.0).expect("written")),
                            }
                        }
                        take_in(&mut envelope, &fact);
                        let octets = codec::write_message(&envelope, Place::Inline);
                        messages.insert(id.0, &octets[..]).expect("written");
                    }
                    Said::Finished(id) => {
                        messages.remove(id.0).expect("written");
                        retries.remove(id.0).expect("written");
                        bodies.remove(id.0).expect("written");
                    }
                }
            }
        }
        transaction.commit().expect("durable");
    }

    fn standings(&self) -> Standings {
        let transaction = self.database.begin_read().expect("a transaction");
        let Ok(messages) = transaction.open_table(MESSAGES) else { return BTreeMap::new() };
        let retries = transaction.open_table(RETRIES).expect("a table");
        let bodies = transaction.open_table(BODIES).expect("a table");
        let standing = |id: u64| {
            let envelope = stored(&messages, MessageId(id)).expect("it is listed");
            let retry_at = retries.get(id).expect("read").map(|at| Timestamp::from_millis(at.value()));
            (MessageId(id), (envelope, retry_at, bodies.get(id).expect("read").expect("a body").value().to_vec()))
        };
        messages.iter().expect("read").map(|row| standing(row.expect("read").0.value())).collect()
    }
}

fn stored(messages: &impl ReadableTable<u64, &'static [u8]>, id: MessageId) -> Option<Envelope> {
    let octets = messages.get(id.0).expect("read")?;
    Some(codec::read_message(id, octets.value()).expect("an envelope").0)
}

fn take_in(envelope: &mut Envelope, fact: &Fact) {
    match fact {
        Fact::Attempt(attempt) => {
            envelope.apply(&attempt.outcomes);
            envelope.warned |= attempt.warned;
        }
        Fact::Held => envelope.held = true,
        Fact::Released => envelope.held = false,
    }
}

/// The spool and the reference, told the same.
struct Pair {
    bench: Bench,
    reference: Reference,
}

#[derive(Clone, Debug)]
enum Step {
    Stage(usize),
    Attempt(usize, usize, bool),
    Hold(usize, bool),
    Finish(usize),
    Flush,
    Maintain,
    Crash(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop_oneof![4 => 0..6000_usize, 1 => 8200..20_000_usize].prop_map(Step::Stage),
        4 => (any::<usize>(), 0..3_usize, any::<bool>()).prop_map(|(at, to, done)| Step::Attempt(at, to, done)),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(at, held)| Step::Hold(at, held)),
        5 => any::<usize>().prop_map(Step::Finish),
        5 => Just(Step::Flush),
        3 => Just(Step::Maintain),
        1 => any::<u64>().prop_map(Step::Crash),
    ]
}

impl Pair {
    fn perform(&mut self, step: &Step) {
        let bench = &mut self.bench;
        let promised = bench.ids_in(Standing::Promised);
        let open = |id: &MessageId| bench.expected[id].facts.iter().filter(|fact| !fact.1).count();
        let pick = |at: usize| promised.get(at % promised.len().max(1)).copied().filter(|id| open(id) < 6);
        match *step {
            Step::Stage(size) => {
                let id = bench.stage(size).expect("takes it");
                let expected = &bench.expected[&id];
                self.reference.staged.push(Said::Message(expected.envelope.clone(), expected.body.clone()));
            }
            Step::Attempt(at, to, done) => {
                let Some(id) = pick(at) else { return };
                bench.attempt(id, to, if done { Ending::Delivered } else { Ending::Deferred });
                self.said(id);
            }
            Step::Hold(at, held) => {
                let Some(id) = pick(at) else { return };
                bench.say(id, if held { Fact::Held } else { Fact::Released });
                self.said(id);
            }
            Step::Finish(at) => {
                let Some(id) = pick(at) else { return };
                bench.finish(id);
                self.reference.staged.push(Said::Finished(id));
            }
            Step::Flush => {
                assert!(bench.flush().is_none());
                self.reference.flush();
                self.compare();
            }
            Step::Maintain => drop(bench.spool.maintain().expect("housekeeping")),
            Step::Crash(seed) => {
                let disk = bench.disk.cut(seed);
                bench.reopen(disk);
                self.reference = self.reference.crashed();
                self.compare();
            }
        }
    }

    /// Tells the reference what the spool was told last.
    fn said(&mut self, id: MessageId) {
        let (fact, _) = self.bench.expected[&id].facts.last().expect("something was said");
        self.reference.staged.push(Said::Fact(id, fact.clone()));
    }

    /// Both started anew.
    fn compare(&self) {
        let (spool, recovery) = Spool::open(self.bench.disk.fork().cut(0), settings()).expect("opens");
        let ours: Standings = recovery
            .messages
            .iter()
            .map(|queued| {
                let octets = read(&spool, &queued.location).expect("its body");
                (queued.id, (whole(&spool, queued), queued.retry_at, octets))
            })
            .collect();
        assert_eq!(ours, self.reference.crashed().standings());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if super::walk::is_long() { 2000 } else { 48 }, ..ProptestConfig::default() })]
    #[test]
    fn the_spool_and_a_database_hold_the_same(steps in proptest::collection::vec(step(), 1..90)) {
        let mut pair = Pair { bench: Bench::new(), reference: Reference::open(Storage::default()) };
        for step in &steps {
            pair.perform(step);
        }
        pair.perform(&Step::Flush);
    }
}

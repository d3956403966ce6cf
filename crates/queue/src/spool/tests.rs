//! The spool against a simple model of what it has promised, on a disk that goes wrong.

mod codec;
mod crash;
mod every_octet;
mod faults;
mod histories;
mod place;
mod recycling;
mod reference;
mod released;
mod rot;
mod walk;

use super::{Attempt, Error, Location, Queued, ReadError, Recovery, Settings, Spool};
use crate::body::{Body, Draft};
use crate::disk::memory::MemoryDisk;
use crate::envelope::{
    Content, Counted, Diagnosis, Ending, Envelope, Kind, MessageId, Notify, Original, Outcome, Recipient, Ret, State,
};
use mail::{Class, EnhancedStatus, ReversePath, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Small segments, so that a short history turns many of them.
fn settings() -> Settings {
    Settings {
        segment_bytes: 64 << 10,
        body_file_over_bytes: 8 << 10,
        reserve_bytes: 0,
        spare_segments: 2,
        salt: 0x5EED,
    }
}

/// Numbers that look drawn and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) ^ (self.0 >> 17 & 0xFFFF)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll() % n as u64).expect("less than a usize")
    }
}

fn recipient(text: &str) -> Recipient {
    Recipient {
        forward_path: text.parse().expect("an address"),
        original: None,
        notify: None,
        state: State::Pending,
        attempts: 0,
        last: None,
    }
}

fn envelope(id: MessageId) -> Envelope {
    let mut first = recipient("alice@corp.example");
    first.original = Some(Original { kind: "rfc822".into(), address: "Alice@Corp.Example".into() });
    first.notify = Some(Notify { success: true, failure: true, delay: false });
    Envelope {
        id,
        kind: Kind::Mail,
        received: Timestamp::from_millis(1_795_301_320_123),
        server: "inbound".into(),
        client: Some("192.0.2.66".parse().expect("an address")),
        hello: Some("there.test".into()),
        reverse_path: ReversePath::Mailbox("\"a b\"@xn--bcher-kva.example".parse().expect("an address")),
        ret: Some(Ret::Headers),
        envid: Some("QQ314159".into()),
        smtputf8: false,
        content: Content { size_bytes: 0, dots: true, ..Content::default() },
        trace: format!("Received: from there.test\r\n\tby mx.test id {id};\r\n").into_bytes().into(),
        recipients: vec![first, recipient("bob@[192.0.2.1]"), recipient("carol@far.example")],
        warned: false,
        held: false,
        counted: [None, Some(Counted::Client), Some(Counted::Account("u1".into()))][(id.0 % 3) as usize].clone(),
    }
}

fn body(octets: &[u8]) -> Body {
    let mut draft = Draft::new();
    octets.chunks(1000).for_each(|chunk| draft.push(chunk));
    draft.finish()
}

fn outcome(recipient: usize, result: Ending, text: &str) -> Outcome {
    let status = EnhancedStatus::new(Class::Transient, 4, 1);
    Outcome { recipient, result, diagnosis: Diagnosis { status, text: text.into(), host: Some("mx.far.test".into()) } }
}

/// Something said about a message after its acceptance.
#[derive(Clone, Debug)]
enum Fact {
    Attempt(Attempt),
    Held,
    Released,
}

/// How far the promise has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nobody has been told anything: it may be there after a crash, or not.
    Open,
    /// There is a receipt.
    Promised,
    /// That it is finished has been staged: it may be there, or not.
    Ending,
    /// That it is finished is durable.
    Over,
    /// The flush failed and it was refused: it may be there until a flush leaves nothing staged, then not.
    Refused,
}

#[derive(Clone, Debug)]
struct Expected {
    envelope: Envelope,
    body: Arc<[u8]>,
    standing: Standing,
    /// What has been said, and whether that is durable.
    facts: Vec<(Fact, bool)>,
}

impl Expected {
    /// Whether a recovered message is this one with all durable facts and some of the others.
    fn admits(&self, queued: &Queued, found: &Envelope) -> bool {
        let open: Vec<usize> = (0..self.facts.len()).filter(|at| !self.facts[*at].1).collect();
        assert!(open.len() < 12, "a test that stages too much before it flushes");
        (0..1_usize << open.len()).any(|chosen| {
            let said = |at: usize| open.iter().position(|o| *o == at).is_none_or(|bit| chosen >> bit & 1 == 1);
            let (envelope, retry_at) = self.after(said);
            envelope == *found && retry_at == queued.retry_at
        })
    }

    fn after(&self, said: impl Fn(usize) -> bool) -> (Envelope, Option<Timestamp>) {
        let mut envelope = self.envelope.clone();
        let mut retry_at = None;
        for (at, (fact, _)) in self.facts.iter().enumerate() {
            match fact {
                _ if !said(at) => {}
                Fact::Attempt(attempt) => {
                    envelope.apply(&attempt.outcomes);
                    envelope.warned |= attempt.warned;
                    retry_at = attempt.retry_at;
                }
                Fact::Held => envelope.held = true,
                Fact::Released => envelope.held = false,
            }
        }
        (envelope, retry_at)
    }
}

/// What has been promised.
type Promises = BTreeMap<MessageId, Expected>;

/// A spool, its disk, and what has been promised.
struct Bench {
    disk: MemoryDisk,
    spool: Spool<MemoryDisk>,
    expected: Promises,
    issued: BTreeSet<MessageId>,
    /// What was promised when the disk had answered so many changing calls, if that is wanted.
    past: Option<Vec<(u64, Promises)>>,
}

impl Bench {
    fn new() -> Bench {
        Bench::on(MemoryDisk::new())
    }

    fn on(disk: MemoryDisk) -> Bench {
        let (spool, recovery) = Spool::open(disk.clone(), settings()).expect("opens");
        assert!(recovery.messages.is_empty() && recovery.damages.is_empty(), "{recovery:?}");
        Bench { disk, spool, expected: BTreeMap::new(), issued: BTreeSet::new(), past: None }
    }

    /// Writes down what is promised now, if that is wanted.
    fn note(&mut self) {
        if let Some(past) = &mut self.past {
            past.push((self.disk.calls(), self.expected.clone()));
        }
    }

    fn next_id(&mut self) -> MessageId {
        let id = self.spool.ids().next();
        // While nothing can be written nothing is accepted, and the next start may count from the same.
        assert!(self.spool.is_broken() || self.issued.insert(id), "{id} was given out twice");
        id
    }

    /// Stages a message with a body of so many octets; large ones go through a file.
    fn stage(&mut self, size: usize) -> Result<MessageId, Error> {
        let id = self.next_id();
        let mut octets = format!("{id}..0123456789abcdef\r\n").into_bytes().repeat(size / 20 + 1);
        octets.truncate(size);
        let body = if size > 8 << 10 { self.write_file(id, &octets)? } else { body(&octets) };
        let envelope = envelope(id);
        self.spool.stage_message(&envelope, &body)?;
        let expected = Expected { envelope, body: octets.into(), standing: Standing::Open, facts: Vec::new() };
        self.expected.insert(id, expected);
        self.note();
        Ok(id)
    }

    fn write_file(&self, id: MessageId, octets: &[u8]) -> Result<Body, Error> {
        let write = || {
            let mut file = self.spool.bodies().create(id)?;
            let mut draft = Draft::new();
            for chunk in octets.chunks(3000) {
                draft.push(chunk);
                file.append(&mut draft)?;
            }
            file.finish(draft)
        };
        write().map_err(Error::disk("writing a body"))
    }

    fn say(&mut self, id: MessageId, fact: Fact) {
        let Some(expected) = self.expected.get_mut(&id) else { return };
        match &fact {
            Fact::Attempt(attempt) => self.spool.stage_attempt(attempt),
            Fact::Held => self.spool.stage_held(id),
            Fact::Released => self.spool.stage_released(id),
        }
        expected.facts.push((fact, false));
        self.note();
    }

    fn attempt(&mut self, id: MessageId, recipient: usize, result: Ending) {
        let turn = self.expected[&id].facts.len() as u64;
        let attempt = Attempt {
            id,
            outcomes: vec![outcome(recipient, result, &format!("421 come back, turn {turn}"))],
            retry_at: (!turn.is_multiple_of(3)).then(|| Timestamp::from_millis(1_800_000_000_000 + turn)),
            warned: turn > 2,
        };
        self.say(id, Fact::Attempt(attempt));
    }

    fn finish(&mut self, id: MessageId) {
        self.spool.stage_finished(id);
        self.expected.get_mut(&id).expect("a message").standing = Standing::Ending;
        self.note();
    }

    /// Flushes, and learns from the answer.
    fn flush(&mut self) -> Option<Error> {
        let flush = self.spool.flush();
        for receipt in &flush.receipts {
            self.expected.get_mut(&receipt.id()).expect("a message").standing = Standing::Promised;
        }
        for id in &flush.refused {
            self.expected.get_mut(id).expect("a message").standing = Standing::Refused;
        }
        assert!(flush.error.is_some() || (flush.refused.is_empty() && !self.spool.needs_flush()));
        if !self.spool.needs_flush() {
            // What was refused is closed off by now.
            for expected in self.expected.values_mut() {
                expected.facts.iter_mut().for_each(|fact| fact.1 = true);
                if matches!(expected.standing, Standing::Ending | Standing::Refused) {
                    expected.standing = Standing::Over;
                }
            }
        }
        self.note();
        flush.error
    }

    /// Housekeeping until there is nothing left to do.
    fn settle(&mut self) -> Result<(), Error> {
        for _ in 0..1000 {
            let more = self.spool.maintain()?;
            if let Some(error) = self.spool.needs_flush().then(|| self.flush()).flatten() {
                return Err(error);
            }
            if !more {
                return Ok(());
            }
        }
        panic!("housekeeping never ends");
    }

    fn ids_in(&self, standing: Standing) -> Vec<MessageId> {
        self.expected.iter().filter(|(_, e)| e.standing == standing).map(|(id, _)| *id).collect()
    }

    /// Opens the spool on what is left of the disk, and compares with what had been promised.
    fn reopen(&mut self, disk: MemoryDisk) -> Recovery {
        self.disk = disk;
        let (spool, recovery) = Spool::open(self.disk.clone(), settings()).expect("opens");
        self.spool = spool;
        self.compare(&recovery);
        recovery
    }

    /// Every promised message is there and whole, no finished one is, and nothing else is.
    fn compare(&mut self, recovery: &Recovery) {
        let found: BTreeMap<MessageId, (&Queued, Envelope)> =
            recovery.messages.iter().map(|queued| (queued.id, (queued, whole(&self.spool, queued)))).collect();
        for (id, (queued, envelope)) in &found {
            let expected = self.expected.get(id).unwrap_or_else(|| panic!("{id} was never staged"));
            assert_ne!(expected.standing, Standing::Over, "{id} was finished");
            assert!(expected.admits(queued, envelope), "{id}: {queued:#?}\n{envelope:#?}\n{expected:#?}");
            assert_eq!(read(&self.spool, &queued.location), Ok(expected.body.to_vec()), "{id}");
        }
        for (id, expected) in &self.expected {
            assert!(expected.standing != Standing::Promised || found.contains_key(id), "{id} was promised and is lost");
        }
        self.adopt(&found);
    }

    /// From here on, what was found is what is known.
    fn adopt(&mut self, found: &BTreeMap<MessageId, (&Queued, Envelope)>) {
        self.expected.retain(|id, _| found.contains_key(id));
        for (id, (queued, envelope)) in found {
            let expected = self.expected.get_mut(id).expect("compared before");
            expected.standing = Standing::Promised;
            expected.envelope = envelope.clone();
            expected.facts.clear();
            if let Some(at) = queued.retry_at {
                // The time is not in the envelope: an attempt without outcomes says it again.
                let attempt = Attempt { id: *id, outcomes: Vec::new(), retry_at: Some(at), warned: false };
                expected.facts.push((Fact::Attempt(attempt), true));
            }
        }
    }

    /// The same, for a spool that has not been opened anew: every body that is ours can be read.
    fn read_all(&self) {
        for (id, expected) in &self.expected {
            if expected.standing == Standing::Promised {
                let location = self.spool.location(*id).unwrap_or_else(|| panic!("{id} is not known"));
                let envelope = self.spool.reader().envelope(&location).unwrap_or_else(|error| panic!("{id}: {error}"));
                assert_eq!(envelope.trace, expected.envelope.trace, "{id}");
                assert_eq!(read(&self.spool, &location), Ok(expected.body.to_vec()), "{id}");
            }
        }
    }
}

/// The envelope of a message that was found, with everything that has become of it.
fn whole(spool: &Spool<MemoryDisk>, queued: &Queued) -> Envelope {
    let accepted = spool.reader().envelope(&queued.location).expect("what was found can be read");
    queued.brief.complete(accepted)
}

fn read(spool: &Spool<MemoryDisk>, location: &Location) -> Result<Vec<u8>, String> {
    let chunks = spool.reader().body(location).map_err(|error| error.to_string())?;
    Ok(chunks.concat())
}

#[test]
fn what_is_flushed_is_there_after_a_restart() {
    let mut bench = Bench::new();
    let id = bench.stage(500).unwrap();
    let large = bench.stage(20_000).unwrap();
    assert!(bench.spool.needs_flush() && !bench.spool.staged_only_outcomes());
    assert!(bench.flush().is_none());
    bench.attempt(id, 0, Ending::Deferred);
    bench.attempt(id, 1, Ending::Delivered);
    bench.attempt(id, 0, Ending::Deferred);
    bench.say(large, Fact::Held);
    assert!(bench.spool.staged_only_outcomes());
    assert!(bench.flush().is_none());
    let disk = bench.disk.clone();
    let recovery = bench.reopen(disk);
    assert_eq!(recovery.messages.len(), 2);
    assert_eq!(recovery.messages[0].brief.standing(0).map(|standing| standing.attempts), Some(2));
    assert!(recovery.messages[1].brief.is_held());
    bench.finish(id);
    bench.finish(large);
    assert!(bench.flush().is_none());
    bench.settle().unwrap();
    assert!(bench.disk.content(&crate::body::file_name(large)).is_none(), "its file is removed");
    let disk = bench.disk.clone();
    assert!(bench.reopen(disk).messages.is_empty());
}

#[test]
fn one_flush_is_one_write_and_one_flush_of_the_disk() {
    use crate::disk::memory::Call;
    let mut bench = Bench::new();
    let (writes, syncs) = (bench.disk.count(Call::Write), bench.disk.count(Call::Sync));
    for size in [0, 1, 100, 4000] {
        bench.stage(size).unwrap();
    }
    assert!(bench.flush().is_none());
    assert_eq!((bench.disk.count(Call::Write), bench.disk.count(Call::Sync)), (writes + 1, syncs + 1));
}

#[test]
fn settings_that_contradict_one_another_are_refused() {
    for wrong in [
        Settings { segment_bytes: 100_000, ..settings() },
        Settings { segment_bytes: 4096, ..settings() },
        Settings { body_file_over_bytes: 64 << 10, ..settings() },
        Settings { spare_segments: 0, ..settings() },
    ] {
        assert!(matches!(Spool::open(MemoryDisk::new(), wrong), Err(Error::Settings(_))));
    }
}

#[test]
fn what_is_used_beside_the_owner_may_be_sent_there() {
    fn sent<T: Send>() {}
    fn shared<T: Send + Sync + Clone>() {}
    sent::<Spool<MemoryDisk>>();
    sent::<crate::body::BodyFile<MemoryDisk>>();
    sent::<super::Receipt>();
    shared::<super::Ids>();
    shared::<super::Reader<MemoryDisk>>();
    shared::<crate::body::Bodies<MemoryDisk>>();
    shared::<Location>();
}

//! The group commit, with tasks taking turns in any order (shuttle).
//!
//! Every await of the keeper and of those who wait for it is a place where another may go on, and
//! so is every tick of the clock. A receipt must find its message on what the disk is certain to
//! keep at that moment; nobody may wait for ever, which shuttle would see as tasks that are stuck.

use super::*;
use queue::disk::memory::{Call, Fault, MemoryDisk};
use queue::spool::{Ids, Settings};
use queue::{Content, Draft, Kind};
use shuttle::future::{JoinHandle, block_on, spawn, yield_now};
use shuttle::scheduler::RandomScheduler;
use shuttle::{Config, Runner};
use std::collections::BTreeSet;

const CLIENTS: usize = 3;

fn settings() -> Settings {
    Settings {
        segment_bytes: 64 << 10,
        body_file_over_bytes: 8 << 10,
        reserve_bytes: 0,
        spare_segments: 1,
        salt: 0x5EED,
    }
}

fn envelope(id: MessageId) -> Arc<Envelope> {
    Arc::new(Envelope {
        id,
        kind: Kind::Mail,
        received: mail::Timestamp::from_millis(1_795_301_320_123),
        server: "inbound".into(),
        client: None,
        hello: None,
        reverse_path: mail::ReversePath::Null,
        ret: None,
        envid: None,
        smtputf8: false,
        content: Content::default(),
        trace: Box::default(),
        recipients: Vec::new(),
        warned: false,
        held: false,
        counted: None,
    })
}

fn body() -> Body {
    let mut draft = Draft::new();
    draft.push(b"Subject: x\r\n\r\nx\r\n");
    draft.finish()
}

/// The messages that a start would find if the power went now.
fn durable(disk: &MemoryDisk) -> BTreeSet<MessageId> {
    let (_, recovery) = Spool::open(disk.durable(), settings()).expect("opens");
    recovery.messages.iter().map(|queued| queued.id).collect()
}

/// A keeper and what is around it.
struct Bench {
    disk: MemoryDisk,
    ids: Ids,
    handle: KeeperHandle,
    stop: Signal,
    ended: mpsc::Receiver<()>,
    over: Arc<AtomicBool>,
    around: Vec<JoinHandle<()>>,
}

impl Bench {
    /// Must be called where tokio's paused clock is at hand.
    fn new(runtime: &Arc<tokio::runtime::Runtime>) -> Bench {
        let disk = MemoryDisk::new();
        let (spool, _) = Spool::open(disk.clone(), settings()).expect("opens");
        let ids = spool.ids();
        let (orders, mut admitted) = mpsc::channel(1);
        let stop = Signal::default();
        let (keeper, handle, ended) = Keeper::new(spool, orders, Box::new(|_| {}), stop.clone());
        let over = Arc::new(AtomicBool::new(false));
        let (clock, done) = (Arc::clone(runtime), over.clone());
        let around = vec![
            spawn(keeper.run()),
            spawn(async move { while admitted.recv().await.is_some() {} }),
            spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    clock.block_on(tokio::time::advance(Duration::from_millis(250)));
                    yield_now().await;
                }
            }),
        ];
        Bench { disk, ids, handle, stop, ended, over, around }
    }

    /// A client that commits a message, and what came of it.
    fn commits(&self) -> JoinHandle<Option<MessageId>> {
        let (id, handle, disk) = (self.ids.next(), self.handle.clone(), self.disk.clone());
        spawn(async move {
            let (receipt, admission) = handle.commit(envelope(id), body()).await.ok()?;
            assert_eq!(receipt.id(), id);
            assert!(durable(&disk).contains(&id), "a receipt for what is not durable");
            admission.enter().await;
            Some(id)
        })
    }

    /// Somebody who finishes a message and wants to know when that is durable: whether it is, or
    /// `None` if it could not even be said.
    fn finishes(&self, id: MessageId) -> JoinHandle<Option<bool>> {
        let (handle, disk) = (self.handle.clone(), self.disk.clone());
        spawn(async move {
            let (done, is_durable) = oneshot::channel();
            for errand in [Errand::Finished(id), Errand::Barrier(done)] {
                let Ok(permit) = handle.reserve().await else { return None };
                permit.send(errand);
            }
            let answered = is_durable.await.is_ok();
            assert!(!answered || !durable(&disk).contains(&id), "a barrier passed before what it waits for");
            Some(answered)
        })
    }

    /// Waits until the keeper has ended.
    async fn end(mut self) -> MemoryDisk {
        self.stop.give();
        assert!(self.ended.recv().await.is_none());
        self.over.store(true, Ordering::Relaxed);
        for task in self.around {
            task.await.expect("ends");
        }
        self.disk
    }
}

/// Runs a story many times, its tasks taking turns differently each time.
fn any_order(times: usize, story: impl AsyncFn(Bench, usize) + Copy + Send + Sync + 'static) {
    let mut config = Config::default();
    config.stack_size = 1 << 20;
    let turn = std::sync::atomic::AtomicUsize::new(0);
    Runner::new(RandomScheduler::new(times), config).run(move || {
        let clock = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let clock = Arc::new(clock.expect("a clock"));
        let _here = clock.enter();
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        block_on(story(Bench::new(&clock), turn));
    });
}

/// Clients commit, each message is finished and waited for; a flush of the disk may fail meanwhile.
async fn in_service(bench: Bench, turn: usize) {
    if let Some(sync) = (turn % 8).checked_sub(2) {
        bench.disk.fail_call(Call::Sync, sync as u64, Fault::Once(std::io::ErrorKind::Other));
    }
    let clients: Vec<_> = (0..CLIENTS).map(|_| bench.commits()).collect();
    let mut finished = Vec::new();
    let mut ours = BTreeSet::new();
    for (at, client) in clients.into_iter().enumerate() {
        let Some(id) = client.await.expect("answered") else { continue };
        if at == 0 {
            ours.insert(id);
        } else {
            finished.push(bench.finishes(id));
        }
    }
    for barrier in finished {
        assert_eq!(barrier.await.expect("answered"), Some(true), "the keeper has not been stopped");
    }
    let disk = bench.end().await;
    assert_eq!(durable(&disk), ours);
}

/// The same, and the keeper is stopped at any moment.
async fn while_stopping(bench: Bench, turn: usize) {
    let fails = turn.is_multiple_of(4);
    if fails {
        bench.disk.fail_call(Call::Sync, (turn / 4 % 4) as u64, Fault::Once(std::io::ErrorKind::Other));
    }
    let stop = bench.stop.clone();
    let stopper = spawn(async move {
        yield_now().await;
        stop.give();
    });
    let clients: Vec<_> = (0..CLIENTS).map(|_| bench.commits()).collect();
    let mut asked = Vec::new();
    for client in clients {
        if let Some(id) = client.await.expect("answered") {
            asked.push((id, bench.finishes(id)));
        }
    }
    let mut ours = BTreeSet::new();
    for (id, barrier) in asked {
        let durable = barrier.await.expect("answered");
        assert!(durable != Some(false) || fails, "what was given before the end is taken");
        if durable != Some(true) {
            ours.insert(id);
        }
    }
    stopper.await.expect("ends");
    let disk = bench.end().await;
    let found = durable(&disk);
    // What could not be said any more is said again after the next start; nothing else is there.
    assert!(found.is_subset(&ours), "{found:?} of {ours:?}");
}

#[test]
fn a_receipt_is_given_after_the_flush_and_nobody_waits_for_ever() {
    any_order(1500, in_service);
}

#[test]
fn whoever_has_given_an_errand_is_answered_when_the_keeper_stops() {
    any_order(1500, while_stopping);
}

#[test]
#[should_panic(expected = "a receipt for what is not durable")]
fn the_model_finds_a_flush_that_does_nothing() {
    any_order(100, async |bench: Bench, turn| {
        bench.disk.lie();
        in_service(bench, turn).await;
    });
}

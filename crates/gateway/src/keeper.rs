//! The keeper of the spool: the one owner of everything durable.
//!
//! Whatever waits when a flush ends goes into the next write and one flush of the disk; nobody
//! waits for a timer. Outcomes that nobody waits for may stay a few milliseconds for company. After
//! a failed flush new mail is refused until the spool goes on in a fresh segment, and what had been
//! accepted is still delivered.

#[cfg(test)]
mod tests;

use crate::admission::Admission;
use crate::dispatch::{Admitted, Order};
use crate::stop::Signal;
use crate::timer::Timer;
use queue::Body;
use queue::disk::Disk;
use queue::spool::{Attempt, Error, Receipt, Spool};
use queue::{Envelope, MessageId};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Errands that may wait for the keeper.
const ERRANDS: usize = 4096;
/// Errands that go into one flush at the most.
const BATCH: usize = 1024;
/// How long outcomes may wait for company before they are flushed (faults page, figure 1).
const OUTCOME_WAIT: Duration = Duration::from_millis(5);
/// How often the keeper tidies up when nothing happens, and tries to mend a broken spool.
const PULSE: Duration = Duration::from_secs(1);

/// Something to be made durable.
#[derive(Debug)]
pub(crate) enum Errand {
    /// A message, with somebody waiting for the receipt.
    Commit { envelope: Arc<Envelope>, body: Body, done: Done },
    /// What came of an attempt.
    Attempt(Attempt),
    /// An administrator holds a message back.
    Held(MessageId),
    /// An administrator released a message.
    Released(MessageId),
    /// Nothing is left to do for a message.
    Finished(MessageId),
    /// Somebody wants to know when everything before this is durable.
    Barrier(oneshot::Sender<()>),
}

/// Whoever waits for a receipt.
type Done = oneshot::Sender<Result<(Receipt, Admission), NotCommitted>>;

/// Why a message is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotCommitted {
    /// The disk has no room for new mail: 452 4.3.1.
    NoRoom,
    /// It is larger than anything the spool can hold: 552 5.3.4.
    TooLarge,
    /// The spool could not be written: 451 4.3.0.
    Failed,
}

impl fmt::Display for NotCommitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotCommitted::NoRoom => "the spool has no room",
            NotCommitted::TooLarge => "larger than the spool can hold",
            NotCommitted::Failed => "the spool could not be written",
        })
    }
}

/// Gives errands to the keeper.
#[derive(Clone, Debug)]
pub(crate) struct KeeperHandle {
    errands: mpsc::Sender<Errand>,
    room: Arc<AtomicBool>,
}

impl KeeperHandle {
    /// Makes a message durable. Whoever is given the receipt may promise it, and tells the dispatcher.
    ///
    /// # Errors
    /// [`NotCommitted`]: nothing was promised and nothing is kept.
    pub(crate) async fn commit(
        &self,
        envelope: Arc<Envelope>,
        body: Body,
    ) -> Result<(Receipt, Admission), NotCommitted> {
        let (done, receipt) = oneshot::channel();
        let errand = Errand::Commit { envelope, body, done };
        self.errands.send(errand).await.map_err(|_| NotCommitted::Failed)?;
        receipt.await.unwrap_or(Err(NotCommitted::Failed))
    }

    /// Whether new mail may be taken, as far as the disk is concerned.
    #[must_use]
    pub(crate) fn has_room(&self) -> bool {
        self.room.load(Ordering::Relaxed)
    }

    /// A place in the queue to the keeper, if there is one now.
    #[must_use]
    pub(crate) fn try_reserve(&self) -> Option<mpsc::Permit<'_, Errand>> {
        self.errands.try_reserve().ok()
    }

    /// A place in the queue to the keeper; for whoever must not wait while holding an errand.
    ///
    /// # Errors
    /// The keeper has stopped.
    pub(crate) async fn reserve(&self) -> Result<mpsc::Permit<'_, Errand>, mpsc::error::SendError<()>> {
        self.errands.reserve().await
    }
}

/// Called with what went wrong when the spool could not be written.
pub(crate) type Alarm = Box<dyn Fn(&Error) + Send>;

/// The owner of the spool.
pub struct Keeper<D: Disk> {
    spool: Spool<D>,
    errands: mpsc::Receiver<Errand>,
    orders: mpsc::Sender<Order>,
    room: Arc<AtomicBool>,
    alarm: Alarm,
    stop: Signal,
    waiting: VecDeque<Waiting>,
    barriers: Vec<oneshot::Sender<()>>,
    /// The spool has more tidying to do.
    housekeeping: bool,
    /// Held until the keeper has ended, so that others can wait for it.
    _alive: mpsc::Sender<()>,
}

/// A staged message and whoever waits for it.
struct Waiting {
    envelope: Arc<Envelope>,
    body: Body,
    done: Done,
}

impl<D: Disk> Keeper<D> {
    /// A keeper, its handle, and a channel that closes when the keeper has ended: when
    /// `stop` is cancelled and everything it was given is durable.
    pub(crate) fn new(
        spool: Spool<D>,
        orders: mpsc::Sender<Order>,
        alarm: Alarm,
        stop: Signal,
    ) -> (Keeper<D>, KeeperHandle, mpsc::Receiver<()>) {
        let (sender, errands) = mpsc::channel(ERRANDS);
        let (alive, ended) = mpsc::channel(1);
        let room = Arc::new(AtomicBool::new(spool.has_room()));
        let handle = KeeperHandle { errands: sender, room: room.clone() };
        let waiting = VecDeque::new();
        (
            Keeper {
                spool,
                errands,
                orders,
                room,
                alarm,
                stop,
                waiting,
                barriers: Vec::new(),
                housekeeping: false,
                _alive: alive,
            },
            handle,
            ended,
        )
    }

    /// Works until it is stopped. Disk calls block; run it where that hurts nobody.
    pub async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        // A moment, not a span from the last errand: however many keep coming, it is reached.
        let mut latest = Instant::now() + PULSE;
        let mut timer = Timer::new(latest);
        loop {
            tokio::select! {
                biased;
                came = self.errands.recv_many(&mut batch, BATCH) => {
                    if came == 0 {
                        break;
                    }
                }
                () = timer.until(latest) => {}
                () = self.stop.given(), if !self.errands.is_closed() => {
                    // What is waiting is still taken; then there is no more.
                    self.errands.close();
                    continue;
                }
            }
            self.stage(&mut batch);
            let late = Instant::now() >= latest;
            if late || (self.spool.needs_flush() && !self.spool.staged_only_outcomes()) {
                self.flush();
                latest = Instant::now() + PULSE;
            }
            if late || self.housekeeping || self.spool.maintenance_is_due() {
                self.maintain();
            }
            if late {
                self.mend();
            }
            // A broken spool is left alone until the next pulse: what is staged cannot be written.
            if (self.housekeeping || self.spool.staged_only_outcomes()) && !self.spool.is_broken() {
                latest = latest.min(Instant::now() + OUTCOME_WAIT);
            }
        }
        self.flush();
    }

    fn stage(&mut self, batch: &mut Vec<Errand>) {
        for errand in batch.drain(..) {
            match errand {
                Errand::Commit { envelope, body, done } => match self.spool.stage_message(&envelope, &body) {
                    Ok(()) => self.waiting.push_back(Waiting { envelope, body, done }),
                    Err(error) => {
                        // Somebody who has gone needs no answer.
                        let _ = done.send(Err(reason(&error)));
                    }
                },
                Errand::Attempt(attempt) => self.spool.stage_attempt(&attempt),
                Errand::Held(id) => self.spool.stage_held(id),
                Errand::Released(id) => self.spool.stage_released(id),
                Errand::Finished(id) => self.spool.stage_finished(id),
                Errand::Barrier(done) => self.barriers.push(done),
            }
        }
    }

    /// One flush; receipts go to those who wait.
    fn flush(&mut self) {
        if self.spool.needs_flush() {
            let flushed = self.spool.flush();
            if let Some(error) = &flushed.error {
                (self.alarm)(error);
            }
            let why = flushed.error.as_ref().map_or(NotCommitted::Failed, reason);
            self.hand_out(flushed.receipts, why);
        }
        if !self.spool.needs_flush() {
            // Whoever asked may have gone.
            self.barriers.drain(..).for_each(|done| _ = done.send(()));
        }
        self.room.store(self.spool.has_room(), Ordering::Relaxed);
    }

    fn maintain(&mut self) {
        self.housekeeping = self.spool.maintain().unwrap_or_else(|error| {
            (self.alarm)(&error);
            false
        });
        self.room.store(self.spool.has_room(), Ordering::Relaxed);
    }

    /// Who has no receipt is told `why`.
    fn hand_out(&mut self, receipts: Vec<Receipt>, why: NotCommitted) {
        let mut receipts = receipts.into_iter().peekable();
        for Waiting { envelope, body, done } in self.waiting.drain(..) {
            let Some(receipt) = receipts.next_if(|receipt| receipt.id() == envelope.id) else {
                let _ = done.send(Err(why));
                continue;
            };
            let location = receipt.location().clone();
            let admitted = Admitted { envelope, location, body: body.chunks().map(<[_]>::to_vec) };
            let admission = Admission::new(admitted, self.orders.clone());
            // A client that has gone meanwhile sends again; the message is ours all the same.
            let _ = done.send(Ok((receipt, admission)));
        }
        assert!(receipts.next().is_none(), "every receipt belongs to somebody");
    }

    fn mend(&mut self) {
        if self.spool.is_broken()
            && let Err(error) = self.spool.restore()
        {
            (self.alarm)(&error);
        }
        self.room.store(self.spool.has_room(), Ordering::Relaxed);
    }
}

fn reason(error: &Error) -> NotCommitted {
    match error {
        Error::NoRoom => NotCommitted::NoRoom,
        Error::TooLarge => NotCommitted::TooLarge,
        Error::Disk { .. } | Error::Version(_) | Error::Settings(_) | Error::Broken => NotCommitted::Failed,
    }
}

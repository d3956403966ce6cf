//! Deliver: one connection to a next hop, and the messages it carries.
//!
//! Open, attempt, settle; then the next message, until there is none or the connection has carried
//! enough. An attempt ends in one outcome for each recipient; reports that an outcome asks for are
//! durable before the outcome is told to the dispatcher, who records it before anything else.

mod drop;
mod link;
mod masquerade;
mod open;
mod submit;

pub use submit::{NotSubmitted, Submission, submit};

use crate::Gateway;
use crate::bounding;
use crate::conclude::{self, Occasion, Settled};
use crate::dispatch::Order;
use crate::event::Event;
use crate::plan::Way;
use crate::recall::{Letter, Recalled, recall};
use crate::session::caught;
use crate::translate;
use crate::world::World;
use bytes::Bytes;
use config::Rate;
use link::{Link, Transferred};
use mail::{Class, EnhancedStatus};
use policy::Route;
use queue::spool::{BodyReader, Location, ReadError};
use queue::{ConnectionEnd, ConnectionId, Diagnosis, Ending, Envelope, Item, Outcome};
use smtp::client::{Mail, Verdict};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long a connection with nothing to carry is kept for more.
const LINGER: Duration = Duration::from_secs(2);

/// One message for one connection, as the dispatcher hands it out.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    /// The part of the message that goes this way.
    pub item: Item,
    /// The message.
    pub letter: Letter,
}

/// One message for one connection, ready to be sent.
struct Job {
    /// The part of the message that goes this way.
    item: Item,
    /// The envelope, or what is left of it.
    envelope: Arc<Envelope>,
    /// Why it is not whole.
    unreadable: Option<ReadError>,
    /// The body.
    content: Stored,
}

/// Where a body is.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// Still in memory since it was received.
    pub memory: Option<Vec<Bytes>>,
    /// In the spool.
    pub location: Location,
}

/// One connection of a way, seen by whoever drives it.
pub(crate) struct Carrier<W: World> {
    pub gateway: Arc<Gateway<W>>,
    pub way: Arc<Way>,
    pub id: ConnectionId,
    pub connect_limit: Duration,
    /// How slowly the next hop may take a message.
    pub rate: Rate,
    /// The number of this connection of the way, so that load can be spread over its hosts.
    pub turn: usize,
    /// Ends the connection at once, whatever the next hop is at.
    pub cut: CancellationToken,
}

/// One connection, from opening to closing. A panic inside ends it, and nothing else.
pub(crate) async fn connection<W: World>(carrier: Carrier<W>, first: Assignment, mut jobs: mpsc::Receiver<Assignment>) {
    let end = caught(pin!(carrier.carry(first, &mut jobs))).await.unwrap_or_else(|| {
        carrier.fault();
        ConnectionEnd::Failed { error: "internal error".into() }
    });
    // Fails only when everything stops.
    let _ = carrier.gateway.orders.send(Order::Closed { connection: carrier.id, end }).await;
}

impl<W: World> Carrier<W> {
    async fn carry(&self, first: Assignment, jobs: &mut mpsc::Receiver<Assignment>) -> ConnectionEnd {
        match &self.way.route {
            Route::Drop(to) => self.carry_to_directory(&to.directory, first, jobs).await,
            Route::SmartHosts(hosts) => match self.unless_cut(self.open(hosts)).await {
                None => ConnectionEnd::Closed,
                Some(open::Opened::Ready(link)) => self.carry_to_host(*link, first, jobs).await,
                Some(open::Opened::Loop) => self.refuse(&conclude::own_loop(), first, jobs).await,
                Some(open::Opened::Failed(error)) => ConnectionEnd::Failed { error },
                Some(open::Opened::Exhausted(error)) => self.exhausted(error),
            },
            Route::None => self.refuse(&conclude::no_route(), first, jobs).await,
        }
    }

    async fn carry_to_host(
        &self,
        mut link: Link<W>,
        first: Assignment,
        jobs: &mut mpsc::Receiver<Assignment>,
    ) -> ConnectionEnd {
        let hop = &*link.hop.clone();
        let _presence = Presence::new(self, hop);
        let mut next = Some(first);
        while let Some(assignment) = next {
            let job = self.prepare(assignment).await;
            let attempted = self.unless_cut(caught(pin!(self.attempt(&mut link, &job)))).await;
            let Some(attempted) = attempted else { break };
            let attempted = attempted.unwrap_or_else(|| self.broken(&job));
            if let Some(error) = attempted.exhausted {
                self.unless_cut(link.quit()).await;
                return self.exhausted(error);
            }
            if attempted.stale {
                break;
            }
            // Not to be cut: what the next hop has said is known only here.
            bounding::refused_by_hop(&self.gateway, &job.envelope, &attempted.refused).await;
            self.settle(&job, attempted.outcomes, hop, link.reports()).await;
            next = if attempted.usable { self.next(jobs).await } else { None };
        }
        self.unless_cut(link.quit()).await;
        ConnectionEnd::Closed
    }

    /// Reads back what the dispatcher has not kept.
    async fn prepare(&self, assignment: Assignment) -> Job {
        let Assignment { item, letter } = assignment;
        let Recalled { envelope, error: unreadable } = recall(&self.gateway, &letter).await;
        Job { item, envelope, unreadable, content: letter.content }
    }

    /// Waits for the next hop, but not if the connection is to end at once: `None`.
    async fn unless_cut<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.cut.cancelled() => None,
            done = work => Some(done),
        }
    }

    /// This host has no descriptor left: nobody else's fault, and soon over.
    fn exhausted(&self, error: Box<str>) -> ConnectionEnd {
        self.gateway.recorder.record(&Event::HopPostponed {
            server: &self.way.server,
            hop: &self.way.name,
            why: &error,
        });
        ConnectionEnd::Postponed { error }
    }

    fn fault(&self) {
        self.gateway.recorder.record(&Event::Fault { place: "delivery", what: "panic; the connection was closed" });
    }

    /// An attempt that ended in a panic: its message waits, so that it does not stand before all others.
    fn broken(&self, job: &Job) -> Attempted {
        self.fault();
        let status = EnhancedStatus::new(Class::Transient, 3, 0);
        Attempted::unusable(same(job, Ending::Deferred, status, "internal error"))
    }

    /// One message over an open connection: plan, transfer, outcome.
    async fn attempt(&self, link: &mut Link<W>, job: &Job) -> Attempted {
        if let Some(error) = &job.unreadable {
            let stale = matches!(error, ReadError::Gone);
            let outcomes = unreadable(job, error);
            return Attempted { usable: true, stale, exhausted: exhausted(error), ..Attempted::unusable(outcomes) };
        }
        let content = Source::new(&self.gateway, job.envelope.trace.to_vec(), &job.content);
        match link.transfer(&self.gateway.world, self.mail(job), content).await {
            Transferred::Finished(finished) => Attempted {
                refused: refused(job, &finished.recipients),
                outcomes: outcomes(job, finished.recipients, &link.hop, link.reports()),
                usable: finished.usable,
                stale: finished.stale,
                exhausted: None,
            },
            Transferred::Unreadable(error) => Attempted {
                stale: matches!(error, ReadError::Gone),
                exhausted: exhausted(&error),
                ..Attempted::unusable(unreadable(job, &error))
            },
        }
    }

    /// The part of a message that goes this way, as the client sends it.
    fn mail(&self, job: &Job) -> Mail {
        let envelope = &job.envelope;
        let recipients = || job.item.recipients.iter().filter_map(|place| envelope.recipients.get(place));
        let forward_paths = recipients().map(|recipient| &recipient.forward_path);
        Mail {
            reverse_path: masquerade::shown(
                self.way.delivery.masquerade.as_ref(),
                &envelope.reverse_path,
                forward_paths,
            ),
            recipients: recipients().map(translate::client_recipient).collect(),
            size: envelope.content.size_bytes + envelope.trace.len() as u64,
            content: translate::client_content(&envelope.content),
            smtputf8: envelope.smtputf8,
            ret: envelope.ret.map(translate::client_ret),
            envid: envelope.envid.clone(),
        }
    }

    /// The next message, or `None` when the connection is to end: nothing has come for a while, or
    /// the dispatcher wants it ended.
    async fn next(&self, jobs: &mut mpsc::Receiver<Assignment>) -> Option<Assignment> {
        if let Ok(job) = self.unless_cut(tokio::time::timeout(LINGER, jobs.recv())).await? {
            return job;
        }
        // Whatever was sent at this very moment is still carried.
        jobs.close();
        jobs.recv().await
    }

    /// What came of one attempt: reported where somebody wants to know, said, and told.
    async fn settle(&self, job: &Job, outcomes: Vec<Outcome>, hop: &str, hop_reports: bool) {
        let settled =
            conclude::settle(&self.gateway, &job.envelope, &job.content, outcomes, Occasion::Attempt { hop_reports })
                .await;
        let Settled { outcomes } = settled;
        self.say(job, &outcomes, hop);
        let order = Order::Finished { connection: self.id, message: job.item.message, outcomes };
        // Fails only when everything stops; then the message is delivered again after the start.
        let _ = self.gateway.orders.send(order).await;
    }

    fn say(&self, job: &Job, outcomes: &[Outcome], hop: &str) {
        let (server, id, recorder) = (&*self.way.server, job.item.message, &self.gateway.recorder);
        let age = self.gateway.world.now().since(job.envelope.received);
        conclude::say(recorder, &job.envelope, outcomes, hop, age);
        let recipients = outcomes.iter().filter(|o| matches!(o.result, Ending::Delivered | Ending::Relayed)).count();
        if recipients > 0 {
            let bytes = job.envelope.content.size_bytes;
            let drop = matches!(self.way.route, Route::Drop(_));
            recorder.record(&Event::Sent { server, id, hop, recipients, bytes, drop });
        }
    }

    /// Nothing that goes this way will ever arrive: every message fails, for the reason stated.
    async fn refuse(&self, why: &Diagnosis, first: Assignment, jobs: &mut mpsc::Receiver<Assignment>) -> ConnectionEnd {
        let mut next = Some(first);
        while let Some(assignment) = next {
            let job = self.prepare(assignment).await;
            let outcomes = match &job.unreadable {
                None | Some(ReadError::Damaged) => same(&job, Ending::Failed, why.status, &why.text),
                // Nobody can be told now.
                Some(error @ (ReadError::Disk(_) | ReadError::Gone)) => unreadable(&job, error),
            };
            self.settle(&job, outcomes, &self.way.name, false).await;
            next = self.next(jobs).await;
        }
        ConnectionEnd::Closed
    }
}

/// Says that a connection to a next hop is open, and, however it ends, that it is gone.
struct Presence<'a, W: World> {
    carrier: &'a Carrier<W>,
    hop: &'a str,
}

impl<'a, W: World> Presence<'a, W> {
    fn new(carrier: &'a Carrier<W>, hop: &'a str) -> Presence<'a, W> {
        carrier.gateway.recorder.record(&Event::HopConnected { server: &carrier.way.server, hop });
        Presence { carrier, hop }
    }
}

impl<W: World> Drop for Presence<'_, W> {
    fn drop(&mut self) {
        let event = Event::HopDisconnected { server: &self.carrier.way.server, hop: self.hop };
        self.carrier.gateway.recorder.record(&event);
    }
}

/// What came of an attempt.
struct Attempted {
    outcomes: Vec<Outcome>,
    /// The places of those whom the next hop does not want, of a message that was counted.
    refused: Vec<usize>,
    /// The connection may carry another message.
    usable: bool,
    /// The connection had died while it was idle; a fresh one may try at once.
    stale: bool,
    /// This host had no descriptor left to read the message with.
    exhausted: Option<Box<str>>,
}

impl Attempted {
    fn unusable(outcomes: Vec<Outcome>) -> Attempted {
        Attempted { outcomes, refused: Vec::new(), usable: false, stale: false, exhausted: None }
    }
}

/// Why a message could not be read, if it was for want of a descriptor.
fn exhausted(error: &ReadError) -> Option<Box<str>> {
    match error {
        ReadError::Disk(why) if why.kind() == io::ErrorKind::OutOfMemory => Some(error.to_string().into()),
        _ => None,
    }
}

/// Whom the next hop refused for good, not the message or us, if anybody counts that.
fn refused(job: &Job, verdicts: &[Verdict]) -> Vec<usize> {
    if job.envelope.counted.is_none() {
        return Vec::new();
    }
    let verdicts = job.item.recipients.iter().zip(verdicts);
    verdicts.filter(|(_, verdict)| verdict.response().refuses_recipient()).map(|(place, _)| place).collect()
}

/// The verdicts of a next hop in the words of the queue. `reports`: the hop offers DSN.
fn outcomes(job: &Job, verdicts: Vec<Verdict>, hop: &str, reports: bool) -> Vec<Outcome> {
    let progress = verdicts.iter().any(|verdict| matches!(verdict, Verdict::Delivered(_)));
    let outcome = |(recipient, verdict): (usize, Verdict)| {
        let result = match &verdict {
            Verdict::Delivered(_) if reports => Ending::Delivered,
            Verdict::Delivered(_) => Ending::Relayed,
            Verdict::Deferred(_) => Ending::Deferred,
            Verdict::Failed(_) => Ending::Failed,
        };
        let response = verdict.response();
        // RFC 5321 §4.5.3.1.10: a peer without enhanced statuses says by 452 alone that there were too
        // many recipients, and where others got through that is what it means.
        let too_many = result == Ending::Deferred && progress && response.is_too_many_recipients();
        let diagnosis = Diagnosis {
            status: if too_many { EnhancedStatus::new(Class::Transient, 5, 3) } else { response.status },
            text: if response.local { response.text.clone() } else { response.to_string().into() },
            // RFC 3464 §2.3.5 wants a name or a literal, and no port.
            host: (!response.local).then(|| hop.rsplit_once(':').map_or(hop, |(host, _)| host).into()),
        };
        Outcome { recipient, result, diagnosis }
    };
    job.item.recipients.iter().zip(verdicts).map(outcome).collect()
}

/// The same outcome, in our own words, for all recipients of a job.
fn same(job: &Job, result: Ending, status: EnhancedStatus, text: &str) -> Vec<Outcome> {
    let diagnosis = Diagnosis { status, text: text.into(), host: None };
    let outcome = |recipient| Outcome { recipient, result, diagnosis: diagnosis.clone() };
    job.item.recipients.iter().map(outcome).collect()
}

/// A message that could not be read: wait for the disk, give up on what it has lost.
fn unreadable(job: &Job, error: &ReadError) -> Vec<Outcome> {
    match error {
        ReadError::Disk(_) | ReadError::Gone => {
            let status = EnhancedStatus::new(Class::Transient, 3, 0);
            same(job, Ending::Deferred, status, &error.to_string())
        }
        ReadError::Damaged => {
            let status = EnhancedStatus::new(Class::Permanent, 3, 0);
            same(job, Ending::Failed, status, "the stored message is damaged and cannot be sent")
        }
    }
}

/// A message as it goes out: the header fields we added, then the body, chunk by chunk.
pub(crate) struct Source<W: World> {
    head: Option<Bytes>,
    body: From<W>,
}

enum From<W: World> {
    Memory(std::vec::IntoIter<Bytes>),
    Spool(Option<BodyReader<W::Disk>>),
}

/// Octets read from the spool at once.
const CHUNK_OCTETS: usize = 256 * 1024;

impl<W: World> Source<W> {
    /// The message of an envelope.
    pub(crate) fn new(gateway: &Gateway<W>, head: Vec<u8>, content: &Stored) -> Source<W> {
        let body = match &content.memory {
            Some(chunks) => From::Memory(chunks.clone().into_iter()),
            None => From::Spool(Some(gateway.reader.chunks(&content.location))),
        };
        Source { head: Some(head.into()), body }
    }

    /// A message that is in memory, as it is.
    fn of(chunk: Bytes) -> Source<W> {
        Source { head: Some(chunk), body: From::Memory(Vec::new().into_iter()) }
    }

    /// The next chunk; `None` at the end.
    ///
    /// # Errors
    /// The body cannot be read. What has been given out must not be taken for the whole.
    pub(crate) async fn next(&mut self, world: &W) -> Result<Option<Bytes>, ReadError> {
        if let Some(head) = self.head.take() {
            return Ok(Some(head));
        }
        match &mut self.body {
            From::Memory(chunks) => Ok(chunks.next()),
            From::Spool(reader) => {
                let mut taken = reader.take().ok_or(ReadError::Gone)?;
                let (back, chunk) = world
                    .blocking(move || {
                        let chunk = taken.next_chunk(CHUNK_OCTETS);
                        (taken, chunk)
                    })
                    .await;
                *reader = Some(back);
                chunk
            }
        }
    }

    /// The next chunk, for whoever may wait for the disk itself.
    ///
    /// # Errors
    /// As [`Source::next`].
    pub(crate) fn next_blocking(&mut self) -> Result<Option<Bytes>, ReadError> {
        if let Some(head) = self.head.take() {
            return Ok(Some(head));
        }
        match &mut self.body {
            From::Memory(chunks) => Ok(chunks.next()),
            From::Spool(reader) => reader.as_mut().ok_or(ReadError::Gone)?.next_chunk(CHUNK_OCTETS),
        }
    }
}

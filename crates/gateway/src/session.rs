//! Drives one session: read, poll, perform.
//!
//! No protocol knowledge and no policy: the protocol says what it wants, [`crate::answer`] knows
//! how questions are answered, [`crate::receive`] how a message is taken.

use crate::answer;
use crate::authenticate;
use crate::door::Passage;
use crate::event::Event;
use crate::guessing::Trying;
use crate::inbox::Inbox;
use crate::listener::Greeting;
use crate::memory::{Held, SESSION_OCTETS, TLS_OCTETS};
use crate::pace::Pace;
use crate::receive::{self, Incoming};
use crate::stop::Ear;
use crate::timer::Timer;
use crate::world::{Secured, World};
use crate::{Gateway, Law, Server};
use config::Rate;
use identity::{Exchange, Link};
use mail::{Identity, Ledger, Mailbox};
use policy::{Admission, ConnectionFacts};
use smtp::server::{Answer, Note, Output, Question, Session as Protocol, TlsFacts, Transaction};
use std::io;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

/// Replies are sent at the latest when so many octets wait; a client that never reads costs no more.
const OUT_OCTETS: usize = 8 * 1024;
/// Space for replies that is kept while a session waits.
const OUT_KEPT_OCTETS: usize = 1024;

/// How long the last word and closing may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);
/// How long a client that still talks is heard out after the last reply, and how much of it.
const HEAR_OUT_LIMIT: Duration = Duration::from_millis(500);
const HEAR_OUT_OCTETS: usize = 256 * 1024;

/// A recipient that policy has accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// Where it goes; differs from what the client said for an alias domain.
    pub to: Mailbox,
    /// Submitted (inside) rather than relayed (outside).
    pub submitted: bool,
}

/// What the session knows beyond the protocol: everything a question is judged by.
pub(crate) struct Context<W: World> {
    pub gateway: Arc<Gateway<W>>,
    /// The settings the session started with; it is judged by them to the end.
    pub law: Arc<Law<W>>,
    pub server: Arc<Server<W>>,
    pub client: IpAddr,
    /// Who was inside when the client came.
    pub arrival: ConnectionFacts,
    pub admission: Admission,
    /// What becomes of the client at the door is not known yet.
    pub waiting: bool,
    pub ledger: Ledger,
    /// Who the client has proved to be.
    pub identity: Identity,
    /// How that is known.
    pub known: invariant::Known,
    /// An invariant that was broken before the session became that of another client.
    pub broken: Option<Box<str>>,
    /// The link is secured by TLS.
    pub secured: bool,
    /// What TLS says about the link.
    pub link: Option<Arc<Link>>,
    /// The secret that is being checked, for the defence against guessing.
    pub trying: Option<Trying>,
    /// An AUTH exchange that waits for the client.
    pub exchange: Option<Exchange>,
    /// Who sent this message to the peer that sends it to us, as the peer says.
    pub submitter: Option<Box<str>>,
    /// Where addresses stand in this message that are not its sender's own.
    pub marks: Vec<policy::AddressPlace>,
    /// How much later this transaction is answered.
    pub delay: Duration,
    /// The client may submit because it is on a list.
    pub is_listed: bool,
    /// It relays because it is on a list, in this transaction.
    pub relays_by_list: bool,
    /// Why this message is held, if it is.
    pub held: Option<bounds::Cause>,
    /// Whose sending it was counted as, if it was.
    pub counted: Option<queue::Counted>,
    /// The recipients accepted so far in this transaction.
    pub accepted: Vec<Accepted>,
    /// The message that is arriving.
    pub incoming: Option<Incoming<W>>,
    /// How many recipients of the last message were submitted rather than relayed.
    pub submitted: usize,
    /// Messages taken in this session.
    pub messages: u32,
    /// The last of them, until its client has been told: the dispatcher has time until then.
    pub entering: Option<crate::admission::Admission>,
}

impl<W: World> Context<W> {
    /// Says to the log what was noticed about the client.
    fn note(&self, note: Note) {
        if note == Note::AuthNotOffered {
            // Nobody who was set up for this server does that; all others are warned.
            self.gateway.guessing.decoy(self.client);
        }
        let (server, client) = (&*self.server.config.name, self.client);
        self.gateway.recorder.record(&Event::Noted { server, client, note: crate::note::name(note) });
    }
}

/// What the driver has to do after an output was performed.
enum Next {
    Poll,
    Answer(Answer),
    Receive(Transaction),
    Wait,
    Secure,
    Close,
}

/// Why there is nothing more to read.
enum Waited {
    Bytes,
    Closed,
    Expired,
    Stopping,
}

/// A client that was let in, and how.
pub(crate) struct Visit<S> {
    pub stream: S,
    /// What comes first.
    pub greeting: Greeting,
    /// Who was inside when it came.
    pub facts: ConnectionFacts,
}

/// One session from the first byte to the last. A panic inside ends the session with 421 and
/// nothing else.
pub(crate) async fn run<W: World>(
    gateway: Arc<Gateway<W>>,
    law: Arc<Law<W>>,
    server: Arc<Server<W>>,
    visit: Visit<W::Stream>,
) {
    let Visit { stream, greeting, facts: arrival } = visit;
    let client = arrival.client;
    let presence = Presence::new(&gateway, &server, client);
    let protocol = Protocol::new(server.config.session.clone());
    let context = Context {
        gateway: gateway.clone(),
        law,
        server,
        client,
        arrival,
        admission: Admission::Admitted,
        waiting: false,
        ledger: Ledger::new(),
        identity: Identity::Anonymous,
        known: invariant::Known::NotByAuth,
        broken: None,
        secured: false,
        link: None,
        trying: None,
        exchange: None,
        submitter: None,
        marks: Vec::new(),
        delay: Duration::ZERO,
        is_listed: false,
        relays_by_list: false,
        held: None,
        counted: None,
        accepted: Vec::new(),
        incoming: None,
        submitted: 0,
        messages: 0,
        entering: None,
    };
    let mut driver = Driver {
        stream: Some(stream),
        protocol,
        inbox: Inbox::default(),
        out: Vec::new(),
        soft_stop: gateway.stop.soft.ear(),
        hard_stop: gateway.stop.hard.ear(),
        patience: Patience::new(context.server.config.session_limit, context.server.config.session.door.time),
        pace: Pace::default(),
        held: gateway.memory.hold(SESSION_OCTETS),
        context,
    };
    // A peer that breaks the connection is everyday life, and the session's end either way.
    let conversed = caught(pin!(driver.begin(greeting))).await;
    driver.context.passed(Passage::TurnedAway);
    if conversed.is_some() {
        presence.end(driver.context.messages);
        return;
    }
    if let Some(stream) = &mut driver.stream {
        let reply = stream.write_all(b"421 4.3.0 Internal error, closing connection\r\n");
        let _ = tokio::time::timeout(CLOSE_LIMIT, reply).await;
    }
    gateway.recorder.record(&Event::Fault { place: "session", what: "panic; the connection was closed" });
    presence.end(driver.context.messages);
}

/// Runs a future to its end; `None` if it panicked. The future is pinned by the caller: one that is
/// taken by value has a place in the task twice, and a session is mostly what its task takes.
pub(crate) async fn caught<T>(mut future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    std::future::poll_fn(|cx| match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Some),
        Err(_) => std::task::Poll::Ready(None),
    })
    .await
}

struct Driver<W: World> {
    stream: Option<W::Stream>,
    protocol: Protocol,
    inbox: Inbox,
    out: Vec<u8>,
    soft_stop: Ear,
    hard_stop: Ear,
    patience: Patience,
    pace: Pace,
    /// What the session itself costs.
    held: Held,
    context: Context<W>,
}

impl<W: World> Driver<W> {
    /// The session, from what comes first at its socket.
    async fn begin(&mut self, greeting: Greeting) -> io::Result<()> {
        if greeting == Greeting::Secured && !self.secure().await? {
            return Ok(());
        }
        self.converse().await
    }

    async fn converse(&mut self) -> io::Result<()> {
        if let Some(stream) = &mut self.stream {
            // Whatever is here already was said before our greeting.
            self.inbox.glance(stream).await?;
        }
        loop {
            let in_body = self.protocol.in_body();
            let (used, output) = self.protocol.poll(self.inbox.unread());
            let next = perform(output, &mut self.out, &mut self.context).await;
            self.inbox.consume(used);
            if in_body {
                self.pace.octets += used as u64;
            }
            match next {
                Next::Poll if self.out.len() >= OUT_OCTETS => self.flush().await?,
                Next::Poll => {}
                Next::Answer(answer) => self.protocol.answer(answer),
                Next::Receive(transaction) => {
                    self.enter().await;
                    self.pace = Pace::default();
                    let answer = receive::receive(&mut self.context, self.protocol.hello(), transaction).await;
                    self.protocol.answer(answer);
                }
                Next::Wait => {
                    self.flush().await?;
                    if !self.wait().await? {
                        return Ok(());
                    }
                }
                Next::Secure => {
                    self.flush().await?;
                    if !self.secure().await? {
                        return Ok(());
                    }
                }
                Next::Close => {
                    self.flush().await?;
                    return self.close().await;
                }
            }
        }
    }

    /// Sends the replies that have gathered, in one write.
    async fn flush(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        if self.out.is_empty() {
            return Ok(());
        }
        // The whole of the replies, not each piece that the client deigns to take.
        let limit = self.context.server.config.rate.allows(self.out.len() as u64);
        let deadline = now() + limit.unwrap_or(self.protocol.patience());
        tokio::select! {
            biased;
            written = async {
                stream.write_all(&self.out).await?;
                stream.flush().await
            } => written?,
            () = self.patience.over(deadline) => {
                self.context.note(Note::TooSlow);
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        self.out.clear();
        self.out.shrink_to(OUT_KEPT_OCTETS);
        self.patience.restart();
        self.enter().await;
        Ok(())
    }

    /// Tells the dispatcher of the message whose client has been told.
    async fn enter(&mut self) {
        if let Some(admission) = self.context.entering.take() {
            admission.enter().await;
        }
    }

    /// Waits for bytes; `false` when the client has gone.
    async fn wait(&mut self) -> io::Result<bool> {
        let Some(stream) = &mut self.stream else { return Ok(false) };
        let stopping = if self.protocol.in_transaction() { &mut self.hard_stop } else { &mut self.soft_stop };
        let silence = self.patience.silence(&self.protocol);
        let slowness = too_slow_at(&mut self.pace, &self.protocol, &self.context.server.config.rate);
        let began = slowness.map(|_| now());
        // Bytes come last: a client that never pauses would never be told to go.
        let waited = tokio::select! {
            biased;
            () = stopping.heard() => Waited::Stopping,
            () = self.patience.over(slowness.map_or(silence, |slowness| slowness.min(silence))) => Waited::Expired,
            read = self.inbox.fill(stream) => match read? {
                0 => Waited::Closed,
                _ => Waited::Bytes,
            },
        };
        if let Some(began) = began {
            self.pace.waited += began.elapsed();
        }
        match waited {
            Waited::Bytes => {}
            Waited::Closed => return Ok(false),
            Waited::Expired if slowness.is_some_and(|slowness| slowness < silence && slowness <= now()) => {
                self.protocol.dragged();
            }
            Waited::Expired => self.protocol.expired(),
            Waited::Stopping => self.protocol.shut(),
        }
        Ok(true)
    }

    /// The TLS handshake; `false` when it failed, and nothing is read in the clear again.
    async fn secure(&mut self) -> io::Result<bool> {
        let Context { gateway, server, client, secured, link, .. } = &mut self.context;
        self.held.set(SESSION_OCTETS + TLS_OCTETS);
        let (Some(stream), Some(certificates)) = (self.stream.take(), &server.certificates) else { return Ok(false) };
        self.inbox.clear();
        // Boxed: most sessions that idle have theirs behind them or none before them.
        let handshake = Box::pin(gateway.world.secure_server(stream, certificates));
        // Whoever is at the door has the time of the door for it, not more.
        let limit = server.config.session.line_limit.min(self.patience.left(&self.protocol));
        let done = tokio::select! {
            biased;
            // Nothing is under way that could be lost.
            () = self.soft_stop.heard() => return Ok(false),
            done = tokio::time::timeout(limit, handshake) => done,
        };
        match done {
            Ok(Ok(Secured { stream, facts, link: bound })) => {
                self.stream = Some(stream);
                let TlsFacts { version, cipher, .. } = &facts;
                let certificate = bound.certificate.as_ref().and_then(|shown| shown.names.first()).map(|name| &**name);
                let event =
                    Event::Secured { server: &server.config.name, client: *client, version, cipher, certificate };
                gateway.recorder.record(&event);
                (*secured, *link) = (true, Some(bound));
                self.protocol.secured(facts);
                if let Some((name, trust)) = authenticate::recognise(&mut self.context) {
                    self.protocol.recognised(name, trust);
                }
                Ok(true)
            }
            failed => {
                let why = match failed {
                    Ok(Err(error)) => error.to_string(),
                    _ => "the handshake took too long".to_owned(),
                };
                let event = Event::NotSecured { server: &server.config.name, client: *client, why: &why };
                gateway.recorder.record(&event);
                Ok(false)
            }
        }
    }

    /// Says that there is nothing more to come. A client that was still talking is heard out for a
    /// moment: a socket that is closed with unread input resets the connection, and the last reply may
    /// be lost with it.
    async fn close(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        // Closing TLS writes, and the client may have stopped reading.
        tokio::time::timeout(CLOSE_LIMIT, stream.shutdown()).await.unwrap_or(Ok(()))?;
        if self.inbox.is_empty() {
            return Ok(());
        }
        let hear_out = async {
            let mut heard = 0;
            while heard < HEAR_OUT_OCTETS {
                match self.inbox.fill(stream).await {
                    Ok(0) | Err(_) => return,
                    Ok(octets) => heard += octets,
                }
                self.inbox.clear();
            }
        };
        // Whether the client has gone by then makes no difference.
        let _ = tokio::time::timeout(HEAR_OUT_LIMIT, hear_out).await;
        Ok(())
    }
}

/// Performs one output; what only the driver can do is left to it.
async fn perform<W: World>(output: Output<'_>, out: &mut Vec<u8>, context: &mut Context<W>) -> Next {
    match output {
        Output::Wait => Next::Wait,
        Output::Reply(reply) => {
            reply.write_to(out);
            Next::Poll
        }
        Output::Body(octets) => {
            receive::draft(context, octets).await;
            Next::Poll
        }
        Output::Abandon => {
            context.incoming = None;
            Next::Poll
        }
        Output::Note(note) => {
            context.note(note);
            Next::Poll
        }
        Output::Ask(Question::Connection) => Next::Answer(answer::connection(context).await),
        Output::Ask(Question::Credentials(exchange)) => {
            // Boxed: directories are asked in many ways, and seldom.
            Next::Answer(Box::pin(authenticate::credentials(context, exchange)).await)
        }
        Output::Ask(Question::Sender(sender)) => {
            let answer = answer::sender(context, sender).await;
            linger(context).await;
            Next::Answer(answer)
        }
        Output::Ask(Question::Recipient(recipient)) => {
            let answer = answer::recipient(context, recipient).await;
            linger(context).await;
            Next::Answer(answer)
        }
        Output::Ask(Question::Message(transaction)) => Next::Receive(transaction),
        Output::Ask(Question::Claims(claims)) => Next::Answer(answer::claims(context, claims).await),
        Output::Forwarded(claims) => {
            let (server, client) = (&*context.server.config.name, context.client);
            context.gateway.recorder.record(&Event::Forwarded { server, client, claims: &claims });
            Next::Poll
        }
        Output::Secure => Next::Secure,
        Output::Pause(span) => {
            tokio::time::sleep(span).await;
            Next::Poll
        }
        Output::Close => Next::Close,
    }
}

/// Lets the answer wait for a sender that is near its limits; not when everything must end.
async fn linger<W: World>(context: &mut Context<W>) {
    if !context.delay.is_zero() {
        tokio::select! {
            biased;
            () = context.gateway.stop.hard.given() => {}
            () = tokio::time::sleep(context.delay) => {}
        }
    }
}

/// When a session is first looked at, unless something is due before: most have ended by then, and
/// their timer was never touched.
const FIRST_LOOK: Duration = Duration::from_secs(30);

/// How long the session may go on without progress, and in all.
struct Patience {
    timer: Timer,
    /// When the client last did something useful, and the session's count of such things then.
    since: (Instant, u64),
    /// Replies were taken since then; the clock is read when somebody waits.
    restarted: bool,
    end: Instant,
    /// How long a client may be at the door, and when one that is there came.
    door: (Duration, Option<Instant>),
}

impl Patience {
    fn new(session_time: Duration, door_time: Duration) -> Patience {
        let now = now();
        let timer = Timer::new(now + session_time.min(FIRST_LOOK));
        Patience { timer, since: (now, 0), restarted: false, end: now + session_time, door: (door_time, None) }
    }

    /// Replies were taken.
    fn restart(&mut self) {
        self.restarted = true;
    }

    /// When silence has lasted too long, or the session has. Octets alone do not break it.
    fn silence(&mut self, protocol: &Protocol) -> Instant {
        let progress = protocol.progress();
        if std::mem::take(&mut self.restarted) || self.since.1 != progress {
            self.since = (now(), progress);
        }
        (self.since.0 + protocol.patience()).min(self.end(protocol))
    }

    /// When the session ends, whatever the client does.
    fn end(&mut self, protocol: &Protocol) -> Instant {
        let (time, came) = &mut self.door;
        if !protocol.at_door() {
            *came = None;
            return self.end;
        }
        (*came.get_or_insert_with(now) + *time).min(self.end)
    }

    /// How long the session may last from now on.
    fn left(&mut self, protocol: &Protocol) -> Duration {
        self.end(protocol).saturating_duration_since(now())
    }

    /// Returns at `deadline`.
    async fn over(&mut self, deadline: Instant) {
        self.timer.until(deadline).await;
    }
}

/// When the client will have been too slow, if it sends content and must keep to a rate.
fn too_slow_at(pace: &mut Pace, protocol: &Protocol, rate: &Rate) -> Option<Instant> {
    if !protocol.in_body() {
        if !protocol.in_transaction() {
            *pace = Pace::default();
        }
        return None;
    }
    Some(now() + pace.left(rate)?)
}

fn now() -> Instant {
    Instant::now()
}

/// Says that a session is here, and, however it ends, that it is gone.
struct Presence<'a, W: World> {
    gateway: &'a Gateway<W>,
    server: Arc<Server<W>>,
    client: IpAddr,
    since: Instant,
}

impl<'a, W: World> Presence<'a, W> {
    fn new(gateway: &'a Gateway<W>, server: &Arc<Server<W>>, client: IpAddr) -> Presence<'a, W> {
        gateway.recorder.record(&Event::Connected { server: &server.config.name, client });
        Presence { gateway, server: server.clone(), client, since: Instant::now() }
    }

    fn end(self, messages: u32) {
        let lasted = self.since.elapsed();
        let server = &self.server.config.name;
        self.gateway.recorder.record(&Event::Disconnected { server, client: self.client, messages, lasted });
    }
}

//! Virtual servers at the door: listening sockets, and who is inside.
//!
//! One task for each virtual server owns its sessions and counts them, in all, per address and per
//! network, so that a limit is judged by whoever knows the number. Who is one too many is told so and
//! let go without a session, a look-up or (in a flood) a line in the log. A connection of a proxy is
//! nobody's until the proxy has said who its client is (conformance row 28). A socket that cannot accept
//! (no descriptor left, say) waits and goes on; it never spins and never gives up.

use crate::answer;
use crate::crowd::Crowd;
use crate::event::{Asked, Event};
use crate::proxy;
use crate::session::{self, Visit};
use crate::throttle::Throttle;
use crate::world::World;
use crate::{Gateway, Law, Server};
use mail::{Reply, canonical};
use policy::{ConnectionFacts, render};
use smtp::proxy::Origin;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a socket that could not accept is left alone: at first, and at the most.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const ACCEPT_PAUSE_MOST: Duration = Duration::from_secs(1);
/// How often the log is told that sockets cannot accept.
const ACCEPT_SAID_EVERY: Duration = Duration::from_secs(10);
/// Connections that wait for the door of one virtual server.
const ARRIVALS: usize = 64;

/// Clients that may be told at one time that they are one too many; others are let go without a word.
const TURNED_AWAY: usize = 256;
/// How long telling them may take.
const TURN_AWAY_LIMIT: Duration = Duration::from_secs(2);

/// Connections of proxies that have not said who their client is; of one virtual server, at one time.
const INTRODUCTIONS: usize = 256;
/// The name of such a connection that came to nothing, for the throttle of the log.
const PROXY_REFUSED: &str = "proxy-refused";

/// What comes first at a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// Our greeting, in the clear.
    Clear,
    /// The TLS handshake, and our greeting behind it (RFC 8314).
    Secured,
}

/// A connection that has been accepted.
struct Arrival<S> {
    stream: S,
    peer: SocketAddr,
    greeting: Greeting,
}

/// A connection of a proxy, and what the proxy has said about it.
struct Introduction<S> {
    arrival: Arrival<S>,
    said: Result<Origin, String>,
}

/// A socket that is listening.
pub(crate) struct Listening<W: World> {
    /// What the settings asked for; port 0 means any.
    pub wanted: SocketAddr,
    /// Where it really is.
    pub address: SocketAddr,
    /// What comes first.
    pub greeting: Greeting,
    socket: Arc<W::Listener>,
}

impl<W: World> Clone for Listening<W> {
    fn clone(&self) -> Listening<W> {
        Listening { socket: self.socket.clone(), ..*self }
    }
}

impl<W: World> Listening<W> {
    /// A socket that has just been opened.
    pub(crate) fn new(world: &W, (wanted, greeting): (SocketAddr, Greeting), socket: W::Listener) -> Listening<W> {
        Listening { wanted, address: world.bound(&socket), greeting, socket: Arc::new(socket) }
    }

    /// The same socket, where something else comes first from now on.
    pub(crate) fn with(self, greeting: Greeting) -> Listening<W> {
        Listening { greeting, ..self }
    }

    fn is(&self, other: &Listening<W>) -> bool {
        Arc::ptr_eq(&self.socket, &other.socket) && self.greeting == other.greeting
    }
}

/// The open sockets of one virtual server. Dropping it closes them; sessions inside go on.
pub(crate) struct Door<W: World> {
    server: Box<str>,
    /// Each with what stops accepting at it when it is dropped.
    sockets: Vec<(Listening<W>, DropGuard)>,
    arrive: mpsc::Sender<Arrival<W::Stream>>,
}

impl<W: World> Door<W> {
    /// The door of a virtual server, without a socket yet.
    pub(crate) fn new(gateway: &Arc<Gateway<W>>, server: &str) -> Door<W> {
        let (arrive, arrivals) = mpsc::channel(ARRIVALS);
        let inside = Inside {
            gateway: gateway.clone(),
            server: server.into(),
            sessions: JoinSet::new(),
            introductions: JoinSet::new(),
            whose: Whose::new(),
            crowd: Crowd::default(),
            throttle: Throttle::default(),
            turned_away: Arc::new(Semaphore::new(TURNED_AWAY)),
        };
        gateway.tasks.spawn(inside.run(arrivals));
        Door { server: server.into(), sockets: Vec::new(), arrive }
    }

    /// The sockets that are open.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = &Listening<W>> {
        self.sockets.iter().map(|(listening, _)| listening)
    }

    /// Accepts at these sockets from now on and at no others; those that are open already stay open.
    pub(crate) fn accept_at(&mut self, gateway: &Arc<Gateway<W>>, sockets: Vec<Listening<W>>) {
        let mut open = std::mem::take(&mut self.sockets);
        for listening in sockets {
            let known = open.iter().position(|(other, _)| other.is(&listening));
            let accepting = known.map(|at| open.swap_remove(at)).unwrap_or_else(|| self.begin(gateway, listening));
            self.sockets.push(accepting);
        }
    }

    fn begin(&self, gateway: &Arc<Gateway<W>>, listening: Listening<W>) -> (Listening<W>, DropGuard) {
        gateway.recorder.record(&Event::Listening { server: &self.server, address: listening.address });
        let closing = CancellationToken::new();
        let accepting = accept(gateway.clone(), listening.clone(), self.arrive.clone(), closing.clone());
        gateway.tasks.spawn(accepting);
        (listening, closing.drop_guard())
    }
}

async fn accept<W: World>(
    gateway: Arc<Gateway<W>>,
    listening: Listening<W>,
    arrive: mpsc::Sender<Arrival<W::Stream>>,
    closing: CancellationToken,
) {
    let mut trouble = Trouble::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = closing.cancelled() => return,
            () = gateway.stop.soft.given() => return,
            accepted = gateway.world.accept(&listening.socket) => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                trouble.pause = Duration::ZERO;
                if arrive.send(Arrival { stream, peer, greeting: listening.greeting }).await.is_err() {
                    return;
                }
            }
            // The client was gone before it could be taken: everyday life.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => trouble.wait(&gateway, &error).await,
        }
    }
}

/// A socket that cannot accept.
#[derive(Debug, Default)]
struct Trouble {
    pause: Duration,
    said: Option<Instant>,
    /// Failures since it was said.
    unsaid: u64,
}

impl Trouble {
    /// Leaves the socket alone for a while; the longer, the longer it lasts.
    async fn wait<W: World>(&mut self, gateway: &Gateway<W>, error: &io::Error) {
        self.unsaid += 1;
        let now = Instant::now();
        if self.said.is_none_or(|said| now - said >= ACCEPT_SAID_EVERY) {
            let why = error.to_string();
            gateway.recorder.record(&Event::AcceptFailed { why: &why, times: self.unsaid });
            (self.said, self.unsaid) = (Some(now), 0);
        }
        self.pause = (self.pause * 2).clamp(ACCEPT_PAUSE, ACCEPT_PAUSE_MOST);
        tokio::time::sleep(self.pause).await;
    }
}

/// Hears a proxy out about its client.
async fn introduce<S: AsyncRead + Unpin>(mut arrival: Arrival<S>) -> Introduction<S> {
    let said = proxy::header(&mut arrival.stream).await;
    Introduction { arrival, said }
}

/// Which client a session task belongs to. The order of the map never shows.
#[expect(clippy::disallowed_types, reason = "task ids have no order; the map is only looked up")]
type Whose = std::collections::HashMap<Id, IpAddr>;

/// The owner of a virtual server's sessions.
struct Inside<W: World> {
    gateway: Arc<Gateway<W>>,
    server: Box<str>,
    sessions: JoinSet<()>,
    introductions: JoinSet<Introduction<W::Stream>>,
    whose: Whose,
    crowd: Crowd,
    throttle: Throttle,
    turned_away: Arc<Semaphore>,
}

impl<W: World> Inside<W> {
    async fn run(mut self, mut arrivals: mpsc::Receiver<Arrival<W::Stream>>) {
        let mut open = true;
        while open || !self.sessions.is_empty() || !self.introductions.is_empty() {
            let due = self.throttle.due();
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.say_suppressed(),
                Some(ended) = self.sessions.join_next_with_id(), if !self.sessions.is_empty() => self.leave(ended),
                Some(ended) = self.introductions.join_next(), if !self.introductions.is_empty() => self.introduced(ended),
                arrival = arrivals.recv(), if open => match arrival {
                    Some(arrival) => self.arrive(arrival),
                    None => open = false,
                },
            }
        }
        self.say_suppressed();
    }

    /// Takes a connection for that of a client, or for that of a proxy, which has to say whose it is.
    fn arrive(&mut self, arrival: Arrival<W::Stream>) {
        let law = self.gateway.law.load_full();
        // A virtual server that the new settings no longer have takes nobody in.
        let Some(server) = law.server(&self.server) else { return };
        let peer = arrival.peer.ip();
        if !server.config.proxies.iter().any(|proxies| proxies.contains(peer)) {
            self.enter(&law, server, canonical(peer), arrival);
        } else if self.introductions.len() < INTRODUCTIONS {
            self.introductions.spawn(introduce(arrival));
        } else {
            self.refuse_proxy(peer, "too many others have not said who their client is");
        }
    }

    fn introduced(&mut self, ended: Result<Introduction<W::Stream>, tokio::task::JoinError>) {
        let Introduction { arrival, said } = match ended {
            Ok(introduction) => introduction,
            Err(error) => {
                let what = error.to_string();
                return self.gateway.recorder.record(&Event::Fault { place: "proxy", what: &what });
            }
        };
        let client = match said {
            Ok(Origin::Client(client)) => client.ip(),
            Ok(Origin::Proxy) => arrival.peer.ip(),
            Err(why) => return self.refuse_proxy(arrival.peer.ip(), &why),
        };
        let law = self.gateway.law.load_full();
        let Some(server) = law.server(&self.server) else { return };
        self.enter(&law, server, canonical(client), arrival);
    }

    /// Lets a connection go whose client nobody knows. Nothing is said: whoever does not speak the
    /// PROXY protocol there is no client.
    fn refuse_proxy(&mut self, proxy: IpAddr, why: &str) {
        let refused = Event::ProxyRefused { server: &self.server, proxy: canonical(proxy), why };
        if self.throttle.permits(PROXY_REFUSED, Instant::now()) {
            self.gateway.recorder.record(&refused);
        } else {
            self.gateway.recorder.count(&refused);
        }
    }

    /// Begins a session with a client, or tells it that it is one too many.
    fn enter(&mut self, law: &Arc<Law<W>>, server: Arc<Server<W>>, client: IpAddr, arrival: Arrival<W::Stream>) {
        let (open, open_from_client, open_from_network) = self.crowd.around(client);
        // Counted before it is judged: other virtual servers count here, too.
        let open_in_all = self.gateway.sessions.fetch_add(1, Ordering::Relaxed);
        let now = self.gateway.world.now();
        let facts = ConnectionFacts { client, now, open_in_all, open, open_from_client, open_from_network };
        match self.too_many(law, &server, &facts) {
            Some(reply) => {
                self.gateway.sessions.fetch_sub(1, Ordering::Relaxed);
                self.turn_away(arrival, &reply);
            }
            None => {
                self.crowd.enter(client);
                let visit = Visit { stream: arrival.stream, greeting: arrival.greeting, facts };
                let task = session::run(self.gateway.clone(), law.clone(), server, visit);
                self.whose.insert(self.sessions.spawn(task).id(), client);
            }
        }
    }

    /// What to tell a client that is one too many.
    fn too_many(&mut self, law: &Law<W>, server: &Server<W>, facts: &ConnectionFacts) -> Option<Reply> {
        let config = &server.config;
        let decision = policy::room(&config.rules, facts);
        let (reason, reply) = match &decision.verdict {
            Err(refusal) => answer::refusal(refusal, &config.session.hostname, config.not_authenticated_code),
            Ok(()) if self.gateway.memory.is_tight() => answer::no_memory_at_the_door(),
            Ok(()) => return None,
        };
        let is_written = self.throttle.permits(reason, Instant::now());
        let why = match &decision.verdict {
            Err(_) if is_written => render::lines(&decision.trace, &law.config.book).collect(),
            _ => Vec::new(),
        };
        let refused = Event::Refused {
            server: &self.server,
            client: facts.client,
            account: None,
            asked: Asked::Connection,
            reason,
            reply: &reply,
            decision: None,
            sender: None,
            recipient: None,
            why: &why,
        };
        if is_written {
            self.gateway.recorder.record(&refused);
        } else {
            self.gateway.recorder.count(&refused);
        }
        Some(reply)
    }

    /// Tells a client so and lets it go. No session, no TLS, nothing read. Where TLS comes first, a reply
    /// in the clear would be gibberish: the connection is closed without one.
    fn turn_away(&self, arrival: Arrival<W::Stream>, reply: &Reply) {
        let Arrival { mut stream, greeting: Greeting::Clear, .. } = arrival else { return };
        let Ok(place) = self.turned_away.clone().try_acquire_owned() else { return };
        let mut words = Vec::new();
        reply.write_to(&mut words);
        self.gateway.tasks.spawn(async move {
            let _place = place;
            let telling = async {
                stream.write_all(&words).await?;
                stream.shutdown().await
            };
            // A client that has gone needs no answer.
            let _ = tokio::time::timeout(TURN_AWAY_LIMIT, telling).await;
        });
    }

    fn say_suppressed(&mut self) {
        for (reason, lines) in self.throttle.take(Instant::now()) {
            self.gateway.recorder.record(&Event::Suppressed { server: &self.server, reason, lines });
        }
    }

    fn leave(&mut self, ended: Result<(Id, ()), tokio::task::JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        if let Err(error) = ended {
            let what = error.to_string();
            self.gateway.recorder.record(&Event::Fault { place: "session", what: &what });
        }
        let Some(client) = self.whose.remove(&id) else { return };
        self.gateway.sessions.fetch_sub(1, Ordering::Relaxed);
        self.crowd.leave(client);
    }
}

//! Virtual servers at the door: listening sockets, and who is inside.
//!
//! One task for each virtual server owns its sessions and counts them, in all, per address and per
//! network, so that a limit is judged by whoever knows the number. Who is one too many is told so and
//! let go without a session, a look-up or (in a flood) a line in the log. A socket that cannot accept
//! (no descriptor left, say) waits and goes on; it never spins and never gives up.

use crate::answer;
use crate::crowd::Crowd;
use crate::event::{Asked, Event};
use crate::session;
use crate::throttle::Throttle;
use crate::world::World;
use crate::{Gateway, Law, Server};
use mail::{Reply, canonical};
use policy::{ConnectionFacts, render};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
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

/// A socket that is listening.
pub(crate) struct Listening<W: World> {
    /// What the settings asked for; port 0 means any.
    pub wanted: SocketAddr,
    /// Where it really is.
    pub address: SocketAddr,
    socket: Arc<W::Listener>,
}

impl<W: World> Clone for Listening<W> {
    fn clone(&self) -> Listening<W> {
        Listening { socket: self.socket.clone(), ..*self }
    }
}

impl<W: World> Listening<W> {
    /// A socket that has just been opened.
    pub(crate) fn new(world: &W, wanted: SocketAddr, socket: W::Listener) -> Listening<W> {
        Listening { wanted, address: world.bound(&socket), socket: Arc::new(socket) }
    }
}

/// The open sockets of one virtual server. Dropping it closes them; sessions inside go on.
pub(crate) struct Door<W: World> {
    server: Box<str>,
    /// Each with what stops accepting at it when it is dropped.
    sockets: Vec<(Listening<W>, DropGuard)>,
    arrive: mpsc::Sender<(W::Stream, SocketAddr)>,
}

impl<W: World> Door<W> {
    /// The door of a virtual server, without a socket yet.
    pub(crate) fn new(gateway: &Arc<Gateway<W>>, server: &str) -> Door<W> {
        let (arrive, arrivals) = mpsc::channel(ARRIVALS);
        let inside = Inside {
            gateway: gateway.clone(),
            server: server.into(),
            sessions: JoinSet::new(),
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
            let known = open.iter().position(|(other, _)| Arc::ptr_eq(&other.socket, &listening.socket));
            let accepting = known.map(|at| open.swap_remove(at)).unwrap_or_else(|| self.begin(gateway, listening));
            self.sockets.push(accepting);
        }
    }

    fn begin(&self, gateway: &Arc<Gateway<W>>, listening: Listening<W>) -> (Listening<W>, DropGuard) {
        gateway.recorder.record(&Event::Listening { server: &self.server, address: listening.address });
        let closing = CancellationToken::new();
        let accepting = accept(gateway.clone(), listening.socket.clone(), self.arrive.clone(), closing.clone());
        gateway.tasks.spawn(accepting);
        (listening, closing.drop_guard())
    }
}

async fn accept<W: World>(
    gateway: Arc<Gateway<W>>,
    socket: Arc<W::Listener>,
    arrive: mpsc::Sender<(W::Stream, SocketAddr)>,
    closing: CancellationToken,
) {
    let mut trouble = Trouble::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = closing.cancelled() => return,
            () = gateway.stop.soft.given() => return,
            accepted = gateway.world.accept(&socket) => accepted,
        };
        match accepted {
            Ok(arrival) => {
                trouble.pause = Duration::ZERO;
                if arrive.send(arrival).await.is_err() {
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

/// Which client a session task belongs to. The order of the map never shows.
#[expect(clippy::disallowed_types, reason = "task ids have no order; the map is only looked up")]
type Whose = std::collections::HashMap<Id, IpAddr>;

/// The owner of a virtual server's sessions.
struct Inside<W: World> {
    gateway: Arc<Gateway<W>>,
    server: Box<str>,
    sessions: JoinSet<()>,
    whose: Whose,
    crowd: Crowd,
    throttle: Throttle,
    turned_away: Arc<Semaphore>,
}

impl<W: World> Inside<W> {
    async fn run(mut self, mut arrivals: mpsc::Receiver<(W::Stream, SocketAddr)>) {
        let mut open = true;
        while open || !self.sessions.is_empty() {
            let due = self.throttle.due();
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.say_suppressed(),
                Some(ended) = self.sessions.join_next_with_id(), if !self.sessions.is_empty() => self.leave(ended),
                arrival = arrivals.recv(), if open => match arrival {
                    Some((stream, peer)) => self.arrive(stream, peer),
                    None => open = false,
                },
            }
        }
        self.say_suppressed();
    }

    fn arrive(&mut self, stream: W::Stream, peer: SocketAddr) {
        let law = self.gateway.law.load_full();
        // A virtual server that the new settings no longer have takes nobody in.
        let Some(server) = law.server(&self.server) else { return };
        let client = canonical(peer.ip());
        let (open, open_from_client, open_from_network) = self.crowd.around(client);
        // Counted before it is judged: other virtual servers count here, too.
        let open_in_all = self.gateway.sessions.fetch_add(1, Ordering::Relaxed);
        let facts = ConnectionFacts { client, open_in_all, open, open_from_client, open_from_network };
        match self.too_many(&law, &server, &facts) {
            Some(reply) => {
                self.gateway.sessions.fetch_sub(1, Ordering::Relaxed);
                self.turn_away(stream, &reply);
            }
            None => {
                self.crowd.enter(client);
                let task = session::run(self.gateway.clone(), law, server, stream, facts);
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
            asked: Asked::Connection,
            reason,
            reply: &reply,
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

    /// Tells a client so and lets it go. No session, no TLS, nothing read.
    fn turn_away(&self, mut stream: W::Stream, reply: &Reply) {
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

//! Virtual servers at the door: listening sockets, and who is inside.
//!
//! One task for each virtual server owns its sessions and counts them, in all and per address, so
//! that a limit is judged by whoever knows the number. A socket that cannot accept (no descriptor
//! left, say) waits and goes on; it never spins and never gives up.

use crate::Gateway;
use crate::event::Event;
use crate::session;
use crate::world::World;
use mail::canonical;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a socket that could not accept is left alone.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections that wait for the door of one virtual server.
const ARRIVALS: usize = 64;

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
            per_address: BTreeMap::new(),
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
    loop {
        let accepted = tokio::select! {
            biased;
            () = closing.cancelled() => return,
            () = gateway.stop.soft.given() => return,
            accepted = gateway.world.accept(&socket) => accepted,
        };
        match accepted {
            Ok(arrival) => {
                if arrive.send(arrival).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                let what = error.to_string();
                gateway.recorder.record(&Event::Fault { place: "accept", what: &what });
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
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
    per_address: BTreeMap<IpAddr, u32>,
}

impl<W: World> Inside<W> {
    async fn run(mut self, mut arrivals: mpsc::Receiver<(W::Stream, SocketAddr)>) {
        let mut open = true;
        while open || !self.sessions.is_empty() {
            tokio::select! {
                biased;
                Some(ended) = self.sessions.join_next_with_id(), if !self.sessions.is_empty() => self.leave(ended),
                arrival = arrivals.recv(), if open => match arrival {
                    Some((stream, peer)) => self.enter(stream, peer),
                    None => open = false,
                },
            }
        }
    }

    fn enter(&mut self, stream: W::Stream, peer: SocketAddr) {
        let law = self.gateway.law.load_full();
        // A virtual server that the new settings no longer have takes nobody in.
        let Some(server) = law.server(&self.server) else { return };
        let client = canonical(peer.ip());
        let from_client = self.per_address.entry(client).or_default();
        *from_client += 1;
        let crowd = session::Crowd {
            open: u32::try_from(self.sessions.len()).unwrap_or(u32::MAX),
            open_from_client: *from_client - 1,
        };
        let task = session::run(self.gateway.clone(), law.clone(), server, stream, client, crowd);
        let id = self.sessions.spawn(task).id();
        self.whose.insert(id, client);
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
        if let Some(count) = self.per_address.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&client);
            }
        }
    }
}

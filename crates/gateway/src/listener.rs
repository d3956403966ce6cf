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
use tokio_util::sync::CancellationToken;

/// How long a socket that could not accept is left alone.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections that wait for the door of one virtual server.
const ARRIVALS: usize = 64;

/// The open sockets of one virtual server. Dropping it closes them; sessions inside go on.
#[derive(Debug)]
pub struct Door {
    /// What the settings asked for; port 0 means any.
    pub wanted: Vec<SocketAddr>,
    /// Where the sockets really are.
    pub addresses: Vec<SocketAddr>,
    closing: CancellationToken,
}

impl Door {
    /// Stops accepting.
    pub fn close(&self) {
        self.closing.cancel();
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.close();
    }
}

/// Opens a virtual server to the world through sockets that are already listening.
pub fn open<W: World>(
    gateway: &Arc<Gateway<W>>,
    server: &str,
    wanted: Vec<SocketAddr>,
    sockets: Vec<W::Listener>,
) -> Door {
    let closing = CancellationToken::new();
    let addresses = sockets.iter().map(|socket| gateway.world.bound(socket)).collect();
    let (arrive, arrivals) = mpsc::channel(ARRIVALS);
    for socket in sockets {
        gateway.tasks.spawn(accept(gateway.clone(), socket, arrive.clone(), closing.clone()));
    }
    let keeper = Inside {
        gateway: gateway.clone(),
        server: server.into(),
        sessions: JoinSet::new(),
        whose: Whose::new(),
        per_address: BTreeMap::new(),
    };
    gateway.tasks.spawn(keeper.run(arrivals));
    Door { wanted, addresses, closing }
}

async fn accept<W: World>(
    gateway: Arc<Gateway<W>>,
    socket: W::Listener,
    arrive: mpsc::Sender<(W::Stream, SocketAddr)>,
    closing: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = closing.cancelled() => return,
            () = gateway.stop.soft.cancelled() => return,
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

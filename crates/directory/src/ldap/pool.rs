//! Connections to the servers of a directory, kept for the next request: so many and no more, the
//! first server that answers, and all of it within a time.

use super::connection::{Connection, Found, Lost};
use super::message::{Outcome, Search};
use super::server::Server;
use super::verdict::{Verdict, verdict};
use crate::notice::{Happening, Teller};
use identity::Secret;
use rustls::ClientConfig;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// How long a connection is kept without being used: less than servers have patience.
const IDLE: Duration = Duration::from_secs(30);

/// What a server is asked.
pub(super) enum Task<'a> {
    /// Is this the password of this DN?
    Check(&'a str, &'a Secret),
    /// What is there, as far as that one may see it?
    Search(Search<'a>, Rights<'a>),
}

/// With whose rights something is searched.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rights<'a> {
    /// The gateway's.
    Own,
    /// Those of this DN, whose password was just found good.
    Of(&'a str, &'a Secret),
}

/// What it answered.
#[derive(Debug)]
pub(super) enum Answer {
    Checked(Verdict),
    Found(Found),
}

/// No server could say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unavailable;

/// With whose rights a connection is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    /// The gateway's own.
    Own,
    /// Those of whoever was checked last, or of nobody.
    Other,
}

struct Idle {
    connection: Connection,
    server: usize,
    bound: Bound,
    since: Instant,
}

/// The servers of a directory, and the connections to them.
pub(super) struct Pool {
    servers: Vec<Server>,
    tls: Arc<ClientConfig>,
    /// Whom the gateway is; `None` searches as nobody.
    own: Option<(Box<str>, Secret)>,
    timeout: Duration,
    idle: Mutex<Vec<Idle>>,
    /// One permit for each connection that may be used at a time. A new one is only opened if no idle
    /// one is left, so there are never more than that.
    room: Semaphore,
    teller: Teller,
}

impl Pool {
    pub(super) fn new(
        servers: Vec<Server>,
        tls: Arc<ClientConfig>,
        own: Option<(Box<str>, Secret)>,
        (connections, timeout): (usize, Duration),
        teller: Teller,
    ) -> Pool {
        let room = Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS));
        Pool { servers, tls, own, timeout, idle: Mutex::default(), room, teller }
    }

    /// Whether the gateway has rights of its own.
    pub(super) fn has_rights(&self) -> bool {
        self.own.is_some()
    }

    /// When whoever asks now gets an answer at the latest.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Asks the servers until one answers. Those that did not when they were last asked come last, and
    /// each leaves time for those behind it.
    pub(super) async fn ask(&self, task: &Task<'_>, deadline: Instant) -> Result<Answer, Unavailable> {
        let Ok(Ok(_permit)) = timeout_at(deadline, self.room.acquire()).await else { return Err(Unavailable) };
        let order = self.order();
        for (place, &server) in order.iter().enumerate() {
            let left = u32::try_from(order.len() - place).unwrap_or(u32::MAX);
            let now = Instant::now();
            let until = now + deadline.saturating_duration_since(now) / left;
            match self.ask_server(server, task, until).await {
                Ok(Answer::Checked(Verdict::Elsewhere)) => {
                    self.servers[server].failed("it is busy or not available".into(), &self.teller);
                }
                Ok(answer) => {
                    self.servers[server].answered(&self.teller);
                    return Ok(answer);
                }
                Err(Lost(why)) => self.servers[server].failed(why, &self.teller),
            }
        }
        Err(Unavailable)
    }

    fn order(&self) -> Vec<usize> {
        let now = Instant::now();
        let mut order: Vec<usize> = (0..self.servers.len()).collect();
        order.sort_by_key(|place| self.servers[*place].rests(now));
        order
    }

    /// Asks one server: over a connection that is there, and if it turns out to be closed, over a new one.
    async fn ask_server(&self, server: usize, task: &Task<'_>, until: Instant) -> Result<Answer, Lost> {
        let late = || Lost("it does not answer in time".into());
        if let Some((connection, bound)) = self.take(server, task) {
            match timeout_at(until, self.ask_over(connection, bound, server, task)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(_)) => {}
                Err(_) => return Err(late()),
            }
        }
        let fresh = async {
            let connection = Connection::open(&self.servers[server], &self.tls).await?;
            self.ask_over(connection, Bound::Other, server, task).await
        };
        timeout_at(until, fresh).await.unwrap_or_else(|_| Err(late()))
    }

    async fn ask_over(
        &self,
        mut connection: Connection,
        bound: Bound,
        server: usize,
        task: &Task<'_>,
    ) -> Result<Answer, Lost> {
        let (answer, bound) = match task {
            Task::Check(dn, password) => {
                let outcome = connection.bind(dn, password).await?;
                (Answer::Checked(self.checked(&outcome)), Bound::Other)
            }
            Task::Search(search, rights) => {
                let bound = match rights {
                    Rights::Own if bound == Bound::Own => Bound::Own,
                    Rights::Own => self.be_ourselves(&mut connection).await?,
                    Rights::Of(dn, password) => be(&mut connection, dn, password).await?,
                };
                (Answer::Found(connection.search(search, self.timeout).await?), bound)
            }
        };
        self.give_back(Idle { connection, server, bound, since: Instant::now() }).await;
        Ok(answer)
    }

    fn checked(&self, outcome: &Outcome) -> Verdict {
        let verdict = verdict(outcome);
        if verdict == Verdict::Unanswerable {
            self.teller.tell(Happening::Unanswered(format!("a bind ends with {}", told(outcome))));
        }
        verdict
    }

    /// Binds as the gateway itself, or as nobody: what was bound before must not search.
    async fn be_ourselves(&self, connection: &mut Connection) -> Result<Bound, Lost> {
        let nobody = (Box::from(""), Secret::default());
        let (dn, password) = self.own.as_ref().unwrap_or(&nobody);
        be(connection, dn, password).await?;
        Ok(Bound::Own)
    }

    /// An idle connection to this server, with the rights that are wanted if there is one.
    fn take(&self, server: usize, task: &Task<'_>) -> Option<(Connection, Bound)> {
        let wanted = match task {
            Task::Check(..) | Task::Search(_, Rights::Of(..)) => Bound::Other,
            Task::Search(_, Rights::Own) => Bound::Own,
        };
        let mut idle = self.idle.lock().ok()?;
        let now = Instant::now();
        idle.retain(|kept| now.duration_since(kept.since) < IDLE);
        let of_server = |kept: &Idle| kept.server == server;
        let best = idle.iter().rposition(|kept| of_server(kept) && kept.bound == wanted);
        let kept = match best.or_else(|| idle.iter().rposition(of_server)) {
            Some(place) => idle.remove(place),
            None => {
                // One to another server makes room for the one that is opened now.
                idle.pop();
                return None;
            }
        };
        Some((kept.connection, kept.bound))
    }

    async fn give_back(&self, used: Idle) {
        let rest = match self.idle.lock() {
            Ok(mut idle) => {
                idle.push(used);
                None
            }
            Err(_) => Some(used.connection),
        };
        if let Some(connection) = rest {
            connection.close().await;
        }
    }
}

async fn be(connection: &mut Connection, dn: &str, password: &Secret) -> Result<Bound, Lost> {
    let outcome = connection.bind(dn, password).await?;
    if outcome.code == 0 {
        Ok(Bound::Other)
    } else {
        Err(Lost(format!("the bind to search ends with {}", told(&outcome))))
    }
}

/// An outcome for the operator.
pub(super) fn told(outcome: &Outcome) -> String {
    format!("result code {} {}", outcome.code, outcome.diagnostic)
}

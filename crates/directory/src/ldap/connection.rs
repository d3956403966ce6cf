//! One connection to a server: one request at a time, its answer read within bounds.
//!
//! Whoever waits for an answer owns the connection. If he is told to stop waiting, it is dropped, and
//! nobody can take a late answer for his own.

use super::ber::{self, Malformed};
use super::message::{self, Entry, Outcome, Response, Search};
use super::server::{Privacy, Server};
use identity::Secret;
use rustls::ClientConfig;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Octets of one message.
const MESSAGE_OCTETS: usize = 1024 * 1024;
/// Octets of all messages that answer one request.
const ANSWER_OCTETS: usize = 4 * 1024 * 1024;
/// Octets read at a time.
const READ_OCTETS: usize = 8 * 1024;

trait Line: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Line for T {}

/// Why a server did not answer.
#[derive(Debug)]
pub(super) struct Lost(pub(super) String);

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Lost {
        Lost(error.to_string())
    }
}

impl From<Malformed> for Lost {
    fn from(_: Malformed) -> Lost {
        Lost("it does not speak LDAP, or answers more than is allowed".into())
    }
}

/// What a search has found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    pub(super) outcome: Outcome,
}

/// A connection.
pub(super) struct Connection {
    line: Box<dyn Line>,
    /// What has been read and not yet taken.
    inbox: Vec<u8>,
    last: u32,
    /// How much may still be read for the answer that is waited for.
    room: usize,
}

impl Connection {
    /// Connects, and secures the line.
    pub(super) async fn open(server: &Server, tls: &Arc<ClientConfig>) -> Result<Connection, Lost> {
        let line = TcpStream::connect((&*server.host, server.port)).await?;
        line.set_nodelay(true)?;
        match server.privacy {
            Privacy::Local => Ok(Connection::over(Box::new(line))),
            Privacy::Tls => Connection::secured(line, server, tls).await,
            Privacy::StartTls => {
                let mut clear = Connection::over(line);
                clear.start_tls().await?;
                Connection::secured(clear.line, server, tls).await
            }
        }
    }

    fn over(line: impl Line + 'static) -> Connection {
        Connection { line: Box::new(line), inbox: Vec::new(), last: 0, room: 0 }
    }

    async fn secured(line: impl Line + 'static, server: &Server, tls: &Arc<ClientConfig>) -> Result<Connection, Lost> {
        let line = TlsConnector::from(tls.clone()).connect(server.name.clone(), line).await?;
        Ok(Connection::over(line))
    }

    /// RFC 4511 §4.14. Nothing that came in the clear is kept for what follows: somebody who stands
    /// between could have put an answer there in advance.
    async fn start_tls(&mut self) -> Result<(), Lost> {
        let id = self.number();
        self.send(&message::start_tls(id)).await?;
        match self.receive(id).await? {
            Response::Extended(outcome) if outcome.code == 0 && self.inbox.is_empty() => Ok(()),
            Response::Extended(outcome) if outcome.code != 0 => {
                Err(Lost(format!("StartTLS refused, result code {}", outcome.code)))
            }
            _ => Err(Malformed.into()),
        }
    }

    /// Binds with a name and a password. An empty password would be a bind as nobody, which succeeds
    /// (RFC 4513 §5.1.2); callers never come with one unless they mean that.
    pub(super) async fn bind(&mut self, dn: &str, password: &Secret) -> Result<Outcome, Lost> {
        let id = self.number();
        self.send(message::bind(id, dn, password).expose()).await?;
        match self.receive(id).await? {
            Response::Bound(outcome) => Ok(outcome),
            _ => Err(Malformed.into()),
        }
    }

    /// Searches. Pointers to other servers are passed over.
    pub(super) async fn search(&mut self, search: &Search<'_>, span: Duration) -> Result<Found, Lost> {
        let id = self.number();
        let seconds = u32::try_from(span.as_secs()).unwrap_or(u32::MAX).max(1);
        self.send(&message::search(id, search, seconds)).await?;
        let mut entries = Vec::new();
        loop {
            match self.receive(id).await? {
                Response::Entry(entry) if entries.len() < search.entries as usize => entries.push(entry),
                Response::Reference => {}
                Response::Done(outcome) => return Ok(Found { entries, outcome }),
                _ => return Err(Malformed.into()),
            }
        }
    }

    /// Says goodbye, if it can be said without waiting long, and closes.
    pub(super) async fn close(mut self) {
        let goodbye = message::unbind(self.number());
        let _ = tokio::time::timeout(Duration::from_millis(100), async {
            self.line.write_all(&goodbye).await?;
            self.line.shutdown().await
        })
        .await;
    }

    fn number(&mut self) -> u32 {
        // maxInt of RFC 4511 §4.1.1.1 is never reached: no connection lives so long.
        self.last += 1;
        self.last
    }

    async fn send(&mut self, request: &[u8]) -> Result<(), Lost> {
        if !self.inbox.is_empty() {
            return Err(Lost("it spoke without being asked".into()));
        }
        self.room = ANSWER_OCTETS;
        self.line.write_all(request).await?;
        Ok(self.line.flush().await?)
    }

    /// The next message, which must answer the request of this number: one that nobody asked for is a
    /// notice of disconnection (RFC 4511 §4.4.1), or worse.
    async fn receive(&mut self, id: u32) -> Result<Response, Lost> {
        let whole = loop {
            match ber::extent(&self.inbox, MESSAGE_OCTETS)? {
                Some(whole) if whole <= self.inbox.len() => break whole,
                _ => self.fill().await?,
            }
        };
        self.room = self.room.checked_sub(whole).ok_or(Malformed)?;
        let response = message::read(&self.inbox[..whole]);
        self.inbox.drain(..whole);
        match response? {
            (answered, response) if answered == id => Ok(response),
            (0, _) => Err(Lost("it ends the connection".into())),
            _ => Err(Malformed.into()),
        }
    }

    async fn fill(&mut self) -> Result<(), Lost> {
        let start = self.inbox.len();
        self.inbox.resize(start + READ_OCTETS, 0);
        let read = self.line.read(&mut self.inbox[start..]).await;
        self.inbox.truncate(start + *read.as_ref().unwrap_or(&0));
        match read? {
            0 => Err(Lost("it closed the connection".into())),
            _ => Ok(()),
        }
    }
}

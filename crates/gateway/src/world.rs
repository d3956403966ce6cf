//! What the gateway asks of the outside, and nothing more.
//!
//! The program gives it this machine; the simulator gives it a nastier one. Timers are not here:
//! they come from the runtime, which the simulator runs paused.

use bytes::Bytes;
use identity::settings::Directory;
use identity::{Finding, Inquiry, Secret};
use mail::{Found, Query, Timestamp};
use queue::disk::Disk;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// Whose certificate a client connection must see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Anybody's: opportunistic TLS keeps out those who only listen.
    Nobody,
    /// One that is valid for the name of the next hop.
    Name,
}

/// What the system gives the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Memory it may use in all, in octets.
    pub memory_bytes: u64,
    /// Memory it uses now.
    pub resident_bytes: u64,
    /// Descriptors it may have open; `None` when there is no limit worth speaking of.
    pub descriptors: Option<u64>,
}

/// A link with a client that TLS has secured.
#[derive(Debug)]
pub struct Secured<S> {
    /// The connection.
    pub stream: S,
    /// What is said about it.
    pub facts: smtp::server::TlsFacts,
    /// What an exchange can be bound to, and whose certificate was shown.
    pub link: Arc<identity::Link>,
}

/// What was found when certificates were looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// What has happened to their files, one for each.
    pub news: Vec<CertificateNews>,
    /// Whole days until the first of them expires; negative when it has.
    pub days_left: i64,
}

/// What has happened to the files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateNews {
    /// They have changed, and what is in them is in use.
    Changed {
        /// The file of the certificate.
        file: PathBuf,
        /// The names it is for.
        names: String,
        /// Whole days until it expires.
        days_left: i64,
    },
    /// They have changed, and cannot be used; what was in them before stays in use.
    Rejected {
        /// The file at fault.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// They are in use, and somebody should look at them.
    Doubtful {
        /// The file.
        file: PathBuf,
        /// Why.
        why: String,
    },
}

/// A file that is being given its content piece by piece; `None` is the end.
pub type Pieces = Box<dyn FnMut() -> io::Result<Option<Bytes>> + Send>;

/// Whoever hears what happens to a directory: its name, and what. It never has a secret in it.
pub type Hear = Arc<dyn Fn(&str, String) + Send + Sync>;

/// The outside.
pub trait World: Send + Sync + 'static {
    /// A connection, in the clear or secured.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// An open listening socket.
    type Listener: Send + Sync + 'static;
    /// The certificates of a virtual server with their keys, read and checked.
    type Certificates: Send + Sync + 'static;
    /// The directory the spool lives in.
    type Disk: Disk;
    /// The directories that know accounts, open.
    type Directories: Send + Sync + 'static;

    /// Opens a listening socket. Port 0 lets the outside choose; [`World::bound`] tells.
    ///
    /// # Errors
    /// Whatever the system says: the address is in use, is not ours, needs a privilege.
    fn listen(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// Where a listening socket really is.
    fn bound(&self, listener: &Self::Listener) -> SocketAddr;

    /// Waits for the next connection.
    ///
    /// # Errors
    /// A connection that died before it was taken, or (`OutOfMemory`) no descriptor or buffer left; the
    /// caller waits and goes on.
    fn accept(&self, listener: &Self::Listener) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;

    /// Opens a connection, from `source` if one is given.
    ///
    /// # Errors
    /// Whatever the system says; `OutOfMemory` when this host has no descriptor or buffer left, which
    /// says nothing about the next hop. There is no time limit here, the caller sets one.
    fn connect(&self, to: SocketAddr, source: Option<IpAddr>) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Whether connecting to `address` would reach this host itself.
    fn is_own_address(&self, address: IpAddr) -> bool;

    /// Reads and checks the certificates of a virtual server and their keys, and who vouches for
    /// those of its clients.
    ///
    /// # Errors
    /// A file that cannot be read, is not PEM, or a key that does not belong to its certificate.
    fn certificates(&self, tls: &config::Tls) -> io::Result<Self::Certificates>;

    /// Waits until there is something to say of any of these certificates: at once if nothing has been
    /// said of one yet, and then when its files have changed, or a day is over. Each is named by its
    /// place. New files are in use from then on, if they can be used.
    fn watch(&self, certificates: &[Arc<Self::Certificates>]) -> impl Future<Output = Vec<(usize, Inspection)>> + Send;

    /// The handshake as a server.
    ///
    /// # Errors
    /// The handshake failed; the stream is gone.
    fn secure_server(
        &self,
        stream: Self::Stream,
        certificates: &Arc<Self::Certificates>,
    ) -> impl Future<Output = io::Result<Secured<Self::Stream>>> + Send;

    /// The handshake as a client; `name` is what the next hop is called in the settings.
    ///
    /// # Errors
    /// The handshake failed or the certificate is not the one wanted; the stream is gone.
    fn secure_client(
        &self,
        stream: Self::Stream,
        name: &str,
        verify: Verify,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Asks the name service. Never fails: not finding out is an answer.
    fn look_up(&self, query: &Query) -> impl Future<Output = Found> + Send;

    /// Opens the directories that know accounts; `hear` is told what happens to them later. Those elsewhere need not answer yet.
    ///
    /// # Errors
    /// Names the directory, the file and what is wrong with it.
    fn directories(&self, settings: &[Directory], hear: &Hear) -> io::Result<Self::Directories>;

    /// Asks the directories of these names, in this order. Never fails: not finding out is an answer.
    fn inquire(
        &self,
        directories: &Self::Directories,
        names: &[Box<str>],
        inquiry: Inquiry,
    ) -> impl Future<Output = Finding> + Send;

    /// Posts a JSON object to a URL.
    ///
    /// # Errors
    /// Nobody answers there, or not with 2xx. There is no time limit here, the caller sets one.
    fn post(&self, url: &str, body: Vec<u8>) -> impl Future<Output = io::Result<()>> + Send;

    /// Octets that nobody can guess.
    fn entropy(&self) -> [u8; 32];

    /// A secret of this server that lasts, made at the first start.
    ///
    /// # Errors
    /// It cannot be read or made.
    fn lasting_secret(&self, state_dir: &Path) -> io::Result<Secret>;

    /// Reads a small file of the state directory; `None` when there is none.
    ///
    /// # Errors
    /// It is there and cannot be read.
    fn read_file(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;

    /// Writes a small file of the state directory, whole or not at all. A file of that name is replaced.
    ///
    /// # Errors
    /// The directory is missing or full; the file is what it was.
    fn write_file(&self, path: &Path, content: Vec<u8>) -> impl Future<Output = io::Result<()>> + Send;

    /// The directory the spool lives in.
    ///
    /// # Errors
    /// It does not exist and cannot be made, or is locked by another process.
    fn spool_disk(&self, state_dir: &Path) -> io::Result<Self::Disk>;

    /// Puts a file into a directory, whole or not at all: written under another name, flushed,
    /// renamed, and the directory flushed. A file of that name is replaced.
    ///
    /// # Errors
    /// The directory is missing or full, `pieces` failed, or (`OutOfMemory`) no descriptor is left;
    /// nothing is left behind.
    fn place_file(&self, directory: &Path, name: &str, pieces: Pieces) -> impl Future<Output = io::Result<()>> + Send;

    /// Does something that may wait for a disk, away from the tasks that must not.
    fn blocking<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> impl Future<Output = R> + Send;

    /// Gives the dispatcher, and with it everything it starts, a place to run until it is done: threads
    /// of its own, or a task where there is only one thread.
    fn run_dispatcher(&self, dispatcher: impl Future<Output = ()> + Send + 'static);

    /// Gives the keeper of the spool a place to run until it is done: a thread of its own, or a
    /// task where there is only one thread.
    fn run_keeper(&self, keeper: crate::Keeper<Self::Disk>);

    /// What the system gives the process, as it is now.
    fn resources(&self) -> Resources;

    /// Whether a person is looking at the log.
    fn has_terminal(&self) -> bool;

    /// Writes lines to the log. Does not wait; `false` when the log cannot keep up and the lines are lost.
    fn write_log(&self, lines: &[u8]) -> bool;

    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// Makes another decision of the one that the rules have made, a [`policy::Decision`]. For the simulator, in
    /// which the rules can be wrong: what must never be does not rest on them.
    #[cfg(feature = "astray")]
    fn mislead(&self, _decision: &mut dyn std::any::Any) {}
}

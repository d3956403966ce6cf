//! The simulated world: what the gateway asks of the outside, answered from memory.
//!
//! Everything is deterministic: one thread, a clock that moves only when nobody has anything to do,
//! ports handed out in order, and no map whose order could differ. What the gateway has done to the
//! world (files placed, names asked for, lines logged) can be looked at from outside.

use crate::names::Names;
use crate::net::{Listener, Sockets, Stream};
use crate::peers::Peers;
use gateway::Keeper;
use gateway::world::{Pieces, Resources, Verify, World};
use mail::{Found, Query, Timestamp};
use queue::disk::memory::MemoryDisk;
use smtp::server::TlsFacts;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// The moment every simulation begins: Monday, 2 November 2026, noon.
pub const BEGINNING: Timestamp = Timestamp::from_millis(1_793_620_800_000);

/// A certificate: the name it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The name.
    pub name: String,
}

/// A file in a drop or bad-mail directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedFile {
    /// Its directory.
    pub directory: PathBuf,
    /// Its name.
    pub name: String,
    /// Its content.
    pub content: Vec<u8>,
}

#[derive(Default)]
struct State {
    sockets: Sockets,
    names: Names,
    disks: BTreeMap<PathBuf, MemoryDisk>,
    files: BTreeMap<(PathBuf, String), Vec<u8>>,
    /// Files in the order in which they were placed, and how many of them have been asked for.
    placed: Vec<PlacedFile>,
    read: usize,
    missing: BTreeSet<PathBuf>,
    log: Vec<u8>,
    resources: Option<Resources>,
}

/// What a simulated host gives: more than anybody needs.
const PLENTY: Resources = Resources { memory_bytes: 512 << 20, resident_bytes: 8 << 20, descriptors: None };

/// The world of one simulation. Made inside the runtime whose time it shows.
pub struct SimWorld {
    state: Mutex<State>,
    peers: Peers,
    origin: Instant,
}

impl Default for SimWorld {
    fn default() -> SimWorld {
        SimWorld::new()
    }
}

impl SimWorld {
    /// An empty world at [`BEGINNING`].
    ///
    /// # Panics
    /// Outside a runtime.
    #[must_use]
    pub fn new() -> SimWorld {
        SimWorld { state: Mutex::default(), peers: Peers::default(), origin: Instant::now() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The servers that mail is delivered to.
    #[must_use]
    pub fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Says that `address` belongs to this host. As long as none is named, all do.
    pub fn add_own_address(&self, address: IpAddr) {
        self.state().sockets.add_own(address);
    }

    /// Changes what the name service knows.
    pub fn with_names<T>(&self, change: impl FnOnce(&mut Names) -> T) -> T {
        change(&mut self.state().names)
    }

    /// Makes `directory` missing, or lets it exist again.
    pub fn set_missing(&self, directory: &Path, missing: bool) {
        let mut state = self.state();
        if missing {
            state.missing.insert(directory.to_owned());
        } else {
            state.missing.remove(directory);
        }
    }

    /// A client at `from` connects to this host.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect_from(&self, from: IpAddr, to: SocketAddr) -> io::Result<Stream> {
        let mut state = self.state();
        let from = SocketAddr::new(from, state.sockets.fresh_port());
        state.sockets.connect(from, to)
    }

    /// The oldest file placed in `directory` (in any, if none is given) that nobody has asked for;
    /// asking for one passes over those before it.
    #[must_use]
    pub fn next_file(&self, directory: &Path) -> Option<PlacedFile> {
        let mut state = self.state();
        let read = state.read;
        let found = state.placed[read..].iter().position(|file| file.directory == directory)?;
        let file = state.placed.remove(read + found);
        state.placed.insert(read, file.clone());
        state.read += 1;
        Some(file)
    }

    /// Files placed that nobody has asked for.
    #[must_use]
    pub fn unread_files(&self) -> Vec<PlacedFile> {
        let state = self.state();
        state.placed[state.read..].to_vec()
    }

    /// Everything logged so far.
    #[must_use]
    pub fn log(&self) -> Vec<u8> {
        self.state().log.clone()
    }

    /// The disk of a state directory, as the spool sees it.
    #[must_use]
    pub fn disk(&self, state_dir: &Path) -> MemoryDisk {
        self.state().disks.entry(state_dir.to_owned()).or_default().clone()
    }
}

impl World for SimWorld {
    type Stream = Stream;
    type Listener = Listener;
    type Certificate = Certificate;
    type Disk = MemoryDisk;

    async fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        self.state().sockets.listen(address)
    }

    fn bound(&self, listener: &Listener) -> SocketAddr {
        listener.address()
    }

    async fn accept(&self, listener: &Listener) -> io::Result<(Stream, SocketAddr)> {
        Ok(listener.accept().await)
    }

    async fn connect(&self, to: SocketAddr, source: Option<IpAddr>) -> io::Result<Stream> {
        let from = {
            let mut state = self.state();
            let source = source.unwrap_or_else(|| state.sockets.source_for(to.ip()));
            SocketAddr::new(source, state.sockets.fresh_port())
        };
        if let Some(answer) = self.peers.connect(from, to).await {
            return answer;
        }
        let state = self.state();
        if state.sockets.is_own(to.ip()) {
            state.sockets.connect(from, to)
        } else {
            Err(io::ErrorKind::HostUnreachable.into())
        }
    }

    fn is_own_address(&self, address: IpAddr) -> bool {
        self.state().sockets.is_own(address)
    }

    fn certificate(&self, chain: &Path, _key: &Path) -> io::Result<Certificate> {
        // The file is called after the name it is for; one that is called `missing` is not there.
        let name = chain.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if name == "missing" { Err(io::ErrorKind::NotFound.into()) } else { Ok(Certificate { name: name.to_owned() }) }
    }

    async fn secure_server(
        &self,
        mut stream: Stream,
        certificate: &Arc<Certificate>,
    ) -> io::Result<(Stream, TlsFacts)> {
        let wanted = stream.secure_as_server(&certificate.name).await?;
        let facts = TlsFacts {
            version: "TLSv1.3".into(),
            cipher: "TLS_AES_256_GCM_SHA384".into(),
            server_name: (!wanted.is_empty()).then(|| wanted.into()),
        };
        Ok((stream, facts))
    }

    async fn secure_client(&self, mut stream: Stream, name: &str, verify: Verify) -> io::Result<Stream> {
        let certificate = stream.secure_as_client(name).await?;
        match verify {
            Verify::Name if !certificate.eq_ignore_ascii_case(name) => {
                Err(io::Error::new(io::ErrorKind::InvalidData, format!("certificate is for {certificate}")))
            }
            Verify::Name | Verify::Nobody => Ok(stream),
        }
    }

    async fn look_up(&self, query: &Query) -> Found {
        self.state().names.answer(query)
    }

    fn spool_disk(&self, state_dir: &Path) -> io::Result<MemoryDisk> {
        Ok(self.disk(state_dir))
    }

    async fn place_file(&self, directory: &Path, name: &str, mut pieces: Pieces) -> io::Result<()> {
        if self.state().missing.contains(directory) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut content = Vec::new();
        while let Some(piece) = pieces()? {
            content.extend_from_slice(&piece);
        }
        let file = PlacedFile { directory: directory.to_owned(), name: name.to_owned(), content };
        let mut state = self.state();
        let place = (file.directory.clone(), file.name.clone());
        // A file that is placed again is the same file: an attempt whose outcome was lost repeats it.
        if state.files.insert(place, file.content.clone()).is_none() {
            state.placed.push(file);
        }
        Ok(())
    }

    async fn blocking<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> R {
        work()
    }

    fn run_dispatcher(&self, dispatcher: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(dispatcher);
    }

    fn run_keeper(&self, keeper: Keeper<MemoryDisk>) {
        tokio::spawn(keeper.run());
    }

    fn resources(&self) -> Resources {
        self.state().resources.unwrap_or(PLENTY)
    }

    fn has_terminal(&self) -> bool {
        false
    }

    fn write_log(&self, lines: &[u8]) -> bool {
        self.state().log.extend_from_slice(lines);
        true
    }

    fn now(&self) -> Timestamp {
        BEGINNING.after(self.origin.elapsed())
    }
}

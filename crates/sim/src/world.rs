//! The simulated world: what the gateway asks of the outside, answered from memory.
//!
//! Everything is deterministic: one thread, a clock that moves only when nobody has anything to do,
//! ports handed out in order, and no map whose order could differ. What the gateway has done to the
//! world (files placed, names asked for, lines logged) can be looked at from outside.

use crate::accounts::Accounts;
use crate::astray::lies::Lies;
use crate::clock::SimClock;
use crate::dice::Dice;
use crate::disk::{Betrayal, LooseEnds, SimDisk};
use crate::link::Links;
use crate::names::Names;
use crate::net::{Listener, Sockets, Stream};
use crate::peers::Peers;
use crate::plant::Plant;
use crate::power::Power;
use gateway::Keeper;
use gateway::world::{Hear, Inspection, Pieces, Resources, Secured, Verify, World};
use identity::settings::Directory;
use identity::{Finding, Inquiry, Secret};
use mail::{Found, Query, Timestamp};
use queue::disk::memory::MemoryDisk;
use smtp::server::TlsFacts;
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use crate::clock::BEGINNING;

/// The certificates of a virtual server: the name the first is for.
#[derive(Debug)]
pub struct Certificates {
    name: String,
    /// Something has been said of them. Their files never change here.
    said: AtomicBool,
}

/// How long every certificate is good for.
const DAYS_LEFT: i64 = 90;

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

/// How the spool divides its disk. Small segments cost little to make, and are turned, emptied and
/// used again often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolShape {
    /// Octets of a segment.
    pub segment_bytes: u64,
    /// A body larger than this gets a file of its own.
    pub body_file_over_bytes: u64,
}

/// Room enough for what transcripts send, with the product's own limit for bodies.
const CALM: SpoolShape = SpoolShape { segment_bytes: 2 << 20, body_file_over_bytes: 256 << 10 };
/// A few dozen messages fill a segment.
const ROUGH: SpoolShape = SpoolShape { segment_bytes: 128 << 10, body_file_over_bytes: 12 << 10 };

#[derive(Default)]
struct State {
    sockets: Sockets,
    names: Names,
    accounts: Accounts,
    disks: BTreeMap<PathBuf, MemoryDisk>,
    files: BTreeMap<(PathBuf, String), Vec<u8>>,
    /// Small files of the state directory.
    kept: BTreeMap<PathBuf, Vec<u8>>,
    /// What was posted to webhooks, and has not been asked for.
    posted: Vec<String>,
    /// Files in the order in which they were placed, and how many of them have been asked for.
    placed: Vec<PlacedFile>,
    read: usize,
    missing: BTreeSet<PathBuf>,
    log: Vec<u8>,
    /// The log cannot keep up.
    log_deaf: bool,
    /// So many connections die before they are accepted.
    stillborn: u32,
    /// Everything that happened, in order: the log, and what the simulation itself has to say.
    story: Vec<u8>,
    /// What goes on beside the tasks takes its time, as these decide; `None` where all is perfect.
    dice: Option<Dice>,
    resources: Option<Resources>,
    /// What the rules answer instead of what they would.
    lies: Option<Lies>,
}

/// The kind of a record that says that a message is finished (docs/spool.md).
const FINISHED: u64 = 5;

/// What a simulated host gives: more than anybody needs.
const PLENTY: Resources = Resources { memory_bytes: 512 << 20, resident_bytes: 8 << 20, descriptors: None };

/// The world of one simulation. Made inside the runtime whose time it shows.
pub struct SimWorld {
    state: Mutex<State>,
    peers: Peers,
    clock: SimClock,
    power: Power,
    links: Links,
    betrayal: Betrayal,
    loose_ends: LooseEnds,
    plant: Option<Plant>,
}

impl Default for SimWorld {
    fn default() -> SimWorld {
        SimWorld::new()
    }
}

impl SimWorld {
    /// An empty world at [`BEGINNING`], in which nothing takes time and nothing breaks by itself.
    ///
    /// # Panics
    /// Outside a runtime.
    #[must_use]
    pub fn new() -> SimWorld {
        let clock = SimClock::new();
        SimWorld {
            state: Mutex::default(),
            peers: Peers::new(clock.clone()),
            clock,
            power: Power::default(),
            links: Links::default(),
            betrayal: Betrayal::default(),
            loose_ends: LooseEnds::default(),
            plant: None,
        }
    }

    /// An empty world in which lines, the disk and the power can fail, and take their time as the
    /// dice decide. With a plant it is broken on purpose.
    pub(crate) fn rough(dice: Dice, plant: Option<Plant>) -> SimWorld {
        let world = SimWorld { plant, ..SimWorld::new() };
        world.state().dice = Some(dice);
        match plant {
            Some(Plant::FlushSkipped) => world.betrayal.lie(true),
            Some(Plant::EndForgotten) => world.betrayal.forget(FINISHED),
            _ => {}
        }
        world
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The servers that mail is delivered to.
    #[must_use]
    pub fn peers(&self) -> &Peers {
        &self.peers
    }

    /// How the spool divides its disk.
    #[must_use]
    pub fn spool_shape(&self) -> SpoolShape {
        if self.state().dice.is_some() { ROUGH } else { CALM }
    }

    /// Its clocks.
    #[must_use]
    pub fn clock(&self) -> &SimClock {
        &self.clock
    }

    pub(crate) fn power(&self) -> &Power {
        &self.power
    }

    pub(crate) fn links(&self) -> &Links {
        &self.links
    }

    /// From now on flushes of the disk do nothing.
    pub(crate) fn let_disk_lie(&self) {
        self.betrayal.lie(true);
    }

    /// Whether it does.
    pub(crate) fn disk_lies(&self) -> bool {
        self.betrayal.lies()
    }

    /// What failed writes have left in the log of the spool.
    pub(crate) fn loose_ends(&self) -> &LooseEnds {
        &self.loose_ends
    }

    /// The log cannot keep up from now on, or can again.
    pub(crate) fn set_log_deaf(&self, deaf: bool) {
        self.state().log_deaf = deaf;
    }

    /// The next `count` connections die before they are accepted.
    pub(crate) fn lose_arrivals(&self, count: u32) {
        self.state().stillborn = count;
    }

    /// Says something to the story of the simulation.
    pub(crate) fn tell(&self, text: &str) {
        let line = format!("{:>9} {text}\n", self.clock.elapsed().as_millis());
        self.state().story.extend_from_slice(line.as_bytes());
    }

    /// Everything that happened, in order.
    pub(crate) fn story(&self) -> Vec<u8> {
        self.state().story.clone()
    }

    /// The power is back after a failure. Of what was not flushed, `cut` decides what survives; without
    /// one only the program died, and the system has kept everything that it was given.
    pub(crate) fn power_up(&self, cut: Option<u64>) {
        self.power.restore();
        let mut state = self.state();
        for disk in state.disks.values_mut() {
            disk.heal();
            if let Some(seed) = cut {
                *disk = disk.cut(seed);
            }
        }
    }

    /// How long something takes, in a world where things do.
    fn pause(&self, most_ms: u64) -> Duration {
        let mut state = self.state();
        let Some(dice) = &mut state.dice else { return Duration::ZERO };
        let ms = if dice.chance(30) { dice.between(0, most_ms) } else { 0 };
        Duration::from_millis(ms)
    }

    /// From now on the rules answer something else.
    pub(crate) fn tell_lies(&self, lies: Lies) {
        self.state().lies = Some(lies);
    }

    /// Says that `address` belongs to this host. As long as none is named, all do.
    pub fn add_own_address(&self, address: IpAddr) {
        self.state().sockets.add_own(address);
    }

    /// Changes what the name service knows.
    pub fn with_names<T>(&self, change: impl FnOnce(&mut Names) -> T) -> T {
        change(&mut self.state().names)
    }

    /// Changes what the directories know.
    pub(crate) fn with_accounts<T>(&self, change: impl FnOnce(&mut Accounts) -> T) -> T {
        change(&mut self.state().accounts)
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
        let far = SocketAddr::new(from, state.sockets.fresh_port());
        let State { sockets, dice, .. } = &mut *state;
        sockets.connect_with(far, to, |near, accepted| {
            let Some(dice) = dice else { return };
            near.over(self.links.end(from, &self.power, dice));
            accepted.over(self.links.end(from, &self.power, dice));
            accepted.altered(self.plant.and_then(Plant::reply));
            if self.plant == Some(Plant::Disguise) {
                accepted.disguise([10, 0, 0, 10].into());
            }
        })
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

    /// What was posted to webhooks since the last time, each behind its URL.
    pub(crate) fn take_posted(&self) -> Vec<String> {
        std::mem::take(&mut self.state().posted)
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
    type Directories = ();
    type Certificates = Certificates;
    type Disk = SimDisk;

    async fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        self.state().sockets.listen(address)
    }

    fn bound(&self, listener: &Listener) -> SocketAddr {
        listener.address()
    }

    async fn accept(&self, listener: &Listener) -> io::Result<(Stream, SocketAddr)> {
        let arrival = listener.accept().await;
        let mut state = self.state();
        if state.stillborn > 0 {
            state.stillborn -= 1;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(arrival)
    }

    async fn connect(&self, to: SocketAddr, source: Option<IpAddr>) -> io::Result<Stream> {
        let from = {
            let mut state = self.state();
            let source = source.unwrap_or_else(|| state.sockets.source_for(to.ip()));
            SocketAddr::new(source, state.sockets.fresh_port())
        };
        if self.links.is_silent(to.ip()) {
            std::future::pending::<()>().await;
        }
        let dice = self.state().dice.clone();
        let prepare = |near: &mut Stream, far: &mut Stream| {
            let Some(dice) = &dice else { return };
            near.over(self.links.end(to.ip(), &self.power, dice));
            far.over(self.links.end(to.ip(), &self.power, dice));
            near.altered(self.plant.and_then(Plant::content));
        };
        if let Some(answer) = self.peers.connect(from, to, prepare).await {
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

    fn certificates(&self, tls: &config::Tls) -> io::Result<Certificates> {
        // A file is called after the name it is for; one that is called `missing` is not there.
        let stems = tls.certificates.iter().map(|files| files.certificate.file_stem()?.to_str());
        let mut names = stems.map(Option::unwrap_or_default).collect::<Vec<_>>();
        if names.contains(&"missing") {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Certificates { name: names.swap_remove(0).to_owned(), said: AtomicBool::new(false) })
    }

    fn directories(&self, _settings: &[Directory], _hear: &Hear) -> io::Result<()> {
        Ok(())
    }

    async fn inquire(&self, (): &(), _names: &[Box<str>], inquiry: Inquiry) -> Finding {
        self.with_accounts(|accounts| accounts.answer(&inquiry))
    }

    /// Nobody answers at a host called `down.test`.
    async fn post(&self, url: &str, body: Vec<u8>) -> io::Result<()> {
        if url.contains("//down.test") {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let posted = format!("{url} {}", String::from_utf8_lossy(&body));
        self.state().posted.push(posted);
        Ok(())
    }

    fn entropy(&self) -> [u8; 32] {
        // Nobody guesses here, and a run must be the same twice.
        [7; 32]
    }

    fn lasting_secret(&self, _state_dir: &Path) -> io::Result<Secret> {
        Ok(Secret::from("decoy"))
    }

    async fn write_file(&self, path: &Path, content: Vec<u8>) -> io::Result<()> {
        if !self.power.step() {
            std::future::pending::<()>().await;
        }
        self.state().kept.insert(path.to_owned(), content);
        Ok(())
    }

    fn read_file(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        Ok(self.state().kept.get(path).cloned())
    }

    async fn watch(&self, certificates: &[Arc<Certificates>]) -> Vec<(usize, Inspection)> {
        let new = certificates.iter().enumerate().filter(|(_, one)| !one.said.swap(true, Ordering::Relaxed));
        let seen: Vec<_> =
            new.map(|(place, _)| (place, Inspection { news: Vec::new(), days_left: DAYS_LEFT })).collect();
        if seen.is_empty() {
            std::future::pending::<()>().await;
        }
        seen
    }

    async fn secure_server(&self, mut stream: Stream, certificates: &Arc<Certificates>) -> io::Result<Secured<Stream>> {
        let secured = stream.secure_as_server(&certificates.name).await;
        if self.plant == Some(Plant::SecretSaid) {
            return Err(io::Error::other(format!("cannot use the key {}", crate::plant::KEY)));
        }
        let wanted = secured?;
        let facts = TlsFacts {
            version: "TLSv1.3".into(),
            cipher: "TLS_AES_256_GCM_SHA384".into(),
            server_name: (!wanted.is_empty()).then(|| wanted.into()),
        };
        Ok(Secured { stream, facts, link: Arc::default() })
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
        let (found, takes) = {
            let mut state = self.state();
            (state.names.answer(query), state.names.takes(query))
        };
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        found
    }

    fn spool_disk(&self, state_dir: &Path) -> io::Result<SimDisk> {
        Ok(SimDisk::new(self.disk(state_dir), self.power.clone(), self.betrayal.clone(), self.loose_ends.clone()))
    }

    async fn place_file(&self, directory: &Path, name: &str, mut pieces: Pieces) -> io::Result<()> {
        if self.state().missing.contains(directory) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut content = Vec::new();
        while let Some(piece) = pieces()? {
            content.extend_from_slice(&piece);
        }
        if !self.power.step() {
            std::future::pending::<()>().await;
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
        let hangs = self.plant == Some(Plant::DiskHangs) && self.clock.elapsed() > Duration::from_secs(1);
        let pause = if hangs { Duration::from_secs(36_000) } else { self.pause(10) };
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        work()
    }

    fn run_dispatcher(&self, dispatcher: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(dispatcher);
    }

    fn run_keeper(&self, keeper: Keeper<SimDisk>) {
        let dice = self.state().dice.as_ref().map(|dice| dice.fork("keeper"));
        match dice {
            Some(dice) => tokio::spawn(crate::pace::paced(keeper.run(), self.power.clone(), dice)),
            None => tokio::spawn(keeper.run()),
        };
        if self.plant == Some(Plant::TaskLeft) {
            tokio::spawn(std::future::pending::<()>());
        }
    }

    fn resources(&self) -> Resources {
        self.state().resources.unwrap_or(PLENTY)
    }

    fn has_terminal(&self) -> bool {
        false
    }

    fn write_log(&self, lines: &[u8]) -> bool {
        let mut state = self.state();
        if state.dice.is_some() {
            if !self.power.step() {
                return true;
            }
            let ms = self.clock.elapsed().as_millis();
            state.story.extend_from_slice(format!("{ms:>9} | ").as_bytes());
            state.story.extend_from_slice(lines);
        }
        let lost = self.plant == Some(Plant::LogLineLost) && find(lines, b"\"event\":\"received\"");
        if !state.log_deaf && !lost {
            state.log.extend_from_slice(lines);
        }
        !state.log_deaf
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn mislead(&self, decision: &mut dyn Any) {
        if let Some(lies) = &mut self.state().lies {
            lies.mislead(decision);
        }
    }
}

fn find(octets: &[u8], what: &[u8]) -> bool {
    octets.windows(what.len()).any(|window| window == what)
}

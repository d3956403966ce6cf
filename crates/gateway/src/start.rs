//! Start, reload, stop: the life of a gateway.
//!
//! Bad settings never start half: sockets, certificates and the spool are all there before the
//! first byte is read, and a reload that cannot have all it needs changes nothing.

use crate::bounding::{self, Bounding};
use crate::counters::Counters;
use crate::decisions::{self, DecisionAnswer, Decisions};
use crate::dispatch::{Dispatcher, ORDERS, Order};
use crate::event::Event;
use crate::guessing::{self, Guessing};
use crate::keeper::Keeper;
use crate::kept::Kept;
use crate::listener::{Door, Greeting, Listening};
use crate::memory::Memory;
use crate::notices::{self, Notices};
use crate::recorder::{LogForm, Recorder};
use crate::world::{Resources, World};
use crate::{BanView, Gateway, Law, QueueAnswer, QueueCommand, Server, StandingView, Stop};
use arc_swap::ArcSwap;
use bounds::Subject;
use config::{Config, LogFormat};
use identity::Secret;
use identity::guess::Banned;
use queue::spool::{Recovery, Settings as SpoolSettings, Spool};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// How long open transactions and attempts may take to end (faults page, figure 4).
const GRACE: Duration = Duration::from_secs(10);
/// How long tasks may take to end after that.
const LAST_GRACE: Duration = Duration::from_secs(2);

/// Why a gateway did not start, or did not take new settings.
#[derive(Debug)]
pub enum StartError {
    /// A socket could not be opened.
    Listen {
        /// For which virtual server.
        server: Box<str>,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A certificate or key cannot be used; the error names the file.
    Certificate {
        /// For which virtual server.
        server: Box<str>,
        /// What is wrong.
        source: io::Error,
    },
    /// The accounts cannot be read; the error names the directory and the file.
    Directories(io::Error),
    /// The spool's directory cannot be used.
    Directory {
        /// The state directory.
        directory: std::path::PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The spool cannot be read.
    Spool(queue::spool::Error),
    /// It is stopping.
    Stopping,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen { server, address, source } => {
                write!(f, "virtual server `{server}` cannot listen on {address}: {source}")
            }
            StartError::Certificate { server, source } => {
                write!(f, "virtual server `{server}` has no usable certificate: {source}")
            }
            StartError::Directories(source) => write!(f, "the directories cannot be used: {source}"),
            StartError::Directory { directory, source } => {
                write!(f, "the state directory {} cannot be used: {source}", directory.display())
            }
            StartError::Spool(error) => error.fmt(f),
            StartError::Stopping => f.write_str("the gateway is stopping"),
        }
    }
}

impl std::error::Error for StartError {}

/// A running gateway.
pub struct Handle<W: World> {
    gateway: Arc<Gateway<W>>,
    doors: BTreeMap<Box<str>, Door<W>>,
    keeper_ended: mpsc::Receiver<()>,
}

impl<W: World> Handle<W> {
    /// Starts a gateway. `salt` is a number that strangers cannot guess, drawn for this process.
    ///
    /// # Errors
    /// [`StartError`]; nothing is listening and nothing was taken.
    pub async fn start(world: Arc<W>, config: Config, salt: u64) -> Result<Handle<W>, StartError> {
        let resources = world.resources();
        let (config, lowered) = fit(config, &resources);
        let (notices, noticed) = Notices::new();
        let law = Arc::new(read_law(&*world, &notices, config)?);
        let sockets = listen(&*world, &law.config, &BTreeMap::new()).await?;
        let unusable = |source| StartError::Directory { directory: law.config.state_dir.clone(), source };
        let disk = world.spool_disk(&law.config.state_dir).map_err(unusable)?;
        let settings = SpoolSettings { salt, ..law.config.queue.spool.clone() };
        let (spool, recovery) = world.blocking(move || Spool::open(disk, settings)).await.map_err(StartError::Spool)?;
        let decoy = world.lasting_secret(&law.config.state_dir).map_err(unusable)?;
        let known = Kept::read(&*world, &law, guessing::FILE).map_err(unusable)?;
        let counted = Kept::read(&*world, &law, bounding::FILE).map_err(unusable)?;
        let (guessing, guesses) = Guessing::new();
        let (bounding, sendings) = Bounding::new();
        let memory = Memory::new(memory_limit(&law.config, &resources), resources.resident_bytes);
        let (decisions, refusals) = Decisions::new(world.entropy());
        let parts = (memory, decoy, (guessing, bounding, decisions), notices);
        let (gateway, orders, keeper_ended) = assemble(&world, law.clone(), spool, parts);
        notices::start(&gateway, noticed);
        guessing::start(&gateway, &law, guesses, known);
        bounding::start(&gateway, &law, sendings, counted);
        decisions::start(&gateway, refusals);
        let doors = open_doors(&gateway, sockets, BTreeMap::new());
        gateway
            .recorder
            .record(&Event::Recovered { messages: recovery.messages.len(), damaged: recovery.damages.len() });
        say_damages(&gateway, &recovery);
        say_lowered(&gateway, &lowered);
        let dispatcher = Dispatcher::new(gateway.clone(), orders, recovery.messages, recovery.diagnoses);
        let tasks = gateway.tasks.clone();
        let running = tasks.track_future(dispatcher.run());
        world.run_dispatcher(async move {
            running.await;
            // What it has started may still have an answer to give.
            tasks.wait().await;
        });
        gateway.tasks.spawn(crate::certificates::watch(gateway.clone()));
        gateway.tasks.spawn(crate::exceptions::watch(gateway.clone()));
        gateway.recorder.record(&Event::Started);
        Ok(Handle { gateway, doors, keeper_ended })
    }

    /// Where the virtual servers really listen, by name.
    #[must_use]
    pub fn listening(&self) -> Vec<(String, SocketAddr)> {
        let mut all = Vec::new();
        for (name, door) in &self.doors {
            all.extend(door.sockets().map(|socket| (name.to_string(), socket.address)));
        }
        all
    }

    /// Takes new settings: new sessions are judged by them, open ones by those they started with.
    /// Sockets that are in both stay open. What the state directory is cannot change while running.
    ///
    /// # Errors
    /// [`StartError`]; everything is as it was.
    pub async fn reload(&mut self, config: Config) -> Result<(), StartError> {
        let gateway = &self.gateway;
        let refused = |error: StartError| {
            gateway.recorder.record(&Event::ReloadRefused { why: &error.to_string() });
            error
        };
        let resources = gateway.world.resources();
        let (config, lowered) = fit(config, &resources);
        let law = read_law(&*gateway.world, &gateway.notices, config).map_err(refused)?;
        let sockets = listen(&*gateway.world, &law.config, &self.doors).await.map_err(refused)?;
        gateway.guessing.reload(&law.config.guessing).await;
        gateway.bounding.reload(&law.config.bounds.settings).await;
        let names: Vec<Box<str>> = law.config.servers.iter().map(|server| server.name.clone()).collect();
        gateway.recorder.counters().know(&names);
        gateway.memory.set_limit(memory_limit(&law.config, &resources));
        say_lowered(gateway, &lowered);
        gateway.law.store(Arc::new(law));
        gateway.reloaded.notify_one();
        gateway.exceptions_reloaded.notify_one();
        self.doors.retain(|name, _| names.contains(name));
        let doors = std::mem::take(&mut self.doors);
        self.doors = open_doors(gateway, sockets, doors);
        // Fails only when everything stops.
        let _ = gateway.orders.send(Order::Reloaded).await;
        gateway.recorder.record(&Event::Reloaded);
        Ok(())
    }

    /// New settings could not even be read; says so to the log and the counters.
    pub fn reload_refused(&self, why: &str) {
        self.gateway.recorder.record(&Event::ReloadRefused { why });
    }

    /// Says to the log that somebody insists on settings although this is found of them.
    pub fn accepted(&self, finding: &str) {
        self.gateway.recorder.record(&Event::Accepted { finding });
    }

    /// Stops accepting at one virtual server; sessions inside go on, the others notice nothing.
    pub fn close_server(&mut self, name: &str) -> bool {
        let closed = self.doors.remove(name).is_some();
        set_listening(&self.gateway, &self.doors);
        closed
    }

    /// Returns when the owner of the spool or of the schedule has ended although nobody stopped it. What
    /// it knew is gone: the process must end, and the next one finds everything in the spool.
    pub async fn owner_lost(&mut self) {
        tokio::select! {
            biased;
            _ = self.keeper_ended.recv() => {}
            () = self.gateway.orders.closed() => {}
        }
    }

    /// What others may do with a running gateway.
    #[must_use]
    pub fn control(&self) -> Control<W> {
        Control(self.gateway.clone())
    }

    /// Stops: no new connections at once, ten seconds for what is open, everything recorded.
    pub async fn stop(mut self) {
        let gateway = &self.gateway;
        gateway.recorder.record(&Event::Stopping);
        self.doors.clear();
        gateway.tasks.close();
        gateway.stop.soft.give();
        if timeout(GRACE, gateway.tasks.wait()).await.is_err() {
            gateway.stop.hard.give();
            // Whoever has not ended now ends with the process; nothing they hold was promised.
            let _ = timeout(LAST_GRACE, gateway.tasks.wait()).await;
        }
        gateway.stop.last.give();
        let _ = timeout(LAST_GRACE, self.keeper_ended.recv()).await;
    }
}

/// A way to ask and command a running gateway, for the console and the control socket.
pub struct Control<W: World>(Arc<Gateway<W>>);

impl<W: World> Clone for Control<W> {
    fn clone(&self) -> Control<W> {
        Control(self.0.clone())
    }
}

impl<W: World> Control<W> {
    /// Asks or commands the queue; `None` when the gateway is stopping.
    pub async fn queue(&self, command: QueueCommand) -> Option<QueueAnswer> {
        let (answer, answered) = oneshot::channel();
        self.0.orders.send(Order::Queue(command, answer)).await.ok()?;
        answered.await.ok()
    }

    /// Who is refused for guessing; `None` when the gateway is stopping.
    pub async fn bans(&self) -> Option<Vec<BanView>> {
        Some(self.0.guessing.bans().await?.iter().map(BanView::new).collect())
    }

    /// Ends a refusal of a network, an address of it, or an account; whether there was one.
    pub async fn lift(&self, meant: &str) -> Option<bool> {
        match Banned::meant(meant) {
            Some(banned) => self.0.guessing.lift(banned).await,
            None => Some(false),
        }
    }

    /// What came of a question that was refused, by the name that stands in its reply; `None` when the gateway is
    /// stopping.
    pub async fn decision(&self, id: &str) -> Option<DecisionAnswer> {
        decisions::explain(&self.0, id).await
    }

    /// Where senders stand; `None` when the gateway is stopping.
    pub async fn standings(&self) -> Option<Vec<StandingView>> {
        Some(self.0.bounding.standings().await?.iter().map(StandingView::new).collect())
    }

    /// Lets an account send again, or an address; whether anything was in its way.
    pub async fn resume(&self, meant: &str) -> Option<bool> {
        self.0.bounding.resume(Subject::meant(meant)).await
    }

    /// All counters in Prometheus text form.
    pub async fn metrics(&self) -> String {
        let (done, surveyed) = oneshot::channel();
        // The gauges of a gateway that is stopping stay as they were.
        if self.0.orders.send(Order::Survey(done)).await.is_ok() {
            let _ = surveyed.await;
        }
        self.0.recorder.counters().render()
    }
}

/// Descriptors that are not for connections: listening sockets, the spool, the log, look-ups.
const OWN_DESCRIPTORS: u64 = 32;

/// The settings with as many connections as there are descriptors for, and what was lowered. Of
/// what is left, five eighths are for sessions, a quarter for next hops, the rest for the files of large
/// messages.
fn fit(mut config: Config, resources: &Resources) -> (Config, Vec<String>) {
    let mut lowered = Vec::new();
    let Some(descriptors) = resources.descriptors else { return (config, lowered) };
    let left = u32::try_from(descriptors.saturating_sub(OWN_DESCRIPTORS)).unwrap_or(u32::MAX);
    let (sessions, hops) = ((left / 8 * 5).max(1), (left / 4).max(1));
    let wanted = config.servers.iter().map(|server| {
        let limits = &server.rules.limits;
        limits.connections_in_all.unwrap_or(u32::MAX).min(limits.connections.unwrap_or(u32::MAX))
    });
    if let Some(wanted) = wanted.max().filter(|wanted| *wanted > sessions) {
        let wanted = if wanted == u32::MAX { "unlimited".to_owned() } else { wanted.to_string() };
        lowered.push(format!(
            "sessions at a time: {sessions} instead of {wanted}, as there are {descriptors} descriptors"
        ));
        for server in &mut config.servers {
            Arc::make_mut(&mut server.rules).limits.connections_in_all = Some(sessions);
        }
    }
    let delivery = &mut config.delivery;
    if delivery.connections > hops {
        let wanted = delivery.connections;
        lowered.push(format!(
            "outgoing connections at a time: {hops} instead of {wanted}, as there are {descriptors} descriptors"
        ));
        delivery.connections = hops;
        delivery.connections_per_domain = delivery.connections_per_domain.min(hops);
    }
    (config, lowered)
}

fn memory_limit(config: &Config, resources: &Resources) -> u64 {
    config.memory_bytes.unwrap_or(resources.memory_bytes)
}

fn say_lowered<W: World>(gateway: &Gateway<W>, lowered: &[String]) {
    for what in lowered {
        gateway.recorder.record(&Event::Lowered { what });
    }
}

fn read_law<W: World>(world: &W, notices: &Notices, config: Config) -> Result<Law<W>, StartError> {
    let mut servers = Vec::with_capacity(config.servers.len());
    for server in &config.servers {
        let certificates = server.tls.as_ref().map(|tls| world.certificates(tls)).transpose();
        let failed = |source| StartError::Certificate { server: server.name.clone(), source };
        let certificates = certificates.map_err(failed)?.map(Arc::new);
        let gate = crate::gate::of(server, &config);
        servers.push(Arc::new(Server { config: server.clone(), certificates, gate }));
    }
    let directories =
        Arc::new(world.directories(&config.directories, &notices.hear()).map_err(StartError::Directories)?);
    Ok(Law { config, servers, directories })
}

/// The sockets of each virtual server.
type Sockets<W> = Vec<(Box<str>, Vec<Listening<W>>)>;

/// The sockets that the settings ask for: those that are open already, whichever virtual server had
/// them, and new ones.
async fn listen<W: World>(
    world: &W,
    config: &Config,
    open: &BTreeMap<Box<str>, Door<W>>,
) -> Result<Sockets<W>, StartError> {
    let mut sockets = Vec::new();
    for server in &config.servers {
        let mut own = Vec::new();
        let clear = server.listen.iter().map(|&address| (address, Greeting::Clear));
        let secured = server.listen_tls.iter().map(|&address| (address, Greeting::Secured));
        for (address, greeting) in clear.chain(secured) {
            own.push(match find(open, &server.name, address) {
                Some(listening) => listening.with(greeting),
                None => {
                    let socket = world.listen(address).await;
                    let failed = |source| StartError::Listen { server: server.name.clone(), address, source };
                    Listening::new(world, (address, greeting), socket.map_err(failed)?)
                }
            });
        }
        sockets.push((server.name.clone(), own));
    }
    Ok(sockets)
}

/// The open socket for an address in the settings. Port 0 is never another virtual server's.
fn find<W: World>(open: &BTreeMap<Box<str>, Door<W>>, server: &str, wanted: SocketAddr) -> Option<Listening<W>> {
    let doors = open.iter().filter(|(name, _)| ***name == *server || wanted.port() != 0);
    doors.flat_map(|(_, door)| door.sockets()).find(|listening| listening.wanted == wanted).cloned()
}

type Assembled<W> = (Arc<Gateway<W>>, mpsc::Receiver<Order>, mpsc::Receiver<()>);

/// Puts the parts together and starts the keeper.
fn assemble<W: World>(
    world: &Arc<W>,
    law: Arc<Law<W>>,
    spool: Spool<W::Disk>,
    (memory, decoy, (guessing, bounding, decisions), notices): (
        Memory,
        Secret,
        (Guessing, Bounding, Decisions),
        Notices,
    ),
) -> Assembled<W> {
    let names: Vec<Box<str>> = law.config.servers.iter().map(|server| server.name.clone()).collect();
    let form = match law.config.log_format {
        LogFormat::Text => LogForm::Text,
        LogFormat::Json => LogForm::Json,
        LogFormat::Auto if world.has_terminal() => LogForm::Text,
        LogFormat::Auto => LogForm::Json,
    };
    let (orders, receiver) = mpsc::channel(ORDERS);
    let (ids, reader, bodies) = (spool.ids(), spool.reader(), spool.bodies());
    let stop = Stop::default();
    let recorder = Arc::new(Recorder::new(world.clone(), Counters::new(&names), form));
    let alarmed = recorder.clone();
    let alarm = Box::new(move |error: &queue::spool::Error| {
        alarmed.record(&Event::SpoolFailed { why: &error.to_string() });
    });
    let (keeper, handle, ended) = Keeper::new(spool, orders.clone(), alarm, stop.last.clone());
    let gateway = Arc::new(Gateway {
        world: world.clone(),
        recorder,
        law: ArcSwap::new(law),
        reloaded: Notify::new(),
        exceptions_reloaded: Notify::new(),
        keeper: handle,
        orders,
        ids,
        reader,
        bodies,
        memory: Arc::new(memory),
        decoy,
        guessing,
        bounding,
        notices,
        decisions,
        sessions: AtomicU32::new(0),
        listening: ArcSwap::default(),
        tasks: TaskTracker::new(),
        stop,
    });
    world.run_keeper(keeper);
    (gateway, receiver, ended)
}

fn open_doors<W: World>(
    gateway: &Arc<Gateway<W>>,
    sockets: Sockets<W>,
    mut doors: BTreeMap<Box<str>, Door<W>>,
) -> BTreeMap<Box<str>, Door<W>> {
    for (name, sockets) in sockets {
        let door = doors.entry(name).or_insert_with_key(|name| Door::new(gateway, name));
        door.accept_at(gateway, sockets);
    }
    set_listening(gateway, &doors);
    doors
}

fn set_listening<W: World>(gateway: &Gateway<W>, doors: &BTreeMap<Box<str>, Door<W>>) {
    let addresses = doors.values().flat_map(|door| door.sockets().map(|socket| socket.address)).collect();
    gateway.listening.store(Arc::new(addresses));
}

fn say_damages<W: World>(gateway: &Gateway<W>, recovery: &Recovery) {
    if let Some(error) = &recovery.broken {
        gateway.recorder.record(&Event::SpoolFailed { why: &error.to_string() });
    }
    for damage in &recovery.damages {
        gateway.recorder.record(&Event::Damaged { what: &damage.to_string() });
    }
}

//! Where protocol, policy and queue meet. Written against an abstract [`world::World`]; the program
//! gives it the real one, the simulator a nastier one.
//!
//! A session asks ([`session`]), policy answers ([`answer`]), the queue promises ([`keeper`]), and
//! what has been promised is delivered ([`dispatch`], [`deliver`]). Everything mutable has one owner
//! task; the others send it messages over bounded channels. Nothing here knows which operating
//! system, TLS or DNS library there is.

mod admission;
mod answer;
mod authenticate;
mod bounding;
mod certificates;
mod conclude;
mod counters;
mod crowd;
mod decisions;
mod deliver;
mod dispatch;
mod door;
mod event;
mod exceptions;
pub mod explain;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod gate;
mod guessing;
mod inbox;
mod keeper;
mod kept;
mod listener;
mod lookups;
mod marks;
mod memory;
mod note;
mod notices;
mod pace;
mod plan;
mod proxy;
mod recall;
mod receive;
mod recorder;
mod session;
mod start;
mod stop;
mod throttle;
mod timer;
mod translate;
pub mod world;

pub use answer::refusal;
pub use bounding::StandingView;
pub use decisions::{DecisionAnswer, DecisionId, DecisionView};
pub use deliver::{NotSubmitted, Submission, submit};
pub use dispatch::{DestinationView, Filter, MessageView, QueueAnswer, QueueCommand, QueueView, RecipientView};
pub use guessing::BanView;
pub use keeper::Keeper;
pub use lookups::recipient_found;
pub use plan::host_name;
pub use start::{Control, Handle, StartError};

use arc_swap::ArcSwap;
use bounding::Bounding;
use config::Config;
use decisions::Decisions;
use guessing::Guessing;
use identity::Secret;
use keeper::KeeperHandle;
use memory::Memory;
use notices::Notices;
use queue::Bodies;
use queue::spool::{Ids, Reader};
use recorder::Recorder;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use stop::Stop;
use tokio::sync::{Notify, mpsc};
use tokio_util::task::TaskTracker;
use world::World;

/// The settings with what had to be read for them. A session keeps the law it started under.
pub struct Law<W: World> {
    /// The settings.
    pub config: Config,
    servers: Vec<Arc<Server<W>>>,
    /// The directories, open.
    directories: Arc<W::Directories>,
}

impl<W: World> Law<W> {
    /// The virtual server of this name.
    #[must_use]
    pub fn server(&self, name: &str) -> Option<Arc<Server<W>>> {
        self.servers.iter().find(|server| *server.config.name == *name).cloned()
    }
}

/// One virtual server.
pub struct Server<W: World> {
    /// Its settings.
    pub config: config::Server,
    /// Its certificates, if it has any.
    pub certificates: Option<Arc<W::Certificates>>,
    /// What must never happen here, asked once more of each message.
    gate: invariant::Gate,
}

/// What all tasks of a running gateway share.
pub struct Gateway<W: World> {
    world: Arc<W>,
    recorder: Arc<Recorder<W>>,
    law: ArcSwap<Law<W>>,
    /// The law has changed.
    reloaded: Notify,
    /// The same, for whoever tells of exceptions that end.
    exceptions_reloaded: Notify,
    keeper: KeeperHandle,
    orders: mpsc::Sender<dispatch::Order>,
    ids: Ids,
    reader: Reader<W::Disk>,
    bodies: Bodies<W::Disk>,
    /// A secret that lasts: what is shown of accounts that do not exist is made of it.
    decoy: Secret,
    /// The way of what directories have to say.
    notices: Notices,
    /// The way to the owner of the defence against guessing.
    guessing: Guessing,
    /// The way to the owner of what has been refused.
    decisions: Decisions,
    /// The way to the owner of what was counted of senders.
    bounding: Bounding,
    /// What everything together holds in memory.
    memory: Arc<Memory>,
    /// Open sessions of all virtual servers.
    sessions: AtomicU32,
    /// Where we listen, so that nothing is ever delivered to ourselves.
    listening: ArcSwap<Vec<SocketAddr>>,
    tasks: TaskTracker,
    stop: Stop,
}

impl<W: World> std::fmt::Debug for Gateway<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gateway(listening on {:?})", self.listening.load())
    }
}

impl<W: World> Gateway<W> {
    /// Whether a connection to `address` would come in at our own door.
    fn is_own_listener(&self, address: SocketAddr) -> bool {
        self.listening.load().iter().any(|own| {
            own.port() == address.port()
                && (own.ip() == address.ip() || (own.ip().is_unspecified() && self.world.is_own_address(address.ip())))
        })
    }
}

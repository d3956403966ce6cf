//! A plan: what happens in a simulation, and when. It follows from a seed, and can be written down, cut
//! to what matters, and played again.
//!
//! A plan is text, one event a line: the millisecond, a verb, its words. [`super::text`] reads and
//! writes it.

use mail::Domain;
use queue::disk::memory::Call;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What the dice of the world, and the content of messages, are made of.
    pub seed: u64,
    /// The settings the gateway starts with.
    pub law: Law,
    /// What happens, in order.
    pub events: Vec<Event>,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When: milliseconds from the beginning.
    pub at_ms: u64,
    /// What.
    pub act: Act,
}

/// Which settings are in force; see [`super::law`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// One host for the organization.
    Plain,
    /// Two hosts, narrow limits, TLS wherever it is offered.
    Narrow,
    /// A directory for the organization.
    Directory,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A client comes.
    Session(Session),
    /// A next hop is in another mood.
    Peer(SocketAddr, String),
    /// Something about the line to somebody.
    Line(IpAddr, LineTrouble),
    /// Something about the disk.
    Disk(DiskTrouble),
    /// The name service says something else.
    Name(String),
    /// The wall clock is set.
    Clock(i64),
    /// The log cannot keep up, or can again.
    Log {
        /// It cannot.
        deaf: bool,
    },
    /// So many connections die before they are accepted.
    Stillborn(u32),
    /// The directories for mail are missing, or there again.
    Directories {
        /// They are missing.
        missing: bool,
    },
    /// An administrator's command, in the words of a transcript.
    Queue(String),
    /// New settings; `None` for a file that cannot be read.
    Reload(Option<Law>),
    /// The counters are compared with the log.
    Count,
    /// The host or the program dies, and starts again.
    Crash(Crash),
    /// The gateway is stopped, and started again.
    Stop {
        /// After so many milliseconds.
        down_ms: u64,
    },
}

/// A client and what it sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The virtual server it connects to.
    pub server: String,
    /// Where it comes from.
    pub client: IpAddr,
    /// How it behaves.
    pub manner: Manner,
    /// What it sends, one after the other.
    pub letters: Vec<Letter>,
}

/// How a client behaves.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Manner {
    /// HELO instead of EHLO, and nothing that needs it.
    pub helo: bool,
    /// It asks for TLS.
    pub tls: bool,
    /// It tries a password where none is asked for.
    pub password: bool,
    /// Commands in groups.
    pub pipelined: bool,
    /// BDAT in chunks of so many octets instead of DATA.
    pub chunk: Option<usize>,
    /// A pause of so many milliseconds before each piece of at most 64 octets.
    pub slow_ms: Option<u64>,
    /// After so many octets it says nothing more.
    pub ends: Option<(usize, Ending)>,
    /// It never reads.
    pub deaf: bool,
}

/// How a client ends that does not say goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It closes the connection.
    Drops,
    /// It keeps it, and neither speaks nor listens.
    Hangs,
}

/// A message as a client means to send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its number; no other message of the plan has it.
    pub number: u32,
    /// The domain of its sender; `None` for the null reverse-path.
    pub from: Option<Domain>,
    /// The domains of its recipients.
    pub to: Vec<Domain>,
    /// Octets.
    pub size: usize,
    /// What is asked for about reports.
    pub notify: Notify,
}

/// What the sender wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Notify {
    /// It does not say.
    #[default]
    Unsaid,
    /// Nothing.
    Never,
    /// Everything.
    All,
}

/// What may befall a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineTrouble {
    /// Writes take up to so many milliseconds.
    Delay(u64),
    /// All connections break.
    Cut,
    /// Nothing passes, and nobody is told.
    Silent,
    /// It is good again.
    Clear,
}

/// What may befall the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskTrouble {
    /// The n-th call of a kind (of any that changes something) fails, once or from then on.
    Fails {
        /// Which kind.
        call: Option<Call>,
        /// Which of them, from now on.
        n: u64,
        /// And all that follow.
        on: bool,
        /// How.
        kind: io::ErrorKind,
    },
    /// So many octets, and no more, can be there.
    Full(u64),
    /// There is room again, and nothing fails.
    Heals,
    /// Flushes say yes and do nothing.
    Lies,
}

/// How the gateway dies and comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Before the n-th thing that could be noticed.
    pub after: u64,
    /// The power fails, and this decides what is left of what was not flushed. `None`: the program dies.
    pub cut: Option<u64>,
    /// It starts again so many milliseconds later.
    pub down_ms: u64,
    /// Each start dies again after so many steps.
    pub again: Vec<u64>,
}

impl Letter {
    /// Its sender's address, or nothing.
    #[must_use]
    pub fn sender(&self) -> String {
        self.from.as_ref().map_or(String::new(), |domain| format!("s{}@{domain}", self.number))
    }

    /// The address of one of its recipients. No two of a plan are the same.
    #[must_use]
    pub fn recipient(&self, place: usize) -> String {
        format!("m{}r{place}@{}", self.number, self.to[place])
    }
}

impl Plan {
    /// Every message that clients mean to send, with the session it is sent in.
    pub fn letters(&self) -> impl Iterator<Item = (&Session, &Letter)> {
        let sessions = self.events.iter().filter_map(|event| match &event.act {
            Act::Session(session) => Some(session),
            _ => None,
        });
        sessions.flat_map(|session| session.letters.iter().map(move |letter| (session, letter)))
    }

    /// Whether anything happens that `is` says.
    pub fn has(&self, is: impl Fn(&Act) -> bool) -> bool {
        self.events.iter().any(|event| is(&event.act))
    }
}

//! The settings file: text in, checked values out.
//!
//! `file` is the shape of the file, key by key; `check` turns it into a [`Config`] and collects
//! every mistake on the way, each with its place. After that nothing is judged again: a `Domain` is
//! a domain, a limit is within its bounds, and no two virtual servers want the same port. Nothing
//! here opens a file or a socket; certificates are only paths.

mod check;
pub mod embedded;
pub mod exceptions;
pub mod file;
mod mistake;
mod places;
pub mod reference;
mod shape;
pub mod templates;
mod units;

pub use file::{LogFormat, OutboundTls, Role, TlsVersion};
pub use mistake::{Mistake, Mistakes, Place, Severity, render};

use identity::settings::Directory;
use identity::{Mechanism, Peer, Protection};
use invariant::Invariant;
use mail::{Domain, Mailbox, Net};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The settings, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of this machine in mail.
    pub hostname: Domain,
    /// The directory of the queue and everything else that must survive a restart.
    pub state_dir: PathBuf,
    /// The file of invariants, if the settings name one. Whoever reads them reads it, too.
    pub invariants_file: Option<PathBuf>,
    /// What these settings must never permit; none until [`Config::with_invariants`].
    pub invariants: Vec<Invariant>,
    /// Whose mail this is.
    pub organization: Organization,
    /// The directories that know accounts.
    pub directories: Vec<Directory>,
    /// Those of them that know the recipients in the organization's domains; may be none.
    pub recipients_in: Vec<Box<str>>,
    /// The servers of the organization.
    pub peers: Vec<Peer>,
    /// How guessers are kept out.
    pub guessing: Guessing,
    /// How much the trusted may send.
    pub bounds: Bounds,
    /// The virtual servers, by name; never none.
    pub servers: Vec<Server>,
    /// Where mail goes: the routes of all virtual servers, for `policy::route`.
    pub routing: Arc<policy::Routing>,
    /// Memory that may be used, if the settings say so; otherwise the machine decides.
    pub memory_bytes: Option<u64>,
    /// Outgoing connections of all virtual servers together.
    pub delivery: DeliveryLimits,
    /// How long mail is tried, and what is said about it meanwhile.
    pub queue: Queue,
    /// Where `/metrics` is served; may be nowhere.
    pub metrics: Vec<SocketAddr>,
    /// How a line of the log is written.
    pub log_format: LogFormat,
    /// The path of the socket for commands.
    pub control_socket: PathBuf,
    /// The places of all rules in these settings.
    pub book: Arc<policy::RuleBook>,
}

impl Config {
    /// Reads the settings from the text of a file. `name` is what the file is called in mistakes.
    /// The second value is what should be looked at, but does not keep the settings from being used.
    ///
    /// # Errors
    /// All mistakes of the file at once, warnings among them.
    pub fn from_text(name: &str, text: &str) -> Result<(Config, Vec<Mistake>), Mistakes> {
        check::text(name, text)
    }

    /// The same settings with what they must never permit, from the text of the file of invariants. Whether they
    /// do permit it is not judged here.
    ///
    /// # Errors
    /// All mistakes of that file at once.
    pub fn with_invariants(mut self, name: &str, text: &str) -> Result<Config, Mistakes> {
        self.invariants = check::invariants(&self, name, text)?;
        Ok(self)
    }

    /// The virtual server of this name.
    #[must_use]
    pub fn server(&self, name: &str) -> Option<&Server> {
        self.servers.iter().find(|server| *server.name == *name)
    }
}

/// Whose mail this is.
#[derive(Clone, Debug)]
pub struct Organization {
    /// Its domains, in the order of the file; may be none.
    pub domains: Vec<Domain>,
    /// Who answers for the mail here.
    pub postmaster: Mailbox,
}

/// One virtual server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name.
    pub name: Box<str>,
    /// What it is there for, if the settings say so.
    pub role: Option<Role>,
    /// Where it listens; never nowhere, `listen_tls` included. Port 0 lets the operating system choose.
    pub listen: Vec<SocketAddr>,
    /// Where it listens, and TLS comes before the greeting.
    pub listen_tls: Vec<SocketAddr>,
    /// The proxies whose word is taken for who a client is.
    pub proxies: Vec<Net>,
    /// What its sessions offer and bear.
    pub session: Arc<smtp::server::Settings>,
    /// The longest a session may last.
    pub session_limit: Duration,
    /// How slowly a client may send a message and take our replies.
    pub rate: Rate,
    /// Whom it admits and what it takes.
    pub rules: Arc<policy::Rules>,
    /// How clients prove who they are.
    pub authentication: Arc<Authentication>,
    /// The reply code to a client that must authenticate first: 530 or 454.
    pub not_authenticated_code: u16,
    /// TLS towards its clients; `None` when there is none, and then STARTTLS is not offered.
    pub tls: Option<Tls>,
    /// How its mail leaves.
    pub delivery: ServerDelivery,
}

/// How clients of a virtual server prove who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// What is offered, strongest first; none where AUTH does not exist.
    pub mechanisms: Vec<Mechanism>,
    /// Who is asked, in this order.
    pub directories: Vec<Box<str>>,
    /// What is asked of clients about channel binding.
    pub protection: Protection,
    /// Whether NTLM is checked by the accounts of this host; otherwise by the domain.
    pub ntlm_here: bool,
    /// The failed attempt that reaches this count ends the session.
    pub failures_limit: u32,
    /// How long the reply to a failed attempt is held back.
    pub failure_delay: Duration,
    /// Whether mechanisms that show their secret are offered outside TLS, too.
    pub in_the_clear: bool,
}

/// How guessers are kept out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guessing {
    /// Different accounts that one network may fail at.
    pub accounts_per_network: u32,
    /// Different secrets that may be tried for one account.
    pub secrets_per_account: u32,
    /// How long it takes to forget one of either.
    pub forget: Duration,
    /// How long somebody is refused, the first time.
    pub refuse: Duration,
    /// Who is never refused.
    pub exempt: Vec<Net>,
}

/// How much the trusted may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// What is counted, and what follows.
    pub settings: bounds::Settings,
    /// The URL that is told of it.
    pub webhook: Option<Box<str>>,
}

/// TLS towards the clients of one virtual server. Whether it is required is in its session settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The oldest version spoken.
    pub min_version: TlsVersion,
    /// Its certificates, never none. The first is shown where no other has the name that is asked for.
    pub certificates: Vec<TlsFiles>,
    /// PEM: who vouches for the certificates of clients; `None`: they are not asked for one.
    pub client_authorities: Option<PathBuf>,
}

/// The files of a certificate, not opened yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TlsFiles {
    /// PEM: the certificate and those that vouch for it.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
}

/// How the mail of one virtual server leaves. Where it goes is in [`Config::routing`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerDelivery {
    /// What we call ourselves in EHLO.
    pub hello_name: Domain,
    /// What stands in the reverse-path of mail that leaves the organization; `None`: what its sender said.
    pub masquerade: Option<Masquerade>,
    /// Where connections come from; `None` lets the operating system choose.
    pub source_address: Option<IpAddr>,
    /// When TLS is used.
    pub tls: OutboundTls,
    /// Whether PIPELINING is used when it is offered.
    pub pipelining: bool,
    /// Whether CHUNKING is used when it is offered.
    pub chunking: bool,
}

/// One domain instead of others in the reverse-path (reference 1.4, masquerade domain).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masquerade {
    /// The domain that is shown.
    pub domain: Domain,
    /// The domains that are not: those of the organization, their other names, and the default domain.
    pub instead_of: Arc<BTreeSet<Domain>>,
}

/// Outgoing connections of all virtual servers together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryLimits {
    /// At one time, to all destinations together; at least one.
    pub connections: u32,
    /// At one time, to one destination; at least one and not more than `connections`.
    pub connections_per_domain: u32,
    /// Messages on one connection before a new one is made; at least one.
    pub messages_per_connection: u32,
    /// How long a connection may take to be made.
    pub connect_limit: Duration,
    /// How slowly a next hop may take a message.
    pub rate: Rate,
}

/// The least rate at which a peer must send or take octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Octets a second; 0 for no such limit.
    pub octets_per_s: u32,
    /// How long a peer may be slower.
    pub after: Duration,
}

impl Rate {
    /// The longest that one may wait for so many octets; `None` for as long as it takes.
    #[must_use]
    pub fn allows(&self, octets: u64) -> Option<Duration> {
        let millis = octets.saturating_mul(1000).checked_div(self.octets_per_s.into())?;
        Some(self.after.saturating_add(Duration::from_millis(millis)))
    }
}

/// How long mail is tried, and what is said about it meanwhile.
#[derive(Clone, Debug)]
pub struct Queue {
    /// When to try again, when to tell the sender, when to give up.
    pub retry: queue::Retry,
    /// How the spool uses its disk. The salt is left at zero; the program draws it.
    pub spool: queue::spool::Settings,
    /// Who gets a copy of every non-delivery report.
    pub copy_of_reports: Option<Mailbox>,
    /// Where reports go that cannot be delivered themselves.
    pub bad_mail_directory: PathBuf,
}

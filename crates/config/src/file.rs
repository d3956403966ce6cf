//! The shape of the settings file: one struct per table, one field per key.
//!
//! The doc comment of a field is what the manual, the annotated example and the JSON Schema say
//! about its key, and the `Default` of a table is the only place where a default stands. Nothing is
//! judged here; a value that has the right shape and makes no sense is a matter for `check`.

mod authentication;
mod bounds;
mod filter;
mod invariant;
mod server;
mod value;

pub use authentication::{
    AccountFile, Authentication, Directories, ExtendedProtection, Guessing, Kerberos, Ldap, MechanismName, Pam, Peer,
    Schema, Tokens, Winbind,
};
pub use bounds::{AccountBounds, Bounds, SendingBounds};
pub use filter::{Filters, OnMatch, SenderFilter};
pub use invariant::{Invariant, InvariantFile, Never};
pub use server::{
    AppliesTo, BareNewline, CertificateFiles, ClientCertificates, ConnectionControl, EarlyTalk, Limits as ServerLimits,
    Mode, OutboundTls, Protocol, Relay, Role, SendAs, SenderAction, ServerDelivery, Submit, Tls, TlsMode, TlsVersion,
    VirtualServer,
};
pub use value::{
    AddressEntry, AddressText, AddressesText, BorrowerText, ClientEntry, ClientText, Count, DayText, DomainText,
    DurationText, HolderEntry, HolderText, Hosts, ListenText, MailboxText, NetText, PathText, PatternText, Size,
    TermText, WhoText,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The settings of Bridgehead.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["hostname", "state_dir", "virtual_server"]))]
pub struct File {
    /// The name of this machine in mail: in greetings, in Received fields and in the HELO of
    /// outgoing connections. Required.
    #[schemars(example = "mx1.corp.example")]
    pub hostname: Option<DomainText>,
    /// The directory that holds the queue and everything else that must survive a restart.
    /// Required; relative paths elsewhere in this file do not start here.
    #[schemars(example = "/var/lib/bridgehead")]
    pub state_dir: Option<PathText>,
    /// The file of invariants: what these settings must never permit, in `[[invariant]]` tables. It is read with
    /// this file, and settings that break one of them are not taken. Absent: there are none.
    #[schemars(example = "/etc/bridgehead/invariants.toml")]
    pub invariants: Option<PathText>,
    /// Whose mail this is: the domains inside, and where mail for them goes.
    pub organization: Organization,
    /// Virtual servers, by name. Each has its own addresses, rules, limits and way out. At least
    /// one is required.
    pub virtual_server: BTreeMap<String, VirtualServer>,
    /// Domains outside the organization that are treated specially, by name. A name that begins
    /// with `*.` stands for every name below it, and not for the name itself.
    pub remote_domain: BTreeMap<String, RemoteDomain>,
    /// The directories that know accounts, each by a name of its own.
    pub directory: Directories,
    /// Servers of the organization, by name.
    pub peer: BTreeMap<String, Peer>,
    /// Whose mail is not wanted, at the virtual servers that apply the filter.
    pub sender_filter: SenderFilter,
    /// How guessers are kept out, at all virtual servers together.
    pub guessing: Guessing,
    /// How much those may send who may send, at all virtual servers together.
    pub bounds: Bounds,
    /// How much of everything, for all virtual servers together.
    pub limits: Limits,
    /// Outgoing connections of all virtual servers together.
    pub delivery: Delivery,
    /// How long mail is tried, and what is said about it meanwhile.
    pub queue: Queue,
    /// Numbers for monitoring, over HTTP at `/metrics`.
    pub metrics: Metrics,
    /// The log.
    pub log: Log,
    /// The socket for commands to the running server.
    pub control: Control,
}

/// Whose mail this is: the domains inside, and where mail for them goes.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Organization {
    /// The domains of the organization. Mail to a recipient in one of them is submitted and needs
    /// no permission to relay; mail to anywhere else is relayed. Names below a domain do not belong
    /// to it.
    #[schemars(extend("examples" = [["corp.example"]]))]
    pub domains: Vec<DomainText>,
    /// Other names of domains of the organization. A recipient in one of them is rewritten to the
    /// domain it stands for.
    #[schemars(extend("examples" = [{ "old.example": "corp.example" }]))]
    pub alias_domains: BTreeMap<String, DomainText>,
    /// Every recipient that exists in the domains of the organization. All others are refused with
    /// `550 5.1.1`. Absent: every recipient of the domains is accepted.
    #[schemars(extend("examples" = [["alice@corp.example"]]))]
    pub recipients: Option<Vec<MailboxText>>,
    /// The directories that know the recipients of the domains of the organization, by their names. A
    /// recipient that none of them knows is refused with `550 5.1.1`, unless `recipients` lists it.
    #[schemars(extend("examples" = [["people"]]))]
    pub recipients_in: Vec<String>,
    /// Addresses that are lent: to whom, which, and until when. Who has an address of its own in a directory needs
    /// none.
    pub send_as: Vec<SendAsGrant>,
    /// The smart host, or hosts, that take mail for the organization. Absent: it is put into the
    /// drop directory, see `delivery.drop_directory` of the virtual servers.
    #[schemars(example = "[10.0.0.20]")]
    pub route: Option<Hosts>,
    /// Who answers for the mail here: the person behind the reports that are sent. Absent:
    /// `postmaster@` the first domain of the organization, or the `hostname` when it has none.
    #[schemars(example = "postmaster@corp.example")]
    pub postmaster: Option<MailboxText>,
}

/// Addresses that are lent to somebody.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "grant of addresses")]
pub struct SendAsGrant {
    /// To whom: `account:`, `group:` or `peer:` and a name, or `client:` and the address or network of clients that do
    /// not authenticate. Required.
    #[schemars(example = "account:newsletter")]
    pub who: Option<BorrowerText>,
    /// Which addresses; `@corp.example` stands for all in that domain. Required.
    #[schemars(extend("examples" = [["news@corp.example"]]))]
    pub addresses: Vec<AddressesText>,
    /// Who answers for it.
    #[schemars(example = "marketing@corp.example")]
    pub owner: Option<String>,
    /// Why it is there.
    #[schemars(example = "monthly newsletter")]
    pub reason: Option<String>,
    /// Its last day, in UTC.
    #[schemars(example = "2027-01-31")]
    pub expires: Option<DayText>,
}

/// A domain outside the organization that is treated specially.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RemoteDomain {
    /// Whether every client may relay to this domain, whatever the relay lists say.
    pub allow_relay: bool,
    /// The smart host, or hosts, that take mail for this domain. They win over those of the
    /// virtual server. Absent: mail for this domain goes the way of all other.
    #[schemars(example = "[10.0.0.20]")]
    pub route: Option<Hosts>,
}

/// How much of everything, for all virtual servers together.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Sessions at one time at all virtual servers together. `"unlimited"` is possible. Absent: as
    /// many as the virtual server with the most may have.
    #[schemars(example = 2000)]
    pub connections: Option<Count>,
    /// Memory that sessions, messages, connections and the queue may use together. New mail is put
    /// off when four fifths of it are in use. Absent: what the system allows the process (cgroup,
    /// resource limits), at most half of the machine's memory and at most 512 MiB.
    #[schemars(example = "512 MiB")]
    pub memory: Option<Size>,
}

/// Outgoing connections of all virtual servers together.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// Outgoing connections at one time, to all destinations together.
    #[schemars(range(min = 1, max = 65535))]
    pub connections: u32,
    /// Outgoing connections at one time to one destination.
    #[schemars(range(min = 1, max = 65535))]
    pub connections_per_domain: u32,
    /// Messages sent on one connection before a new one is made.
    #[schemars(range(min = 1, max = 2000000000))]
    pub messages_per_connection: u32,
    /// How long a connection may take to be made.
    pub connect_timeout: DurationText,
    /// Octets a second that the next server must take of a message at the least; who takes fewer is
    /// tried again later. `0`: as slowly as it likes.
    #[schemars(range(min = 0, max = 1000000))]
    pub min_octets_per_s: u32,
    /// How long it may be slower than `min_octets_per_s`, in all of one message.
    pub min_rate_after: DurationText,
}

impl Default for Delivery {
    fn default() -> Delivery {
        Delivery {
            connections: 1000,
            connections_per_domain: 100,
            messages_per_connection: 20,
            connect_timeout: DurationText::new("30 s"),
            min_octets_per_s: 1000,
            min_rate_after: DurationText::new("3 min"),
        }
    }
}

/// How long mail is tried, and what is said about it meanwhile.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// How long after a failed attempt the next one is made.
    pub retry: Retry,
    /// How old a message is when its sender is told that it is delayed.
    pub delay_notification: DurationText,
    /// How old a message is when it is given up and returned to its sender.
    pub expiration: DurationText,
    /// Gets a copy of every non-delivery report. Absent: nobody does.
    #[schemars(example = "postmaster@corp.example")]
    pub send_copy_of_ndr_to: Option<MailboxText>,
    /// Where reports go that cannot be delivered themselves. Absent: `badmail` in `state_dir`.
    #[schemars(example = "/var/lib/bridgehead/badmail")]
    pub bad_mail_directory: Option<PathText>,
    /// New mail is refused for the time being when less than this is free on the disk of
    /// `state_dir`.
    pub reserve: Size,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue {
            retry: Retry::default(),
            delay_notification: DurationText::new("12 h"),
            expiration: DurationText::new("2 d"),
            send_copy_of_ndr_to: None,
            bad_mail_directory: None,
            reserve: Size::new("256 MiB"),
        }
    }
}

/// How long after a failed attempt the next one is made.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// After the first failed attempt.
    pub first: DurationText,
    /// After the second.
    pub second: DurationText,
    /// After the third.
    pub third: DurationText,
    /// After every later one, until the message expires.
    pub subsequent: DurationText,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            first: DurationText::new("15 min"),
            second: DurationText::new("30 min"),
            third: DurationText::new("60 min"),
            subsequent: DurationText::new("4 h"),
        }
    }
}

/// Numbers for monitoring, over HTTP at `/metrics`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// The addresses and ports to listen on. Empty: no numbers are served.
    #[schemars(extend("examples" = [["127.0.0.1:2580"]]))]
    pub listen: Vec<ListenText>,
}

/// The log.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// How a line of the log is written.
    pub format: LogFormat,
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum LogFormat {
    /// `text` on a terminal, `json` otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The socket for commands to the running server.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// The path of the socket. Absent: `control.sock` in `state_dir`.
    #[schemars(example = "/run/bridgehead/control.sock")]
    pub socket: Option<PathText>,
}

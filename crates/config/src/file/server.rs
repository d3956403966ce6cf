//! The tables of a virtual server.

use super::authentication::Authentication;
use super::filter::Filters;
use super::value::{
    AddressText, ClientEntry, Count, DomainText, DurationText, HolderEntry, Hosts, ListenText, NetText, PathText, Size,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One virtual server: where it listens, whom it admits, what it takes and where it sends.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("anyOf" = [{ "required": ["listen"] }, { "required": ["listen_tls"] }]))]
pub struct VirtualServer {
    /// The addresses and ports to listen on. No two virtual servers may share one. Required, unless
    /// there is `listen_tls`.
    #[schemars(extend("examples" = [["172.16.0.1:25"]]))]
    pub listen: Vec<ListenText>,
    /// The addresses and ports where TLS comes before everything else, the greeting included
    /// (implicit TLS, RFC 8314).
    #[schemars(extend("examples" = [["172.16.0.1:465"]]))]
    pub listen_tls: Vec<ListenText>,
    /// Load balancers and other proxies in front of this virtual server: addresses and networks. A
    /// connection from one of them must begin with a PROXY header, version 1 or 2, before the greeting
    /// and before TLS, and the client is who the header says. From anybody else such a header is a bad
    /// command.
    #[schemars(extend("examples" = [["10.0.0.5", "10.0.1.0/28"]]))]
    pub proxies: Vec<NetText>,
    /// The name of this virtual server in greetings, if it is not `hostname`.
    #[schemars(example = "mx1.corp.example")]
    pub hostname: Option<DomainText>,
    /// What this virtual server is there for, so that `bridgehead audit` can say where it departs from what such a
    /// server should be. Nothing else depends on it.
    #[schemars(with = "Role")]
    pub role: Option<Role>,
    /// The domain that is appended to an address without one. Absent: the first domain of the
    /// organization, or `hostname` when it has none.
    #[schemars(example = "corp.example")]
    pub default_domain: Option<DomainText>,
    /// Who may connect.
    pub connection_control: ConnectionControl,
    /// Who may send mail after having connected, and how clients prove who they are.
    pub authentication: Authentication,
    /// Which accounts may send mail at all. Servers of the organization have rights of their own.
    pub submit: Submit,
    /// Who may send mail to recipients outside the organization.
    pub relay: Relay,
    /// Which filters are applied to mail of clients that have not authenticated.
    pub filters: Filters,
    /// As whom clients may send.
    pub send_as: SendAs,
    /// How much of everything.
    pub limits: Limits,
    /// What is offered to clients, and how strictly the protocol is taken.
    pub protocol: Protocol,
    /// TLS towards the clients of this virtual server.
    pub tls: Tls,
    /// How mail that this virtual server accepted leaves again.
    pub delivery: ServerDelivery,
}

/// Which clients a list is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Mode {
    /// All clients except those of the list.
    AllExcept,
    /// Only the clients of the list.
    Only,
}

/// Whom connection control is applied to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum AppliesTo {
    /// Everyone, before anything is said: who is shut out cannot connect.
    #[default]
    Everyone,
    /// Only those who have not authenticated when they begin to send mail: everyone may connect,
    /// and who is shut out must authenticate first.
    Anonymous,
}

/// Who may connect.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionControl {
    /// Whether the list names those who may not connect, or the only ones who may. `mode` and
    /// `list` are written together.
    pub mode: Mode,
    /// Addresses, networks, and domains. A client belongs to a domain when its forward-confirmed
    /// name is the domain or below it, which costs a look-up for every connection.
    /// An entry may be a table `{ client = "192.0.2.1", owner = "...", reason = "...", expires = "2027-01-31" }`: behind
    /// its last day, in UTC, it does not match any more.
    #[schemars(extend("examples" = [["10.168.0.0/24", "192.0.2.1", "partner.example"]]))]
    pub list: Vec<ClientEntry>,
    /// Whom the list is applied to.
    pub applies_to: AppliesTo,
}

impl Default for ConnectionControl {
    fn default() -> ConnectionControl {
        ConnectionControl { mode: Mode::AllExcept, list: Vec::new(), applies_to: AppliesTo::Everyone }
    }
}

/// What a virtual server is there for (the roles of source S3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Role {
    /// It takes mail from the Internet and from devices, and relays for those who may.
    SmtpGateway,
    /// It holds mailboxes: servers of the organization speak to it, and nobody else.
    Mailbox,
    /// It stands in front of mailbox servers for people with a browser or a telephone.
    FrontEnd,
    /// It is the only server there is.
    AllInOne,
}

/// Which accounts may send mail at all.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Submit {
    /// The accounts and groups that may submit: `account:` or `group:` and a name, or a table with `who`, `owner`,
    /// `reason` and `expires`. Absent: every account. An empty list is nobody: no mail by user name and password,
    /// while servers of the organization, which have rights of their own, go on talking.
    #[schemars(extend("examples" = [["group:remote-workers", "account:scanner"]]))]
    pub allow: Option<Vec<HolderEntry>>,
    /// The accounts and groups that may not submit, whatever else is said. As `allow`.
    #[schemars(extend("examples" = [["group:leavers"]]))]
    pub deny: Vec<HolderEntry>,
}

/// What becomes of mail that uses an address of somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum SenderAction {
    /// It is refused.
    Refuse,
    /// It is taken, and the header field X-Bridgehead-Auth says what was found.
    Mark,
    /// Nothing.
    Off,
}

/// As whom clients may send. An account owns the addresses that its directory says are its own, and those that
/// `send_as` of the organization lends it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SendAs {
    /// What becomes of mail of an account whose reverse-path is not its own.
    pub envelope: SenderAction,
    /// What becomes of mail of an account whose From is not its own, or cannot be read in one way only.
    pub from: SenderAction,
    /// The same for Sender.
    pub sender: SenderAction,
    /// The same for Resent-From.
    pub resent_from: SenderAction,
    /// What becomes of mail of an account with an address outside the organization, in any of these places. It
    /// can say less than they do, never more.
    pub outside: SenderAction,
    /// What becomes of mail of an account with the null reverse-path, `<>`, as programs write it that answer for
    /// people.
    pub null_sender: SenderAction,
    /// What becomes of mail of clients that have not authenticated with an address inside the organization in any
    /// of these places.
    pub anonymous: SenderAction,
    /// Whether `alice+shop@corp.example` belongs to whoever owns `alice@corp.example`.
    pub sub_addresses: bool,
}

impl Default for SendAs {
    fn default() -> SendAs {
        SendAs {
            envelope: SenderAction::Refuse,
            from: SenderAction::Refuse,
            sender: SenderAction::Refuse,
            resent_from: SenderAction::Refuse,
            outside: SenderAction::Off,
            null_sender: SenderAction::Off,
            anonymous: SenderAction::Mark,
            sub_addresses: true,
        }
    }
}

/// Who may send mail to recipients outside the organization.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Relay {
    /// Whether the list names those who may not relay, or the only ones who may. `mode` and `list`
    /// are written together.
    pub mode: Mode,
    /// Addresses, networks, and domains, as in connection control.
    #[schemars(extend("examples" = [["10.0.0.0/8"]]))]
    pub list: Vec<ClientEntry>,
    /// Whether every account that may submit may relay, whatever the list says; only those of `deny` may not.
    pub authenticated: bool,
    /// The accounts and groups that may relay: `account:` or `group:` and a name, or a table with `who`, `owner`,
    /// `reason` and `expires`.
    #[schemars(extend("examples" = [["group:remote-workers"]]))]
    pub allow: Vec<HolderEntry>,
    /// The accounts and groups that may not relay, whatever else is said. As `allow`.
    #[schemars(extend("examples" = [["account:guest"]]))]
    pub deny: Vec<HolderEntry>,
    /// Needed when everyone in the Internet could relay through this virtual server:
    /// `"i-know-this-is-an-open-relay"`.
    #[schemars(example = "i-know-this-is-an-open-relay")]
    pub open_relay: Option<String>,
}

impl Default for Relay {
    fn default() -> Relay {
        Relay {
            mode: Mode::Only,
            list: Vec::new(),
            authenticated: false,
            allow: Vec::new(),
            deny: Vec::new(),
            open_relay: None,
        }
    }
}

/// How much of everything. What is too much is refused, and the reply says so.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The largest message, in octets as it is transferred. `"unlimited"` is possible.
    pub message_size: Size,
    /// All messages of one session together. `"unlimited"` is possible.
    pub session_size: Size,
    /// Recipients of one message. RFC 5321 wants at least 100.
    #[schemars(range(min = 1, max = 1000000))]
    pub recipients_per_message: u32,
    /// Sessions at one time. `"unlimited"` is possible.
    pub connections: Count,
    /// Sessions at one time from one address. `"unlimited"` is possible.
    pub connections_per_address: Count,
    /// Sessions at one time from one network: the /24 of an IPv4 address, the /64 of an IPv6 one.
    /// `"unlimited"` is possible. Absent: five times `connections_per_address`.
    #[schemars(example = 500)]
    pub connections_per_network: Option<Count>,
    /// Received fields a message may have; one more, and it goes in circles.
    #[schemars(range(min = 1, max = 1000))]
    pub hop_count: u32,
    /// How long a session may be silent when nothing is under way.
    pub idle_timeout: DurationText,
    /// How long a session may be silent between two commands of a transaction or two steps of an
    /// exchange.
    pub command_timeout: DurationText,
    /// How long one command line may take from its first octet to its end, however its octets are
    /// spread, and a TLS handshake from its beginning to its end.
    pub command_time: DurationText,
    /// How long a session may be silent in the middle of a message.
    pub data_timeout: DurationText,
    /// Octets a second that a client must send of a message, and take of our replies, at the least.
    /// `0`: as slowly as it likes.
    #[schemars(range(min = 0, max = 1000000))]
    pub min_octets_per_s: u32,
    /// How long a client may be slower than `min_octets_per_s`, in all of one message.
    pub min_rate_after: DurationText,
    /// How long a session may last.
    pub session_time: DurationText,
    /// How long a client may stay that is let in only to authenticate, until it has
    /// (`connection_control.applies_to = "anonymous"`).
    pub door_time: DurationText,
    /// How many commands such a client may say until then.
    #[schemars(range(min = 5, max = 1000000))]
    pub door_commands: u32,
    /// Errors in one session before it is ended.
    #[schemars(range(min = 1, max = 1000000))]
    pub errors: u32,
    /// The longest command line, in octets.
    pub command_line: Size,
    /// The longest line of a message, in octets.
    pub text_line: Size,
    /// The largest header of a message, in octets.
    pub header_size: Size,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            message_size: Size::new("25 MiB"),
            session_size: Size::new(Count::UNLIMITED),
            recipients_per_message: 100,
            connections: Count::AtMost(2000),
            connections_per_address: Count::AtMost(100),
            connections_per_network: None,
            hop_count: 30,
            idle_timeout: DurationText::new("10 min"),
            command_timeout: DurationText::new("5 min"),
            command_time: DurationText::new("60 s"),
            data_timeout: DurationText::new("5 min"),
            min_octets_per_s: 1000,
            min_rate_after: DurationText::new("30 s"),
            session_time: DurationText::new("30 min"),
            door_time: DurationText::new("30 s"),
            door_commands: 20,
            errors: 20,
            command_line: Size::new("2 KiB"),
            text_line: Size::new("1 MiB"),
            header_size: Size::new("256 KiB"),
        }
    }
}

/// What becomes of a message with a line end other than CR LF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum BareNewline {
    /// It is refused.
    #[default]
    Reject,
    /// Every line end is made CR LF. Only for clients that are known and cannot be mended.
    Normalise,
}

/// What becomes of a client that goes on talking where it must wait for the reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum EarlyTalk {
    /// It is counted.
    #[default]
    Count,
    /// The session is ended.
    Close,
}

/// What is offered to clients, and how strictly the protocol is taken.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Protocol {
    /// What becomes of a message with a line end other than CR LF.
    pub bare_newline: BareNewline,
    /// What becomes of a client that goes on talking where it must wait for the reply.
    pub pipelining_violation: EarlyTalk,
    /// The reply code to a client that must authenticate first: 530, or 454 for clients that give
    /// up for good at 530.
    #[schemars(extend("enum" = [530, 454]))]
    pub client_not_authenticated_code: u16,
    /// Whether PIPELINING is offered (RFC 2920).
    pub pipelining: bool,
    /// Whether 8BITMIME is offered (RFC 6152).
    #[serde(rename = "8bitmime")]
    pub eight_bit: bool,
    /// Whether CHUNKING is offered (RFC 3030).
    pub chunking: bool,
    /// Whether BINARYMIME is offered (RFC 3030); it needs CHUNKING.
    pub binarymime: bool,
    /// Whether DSN is offered (RFC 3461).
    pub dsn: bool,
    /// Whether SMTPUTF8 is offered (RFC 6531); it needs 8BITMIME.
    pub smtputf8: bool,
    /// Whether LIMITS is offered (RFC 9422).
    pub limits: bool,
}

impl Default for Protocol {
    fn default() -> Protocol {
        Protocol {
            bare_newline: BareNewline::Reject,
            pipelining_violation: EarlyTalk::Count,
            client_not_authenticated_code: 530,
            pipelining: true,
            eight_bit: true,
            chunking: true,
            binarymime: true,
            dsn: true,
            smtputf8: true,
            limits: true,
        }
    }
}

/// Whether clients may or must use TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum TlsMode {
    /// There is no TLS, not even with certificates.
    Off,
    /// STARTTLS is offered when there are certificates (RFC 3207).
    #[default]
    Offered,
    /// A client must begin TLS before it may do anything else: `530 5.7.0`. A server that takes mail
    /// from the Internet at port 25 must not insist on it (RFC 3207, section 4).
    Required,
}

/// The oldest version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum TlsVersion {
    /// TLS 1.2, with forward secrecy and authenticated encryption only.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    Tls13,
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum ClientCertificates {
    /// They are not.
    #[default]
    Off,
    /// They are. Who has none is let in without; with one that `client_authorities` do not vouch for,
    /// or that has expired, the handshake fails.
    Asked,
}

/// A certificate and its key.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "certificate and its key")]
pub struct CertificateFiles {
    /// A PEM file with the certificate and those that vouch for it.
    pub certificate: Option<PathText>,
    /// A PEM file with its private key.
    pub key: Option<PathText>,
}

/// TLS towards the clients of this virtual server.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Whether clients may or must use TLS.
    pub mode: TlsMode,
    /// The oldest version of TLS that is spoken.
    pub min_version: TlsVersion,
    /// The certificates: of each a PEM file `certificate`, with those that vouch for it behind it, and a
    /// PEM file `key`. A client is shown the one that has the name it asks for (SNI), or else the
    /// first. Files that change are taken up while running. Empty: no TLS.
    #[schemars(extend("examples" = [[{ "certificate": "/etc/bridgehead/mx1.pem", "key": "/etc/bridgehead/mx1.key" }]]))]
    pub certificates: Vec<CertificateFiles>,
    /// Whether clients are asked for a certificate.
    pub client_certificates: ClientCertificates,
    /// A PEM file with the authorities that vouch for certificates of clients.
    #[schemars(example = "/etc/bridgehead/clients.pem")]
    pub client_authorities: Option<PathText>,
}

/// When TLS is used towards the next server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum OutboundTls {
    /// When the server offers it.
    #[default]
    Opportunistic,
    /// Not even when the server offers it.
    Never,
    /// Always; mail is not sent to a server that does not offer it.
    Required,
}

/// How mail that this virtual server accepted leaves again.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerDelivery {
    /// The servers that take mail for recipients outside the organization. An address stands in
    /// brackets and is connected to without any look-up; a name is looked up. A port may follow.
    #[schemars(extend("examples" = [["[10.0.0.20]", "[IPv6:2001:db8::20]", "[10.0.0.21]:2525", "relay.example.net"]]))]
    pub smart_hosts: Option<Hosts>,
    /// Whether mail is spread over the smart hosts. Otherwise a later one is tried only when those
    /// before it cannot be reached.
    pub spread: bool,
    /// Where mail for the organization is put when `organization.route` is absent. It is one
    /// directory for all virtual servers, so all that name one name the same. Absent: `drop` in
    /// `state_dir`.
    #[schemars(example = "/var/lib/bridgehead/drop")]
    pub drop_directory: Option<PathText>,
    /// The address that outgoing connections come from. Absent: the operating system chooses.
    #[schemars(example = "10.0.0.1")]
    pub source_address: Option<AddressText>,
    /// When TLS is used towards the next server.
    pub tls: OutboundTls,
    /// What we call ourselves in EHLO. Absent: the `hostname` of the virtual server.
    #[schemars(example = "out.corp.example")]
    pub hello_name: Option<DomainText>,
    /// The domain that stands in the reverse-path of mail that leaves the organization, instead of the organization's
    /// own. Mail of others, which is only passed on, keeps its reverse-path, and no header is changed. Reports about
    /// such mail come to this domain, so it should be one of `alias_domains`. Absent: nothing is replaced.
    #[schemars(example = "corp.example")]
    pub masquerade_domain: Option<DomainText>,
    /// Whether PIPELINING is used when the next server offers it.
    pub pipelining: bool,
    /// Whether CHUNKING is used when the next server offers it.
    pub chunking: bool,
}

impl Default for ServerDelivery {
    fn default() -> ServerDelivery {
        ServerDelivery {
            smart_hosts: None,
            spread: false,
            drop_directory: None,
            source_address: None,
            tls: OutboundTls::Opportunistic,
            hello_name: None,
            masquerade_domain: None,
            pipelining: true,
            chunking: true,
        }
    }
}

//! What one virtual server wants of its sessions. Every limit has its unit in its name.

use super::door::Door;
use crate::extensions::Offers;
use mail::Domain;
use std::time::Duration;

/// What to do with a bare CR or LF in the content of a message (conformance rows 1 and 2). Either
/// way only CR LF `.` CR LF ends DATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BareNewline {
    /// Read on to the true end, say 554 5.6.0, keep nothing, close.
    #[default]
    Reject,
    /// Store CR LF in its place. For devices inside that cannot be taught.
    Normalise,
}

/// What to do with a client that speaks before the reply to a command that must be the last of its
/// group (RFC 2920 §3.1; conformance row 11). Talking behind DATA or STARTTLS always ends the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EarlyTalk {
    /// Note it and go on.
    #[default]
    Count,
    /// 554 5.5.1, then close.
    Close,
}

/// What a session offers and how much it bears. Made once per virtual server, shared by its sessions.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name in the greeting and in the answers to EHLO and HELO.
    pub hostname: Domain,
    /// What is appended to a path that has no domain, `<postmaster>` included.
    pub default_domain: Domain,
    /// Which extensions are shown and honoured.
    pub offers: Offers,
    /// The SASL mechanisms offered without TLS, in the order in which they are shown. When this and
    /// [`mechanisms_when_secured`](Settings::mechanisms_when_secured) are empty, AUTH does not exist.
    pub mechanisms: Vec<Box<str>>,
    /// All SASL mechanisms offered under TLS, in their order. Those that are only here are not shown in the
    /// clear, and naming one there is 538 5.7.11 (L13).
    pub mechanisms_when_secured: Vec<Box<str>>,
    /// 530 5.7.0 to everything but EHLO, HELO, NOOP, RSET, QUIT, HELP and STARTTLS until TLS is on.
    pub tls_required: bool,
    /// The largest message, in octets of content; `None` for no limit.
    pub message_size_bytes: Option<u64>,
    /// The most octets of content one session may bring; `None` for no limit.
    pub session_size_bytes: Option<u64>,
    /// How many recipients a transaction may have.
    pub recipients_per_message: usize,
    /// The longest command line, its CR LF included. RFC 5321 §4.5.3.1.4 asks for 512; parameters add
    /// to it. AUTH has its own limit, [`AUTH_LINE_OCTETS`](crate::sasl::AUTH_LINE_OCTETS).
    pub command_line_octets: usize,
    /// The longest line of content, without its CR LF. Longer lines are refused, never cut.
    pub text_line_octets: usize,
    /// The largest header section of a message.
    pub header_size_bytes: usize,
    /// What to do with bare CR and LF in content.
    pub bare_newline: BareNewline,
    /// What to do with clients that do not wait for their reply.
    pub early_talk: EarlyTalk,
    /// The error that reaches this count is answered 421 4.7.0 and ends the session.
    pub errors_limit: u32,
    /// The failed attempt to authenticate that reaches this count is answered 421 4.7.0 and ends the
    /// session.
    pub failures_limit: u32,
    /// What a client may have that must authenticate and has not.
    pub door: Door,
    /// How long a refused AUTH waits for its reply; a delay against guessing.
    pub failed_auth_delay: Duration,
    /// How long to wait for a command when nothing is under way.
    pub idle_limit: Duration,
    /// How long to wait for a command when an AUTH exchange or a transaction is half done.
    pub command_limit: Duration,
    /// How long a command line may take from its first octet to its end; a TLS handshake, too.
    pub line_limit: Duration,
    /// How long to wait for more content.
    pub data_limit: Duration,
}

impl Settings {
    /// The defaults of the reference: everything offered that needs no key, 2,048 KiB a message,
    /// 10,240 KiB a session, 100 recipients, ten minutes of idleness.
    #[must_use]
    pub fn new(hostname: Domain) -> Settings {
        Settings {
            default_domain: hostname.clone(),
            hostname,
            offers: Offers::default(),
            mechanisms: Vec::new(),
            mechanisms_when_secured: Vec::new(),
            tls_required: false,
            message_size_bytes: Some(2048 * 1024),
            session_size_bytes: Some(10_240 * 1024),
            recipients_per_message: 100,
            command_line_octets: 2048,
            text_line_octets: 1024 * 1024,
            header_size_bytes: 256 * 1024,
            bare_newline: BareNewline::Reject,
            early_talk: EarlyTalk::Count,
            errors_limit: 20,
            failures_limit: 10,
            door: Door::default(),
            failed_auth_delay: Duration::from_secs(2),
            idle_limit: Duration::from_secs(600),
            // RFC 5321 §4.5.3.2.7: a server waits at least five minutes for the next command.
            command_limit: Duration::from_secs(300),
            line_limit: Duration::from_secs(60),
            data_limit: Duration::from_secs(300),
        }
    }

    /// Whether AUTH exists on this server, with TLS or without.
    #[must_use]
    pub fn has_auth(&self) -> bool {
        !self.mechanisms.is_empty() || !self.mechanisms_when_secured.is_empty()
    }
}

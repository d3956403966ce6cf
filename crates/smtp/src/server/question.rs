//! What a session says to whoever drives it, and what it is told.

use crate::claims::Claims;
use crate::envelope::{Recipient, Sender};
use mail::{Host, Identity, Reply};
use std::fmt;
use std::time::Duration;

/// The next thing to happen.
#[derive(Debug)]
pub enum Output<'a> {
    /// Nothing, until more bytes or an answer arrive.
    Wait,
    /// Say this. Replies of one round may be gathered and written together.
    Reply(Reply),
    /// Decide this, then call [`answer`](super::Session::answer).
    Ask(Question<'a>),
    /// Content of the message, as it must be stored: dots removed, lines ended by CR LF.
    Body(&'a [u8]),
    /// The content given out so far belongs to no message: forget it.
    Abandon,
    /// A fact for counters and the log.
    Note(Note),
    /// A peer said where its next message came from, for the log (XFORWARD).
    Forwarded(Box<Claims>),
    /// Perform the TLS handshake, then call [`secured`](super::Session::secured). All replies before
    /// it have been given out; they must be written first.
    Secure,
    /// Wait this long before performing the next output.
    Pause(Duration),
    /// Write what was said and close. The session is over.
    Close,
}

/// What the session cannot decide.
#[derive(Debug)]
pub enum Question<'a> {
    /// May this client be here at all? Asked before the greeting.
    Connection,
    /// One step of AUTH.
    Credentials(Exchange<'a>),
    /// MAIL: may this client send in this name?
    Sender(&'a Sender),
    /// RCPT: is this recipient taken?
    Recipient(&'a Recipient),
    /// The content is complete: keep it, or say why not.
    Message(Transaction),
    /// XCLIENT: the session goes on as that client's. Judged as [`Question::Connection`] is.
    Claims(&'a Claims),
}

/// What was decided.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    /// Yes: the session makes its standard reply.
    Proceed,
    /// For Connection: proceed, but the client may do nothing but authenticate until it has, or until a Sender of
    /// its is answered with [`Proceed`](Answer::Proceed).
    MustAuthenticate,
    /// For Credentials: send this challenge.
    Challenge(Vec<u8>),
    /// For Credentials: this is who it is. For Connection: proceed, and it is known who this is.
    Known(Identity),
    /// For Credentials: this is who it is, a server of the organization, by its name.
    Peer(Box<str>, Trust),
    /// Say this and go on. For Message: the transaction ends. For Connection: say this and close.
    Refuse(Reply),
    /// Say this and close.
    Dismiss(Reply),
    /// For Message: it is kept, under this identifier.
    Taken(Box<str>),
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Proceed => f.write_str("Proceed"),
            Answer::MustAuthenticate => f.write_str("MustAuthenticate"),
            Answer::Challenge(_) => f.write_str("Challenge(…)"),
            Answer::Known(identity) => f.debug_tuple("Known").field(identity).finish(),
            Answer::Peer(name, trust) => f.debug_tuple("Peer").field(name).field(trust).finish(),
            Answer::Refuse(reply) => f.debug_tuple("Refuse").field(reply).finish(),
            Answer::Dismiss(reply) => f.debug_tuple("Dismiss").field(reply).finish(),
            Answer::Taken(id) => f.debug_tuple("Taken").field(id).finish(),
        }
    }
}

/// What a client may claim about others. Nobody but a peer may anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// For whom it speaks (XCLIENT).
    pub xclient: bool,
    /// Where its messages came from (XFORWARD).
    pub xforward: bool,
}

/// One step of a SASL exchange, as the client put it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Exchange<'a> {
    /// The mechanism, spelt as the settings spell it.
    pub mechanism: &'a str,
    /// Whether this is the first step: whatever came before belongs to an exchange that is over.
    pub begins: bool,
    /// What the client sent, decoded. `None`: AUTH came without an initial response.
    pub response: Option<&'a [u8]>,
}

impl fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A response is a secret, and so is its length.
        let response = if self.response.is_some() { "…" } else { "none" };
        write!(f, "Exchange({}, {response})", self.mechanism)
    }
}

/// What the client called itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The name, when it is one: nothing that is not a host gets past here (conformance row 16).
    pub name: Option<Host>,
    /// EHLO, not HELO.
    pub extended: bool,
}

/// What is known about the secured link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// The protocol version, for example `TLSv1.3`.
    pub version: Box<str>,
    /// The cipher suite.
    pub cipher: Box<str>,
    /// The name the client asked for (SNI).
    pub server_name: Option<Box<str>>,
}

/// A complete transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// What MAIL said.
    pub sender: Sender,
    /// The recipients that were accepted; at least one.
    pub recipients: Vec<Recipient>,
    /// How the content came.
    pub framing: Framing,
    /// Octets of content given out as [`Output::Body`].
    pub size: u64,
}

/// How content is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// DATA: dots.
    Data,
    /// BDAT: counted.
    Chunks,
}

/// Something worth counting that the session saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// A message over the limit, by its declaration or in fact.
    TooBig {
        /// Refused at MAIL, by what SIZE said.
        declared: bool,
    },
    /// A header section over the limit.
    HeaderTooBig,
    /// One recipient too many for a transaction.
    TooManyRecipients,
    /// A bare CR or LF, in a command or in content.
    BareNewline,
    /// The client did not wait for its reply.
    EarlyTalk,
    /// A command line or a line of content over the limit.
    LineTooLong,
    /// A verb nobody knows.
    UnknownCommand,
    /// A verb of another system's servers: X-EXPS, XEXCH50, X-LINK2STATE, XCLIENT.
    ForeignVerb,
    /// A command that does not follow its grammar.
    SyntaxError,
    /// A command out of order.
    BadSequence,
    /// The limit of errors was reached.
    TooManyErrors,
    /// The limit of failed attempts to authenticate was reached.
    TooManyFailures,
    /// The limit of octets per session was reached.
    SessionSizeReached,
    /// A NUL, in a command or in content that is not binary.
    NulOctet,
    /// AUTH where none is offered.
    AuthNotOffered,
    /// A mechanism that is not offered was named.
    UnknownMechanism,
    /// A client tried without TLS what needs TLS.
    TlsNeeded,
    /// The client was silent for too long.
    Expired,
    /// The client was slower than the least rate.
    TooSlow,
    /// A client that must authenticate asked for something else.
    MustAuthenticate,
    /// A client that must authenticate said too many other things.
    TooManyCommands,
}

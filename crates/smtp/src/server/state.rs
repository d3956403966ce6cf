//! The states of a session. Each carries what exists in it and nothing else: a transaction is only
//! where there is one, so a command out of order has no place to put what it brings.

use super::question::{Framing, Transaction};
use crate::body::{Chunks, Data, Fault};
use crate::claims::Claims;
use crate::envelope::{Recipient, Sender};
use mail::Reply;

/// What the session waits for.
#[derive(Debug)]
pub(super) enum State {
    /// The Connection question is yet to be put.
    Connecting,
    /// Admitted; the greeting is yet to be said.
    Greeting,
    /// A command; no transaction is open.
    Ready,
    /// A line that answers a challenge.
    Challenged(Progress),
    /// A command; a sender is accepted, recipients may follow.
    Mail(Transaction),
    /// The content behind DATA.
    Content(Transaction, Data),
    /// The end of content that is lost.
    Lost(Data, Fault),
    /// A command, between two chunks.
    BetweenChunks(Transaction, Chunks),
    /// The octets of a chunk.
    Chunk(Transaction, Chunks),
    /// A command; a chunk was refused, and so will the others be.
    Spoiled,
    /// The end of a chunk that is not wanted.
    Dropping(Box<Unwanted>),
    /// The answer to a question.
    Asking(Asking),
    /// The moment to hand over to TLS; then the end of the handshake.
    Securing { asked: bool },
    /// Nothing: it is over.
    Closed,
}

/// An AUTH exchange that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) mechanism: Mechanism,
    /// How many challenges were sent.
    pub(super) round: u32,
}

/// What the client sent in one step of an exchange.
pub(super) struct Secret(pub(super) Option<Vec<u8>>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// The place of a mechanism in the settings.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mechanism {
    InTheClear(usize),
    WhenSecured(usize),
}

/// A chunk whose octets are read and dropped, because they are not commands whatever else they are.
#[derive(Debug)]
pub(super) struct Unwanted {
    pub(super) left: u64,
    /// Said at the end of the chunk.
    pub(super) reply: Reply,
    pub(super) then: State,
}

/// A question that is out, with what its answer decides about.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) about: About,
    /// Whether the question has been given to the driver.
    pub(super) put: bool,
}

#[derive(Debug)]
pub(super) enum About {
    Connection,
    Credentials(Progress, Secret),
    Sender(Transaction),
    Recipient(Transaction, Recipient),
    Claims(Box<Claims>),
    /// Gone once the question is put: the transaction is the driver's then.
    Message(Option<Transaction>),
}

impl State {
    pub(super) fn asking(about: About) -> State {
        State::Asking(Asking { about, put: false })
    }

    /// Whether content was given out that belongs to no message yet.
    pub(super) fn has_content(&self) -> bool {
        match self {
            State::Content(..) | State::BetweenChunks(..) | State::Chunk(..) => true,
            State::Dropping(unwanted) => unwanted.then.has_content(),
            _ => false,
        }
    }

    pub(super) fn in_body(&self) -> bool {
        matches!(self, State::Content(..) | State::Lost(..) | State::Chunk(..) | State::Dropping(_))
    }

    pub(super) fn in_transaction(&self) -> bool {
        match self {
            State::Mail(_) | State::BetweenChunks(..) | State::Spoiled => true,
            State::Content(..) | State::Lost(..) | State::Chunk(..) => true,
            State::Dropping(unwanted) => unwanted.then.in_transaction(),
            State::Asking(asking) => {
                matches!(asking.about, About::Sender(_) | About::Recipient(..) | About::Message(_))
            }
            _ => false,
        }
    }
}

impl Transaction {
    pub(super) fn new(sender: Sender) -> Transaction {
        Transaction { sender, recipients: Vec::new(), framing: Framing::Data, size: 0 }
    }
}

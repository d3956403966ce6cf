//! The receiving side of a conversation.

mod question;
mod settings;

pub use crate::extensions::Offers;
pub use question::{
    Answer, Body, Exchange, Framing, Hello, Note, Notify, Original, Output, Question, Recipient, Ret, Sender, TlsFacts,
    Transaction,
};
pub use settings::{BareNewline, EarlyTalk, Settings};

use mail::Identity;
use std::sync::Arc;
use std::time::Duration;

/// One conversation.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    identity: Identity,
}

impl Session {
    /// A session that has not been greeted yet.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Session {
        Session { settings, identity: Identity::Anonymous }
    }

    /// Looks at the unread bytes.
    pub fn poll<'a>(&'a mut self, _input: &'a [u8]) -> (usize, Output<'a>) {
        (0, Output::Wait)
    }

    /// Gives the decision that was asked for.
    pub fn answer(&mut self, _answer: Answer) {}

    /// The handshake is done.
    pub fn secured(&mut self, _tls: TlsFacts) {}

    /// Patience is over.
    pub fn expired(&mut self) {}

    /// The service is stopping.
    pub fn shut(&mut self) {}

    /// How long to wait for input now.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.settings.idle_limit
    }

    /// Whether a transaction is open.
    #[must_use]
    pub fn in_transaction(&self) -> bool {
        false
    }

    /// Whether content is being received.
    #[must_use]
    pub fn in_body(&self) -> bool {
        false
    }

    /// What the client called itself.
    #[must_use]
    pub fn hello(&self) -> Option<&Hello> {
        None
    }

    /// Who the client has proved to be.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What is known about the secured link.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsFacts> {
        None
    }
}

//! What the client is given to send: the envelope and the facts about the content. The content
//! itself never passes through the client.

use crate::envelope::{Notify, Original, Ret};
use mail::{Mailbox, ReversePath};

/// What the content needs of the hop that is to take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ContentFacts {
    /// Some octet is not ASCII.
    pub eight_bit: bool,
    /// It was sent as BINARYMIME: it has no lines.
    pub binary: bool,
    /// Some line begins with a dot.
    pub dots: bool,
    /// Some line is longer than 998 octets.
    pub long_lines: bool,
    /// The header has octets that are not ASCII (RFC 6532).
    pub utf8_headers: bool,
}

/// One recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailRecipient {
    /// Where it goes.
    pub forward_path: Mailbox,
    /// What the sender wants to be told; told to the peer if it offers DSN.
    pub notify: Option<Notify>,
    /// What the sender had called it; told to the peer if it offers DSN.
    pub original: Option<Original>,
}

/// One transaction's worth of mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Who it is from.
    pub reverse_path: ReversePath,
    /// Whom it is for. None at all is allowed and sends nothing.
    pub recipients: Vec<MailRecipient>,
    /// Octets of content, as [`Encoding::Chunk`](super::Encoding::Chunk) carries them.
    pub size: u64,
    /// What the content needs.
    pub content: ContentFacts,
    /// Whether it was submitted with SMTPUTF8.
    pub smtputf8: bool,
    /// How much a report returns; told to the peer if it offers DSN.
    pub ret: Option<Ret>,
    /// The envelope identifier, decoded; told to the peer if it offers DSN.
    pub envid: Option<Box<str>>,
}

impl Mail {
    /// Whether the next hop must know SMTPUTF8 (RFC 6531 §3.1): it was asked for, or an address or
    /// the header has characters outside ASCII.
    #[must_use]
    pub fn needs_smtputf8(&self) -> bool {
        let ascii = self.reverse_path.mailbox().is_none_or(mail::Mailbox::is_ascii)
            && self.recipients.iter().all(|r| r.forward_path.is_ascii());
        self.smtputf8 || self.content.utf8_headers || !ascii
    }
}

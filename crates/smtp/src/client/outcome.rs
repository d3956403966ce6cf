//! What became of a transaction, recipient by recipient, in the words of whoever decided it.

use crate::reply::{Heard, Severity};
use mail::{Class, EnhancedStatus};
use std::fmt;

/// What was said about a recipient, or about the connection, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The reply code.
    pub code: u16,
    /// The enhanced status; `x.0.0` where the peer gave none.
    pub status: EnhancedStatus,
    /// One printable line, without code and status.
    pub text: Box<str>,
    /// Said by us (connection lost, time over, extension missing), not by the peer.
    pub local: bool,
}

impl Response {
    /// What the peer said. Only for replies that are no 3yz.
    pub(super) fn heard(heard: Heard, text: &str) -> Response {
        let class = match heard.severity() {
            Severity::Done | Severity::More => Class::Success,
            Severity::Later => Class::Transient,
            Severity::Never => Class::Permanent,
        };
        let status = heard.status.unwrap_or(EnhancedStatus::new(class, 0, 0));
        Response { code: heard.code, status, text: text.into(), local: false }
    }

    /// Our own words for "not now".
    pub(super) fn later(code: u16, subject: u16, detail: u16, text: impl Into<Box<str>>) -> Response {
        let status = EnhancedStatus::new(Class::Transient, subject, detail);
        Response { code, status, text: text.into(), local: true }
    }

    /// Our own words for "not to this hop".
    pub(super) fn never(code: u16, subject: u16, detail: u16, text: impl Into<Box<str>>) -> Response {
        let status = EnhancedStatus::new(Class::Permanent, subject, detail);
        Response { code, status, text: text.into(), local: true }
    }

    /// Whether the peer took as many recipients as it wants in one transaction (RFC 5321
    /// §4.5.3.1.10): the others may be tried at once, in another one.
    #[must_use]
    pub fn is_too_many_recipients(&self) -> bool {
        matches!(self.code, 452 | 552) && matches!((self.status.subject, self.status.detail), (0, 0) | (5, 3))
    }
}

impl fmt::Display for Response {
    /// As a reply line without its end: `550 5.1.1 no such user`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.status)?;
        if self.text.is_empty() { Ok(()) } else { write!(f, " {}", self.text) }
    }
}

/// What became of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The peer has taken the message for this recipient: it said 2yz after the whole content.
    Delivered(Response),
    /// Not now.
    Deferred(Response),
    /// Never, by this route.
    Failed(Response),
}

impl Verdict {
    /// What was said.
    #[must_use]
    pub fn response(&self) -> &Response {
        match self {
            Verdict::Delivered(response) | Verdict::Deferred(response) | Verdict::Failed(response) => response,
        }
    }

    /// The verdict that a refusal amounts to, by its class; never a delivery.
    pub(super) fn refusal(response: Response) -> Verdict {
        if response.status.class == Class::Permanent { Verdict::Failed(response) } else { Verdict::Deferred(response) }
    }
}

/// A transaction that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// One verdict for each recipient, in the order of the mail.
    pub recipients: Vec<Verdict>,
    /// The connection may carry another transaction: the next output is `Ready`. Otherwise it is `Close`.
    pub usable: bool,
    /// The connection had carried a transaction before and died before the peer answered anything
    /// of this one, as idle connections do: a fresh connection may be tried at once.
    pub stale: bool,
}

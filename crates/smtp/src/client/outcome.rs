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
    /// Said in answer to RCPT.
    pub to_rcpt: bool,
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
        Response { code: heard.code, status, text: text.into(), local: false, to_rcpt: false }
    }

    /// Our own words for "not now".
    pub(super) fn later(code: u16, subject: u16, detail: u16, text: impl Into<Box<str>>) -> Response {
        let status = EnhancedStatus::new(Class::Transient, subject, detail);
        Response { code, status, text: text.into(), local: true, to_rcpt: false }
    }

    /// Our own words for "not to this hop".
    pub(super) fn never(code: u16, subject: u16, detail: u16, text: impl Into<Box<str>>) -> Response {
        let status = EnhancedStatus::new(Class::Permanent, subject, detail);
        Response { code, status, text: text.into(), local: true, to_rcpt: false }
    }

    /// Whether the peer took as many recipients as it wants in one transaction (RFC 5321
    /// §4.5.3.1.10): the others may be tried at once, in another one.
    #[must_use]
    pub fn is_too_many_recipients(&self) -> bool {
        matches!(self.code, 452 | 552) && matches!((self.status.subject, self.status.detail), (0, 0) | (5, 3))
    }

    /// Whether the peer wants no mail for this recipient: it does not know the address, or not any more. What it has
    /// against us, our sender or the message is another matter, even if it says so at RCPT, as many do.
    #[must_use]
    pub fn refuses_recipient(&self) -> bool {
        if !self.to_rcpt || self.status.class != Class::Permanent {
            return false;
        }
        match (self.status.subject, self.status.detail) {
            // RFC 3463 §3.2 and, for a domain that takes no mail, RFC 7505 §4.2; 5.1.7 and 5.1.8 are about senders.
            (1, detail) => !matches!(detail, 7 | 8),
            // The mailbox is closed (RFC 3463 §3.3); a full one is there.
            (2, detail) => detail == 1,
            // Two large providers say these of an address that does not exist.
            (5, 0) | (4, 1) => self.code == 550,
            // Nothing said beside the code can mean us as well (RFC 5321 §4.2.3): a hop that wants nothing of ours must
            // not get everybody here suspended.
            _ => false,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: u16, (subject, detail): (u16, u16)) -> Response {
        let heard = Heard { code, status: Some(EnhancedStatus::new(Class::Permanent, subject, detail)) };
        Response { to_rcpt: true, ..Response::heard(heard, "no") }
    }

    #[test]
    fn what_is_said_of_a_recipient_is_told_from_what_is_said_of_others() {
        let of_recipients = [
            (550, (1, 1)),
            (550, (1, 0)),
            (553, (1, 3)),
            (551, (1, 6)),
            (556, (1, 10)),
            (550, (2, 1)),
            (550, (5, 0)),
            (550, (4, 1)),
        ];
        for (code, status) in of_recipients {
            let response = said(code, status);
            assert!(response.refuses_recipient(), "{response}");
            assert!(!Response { to_rcpt: false, ..response }.refuses_recipient(), "of the message: {code}");
        }
        let of_others = [
            // Our address is on a block list; we may not relay there; our sender has no domain; the mailbox is full.
            (550, (7, 1)),
            (554, (7, 1)),
            (550, (0, 0)),
            (553, (0, 0)),
            (554, (0, 0)),
            (553, (1, 8)),
            (550, (1, 7)),
            (552, (2, 2)),
            (552, (0, 0)),
            (503, (5, 1)),
            (500, (5, 0)),
            (556, (4, 1)),
        ];
        for (code, status) in of_others {
            let response = said(code, status);
            assert!(!response.refuses_recipient(), "{response}");
        }
        assert!(!Response::never(553, 1, 1, "our own words").refuses_recipient());
        let later = Heard { code: 450, status: Some(EnhancedStatus::new(Class::Transient, 1, 1)) };
        assert!(!Response { to_rcpt: true, ..Response::heard(later, "later") }.refuses_recipient());
    }
}

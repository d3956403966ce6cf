//! Worlds that are broken on purpose, to prove that the oracles can fail.
//!
//! The product stays as it is. What surrounds it is broken in the way in which the product would
//! look broken from outside: a disk that forgets is a flush that was left out, a line that changes an
//! octet is a body that was altered.

use crate::net::Alter;

/// Stands in the key of the certificate, and must never be seen anywhere.
pub const KEY: &str = "MARKER-KEY-3f9c";
/// What clients give for a password where none is asked for; must never be seen anywhere.
pub const PASSWORD: &str = "MARKER-PASSWORD-71aa";
/// Stands in the content of messages, and must be seen only where the message goes.
pub const CONTENT: &str = "MARKER-CONTENT-b2d4";

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// A message is promised before it is durable: the disk's flush does nothing.
    FlushSkipped,
    /// One octet of what is sent to a next hop is another.
    BodyAltered,
    /// A client is told 451 although its message was taken.
    RefusedAndTaken,
    /// A client is told 550 for a recipient that was taken.
    RecipientRefusedAndTaken,
    /// Whoever connects is taken for somebody who may relay.
    Disguise,
    /// The end of a message is not remembered.
    EndForgotten,
    /// A line of the log is missing.
    LogLineLost,
    /// A secret stands in the log.
    SecretSaid,
    /// Whoever waits for the disk waits for hours.
    DiskHangs,
    /// A task goes on for ever.
    TaskLeft,
}

impl Plant {
    /// What clients are told instead.
    pub(crate) fn reply(self) -> Option<Alter> {
        match self {
            Plant::RefusedAndTaken => Some(Alter { find: b"250 2.6.0 ", instead: b"451 4.6.0 " }),
            Plant::RecipientRefusedAndTaken => Some(Alter { find: b"250 2.1.5 ", instead: b"550 5.1.5 " }),
            _ => None,
        }
    }

    /// What next hops are sent instead.
    pub(crate) fn content(self) -> Option<Alter> {
        (self == Plant::BodyAltered).then_some(Alter { find: b"\r\nX-Marker: M", instead: b"\r\nX-Marker: N" })
    }
}

//! Connections as the schedule sees them: a number, what they carry, how they end.

use super::Places;
use crate::destination::DestinationId;
use crate::envelope::MessageId;
use mail::Timestamp;

/// A connection, by the number the schedule gave it. Numbers are never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(pub(super) u64);

/// What became of an item that was carried by a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Nothing is left to do for it.
    Done,
    /// Some recipients are to be attempted again.
    Retry {
        /// Which.
        recipients: Places,
        /// When; see [`crate::Retry::next_attempt`].
        at: Timestamp,
    },
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// It was of use, or was ended by us.
    Closed,
    /// It could not be made, was refused, or was lost before any transaction: the destination rests.
    Failed {
        /// Why, in words, for the queue view and for reports.
        error: Box<str>,
    },
    /// It could not be made, or not be used, for want of something on this host: that says nothing about
    /// the destination, which goes on after a moment.
    Postponed {
        /// Why, in words, for the queue view.
        error: Box<str>,
    },
}

/// What is known of an open connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) destination: DestinationId,
    /// Messages it may still take.
    pub(super) room: u32,
    /// Messages it finished.
    pub(super) finished: u32,
    pub(super) carries: Option<MessageId>,
    /// It must take nothing more.
    pub(super) ending: bool,
}

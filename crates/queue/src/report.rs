//! Reports to senders: delivery status notifications (RFC 3461, RFC 3462, RFC 3464, RFC 6533).
//!
//! Pure functions: what is to be reported, how much of the message goes with it, and the report
//! itself, as an envelope with the null reverse-path and the octets of a message. There is never a
//! report about a report: a message from nobody is handed to [`badmail`] by the caller.

pub mod badmail;
mod compose;
mod mime;
pub mod notice;
mod should;
mod words;

#[cfg(test)]
mod tests;

pub use compose::{Case, Returned, Subject, compose};
pub use should::{Extent, extent, should_report, wants};

use mail::{Class, Domain, EnhancedStatus, Mailbox, Timestamp};

/// Given up: its time was over. Of class 4, because what failed was transient and only its
/// persistence ended the attempts (RFC 3463 §2; reference 2).
pub const EXPIRED: EnhancedStatus = EnhancedStatus::new(Class::Transient, 4, 7);
/// Deleted by an administrator (reference 2, 6.4).
pub const DELETED: EnhancedStatus = EnhancedStatus::new(Class::Transient, 3, 2);
/// Passed through too many servers (reference 2).
pub const LOOP: EnhancedStatus = EnhancedStatus::new(Class::Permanent, 4, 6);
/// No way to the destination (reference 2).
pub const NO_ROUTE: EnhancedStatus = EnhancedStatus::new(Class::Permanent, 4, 4);

/// What is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It will not be delivered.
    Failed,
    /// It has not been delivered yet.
    Delayed {
        /// Until when it will be tried.
        retry_until: Timestamp,
    },
    /// It has been handed to a server that does not report (RFC 3461 §5.2.2).
    Relayed,
    /// It is where it should be.
    Delivered,
}

/// What holds for every report of a virtual server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportSettings {
    /// What we are called; the Reporting-MTA.
    pub hostname: Domain,
    /// From whom reports are, for people; their reverse-path is null.
    pub postmaster: Mailbox,
    /// Gets a copy of every report of a failure (reference 1.3, `send_copy_of_ndr_to`).
    pub copies_to: Option<Mailbox>,
    /// A message over this is not returned in full, whatever its sender asked for.
    pub returned_bytes: u64,
}

impl ReportSettings {
    /// Settings with which no copies are sent and up to 50 KiB of a message are returned.
    #[must_use]
    pub fn new(hostname: Domain, postmaster: Mailbox) -> ReportSettings {
        ReportSettings { hostname, postmaster, copies_to: None, returned_bytes: 50 * 1024 }
    }
}

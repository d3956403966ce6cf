//! What was asked of the outside while a question was being judged, and what came back.
//!
//! A rule that needs a look-up says which one; whoever drives it writes the answer into the ledger
//! and asks again. "Could not find out" is an answer of its own, never a no.

use crate::address::{Domain, Mailbox};
use std::net::IpAddr;

/// Something a rule or a route needs to know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Query {
    /// The forward-confirmed names of an address: those of its PTR names whose A or AAAA records
    /// name the address again.
    ConfirmedNames(IpAddr),
    /// The addresses of a name: A and AAAA.
    Addresses(Domain),
    /// Whether a mailbox in one of our domains exists, as the directories say.
    Recipient(Mailbox),
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Names, for a query that asks for names.
    Names(Vec<Domain>),
    /// Addresses, for a query that asks for addresses.
    Addresses(Vec<IpAddr>),
    /// It exists, for a query that asks no more.
    Exists,
    /// Proved not to exist.
    Absent,
    /// Could not be found out: time-out, server failure, malformed answer.
    Unavailable,
}

/// The look-ups of one judgement.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Vec<(Query, Found)>);

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new() -> Ledger {
        Ledger::default()
    }

    /// What is known about `query`; `None` when it has not been asked yet.
    #[must_use]
    pub fn find(&self, query: &Query) -> Option<&Found> {
        self.0.iter().find(|(asked, _)| asked == query).map(|(_, found)| found)
    }

    /// Writes an answer down. The first answer to a query stands.
    pub fn enter(&mut self, query: Query, found: Found) {
        if self.find(&query).is_none() {
            self.0.push((query, found));
        }
    }
}

//! What a question is asked about: plain facts, gathered by whoever asks.

use crate::connection::Admission;
use mail::{Authors, Identity, Mailbox, ReversePath, Timestamp};
use std::net::IpAddr;

/// A client that has just connected.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionFacts {
    /// Its address; an IPv4-mapped one counts as the IPv4 address.
    pub client: IpAddr,
    /// When.
    pub now: Timestamp,
    /// Sessions now open on all virtual servers, without this one.
    pub open_in_all: u32,
    /// Those of them on this virtual server.
    pub open: u32,
    /// Those that come from this address.
    pub open_from_client: u32,
    /// Those that come from its network, the /24 or the /64.
    pub open_from_network: u32,
}

/// A client that said MAIL.
#[derive(Clone, Copy, Debug)]
pub struct SenderFacts<'a> {
    /// Its address.
    pub client: IpAddr,
    /// When.
    pub now: Timestamp,
    /// What [`crate::connection`] answered when this session began.
    pub admission: Admission,
    /// Who the client has proved to be.
    pub identity: &'a Identity,
    /// Whether the link is secured by TLS.
    pub secured: bool,
    /// What MAIL said. It gives nobody a right: submitting and relaying never depend on it. It can be
    /// somebody else's.
    pub reverse_path: &'a ReversePath,
}

/// A client that said RCPT.
#[derive(Clone, Copy, Debug)]
pub struct RecipientFacts<'a> {
    /// Its address.
    pub client: IpAddr,
    /// When.
    pub now: Timestamp,
    /// Who the client has proved to be.
    pub identity: &'a Identity,
    /// What RCPT said: a source route dropped, the default domain appended to a bare local part.
    pub recipient: &'a Mailbox,
}

/// A message that is complete.
#[derive(Clone, Copy, Debug)]
pub struct MessageFacts<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// When.
    pub now: Timestamp,
    /// Who the client has proved to be.
    pub identity: &'a Identity,
    /// Who its header says it is from. May be left empty where [`crate::asks_authors`] says that nobody asks.
    pub authors: &'a Authors,
    /// The number of its Received fields.
    pub hops: u32,
}

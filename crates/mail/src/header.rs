//! The header fields we write ourselves.
//!
//! Every value is checked against the grammar of its place or replaced; nothing a client said can
//! start a line or a field (conformance row 16).

use crate::address::{Domain, Host, Mailbox};
use crate::time::Timestamp;
use std::fmt::Write;
use std::net::IpAddr;

/// The names of the header fields that Bridgehead writes or looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderName {
    /// One for each hop; counting them is how loops end.
    Received,
    /// Written where an address is not its sender's own, and nobody wanted the message refused for it.
    BridgeheadAuth,
    /// Written on delivery into a drop directory.
    ReturnPath,
}

impl HeaderName {
    /// As it is spelt.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            HeaderName::BridgeheadAuth => "X-Bridgehead-Auth",
            HeaderName::Received => "Received",
            HeaderName::ReturnPath => "Return-Path",
        }
    }
}

/// The `with` of a Received field (RFC 3848, RFC 6531).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// The client said EHLO.
    pub extended: bool,
    /// The transaction used SMTPUTF8.
    pub utf8: bool,
    /// The link was secured by TLS.
    pub secured: bool,
    /// The client had authenticated.
    pub authenticated: bool,
}

impl Protocol {
    /// The registered name of the combination.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match (self.extended, self.utf8, self.secured, self.authenticated) {
            (false, ..) => "SMTP",
            (_, false, false, false) => "ESMTP",
            (_, false, true, false) => "ESMTPS",
            (_, false, false, true) => "ESMTPA",
            (_, false, true, true) => "ESMTPSA",
            (_, true, false, false) => "UTF8SMTP",
            (_, true, true, false) => "UTF8SMTPS",
            (_, true, false, true) => "UTF8SMTPA",
            (_, true, true, true) => "UTF8SMTPSA",
        }
    }
}

/// The facts of one hop, from which its Received field is made.
#[derive(Clone, Debug)]
pub struct Hop<'a> {
    /// What the client called itself, if that was a host at all.
    pub hello: Option<&'a Host>,
    /// Where it came from.
    pub client: IpAddr,
    /// The server that took the message.
    pub by: &'a Domain,
    /// How it came.
    pub with: Protocol,
    /// The queue identifier.
    pub id: &'a str,
    /// The only recipient, when there is just one: naming one of several would tell the others.
    pub recipient: Option<&'a Mailbox>,
    /// When.
    pub at: Timestamp,
}

/// The Received field of a hop, folded between tokens, with its CRLF.
#[must_use]
pub fn received(hop: &Hop<'_>) -> String {
    let peer = Host::Literal(crate::network::canonical(hop.client));
    let mut field = String::with_capacity(256);
    // Writing to a string cannot fail.
    let _ = match hop.hello {
        Some(name) => write!(field, "Received: from {name} ({peer})\r\n"),
        None => write!(field, "Received: from {peer}\r\n"),
    };
    for part in ["\tby ", hop.by.as_str(), " with ", hop.with.as_str(), " id ", hop.id] {
        field.push_str(part);
    }
    if let Some(recipient) = hop.recipient {
        let _ = write!(field, "\r\n\tfor <{recipient}>");
    }
    field.push_str(";\r\n\t");
    field.push_str(&hop.at.rfc5322());
    field.push_str("\r\n");
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_received_field() {
        let by: Domain = "mx.test".parse().unwrap();
        let hello: Host = "there.test".parse().unwrap();
        let to: Mailbox = "alice@corp.example".parse().unwrap();
        let with = Protocol { extended: true, utf8: false, secured: true, authenticated: false };
        let hop = Hop {
            hello: Some(&hello),
            client: "::ffff:192.0.2.66".parse().unwrap(),
            by: &by,
            with,
            id: "A1",
            recipient: Some(&to),
            at: Timestamp::from_millis(0),
        };
        assert_eq!(
            received(&hop),
            "Received: from there.test ([192.0.2.66])\r\n\tby mx.test with ESMTPS id A1\r\n\tfor <alice@corp.example>;\r\n\tThu, 01 Jan 1970 00:00:00 +0000\r\n"
        );
    }
}

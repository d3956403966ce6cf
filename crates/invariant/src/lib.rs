//! What must never be, whatever the rules say; and the gate that stops it.
//!
//! An [`Invariant`] is one sentence of a small closed form: *never* something, *who* does it, *at* which
//! virtual server, *from* where. It is proved when settings are loaded, by the same functions that the
//! server runs; and, because those functions may have a mistake in them, it is asked once more by the
//! [`Gate`] just before a message is committed. The gate is a second opinion: it has its own way to
//! compare addresses, domains and names, and this crate depends on no other of ours.

mod domains;
mod gate;
mod names;
mod prefix;

pub use domains::{DomainError, Domains, Pattern};
pub use gate::{Client, Gate, Known, Mail};
pub use names::same_name;
pub use prefix::{Prefix, PrefixError, Range, Ranges};

use std::fmt;

/// One sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invariant {
    /// What it is called, in findings and in the log.
    pub name: Box<str>,
    /// The line of its file that it begins on.
    pub line: u32,
    /// What must never be.
    pub never: Never,
    /// Of whom that is said.
    pub who: Who,
    /// At which virtual server; `None`: at none of them.
    pub at: Option<Box<str>>,
    /// From which addresses; empty: from all.
    pub from: Vec<Prefix>,
    /// From which of them it may be all the same.
    pub except_from: Vec<Prefix>,
    /// To which domains it may be all the same; only for relaying.
    pub except_to: Vec<Pattern>,
    /// The virtual servers at which somebody has insisted that it may be broken.
    pub waived_at: Vec<Box<str>>,
}

/// What must never be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Never {
    /// A client opens a session.
    Connect,
    /// A client sends mail at all.
    Submit,
    /// A client sends to a recipient outside the organization.
    Relay,
    /// AUTH is offered.
    AuthOffered,
    /// AUTH is offered on a link without TLS.
    AuthInClear,
}

/// Of whom an invariant speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody.
    Anybody,
    /// Clients that have not proved who they are.
    Anonymous,
    /// Clients that have authenticated as an account.
    Accounts,
    /// Servers of the organization.
    Peers,
    /// The account of this name.
    Account(Box<str>),
    /// The accounts that are in this group.
    Group(Box<str>),
    /// The server of the organization of this name.
    Peer(Box<str>),
}

impl Invariant {
    /// Whether it speaks of this virtual server, and nobody has insisted otherwise.
    #[must_use]
    pub fn holds_at(&self, server: &str) -> bool {
        self.at.as_deref().is_none_or(|at| at == server) && !self.waived_at.iter().any(|waived| **waived == *server)
    }

    /// The identifier of the finding that it is broken at a virtual server.
    #[must_use]
    pub fn finding_id(&self, server: &str) -> String {
        format!("invariant:{}:{server}", self.name)
    }
}

impl Who {
    /// Whether it means this client.
    #[must_use]
    pub fn means(&self, client: &Client<'_>) -> bool {
        match (self, client) {
            (Who::Anybody, _)
            | (Who::Anonymous, Client::Anonymous)
            | (Who::Accounts, Client::Account { .. })
            | (Who::Peers, Client::Peer(_)) => true,
            (Who::Account(wanted), Client::Account { name, .. }) => same_name(wanted, name),
            (Who::Group(wanted), Client::Account { groups, .. }) => groups.iter().any(|group| same_name(wanted, group)),
            // A peer is called by its key in the settings, to the letter.
            (Who::Peer(wanted), Client::Peer(name)) => **wanted == **name,
            _ => false,
        }
    }
}

impl fmt::Display for Never {
    /// As it is written in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Never::Connect => "connect",
            Never::Submit => "submit",
            Never::Relay => "relay",
            Never::AuthOffered => "auth-offered",
            Never::AuthInClear => "auth-in-clear",
        })
    }
}

impl fmt::Display for Who {
    /// As it is written in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Anybody => f.write_str("anybody"),
            Who::Anonymous => f.write_str("anonymous"),
            Who::Accounts => f.write_str("accounts"),
            Who::Peers => f.write_str("peers"),
            Who::Account(name) => write!(f, "account:{name}"),
            Who::Group(name) => write!(f, "group:{name}"),
            Who::Peer(name) => write!(f, "peer:{name}"),
        }
    }
}

impl fmt::Display for Invariant {
    /// As a sentence: `never: relay by anonymous at inbound from 0.0.0.0/0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "never: {}", self.never)?;
        if self.who != Who::Anybody {
            write!(f, " by {}", self.who)?;
        }
        if let Some(at) = &self.at {
            write!(f, " at {at}")?;
        }
        list(f, " from ", &self.from)?;
        list(f, " except from ", &self.except_from)?;
        list(f, " except to ", &self.except_to)
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, lead: &str, values: &[T]) -> fmt::Result {
    for (at, value) in values.iter().enumerate() {
        write!(f, "{}{value}", if at == 0 { lead } else { ", " })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invariant_reads_as_a_sentence() {
        let mut invariant = Invariant {
            name: "x".into(),
            line: 1,
            never: Never::Relay,
            who: Who::Anybody,
            at: None,
            from: Vec::new(),
            except_from: Vec::new(),
            except_to: Vec::new(),
            waived_at: Vec::new(),
        };
        for (never, text) in [
            (Never::Connect, "never: connect"),
            (Never::Submit, "never: submit"),
            (Never::AuthOffered, "never: auth-offered"),
            (Never::AuthInClear, "never: auth-in-clear"),
            (Never::Relay, "never: relay"),
        ] {
            invariant.never = never;
            assert_eq!(invariant.to_string(), text);
        }
        for (who, text) in [
            (Who::Anonymous, "anonymous"),
            (Who::Accounts, "accounts"),
            (Who::Peers, "peers"),
            (Who::Account("u1".into()), "account:u1"),
            (Who::Peer("ex1".into()), "peer:ex1"),
            (Who::Group("a".into()), "group:a"),
        ] {
            invariant.who = who;
            assert_eq!(invariant.to_string(), format!("never: relay by {text}"));
        }
        invariant.at = Some("inbound".into());
        invariant.from = vec!["10.0.0.0/8".parse().unwrap(), "192.0.2.1".parse().unwrap()];
        invariant.except_from = vec!["10.0.0.7".parse().unwrap()];
        invariant.except_to = vec!["*.partner.example".parse().unwrap(), "corp2.example".parse().unwrap()];
        assert_eq!(
            invariant.to_string(),
            "never: relay by group:a at inbound from 10.0.0.0/8, 192.0.2.1 except from 10.0.0.7 \
             except to *.partner.example, corp2.example"
        );
        assert_eq!(invariant.finding_id("inbound"), "invariant:x:inbound");
    }
}

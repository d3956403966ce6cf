//! What a sentence of `docs/manual/invariants.md` means, said a second time: of plain texts, and without any code
//! of the rules or of the gate.
//!
//! Of a message that was committed it is known whom its client has proved to be and from where it has come, also
//! before it spoke for another. Whether AUTH was only *offered* shows in no message, so the gate cannot know it:
//! that is proved when settings are loaded. A client that has used AUTH was offered it; so much is held against
//! the gate. Where the rules are as they should be, greetings and offers are looked at as well.

use std::fmt;
use std::net::IpAddr;

/// What must never be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Never {
    /// A session is opened.
    Connect,
    /// Mail is sent.
    Submit,
    /// Mail is sent to somebody outside.
    Relay,
    /// AUTH is offered.
    AuthOffered,
    /// AUTH is offered without TLS.
    AuthInClear,
}

impl Never {
    /// All of them.
    pub const ALL: [Never; 5] = [Never::Connect, Never::Submit, Never::Relay, Never::AuthOffered, Never::AuthInClear];

    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Never::Connect => "connect",
            Never::Submit => "submit",
            Never::Relay => "relay",
            Never::AuthOffered => "auth-offered",
            Never::AuthInClear => "auth-in-clear",
        }
    }
}

/// One sentence, in the words of its file; empty means that the key is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// Its name.
    pub name: String,
    /// What must never be.
    pub never: Never,
    /// Who.
    pub who: &'static str,
    /// At which virtual server.
    pub at: &'static str,
    /// From where.
    pub from: Vec<&'static str>,
    /// And from where not.
    pub except_from: Vec<&'static str>,
    /// To which domains it is allowed all the same.
    pub except_to: Vec<&'static str>,
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sentence { name, never, who, at, .. } = self;
        writeln!(f, "[[invariant]]\nname = \"{name}\"\nnever = \"{}\"", never.word())?;
        for (key, text) in [("who", who), ("at", at)].iter().filter(|(_, text)| !text.is_empty()) {
            writeln!(f, "{key} = \"{text}\"")?;
        }
        for (key, list) in [("from", &self.from), ("except_from", &self.except_from), ("except_to", &self.except_to)] {
            if !list.is_empty() {
                writeln!(f, "{key} = {list:?}")?;
            }
        }
        Ok(())
    }
}

/// Whom a client has proved to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proved {
    /// Nobody.
    Nobody,
    /// An account, with its groups.
    Account(String, Vec<String>),
    /// A server of the organization.
    Peer(String),
}

/// A use of AUTH, or an offer of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auth {
    /// The address of the client, as the server knew it then.
    pub from: IpAddr,
    /// Under TLS.
    pub secured: bool,
}

/// A client, with all that its session has come to.
#[derive(Clone, Debug)]
pub struct Client {
    /// The virtual server.
    pub server: &'static str,
    /// Where it has come from: the address of the connection, and those of the clients it has spoken for after that.
    pub from: Vec<IpAddr>,
    /// Whom it has proved to be, or speaks for.
    pub proved: Proved,
    /// Every use of AUTH that has succeeded.
    pub auths: Vec<Auth>,
}

/// A message that was committed.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Its identifier.
    pub id: String,
    /// Whose it is.
    pub client: Client,
    /// Those it goes to, as they stand in its envelope.
    pub recipients: Vec<String>,
}

/// Something that has happened without any mail.
#[derive(Clone, Debug)]
pub enum Deed {
    /// A session was opened.
    Opened(&'static str, IpAddr),
    /// AUTH was offered.
    Offered(&'static str, Auth),
}

/// The domains in which everybody is inside, whatever they are called in settings.
const INSIDE: [&str; 4] = ["corp.example", "corp2.example", "old.example", "bogus1"];

impl Sentence {
    /// Whether it forbids that this message was committed.
    #[must_use]
    pub fn forbids(&self, message: &Committed) -> bool {
        let client = &message.client;
        if !self.is_at(client.server) {
            return false;
        }
        let now_from = client.from.last().is_some_and(|address| self.is_from(*address));
        match self.never {
            Never::Connect => client.from.iter().any(|address| self.is_from(*address)),
            Never::Submit => now_from && self.is_of(&client.proved),
            Never::Relay => {
                now_from && self.is_of(&client.proved) && message.recipients.iter().any(|to| self.is_outside(to))
            }
            Never::AuthOffered => client.auths.iter().any(|auth| self.is_from(auth.from)),
            Never::AuthInClear => client.auths.iter().any(|auth| self.is_from(auth.from) && !auth.secured),
        }
    }

    /// Whether it forbids this.
    #[must_use]
    pub fn forbids_deed(&self, deed: &Deed) -> bool {
        match (self.never, deed) {
            (Never::Connect, Deed::Opened(server, from)) => self.is_at(server) && self.is_from(*from),
            (Never::AuthOffered, Deed::Offered(server, auth)) => self.is_at(server) && self.is_from(auth.from),
            (Never::AuthInClear, Deed::Offered(server, auth)) => {
                self.is_at(server) && self.is_from(auth.from) && !auth.secured
            }
            _ => false,
        }
    }

    fn is_at(&self, server: &str) -> bool {
        self.at.is_empty() || self.at == server
    }

    fn is_from(&self, address: IpAddr) -> bool {
        let among = |nets: &[&str]| nets.iter().any(|net| begins(&bits(address), net));
        (self.from.is_empty() || among(&self.from)) && !among(&self.except_from)
    }

    fn is_of(&self, proved: &Proved) -> bool {
        let alike = |one: &str, other: &str| one.to_uppercase() == other.to_uppercase();
        match (self.who.split_once(':'), proved) {
            (None, Proved::Nobody) => matches!(self.who, "" | "anybody" | "anonymous"),
            (None, Proved::Account(..)) => matches!(self.who, "" | "anybody" | "accounts"),
            (None, Proved::Peer(_)) => matches!(self.who, "" | "anybody" | "peers"),
            (Some(("account", name)), Proved::Account(known, _)) => alike(name, known),
            (Some(("group", name)), Proved::Account(_, groups)) => groups.iter().any(|known| alike(name, known)),
            (Some(("peer", name)), Proved::Peer(known)) => name == known,
            _ => false,
        }
    }

    /// Whether a recipient is outside, and not excepted.
    fn is_outside(&self, recipient: &str) -> bool {
        let domain = recipient.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
        let excepted = |pattern: &&str| match pattern.strip_prefix("*") {
            Some(end) => domain.ends_with(end),
            None => domain == **pattern,
        };
        !INSIDE.contains(&domain.as_str()) && !self.except_to.iter().any(excepted)
    }
}

/// An address as the digits 0 and 1, behind its family.
fn bits(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.octets().iter().fold("4:".to_owned(), |text, octet| format!("{text}{octet:08b}")),
        IpAddr::V6(v6) => v6.octets().iter().fold("6:".to_owned(), |text, octet| format!("{text}{octet:08b}")),
    }
}

/// Whether an address begins as a network does.
fn begins(address: &str, net: &str) -> bool {
    let (first, length) = net.split_once('/').unwrap_or((net, "128"));
    let first = bits(first.parse().expect("networks are drawn from a list"));
    let length: usize = length.parse().expect("networks are drawn from a list");
    let end = first.len().min(2 + length);
    address.starts_with(&first[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_beginnings() {
        let within = |address: &str, net| begins(&bits(address.parse().unwrap()), net);
        assert!(within("10.1.2.3", "10.0.0.0/8") && within("::ffff:10.1.2.3", "10.0.0.0/8"));
        assert!(within("2001:db8::5", "2001:db8::/32") && within("10.0.0.5", "10.0.0.5"));
        assert!(within("192.0.2.1", "0.0.0.0/0") && !within("::1", "0.0.0.0/0") && !within("192.0.2.1", "::/0"));
        assert!(!within("11.0.0.1", "10.0.0.0/8") && !within("10.0.0.6", "10.0.0.5"));
    }
}

//! The credential exposure map: where a secret could be read on the way or guessed, and from which networks.

use crate::audit::Place;
use crate::table::{Link, ServerTable, Table};
use config::{Config, Server};
use identity::Mechanism;
use mail::AddressSet;
use serde::Serialize;

/// What can become of a secret in one mechanism of one virtual server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exposure {
    /// The virtual server.
    pub server: String,
    /// The mechanism, by its registered name.
    pub mechanism: String,
    /// Whether it is offered without TLS.
    pub in_the_clear: bool,
    /// What somebody who listens on the way learns.
    pub read: Read,
    /// Whether somebody who connects can try secrets.
    pub guessed: bool,
    /// From where, in words.
    pub from: String,
    /// Whether strangers are among them.
    pub from_strangers: bool,
    /// The line that offers it.
    pub rule: Place,
}

/// What somebody learns who listens on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Read {
    /// Nothing.
    Nothing,
    /// Enough to try passwords at home, as many as he likes.
    Crackable,
    /// The secret itself.
    Secret,
}

impl Read {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Read::Nothing => "nothing",
            Read::Crackable => "enough to try passwords at home",
            Read::Secret => "the secret itself",
        }
    }
}

/// The map of all virtual servers.
pub(crate) fn of(config: &Config, table: &Table<'_>) -> Vec<Exposure> {
    let mut map = Vec::new();
    for server in &config.servers {
        let reach = reach(table, server);
        for mechanism in server.authentication.mechanisms.iter().copied() {
            let in_the_clear = offered_in_the_clear(server, mechanism);
            let guessed = can_be_guessed(mechanism) && !reach.is_empty();
            let key = format!("virtual_server.{}.authentication.mechanisms", server.name);
            map.push(Exposure {
                server: server.name.to_string(),
                mechanism: mechanism.to_string(),
                in_the_clear,
                read: read(mechanism, in_the_clear),
                guessed,
                from: reach.in_short(),
                from_strangers: !reach.intersection(&AddressSet::public()).is_empty(),
                rule: Place::key(&config.book, &key),
            });
        }
    }
    map
}

/// Whether clients without TLS are offered it.
pub(crate) fn offered_in_the_clear(server: &Server, mechanism: Mechanism) -> bool {
    Link::Clear.offers(server).is_some_and(|offered| offered.iter().any(|name| **name == *mechanism.name()))
}

/// Who is let in, and so can try to authenticate. Connection control for the anonymous keeps nobody out.
pub(crate) fn reach(table: &Table<'_>, server: &Server) -> AddressSet {
    let clients = table.server(&server.name).into_iter().flat_map(ServerTable::connections);
    let admitted = clients.filter(|(_, judged)| judged.verdict.is_ok());
    admitted.fold(AddressSet::default(), |all, (client, _)| all.union(&client.addresses))
}

fn read(mechanism: Mechanism, in_the_clear: bool) -> Read {
    match mechanism {
        _ if !in_the_clear => Read::Nothing,
        _ if mechanism.shows_its_secret() => Read::Secret,
        // A challenge and what answers it: passwords can be tried on them by whoever has both.
        Mechanism::Ntlm | Mechanism::ScramSha256 | Mechanism::GssSpnego => Read::Crackable,
        _ => Read::Nothing,
    }
}

/// Whether the secret is a password that a person chose. Tickets, tokens and keys are too long to be tried.
fn can_be_guessed(mechanism: Mechanism) -> bool {
    match mechanism {
        Mechanism::Plain
        | Mechanism::Login
        | Mechanism::ScramSha256
        | Mechanism::ScramSha256Plus
        | Mechanism::Ntlm
        | Mechanism::GssSpnego => true,
        Mechanism::External | Mechanism::OauthBearer | Mechanism::Xoauth2 | Mechanism::Gssapi => false,
    }
}

//! Exceptions: every entry of a list, every right and every loan, each with its term.
//!
//! What is granted to somebody by name or by address is an exception from what holds for all, and somebody should
//! answer for it. Here is the one walk over them: `check --strict` wants each to say who, why and until when; `check`
//! shows those that have ended or are about to; the gateway tells of them while it runs.

use crate::mistake::Mistake;
use crate::places::{Places, below};
use crate::{Config, Server};
use mail::Timestamp;
use policy::{Addresses, Allowed, Borrower, Holders, List, Match, RuleId, Term, Who};
use std::fmt;
use std::time::Duration;
use toml::de::DeTable;

/// How long before its end an exception is shown.
const SOON: Duration = Duration::from_secs(30 * 86_400);

/// One exception.
#[derive(Clone, Copy, Debug)]
pub struct Exception<'a> {
    /// Where it stands.
    pub rule: RuleId,
    /// Whom or what it means.
    pub what: Meant<'a>,
    /// Who answers for it, why, and until when.
    pub term: &'a Term,
}

/// Whom or what an exception means. It is shown as the settings write it.
#[derive(Clone, Copy, Debug)]
pub enum Meant<'a> {
    /// Clients, of a list.
    Clients(&'a Match),
    /// An account or a group, of a right.
    Holder(&'a Who),
    /// Senders, of the sender filter.
    Senders(&'a Addresses),
    /// Addresses, lent to somebody.
    Loan(&'a Borrower, &'a [Addresses]),
}

impl Config {
    /// Every exception: loans and filtered senders first, then those of each virtual server.
    pub fn exceptions(&self) -> impl Iterator<Item = Exception<'_>> {
        // Loans and filtered senders are the same for all virtual servers.
        let shared = self.servers.first().map(|server| &server.rules);
        let loans = shared.into_iter().flat_map(|rules| rules.send_as.grants.iter());
        let loans = loans.map(|loan| Exception {
            rule: loan.rule,
            what: Meant::Loan(&loan.to, &loan.addresses),
            term: &loan.term,
        });
        let senders = shared.into_iter().flat_map(|rules| rules.sender_filter.senders.list.entries());
        let senders = senders.map(|entry| Exception {
            rule: entry.rule,
            what: Meant::Senders(&entry.addresses),
            term: &entry.term,
        });
        loans.chain(senders).chain(self.servers.iter().flat_map(of_server))
    }

    /// What is missing for `check --strict`: each exception must say who answers for it, why it is there, and when it
    /// ends. `text` is the file that these settings were read from.
    #[must_use]
    pub fn strict(&self, text: &str) -> Vec<Mistake> {
        self.about(text, |exception, key, places| {
            let Term { owner, reason, expires } = exception.term;
            let said = [owner.is_some(), reason.is_some(), expires.is_some()];
            let missing = || PARTS.iter().zip(said).filter(|(_, is_said)| !is_said).map(|(part, _)| part);
            let words: Vec<String> = missing().map(|part| format!("no {}", part.word)).collect();
            let (last, others) = words.split_last()?;
            let and = if others.is_empty() { "" } else { " and " };
            let found = format!("this exception has {}{and}{last}", others.join(", "));
            let keys: Vec<&str> = missing().map(|part| part.example).collect();
            let advice = match exception.what.as_a_table() {
                Some(table) if keys.len() == PARTS.len() => format!("write {{ {table}, {} }}", keys.join(", ")),
                _ => format!("add {}", keys.join(", ")),
            };
            Some(Mistake::error(key, places.value_of(key), found).expected("--strict wants all three").advice(advice))
        })
    }

    /// Exceptions that have ended, or are about to.
    #[must_use]
    pub fn ending(&self, text: &str, now: Timestamp) -> Vec<Mistake> {
        self.about(text, |exception, key, places| {
            let end = exception.term.expires?;
            let day = exception.term.last_day()?;
            let at = below(key, "expires");
            let (found, expected) = if end <= now {
                (
                    format!("this exception has ended: its last day was {day}"),
                    "it does not match any more; remove it".into(),
                )
            } else if end <= now.after(SOON) {
                let days = end.since(now).as_secs().div_ceil(86_400);
                let plural = if days == 1 { "" } else { "s" };
                (format!("this exception ends in {days} day{plural}"), format!("its last day is {day}, in UTC"))
            } else {
                return None;
            };
            let mistake = Mistake::warning(key, places.value_of(&at), found).expected(expected);
            Some(match &exception.term.owner {
                Some(owner) => mistake.advice(format!("ask {owner}")),
                None => mistake,
            })
        })
    }

    /// Something about exceptions, in the order of the file.
    fn about(
        &self,
        text: &str,
        mut judge: impl FnMut(&Exception<'_>, &str, &Places<'_>) -> Option<Mistake>,
    ) -> Vec<Mistake> {
        let (table, _) = DeTable::parse_recoverable(text);
        let places = Places::new(text, table.get_ref());
        let judged = self.exceptions().filter_map(|exception| {
            let key = self.book.place(exception.rule).key;
            judge(&exception, key, &places)
        });
        let mut mistakes: Vec<Mistake> = judged.collect();
        mistakes.sort_by_key(|mistake| mistake.place.as_ref().map_or(0, |place| place.span.start));
        mistakes
    }
}

fn of_server(server: &Server) -> impl Iterator<Item = Exception<'_>> {
    let rules = &server.rules;
    let rights = [&rules.submit, &rules.relay.rights];
    let holders = rights.into_iter().flat_map(|rights| {
        let allowed = match &rights.allow {
            Allowed::Everyone(_) => None,
            Allowed::Only(holders) => Some(holders),
        };
        allowed.into_iter().chain([&rights.deny]).flat_map(of_holders)
    });
    of_list(&rules.connection.list).chain(of_list(&rules.relay.list)).chain(holders)
}

fn of_list(list: &List) -> impl Iterator<Item = Exception<'_>> {
    let entries = list.entries().iter();
    entries.map(|entry| Exception { rule: entry.rule, what: Meant::Clients(&entry.what), term: &entry.term })
}

fn of_holders(holders: &Holders) -> impl Iterator<Item = Exception<'_>> {
    let entries = holders.entries().iter();
    entries.map(|holder| Exception { rule: holder.rule, what: Meant::Holder(&holder.who), term: &holder.term })
}

/// One thing that an exception should say.
struct Part {
    word: &'static str,
    example: &'static str,
}

/// All that an exception should say.
const PARTS: [Part; 3] = [
    Part { word: "owner", example: "owner = \"…\"" },
    Part { word: "reason", example: "reason = \"…\"" },
    Part { word: "end", example: "expires = \"2027-01-31\"" },
];

impl Meant<'_> {
    /// The first key of the entry as a table; `None` for a loan, which is a table already.
    fn as_a_table(&self) -> Option<String> {
        match self {
            Meant::Clients(_) => Some(format!("client = \"{self}\"")),
            Meant::Holder(_) => Some(format!("who = \"{self}\"")),
            Meant::Senders(_) => Some(format!("address = \"{self}\"")),
            Meant::Loan(..) => None,
        }
    }
}

impl fmt::Display for Meant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Meant::Clients(Match::Net(net)) => net.fmt(f),
            Meant::Clients(Match::Domain(domain)) => domain.fmt(f),
            Meant::Holder(who) => holder(who, f),
            Meant::Senders(addresses) => meant(addresses, f),
            Meant::Loan(to, addresses) => {
                for (at, address) in addresses.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { ", " })?;
                    meant(address, f)?;
                }
                f.write_str(" for ")?;
                match to {
                    Borrower::Holder(who) => holder(who, f),
                    Borrower::Peer(name) => write!(f, "peer:{name}"),
                    Borrower::Clients(net) => write!(f, "client:{net}"),
                }
            }
        }
    }
}

fn meant(addresses: &Addresses, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match addresses {
        Addresses::One(mailbox) => write!(f, "{mailbox}"),
        Addresses::AllAt(host) => write!(f, "@{host}"),
    }
}

fn holder(who: &Who, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match who {
        Who::Account(name) => write!(f, "account:{name}"),
        Who::Group(name) => write!(f, "group:{name}"),
    }
}

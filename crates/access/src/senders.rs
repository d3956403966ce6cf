//! Classes of senders, as seen by whoever uses the address, and an address that stands for each.

use crate::clients::ClientClass;
use mail::{Account, Domain, Host, Identity, Mailbox, ReversePath, Timestamp};
use policy::{Addresses, FilteredSenders, Loan, Rules};
use std::fmt;

/// Whose an address is, for the client that uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SenderClass {
    /// Nobody's: the null reverse-path.
    Null,
    /// The account's own.
    Own,
    /// Lent to it, and the loan has not ended.
    Lent,
    /// Somebody else's, inside the organization.
    Inside,
    /// Somebody else's, outside.
    Outside,
    /// Whoever's, refused by the sender filter. Where that is not applied to somebody's mail, the address is of
    /// another class.
    Filtered,
}

impl SenderClass {
    /// All.
    pub const ALL: [SenderClass; 6] = [
        SenderClass::Null,
        SenderClass::Own,
        SenderClass::Lent,
        SenderClass::Inside,
        SenderClass::Outside,
        SenderClass::Filtered,
    ];
}

impl fmt::Display for SenderClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SenderClass::Null => "nobody (<>)",
            SenderClass::Own => "itself",
            SenderClass::Lent => "addresses lent to it",
            SenderClass::Inside => "other addresses inside",
            SenderClass::Outside => "addresses outside",
            SenderClass::Filtered => "filtered addresses",
        })
    }
}

/// The domains of the organization, those that have other names first.
pub(crate) fn local_domains(rules: &Rules) -> impl Iterator<Item = &Domain> {
    let domains = &rules.domains;
    domains.organization.keys().chain(domains.default_domain.iter().map(|local| &local.domain))
}

/// Who uses an address, and what is filtered of it.
pub(crate) struct User<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) client: &'a ClientClass,
    pub(crate) identity: &'a Identity,
    /// The sender filter, where the address is one that it looks at.
    pub(crate) filter: Option<&'a FilteredSenders>,
    /// A domain that nobody names.
    pub(crate) outside: &'a Domain,
    pub(crate) now: Timestamp,
}

impl User<'_> {
    /// An address of this class; `None` when there is none: nothing is lent, everything inside is, or all are filtered.
    pub(crate) fn representative(&self, class: SenderClass) -> Option<ReversePath> {
        let lent_to_it = self.rules.send_as.grants.held_by(self.identity, self.client.representative);
        let held: Vec<&Loan> = lent_to_it.filter(|loan| !loan.term.is_over(self.now)).collect();
        let all_lent = |domain: &Domain| {
            let all = Addresses::AllAt(Host::Domain(domain.clone()));
            held.iter().any(|loan| loan.addresses.contains(&all))
        };
        let address = match class {
            SenderClass::Null => return Some(ReversePath::Null),
            SenderClass::Own => own(self.identity)?,
            SenderClass::Lent => {
                let lent = held.iter().flat_map(|loan| loan.addresses.iter()).filter_map(example);
                { lent }.find(|one| !self.is_filtered(one))?
            }
            SenderClass::Inside => {
                let free = local_domains(self.rules).filter(|domain| !all_lent(domain));
                { free }.find_map(|domain| self.stranger(domain))?
            }
            SenderClass::Outside if all_lent(self.outside) => return None,
            SenderClass::Outside => self.stranger(self.outside)?,
            SenderClass::Filtered => filtered(self.filter?, self.now)?,
        };
        Some(ReversePath::Mailbox(address))
    }

    fn is_filtered(&self, address: &Mailbox) -> bool {
        self.filter.is_some_and(|filter| filter.list.has(address, &self.rules.domains, self.now))
    }

    /// Somebody at this domain who is not filtered: one of more local parts than the filter names.
    fn stranger(&self, domain: &Domain) -> Option<Mailbox> {
        let named = self.filter.map_or(0, |filter| filter.list.entries().len());
        let numbered = (1..=named).map(|n| format!("somebody.else.{n}@{domain}"));
        let mut all =
            std::iter::once(format!("somebody.else@{domain}")).chain(numbered).filter_map(|one| one.parse().ok());
        let whole = self.filter.is_some_and(|filter| has_whole(filter, domain, self));
        if whole { None } else { all.find(|one| !self.is_filtered(one)) }
    }
}

/// Whether everybody at a domain is filtered.
fn has_whole(filter: &FilteredSenders, domain: &Domain, user: &User<'_>) -> bool {
    let Ok(somebody) = format!("somebody.else@{domain}").parse() else { return false };
    let mut of_it = filter.list.of(&somebody, &user.rules.domains);
    of_it.any(|entry| matches!(entry.addresses, Addresses::AllAt(_)) && !entry.term.is_over(user.now))
}

/// An address that is filtered.
pub(crate) fn filtered(filter: &FilteredSenders, now: Timestamp) -> Option<Mailbox> {
    let mut held = filter.list.entries().iter().filter(|entry| !entry.term.is_over(now));
    held.find_map(|entry| one_of(&entry.addresses, "somebody"))
}

fn own(identity: &Identity) -> Option<Mailbox> {
    let account: &Account = match identity {
        Identity::Account(account) => account,
        Identity::Anonymous | Identity::Peer(_) => return None,
    };
    account.addresses.first().cloned()
}

/// An address that a loan means.
pub(crate) fn example(addresses: &Addresses) -> Option<Mailbox> {
    one_of(addresses, "lent")
}

/// One of several addresses; with this local part, where any will do.
pub(crate) fn one_of(addresses: &Addresses, local: &str) -> Option<Mailbox> {
    match addresses {
        Addresses::One(mailbox) => Some(mailbox.clone()),
        Addresses::AllAt(host) => Some(Mailbox { local: local.parse().ok()?, host: host.clone() }),
    }
}

//! Classes of senders, as seen by whoever uses the address, and an address that stands for each.

use crate::clients::ClientClass;
use mail::{Account, Domain, Host, Identity, Mailbox, ReversePath, Timestamp};
use policy::{Addresses, Loan, Rules};
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
}

impl SenderClass {
    /// All.
    pub const ALL: [SenderClass; 5] =
        [SenderClass::Null, SenderClass::Own, SenderClass::Lent, SenderClass::Inside, SenderClass::Outside];
}

impl fmt::Display for SenderClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SenderClass::Null => "nobody (<>)",
            SenderClass::Own => "itself",
            SenderClass::Lent => "addresses lent to it",
            SenderClass::Inside => "other addresses inside",
            SenderClass::Outside => "addresses outside",
        })
    }
}

/// The domains of the organization, those that have other names first.
pub(crate) fn local_domains(rules: &Rules) -> impl Iterator<Item = &Domain> {
    let domains = &rules.domains;
    domains.organization.keys().chain(domains.default_domain.iter().map(|local| &local.domain))
}

/// An address of this class, for this identity and this client; `None` when there is none: nothing is lent to it,
/// or everything inside is.
pub(crate) fn representative(
    rules: &Rules,
    client: &ClientClass,
    identity: &Identity,
    class: SenderClass,
    (outside, now): (&Domain, Timestamp),
) -> Option<ReversePath> {
    let lent_to_it = rules.send_as.grants.held_by(identity, client.representative);
    let held: Vec<&Loan> = lent_to_it.filter(|loan| !loan.term.is_over(now)).collect();
    let all_lent = |domain: &Domain| {
        let all = Addresses::AllAt(Host::Domain(domain.clone()));
        held.iter().any(|loan| loan.addresses.contains(&all))
    };
    let stranger = |domain: &Domain| format!("somebody.else@{domain}").parse().ok();
    let address = match class {
        SenderClass::Null => return Some(ReversePath::Null),
        SenderClass::Own => own(identity)?,
        SenderClass::Lent => lent(&held)?,
        SenderClass::Inside => stranger(local_domains(rules).find(|domain| !all_lent(domain))?)?,
        SenderClass::Outside if all_lent(outside) => return None,
        SenderClass::Outside => stranger(outside)?,
    };
    Some(ReversePath::Mailbox(address))
}

fn own(identity: &Identity) -> Option<Mailbox> {
    let account: &Account = match identity {
        Identity::Account(account) => account,
        Identity::Anonymous | Identity::Peer(_) => return None,
    };
    account.addresses.first().cloned()
}

fn lent(held: &[&Loan]) -> Option<Mailbox> {
    held.iter().flat_map(|loan| loan.addresses.iter()).find_map(example)
}

/// An address that a loan means.
pub(crate) fn example(addresses: &Addresses) -> Option<Mailbox> {
    match addresses {
        Addresses::One(mailbox) => Some(mailbox.clone()),
        Addresses::AllAt(host) => Some(Mailbox { local: "lent".parse().ok()?, host: host.clone() }),
    }
}

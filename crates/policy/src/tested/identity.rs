//! What was compared with who the client is, and with whose the address is that it uses.

use super::{some, term};
use crate::decision::{Finding, Step};
use crate::domains::Domains;
use crate::rights::{Allowed, Holders, Rights, Who};
use crate::rule_book::RuleId;
use crate::rules::Rules;
use crate::send_as::{Action, Borrower, Place, SendAs, User};
use mail::{Account, Identity, Mailbox};

/// What was compared with the lists of a right.
pub(super) fn rights(rights: &Rights, account: &Account, step: &Step) -> Option<String> {
    let denied = || holders(&rights.deny, account, step);
    match &rights.allow {
        Allowed::Everyone(rule) if *rule == step.rule && step.finding == Finding::Matched => {
            Some("every account may".to_owned())
        }
        Allowed::Everyone(_) => denied(),
        Allowed::Only(list) => denied().or_else(|| holders(list, account, step)),
    }
}

fn holders(list: &Holders, account: &Account, step: &Step) -> Option<String> {
    let who = who(account);
    if let Some(entry) = list.entries().iter().find(|entry| entry.rule == step.rule) {
        return Some(format!("{who}: {}{}", holder(&entry.who), term(&entry.term, step.finding)));
    }
    (list.rule() == step.rule).then(|| match list.entries().len() {
        0 => format!("{who}: the list is empty"),
        1 => format!("{who}: not {}", holder(&list.entries()[0].who)),
        entries => format!("{who}: none of {entries} entries"),
    })
}

/// An account and its groups.
fn who(account: &Account) -> String {
    match account.groups.len() {
        0 => format!("account {}, in no group", account.name),
        1 => format!("account {}, group {}", account.name, account.groups[0]),
        _ => format!("account {}, groups {}", account.name, some(account.groups.iter())),
    }
}

pub(crate) fn holder(who: &Who) -> String {
    match who {
        Who::Account(name) => format!("account:{name}"),
        Who::Group(name) => format!("group:{name}"),
    }
}

pub(super) fn peer_submits(rules: &Rules, name: &str, step: &Step) -> Option<String> {
    let Some(peer) = rules.peers.get(name) else { return unknown_peer(name, step) };
    let may = if peer.submit { "may" } else { "may not" };
    (peer.submit_rule == step.rule).then(|| format!("peer {name} {may} submit"))
}

pub(super) fn peer_relays(rules: &Rules, name: &str, step: &Step) -> Option<String> {
    let Some(peer) = rules.peers.get(name) else { return unknown_peer(name, step) };
    let may = if peer.relay { "may" } else { "may not" };
    (peer.relay_rule == step.rule).then(|| format!("peer {name} {may} relay"))
}

fn unknown_peer(name: &str, step: &Step) -> Option<String> {
    (step.rule == RuleId::PEER).then(|| format!("the settings do not say what peer {name} may"))
}

/// What was compared with an address that somebody uses.
pub(super) fn address(
    send_as: &SendAs,
    user: &User<'_>,
    place: Place,
    address: &Mailbox,
    domains: &Domains,
    step: &Step,
) -> Option<String> {
    if step.rule == RuleId::OWN_ADDRESS {
        let Identity::Account(account) = user.identity else { return None };
        return Some(own(account, address, step.finding));
    }
    if let Some(grant) = send_as.grants.iter().find(|grant| grant.rule == step.rule) {
        return Some(format!("lends {address} to {}{}", borrower(&grant.to), term(&grant.term, step.finding)));
    }
    let inside = address.domain().is_some_and(|domain| domains.local(domain).is_some());
    let check = send_as.check(user, place);
    if matches!(user.identity, Identity::Anonymous) {
        return (check.rule == step.rule).then(|| match inside {
            true => format!("{address} is inside, and the client has not authenticated: {}", word(check.action)),
            false => format!("{address} is outside"),
        });
    }
    let whose = if matches!(user.identity, Identity::Peer(_)) { "not lent to it" } else { "not its own" };
    if inside {
        (check.rule == step.rule).then(|| format!("{address} is inside and {whose}: {}", word(check.action)))
    } else {
        let action = send_as.outside.action.min(check.action);
        (send_as.outside.rule == step.rule).then(|| format!("{address} is outside and {whose}: {}", word(action)))
    }
}

fn own(account: &Account, address: &Mailbox, finding: Finding) -> String {
    let name = &account.name;
    match (finding, account.addresses.len()) {
        (Finding::Matched, _) => format!("{address} is account {name}'s own"),
        (_, 0) => format!("account {name} has no address, so {address} is not its own"),
        (_, 1) => format!("account {name} has {}, not {address}", account.addresses[0]),
        _ => format!("account {name} has {}, not {address}", some(account.addresses.iter())),
    }
}

pub(crate) fn borrower(to: &Borrower) -> String {
    match to {
        Borrower::Holder(who) => holder(who),
        Borrower::Peer(name) => format!("peer:{name}"),
        Borrower::Clients(net) => format!("client:{net}"),
    }
}

/// What becomes of an address, as the settings have it.
pub(crate) fn word(action: Action) -> &'static str {
    match action {
        Action::Refuse => "refuse",
        Action::Mark => "mark",
        Action::Off => "off",
    }
}

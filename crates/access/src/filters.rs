//! The sender filter in reports: whose mail a virtual server applies it to, and what it refuses there.

use crate::audit::Place;
use crate::rows::{self, said};
use crate::table::ServerTable;
use config::Server;
use mail::{Host, Identity, Timestamp};
use policy::{Addresses, FilteredSender, RuleBook, Rules};
use serde::Serialize;
use std::collections::BTreeSet;

/// What the sender filter refuses at a virtual server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Filtered {
    /// Whose mail it is applied to.
    pub whose: String,
    /// The senders it refuses.
    pub senders: Vec<String>,
    /// Whether it refuses mail without a sender.
    pub null_sender: bool,
    /// Where it is said that the filter is applied.
    pub rule: Place,
}

impl Filtered {
    /// What is filtered at this virtual server; `None` where nothing is, or nobody could send it.
    pub(crate) fn of(book: &RuleBook, server: &Server, table: &ServerTable<'_>) -> Option<Filtered> {
        let rules = &server.rules;
        let filter = rules.senders_filtered_for(&Identity::Anonymous)?;
        let may_send: BTreeSet<usize> =
            table.cells().filter(|cell| cell.verdict.is_taken()).map(|cell| cell.place[1]).collect();
        let may_send: Vec<&Identity> = may_send.into_iter().map(|at| &table.classes.identities[at].identity).collect();
        let is_filtered = |one: &Identity| may_send.contains(&one) && rules.senders_filtered_for(one).is_some();
        let all: Vec<Identity> = subjects(rules).filter(is_filtered).collect();
        if all.is_empty() {
            return None;
        }
        Some(Filtered {
            whose: whose(&all),
            senders: effective(rules, &Identity::Anonymous, table.now())
                .map(|entry| rows::lent(&entry.addresses))
                .collect(),
            null_sender: filter.null_sender,
            rule: Place::of(book, rules.sender_filter.applied_rule),
        })
    }

    /// The senders, as a report says them.
    pub(crate) fn from(&self) -> String {
        let null = self.null_sender.then(|| "nobody (<>)".to_owned());
        // Behind "and more" the null sender would not be seen.
        let named = (!self.senders.is_empty()).then(|| said(&self.senders, "and"));
        let all: Vec<String> = named.into_iter().chain(null).collect();
        all.join(", and ")
    }
}

/// Whose mail can be filtered: that of strangers, and of each peer.
pub(crate) fn subjects(rules: &Rules) -> impl Iterator<Item = Identity> {
    std::iter::once(Identity::Anonymous).chain(rules.peers.keys().map(|name| Identity::Peer(name.clone())))
}

/// Several of those, in words.
pub(crate) fn whose(subjects: &[Identity]) -> String {
    let peers: Vec<String> = subjects.iter().filter_map(Identity::name).map(str::to_owned).collect();
    let mut parts = Vec::new();
    if subjects.contains(&Identity::Anonymous) {
        parts.push("anybody without authenticating".to_owned());
    }
    if !peers.is_empty() {
        let word = if peers.len() == 1 { "peer" } else { "peers" };
        parts.push(format!("{word} {}", said(&peers, "and")));
    }
    said(&parts, "and")
}

/// The entries that filter mail of an identity now, but for those that others make needless.
pub(crate) fn effective<'r>(
    rules: &'r Rules,
    identity: &Identity,
    now: Timestamp,
) -> impl Iterator<Item = &'r FilteredSender> + use<'r> {
    let live: Vec<&FilteredSender> = live(rules, identity, now).collect();
    let whole: BTreeSet<Host> = live.iter().filter_map(|entry| whole(rules, &entry.addresses)).collect();
    let is_needed = move |entry: &&FilteredSender| match &entry.addresses {
        Addresses::One(mailbox) => !whole.contains(&unaliased(rules, &mailbox.host)),
        Addresses::AllAt(_) => true,
    };
    live.into_iter().filter(is_needed)
}

fn live<'r>(
    rules: &'r Rules,
    identity: &Identity,
    now: Timestamp,
) -> impl Iterator<Item = &'r FilteredSender> + use<'r> {
    let entries = rules.senders_filtered_for(identity).map_or(&[][..], |filter| filter.list.entries());
    entries.iter().filter(move |entry| !entry.term.is_over(now))
}

/// The host that is meant as a whole.
fn whole(rules: &Rules, addresses: &Addresses) -> Option<Host> {
    match addresses {
        Addresses::AllAt(host) => Some(unaliased(rules, host)),
        Addresses::One(_) => None,
    }
}

/// Whether everything that an entry means is filtered out of mail of an identity.
pub(crate) fn covers(rules: &Rules, identity: &Identity, addresses: &Addresses, now: Timestamp) -> bool {
    let Some(filter) = rules.senders_filtered_for(identity) else { return false };
    match addresses {
        Addresses::One(mailbox) => filter.list.has(mailbox, &rules.domains, now),
        Addresses::AllAt(host) => {
            let own = Some(unaliased(rules, host));
            live(rules, identity, now).any(|entry| whole(rules, &entry.addresses) == own)
        }
    }
}

/// The domain that a domain stands for.
fn unaliased(rules: &Rules, host: &Host) -> Host {
    match host {
        Host::Domain(domain) => Host::Domain(rules.domains.local(domain).map_or(domain, |(_, stamp)| stamp).clone()),
        Host::Literal(_) => host.clone(),
    }
}

//! The sender filter: reverse-paths whose mail is not wanted (reference 3.4).
//!
//! What is filtered is said once for all virtual servers, and each applies it or does not. It is about mail of
//! clients that have not authenticated (reference 3.1); to be let in by connection control saves nobody from it.
//! A peer's mail is filtered only where the peer may not bypass filters.

use crate::decision::Trace;
use crate::domains::{Alias, Domains};
use crate::rights::Places;
use crate::rule_book::RuleId;
use crate::rules::Rules;
use crate::send_as::{Addresses, stamped};
use crate::term::{self, Term};
use mail::{Domain, Host, Identity, Mailbox, ReversePath, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The sender filter of one virtual server.
#[derive(Clone, Debug)]
pub struct SenderFilter {
    /// Whether the virtual server applies it.
    pub applied: bool,
    /// Where that is said.
    pub applied_rule: RuleId,
    /// What is filtered, at all virtual servers that apply it.
    pub senders: Arc<FilteredSenders>,
}

/// Reverse-paths whose mail is refused.
#[derive(Clone, Debug)]
pub struct FilteredSenders {
    /// By address.
    pub list: SenderList,
    /// Whether the null reverse-path is one of them. Reports of other servers have it.
    pub null_sender: bool,
    /// Where that is said.
    pub null_sender_rule: RuleId,
    /// What becomes of a session that uses one.
    pub on_match: OnMatch,
}

/// What becomes of a session whose sender is filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMatch {
    /// It is ended with the refusal.
    Drop,
    /// It goes on.
    Refuse,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilteredSender {
    /// Where it stands.
    pub rule: RuleId,
    /// Which addresses it means.
    pub addresses: Addresses,
    /// How long, and on whose word.
    pub term: Term,
}

/// A list of addresses. What it costs to look into it does not depend on how long it is.
#[derive(Clone, Debug)]
pub struct SenderList {
    rule: RuleId,
    entries: Vec<FilteredSender>,
    at: BTreeMap<Host, AtHost>,
}

/// The places of the entries that speak of one host.
#[derive(Clone, Debug, Default)]
struct AtHost {
    whole: Vec<usize>,
    by_local_part: Places,
}

impl SenderFilter {
    /// Nothing is filtered.
    #[must_use]
    pub fn off(rule: RuleId) -> SenderFilter {
        let list = SenderList::new(rule, Vec::new(), &BTreeMap::new());
        let senders = FilteredSenders { list, null_sender: false, null_sender_rule: rule, on_match: OnMatch::Drop };
        SenderFilter { applied: false, applied_rule: rule, senders: Arc::new(senders) }
    }
}

impl FilteredSenders {
    /// Whether nobody has said what to filter.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.entries.is_empty() && !self.null_sender
    }

    /// Whether this reverse-path is filtered. The last step is what decided.
    pub(crate) fn have(&self, path: &ReversePath, domains: &Domains, now: Timestamp, trace: &mut Trace) -> bool {
        match path {
            ReversePath::Mailbox(mailbox) => self.list.find(mailbox, domains, now, trace),
            ReversePath::Null if self.null_sender => {
                trace.matched(self.null_sender_rule);
                true
            }
            ReversePath::Null => {
                trace.no_match(self.null_sender_rule);
                false
            }
        }
    }
}

impl SenderList {
    /// The list that `rule` stands for, with its entries in their order. An address at an alias domain is the one it
    /// stands for.
    #[must_use]
    pub fn new(rule: RuleId, entries: Vec<FilteredSender>, aliases: &BTreeMap<Domain, Alias>) -> SenderList {
        let mut at: BTreeMap<Host, AtHost> = BTreeMap::new();
        for (place, entry) in entries.iter().enumerate() {
            let (host, local) = match &entry.addresses {
                Addresses::One(mailbox) => (&mailbox.host, Some(mailbox.local.as_str())),
                Addresses::AllAt(host) => (host, None),
            };
            let at_host = at.entry(unaliased(host, aliases)).or_default();
            match local {
                Some(local) => at_host.by_local_part.add(local, place),
                None => at_host.whole.push(place),
            }
        }
        SenderList { rule, entries, at }
    }

    /// The rule of the list as a whole.
    #[must_use]
    pub fn rule(&self) -> RuleId {
        self.rule
    }

    /// The entries, in their order.
    #[must_use]
    pub fn entries(&self) -> &[FilteredSender] {
        &self.entries
    }

    /// The entries that mean an address, in their order; also those that are over.
    pub fn of(&self, address: &Mailbox, domains: &Domains) -> impl Iterator<Item = &FilteredSender> {
        let at_host = self.at.get(&stamped(&address.host, domains));
        let mut places: Vec<usize> = at_host.map_or_else(Vec::new, |at| {
            at.whole.iter().chain(at.by_local_part.of(address.local.as_str())).copied().collect()
        });
        places.sort_unstable();
        places.into_iter().map(|place| &self.entries[place])
    }

    /// Whether an entry that holds means this address.
    #[must_use]
    pub fn has(&self, address: &Mailbox, domains: &Domains, now: Timestamp) -> bool {
        self.of(address, domains).any(|entry| !entry.term.is_over(now))
    }

    /// Whether an entry means this address. Adds the step of the first that does, or that of the list; before it,
    /// those of entries that would have and are over.
    fn find(&self, address: &Mailbox, domains: &Domains, now: Timestamp, trace: &mut Trace) -> bool {
        let entries = self.of(address, domains).map(|entry| (entry.rule, &entry.term));
        term::one_holds(entries, self.rule, now, trace)
    }
}

impl Rules {
    /// The senders that are filtered out of mail of this identity; `None` where nothing is.
    #[must_use]
    pub fn senders_filtered_for(&self, identity: &Identity) -> Option<&FilteredSenders> {
        self.filtered_senders(identity, &mut Trace::new())
    }

    /// The same, with the steps that say why. Where there is nothing to filter, nothing is tried.
    pub(crate) fn filtered_senders(&self, identity: &Identity, trace: &mut Trace) -> Option<&FilteredSenders> {
        let SenderFilter { applied, applied_rule, senders } = &self.sender_filter;
        if senders.is_empty() {
            return None;
        }
        if !applied || matches!(identity, Identity::Account(_)) {
            trace.no_match(*applied_rule);
            return None;
        }
        if let Identity::Peer(name) = identity {
            let peer = self.peers.get(name)?;
            if peer.bypass_filters {
                trace.matched(peer.bypass_filters_rule);
                return None;
            }
            trace.no_match(peer.bypass_filters_rule);
        }
        Some(senders)
    }
}

fn unaliased(host: &Host, aliases: &BTreeMap<Domain, Alias>) -> Host {
    match host {
        Host::Domain(domain) => Host::Domain(aliases.get(domain).map_or(domain, |alias| &alias.target).clone()),
        Host::Literal(_) => host.clone(),
    }
}

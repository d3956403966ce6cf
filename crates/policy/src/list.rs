//! A list of clients, as connection control and relay restrictions have one.
//!
//! Being listed means the same whichever entry says so, hence address entries are tried before
//! names, whatever their order: the first address entry that matches decides, and no look-up is
//! made; only if none does are the names tried, in their order, against the forward-confirmed names
//! of the client. Address entries are searched sorted, so that a thousand of them cost no more than a
//! few; what is found is what a scan in their order would find.

use crate::decision::{Finding, Missing, Trace};
use crate::rule_book::RuleId;
use mail::{Domain, Found, Ledger, Net, Query, canonical};
use std::net::IpAddr;

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub rule: RuleId,
    /// Whom it means.
    pub what: Match,
}

/// Whom an entry means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// The clients with an address in this prefix; a single address is a prefix of full length.
    Net(Net),
    /// The clients whose forward-confirmed name is this one or below it.
    Domain(Domain),
}

/// A list of clients.
#[derive(Clone, Debug)]
pub struct List {
    rule: RuleId,
    entries: Vec<Entry>,
    /// Address entries, sorted by prefix, each prefix once and with its first place in `entries`.
    nets: Vec<(Net, usize)>,
    /// The prefix lengths that occur, for IPv4 and IPv6: one search each.
    lengths: [Vec<u8>; 2],
    /// Name entries, sorted by name, each name once and with its first place in `name_rules`.
    names: Vec<(Domain, usize)>,
    /// The rules of the name entries, in their order.
    name_rules: Vec<RuleId>,
}

/// Whether a client is on a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// No address entry matched, and the names of the client could not be found out.
    Unavailable,
}

impl List {
    /// The list that `rule` stands for, with its entries in their order.
    #[must_use]
    pub fn new(rule: RuleId, entries: Vec<Entry>) -> List {
        let mut list = List {
            rule,
            nets: Vec::new(),
            lengths: Default::default(),
            names: Vec::new(),
            name_rules: Vec::new(),
            entries,
        };
        for (at, entry) in list.entries.iter().enumerate() {
            match &entry.what {
                Match::Net(net) => {
                    let (family, length) = prefix_length(*net);
                    list.lengths[family].push(length);
                    list.nets.push((*net, at));
                }
                Match::Domain(domain) => {
                    list.names.push((domain.clone(), list.name_rules.len()));
                    list.name_rules.push(entry.rule);
                }
            }
        }
        // The place is part of what is sorted, so the first of equals is the one that is kept.
        list.nets.sort_unstable();
        list.nets.dedup_by_key(|(net, _)| *net);
        list.names.sort_unstable();
        list.names.dedup_by(|later, first| later.0 == first.0);
        for lengths in &mut list.lengths {
            lengths.sort_unstable();
            lengths.dedup();
        }
        list
    }

    /// The rule of the list as a whole.
    #[must_use]
    pub fn rule(&self) -> RuleId {
        self.rule
    }

    /// The entries, in their order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Looks for `client`. Adds the step of the entry that matched, or that of the list; before it, a
    /// step for each name that was tried.
    pub(crate) fn find(&self, client: IpAddr, ledger: &Ledger, trace: &mut Trace) -> Result<Listed, Missing> {
        if let Some(entry) = self.first_net(client) {
            trace.matched(entry.rule);
            return Ok(Listed::Yes);
        }
        if self.name_rules.is_empty() {
            trace.no_match(self.rule);
            return Ok(Listed::No);
        }
        let query = Query::ConfirmedNames(canonical(client));
        let confirmed = match ledger.find(&query) {
            None => return Err(Missing(query)),
            Some(Found::Names(names)) => names.as_slice(),
            Some(Found::Absent) => &[],
            // Addresses do not answer a question for names: nothing has been found out.
            Some(Found::Unavailable | Found::Addresses(_)) => {
                trace.all(&self.name_rules, Finding::Unavailable);
                trace.unavailable(self.rule);
                return Ok(Listed::Unavailable);
            }
        };
        match confirmed.iter().filter_map(|name| self.first_name(name)).min() {
            Some(at) => {
                trace.all(&self.name_rules[..at], Finding::NoMatch);
                trace.matched(self.name_rules[at]);
                Ok(Listed::Yes)
            }
            None => {
                trace.all(&self.name_rules, Finding::NoMatch);
                trace.no_match(self.rule);
                Ok(Listed::No)
            }
        }
    }

    /// The first address entry that `client` lies in.
    fn first_net(&self, client: IpAddr) -> Option<&Entry> {
        let client = canonical(client);
        let place = |&length: &u8| {
            let around = Net::around(client, length, length);
            self.nets.binary_search_by(|(net, _)| net.cmp(&around)).ok().map(|at| self.nets[at].1)
        };
        let first = self.lengths[usize::from(client.is_ipv6())].iter().filter_map(place).min()?;
        Some(&self.entries[first])
    }

    /// The place in `name_rules` of the first entry that is `name` or above it.
    fn first_name(&self, name: &Domain) -> Option<usize> {
        let place = |suffix: &str| {
            self.names.binary_search_by(|(entry, _)| entry.as_str().cmp(suffix)).ok().map(|at| self.names[at].1)
        };
        std::iter::successors(Some(name.as_str()), |name| name.split_once('.').map(|(_, above)| above))
            .filter_map(place)
            .min()
    }
}

/// The family of a prefix, 0 for IPv4 and 1 for IPv6, and its length: read from its text, which
/// leaves out the length of a single address.
fn prefix_length(net: Net) -> (usize, u8) {
    let text = net.to_string();
    let family = usize::from(text.contains(':'));
    let full = if family == 0 { 32 } else { 128 };
    let length =
        text.split_once('/').map_or(full, |(_, length)| length.parse().expect("invariant: a prefix prints its length"));
    (family, length)
}

//! A list of clients, as connection control and relay restrictions have one.
//!
//! Being listed means the same whichever entry says so, hence address entries are tried before
//! names, whatever their order: the first address entry that matches decides, and no look-up is
//! made; only if none does are the names tried, in their order, against the forward-confirmed names
//! of the client. Address entries are searched sorted, so that a thousand of them cost no more than a
//! few; what is found is what a scan in their order would find.

use crate::decision::{Finding, Missing, Step, Trace};
use crate::rule_book::RuleId;
use crate::term::Term;
use mail::{Domain, Found, Ledger, Net, Query, Timestamp, canonical};
use std::net::IpAddr;

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub rule: RuleId,
    /// Whom it means.
    pub what: Match,
    /// How long, and on whose word.
    pub term: Term,
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
    /// Address entries, of IPv4 and of IPv6: where in the address space the answer changes, in order,
    /// and the first entry that matches from there on.
    spans: [Vec<(u128, Option<usize>)>; 2],
    /// Name entries, sorted by name, each name once and with its first place in `misses`.
    names: Vec<(Domain, usize)>,
    /// The steps of name entries that do not match, in their order.
    misses: Vec<Step>,
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

impl Entry {
    /// An entry without an end.
    #[must_use]
    pub fn new(rule: RuleId, what: Match) -> Entry {
        Entry { rule, what, term: Term::default() }
    }

    /// Whether it is an address entry that `client` lies in.
    fn covers(&self, client: IpAddr) -> bool {
        matches!(&self.what, Match::Net(net) if net.contains(client))
    }

    /// Whether it is a name entry that one of these names is, or lies below.
    fn means(&self, names: &[Domain]) -> bool {
        matches!(&self.what, Match::Domain(domain) if names.iter().any(|name| name == domain || name.is_below(domain)))
    }
}

impl List {
    /// The list that `rule` stands for, with its entries in their order.
    #[must_use]
    pub fn new(rule: RuleId, entries: Vec<Entry>) -> List {
        let (mut ranges, mut names, mut misses) = ([Vec::new(), Vec::new()], Vec::new(), Vec::new());
        for (at, entry) in entries.iter().enumerate() {
            match &entry.what {
                Match::Net(net) => {
                    let (family, first, last) = range(*net);
                    ranges[family].push(Range { first, last, at });
                }
                Match::Domain(domain) => {
                    names.push((domain.clone(), misses.len()));
                    misses.push(Step { rule: entry.rule, finding: Finding::NoMatch });
                }
            }
        }
        // The place is part of what is sorted, so the first of equals is the one that is kept.
        names.sort_unstable();
        names.dedup_by(|later, first| later.0 == first.0);
        List { rule, entries, spans: ranges.map(spans), names, misses }
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
    /// step for each name that was tried, and for each entry that would have matched and is over.
    pub(crate) fn find(
        &self,
        client: IpAddr,
        now: Timestamp,
        ledger: &Ledger,
        trace: &mut Trace,
    ) -> Result<Listed, Missing> {
        if let Some(entry) = self.first_net(client, now, trace) {
            trace.matched(entry.rule);
            return Ok(Listed::Yes);
        }
        if self.misses.is_empty() {
            trace.no_match(self.rule);
            return Ok(Listed::No);
        }
        let query = Query::ConfirmedNames(canonical(client));
        let confirmed = match ledger.find(&query) {
            None => return Err(Missing(query)),
            Some(Found::Names(names)) => names.as_slice(),
            Some(Found::Absent) => &[],
            // Addresses do not answer a question for names: nothing has been found out.
            Some(Found::Unavailable | Found::Addresses(_) | Found::Exists) => {
                self.misses.iter().for_each(|step| trace.unavailable(step.rule));
                trace.unavailable(self.rule);
                return Ok(Listed::Unavailable);
            }
        };
        match confirmed.iter().filter_map(|name| self.first_name(name)).min() {
            Some(at) => Ok(self.named(at, confirmed, now, trace)),
            None => {
                trace.all(&self.misses);
                trace.no_match(self.rule);
                Ok(Listed::No)
            }
        }
    }

    /// The first name entry that matches and is not over; `at` is the place of the first that matches.
    fn named(&self, at: usize, confirmed: &[Domain], now: Timestamp, trace: &mut Trace) -> Listed {
        trace.all(&self.misses[..at]);
        let mut names = self.entries.iter().filter(|entry| matches!(entry.what, Match::Domain(_))).skip(at).peekable();
        let first = names.peek().is_some_and(|first| first.means(confirmed));
        assert!(first, "invariant: a name leads to the first entry that means it");
        for entry in names {
            if !entry.means(confirmed) {
                trace.no_match(entry.rule);
            } else if entry.term.is_over(now) {
                trace.expired(entry.rule);
            } else {
                trace.matched(entry.rule);
                return Listed::Yes;
            }
        }
        trace.no_match(self.rule);
        Listed::No
    }

    /// The first address entry that `client` lies in and that is not over.
    fn first_net(&self, client: IpAddr, now: Timestamp, trace: &mut Trace) -> Option<&Entry> {
        let client = canonical(client);
        let (family, address) = number(client);
        let spans = &self.spans[family];
        let after = spans.partition_point(|(start, _)| *start <= address);
        let (_, found) = spans[..after].last()?;
        let at = (*found)?;
        assert!(self.entries[at].covers(client), "invariant: a span has the first entry that its addresses lie in");
        // Those behind it are looked at only when it is over, one by one: that is seldom.
        self.entries[at..].iter().find(|entry| {
            let covers = entry.covers(client);
            if covers && entry.term.is_over(now) {
                trace.expired(entry.rule);
                return false;
            }
            covers
        })
    }

    /// The place in `misses` of the first entry that is `name` or above it.
    fn first_name(&self, name: &Domain) -> Option<usize> {
        let place = |suffix: &str| {
            self.names.binary_search_by(|(entry, _)| entry.as_str().cmp(suffix)).ok().map(|at| self.names[at].1)
        };
        std::iter::successors(Some(name.as_str()), |name| name.split_once('.').map(|(_, above)| above))
            .filter_map(place)
            .min()
    }
}

/// The addresses of one entry.
struct Range {
    first: u128,
    last: u128,
    /// The place of the entry in its list.
    at: usize,
}

/// Where the answer changes. Prefixes lie inside one another or apart, never across, hence a stack of
/// those that are open is enough.
fn spans(mut ranges: Vec<Range>) -> Vec<(u128, Option<usize>)> {
    ranges.sort_unstable_by_key(|range| (range.first, std::cmp::Reverse(range.last)));
    let mut spans: Vec<(u128, Option<usize>)> = Vec::new();
    let mut open: Vec<Range> = Vec::new();
    for range in ranges {
        close(&mut open, &mut spans, Some(range.first));
        // Inside one that stands before it in the list, an entry is never the first to match.
        let at = open.last().map_or(range.at, |outer| outer.at.min(range.at));
        spans.push((range.first, Some(at)));
        open.push(Range { at, ..range });
    }
    close(&mut open, &mut spans, None);
    spans
}

/// Ends the open ranges that end before `next`, all if there is no next; behind each, the one around
/// it speaks again.
fn close(open: &mut Vec<Range>, spans: &mut Vec<(u128, Option<usize>)>, next: Option<u128>) {
    while let Some(ended) = open.pop_if(|inner| next.is_none_or(|next| inner.last < next)) {
        if let Some(behind) = ended.last.checked_add(1) {
            spans.push((behind, open.last().map(|outer| outer.at)));
        }
    }
}

/// The family of an address, 0 for IPv4 and 1 for IPv6, and the address as a number.
fn number(address: IpAddr) -> (usize, u128) {
    match address {
        IpAddr::V4(v4) => (0, u128::from(v4.to_bits())),
        IpAddr::V6(v6) => (1, v6.to_bits()),
    }
}

/// The family of a prefix, its first address and its last.
fn range(net: Net) -> (usize, u128, u128) {
    let (family, first) = number(net.first());
    (family, first, number(net.last()).1)
}

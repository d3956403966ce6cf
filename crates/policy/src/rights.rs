//! The rights of accounts: who may submit, who may relay.
//!
//! Two lists of accounts and groups for each right, and a denial is asked first: whoever is on both lists
//! has not the right, in whatever order they were written. An empty list of those who may is nobody; that
//! is how a virtual server is closed to credentials while servers of the organization go on talking
//! (reference 1.2, "the lock-down trick").

use crate::decision::Trace;
use crate::rule_book::RuleId;
use crate::term::{self, Term};
use mail::{Account, Timestamp};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Whom an entry means. Names are compared without regard to case, as directories do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The account of this name.
    Account(Box<str>),
    /// Every account that belongs to this group, directly or through others.
    Group(Box<str>),
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Where it stands.
    pub rule: RuleId,
    /// Whom it means.
    pub who: Who,
    /// How long, and on whose word.
    pub term: Term,
}

/// A list of accounts and groups. What it costs to look into it does not depend on how long it is.
#[derive(Clone, Debug)]
pub struct Holders {
    rule: RuleId,
    entries: Vec<Holder>,
    named: Named,
}

impl Holders {
    /// The list that `rule` stands for, with its entries in their order.
    #[must_use]
    pub fn new(rule: RuleId, entries: Vec<Holder>) -> Holders {
        let mut named = Named::default();
        for (at, entry) in entries.iter().enumerate() {
            named.add(&entry.who, at);
        }
        Holders { rule, entries, named }
    }

    /// The rule of the list as a whole.
    #[must_use]
    pub fn rule(&self) -> RuleId {
        self.rule
    }

    /// The entries, in their order.
    #[must_use]
    pub fn entries(&self) -> &[Holder] {
        &self.entries
    }

    /// Whether an entry means this account. Adds the step of the first that does, or that of the list; before it,
    /// those of entries that would have and are over.
    pub(crate) fn find(&self, account: &Account, now: Timestamp, trace: &mut Trace) -> bool {
        let entries = self.named.places(account).into_iter().map(|at| &self.entries[at]);
        term::one_holds(entries.map(|entry| (entry.rule, &entry.term)), self.rule, now, trace)
    }
}

/// The places of entries by whom they mean, so that a thousand entries cost no more than a few.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    accounts: Places,
    groups: Places,
}

impl Named {
    pub(crate) fn add(&mut self, who: &Who, place: usize) {
        match who {
            Who::Account(name) => self.accounts.add(name, place),
            Who::Group(name) => self.groups.add(name, place),
        }
    }

    /// The places that mean this account, in their order.
    pub(crate) fn places(&self, account: &Account) -> SmallVec<[usize; 8]> {
        let through = account.groups.iter().flat_map(|group| self.groups.of(group));
        let mut places: SmallVec<[usize; 8]> = self.accounts.of(&account.name).iter().chain(through).copied().collect();
        places.sort_unstable();
        places
    }
}

/// The places of each name in lower case, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(BTreeMap<Box<str>, Vec<usize>>);

impl Places {
    pub(crate) fn add(&mut self, name: &str, place: usize) {
        self.0.entry(name.to_lowercase().into()).or_default().push(place);
    }

    pub(crate) fn of(&self, name: &str) -> &[usize] {
        if self.0.is_empty() {
            return &[];
        }
        self.0.get(&*lower(name)).map_or(&[], Vec::as_slice)
    }
}

/// In lower case, copied only where it is not.
fn lower(name: &str) -> Cow<'_, str> {
    let is_lower = name.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase());
    if is_lower { Cow::Borrowed(name) } else { Cow::Owned(name.to_lowercase()) }
}

/// Who has a right.
#[derive(Clone, Debug)]
pub struct Rights {
    /// Who has it not, whatever else is said.
    pub deny: Holders,
    /// Who has it.
    pub allow: Allowed,
}

/// Who has a right that nothing denies.
#[derive(Clone, Debug)]
pub enum Allowed {
    /// Every account; this is where that is said.
    Everyone(RuleId),
    /// Those of the list, and nobody else.
    Only(Holders),
}

/// Whether an account has a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// It is given.
    Given,
    /// Nothing gives it.
    NotGiven,
    /// It is denied.
    Denied,
}

impl Rights {
    /// Every account has it.
    #[must_use]
    pub fn everyone(rule: RuleId) -> Rights {
        Rights { deny: Holders::new(rule, Vec::new()), allow: Allowed::Everyone(rule) }
    }

    /// No account has it.
    #[must_use]
    pub fn nobody(rule: RuleId) -> Rights {
        Rights { deny: Holders::new(rule, Vec::new()), allow: Allowed::Only(Holders::new(rule, Vec::new())) }
    }

    /// Whether an account has it. The last step is what decided; a list of denials that is empty is not tried.
    pub(crate) fn of(&self, account: &Account, now: Timestamp, trace: &mut Trace) -> Right {
        if self.denies(account, now, trace) {
            Right::Denied
        } else if self.given(account, now, trace) {
            Right::Given
        } else {
            Right::NotGiven
        }
    }

    /// Whether it is given to an account, should nothing deny it.
    pub(crate) fn given(&self, account: &Account, now: Timestamp, trace: &mut Trace) -> bool {
        match &self.allow {
            Allowed::Everyone(rule) => {
                trace.matched(*rule);
                true
            }
            Allowed::Only(holders) => holders.find(account, now, trace),
        }
    }

    /// Whether it is denied to an account.
    pub(crate) fn denies(&self, account: &Account, now: Timestamp, trace: &mut Trace) -> bool {
        !self.deny.entries.is_empty() && self.deny.find(account, now, trace)
    }

    /// The rule that is responsible when nobody in particular is asked about: who has it.
    #[must_use]
    pub fn rule(&self) -> RuleId {
        match &self.allow {
            Allowed::Everyone(rule) => *rule,
            Allowed::Only(holders) => holders.rule,
        }
    }
}

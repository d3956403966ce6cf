//! Classes of identities: anonymous, accounts by the lists that name them or their groups, and each peer.
//!
//! Of an account, answers depend only on whether each list of holders has a live entry for it, and on
//! whether anything is lent to it. Belonging to two groups is being on the lists of both, so the classes are
//! closed under belonging to more groups: whatever set of groups an account has, its class is here.

use crate::classes::Cuts;
use config::Config;
use mail::{Account, Identity, Mailbox, Timestamp};
use policy::{Allowed, Borrower, Holders, Rights, Rules, Who};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// Lists that tell accounts apart: five of each configuration, and one for each holder that a cut names. There can be
/// two classes to the power of this.
const LISTS: usize = 16;

/// Identities that no answer tells apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityClass {
    /// One that stands for them.
    pub identity: Identity,
    /// What alone makes an account one of them; empty for those that are no accounts, and when it takes
    /// several groups, namely those of `identity`.
    pub alike: Vec<Member>,
    key: IdentityKey,
}

/// What an account can be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    /// In no list, and in no group that is.
    Unlisted,
    /// Called so, or in that group.
    Is(Who),
}

impl IdentityClass {
    /// On which lists an account is that is one of both; `None` unless both are accounts.
    pub(crate) fn together_with(&self, other: &IdentityClass) -> Option<Lists> {
        match (&self.key, &other.key) {
            (IdentityKey::Account(one), IdentityKey::Account(two)) => Some(one | two),
            _ => None,
        }
    }

    /// Whether it is the accounts that are on exactly these lists.
    pub(crate) fn is(&self, lists: Lists) -> bool {
        self.key == IdentityKey::Account(lists)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum IdentityKey {
    Anonymous,
    Account(Lists),
    Peer(Box<str>),
}

/// On which lists an account is, a bit for each.
pub(crate) type Lists = u32;

/// What decides which class an identity belongs to, at one virtual server.
pub(crate) struct Identities<'a> {
    configs: Vec<&'a Config>,
    rules: Vec<&'a Rules>,
    cuts: &'a Cuts,
    now: Timestamp,
}

impl<'a> Identities<'a> {
    pub(crate) fn new(name: &str, configs: &[&'a Config], cuts: &'a Cuts, now: Timestamp) -> Identities<'a> {
        let lists = 5 * configs.len() + cuts.holders.len();
        assert!(lists <= LISTS, "invariant: two configurations, or one and a few cuts, are looked at together");
        let servers = configs.iter().filter_map(|config| config.server(name));
        Identities { configs: configs.to_vec(), rules: servers.map(|server| &*server.rules).collect(), cuts, now }
    }

    /// All classes, anonymous first, peers last.
    pub(crate) fn classes(&self) -> Vec<IdentityClass> {
        let anonymous = IdentityClass { identity: Identity::Anonymous, alike: vec![], key: IdentityKey::Anonymous };
        let mut classes = vec![anonymous];
        classes.extend(self.accounts());
        let mut peers: Vec<Box<str>> =
            self.configs.iter().flat_map(|config| &config.peers).map(|peer| peer.name.clone()).collect();
        peers.sort_unstable();
        peers.dedup();
        classes.extend(peers.into_iter().map(|name| IdentityClass {
            identity: Identity::Peer(name.clone()),
            alike: vec![],
            key: IdentityKey::Peer(name),
        }));
        classes
    }

    /// The class of an identity.
    pub(crate) fn class<'c>(&self, classes: &'c [IdentityClass], identity: &Identity) -> Option<&'c IdentityClass> {
        let key = match identity {
            Identity::Anonymous => IdentityKey::Anonymous,
            Identity::Account(account) => {
                let groups: Vec<Who> = account.groups.iter().cloned().map(Who::Group).collect();
                let names = std::iter::once(Who::Account(account.name.clone())).chain(groups);
                IdentityKey::Account(names.fold(self.lists(None), |lists, who| lists | self.lists(Some(&who))))
            }
            Identity::Peer(name) => IdentityKey::Peer(name.clone()),
        };
        classes.iter().find(|class| class.key == key)
    }

    fn accounts(&self) -> Vec<IdentityClass> {
        let (accounts, groups) = self.named();
        let nobody = self.unlisted_name(&accounts);
        let mut kinds: BTreeMap<Lists, Box<str>> = BTreeMap::new();
        for group in &groups {
            kinds.entry(self.lists(Some(&Who::Group(group.clone())))).or_insert_with(|| group.clone());
        }
        let mut found: Found = BTreeMap::new();
        // Those without a name of their own first: an account that is named stands only for what it takes its name for.
        for name in std::iter::once(&nobody).chain(&accounts) {
            let lists = self.lists(None) | self.lists(Some(&Who::Account(name.clone())));
            found.entry(lists).or_insert_with(|| (name.clone(), vec![]));
            close(lists, &kinds, &mut found);
        }
        let members = self.members(&accounts, &groups);
        let class = |(lists, (name, groups)): (Lists, (Box<str>, Vec<Box<str>>))| IdentityClass {
            identity: Identity::Account(Arc::new(Account { addresses: self.own(&name), name, groups: groups.into() })),
            alike: members.get(&lists).cloned().unwrap_or_default(),
            key: IdentityKey::Account(lists),
        };
        let mut classes: Vec<IdentityClass> = found.into_iter().map(class).collect();
        // Who is on no list comes first: that is what is true of everybody.
        classes.sort_by_key(|class| !class.alike.contains(&Member::Unlisted));
        classes
    }

    /// The names and groups that alone make each class.
    fn members(&self, accounts: &[Box<str>], groups: &[Box<str>]) -> BTreeMap<Lists, Vec<Member>> {
        let mut members: BTreeMap<Lists, Vec<Member>> = BTreeMap::new();
        members.entry(self.lists(None)).or_default().push(Member::Unlisted);
        let groups = groups.iter().cloned().map(Who::Group);
        for who in groups.chain(accounts.iter().cloned().map(Who::Account)) {
            members.entry(self.lists(None) | self.lists(Some(&who))).or_default().push(Member::Is(who));
        }
        members
    }

    /// Every account and every group that is named anywhere, in lower case.
    fn named(&self) -> (Vec<Box<str>>, Vec<Box<str>>) {
        let (mut accounts, mut groups) = (Vec::new(), Vec::new());
        let holders = self.rules.iter().flat_map(|rules| lists_of(&rules.submit).chain(lists_of(&rules.relay.rights)));
        let entries = holders.flatten().flat_map(Holders::entries).map(|entry| &entry.who);
        let loans = self.rules.iter().flat_map(|rules| rules.send_as.grants.iter()).filter_map(|loan| match &loan.to {
            Borrower::Holder(who) => Some(who),
            Borrower::Peer(_) | Borrower::Clients(_) => None,
        });
        for who in entries.chain(loans).chain(&self.cuts.holders) {
            match who {
                Who::Account(name) => accounts.push(Box::from(name.to_lowercase())),
                Who::Group(name) => groups.push(Box::from(name.to_lowercase())),
            }
        }
        for names in [&mut accounts, &mut groups] {
            names.sort_unstable();
            names.dedup();
        }
        (accounts, groups)
    }

    /// On which lists everybody is, or who is called so.
    fn lists(&self, who: Option<&Who>) -> Lists {
        let mut bits: Lists = 0;
        let mut put = |is: bool| bits = (bits << 1) | Lists::from(is);
        for rules in &self.rules {
            for rights in [&rules.submit, &rules.relay.rights] {
                put(self.is_on(&rights.deny, who));
                put(match &rights.allow {
                    Allowed::Everyone(_) => true,
                    Allowed::Only(holders) => self.is_on(holders, who),
                });
            }
            let mut live = rules.send_as.grants.iter().filter(|loan| !loan.term.is_over(self.now));
            put(live.any(|loan| matches!((&loan.to, who), (Borrower::Holder(to), Some(who)) if same(to, who))));
        }
        for holder in &self.cuts.holders {
            put(who.is_some_and(|who| same(holder, who)));
        }
        bits
    }

    fn is_on(&self, holders: &Holders, who: Option<&Who>) -> bool {
        let live = |entry: &&policy::Holder| !entry.term.is_over(self.now);
        who.is_some_and(|who| holders.entries().iter().filter(live).any(|entry| same(&entry.who, who)))
    }

    /// What an account is called that nobody names.
    fn unlisted_name(&self, accounts: &[Box<str>]) -> Box<str> {
        let mut name = "somebody".to_owned();
        while accounts.iter().any(|known| **known == *name) {
            name.push('-');
        }
        name.into()
    }

    /// An address of its own for whoever stands for a class.
    fn own(&self, name: &str) -> Box<[Mailbox]> {
        let domain = self.rules.iter().find_map(|rules| crate::senders::local_domains(rules).next());
        let domain = domain.map_or_else(|| "elsewhere.example".to_owned(), ToString::to_string);
        let named = if name.contains('@') { name.parse() } else { format!("{name}@{domain}").parse() };
        named.or_else(|_| format!("own@{domain}").parse()).into_iter().collect()
    }
}

/// For each combination of lists, a name and groups that make an account be on them.
type Found = BTreeMap<Lists, (Box<str>, Vec<Box<str>>)>;

/// Adds what an account can be on that is on these lists and belongs to more groups.
fn close(lists: Lists, kinds: &BTreeMap<Lists, Box<str>>, found: &mut Found) {
    let mut waiting = vec![lists];
    while let Some(lists) = waiting.pop() {
        let (name, inside) = found[&lists].clone();
        for (more, group) in kinds {
            if let Entry::Vacant(vacant) = found.entry(lists | more) {
                vacant.insert((name.clone(), inside.iter().chain([group]).cloned().collect()));
                waiting.push(lists | more);
            }
        }
    }
}

/// The lists of a right.
fn lists_of(rights: &Rights) -> impl Iterator<Item = Option<&Holders>> {
    let allow = match &rights.allow {
        Allowed::Only(holders) => Some(holders),
        Allowed::Everyone(_) => None,
    };
    [Some(&rights.deny), allow].into_iter()
}

/// Whether two mean the same; names are compared without regard to case, as policy does.
fn same(one: &Who, other: &Who) -> bool {
    match (one, other) {
        (Who::Account(one), Who::Account(other)) | (Who::Group(one), Who::Group(other)) => {
            one.to_lowercase() == other.to_lowercase()
        }
        _ => false,
    }
}

//! Cells put together to what a person reads: who, from where, over which link, as whom, to whom.
//!
//! A row is a box: every combination of its classes. Cells are merged along one axis after the other,
//! only where everything else is equal, so the rows of some cells are these cells and no others.

mod who;

use crate::classes::ServerClasses;
use crate::clients::{ClientClass, Names};
use crate::identities::{IdentityClass, Member};
use crate::recipients::{DomainPattern, RecipientForm};
use crate::senders::SenderClass;
use crate::table::{Cell, Link};
use mail::{AddressSet, Identity};
use policy::{Addresses, Borrower, Who};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Prefixes, names and domains that are said one by one; behind them stands how many more there are.
const SAID: usize = 6;

/// The axes, in the order in which they are merged.
const AXES: usize = 5;
const RECIPIENT: usize = 0;
const SENDER: usize = 1;
const LINK: usize = 2;
const CLIENT: usize = 3;
const IDENTITY: usize = 4;

/// A box of cells of one virtual server: places of its classes along each axis.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row([BTreeSet<usize>; AXES]);

/// A row in words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Words {
    /// Who.
    pub who: String,
    /// From where.
    pub from: String,
    /// Over which link; empty where it makes no difference.
    pub link: String,
    /// As whom.
    pub sender: String,
    /// To whom.
    pub to: String,
}

impl Row {
    /// The fewest rows found that are these cells.
    pub(crate) fn of(cells: impl IntoIterator<Item = [usize; AXES]>) -> Vec<Row> {
        let mut rows: Vec<[BTreeSet<usize>; AXES]> =
            cells.into_iter().map(|cell| cell.map(|place| BTreeSet::from([place]))).collect();
        for axis in 0..AXES {
            let mut merged: BTreeMap<[BTreeSet<usize>; AXES], BTreeSet<usize>> = BTreeMap::new();
            for mut row in rows {
                let along = std::mem::take(&mut row[axis]);
                merged.entry(row).or_default().extend(along);
            }
            let put_back = |(mut row, along): ([BTreeSet<usize>; AXES], BTreeSet<usize>)| {
                row[axis] = along;
                row
            };
            rows = merged.into_iter().map(put_back).collect();
        }
        let mut rows: Vec<Row> = rows.into_iter().map(Row).collect();
        // Anonymous is the first identity: what strangers may do is read first.
        rows.sort_by(Row::cmp_identity);
        rows
    }

    /// As [`Row::place`], with what is marked apart from what is not, so that a row can have both.
    pub(crate) fn place_with_mark(cell: &Cell<'_>) -> [usize; AXES] {
        Row::marked(Row::place(cell), cell.verdict.marked())
    }

    /// A place, of what is marked or of what is not.
    pub(crate) fn marked(mut place: [usize; AXES], is_marked: bool) -> [usize; AXES] {
        place[SENDER] += if is_marked { SenderClass::ALL.len() } else { 0 };
        place
    }

    /// The place of a cell.
    pub(crate) fn place(cell: &Cell<'_>) -> [usize; AXES] {
        let [client, identity, sender, recipient] = cell.place;
        let link = usize::from(cell.link == Link::Tls);
        let mut place = [0; AXES];
        for (axis, at) in
            [(RECIPIENT, recipient), (SENDER, sender), (LINK, link), (CLIENT, client), (IDENTITY, identity)]
        {
            place[axis] = at;
        }
        place
    }

    /// Whether a cell is in it.
    #[must_use]
    pub fn contains(&self, cell: &Cell<'_>) -> bool {
        self.contains_but_for(AXES, cell)
    }

    /// Whether it would be, if this axis did not matter.
    fn contains_but_for(&self, ignored: usize, cell: &Cell<'_>) -> bool {
        let marked = Row::place(cell)[SENDER] + SenderClass::ALL.len();
        let within = |(at, (axis, place)): (usize, (&BTreeSet<usize>, usize))| {
            at == ignored || axis.contains(&place) || at == SENDER && axis.contains(&marked)
        };
        self.0.iter().zip(Row::place(cell)).enumerate().all(within)
    }

    /// Rows of strangers before those of accounts, and those before those of peers.
    pub(crate) fn cmp_identity(&self, other: &Row) -> std::cmp::Ordering {
        (&self.0[IDENTITY], &self.0[CLIENT], &self.0).cmp(&(&other.0[IDENTITY], &other.0[CLIENT], &other.0))
    }

    /// The identities.
    pub(crate) fn identities<'c>(&self, classes: &'c ServerClasses) -> impl Iterator<Item = &'c IdentityClass> {
        self.0[IDENTITY].iter().map(|at| &classes.identities[*at])
    }

    /// The clients.
    pub(crate) fn clients<'c>(&self, classes: &'c ServerClasses) -> impl Iterator<Item = &'c ClientClass> {
        self.0[CLIENT].iter().map(|at| &classes.clients[*at])
    }

    /// The domains of the recipients.
    pub(crate) fn domains<'c>(&self, classes: &'c ServerClasses) -> impl Iterator<Item = &'c DomainPattern> {
        self.0[RECIPIENT].iter().flat_map(|at| &classes.recipients[*at].domains)
    }

    /// The addresses of the clients.
    pub(crate) fn addresses(&self, classes: &ServerClasses) -> AddressSet {
        self.clients(classes).fold(AddressSet::default(), |all, client| all.union(&client.addresses))
    }

    /// The identities that are not in it and of whose mail nothing is taken that the row says of others. The cells are
    /// those of its virtual server.
    pub(crate) fn barred<'t>(&self, classes: &ServerClasses, cells: impl Iterator<Item = Cell<'t>>) -> BTreeSet<usize> {
        // Only some accounts, but not all others, are said in words that can mean somebody else as well.
        let accounts = || self.identities(classes).filter(|class| matches!(class.identity, Identity::Account(_)));
        if accounts().next().is_none() || accounts().any(|class| class.alike.contains(&Member::Unlisted)) {
            return BTreeSet::new();
        }
        let others = (0..classes.identities.len()).filter(|at| !self.0[IDENTITY].contains(at));
        let mut barred: BTreeSet<usize> = others.collect();
        for cell in cells.filter(|cell| cell.verdict.is_taken()) {
            if self.contains_but_for(IDENTITY, &cell) {
                barred.remove(&Row::place(&cell)[IDENTITY]);
            }
        }
        barred
    }

    /// In words. `links` are those that the virtual server has; `marked`: what is not the sender's own is marked;
    /// `barred`: identities that the words must not mean.
    pub(crate) fn words(&self, classes: &ServerClasses, links: usize, marked: bool, barred: &BTreeSet<usize>) -> Words {
        let link = match (self.0[LINK].len() == links, self.0[LINK].contains(&1)) {
            (true, _) => "",
            (false, true) => "over TLS",
            (false, false) => "in the clear",
        };
        Words {
            who: who::said(classes, &self.0[IDENTITY], barred),
            from: from(classes, &self.0[CLIENT]),
            link: link.to_owned(),
            sender: senders(&self.0[SENDER], marked),
            to: to(classes, &self.0[RECIPIENT]),
        }
    }
}

impl Words {
    /// From where, and over which link if that makes a difference.
    pub(crate) fn origin(&self) -> String {
        if self.link.is_empty() { self.from.clone() } else { format!("{}, {}", self.from, self.link) }
    }
}

/// A list as it is said: the first few, and how many more.
pub(crate) fn said(items: &[String], last: &str) -> String {
    mail::said(items, last, SAID)
}

fn from(classes: &ServerClasses, places: &BTreeSet<usize>) -> String {
    let mut plain = AddressSet::default();
    let mut named: BTreeMap<String, AddressSet> = BTreeMap::new();
    for class in places.iter().map(|at| &classes.clients[*at]) {
        let alike = |at: &usize| classes.clients[*at].addresses == class.addresses;
        let everything = (0..classes.clients.len()).filter(alike).all(|at| places.contains(&at));
        if everything {
            plain = plain.union(&class.addresses);
        } else if let Some(words) = names(&class.names) {
            let all = named.entry(words).or_default();
            *all = all.union(&class.addresses);
        }
    }
    let mut parts: Vec<String> = if plain.is_empty() { vec![] } else { vec![plain.in_short()] };
    for (words, set) in named {
        let where_from =
            if set.union(&plain).is_everywhere() { String::new() } else { format!(" at {}", set.in_short()) };
        parts.push(format!("{words}{where_from}"));
    }
    said(&parts, "and")
}

fn names(names: &Names) -> Option<String> {
    Some(match names {
        Names::Any => return None,
        Names::Unlisted => "hosts without a listed name".to_owned(),
        Names::Unavailable => "hosts whose names cannot be found out".to_owned(),
        Names::Confirmed { alike, example } => {
            let list: Vec<String> =
                (if alike.is_empty() { example } else { alike }).iter().map(ToString::to_string).collect();
            format!("hosts named {} or below", said(&list, if alike.is_empty() { "and also" } else { "or" }))
        }
    })
}

fn senders(places: &BTreeSet<usize>, marked: bool) -> String {
    let all = SenderClass::ALL.len();
    let plain: Vec<SenderClass> = places.iter().filter(|at| **at < all).map(|at| SenderClass::ALL[*at]).collect();
    let wide = [SenderClass::Null, SenderClass::Inside, SenderClass::Outside];
    if !marked && wide.iter().all(|class| plain.contains(class)) {
        return "anybody".to_owned();
    }
    let with_mark = |class: &SenderClass| format!("{class} (marked)");
    let mut words: Vec<String> =
        plain.iter().map(|class| if marked { with_mark(class) } else { class.to_string() }).collect();
    words.extend(places.iter().filter(|at| **at >= all).map(|at| with_mark(&SenderClass::ALL[*at - all])));
    // The null reverse-path, which is no address, is said last.
    let (null, mut others): (Vec<String>, Vec<String>) = words.into_iter().partition(|word| word.contains('<'));
    others.extend(null);
    said(&others, "and")
}

fn to(classes: &ServerClasses, places: &BTreeSet<usize>) -> String {
    let mut domains: Vec<DomainPattern> = Vec::new();
    let mut other = false;
    for class in places.iter().map(|at| &classes.recipients[*at]) {
        other |= !matches!(class.form, RecipientForm::Postmaster);
        domains.extend(class.domains.iter().cloned());
    }
    domains.sort_unstable();
    domains.dedup();
    let foreign = |at: &usize| classes.recipients[*at].form == RecipientForm::Foreign;
    let every_foreign = (0..classes.recipients.len()).filter(foreign).all(|at| places.contains(&at));
    if every_foreign && places.iter().all(foreign) && !places.is_empty() {
        return "every domain outside".to_owned();
    }
    let list: Vec<String> = domains.iter().map(ToString::to_string).collect();
    let list = said(&list, "and");
    if other { list } else { format!("the postmaster of {list}") }
}

/// To whom something is lent.
pub(crate) fn borrower(to: &Borrower) -> String {
    match to {
        Borrower::Holder(Who::Account(name)) => format!("account {}", name.to_lowercase()),
        Borrower::Holder(Who::Group(name)) => format!("members of group {}", name.to_lowercase()),
        Borrower::Peer(name) => format!("peer {name}"),
        Borrower::Clients(net) => format!("anybody at {net}"),
    }
}

/// What is lent.
pub(crate) fn lent(addresses: &Addresses) -> String {
    match addresses {
        Addresses::One(mailbox) => mailbox.to_string(),
        Addresses::AllAt(host) => format!("anybody at {host}"),
    }
}

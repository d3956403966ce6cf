//! Addresses that are lent now, or no more.
//!
//! A loan holds at every virtual server, and makes a difference where a rule asks whose an address is. Of each, a
//! borrower is looked for who may use the address under one of the settings and not, or only with a mark, under the
//! other. Where there is none, nothing changes in who may do what: nobody asks, or the address is lent anyway.

use super::headers::Header;
use super::show::Wanted;
use super::{Compared, Direction, Line, Places};
use crate::audit::Place;
use crate::clients::ClientClass;
use crate::table::{Link, ServerTable, Table};
use crate::{ServerClasses, Witness, rows, senders};
use config::Config;
use mail::{Account, AddressSet, Identity, Mailbox, ReversePath};
use policy::{AddressPlace, Addresses, Borrower, Who};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where an address can stand, the reverse-path first.
const PLACES: [AddressPlace; 4] =
    [AddressPlace::Envelope, AddressPlace::From, AddressPlace::Sender, AddressPlace::ResentFrom];

/// One address, or all of a domain, lent to somebody.
struct Lent<'a> {
    to: &'a Borrower,
    addresses: &'a Addresses,
    rule: Place,
}

impl Compared<'_> {
    /// What is lent now, and what no longer.
    pub(super) fn loans(&self) -> Vec<Line> {
        let (before, after) = (self.lent(self.old.1), self.lent(self.new.1));
        let more = after.iter().filter(|(key, _)| !before.contains_key(key)).map(|(key, lent)| (key, lent, true));
        let less = before.iter().filter(|(key, _)| !after.contains_key(key)).map(|(key, lent)| (key, lent, false));
        let line = |((who, what), lent, is_more): (&(String, String), &Lent<'_>, bool)| {
            let (session, refused) = self.borrowing(lent, is_more)?;
            let unmarked = if refused { "" } else { " unmarked" };
            Some(Line {
                direction: if is_more { Direction::Wider } else { Direction::Narrower },
                server: None,
                what: format!("{who} may {} send as {what}{unmarked}", if is_more { "now" } else { "no longer" }),
                words: None,
                by: if is_more { lent.rule.clone().into() } else { Places::default() },
                was: if is_more { Places::default() } else { lent.rule.clone().into() },
                witness: Some(self.shown(session)),
            })
        };
        more.chain(less).filter_map(line).collect()
    }

    /// What these settings lend, by whom and what.
    fn lent<'c>(&self, config: &'c Config) -> BTreeMap<(String, String), Lent<'c>> {
        let grants = config.servers.first().map(|server| &server.rules.send_as.grants);
        let live =
            grants.into_iter().flat_map(|grants| grants.iter()).filter(|loan| !loan.term.is_over(self.classes.now));
        let each = live.flat_map(|loan| {
            let one = |addresses| {
                let lent = Lent { to: &loan.to, addresses, rule: Place::of(&config.book, loan.rule) };
                ((rows::borrower(&loan.to), rows::lent(addresses)), lent)
            };
            loan.addresses.iter().map(one)
        });
        each.collect()
    }

    /// A session of a borrower for whom the loan makes a difference, and whether that is a refusal and not a mark alone:
    /// best of one who may submit under both settings, and of whom the address is refused without the loan.
    fn borrowing(&self, lent: &Lent<'_>, is_more: bool) -> Option<(Witness, bool)> {
        let address = senders::example(lent.addresses)?;
        let one = if is_more { Wanted::New } else { Wanted::Old };
        let preferences = [(Wanted::Both, true), (Wanted::Both, false), (one, true), (one, false)];
        preferences.into_iter().find_map(|(wanted, refused)| {
            let mut servers = self.classes.servers.iter();
            let session = servers.find_map(|own| {
                let mut sessions =
                    self.arrivals(own, lent.to).filter_map(|session| self.unsuspicious(&session, wanted));
                sessions.find_map(|session| self.use_of(&address, &session, (is_more, refused)))
            })?;
            Some((session, refused))
        })
    }

    /// The place where the address is taken under one of the settings; and refused, or only marked, under the other.
    fn use_of(&self, address: &Mailbox, session: &Witness, (is_more, refused): (bool, bool)) -> Option<Witness> {
        PLACES.into_iter().find_map(|place| {
            let session = match place {
                AddressPlace::Envelope => session.clone().from(&ReversePath::Mailbox(address.clone())),
                _ => session.clone().saying(place, address),
            };
            let [old, new] = self.told(&session).map(|told| {
                let judged = if place == AddressPlace::Envelope { told.sender } else { told.message };
                judged.map_or(Header::Refused, Header::of)
            });
            let (with, without) = if is_more { (new, old) } else { (old, new) };
            (with < without && (without == Header::Refused) == refused).then_some(session)
        })
    }

    /// Sessions of borrowers at a virtual server. What an account or a peer may does not depend on where it comes from,
    /// once it is in.
    fn arrivals<'s>(&'s self, own: &'s ServerClasses, to: &'s Borrower) -> impl Iterator<Item = Witness> + 's {
        let all = borrowers(own, to);
        all.into_iter().flat_map(move |identity| {
            let clients = self.clients(own, to, &identity);
            let sessions = clients.into_iter().flat_map(move |client| {
                let by = identity.clone();
                Link::ALL.into_iter().map(move |link| Witness::arrival(&own.server, &client, link).by(&by))
            });
            sessions.collect::<Vec<_>>()
        })
    }

    /// From where a borrower is let in: where both settings do first.
    fn clients(&self, own: &ServerClasses, to: &Borrower, identity: &Identity) -> Vec<ClientClass> {
        let admits = |table: &Table<'_>, client: &ClientClass| {
            let mut all = table.server(&own.server).into_iter().flat_map(ServerTable::connections);
            all.any(|(known, judged)| known == client && judged.verdict.is_ok())
        };
        let tables = [self.before, self.after];
        let mut admitted: Vec<(bool, ClientClass)> = Vec::new();
        for class in &own.clients {
            let Some(client) = self.within(class, to, identity) else { continue };
            let by = tables.map(|table| admits(table, class));
            if by.contains(&true) {
                admitted.push((by.contains(&false), client));
            }
        }
        admitted.sort_by_key(|(only_one, _)| *only_one);
        let most = if *identity == Identity::Anonymous { admitted.len() } else { 1 };
        admitted.into_iter().map(|(_, client)| client).take(most).collect()
    }

    /// Those of a class of clients that can be the borrower.
    fn within(&self, class: &ClientClass, to: &Borrower, identity: &Identity) -> Option<ClientClass> {
        let nets = match (to, identity) {
            (Borrower::Clients(net), _) => vec![*net],
            (_, Identity::Peer(name)) => {
                let peers = [self.new.1, self.old.1].into_iter().flat_map(|config| &config.peers);
                peers.filter(|peer| peer.name == *name).flat_map(|peer| peer.addresses.clone()).collect()
            }
            _ => vec![],
        };
        if nets.is_empty() { Some(class.clone()) } else { class.within(&AddressSet::of(&nets)) }
    }
}

/// Everybody something is lent to, one for each class of identities that they can be in.
fn borrowers(own: &ServerClasses, to: &Borrower) -> Vec<Identity> {
    let who = match to {
        Borrower::Clients(_) => return vec![Identity::Anonymous],
        Borrower::Peer(name) => return vec![Identity::Peer(name.clone())],
        Borrower::Holder(who) => who,
    };
    let mut all: Vec<Identity> = Vec::new();
    for class in &own.identities {
        let Identity::Account(account) = &class.identity else { continue };
        let identity = Identity::Account(Arc::new(one_of(who, account)));
        if !all.contains(&identity) {
            all.push(identity);
        }
    }
    all
}

/// The same account, but called so, or also in this group.
fn one_of(who: &Who, account: &Account) -> Account {
    let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
    match who {
        Who::Account(name) if same(name, &account.name) => account.clone(),
        Who::Account(name) => {
            let own = |own: &Mailbox| format!("{name}@{}", own.host).parse().ok();
            Account {
                name: name.clone(),
                groups: account.groups.clone(),
                addresses: account.addresses.iter().filter_map(own).collect(),
            }
        }
        Who::Group(group) if account.groups.iter().any(|own| same(own, group)) => account.clone(),
        Who::Group(group) => {
            Account { groups: account.groups.iter().chain([group]).cloned().collect(), ..account.clone() }
        }
    }
}

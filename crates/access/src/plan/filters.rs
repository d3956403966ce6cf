//! What changes about the sender filter: from whom mail is refused now, or taken again.

use super::{Compared, Direction, Line, Places, Taken};
use crate::audit::Place;
use crate::filters::{covers, effective, subjects, whose};
use crate::rows::{self, said};
use crate::senders::{SenderClass, one_of};
use crate::table::{Cell, ServerTable};
use crate::witness::Witness;
use config::Server;
use mail::{Identity, Mailbox, ReversePath, Timestamp};
use policy::{Addresses, FilteredSender, Rules};

/// Mail of an identity that one configuration filters and the other takes.
struct Turned<'a> {
    identity: Identity,
    entries: Vec<&'a FilteredSender>,
    rule: Place,
    session: Witness,
}

impl Compared<'_> {
    /// What changes at a virtual server that is in both configurations.
    pub(super) fn filters(&self, name: &str) -> Vec<Line> {
        let (Some(old), Some(new)) = (self.old.1.server(name), self.new.1.server(name)) else { return Vec::new() };
        let (Some(before), Some(after)) = (self.before.server(name), self.after.server(name)) else {
            return Vec::new();
        };
        let closed = self.turned((new, old), before);
        let opened = self.turned((old, new), after);
        let closed = closed.into_iter().map(|group| (Direction::Narrower, "is refused now", group));
        let opened = opened.into_iter().map(|group| (Direction::Wider, "is filtered no more", group));
        let line = |(direction, word, group): (Direction, &str, Vec<Turned<'_>>)| {
            let identities: Vec<Identity> = group.iter().map(|one| one.identity.clone()).collect();
            let first = group.into_iter().next()?;
            let senders: Vec<String> = first.entries.iter().map(|entry| rows::lent(&entry.addresses)).collect();
            Some(Line {
                direction,
                server: Some(name.to_owned()),
                what: format!("mail of {} from {} {word}", whose(&identities), said(&senders, "and")),
                words: None,
                by: first.rule.into(),
                was: Places::default(),
                witness: Some(self.shown(first.session)),
            })
        };
        closed.chain(opened).filter_map(line).collect()
    }

    /// What `filtering` refuses and `taking` takes, by identity; identities with the same are together. `table` is that
    /// of `taking`: what nobody may send there is not worth a word.
    fn turned<'s>(&self, (filtering, taking): (&'s Server, &Server), table: &ServerTable<'_>) -> Vec<Vec<Turned<'s>>> {
        let now = self.classes.now;
        let mut groups: Vec<Vec<Turned<'s>>> = Vec::new();
        for identity in subjects(&filtering.rules) {
            let takers = Takers::of(table, &identity);
            let session = |entry: &FilteredSender| {
                let (cell, address) = takers.example(&taking.rules, &identity, &entry.addresses, now)?;
                let session = cell.witness().from(&ReversePath::Mailbox(address));
                self.is_turned(&session, taking).then_some(session)
            };
            let filtered = effective(&filtering.rules, &identity, now);
            let shown: Vec<(&FilteredSender, Witness)> =
                filtered.filter_map(|entry| Some((entry, session(entry)?))).collect();
            let Some((first, session)) = shown.first().cloned() else { continue };
            let entries: Vec<&FilteredSender> = shown.into_iter().map(|(entry, _)| entry).collect();
            let rule = self.responsible((filtering, taking), &identity, first);
            let turned = Turned { identity, entries, rule, session };
            let alike = |group: &&mut Vec<Turned<'s>>| {
                group.iter().all(|other| (&other.entries, &other.rule) == (&turned.entries, &turned.rule))
            };
            match groups.iter_mut().find(alike) {
                Some(group) => group.push(turned),
                None => groups.push(vec![turned]),
            }
        }
        groups
    }

    /// Whether mail of a session is taken by the settings of `taking`, and not by the others.
    fn is_turned(&self, session: &Witness, taking: &Server) -> bool {
        let [old, new] = self.told(session).map(|told| Taken::told(&told) != Taken::Not);
        let is_new = self.new.1.server(&session.server).is_some_and(|new| std::ptr::eq(new, taking));
        if is_new { new && !old } else { old && !new }
    }

    /// The line of the new settings to which a difference leads.
    fn responsible(&self, servers: (&Server, &Server), identity: &Identity, entry: &FilteredSender) -> Place {
        let (filtering, taking) = (&servers.0.rules, &servers.1.rules);
        let bypasses = |rules: &Rules| {
            let peer = identity.name().and_then(|name| rules.peers.get(name));
            peer.map(|peer| peer.bypass_filters)
        };
        let book = &self.new.1.book;
        if filtering.sender_filter.applied != taking.sender_filter.applied {
            Place::key(book, &format!("virtual_server.{}.filters.sender", servers.0.name))
        } else if let Some(name) = identity.name()
            && bypasses(filtering) != bypasses(taking)
        {
            Place::key(book, &format!("peer.{name}.bypass_filters"))
        } else if self.new.1.server(&servers.0.name).is_some_and(|new| std::ptr::eq(new, servers.0)) {
            Place::of(book, entry.rule)
        } else {
            Place::key(book, "sender_filter.list")
        }
    }
}

/// A session of an identity whose mail is taken, for each class of sender that can be filtered.
struct Takers<'t> {
    lent: Option<Cell<'t>>,
    inside: Option<Cell<'t>>,
    outside: Option<Cell<'t>>,
}

impl<'t> Takers<'t> {
    fn of(table: &'t ServerTable<'_>, identity: &Identity) -> Takers<'t> {
        let first = |class: SenderClass| {
            let is_one = |cell: &Cell<'_>| cell.identity.identity == *identity && cell.sender == class;
            table.cells().find(|cell| is_one(cell) && cell.verdict.is_taken())
        };
        Takers {
            lent: first(SenderClass::Lent),
            inside: first(SenderClass::Inside),
            outside: first(SenderClass::Outside),
        }
    }

    /// A session in which an address of an entry is taken by these rules, and the address.
    fn example(
        &self,
        rules: &Rules,
        identity: &Identity,
        addresses: &Addresses,
        now: Timestamp,
    ) -> Option<(&Cell<'t>, Mailbox)> {
        let address = not_filtered(rules, identity, addresses, now)?;
        let meant = [addresses.clone(), Addresses::One(address.clone()), Addresses::AllAt(address.host.clone())];
        let lent = self.lent.as_ref().filter(|cell| {
            let mut held = rules.send_as.grants.held_by(identity, cell.client.representative);
            held.any(|loan| meant.iter().any(|one| loan.addresses.contains(one)))
        });
        let inside = address.domain().is_some_and(|domain| rules.domains.local(domain).is_some());
        let plain = if inside { self.inside.as_ref() } else { self.outside.as_ref() };
        Some((plain.or(lent)?, address))
    }
}

/// One of these addresses that is not filtered out of mail of an identity; one of more than the filter names.
fn not_filtered(rules: &Rules, identity: &Identity, addresses: &Addresses, now: Timestamp) -> Option<Mailbox> {
    if covers(rules, identity, addresses, now) {
        return None;
    }
    let named = rules.senders_filtered_for(identity).map_or(0, |filter| filter.list.entries().len());
    let locals = std::iter::once("somebody".to_owned()).chain((1..=named).map(|n| format!("somebody.{n}")));
    let mut all = locals.filter_map(|local| one_of(addresses, &local));
    all.find(|one| !covers(rules, identity, &Addresses::One(one.clone()), now))
}

//! Proof or witness: whether settings can ever do what an invariant says must never be.
//!
//! Every class of session is looked at, cut further wherever an invariant tells two apart that the rules do
//! not; so "it holds" is a proof and not a sample. It is looked at now, and again behind the end of every
//! denial that has one: only there does more become possible without anybody changing a line.

use crate::audit::Place;
use crate::classes::{Classes, Cuts};
use crate::clients::ClientClass;
use crate::recipients::DomainPattern;
use crate::table::{Cell, Link, ServerTable, Table};
use crate::witness::Witness;
use config::{Config, Server};
use invariant::{Client, Domains, Invariant, Never, Prefix, Ranges};
use mail::{AddressSet, Identity, Net, Timestamp};
use policy::{Mode, RuleBook, RuleId, Term, Who};
use std::net::IpAddr;

/// The moments that are looked at; each is a table of its own.
const MOMENTS: usize = 100;

/// What became of one invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Which, by its place among those that were asked about.
    pub invariant: usize,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of an invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Holds {
        /// The classes that were looked at.
        classes: usize,
    },
    /// It does not: once for each virtual server where it does not.
    Broken(Vec<Broken>),
    /// It could not be found out; in words, why.
    Unproved(&'static str),
}

/// Where and how an invariant is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The virtual server.
    pub server: Box<str>,
    /// When it begins; `None`: it is so now.
    pub since: Option<Timestamp>,
    /// From where.
    pub addresses: AddressSet,
    /// Who does what, for one of those addresses, in words.
    pub what: String,
    /// The rule that permits it, where one does.
    pub rule: Option<RuleId>,
    /// The key of the settings that permits it, where no rule is asked.
    pub key: Option<String>,
    /// A session in which it happens.
    pub witness: Witness,
}

impl Broken {
    /// The line of the settings that permits it.
    #[must_use]
    pub fn place(&self, book: &RuleBook) -> Option<Place> {
        let rule = self.rule.map(|rule| Place::of(book, rule));
        rule.or_else(|| self.key.as_ref().map(|key| Place::key(book, key)))
    }
}

/// Asks of every invariant whether `config` can break it, now or later.
#[must_use]
pub fn prove(config: &Config, now: Timestamp) -> Vec<Proof> {
    let all = &config.invariants;
    let mut outcomes: Vec<Outcome> = all.iter().map(|_| Outcome::Holds { classes: 0 }).collect();
    let moments = moments(config, now);
    for moment in moments.iter().copied().take(MOMENTS) {
        let since = (moment != now).then_some(moment);
        for group in groups(all) {
            look(config, (moment, since), &group, &mut outcomes);
        }
    }
    if moments.len() > MOMENTS {
        for outcome in outcomes.iter_mut().filter(|outcome| matches!(outcome, Outcome::Holds { .. })) {
            *outcome = Outcome::Unproved("more denials have an end than can be looked at");
        }
    }
    outcomes.into_iter().enumerate().map(|(invariant, outcome)| Proof { invariant, outcome }).collect()
}

/// Invariants, each with its place among all.
type Group<'a> = Vec<(usize, &'a Invariant)>;

/// Those that can be asked of one table, each with its place: all that tell no accounts apart, and those that
/// speak of the same account or group. An account that is told apart doubles the classes of accounts.
fn groups(all: &[Invariant]) -> Vec<Group<'_>> {
    let mut groups: Vec<(Option<Who>, Group<'_>)> = Vec::new();
    for (at, one) in all.iter().enumerate() {
        let holder = holder(one);
        match groups.iter_mut().find(|(known, _)| *known == holder) {
            Some((_, members)) => members.push((at, one)),
            None => groups.push((holder, vec![(at, one)])),
        }
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

fn holder(invariant: &Invariant) -> Option<Who> {
    match &invariant.who {
        invariant::Who::Account(name) => Some(Who::Account(name.clone())),
        invariant::Who::Group(name) => Some(Who::Group(name.clone())),
        _ => None,
    }
}

/// Now, and every moment at which a denial ends.
fn moments(config: &Config, now: Timestamp) -> Vec<Timestamp> {
    let mut ends = Vec::new();
    let mut add = |term: &Term| ends.extend(term.expires.filter(|end| *end > now));
    for server in &config.servers {
        let rules = &server.rules;
        let denials = [&rules.submit.deny, &rules.relay.rights.deny];
        denials.iter().flat_map(|list| list.entries()).for_each(|entry| add(&entry.term));
        let lists = [(rules.connection.mode, &rules.connection.list), (rules.relay.mode, &rules.relay.list)];
        let denied = lists.into_iter().filter(|(mode, _)| *mode == Mode::AllExcept);
        denied.flat_map(|(_, list)| list.entries()).for_each(|entry| add(&entry.term));
    }
    ends.push(now);
    ends.sort_unstable();
    ends.dedup();
    ends
}

/// Looks at all classes at one moment.
fn look(config: &Config, (moment, since): (Timestamp, Option<Timestamp>), group: &Group<'_>, outcomes: &mut [Outcome]) {
    let classes = Classes::with(&[config], &cuts(group), moment);
    let table = Table::of(config, &classes);
    for (at, invariant) in group {
        let spoken_of = Domains::of(&invariant.except_to);
        if spoken_of.contains(classes.outside.as_str()) {
            outcomes[*at] = Outcome::Unproved("`except_to` leaves no domain that could stand for all others");
            continue;
        }
        let speaks = Speaks { invariant, except_to: spoken_of, from: from(invariant), since };
        for server in &config.servers {
            let at_server = invariant.at.as_deref().is_none_or(|name| name == &*server.name);
            if let Some(own) = table.server(&server.name).filter(|_| at_server) {
                let (looked, broken) = speaks.of(server, own);
                enter(&mut outcomes[*at], looked, broken);
            }
        }
    }
}

/// Adds what one virtual server has shown at one moment; of a virtual server, the first moment is told.
fn enter(outcome: &mut Outcome, looked: usize, broken: Option<Broken>) {
    match (&mut *outcome, broken) {
        (Outcome::Holds { classes }, None) => *classes += looked,
        (Outcome::Holds { .. }, Some(broken)) => *outcome = Outcome::Broken(vec![broken]),
        (Outcome::Broken(all), Some(broken)) if all.iter().all(|known| known.server != broken.server) => {
            all.push(broken);
        }
        (Outcome::Broken(_) | Outcome::Unproved(_), _) => {}
    }
}

fn cuts(group: &Group<'_>) -> Cuts {
    let mut cuts = Cuts::default();
    for (_, invariant) in group {
        cuts.nets.extend(invariant.from.iter().chain(&invariant.except_from).filter_map(net));
        cuts.holders.extend(holder(invariant).filter(|who| !cuts.holders.contains(who)));
        cuts.domains.extend(invariant.except_to.iter().filter_map(|pattern| {
            let domain = pattern.domain().parse().ok()?;
            Some(if pattern.is_below() { DomainPattern::Below(domain) } else { DomainPattern::Is(domain) })
        }));
    }
    cuts.nets.sort_unstable();
    cuts.nets.dedup();
    cuts.domains.sort_unstable();
    cuts.domains.dedup();
    cuts
}

/// The same prefix in the words of the rules.
fn net(prefix: &Prefix) -> Option<Net> {
    prefix.to_string().parse().ok()
}

/// The addresses of which an invariant speaks; `None`: of all but the exceptions.
fn from(invariant: &Invariant) -> (Option<Ranges>, Ranges) {
    let from = (!invariant.from.is_empty()).then(|| Ranges::of(&invariant.from));
    (from, Ranges::of(&invariant.except_from))
}

/// One invariant, asked of the table at one moment.
struct Speaks<'a> {
    invariant: &'a Invariant,
    except_to: Domains,
    from: (Option<Ranges>, Ranges),
    since: Option<Timestamp>,
}

impl Speaks<'_> {
    /// How many classes there are, and how it is broken.
    fn of(&self, server: &Server, table: &ServerTable<'_>) -> (usize, Option<Broken>) {
        match self.invariant.never {
            Never::Connect => self.connections(server, table, None),
            Never::AuthOffered => self.offers(server, table, &Link::ALL),
            Never::AuthInClear => self.offers(server, table, &[Link::Clear]),
            Never::Submit | Never::Relay => self.mail(table),
        }
    }

    fn comes_from(&self, address: IpAddr) -> bool {
        let (from, except) = &self.from;
        from.as_ref().is_none_or(|from| from.contains(address)) && !except.contains(address)
    }

    /// Sessions in which mail is taken that must not be.
    fn mail(&self, table: &ServerTable<'_>) -> (usize, Option<Broken>) {
        let (mut looked, mut broken) = (0, None::<Broken>);
        for cell in table.cells() {
            looked += 1;
            if !self.is_broken(&cell) {
                continue;
            }
            match &mut broken {
                Some(known) => known.addresses = known.addresses.union(&cell.client.addresses),
                None => broken = Some(self.broken_by(&cell)),
            }
        }
        (looked, broken)
    }

    fn is_broken(&self, cell: &Cell<'_>) -> bool {
        let done = match self.invariant.never {
            Never::Relay => {
                let domain = cell.recipient.recipient.domain();
                cell.verdict.is_relayed() && !domain.is_some_and(|domain| self.except_to.contains(domain.as_str()))
            }
            _ => cell.verdict.is_taken(),
        };
        done && self.comes_from(cell.client.representative)
            && self.invariant.who.means(&client(&cell.identity.identity))
    }

    fn broken_by(&self, cell: &Cell<'_>) -> Broken {
        let verb = if cell.verdict.is_relayed() { "relays" } else { "submits" };
        let (who, to) = (whom(&cell.identity.identity), &cell.recipient.recipient);
        let from = cell.client.representative;
        let submits = (!cell.verdict.is_relayed()).then_some(cell.submits_by).flatten();
        Broken {
            server: cell.server.into(),
            since: self.since,
            addresses: cell.client.addresses.clone(),
            what: format!("{from}, {who}, {verb} to {to}"),
            rule: submits.or(cell.rule),
            key: None,
            witness: self.dated(cell.witness()),
        }
    }

    /// What begins later is shown on the day it begins.
    fn dated(&self, witness: Witness) -> Witness {
        match self.since {
            Some(since) => witness.on_day_of(since),
            None => witness,
        }
    }

    /// Clients that are let in; with a link, those that are offered AUTH on it.
    fn connections(&self, server: &Server, table: &ServerTable<'_>, link: Option<Link>) -> (usize, Option<Broken>) {
        let (mut looked, mut broken) = (0, None::<Broken>);
        for (client, judged) in table.connections() {
            looked += 1;
            if judged.verdict.is_err() || !self.comes_from(client.representative) {
                continue;
            }
            match &mut broken {
                Some(known) => known.addresses = known.addresses.union(&client.addresses),
                None => broken = Some(self.let_in(server, client, judged.rule, link)),
            }
        }
        (looked, broken)
    }

    fn let_in(&self, server: &Server, client: &ClientClass, rule: RuleId, link: Option<Link>) -> Broken {
        let from = client.representative;
        let (what, rule, key) = match link {
            None => (format!("{from} may connect"), Some(rule), None),
            Some(link) => {
                let offered = link.offers(server).unwrap_or_default().join(" ");
                let key = format!("virtual_server.{}.authentication.mechanisms", server.name);
                (format!("{from} is offered AUTH {offered} {link}"), None, Some(key))
            }
        };
        Broken {
            server: server.name.clone(),
            since: self.since,
            addresses: client.addresses.clone(),
            what,
            rule,
            key,
            witness: self.dated(Witness::arrival(&server.name, client, link.unwrap_or(Link::Clear))),
        }
    }

    /// Clients that are let in and offered AUTH on one of these links.
    fn offers(&self, server: &Server, table: &ServerTable<'_>, links: &[Link]) -> (usize, Option<Broken>) {
        let mut looked = 0;
        for &link in links {
            if link.offers(server).is_none_or(<[_]>::is_empty) {
                looked += table.connections().count();
                continue;
            }
            let (more, broken) = self.connections(server, table, Some(link));
            looked += more;
            if broken.is_some() {
                return (looked, broken);
            }
        }
        (looked, None)
    }
}

/// As the gate sees it.
fn client(identity: &Identity) -> Client<'_> {
    match identity {
        Identity::Anonymous => Client::Anonymous,
        Identity::Account(account) => Client::Account { name: &account.name, groups: &account.groups },
        Identity::Peer(name) => Client::Peer(name),
    }
}

fn whom(identity: &Identity) -> String {
    match identity {
        Identity::Anonymous => "who has not authenticated".to_owned(),
        Identity::Account(account) if account.groups.is_empty() => format!("as account {}", account.name),
        Identity::Account(account) => format!("as account {} in {}", account.name, account.groups.join(" and ")),
        Identity::Peer(name) => format!("as peer {name}"),
    }
}

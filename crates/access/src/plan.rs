//! The plan: what one configuration lets somebody do that another does not.
//!
//! Both tables are made over the same classes and compared cell by cell, so what differs in the files and
//! not in meaning is not here, and what is here is complete.

mod filters;

use crate::audit::{Place, links};
use crate::rows::{self, Row, Words};
use crate::table::{Cell, HeaderCell, Link, ServerTable, Table};
use crate::verdict::Verdict;
use crate::{Classes, SenderClass};
use config::{Config, Server};
use mail::{Identity, Timestamp};
use policy::AddressPlace;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Which way a change goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Somebody may more.
    Wider,
    /// Neither.
    Sideways,
    /// Somebody may less.
    Narrower,
}

/// What becomes of the mail of a cell, as far as a plan tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Taken {
    /// It is not taken.
    Not,
    /// It is submitted.
    Submitted {
        /// And marked.
        marked: bool,
    },
    /// It is relayed.
    Relayed {
        /// And marked.
        marked: bool,
    },
}

impl Taken {
    /// What a verdict comes to.
    #[must_use]
    pub fn of(verdict: Verdict) -> Taken {
        match verdict {
            Verdict::Submitted { marked } => Taken::Submitted { marked },
            Verdict::Relayed { marked, .. } => Taken::Relayed { marked },
            Verdict::Refused(_) | Verdict::Later(_) => Taken::Not,
        }
    }

    fn marked(self) -> bool {
        matches!(self, Taken::Submitted { marked: true } | Taken::Relayed { marked: true })
    }

    fn relays(self) -> bool {
        matches!(self, Taken::Relayed { .. })
    }

    fn direction(self, after: Taken) -> Direction {
        match (self, after) {
            (Taken::Not, _) => Direction::Wider,
            (_, Taken::Not) => Direction::Narrower,
            _ if self.marked() && !after.marked() => Direction::Wider,
            _ if after.marked() && !self.marked() => Direction::Narrower,
            _ => Direction::Sideways,
        }
    }
}

/// Cells of one virtual server that change in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The virtual server.
    pub server: String,
    /// Which cells.
    pub row: Row,
    /// What became of their mail.
    pub before: Taken,
    /// What will.
    pub after: Taken,
}

/// One line of a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Line {
    /// Which way.
    pub direction: Direction,
    /// The virtual server; none for what holds for all.
    pub server: Option<String>,
    /// What, in a sentence.
    pub what: String,
    /// Who, from where, over which link, as whom, to whom; nothing for changes that are no such.
    pub words: Option<Words>,
    /// The rule that is responsible in the new settings.
    pub rule: Option<Place>,
    /// A session that shows it, as a command line; for a virtual server that is gone, by the old settings.
    pub witness: Option<String>,
}

/// What changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// What the old settings are called.
    pub old: String,
    /// What the new settings are called.
    pub new: String,
    /// What changes, widenings first.
    pub lines: Vec<Line>,
    /// The same as sets of cells.
    #[serde(skip)]
    pub changes: Vec<Change>,
}

impl Plan {
    /// Compares two configurations, each with what it is called.
    #[must_use]
    pub fn of(old: (&str, &Config), new: (&str, &Config), now: Timestamp) -> Plan {
        let classes = Classes::of(&[old.1, new.1], now);
        let (before, after) = (Table::of(old.1, &classes), Table::of(new.1, &classes));
        let compared = Compared { old, new, before: &before, after: &after };
        let mut lines = Vec::new();
        let mut changes = Vec::new();
        for own in &classes.servers {
            let found = compared.changes(&own.server);
            lines.extend(found.iter().map(|change| compared.line(change)));
            changes.extend(found);
            lines.extend(compared.headers(&own.server));
            lines.extend(compared.filters(&own.server, now));
            lines.extend(compared.mechanisms(&own.server));
        }
        lines.extend(compared.loans(now));
        lines.sort_by(|one, other| (one.direction, &one.server).cmp(&(other.direction, &other.server)));
        Plan { old: old.0.to_owned(), new: new.0.to_owned(), lines, changes }
    }

    /// The widest change; `None` when nothing changes in who may do what.
    #[must_use]
    pub fn direction(&self) -> Option<Direction> {
        self.lines.iter().map(|line| line.direction).min()
    }

    /// What becomes of the mail of a cell after the plan, by what became of it before.
    #[must_use]
    pub fn apply(&self, cell: &Cell<'_>, before: Taken) -> Taken {
        let mut own = self.changes.iter().filter(|change| change.server == cell.server);
        let change = own.find(|change| change.before == before && change.row.contains(cell));
        change.map_or(before, |change| change.after)
    }
}

struct Compared<'a> {
    old: (&'a str, &'a Config),
    new: (&'a str, &'a Config),
    before: &'a Table<'a>,
    after: &'a Table<'a>,
}

impl Compared<'_> {
    /// The cells of a virtual server that change. One that is not in a table comes to nothing there.
    fn changes(&self, server: &str) -> Vec<Change> {
        let taken = |table: &Table<'_>| -> BTreeMap<[usize; 5], Taken> {
            let cells = table.server(server).into_iter().flat_map(ServerTable::cells);
            let taken = cells.filter(|cell| cell.verdict.is_taken());
            taken.map(|cell| (Row::place(&cell), Taken::of(cell.verdict))).collect()
        };
        let (before, after) = (taken(self.before), taken(self.after));
        let mut kinds: BTreeMap<(Taken, Taken), Vec<[usize; 5]>> = BTreeMap::new();
        for place in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
            let was = before.get(place).copied().unwrap_or(Taken::Not);
            let is = after.get(place).copied().unwrap_or(Taken::Not);
            if was != is {
                kinds.entry((was, is)).or_default().push(*place);
            }
        }
        let mut out = Vec::new();
        for ((was, is), cells) in kinds {
            out.extend(Row::of(cells).into_iter().map(|row| Change {
                server: server.to_owned(),
                row,
                before: was,
                after: is,
            }));
        }
        out
    }

    fn line(&self, change: &Change) -> Line {
        let (tables, names) = ([self.after, self.before], [self.new, self.old]);
        let known = tables
            .iter()
            .zip(names)
            .find_map(|(table, (file, config))| Some((table.server(&change.server)?, file, config)));
        let (words, witness, rule) = match known {
            None => (None, None, None),
            Some((table, file, config)) => {
                let marked = if change.after == Taken::Not { change.before } else { change.after }.marked();
                let servers = [self.old.1, self.new.1].into_iter().filter_map(|config| config.server(&change.server));
                let links = servers.map(links).max().unwrap_or_default();
                let cell = table.cells().find(|cell| change.row.contains(cell));
                // A session that cannot be in the new settings any more is shown in the old ones.
                let former = || self.before.server(&change.server)?.cells().find(|cell| change.row.contains(cell));
                let witness = match &cell {
                    Some(cell) => Some(cell.witness().command(file)),
                    None => former().map(|cell| cell.witness().command(self.old.0)),
                };
                let rule = cell.and_then(|cell| match change.after {
                    Taken::Submitted { .. } => cell.submits_by,
                    Taken::Relayed { .. } | Taken::Not => cell.rule,
                });
                (
                    Some(change.row.words(table.classes, links, marked)),
                    witness,
                    rule.map(|rule| Place::of(&config.book, rule)),
                )
            }
        };
        Line {
            direction: change.before.direction(change.after),
            server: Some(change.server.clone()),
            what: what(change.before, change.after).to_owned(),
            words,
            rule,
            witness,
        }
    }

    /// What changes about addresses in headers.
    fn headers(&self, server: &str) -> Vec<Line> {
        let answers = |table: &Table<'_>| -> BTreeMap<(usize, AddressPlace, SenderClass), Header> {
            let Some(own) = table.server(server) else { return BTreeMap::new() };
            let mut out = BTreeMap::new();
            for cell in own.headers() {
                let key = (kind(&cell), cell.place, cell.sender);
                let worst = out.entry(key).or_insert(Header::Refused);
                *worst = (*worst).min(Header::of(&cell));
            }
            out
        };
        let (before, after) = (answers(self.before), answers(self.after));
        let both = before.iter().filter_map(|(key, was)| Some((key, *was, *after.get(key)?)));
        both.filter(|(_, was, is)| was != is)
            .map(|((kind, place, sender), was, is)| Line {
                direction: if is < was { Direction::Wider } else { Direction::Narrower },
                server: Some(server.to_owned()),
                what: format!("{} with {} in {} {}", KINDS[*kind], sender_words(*sender), field(*place), is.words(was)),
                words: None,
                rule: Some(Place::key(&self.new.1.book, &header_key(server, *kind, *place))),
                witness: None,
            })
            .collect()
    }

    /// Mechanisms that are offered now, or no more, and on which link.
    fn mechanisms(&self, name: &str) -> Vec<Line> {
        let servers = [self.old.1, self.new.1].map(|config| config.server(name));
        let offered = |server: Option<&Server>| -> BTreeSet<(String, Link)> {
            let on = |link: Link| server.and_then(|server| link.offers(server)).unwrap_or_default();
            let pairs =
                Link::ALL.into_iter().flat_map(|link| on(link).iter().map(move |name| (name.to_string(), link)));
            pairs.collect()
        };
        let [before, after] = servers.map(offered);
        let change = |(mechanism, link): &(String, Link), direction, word: &str| Line {
            direction,
            server: Some(name.to_owned()),
            what: format!("{mechanism} is {word} {link}"),
            words: None,
            rule: Some(Place::key(&self.new.1.book, &format!("virtual_server.{name}.authentication.mechanisms"))),
            witness: None,
        };
        let more = after.difference(&before).map(|one| change(one, Direction::Wider, "offered now,"));
        let less = before.difference(&after).map(|one| change(one, Direction::Narrower, "offered no more"));
        more.chain(less).collect()
    }

    /// Addresses that are lent now, or no more.
    fn loans(&self, now: Timestamp) -> Vec<Line> {
        let lent = |config: &Config| -> BTreeMap<(String, String), Place> {
            let grants = config.servers.first().map(|server| server.rules.send_as.grants.clone()).unwrap_or_default();
            let live = grants.iter().filter(|loan| !loan.term.is_over(now));
            let each = live.flat_map(|loan| {
                let place = Place::of(&config.book, loan.rule);
                loan.addresses.iter().map(move |one| ((rows::borrower(&loan.to), rows::lent(one)), place.clone()))
            });
            each.collect()
        };
        let (before, after) = (lent(self.old.1), lent(self.new.1));
        let more = after.iter().filter(|(key, _)| !before.contains_key(key)).map(|(key, place)| (key, place, true));
        let less = before.iter().filter(|(key, _)| !after.contains_key(key)).map(|(key, place)| (key, place, false));
        more.chain(less)
            .map(|((who, what), place, is_more)| Line {
                direction: if is_more { Direction::Wider } else { Direction::Narrower },
                server: None,
                what: format!("{who} may {} send as {what}", if is_more { "now" } else { "no longer" }),
                words: None,
                rule: is_more.then(|| place.clone()),
                witness: None,
            })
            .collect()
    }
}

fn what(before: Taken, after: Taken) -> &'static str {
    match (before, after) {
        (Taken::Not, after) if after.relays() => "may now relay",
        (Taken::Not, _) => "may now submit",
        (before, Taken::Not) if before.relays() => "may no longer relay",
        (_, Taken::Not) => "may no longer submit",
        _ if before.marked() && !after.marked() => "is no longer marked",
        _ if after.marked() && !before.marked() => "is marked now",
        (_, after) if after.relays() => "relays now, where it submitted",
        _ => "submits now, where it relayed",
    }
}

/// What becomes of an address in a header.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Header {
    Taken,
    Marked,
    Refused,
}

impl Header {
    fn of(cell: &HeaderCell<'_>) -> Header {
        match cell.verdict {
            Ok(false) => Header::Taken,
            Ok(true) => Header::Marked,
            Err(_) => Header::Refused,
        }
    }

    fn words(self, before: Header) -> &'static str {
        match self {
            Header::Taken if before == Header::Refused => "is taken now",
            Header::Taken => "is no longer marked",
            Header::Marked if before == Header::Refused => "is taken now, and marked",
            Header::Marked => "is marked now",
            Header::Refused => "is refused now",
        }
    }
}

/// Whose mail: what headers come to depends on no more.
const KINDS: [&str; 3] = ["mail of the anonymous", "mail of accounts", "mail of peers"];

fn kind(cell: &HeaderCell<'_>) -> usize {
    match cell.identity.identity {
        Identity::Anonymous => 0,
        Identity::Account(_) => 1,
        Identity::Peer(_) => 2,
    }
}

fn header_key(server: &str, kind: usize, place: AddressPlace) -> String {
    let name = match place {
        _ if kind == 0 => "anonymous",
        AddressPlace::Envelope => "envelope",
        AddressPlace::From => "from",
        AddressPlace::Sender => "sender",
        AddressPlace::ResentFrom => "resent_from",
    };
    format!("virtual_server.{server}.send_as.{name}")
}

fn field(place: AddressPlace) -> &'static str {
    match place {
        AddressPlace::Envelope => "the envelope",
        AddressPlace::From => "From",
        AddressPlace::Sender => "Sender",
        AddressPlace::ResentFrom => "Resent-From",
    }
}

fn sender_words(sender: SenderClass) -> &'static str {
    match sender {
        SenderClass::Null | SenderClass::Own => "an address of its own",
        SenderClass::Lent => "a lent address",
        SenderClass::Inside => "somebody else's address inside",
        SenderClass::Outside => "an address outside",
        SenderClass::Filtered => "a filtered address",
    }
}

//! The plan: what one configuration lets somebody do that another does not.
//!
//! Both tables are made over the same classes and compared cell by cell, so what differs in the files and
//! not in meaning is not here, and what is here is complete.

mod filters;
mod listeners;
mod side;

use self::side::Side;
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

    fn unmarked(self) -> Taken {
        match self {
            Taken::Not => Taken::Not,
            Taken::Submitted { .. } => Taken::Submitted { marked: false },
            Taken::Relayed { .. } => Taken::Relayed { marked: false },
        }
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
    /// The rules that are responsible in the new settings; those of a long list are the first few.
    pub rules: Vec<Place>,
    /// How many there are.
    pub rules_in_all: usize,
    /// The rules that let somebody in the old settings what nothing lets them any more.
    pub before: Vec<Place>,
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
            let cells = compared.cells(&own.server);
            lines.extend(compared.listeners(&own.server));
            lines.extend(shown(&own.server, &cells).iter().map(|change| compared.line(change)));
            changes.extend(by_kind(&own.server, &cells));
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
    fn cells(&self, server: &str) -> Vec<Changed> {
        let taken = |table: &Table<'_>| -> BTreeMap<[usize; 5], Taken> {
            let cells = table.server(server).into_iter().flat_map(ServerTable::cells);
            let taken = cells.filter(|cell| cell.verdict.is_taken());
            taken.map(|cell| (Row::place(&cell), Taken::of(cell.verdict))).collect()
        };
        let (before, after) = (taken(self.before), taken(self.after));
        let places: BTreeSet<[usize; 5]> = before.keys().chain(after.keys()).copied().collect();
        let changed = places.into_iter().map(|place| {
            let was = before.get(&place).copied().unwrap_or(Taken::Not);
            let is = after.get(&place).copied().unwrap_or(Taken::Not);
            (place, was, is)
        });
        changed.filter(|(_, was, is)| was != is).collect()
    }

    fn line(&self, change: &Change) -> Line {
        let (old, new) = (Side::of(self.before, self.old, change), Side::of(self.after, self.new, change));
        // A session that cannot be in the new settings any more is shown in the old ones.
        let witness = [&new, &old].into_iter().flatten().find(|side| side.has_cells()).and_then(Side::witness);
        let is_lost = change.after == Taken::Not;
        let rules = new.as_ref().map(|side| if is_lost { side.refused_by(old.as_ref()) } else { side.taken_by() });
        let (rules, rules_in_all) = rules.unwrap_or_default();
        let lost = old.as_ref().filter(|_| is_lost).map(Side::taken_by);
        let (taken_in, marked) = if is_lost { (&old, change.before.marked()) } else { (&new, change.after.marked()) };
        let links = [&old, &new].into_iter().flatten().map(|side| links(side.server)).max().unwrap_or_default();
        Line {
            direction: change.before.direction(change.after),
            server: Some(change.server.clone()),
            what: what(change.before, change.after).to_owned(),
            words: taken_in.as_ref().map(|side| side.words(links, marked)),
            rules,
            rules_in_all,
            before: lost.map(|(rules, _)| rules).unwrap_or_default(),
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
                rules: vec![Place::key(&self.new.1.book, &header_key(server, *kind, *place))],
                rules_in_all: 1,
                before: vec![],
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
            rules: vec![Place::key(&self.new.1.book, &format!("virtual_server.{name}.authentication.mechanisms"))],
            rules_in_all: 1,
            before: vec![],
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
                rules: if is_more { vec![place.clone()] } else { vec![] },
                rules_in_all: usize::from(is_more),
                before: if is_more { vec![] } else { vec![place.clone()] },
                witness: None,
            })
            .collect()
    }
}

/// A cell that changes: its place, what became of its mail, and what will.
type Changed = ([usize; 5], Taken, Taken);

/// Cells put together by what became and becomes of their mail.
fn by_kind(server: &str, cells: &[Changed]) -> Vec<Change> {
    let mut kinds: BTreeMap<(Taken, Taken), Vec<[usize; 5]>> = BTreeMap::new();
    for (place, was, is) in cells {
        kinds.entry((*was, *is)).or_default().push(*place);
    }
    let rows = kinds.into_iter().flat_map(|(kind, cells)| Row::of(cells).into_iter().map(move |row| (kind, row)));
    rows.map(|((before, after), row)| Change { server: server.to_owned(), row, before, after }).collect()
}

/// The same as they are said: where mail is taken at all or no more, what of it is marked stands in the same line,
/// unless that takes more lines.
fn shown(server: &str, cells: &[Changed]) -> Vec<Change> {
    let with_mark = |(place, was, is): &Changed| match (was, is) {
        (Taken::Not, one) => (Row::marked(*place, one.marked()), Taken::Not, one.unmarked()),
        (one, Taken::Not) => (Row::marked(*place, one.marked()), one.unmarked(), Taken::Not),
        _ => (*place, *was, *is),
    };
    let (together, apart) = (by_kind(server, &cells.iter().map(with_mark).collect::<Vec<_>>()), by_kind(server, cells));
    if together.len() <= apart.len() { together } else { apart }
}

fn what(before: Taken, after: Taken) -> &'static str {
    match (before, after) {
        (Taken::Not, after) if after.relays() => "may now relay",
        (Taken::Not, _) => "may now submit",
        (before, Taken::Not) if before.relays() => "may no longer relay",
        (_, Taken::Not) => "may no longer submit",
        _ if before.marked() && !after.marked() => "is no longer marked",
        _ if after.marked() && !before.marked() => "is marked now",
        (_, after) if after.relays() => "is now relayed, not submitted",
        _ => "is now submitted, not relayed",
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

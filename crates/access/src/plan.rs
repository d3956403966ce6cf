//! The plan: what one configuration lets somebody do that another does not.
//!
//! Both tables are made over the same classes and compared cell by cell, so what differs in the files and
//! not in meaning is not here, and what is here is complete. Each line has a session that is answered
//! otherwise under the new settings than under the old ones: it is asked before it is shown.

mod filters;
mod headers;
mod listeners;
mod loans;
mod mechanisms;
mod show;
mod side;

use self::side::Side;
use crate::audit::links;
use crate::rows::{Row, Words};
use crate::table::{Cell, ServerTable, Table};
use crate::verdict::Verdict;
use crate::{Answers, Classes, SenderClass};
use config::Config;
use mail::Timestamp;
use serde::Serialize;
pub use show::Shown;
pub use side::Places;
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

    /// What the answers to a session come to.
    #[must_use]
    pub fn told(answers: &Answers) -> Taken {
        match (answers.sender, answers.recipient) {
            (Some(Ok(marked)), Some(Ok(None))) => Taken::Submitted { marked },
            (Some(Ok(marked)), Some(Ok(Some(_)))) => Taken::Relayed { marked },
            _ => Taken::Not,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Which way.
    pub direction: Direction,
    /// The virtual server; none for what holds for all.
    pub server: Option<String>,
    /// What, in a sentence.
    pub what: String,
    /// Who, from where, over which link, as whom, to whom; nothing for changes that are no such.
    pub words: Option<Words>,
    /// The rules that are responsible in the new settings.
    pub by: Places,
    /// The rules that let somebody in the old settings what nothing lets them any more.
    pub was: Places,
    /// A session that shows it; where the new settings have none such, by the old ones. None for sockets, which no
    /// session is asked about.
    pub witness: Option<Shown>,
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
        let compared = Compared { old, new, classes: &classes, before: &before, after: &after };
        let mut lines = Vec::new();
        let mut changes = Vec::new();
        for own in &classes.servers {
            let (found, said) = compared.sessions(&own.server);
            changes.extend(found);
            lines.extend(compared.listeners(&own.server));
            lines.extend(said);
            lines.extend(compared.headers(&own.server));
            lines.extend(compared.filters(&own.server));
            lines.extend(compared.mechanisms(own));
        }
        lines.extend(compared.loans());
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

/// Cells that change, by what became and what will become of their mail.
type Changed = BTreeMap<(Taken, Taken), Vec<CellPlace>>;

/// Where a cell stands among those of its virtual server.
type CellPlace = [usize; 5];

/// Two configurations, and what every class of session comes to in each.
struct Compared<'a> {
    old: (&'a str, &'a Config),
    new: (&'a str, &'a Config),
    classes: &'a Classes,
    before: &'a Table<'a>,
    after: &'a Table<'a>,
}

impl Compared<'_> {
    /// What changes for the sessions of a virtual server: all cells that do, and what is said of them.
    fn sessions(&self, server: &str) -> (Vec<Change>, Vec<Line>) {
        let [mut before, mut after] = [self.before, self.after].map(|table| taken(table, server));
        let all = rows(server, &changed(&before, &after));
        let [more_before, more_after] = self.borrowed(server);
        before.extend(more_before);
        after.extend(more_after);
        let lines = as_said(server, &changed(&before, &after)).iter().filter_map(|change| self.line(change)).collect();
        (all, lines)
    }

    /// What becomes of mail of cells that only the other table has, because only there such an address has a class of
    /// its own: before and after. A loan that no rule asks for changes nothing, and without one an address is still
    /// somebody's.
    fn borrowed(&self, server: &str) -> [BTreeMap<CellPlace, Taken>; 2] {
        let settings = [(self.before, self.old.1, self.after), (self.after, self.new.1, self.before)];
        settings.map(|(table, config, other)| {
            let (Some(table), Some(other)) = (table.server(server), other.server(server)) else {
                return BTreeMap::new();
            };
            // From whom mail is filtered is said by itself.
            let unfiltered = other.cells().filter(|cell| cell.sender != SenderClass::Filtered);
            let cells = unfiltered.filter(|cell| table.lacks_only_sender(cell));
            let told = |cell: Cell<'_>| {
                let taken = Taken::told(&Answers::of(config, &cell.witness(), self.classes.now));
                (taken != Taken::Not).then(|| (Row::place(&cell), taken))
            };
            cells.filter_map(told).collect()
        })
    }

    /// What is said of a change.
    fn line(&self, change: &Change) -> Option<Line> {
        let witness = self.showing(change)?;
        let (old, new) = (Side::of(self.before, self.old.1, change), Side::of(self.after, self.new.1, change));
        let links = [&old, &new].into_iter().flatten().map(|side| links(side.server)).max().unwrap_or_default();
        let is_lost = change.after == Taken::Not;
        let by = new.as_ref().map(|side| if is_lost { side.refused_by(old.as_ref()) } else { side.taken_by() });
        let was = old.as_ref().filter(|_| is_lost).map(Side::taken_by);
        let (taken_in, marked) = if is_lost { (&old, change.before.marked()) } else { (&new, change.after.marked()) };
        Some(Line {
            direction: change.before.direction(change.after),
            server: Some(change.server.clone()),
            what: what(change.before, change.after).to_owned(),
            words: taken_in.as_ref().map(|side| side.words(links, marked)),
            by: by.unwrap_or_default(),
            was: was.unwrap_or_default(),
            witness: Some(self.shown(witness)),
        })
    }
}

/// What becomes of mail of each cell of a virtual server, where it is taken.
fn taken(table: &Table<'_>, server: &str) -> BTreeMap<CellPlace, Taken> {
    let cells = table.server(server).into_iter().flat_map(ServerTable::cells);
    let taken = cells.filter(|cell| cell.verdict.is_taken());
    taken.map(|cell| (Row::place(&cell), Taken::of(cell.verdict))).collect()
}

/// The cells that change. One that is not there comes to nothing.
fn changed(before: &BTreeMap<CellPlace, Taken>, after: &BTreeMap<CellPlace, Taken>) -> Changed {
    let mut changed = Changed::new();
    for place in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let was = before.get(place).copied().unwrap_or(Taken::Not);
        let is = after.get(place).copied().unwrap_or(Taken::Not);
        if was != is {
            changed.entry((was, is)).or_default().push(*place);
        }
    }
    changed
}

/// The fewest rows found that are these cells.
fn rows(server: &str, changed: &Changed) -> Vec<Change> {
    let mut out = Vec::new();
    for ((before, after), cells) in changed {
        let change = |row| Change { server: server.to_owned(), row, before: *before, after: *after };
        out.extend(Row::of(cells.iter().copied()).into_iter().map(change));
    }
    out
}

/// The same as it is said: where mail is taken at all or no more, what of it is marked stands in the same line, unless
/// that takes more lines.
fn as_said(server: &str, changed: &Changed) -> Vec<Change> {
    let mut with_marks = Changed::new();
    for ((before, after), cells) in changed {
        let (kind, is_marked) = match (*before, *after) {
            (Taken::Not, is) => ((Taken::Not, is.unmarked()), is.marked()),
            (was, Taken::Not) => ((was.unmarked(), Taken::Not), was.marked()),
            kind => (kind, false),
        };
        with_marks.entry(kind).or_default().extend(cells.iter().map(|cell| Row::marked(*cell, is_marked)));
    }
    let (together, apart) = (rows(server, &with_marks), rows(server, changed));
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

//! One of the two sides of a change: what a row comes to in the old settings, or in the new ones.

use super::Change;
use crate::audit::{Place, RULES, rules_of};
use crate::rows::{Row, Words};
use crate::table::{Cell, Link, ServerTable, Table};
use crate::verdict::{Verdict, Why};
use config::{Config, Server};
use mail::Identity;
use policy::{Grant, RuleId};
use std::collections::BTreeSet;

/// The cells of one row in one of the two configurations.
pub(super) struct Side<'a> {
    file: &'a str,
    config: &'a Config,
    pub(super) server: &'a Server,
    table: &'a ServerTable<'a>,
    row: &'a Row,
    /// Its cells: looked for once, for there are many more.
    cells: Vec<Cell<'a>>,
}

impl<'a> Side<'a> {
    /// The row of a change there; `None` where there is no such virtual server.
    pub(super) fn of(table: &'a Table<'_>, (file, config): (&'a str, &'a Config), change: &'a Change) -> Option<Self> {
        let (table, server) = (table.server(&change.server)?, config.server(&change.server)?);
        let cells = table.cells().filter(|cell| change.row.contains(cell)).collect();
        Some(Side { file, config, server, table, row: &change.row, cells })
    }

    /// Whether there are such sessions.
    pub(super) fn has_cells(&self) -> bool {
        !self.cells.is_empty()
    }

    /// A session that shows it, as a command line.
    pub(super) fn witness(&self) -> Option<String> {
        self.cells.first().map(|cell| cell.witness().command(self.file))
    }

    /// It in words.
    pub(super) fn words(&self, links: usize, marked: bool) -> Words {
        let classes = self.table.classes;
        self.row.words(classes, links, marked, &self.row.barred(classes, self.table.cells()))
    }

    /// The first few of these rules, and how many they are.
    fn places(&self, rules: &BTreeSet<RuleId>) -> (Vec<Place>, usize) {
        let first = rules.iter().take(RULES).map(|rule| Place::of(&self.config.book, *rule));
        (first.collect(), rules.len())
    }

    /// The rules that take the mail.
    pub(super) fn taken_by(&self) -> (Vec<Place>, usize) {
        let grant = |cell: &Cell<'_>| match cell.verdict {
            Verdict::Submitted { .. } => Some(None),
            Verdict::Relayed { by, .. } => Some(Some(by)),
            Verdict::Refused(_) | Verdict::Later(_) => None,
        };
        let grants: BTreeSet<Option<Grant>> = self.cells.iter().filter_map(grant).collect();
        let rules = grants.into_iter().flat_map(|by| rules_of(self.server, self.table, self.row, by));
        self.places(&rules.collect())
    }

    /// The rules that refuse the mail; `old` is what took it.
    pub(super) fn refused_by(&self, old: Option<&Side<'_>>) -> (Vec<Place>, usize) {
        if self.cells.is_empty() {
            let key = old.and_then(|old| self.missing(old.cells.first()?));
            let place = key.map(|key| Place::key(&self.config.book, &key));
            return (Vec::from_iter(place.clone()), usize::from(place.is_some()));
        }
        let refused = || self.cells.iter().filter(|cell| !cell.verdict.is_taken());
        if refused().any(|cell| cell.verdict == Verdict::Refused(Why::TlsRequired)) {
            let key = format!("virtual_server.{}.tls.mode", self.server.name);
            return (vec![Place::key(&self.config.book, &key)], 1);
        }
        self.places(&refused().filter_map(|cell| cell.rule).collect())
    }

    /// The key that leaves no such sessions as this one any more: no such link, or no way to log in on it.
    fn missing(&self, cell: &Cell<'_>) -> Option<String> {
        let key = match (cell.link.offers(self.server), &cell.identity.identity) {
            (None, _) if cell.link == Link::Clear => "listen",
            (None, _) => "tls",
            (Some(_), _) if cell.link == Link::Clear && self.server.session.tls_required => "tls.mode",
            (Some(_), Identity::Account(_)) => "authentication.mechanisms",
            (Some(_), Identity::Anonymous | Identity::Peer(_)) => return None,
        };
        Some(format!("virtual_server.{}.{key}", self.server.name))
    }
}

//! One of the two sides of a change: what a row comes to in the old settings, or in the new ones.

use super::Change;
use crate::audit::{Place, RULES, rules_of};
use crate::rows::{Row, Words};
use crate::table::{Cell, Link, ServerTable, Table};
use crate::verdict::{Verdict, Why};
use config::{Config, Server};
use mail::Identity;
use policy::{Grant, RuleId};
use serde::Serialize;
use std::collections::BTreeSet;

/// Rules, as many of a long list as are named one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Places {
    /// The first few.
    pub rules: Vec<Place>,
    /// How many there are.
    pub in_all: usize,
}

impl From<Place> for Places {
    fn from(place: Place) -> Places {
        Places { rules: vec![place], in_all: 1 }
    }
}

/// The cells of one row in one of the two configurations.
pub(super) struct Side<'a> {
    config: &'a Config,
    pub(super) server: &'a Server,
    table: &'a ServerTable<'a>,
    row: &'a Row,
    /// Its cells: looked for once, for there are many more.
    cells: Vec<Cell<'a>>,
}

impl<'a> Side<'a> {
    /// The row of a change there; `None` where there is no such virtual server.
    pub(super) fn of(table: &'a Table<'_>, config: &'a Config, change: &'a Change) -> Option<Self> {
        let (table, server) = (table.server(&change.server)?, config.server(&change.server)?);
        let cells = table.cells().filter(|cell| change.row.contains(cell)).collect();
        Some(Side { config, server, table, row: &change.row, cells })
    }

    /// It in words.
    pub(super) fn words(&self, links: usize, marked: bool) -> Words {
        let classes = self.table.classes;
        self.row.words(classes, links, marked, &self.row.barred(classes, self.table.cells()))
    }

    /// The first few of these rules, and how many they are.
    fn places(&self, rules: &BTreeSet<RuleId>) -> Places {
        let first = rules.iter().take(RULES).map(|rule| Place::of(&self.config.book, *rule));
        Places { rules: first.collect(), in_all: rules.len() }
    }

    /// The rules that take the mail.
    pub(super) fn taken_by(&self) -> Places {
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
    pub(super) fn refused_by(&self, old: Option<&Side<'_>>) -> Places {
        if self.cells.is_empty() {
            let key = old.and_then(|old| self.missing(old.cells.first()?));
            return key.map(|key| Place::key(&self.config.book, &key).into()).unwrap_or_default();
        }
        let refused = || self.cells.iter().filter(|cell| !cell.verdict.is_taken());
        if refused().any(|cell| cell.verdict == Verdict::Refused(Why::TlsRequired)) {
            let key = format!("virtual_server.{}.tls.mode", self.server.name);
            return Place::key(&self.config.book, &key).into();
        }
        self.places(&refused().filter_map(|cell| cell.rule).collect())
    }

    /// The key that leaves no such sessions as this one any more: no such link, or no way to log in on it.
    fn missing(&self, cell: &Cell<'_>) -> Option<String> {
        if self.table.lacks_only_sender(cell) {
            return None;
        }
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

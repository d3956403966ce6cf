//! Edits of lists of clients.

use super::{Draft, Reach, Width, is_over, write};
use crate::decision::Finding;
use crate::list::{Entry, List, Match};
use crate::rule_book::RuleId;
use crate::rules::{Mode, Rules};
use mail::{Domain, Found, Identity, Net, Query, canonical};
use std::time::Duration;

/// For how long an exception is renewed that is over.
pub(super) const RENEWAL: Duration = Duration::from_secs(90 * 86_400);

impl Draft<'_> {
    /// Adds the client, takes out an entry that means it, or renews one that did.
    pub(super) fn clients(&mut self, list: &List, mode: Mode, mode_rule: RuleId, of: fn(&mut Rules) -> &mut List) {
        let at = |draft: &Self| {
            let mode = match (draft.book.place(mode_rule).line, mode) {
                (Some(_), _) => None,
                (None, Mode::Only) => Some("only"),
                (None, Mode::AllExcept) => Some("all-except"),
            };
            (draft.book.place(list.rule()).key.to_owned(), draft.book.place(list.rule()).line, mode)
        };
        let (key, line, unwritten_mode) = at(self);
        let client = canonical(self.question.client());
        let names = self.confirmed_names();
        for (index, entry) in list.entries().iter().enumerate() {
            if !means(entry, client, &names) {
                continue;
            }
            let mut entries = list.entries().to_vec();
            let line = self.book.place(entry.rule).line;
            let edit = match is_over(&entry.term, self.question.now()) {
                Finding::Expired => {
                    entries[index].term = entry.term.renewed(self.question.now(), RENEWAL);
                    let (all, new) = (written(&entries), write::client(&entries[index]));
                    let what = format!("renew {}", write::client(&Entry::new(entry.rule, entry.what.clone())));
                    write::changed_list(&key, line, &what, (&all, Some(&new)), reach(&entry.what), unwritten_mode)
                }
                _ => {
                    entries.remove(index);
                    let (all, gone) = (written(&entries), write::client(entry));
                    write::list_edit(&key, line, (&all, &gone, false), reach(&entry.what), unwritten_mode)
                }
            };
            self.propose(edit, |rules| *of(rules) = List::new(list.rule(), entries));
        }
        let mut entries = list.entries().to_vec();
        let new = Entry::new(list.rule(), Match::Net(Net::from(client)));
        let (text, wide) = (write::client(&new), self.at_address(client));
        entries.push(new);
        let edit = write::list_edit(&key, line, (&written(&entries), &text, true), wide, unwritten_mode);
        self.propose(edit, |rules| *of(rules) = List::new(list.rule(), entries));
    }

    /// An entry of a list does not ask who the client is.
    fn at_address(&self, client: std::net::IpAddr) -> Reach {
        let also = match self.question.identity() {
            Identity::Anonymous => None,
            _ => Some(format!("whoever else comes from {client}, authenticated or not")),
        };
        (Width::Address, also)
    }

    fn confirmed_names(&self) -> Vec<Domain> {
        match self.ledger.find(&Query::ConfirmedNames(canonical(self.question.client()))) {
            Some(Found::Names(names)) => names.clone(),
            _ => Vec::new(),
        }
    }
}

fn written(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(write::client).collect()
}

fn means(entry: &Entry, client: std::net::IpAddr, names: &[Domain]) -> bool {
    match &entry.what {
        Match::Net(net) => net.contains(client),
        Match::Domain(domain) => names.iter().any(|name| name == domain || name.is_below(domain)),
    }
}

/// Whom an entry means beside the client.
pub(super) fn reach(what: &Match) -> Reach {
    match what {
        Match::Net(net) => network(*net),
        Match::Domain(domain) => (Width::Names, Some(format!("every client called {domain} or below it"))),
    }
}

/// The addresses of a network.
pub(super) fn network(net: Net) -> Reach {
    match net.free_bits() {
        0 => (Width::Address, None),
        bits @ 1..=20 => (Width::Network(bits), Some(format!("all {} addresses of {net}", 1_u32 << bits))),
        bits => (Width::Network(bits), Some(format!("every address of {net}"))),
    }
}

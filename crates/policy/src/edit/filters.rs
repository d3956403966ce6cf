//! Edits of the sender filter, and of who bypasses it.

use super::clients::RENEWAL;
use super::write::{self, quoted};
use super::{Draft, Reach, Width, is_over};
use crate::decision::Finding;
use crate::filter::{FilteredSender, SenderList};
use crate::rule_book::RuleId;
use crate::send_as::Addresses;
use crate::term::Term;
use mail::{Identity, Mailbox, ReversePath};
use std::sync::Arc;

impl Draft<'_> {
    /// Takes a reverse-path off the sender filter or onto it, and the filter off this virtual server or onto it.
    pub(super) fn sender_filter(&mut self, path: &ReversePath) {
        let filter = &self.rules.sender_filter;
        match path {
            ReversePath::Mailbox(mailbox) => self.filtered(mailbox),
            ReversePath::Null => {
                let on = !filter.senders.null_sender;
                let rule = filter.senders.null_sender_rule;
                self.set(rule, on.to_string(), everywhere("reports of other servers, which have no sender"), |rules| {
                    Arc::make_mut(&mut rules.sender_filter.senders).null_sender = on;
                });
            }
        }
        let on = !filter.applied;
        let clients = (Width::Everybody, Some("every client that has not authenticated".to_owned()));
        self.set(filter.applied_rule, on.to_string(), clients, |rules| rules.sender_filter.applied = on);
        if let Identity::Peer(name) = self.question.identity() {
            self.peer(name, |peer| (peer.bypass_filters_rule, &mut peer.bypass_filters));
        }
    }

    fn filtered(&mut self, address: &Mailbox) {
        let list = &self.rules.sender_filter.senders.list;
        let meant: Vec<RuleId> = list.of(address, &self.rules.domains).map(|entry| entry.rule).collect();
        for (index, entry) in list.entries().iter().enumerate().filter(|(_, entry)| meant.contains(&entry.rule)) {
            let mut entries = list.entries().to_vec();
            let line = self.book.place(entry.rule).line;
            let also = match &entry.addresses {
                Addresses::One(_) => (Width::One, None),
                Addresses::AllAt(host) => everywhere(&format!("mail of everybody at {host}")),
            };
            if is_over(&entry.term, self.question.now()) == Finding::Expired {
                entries[index].term = entry.term.renewed(self.question.now(), RENEWAL);
                let what = format!("renew {}", quoted(&write::addresses(&entry.addresses)));
                self.senders(line, &what, entries, Some(index), also);
            } else {
                let what = format!("take out {}", write::filtered(entry));
                entries.remove(index);
                self.senders(line, &what, entries, None, also);
            }
        }
        let mut entries = list.entries().to_vec();
        let new =
            FilteredSender { rule: list.rule(), addresses: Addresses::One(address.clone()), term: Term::default() };
        let what = format!("add {}", write::filtered(&new));
        entries.push(new);
        let last = entries.len() - 1;
        self.senders(self.book.place(list.rule()).line, &what, entries, Some(last), (Width::One, None));
    }

    /// The list becomes `entries`, of which `new` is the one that is new or has changed.
    fn senders(
        &mut self,
        line: Option<u32>,
        what: &str,
        entries: Vec<FilteredSender>,
        new: Option<usize>,
        reach: Reach,
    ) {
        let rule = self.rules.sender_filter.senders.list.rule();
        let key = self.book.place(rule).key.to_owned();
        let all: Vec<String> = entries.iter().map(write::filtered).collect();
        let shown = new.map(|at| all[at].as_str());
        let edit = write::changed_list(&key, line, what, (&all, shown), reach, None);
        self.propose(edit, |rules| {
            let list = SenderList::new(rule, entries, &rules.domains.aliases);
            Arc::make_mut(&mut rules.sender_filter.senders).list = list;
        });
    }
}

fn everywhere(whom: &str) -> Reach {
    (Width::Everybody, Some(format!("{whom}, at all virtual servers that apply the filter")))
}

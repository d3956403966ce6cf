//! Edits of the lists of accounts and groups that have a right, or have it not.

use super::clients::RENEWAL;
use super::{Draft, Reach, Width, is_over, write};
use crate::decision::Finding;
use crate::rights::{Allowed, Holder, Holders, Rights, Who};
use crate::rules::Rules;
use crate::term::Term;
use mail::Account;

impl Draft<'_> {
    /// Takes the account off the denials or onto them, onto those who may or off them.
    pub(super) fn rights(&mut self, rights: &Rights, account: &Account, of: fn(&mut Rules) -> &mut Rights) {
        self.holders(&rights.deny, account, |rules, list| of(rules).deny = list);
        match &rights.allow {
            Allowed::Only(list) => {
                self.holders(list, account, |rules, list| of(rules).allow = Allowed::Only(list));
            }
            Allowed::Everyone(rule) => {
                let (rule, nobody) = (*rule, Holders::new(*rule, Vec::new()));
                let accounts = (Width::Accounts, Some("every account".to_owned()));
                self.set(rule, "[]".to_owned(), accounts, |rules| of(rules).allow = Allowed::Only(nobody));
            }
        }
    }

    fn holders(&mut self, list: &Holders, account: &Account, put: impl Fn(&mut Rules, Holders)) {
        let key = self.book.place(list.rule()).key.to_owned();
        let line = self.book.place(list.rule()).line;
        for (index, entry) in list.entries().iter().enumerate().filter(|(_, entry)| means(&entry.who, account)) {
            let mut entries = list.entries().to_vec();
            let line = self.book.place(entry.rule).line;
            let edit = match is_over(&entry.term, self.question.now()) {
                Finding::Expired => {
                    entries[index].term = entry.term.renewed(self.question.now(), RENEWAL);
                    let (all, new) = (written(&entries), write::who(&entries[index]));
                    let what = format!("renew {}", write::who(&Holder { term: Term::default(), ..entry.clone() }));
                    write::changed_list(&key, line, &what, (&all, Some(&new)), reach(&entry.who), None)
                }
                _ => {
                    entries.remove(index);
                    let (all, gone) = (written(&entries), write::who(entry));
                    write::list_edit(&key, line, (&all, &gone, false), reach(&entry.who), None)
                }
            };
            self.propose(edit, |rules| put(rules, Holders::new(list.rule(), entries)));
        }
        let mut entries = list.entries().to_vec();
        let who = Who::Account(account.name.clone());
        let new = Holder { rule: list.rule(), who, term: Term::default() };
        let text = write::who(&new);
        entries.push(new);
        let edit = write::list_edit(&key, line, (&written(&entries), &text, true), (Width::One, None), None);
        self.propose(edit, |rules| put(rules, Holders::new(list.rule(), entries)));
    }
}

fn written(entries: &[Holder]) -> Vec<String> {
    entries.iter().map(write::who).collect()
}

fn means(who: &Who, account: &Account) -> bool {
    let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
    match who {
        Who::Account(name) => same(name, &account.name),
        Who::Group(name) => account.groups.iter().any(|group| same(name, group)),
    }
}

/// Whom an entry means beside the account.
pub(super) fn reach(who: &Who) -> Reach {
    match who {
        Who::Account(_) => (Width::One, None),
        Who::Group(name) => (Width::Group, Some(format!("every account of group {name}"))),
    }
}

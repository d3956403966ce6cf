//! Edits that concern as whom somebody may send.

use super::clients::{RENEWAL, network};
use super::holders::reach;
use super::write::{loans_edit, quoted};
use super::{Draft, Reach, Width, is_over};
use crate::decision::Finding;
use crate::facts::MessageFacts;
use crate::rights::Who;
use crate::rule_book::RuleId;
use crate::rules::Rules;
use crate::send_as::{Action, Addresses, Borrower, Check, Grant, Place, SendAs};
use crate::term::Term;
use crate::tested::{authors, borrower, word};
use mail::{Author, Identity, Mailbox, Net, ReversePath, canonical};
use std::sync::Arc;

impl Draft<'_> {
    pub(super) fn envelope(&mut self, path: &ReversePath) {
        match path {
            ReversePath::Mailbox(mailbox) => {
                self.address(mailbox);
                self.checks(Place::Envelope);
            }
            ReversePath::Null => self.check(self.rules.send_as.null_sender.rule, |send_as| &mut send_as.null_sender),
        }
    }

    pub(super) fn message(&mut self, facts: &MessageFacts<'_>) {
        let limits = &self.rules.limits;
        if facts.hops > limits.hop_count && facts.hops <= HOPS {
            let also = Some("every message that loops goes round more often".to_owned());
            self.set(limits.hop_count_rule, facts.hops.to_string(), (Width::Everybody, also), |rules| {
                rules.limits.hop_count = facts.hops;
            });
        }
        let mut seen: Vec<&Mailbox> = Vec::new();
        for (place, author) in authors(facts.authors).take(AUTHORS) {
            if let Author::Mailbox(mailbox) = author
                && !seen.contains(&mailbox)
            {
                seen.push(mailbox);
                self.address(mailbox);
            }
            self.checks(place);
        }
    }

    /// Lends an address to whoever uses it, takes a loan away, or renews one.
    fn address(&mut self, address: &Mailbox) {
        let identity = self.question.identity();
        let client = canonical(self.question.client());
        let send_as = &self.rules.send_as;
        for grant in send_as.grants.held_by(identity, client) {
            let covers = |lent: &Addresses| send_as.covers(lent, address, &self.rules.domains);
            if grant.addresses.iter().any(covers)
                && let Some(index) = send_as.grants.iter().position(|one| std::ptr::eq(one, grant))
            {
                self.loan(index, grant);
            }
        }
        let to = match identity {
            Identity::Account(account) => Borrower::Holder(Who::Account(account.name.clone())),
            Identity::Peer(name) => Borrower::Peer(name.clone()),
            Identity::Anonymous => Borrower::Clients(Net::from(client)),
        };
        // The rule is nobody's yet; the trace of what is tried here is not kept.
        let rule = send_as.envelope.rule;
        let addresses = Box::new([Addresses::One(address.clone())]);
        let new = Grant { rule, to, addresses, term: Term::default() };
        let mut all = send_as.grants.to_vec();
        all.push(new.clone());
        let what = format!("lend {address} to {}", borrower(&new.to));
        let edit = loans_edit(LOANS, None, what, &all, Some(&new), whom(&new.to));
        self.propose(edit, |rules| rules.send_as.grants = Arc::new(all.into()));
        if let Identity::Peer(name) = identity {
            self.peer(name, |peer| (peer.send_as_anybody_rule, &mut peer.send_as_anybody));
        }
    }

    /// Takes a loan away, or renews it if it is over.
    fn loan(&mut self, index: usize, grant: &Grant) {
        let mut all = self.rules.send_as.grants.to_vec();
        let place = self.book.place(grant.rule);
        let edit = match is_over(&grant.term, self.question.now()) {
            Finding::Expired => {
                all[index].term = grant.term.renewed(self.question.now(), RENEWAL);
                let what = format!("renew the loan to {}", borrower(&grant.to));
                loans_edit(place.key, place.line, what, &all, Some(&all[index]), whom(&grant.to))
            }
            _ => {
                all.remove(index);
                let what = format!("take back what is lent to {}", borrower(&grant.to));
                loans_edit(place.key, place.line, what, &all, None, whom(&grant.to))
            }
        };
        self.propose(edit, |rules| rules.send_as.grants = Arc::new(all.into()));
    }

    /// What becomes of addresses at a place, whosever they are.
    fn checks(&mut self, place: Place) {
        let send_as = &self.rules.send_as;
        if matches!(self.question.identity(), Identity::Anonymous) {
            return self.check(send_as.anonymous.rule, |send_as| &mut send_as.anonymous);
        }
        match place {
            Place::Envelope => self.check(send_as.envelope.rule, |send_as| &mut send_as.envelope),
            Place::From => self.check(send_as.from.rule, |send_as| &mut send_as.from),
            Place::Sender => self.check(send_as.sender.rule, |send_as| &mut send_as.sender),
            Place::ResentFrom => self.check(send_as.resent_from.rule, |send_as| &mut send_as.resent_from),
        }
        self.check(send_as.outside.rule, |send_as| &mut send_as.outside);
    }

    fn check(&mut self, rule: RuleId, of: fn(&mut SendAs) -> &mut Check) {
        // To be told is as good as not to be asked, and shows more.
        let action = if self.wanted { Action::Mark } else { Action::Refuse };
        let whom = match self.question.identity() {
            Identity::Anonymous => (Width::Everybody, Some("every client that has not authenticated".to_owned())),
            _ => (Width::Accounts, Some("every account, and every peer that may not send as anybody".to_owned())),
        };
        self.set(rule, quoted(word(action)), whom, |rules: &mut Rules| of(&mut rules.send_as).action = action);
    }
}

/// The most that `hop_count` may be set to.
const HOPS: u32 = 1000;
/// Authors of one message whose addresses are thought about.
const AUTHORS: usize = 16;
/// The key of all loans.
const LOANS: &str = "organization.send_as";

/// To whom else an address is lent.
fn whom(to: &Borrower) -> Reach {
    match to {
        Borrower::Holder(who) => reach(who),
        Borrower::Peer(_) => (Width::One, None),
        Borrower::Clients(net) => network(*net),
    }
}

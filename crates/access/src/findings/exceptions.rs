//! Exceptions that are over, that nobody answers for, and that nobody can make use of.

use super::{Finding, Severity};
use crate::audit::{Auditor, Place};
use config::{Config, Server};
use policy::{Allowed, Borrower, Mode, RuleId, Term};
use std::collections::BTreeSet;

/// Findings about every list and every loan.
pub(super) fn of(auditor: &Auditor<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for list in lists(auditor) {
        found.extend(over(auditor, &list));
        found.extend(unowned(auditor, &list));
    }
    found.extend(lent_to_nobody(auditor));
    found.extend(auditor.config.servers.iter().filter_map(|server| unusable(auditor, server)));
    found
}

/// A list of exceptions, by its key.
struct Exceptions<'a> {
    key: String,
    entries: Vec<(RuleId, &'a Term)>,
}

impl Exceptions<'_> {
    /// Whether an entry lets somebody do what is not for everybody: that somebody should answer for.
    fn opens(&self, config: &Config) -> bool {
        let relays = |server: &Server| {
            let list = format!("virtual_server.{}.relay.list", server.name);
            let allow = format!("virtual_server.{}.relay.allow", server.name);
            self.key == allow || (self.key == list && server.rules.relay.mode == Mode::Only)
        };
        self.key == "organization.send_as" || config.servers.iter().any(relays)
    }
}

fn lists<'a>(auditor: &'a Auditor<'_>) -> Vec<Exceptions<'a>> {
    let mut lists: Vec<Exceptions<'_>> = Vec::new();
    for exception in auditor.config.exceptions() {
        let place = auditor.config.book.place(exception.rule).key;
        let key = place.rsplit_once('[').map_or(place, |(list, _)| list);
        let entry = (exception.rule, exception.term);
        match lists.iter_mut().find(|list| list.key == key) {
            Some(list) => list.entries.push(entry),
            None => lists.push(Exceptions { key: key.to_owned(), entries: vec![entry] }),
        }
    }
    lists
}

fn over(auditor: &Auditor<'_>, list: &Exceptions<'_>) -> Option<Finding> {
    let over: Vec<RuleId> =
        list.entries.iter().filter(|(_, term)| term.is_over(auditor.table.now)).map(|(rule, _)| *rule).collect();
    let (first, is) = (over.first()?, if over.len() == 1 { "entry is" } else { "entries are" });
    Some(Finding {
        id: format!("expired:{}", list.key),
        severity: Severity::Warning,
        what: format!("{} {is} over in {}.", over.len(), list.key),
        why: "It does nothing any more; whoever counts on it does not know.".to_owned(),
        mend: "Remove it, or give it a new end.".to_owned(),
        rule: Place::of(&auditor.config.book, *first),
        witness: None,
    })
}

fn unowned(auditor: &Auditor<'_>, list: &Exceptions<'_>) -> Option<Finding> {
    let unowned = list.entries.iter().filter(|(_, term)| term.owner.is_none());
    let unowned: Vec<RuleId> = unowned.map(|(rule, _)| *rule).collect();
    let first = unowned.first().filter(|_| list.opens(auditor.config))?;
    let is = if unowned.len() == 1 { "entry has" } else { "entries have" };
    Some(Finding {
        id: format!("unowned:{}", list.key),
        severity: Severity::Notice,
        what: format!("{} {is} no owner in {}.", unowned.len(), list.key),
        why: "When it is asked whether it is still needed, there is nobody to ask.".to_owned(),
        mend: "Write owner, reason and expires at each: { ..., owner = \"...\", reason = \"...\", expires = \"...\" }."
            .to_owned(),
        rule: Place::of(&auditor.config.book, *first),
        witness: None,
    })
}

/// Loans to peers that do not exist, and to accounts where nobody can be one.
fn lent_to_nobody(auditor: &Auditor<'_>) -> Vec<Finding> {
    let config = auditor.config;
    let peers: BTreeSet<&str> = config.peers.iter().map(|peer| &*peer.name).collect();
    let accounts = config.servers.iter().any(can_have_accounts);
    let Some(server) = config.servers.first() else { return Vec::new() };
    let nobody = server.rules.send_as.grants.iter().filter_map(|loan| {
        let (whom, mend) = match &loan.to {
            Borrower::Peer(name) if !peers.contains(&**name) => {
                (format!("peer {name}, which does not exist"), format!("Add [peer.{name}], or remove the loan."))
            }
            Borrower::Holder(_) if !accounts => (
                "accounts, and no virtual server lets anybody log in".to_owned(),
                "Name mechanisms and directories at a virtual server, or remove the loan.".to_owned(),
            ),
            _ => return None,
        };
        let rule = Place::of(&config.book, loan.rule);
        Some(Finding {
            id: format!("lent-to-nobody:{}", rule.key),
            severity: Severity::Warning,
            what: format!("Addresses are lent to {whom}."),
            why: "Nobody can use the loan; somebody may count on it.".to_owned(),
            mend,
            rule,
            witness: None,
        })
    });
    nobody.collect()
}

fn can_have_accounts(server: &Server) -> bool {
    server.session.has_auth() && !server.authentication.directories.is_empty()
}

/// Rights of accounts where nobody can log in.
fn unusable(auditor: &Auditor<'_>, server: &Server) -> Option<Finding> {
    let given = |allow: &Allowed| match allow {
        Allowed::Only(holders) => !holders.entries().is_empty(),
        Allowed::Everyone(_) => false,
    };
    let rules = &server.rules;
    let key = match (given(&rules.submit.allow), given(&rules.relay.rights.allow), rules.relay.authenticated) {
        (true, ..) => "submit.allow",
        (_, true, _) => "relay.allow",
        (.., true) => "relay.authenticated",
        _ => return None,
    };
    if can_have_accounts(server) {
        return None;
    }
    let key = format!("virtual_server.{}.{key}", server.name);
    Some(Finding {
        id: format!("nobody-can-log-in:{}", server.name),
        severity: Severity::Warning,
        what: format!("{} gives accounts rights, and lets nobody log in.", server.name),
        why: "Nobody can make use of them.".to_owned(),
        mend: format!(
            "Name mechanisms and directories in virtual_server.{}.authentication, or remove {key}.",
            server.name
        ),
        rule: Place::key(&auditor.config.book, &key),
        witness: None,
    })
}

//! Exceptions that are over, that nobody answers for, and that nobody can make use of.

use super::{Finding, Severity};
use crate::audit::{Auditor, Place};
use crate::rows::said;
use config::exceptions::Exception;
use config::{Config, Server};
use policy::{Allowed, Borrower, Mode};
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
    entries: Vec<Exception<'a>>,
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
        match lists.iter_mut().find(|list| list.key == key) {
            Some(list) => list.entries.push(exception),
            None => lists.push(Exceptions { key: key.to_owned(), entries: vec![exception] }),
        }
    }
    lists
}

fn over(auditor: &Auditor<'_>, list: &Exceptions<'_>) -> Option<Finding> {
    let now = auditor.table.now;
    let over: Vec<&Exception<'_>> = list.entries.iter().filter(|entry| entry.term.is_over(now)).collect();
    let (first, is) = (over.first()?, if over.len() == 1 { "entry is" } else { "entries are" });
    let each = over.iter().map(|entry| {
        let end = entry.term.last_day().map(|day| format!("last day {day}"));
        let owner = entry.term.owner.as_ref().map(|owner| format!("owner {owner}"));
        let told: Vec<String> = end.into_iter().chain(owner).collect();
        format!("{} ({})", entry.what, told.join(", "))
    });
    Some(Finding {
        id: format!("expired:{}", list.key),
        severity: Severity::Warning,
        what: format!("{} {is} over in {}: {}.", over.len(), list.key, said(&each.collect::<Vec<_>>(), "and")),
        why: "It does nothing any more; whoever counts on it does not know.".to_owned(),
        mend: "Remove it, or give it a new end.".to_owned(),
        rule: Place::of(&auditor.config.book, first.rule),
        witness: None,
    })
}

fn unowned(auditor: &Auditor<'_>, list: &Exceptions<'_>) -> Option<Finding> {
    let unowned: Vec<&Exception<'_>> = list.entries.iter().filter(|entry| entry.term.owner.is_none()).collect();
    let first = unowned.first().filter(|_| list.opens(auditor.config))?;
    let is = if unowned.len() == 1 { "entry has" } else { "entries have" };
    let each: Vec<String> = unowned.iter().map(|entry| entry.what.to_string()).collect();
    Some(Finding {
        id: format!("unowned:{}", list.key),
        severity: Severity::Notice,
        what: format!("{} {is} no owner in {}: {}.", unowned.len(), list.key, said(&each, "and")),
        why: "When it is asked whether it is still needed, there is nobody to ask.".to_owned(),
        mend: "Write owner, reason and expires at each; `bridgehead check --strict` shows how.".to_owned(),
        rule: Place::of(&auditor.config.book, first.rule),
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

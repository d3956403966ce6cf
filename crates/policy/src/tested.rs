//! What was compared with what at each step of a trace, in words.
//!
//! The trace itself says only which rule was tried and what came of it. The words are made when somebody
//! reads, of the trace, the facts and the rules that it was made by; nothing is judged here a second time,
//! except that the authors of a message are gone through again to know which step was about which.

mod filter;
mod identity;

pub(crate) use identity::{borrower, holder, word};

use crate::decision::{Finding, Step, Trace};
use crate::domains::Domains;
use crate::facts::{ConnectionFacts, MessageFacts, RecipientFacts, SenderFacts};
use crate::limits::Limits;
use crate::list::{Entry, List, Match};
use crate::question::Question;
use crate::route::Routing;
use crate::rule_book::RuleId;
use crate::rules::{ConnectionControl, Mode, Relay, Rules};
use crate::send_as::{Place, User};
use crate::term::Term;
use mail::{Author, Domain, Found, Identity, Ledger, Mailbox, Query, ReversePath, canonical};
use std::net::IpAddr;

/// What each step of `trace` compared, in its order. `None` where there is nothing to add to the rule.
#[must_use]
pub fn tested(rules: &Rules, question: &Question<'_>, ledger: &Ledger, trace: &Trace) -> Vec<Option<String>> {
    let reader = Reader { rules, ledger };
    let steps = trace.steps();
    match question {
        Question::Connection(facts) => steps.iter().map(|step| reader.connection(facts, step)).collect(),
        Question::Sender(facts) => steps.iter().map(|step| reader.sender(facts, step)).collect(),
        Question::Recipient(facts) => steps.iter().map(|step| reader.recipient(facts, step)).collect(),
        Question::Message(facts) => reader.message(facts, steps),
    }
}

/// As [`tested`], for the steps of a route.
#[must_use]
pub fn tested_route(routing: &Routing, server: &str, recipient: &Mailbox, trace: &Trace) -> Vec<Option<String>> {
    let domains = routing.servers.get(server).map_or(&routing.domains, |server| &server.domains);
    let value = |step: &Step| recipient.domain().and_then(|domain| domain_of(domains, domain, step));
    trace.steps().iter().map(value).collect()
}

/// Whoever reads a trace, with what it was made by.
struct Reader<'a> {
    rules: &'a Rules,
    ledger: &'a Ledger,
}

impl Reader<'_> {
    fn connection(&self, facts: &ConnectionFacts, step: &Step) -> Option<String> {
        limit(&self.rules.limits, facts, step).or_else(|| self.control(facts.client, step))
    }

    fn control(&self, client: IpAddr, step: &Step) -> Option<String> {
        let ConnectionControl { mode, mode_rule, list, applies_rule, .. } = &self.rules.connection;
        if step.rule == *applies_rule {
            return Some(match step.finding {
                Finding::NoMatch => "the list has let this client in already".to_owned(),
                _ => "the list is for clients that have not authenticated".to_owned(),
            });
        }
        if step.rule == *mode_rule {
            return Some(match mode {
                Mode::Only => "only clients on the list may connect".to_owned(),
                Mode::AllExcept => "all clients but those on the list may connect".to_owned(),
            });
        }
        self.listed(list, client, step)
    }

    /// What was compared with a list of clients or an entry of it.
    fn listed(&self, list: &List, client: IpAddr, step: &Step) -> Option<String> {
        let client = canonical(client);
        if let Some(entry) = list.entries().iter().find(|entry| entry.rule == step.rule) {
            return Some(self.entry(entry, client, step.finding));
        }
        if step.rule != list.rule() {
            return None;
        }
        Some(match (step.finding, list.entries().len()) {
            (Finding::Unavailable, _) => format!("the names of client {client} could not be found out"),
            (_, 0) => "the list is empty".to_owned(),
            (_, entries) => format!("client {client} is not on the list of {}", count(entries, "client")),
        })
    }

    fn entry(&self, entry: &Entry, client: IpAddr, finding: Finding) -> String {
        let compared = match &entry.what {
            Match::Net(net) if net.free_bits() == 0 => format!("client {client} is this address"),
            Match::Net(net) => format!("client {client} is in {net}"),
            Match::Domain(domain) => self.named(client, domain, finding),
        };
        format!("{compared}{}", term(&entry.term, finding))
    }

    fn named(&self, client: IpAddr, domain: &Domain, finding: Finding) -> String {
        let names = match self.ledger.find(&Query::ConfirmedNames(client)) {
            Some(Found::Names(names)) if !names.is_empty() => some(names.iter()),
            Some(Found::Names(_) | Found::Absent) => return format!("client {client} has no confirmed name"),
            _ => return format!("the names of client {client} could not be found out"),
        };
        match finding {
            Finding::NoMatch => format!("client {client} is called {names}: neither {domain} nor below it"),
            _ => format!("client {client} is called {names}: {domain} or below it"),
        }
    }

    fn sender(&self, facts: &SenderFacts<'_>, step: &Step) -> Option<String> {
        let rules = self.rules;
        let submits = match facts.identity {
            Identity::Peer(name) => identity::peer_submits(rules, name, step),
            Identity::Account(account) => identity::rights(&rules.submit, account, step),
            Identity::Anonymous if step.rule == rules.authentication.anonymous_rule => {
                let state = if rules.authentication.anonymous { "on" } else { "off" };
                Some(format!("the client has not authenticated, and anonymous access is {state}"))
            }
            Identity::Anonymous => self.control(facts.client, step),
        };
        submits.or_else(|| filter::sender(rules, facts, step)).or_else(|| {
            let user = self.user(facts.identity, facts.client, facts.now);
            match facts.reverse_path {
                ReversePath::Mailbox(mailbox) => {
                    identity::address(&rules.send_as, &user, Place::Envelope, mailbox, &rules.domains, step)
                }
                ReversePath::Null => (step.rule == rules.send_as.null_sender.rule)
                    .then(|| format!("the reverse-path is null: {}", identity::word(rules.send_as.null_sender.action))),
            }
        })
    }

    fn user<'u>(&self, identity: &'u Identity, client: IpAddr, now: mail::Timestamp) -> User<'u> {
        User { identity, client, now, trusted: self.rules.trusts(identity) }
    }

    fn recipient(&self, facts: &RecipientFacts<'_>, step: &Step) -> Option<String> {
        let recipient = facts.recipient;
        let matched = step.finding == Finding::Matched;
        match step.rule {
            RuleId::ADDRESS_LITERAL if matched => {
                return Some(format!("{recipient} is at an address, not at a domain"));
            }
            RuleId::ADDRESS_LITERAL => return Some(format!("{recipient} is at a domain")),
            RuleId::ROUTED_LOCAL_PART if matched => {
                return Some(format!("local part {} could be read as another address", recipient.local.as_str()));
            }
            RuleId::ROUTED_LOCAL_PART if recipient.local.looks_routed() => {
                return Some(format!("{recipient} exists, although it looks like another address"));
            }
            RuleId::ROUTED_LOCAL_PART => {
                return Some(format!("local part {} has no %, ! or @", recipient.local.as_str()));
            }
            RuleId::POSTMASTER => return Some(format!("local part {}", recipient.local.as_str())),
            _ => {}
        }
        let domains = &*self.rules.domains;
        let in_domain = recipient.domain().and_then(|domain| domain_of(domains, domain, step));
        in_domain.or_else(|| existence(domains, recipient, step)).or_else(|| self.relay(facts, step))
    }

    fn relay(&self, facts: &RecipientFacts<'_>, step: &Step) -> Option<String> {
        let Relay { mode, mode_rule, list, authenticated_rule, rights, .. } = &self.rules.relay;
        if step.rule == *authenticated_rule {
            return Some(match (facts.identity, step.finding) {
                (Identity::Anonymous, _) => "the client has not authenticated".to_owned(),
                (_, Finding::Matched) => "whoever has authenticated may relay".to_owned(),
                _ => "having authenticated is not enough".to_owned(),
            });
        }
        if step.rule == *mode_rule {
            return Some(match mode {
                Mode::Only => "only clients on the list may relay".to_owned(),
                Mode::AllExcept => "all clients but those on the list may relay".to_owned(),
            });
        }
        let held = match facts.identity {
            Identity::Account(account) => identity::rights(rights, account, step),
            Identity::Peer(name) => identity::peer_relays(self.rules, name, step),
            Identity::Anonymous => None,
        };
        held.or_else(|| self.listed(list, facts.client, step))
    }

    fn message(&self, facts: &MessageFacts<'_>, steps: &[Step]) -> Vec<Option<String>> {
        let user = self.user(facts.identity, facts.client, facts.now);
        let (send_as, domains) = (&self.rules.send_as, &self.rules.domains);
        let limits = &self.rules.limits;
        let mut words = Vec::with_capacity(steps.len());
        if steps.first().is_some_and(|step| step.rule == limits.hop_count_rule) {
            words.push(Some(format!("{} Received fields, the limit is {}", facts.hops, limits.hop_count)));
        }
        for (place, author) in authors(facts.authors) {
            let mut own = Trace::new();
            let _ = send_as.author(&user, place, author, domains, &mut own);
            for step in own.steps() {
                let value = match author {
                    Author::Mailbox(mailbox) => identity::address(send_as, &user, place, mailbox, domains, step),
                    Author::Unreadable => Some("it can be read in more than one way, or in none".to_owned()),
                };
                words.push(value.map(|value| format!("{}: {value}", field(place))));
            }
        }
        // Judging stops at a refusal, and a trace may come from other rules than these.
        words.resize(steps.len(), None);
        words
    }
}

/// The mailboxes of a header in the order in which they are judged.
pub(crate) fn authors(authors: &mail::Authors) -> impl Iterator<Item = (Place, &Author)> {
    let of = |place: Place| move |author| (place, author);
    let from = authors.from.iter().map(of(Place::From));
    from.chain(authors.sender.iter().map(of(Place::Sender)))
        .chain(authors.resent_from.iter().map(of(Place::ResentFrom)))
}

/// What a field is called in a message.
fn field(place: Place) -> &'static str {
    match place {
        Place::Envelope => "MAIL",
        Place::From => "From",
        Place::Sender => "Sender",
        Place::ResentFrom => "Resent-From",
    }
}

fn limit(limits: &Limits, facts: &ConnectionFacts, step: &Step) -> Option<String> {
    let of = |rule, open: u32, limit: Option<u32>, whose: &str| {
        let limit = limit.filter(|_| step.rule == rule)?;
        let sessions = if open == 1 { "session is" } else { "sessions are" };
        Some(format!("{open} {sessions} open {whose}, the limit is {limit}"))
    };
    let address = format!("from {}", canonical(facts.client));
    of(limits.connections_in_all_rule, facts.open_in_all, limits.connections_in_all, "at all virtual servers")
        .or_else(|| of(limits.connections_rule, facts.open, limits.connections, "here"))
        .or_else(|| {
            let per_address = limits.connections_per_address;
            of(limits.connections_per_address_rule, facts.open_from_client, per_address, &address)
        })
        .or_else(|| {
            let per_network = limits.connections_per_network;
            of(limits.connections_per_network_rule, facts.open_from_network, per_network, "from its network")
        })
}

/// What was compared with the domains.
fn domain_of(domains: &Domains, domain: &Domain, step: &Step) -> Option<String> {
    if step.finding == Finding::NoMatch && step.rule == domains.organization_rule {
        let ours = domains.organization.keys().chain(domains.aliases.keys());
        return Some(match some(ours).as_str() {
            "" => "no domain is ours".to_owned(),
            ours => format!("domain {domain} is none of ours: {ours}"),
        });
    }
    if let Some((rule, stamp)) = domains.local(domain)
        && rule == step.rule
    {
        let is = if stamp == domain { "is ours".to_owned() } else { format!("stands for {stamp}") };
        return Some(format!("domain {domain} {is}"));
    }
    if step.finding == Finding::NoMatch && step.rule == domains.remote_rule {
        let known = domains.remote.len() + domains.remote_below.len();
        return Some(match known {
            0 => "there are no remote domains".to_owned(),
            1 => format!("domain {domain} is not the one remote domain"),
            known => format!("domain {domain} is none of {known} remote domains"),
        });
    }
    let remote = domains.remote(domain)?;
    if remote.allow_relay_rule == step.rule {
        return Some(match remote.allow_relay {
            true => format!("anybody may relay to {domain}"),
            false => format!("not everybody may relay to {domain}"),
        });
    }
    (remote.rule == step.rule).then(|| format!("domain {domain} is this remote domain, or below it"))
}

/// What was compared with those who exist.
fn existence(domains: &Domains, recipient: &Mailbox, step: &Step) -> Option<String> {
    if let Some(recipients) = &domains.recipients
        && recipients.rule() == step.rule
    {
        let is = if step.finding == Finding::Matched { "is" } else { "is not" };
        return Some(format!("{recipient} {is} on the list of {}", count(recipients.len(), "recipient")));
    }
    (domains.recipients_in == Some(step.rule)).then(|| match step.finding {
        Finding::Matched => format!("the directories know {recipient}"),
        Finding::NoMatch => format!("no directory knows {recipient}"),
        _ => format!("the directories could not say whether there is {recipient}"),
    })
}

/// What is said about an entry beside whom it means, as far as somebody has said it.
fn term(term: &Term, finding: Finding) -> String {
    let mut words = String::new();
    match (finding, term.last_day()) {
        (Finding::Expired, Some(day)) => words = format!("; expired on {day}"),
        (Finding::Matched, Some(day)) => words = format!("; until {day}"),
        _ => {}
    }
    if matches!(finding, Finding::Expired | Finding::Matched) {
        for (what, said) in [("owner", &term.owner), ("reason", &term.reason)] {
            if let Some(said) = said {
                words += &format!("; {what} {said}");
            }
        }
    }
    words
}

/// So many of something.
fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// The first of several things, and how many more there are.
fn some<T: std::fmt::Display>(all: impl Iterator<Item = T>) -> String {
    const SHOWN: usize = 8;
    let all: Vec<String> = all.map(|one| one.to_string()).collect();
    match all.len().checked_sub(SHOWN) {
        None | Some(0) => all.join(", "),
        Some(more) => format!("{} and {more} more", all[..SHOWN].join(", ")),
    }
}

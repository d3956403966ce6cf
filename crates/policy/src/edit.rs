//! The nearest single change of the settings that would turn an answer round.
//!
//! Every kind of change that could matter to a question is made to a copy of the rules, the same question is
//! asked again of the same function, and what does not turn its answer round is dropped. So nothing proposed here
//! is a guess. What is left is ordered by how little else it changes: somebody alone before an address, an
//! address before a group or a network, everybody last.

mod addresses;
mod clients;
mod filters;
mod holders;
mod write;

use crate::decision::Finding;
use crate::domains::Domains;
use crate::facts::ConnectionFacts;
use crate::question::Question;
use crate::rule_book::{RuleBook, RuleId};
use crate::rules::{AppliesTo, Rules};
use mail::{Domain, Identity, Ledger, Mailbox};
use std::sync::Arc;
use write::{quoted, table};

/// A change of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The key that it changes.
    pub key: String,
    /// The line where that stands now; `None` if nobody has written it.
    pub line: Option<u32>,
    /// What is done, in words.
    pub what: String,
    /// As lines of the settings file, for a person: of a long list only what changes.
    pub toml: Vec<String>,
    /// The keys with their whole values, in TOML, for a program.
    pub settings: Vec<(String, String)>,
    /// How much else it changes.
    pub width: Width,
    /// Whom else it concerns; `None`: nobody.
    pub also: Option<String>,
}

/// How much a change of the settings concerns that was not asked about. The narrower is the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Width {
    /// One account, peer or mailbox.
    One,
    /// Everybody at one address.
    Address,
    /// The accounts of a group.
    Group,
    /// The addresses of a network: so many bits of them are free.
    Network(u8),
    /// The clients below a domain.
    Names,
    /// All accounts.
    Accounts,
    /// All clients, or all recipients of a domain.
    Everybody,
}

/// The changes that would turn round the answer to a question, the nearest first. None, if no single change would.
#[must_use]
pub fn edits(rules: &Rules, book: &RuleBook, question: &Question<'_>, ledger: &Ledger) -> Vec<Edit> {
    let Some(granted) = question.is_granted(rules, ledger) else { return Vec::new() };
    let mut draft = Draft { rules, book, question, ledger, wanted: !granted, found: Vec::new() };
    match question {
        Question::Connection(facts) => draft.connection(facts),
        Question::Sender(_) => draft.sender(),
        Question::Recipient(facts) => draft.recipient(facts.recipient),
        Question::Message(facts) => draft.message(facts),
    }
    // The sort is stable: of equals, what was thought of first.
    draft.found.sort_by_key(|edit| edit.width);
    let mut edits: Vec<Edit> = Vec::with_capacity(draft.found.len());
    for edit in draft.found {
        // Two authors of a message may lead to the same.
        if !edits.contains(&edit) {
            edits.push(edit);
        }
    }
    edits
}

/// The edits found so far, and what they are judged by.
struct Draft<'a> {
    rules: &'a Rules,
    book: &'a RuleBook,
    question: &'a Question<'a>,
    ledger: &'a Ledger,
    /// The answer that is looked for.
    wanted: bool,
    found: Vec<Edit>,
}

impl Draft<'_> {
    /// Keeps an edit if it turns the answer round.
    fn propose(&mut self, edit: Edit, change: impl FnOnce(&mut Rules)) {
        let mut rules = self.rules.clone();
        change(&mut rules);
        if self.question.is_granted(&rules, self.ledger) == Some(self.wanted) {
            self.found.push(edit);
        }
    }

    /// One key gets another value.
    fn set(&mut self, rule: RuleId, value: String, (width, also): Reach, change: impl FnOnce(&mut Rules)) {
        if rule.is_built_in() {
            return;
        }
        let place = self.book.place(rule);
        let (header, name) = table(place.key);
        let edit = Edit {
            key: place.key.to_owned(),
            line: place.line,
            what: format!("set it to {value}"),
            toml: header.into_iter().chain([format!("{name} = {value}")]).collect(),
            settings: vec![(place.key.to_owned(), value)],
            width,
            also,
        };
        self.propose(edit, change);
    }

    fn connection(&mut self, facts: &ConnectionFacts) {
        self.connection_list();
        let applies_to = self.rules.connection.applies_to;
        let (word, other) = match applies_to {
            AppliesTo::Everyone => ("anonymous", AppliesTo::Anonymous),
            AppliesTo::Anonymous => ("everyone", AppliesTo::Everyone),
        };
        let everybody = (Width::Everybody, Some("every client that is not let in by the list".to_owned()));
        let rule = self.rules.connection.applies_rule;
        self.set(rule, quoted(word), everybody, |rules| rules.connection.applies_to = other);
        self.limits(facts);
    }

    fn connection_list(&mut self) {
        let control = &self.rules.connection;
        self.clients(&control.list, control.mode, control.mode_rule, |rules| &mut rules.connection.list);
    }

    /// Room for one session more.
    fn limits(&mut self, facts: &ConnectionFacts) {
        let limits = &self.rules.limits;
        let more = |open: u32| open.saturating_add(1);
        let reach = || (Width::Everybody, Some("one session more for everybody".to_owned()));
        if limits.connections_in_all.is_some_and(|limit| facts.open_in_all >= limit) {
            let most = more(facts.open_in_all);
            self.set(limits.connections_in_all_rule, most.to_string(), reach(), |rules| {
                rules.limits.connections_in_all = Some(most);
            });
        }
        if limits.connections.is_some_and(|limit| facts.open >= limit) {
            let most = more(facts.open);
            self.set(limits.connections_rule, most.to_string(), reach(), |rules| rules.limits.connections = Some(most));
        }
        if limits.connections_per_address.is_some_and(|limit| facts.open_from_client >= limit) {
            let most = more(facts.open_from_client);
            self.set(limits.connections_per_address_rule, most.to_string(), reach(), |rules| {
                rules.limits.connections_per_address = Some(most);
            });
        }
        if limits.connections_per_network.is_some_and(|limit| facts.open_from_network >= limit) {
            let most = more(facts.open_from_network);
            self.set(limits.connections_per_network_rule, most.to_string(), reach(), |rules| {
                rules.limits.connections_per_network = Some(most);
            });
        }
    }

    fn sender(&mut self) {
        let Question::Sender(facts) = self.question else { return };
        match facts.identity {
            Identity::Account(account) => {
                self.rights(&self.rules.submit, account, |rules| &mut rules.submit);
            }
            Identity::Peer(name) => self.peer(name, |peer| (peer.submit_rule, &mut peer.submit)),
            Identity::Anonymous => {
                self.connection_list();
                let on = !self.rules.authentication.anonymous;
                let clients = (Width::Everybody, Some("every client that has not authenticated".to_owned()));
                let rule = self.rules.authentication.anonymous_rule;
                self.set(rule, on.to_string(), clients, |rules| rules.authentication.anonymous = on);
            }
        }
        self.sender_filter(facts.reverse_path);
        self.envelope(facts.reverse_path);
    }

    fn recipient(&mut self, recipient: &Mailbox) {
        let relay = &self.rules.relay;
        match self.question.identity() {
            Identity::Account(account) => {
                self.rights(&relay.rights, account, |rules| &mut rules.relay.rights);
                let on = !relay.authenticated;
                let accounts = (Width::Accounts, Some("every account".to_owned()));
                self.set(relay.authenticated_rule, on.to_string(), accounts, |rules| rules.relay.authenticated = on);
            }
            Identity::Peer(name) => self.peer(name, |peer| (peer.relay_rule, &mut peer.relay)),
            Identity::Anonymous => {}
        }
        self.clients(&relay.list, relay.mode, relay.mode_rule, |rules| &mut rules.relay.list);
        self.recipients(recipient);
        if let Some(domain) = recipient.domain() {
            self.domain(domain);
        }
    }

    /// A right of a peer.
    fn peer(&mut self, name: &str, right: fn(&mut crate::rules::PeerRights) -> (RuleId, &mut bool)) {
        let Some(mut peer) = self.rules.peers.get(name).cloned() else { return };
        let (rule, may) = right(&mut peer);
        let on = !*may;
        self.set(rule, on.to_string(), (Width::One, None), |rules| {
            if let Some(peer) = Arc::make_mut(&mut rules.peers).get_mut(name) {
                *right(peer).1 = on;
            }
        });
    }

    /// Whether a recipient is known.
    fn recipients(&mut self, recipient: &Mailbox) {
        const KEY: &str = "organization.recipients";
        let domains = &self.rules.domains;
        let Some((_, stamp)) = recipient.domain().and_then(|domain| domains.local(domain)) else { return };
        let stamped = Mailbox { local: recipient.local.clone(), host: mail::Host::Domain(stamp.clone()) };
        let known = match &domains.recipients {
            Some(known) => known.clone(),
            // A list that nobody has written would shut out everybody else.
            None if domains.recipients_in.is_none() => return,
            None => crate::domains::Recipients::new(domains.organization_rule, []),
        };
        let add = !known.contains(&stamped);
        let line = domains.recipients.as_ref().and_then(|known| self.book.place(known.rule()).line);
        let with = known.with(&stamped, add);
        let all: Vec<String> = with.all().map(|one| quoted(&one)).collect();
        let changed = quoted(&stamped.to_string());
        let edit = write::list_edit(KEY, line, (&all, &changed, add), (Width::One, None), None);
        self.propose(edit, |rules| Arc::make_mut(&mut rules.domains).recipients = Some(with));
    }

    /// Whether a domain is ours, or one that anybody may relay to.
    fn domain(&mut self, domain: &Domain) {
        let domains = &self.rules.domains;
        if domains.local(domain).is_some() {
            return self.organization(domain, false);
        }
        if let Some(remote) = domains.remote(domain) {
            let on = !remote.allow_relay;
            let also = Some(format!("everybody, to {domain} and whatever else the entry means"));
            let (rule, entry) = (remote.allow_relay_rule, remote.rule);
            self.set(rule, on.to_string(), (Width::Everybody, also), |rules| {
                let domains = Arc::make_mut(&mut rules.domains);
                let all = domains.remote.values_mut().chain(domains.remote_below.values_mut());
                all.filter(|remote| remote.rule == entry).for_each(|remote| remote.allow_relay = on);
            });
        }
        self.organization(domain, true);
    }

    /// Takes a domain into those that are ours, or out of them.
    fn organization(&mut self, domain: &Domain, add: bool) {
        const KEY: &str = "organization.domains";
        let domains: &Domains = &self.rules.domains;
        if add == domains.organization.contains_key(domain) {
            return;
        }
        // Neither would `check` take: a domain that is remote and ours, and recipients in a domain that is not ours.
        let has_recipients = domains.recipients.as_ref().is_some_and(|known| known.one_at(domain).is_some());
        if if add { domains.remote.contains_key(domain) } else { has_recipients } {
            return;
        }
        let mut ours = domains.organization.clone();
        if add {
            ours.insert(domain.clone(), domains.organization_rule)
        } else {
            ours.remove(domain)
        };
        // In the order of the file, which is that of the rules: the first domain is one that others rest on.
        let mut all: Vec<(bool, RuleId, String)> =
            ours.iter().map(|(one, rule)| (add && one == domain, *rule, quoted(one.as_str()))).collect();
        all.sort();
        let all: Vec<String> = all.into_iter().map(|(.., text)| text).collect();
        let line = self.book.place(domains.organization_rule).line;
        let also = Some(format!("everybody, to every recipient at {domain}"));
        let changed = quoted(domain.as_str());
        let edit = write::list_edit(KEY, line, (&all, &changed, add), (Width::Everybody, also), None);
        self.propose(edit, |rules| Arc::make_mut(&mut rules.domains).organization = ours);
    }
}

/// How much an edit changes, and whom else it concerns.
type Reach = (Width, Option<String>);

/// What can be done about an entry that means somebody.
fn is_over(term: &crate::term::Term, now: mail::Timestamp) -> Finding {
    if term.is_over(now) { Finding::Expired } else { Finding::Matched }
}

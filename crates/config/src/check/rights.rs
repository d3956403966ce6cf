//! Rights of accounts and peers, whose addresses clients may use, and how long exceptions hold.

use super::Check;
use super::domains::Names;
use crate::file::{self, File};
use crate::mistake::Mistake;
use crate::places::{below, entry};
use mail::{Day, Domain, Host, Timestamp};
use policy::{
    Action, Addresses, Allowed, Borrower, FilteredSenders, Holder, Holders, Loan, Loans, Match, PeerRights, Rights,
    SendAs, Term, Who,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Octets of what is said about an exception.
const WORDS: usize = 500;

/// What the rules of all virtual servers have in common.
pub(super) struct Shared<'a> {
    /// The domains; `None` when they could not be read.
    pub(super) names: Option<&'a Names>,
    /// What peers may.
    pub(super) peers: Arc<BTreeMap<Box<str>, PeerRights>>,
    /// The addresses that are lent.
    pub(super) loans: Arc<Loans>,
    /// Whose mail is not wanted; `None` when that could not be read.
    pub(super) senders: Option<Arc<FilteredSenders>>,
}

impl Check<'_> {
    pub(super) fn submit(&mut self, key: &str, table: &file::Submit) -> Option<Rights> {
        let allow_key = below(key, "allow");
        let allow = match &table.allow {
            Some(list) => self.holders(&allow_key, list).map(Allowed::Only),
            None if self.is_broken(&allow_key) => None,
            None => Some(Allowed::Everyone(self.rule(&allow_key))),
        };
        let deny = self.holders(&below(key, "deny"), &table.deny);
        Some(Rights { deny: deny?, allow: allow? })
    }

    /// A list of accounts and groups.
    pub(super) fn holders(&mut self, key: &str, list: &[file::HolderEntry]) -> Option<Holders> {
        let read = self.all(list, key, |check, key, one| {
            let (text, name) = one.text();
            let text_key = name.map_or_else(|| key.to_owned(), |name| below(key, name));
            let who = match text {
                Some(text) => check.holder(&text_key, &text.0),
                None => check.missing(&text_key, "who = \"account:scanner\""),
            };
            let term = check.term(key, &one.term());
            Some((who?, term?))
        })?;
        let rule = self.rule(key);
        let entries = read.into_iter().enumerate();
        let entries = entries.map(|(index, (who, term))| Holder { rule: self.rule(&entry(key, index)), who, term });
        Some(Holders::new(rule, entries.collect()))
    }

    fn holder(&mut self, key: &str, text: &str) -> Option<Who> {
        match text.split_once(':') {
            Some(("account", name)) if !name.is_empty() => Some(Who::Account(name.into())),
            Some(("group", name)) if !name.is_empty() => Some(Who::Group(name.into())),
            _ => {
                let plain = !text.is_empty() && !text.contains(':');
                let nearest = plain.then(|| format!("\"account:{text}\" or \"group:{text}\""));
                self.bad(key, "says neither account nor group", "expected account: or group: and a name", nearest);
                None
            }
        }
    }

    /// Who answers for an exception, why it is there, and when it ends.
    pub(super) fn term(&mut self, key: &str, text: &file::TermText) -> Option<Term> {
        for (name, words) in [("owner", &text.owner), ("reason", &text.reason)] {
            if words.as_ref().is_some_and(|words| words.trim().is_empty() || words.len() > WORDS) {
                self.bad(&below(key, name), "says nothing, or too much", "expected up to 500 octets of text", None);
                return None;
            }
        }
        let expires = match &text.expires {
            Some(day) => Some(self.day(&below(key, "expires"), &day.0)?),
            None => None,
        };
        let words = |text: &Option<String>| text.as_deref().map(Into::into);
        Some(Term { owner: words(&text.owner), reason: words(&text.reason), expires })
    }

    /// The end of a day.
    fn day(&mut self, key: &str, text: &str) -> Option<Timestamp> {
        let day = text.parse::<Day>();
        if day.is_err() {
            self.bad(key, "is not a day", "expected year, month and day, such as \"2027-01-31\"", None);
        }
        day.ok().map(Day::ends)
    }

    pub(super) fn send_as(&mut self, key: &str, table: &file::SendAs, loans: &Arc<Loans>) -> SendAs {
        let mut check = |name: &str, action: file::SenderAction| policy::Check {
            rule: self.rule(&below(key, name)),
            action: match action {
                file::SenderAction::Refuse => Action::Refuse,
                file::SenderAction::Mark => Action::Mark,
                file::SenderAction::Off => Action::Off,
            },
        };
        SendAs {
            envelope: check("envelope", table.envelope),
            from: check("from", table.from),
            sender: check("sender", table.sender),
            resent_from: check("resent_from", table.resent_from),
            outside: check("outside", table.outside),
            null_sender: check("null_sender", table.null_sender),
            anonymous: check("anonymous", table.anonymous),
            sub_addresses: table.sub_addresses,
            grants: loans.clone(),
        }
    }

    /// The addresses that are lent.
    pub(super) fn loans(&mut self, list: &[file::SendAsGrant]) -> Option<Arc<Loans>> {
        const KEY: &str = "organization.send_as";
        self.all(list, KEY, Self::loan).map(|loans| Arc::new(loans.into()))
    }

    fn loan(&mut self, key: &str, table: &file::SendAsGrant) -> Option<Loan> {
        let who_key = below(key, "who");
        let to = match &table.who {
            Some(text) => self.borrower(&who_key, &text.0),
            None => self.missing(&who_key, "who = \"account:newsletter\""),
        };
        let addresses_key = below(key, "addresses");
        let addresses = if !table.addresses.is_empty() {
            self.all(&table.addresses, &addresses_key, Self::addresses)
        } else if self.places.has(&addresses_key) {
            self.bad(&addresses_key, "is an empty list", "expected at least one address", None);
            None
        } else {
            self.missing(&addresses_key, "addresses = [\"news@corp.example\"]")
        };
        let text =
            file::TermText { owner: table.owner.clone(), reason: table.reason.clone(), expires: table.expires.clone() };
        let term = self.term(key, &text);
        Some(Loan { rule: self.rule(key), to: to?, addresses: addresses?.into(), term: term? })
    }

    fn borrower(&mut self, key: &str, text: &str) -> Option<Borrower> {
        match text.split_once(':') {
            Some(("account", name)) if !name.is_empty() => Some(Borrower::Holder(Who::Account(name.into()))),
            Some(("group", name)) if !name.is_empty() => Some(Borrower::Holder(Who::Group(name.into()))),
            Some(("peer", name)) if !name.is_empty() => Some(Borrower::Peer(name.into())),
            Some(("client", client)) => match self.client(key, &file::ClientText(client.to_owned()))? {
                Match::Net(net) => Some(Borrower::Clients(net)),
                Match::Domain(_) => {
                    self.bad(key, "names clients by a domain", "expected an address or a network", None);
                    None
                }
            },
            _ => {
                self.bad(key, "does not say who", "expected account:, group:, peer: or client: and a name", None);
                None
            }
        }
    }

    pub(super) fn addresses(&mut self, key: &str, text: &file::AddressesText) -> Option<Addresses> {
        match text.0.strip_prefix("*@").or(text.0.strip_prefix('@')) {
            Some(domain) => self.domain_text(key, domain).map(|domain| Addresses::AllAt(Host::Domain(domain))),
            None if !text.0.contains('@') => {
                let nearest = text.0.parse::<Domain>().ok().map(|domain| format!("\"@{domain}\""));
                let expected = "expected an address, or @ and a domain, such as \"@corp.example\"";
                self.bad(key, "is not a mail address", expected, nearest);
                None
            }
            None => self.mailbox(key, &file::MailboxText(text.0.clone())).map(Addresses::One),
        }
    }

    /// What peers may. Their names are checked where they are read.
    pub(super) fn peer_rights(&mut self, file: &File) -> Arc<BTreeMap<Box<str>, PeerRights>> {
        let rights = file.peer.iter().map(|(name, peer)| {
            let key = below("peer", name);
            if peer.relay && !peer.submit {
                let relay = below(&key, "relay");
                let mistake = Mistake::warning(&relay, self.places.key_of(&relay), "it may relay, and may not submit")
                    .expected("a peer that may not send mail at all cannot relay");
                if self.places.has(&relay) {
                    self.mistakes.push(mistake);
                }
            }
            let rights = PeerRights {
                submit: peer.submit,
                submit_rule: self.rule(&below(&key, "submit")),
                relay: peer.relay,
                relay_rule: self.rule(&below(&key, "relay")),
                send_as_anybody: peer.send_as_anybody,
                send_as_anybody_rule: self.rule(&below(&key, "send_as_anybody")),
                bypass_filters: peer.bypass_filters,
                bypass_filters_rule: self.rule(&below(&key, "bypass_filters")),
            };
            (name.as_str().into(), rights)
        });
        Arc::new(rights.collect())
    }
}

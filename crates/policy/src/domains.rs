//! The domains a gateway knows: its own, those it relays to, and who lives there.
//!
//! A domain is compared as lower-case A-labels, which is what [`mail::Domain`] is; so upper case,
//! a trailing dot and U-labels need no care here.

use crate::decision::{Missing, Trace};
use crate::route::Route;
use crate::rule_book::RuleId;
use mail::{Domain, Found, Host, Ledger, Mailbox, Query};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The domains that one virtual server knows.
#[derive(Clone, Debug)]
pub struct Domains {
    /// The organization's domains as a whole; one step of a trace when none of them matched.
    pub organization_rule: RuleId,
    /// The domains that are ours, by exact name, each with its place.
    pub organization: BTreeMap<Domain, RuleId>,
    /// Other names of our domains.
    pub aliases: BTreeMap<Domain, Alias>,
    /// The domain of addresses that were given without one; local, also when it is a name that is
    /// never used in mail (S2's bogus domain).
    pub default_domain: Option<Local>,
    /// The remote domains as a whole; one step of a trace when none of them matched.
    pub remote_rule: RuleId,
    /// Remote domains by exact name.
    pub remote: BTreeMap<Domain, Remote>,
    /// Remote domains written `*.suffix`, by suffix: every name below it, not the suffix itself.
    pub remote_below: BTreeMap<Domain, Remote>,
    /// The recipients that exist in our domains; `None` when nobody said.
    pub recipients: Option<Recipients>,
    /// Where it is said that directories know the recipients in our domains; `None` when none does.
    pub recipients_in: Option<RuleId>,
}

/// Another name of one of our domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// Where it stands.
    pub rule: RuleId,
    /// What mail to it is stamped with.
    pub target: Domain,
}

/// The default domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// Where it stands.
    pub rule: RuleId,
    /// The domain.
    pub domain: Domain,
}

/// A domain that is not ours and has rules of its own (reference 1.6).
#[derive(Clone, Debug)]
pub struct Remote {
    /// Where it stands.
    pub rule: RuleId,
    /// Whether anybody may relay to it, whatever the relay restrictions say.
    pub allow_relay: bool,
    /// Where that is said.
    pub allow_relay_rule: RuleId,
    /// Where its mail goes, if not where all mail goes.
    pub route: Option<Route>,
}

/// The recipients that exist.
#[derive(Clone, Debug)]
pub struct Recipients {
    rule: RuleId,
    /// By host; local parts in lower case.
    known: BTreeMap<Host, BTreeSet<Box<str>>>,
}

impl Recipients {
    /// The recipients that `rule` lists.
    #[must_use]
    pub fn new(rule: RuleId, addresses: impl IntoIterator<Item = Mailbox>) -> Recipients {
        let mut known: BTreeMap<Host, BTreeSet<Box<str>>> = BTreeMap::new();
        for Mailbox { local, host } in addresses {
            known.entry(host).or_default().insert(local.as_str().to_ascii_lowercase().into());
        }
        Recipients { rule, known }
    }

    /// The rule of the list as a whole.
    #[must_use]
    pub fn rule(&self) -> RuleId {
        self.rule
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.known.values().map(BTreeSet::len).sum()
    }

    /// With one more, or one less.
    pub(crate) fn with(mut self, address: &Mailbox, is_known: bool) -> Recipients {
        let locals = self.known.entry(address.host.clone()).or_default();
        let local = address.local.as_str().to_ascii_lowercase();
        if is_known {
            locals.insert(local.into())
        } else {
            locals.remove(&*local)
        };
        self
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = String> {
        self.known.iter().flat_map(|(host, locals)| locals.iter().map(move |local| format!("{local}@{host}")))
    }

    /// One address of the list in this domain, if there is any: the first, its local part in lower case.
    #[must_use]
    pub fn one_at(&self, domain: &Domain) -> Option<Mailbox> {
        let host = Host::Domain(domain.clone());
        // What was read as a local part can be read so again, quoted as it must be.
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let local = quoted(self.known.get(&host)?.first()?).parse().ok()?;
        Some(Mailbox { local, host })
    }

    /// Whether `address` is in the list. Departs from RFC 5321 §2.4 by comparing local parts without
    /// regard to ASCII case, because directories do, and users write `Alice@`.
    #[must_use]
    pub fn contains(&self, address: &Mailbox) -> bool {
        let local = address.local.as_str();
        let local = if local.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(local.to_ascii_lowercase())
        } else {
            Cow::Borrowed(local)
        };
        self.known.get(&address.host).is_some_and(|locals| locals.contains(&*local))
    }
}

/// Whether a mailbox in one of our domains exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existence {
    /// It does.
    Known,
    /// It does not.
    Unknown,
    /// Nobody said which do.
    NotSaid,
    /// The directories could not be asked.
    Unavailable,
}

impl Domains {
    /// Every name that is local by exact match: domains, their other names, and the default domain. A name may come twice.
    pub fn local_names(&self) -> impl Iterator<Item = &Domain> {
        let default = self.default_domain.iter().map(|local| &local.domain);
        self.organization.keys().chain(self.aliases.keys()).chain(default)
    }

    /// Whether `mailbox` exists: the list is asked first, then the directories.
    ///
    /// # Errors
    /// [`Missing`]: what the directories say.
    pub(crate) fn existence(
        &self,
        mailbox: &Mailbox,
        ledger: &Ledger,
        trace: &mut Trace,
    ) -> Result<Existence, Missing> {
        if let Some(recipients) = &self.recipients {
            if recipients.contains(mailbox) {
                trace.matched(recipients.rule());
                return Ok(Existence::Known);
            }
            trace.no_match(recipients.rule());
        }
        let Some(rule) = self.recipients_in else {
            return Ok(if self.recipients.is_some() { Existence::Unknown } else { Existence::NotSaid });
        };
        let query = Query::Recipient(mailbox.clone());
        match ledger.find(&query) {
            None => Err(Missing(query)),
            Some(Found::Exists) => {
                trace.matched(rule);
                Ok(Existence::Known)
            }
            Some(Found::Absent) => {
                trace.no_match(rule);
                Ok(Existence::Unknown)
            }
            Some(_) => {
                trace.unavailable(rule);
                Ok(Existence::Unavailable)
            }
        }
    }

    /// The rule that makes `domain` ours, and the name its mail is stamped with.
    #[must_use]
    pub fn local<'a>(&'a self, domain: &'a Domain) -> Option<(RuleId, &'a Domain)> {
        if let Some(&rule) = self.organization.get(domain) {
            return Some((rule, domain));
        }
        if let Some(alias) = self.aliases.get(domain) {
            return Some((alias.rule, &alias.target));
        }
        match &self.default_domain {
            Some(local) if local.domain == *domain => Some((local.rule, domain)),
            _ => None,
        }
    }

    /// The remote domain that speaks for `domain`: its exact name, else the wildcard with the longest
    /// suffix. `*.corp.example` does not speak for `corp.example` (reference 1.6).
    #[must_use]
    pub fn remote(&self, domain: &Domain) -> Option<&Remote> {
        if let Some(exact) = self.remote.get(domain) {
            return Some(exact);
        }
        if self.remote_below.is_empty() {
            return None;
        }
        std::iter::successors(domain.parent(), Domain::parent).find_map(|suffix| self.remote_below.get(&suffix))
    }

    /// As [`Domains::local`], with its step.
    pub(crate) fn try_local<'a>(&'a self, domain: &'a Domain, trace: &mut Trace) -> Option<&'a Domain> {
        match self.local(domain) {
            Some((rule, stamp)) => {
                trace.matched(rule);
                Some(stamp)
            }
            None => {
                trace.no_match(self.organization_rule);
                None
            }
        }
    }

    /// As [`Domains::remote`], with its step.
    pub(crate) fn try_remote(&self, domain: &Domain, trace: &mut Trace) -> Option<&Remote> {
        let remote = self.remote(domain);
        match remote {
            Some(remote) => trace.matched(remote.rule),
            None => trace.no_match(self.remote_rule),
        }
        remote
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(text: &str) -> Mailbox {
        text.parse().unwrap()
    }

    fn domain(text: &str) -> Domain {
        text.parse().unwrap()
    }

    #[test]
    fn recipients_are_a_set_without_regard_to_case() {
        let listed = ["bob@corp.example", "Alice@corp.example", "alice@corp.example", "\"a \\\" b\"@corp2.example"];
        let known = Recipients::new(RuleId::POSTMASTER, listed.map(mailbox));
        assert_eq!(known.len(), 3);
        assert!(known.contains(&mailbox("ALICE@corp.example")) && !known.contains(&mailbox("alice@corp2.example")));
        assert_eq!(known.all().collect::<Vec<_>>(), ["alice@corp.example", "bob@corp.example", "a \" b@corp2.example"]);

        let without = known.clone().with(&mailbox("Bob@corp.example"), false);
        assert!(!without.contains(&mailbox("bob@corp.example")) && without.contains(&mailbox("alice@corp.example")));
        let again = without.with(&mailbox("BOB@corp.example"), true);
        assert_eq!(again.all().collect::<Vec<_>>(), known.all().collect::<Vec<_>>());
    }

    #[test]
    fn one_recipient_of_a_domain_can_be_had() {
        let listed = ["bob@corp.example", "Alice@corp.example", "\"a \\\" b\"@corp2.example"];
        let known = Recipients::new(RuleId::POSTMASTER, listed.map(mailbox));
        assert_eq!(known.one_at(&domain("corp.example")), Some(mailbox("alice@corp.example")));
        let quoted = known.one_at(&domain("corp2.example")).unwrap();
        assert!(known.contains(&quoted), "{quoted}");
        assert_eq!(known.one_at(&domain("ext.example")), None);
        let emptied = known.with(&quoted, false);
        assert_eq!(emptied.one_at(&domain("corp2.example")), None);
    }

    #[test]
    fn local_names_are_those_that_are_local() {
        let (rule, corp) = (RuleId::POSTMASTER, domain("corp.example"));
        let domains = Domains {
            organization_rule: rule,
            organization: [(corp.clone(), rule)].into(),
            aliases: [(domain("old.example"), Alias { rule, target: corp.clone() })].into(),
            default_domain: Some(Local { rule, domain: domain("bogus1") }),
            remote_rule: rule,
            remote: BTreeMap::new(),
            remote_below: BTreeMap::new(),
            recipients: None,
            recipients_in: None,
        };
        let names: Vec<&str> = domains.local_names().map(Domain::as_str).collect();
        assert_eq!(names, ["corp.example", "old.example", "bogus1"]);
        let stamp = |name: &str| domains.local(&domain(name)).map(|(_, stamp)| stamp.as_str().to_owned());
        assert_eq!(
            names.iter().map(|name| stamp(name).unwrap()).collect::<Vec<_>>(),
            ["corp.example", "corp.example", "bogus1"]
        );
        assert_eq!(stamp("sub.corp.example"), None);
    }
}

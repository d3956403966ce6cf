//! Classes of recipients: in which domain, known or not, and every malformed way to write one.
//!
//! A domain is one of the organization, one that the settings name or lie below such a one, or any other.
//! Domains of which the settings say the same are one class.

use crate::senders::local_domains;
use config::Config;
use mail::{Domain, Found, Mailbox};
use policy::Rules;
use std::collections::BTreeMap;
use std::fmt;

/// Recipients that no answer tells apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientClass {
    /// What kind of recipient.
    pub form: RecipientForm,
    /// In which domains.
    pub domains: Vec<DomainPattern>,
    /// One that stands for them.
    pub recipient: Mailbox,
    /// What directories say of them, should they be asked.
    pub found: Found,
    /// Whether one of the configurations asks them.
    pub asked: bool,
    key: Option<DomainKey>,
}

/// Kinds of recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecipientForm {
    /// In a domain of the organization, and somebody there is called that.
    Known,
    /// In a domain of the organization, and nobody there is called that.
    Unknown,
    /// In a domain of the organization, and whether anybody is called that cannot be found out.
    Unclear,
    /// The postmaster of a domain of the organization (RFC 5321 §4.5.1).
    Postmaster,
    /// In a domain that is not of the organization.
    Foreign,
    /// At an address literal.
    Literal,
    /// `user%host`.
    Percent,
    /// `host!user`.
    Bang,
    /// `"user@host"`.
    QuotedAt,
}

/// Which domains.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DomainPattern {
    /// This one.
    Is(Domain),
    /// Every one below this.
    Below(Domain),
    /// Every one that is not named.
    Elsewhere,
}

impl DomainPattern {
    /// Whether it means this domain; what no pattern names, only the patterns together can tell.
    pub(crate) fn means(&self, domain: &Domain) -> bool {
        match self {
            DomainPattern::Is(named) => named == domain,
            DomainPattern::Below(named) => domain.is_below(named),
            DomainPattern::Elsewhere => false,
        }
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DomainPattern::Is(domain) => domain.fmt(f),
            DomainPattern::Below(domain) => write!(f, "*.{domain}"),
            DomainPattern::Elsewhere => f.write_str("any other domain"),
        }
    }
}

/// What the settings say of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// It is of the organization.
    Inside {
        /// The list of recipients has somebody in it.
        listed: bool,
    },
    /// It is a remote domain.
    Remote {
        /// Everybody may relay to it.
        open: bool,
    },
    /// Nothing.
    Elsewhere,
    /// Whether it is in a domain that is to be told apart.
    Cut(bool),
}

type DomainKey = Vec<Kind>;

/// What decides which class a recipient belongs to, at one virtual server.
pub(crate) struct Recipients<'a> {
    rules: Vec<&'a Rules>,
    cuts: &'a [DomainPattern],
    outside: &'a Domain,
}

impl<'a> Recipients<'a> {
    pub(crate) fn new(
        name: &str,
        configs: &[&'a Config],
        cuts: &'a [DomainPattern],
        outside: &'a Domain,
    ) -> Recipients<'a> {
        let servers = configs.iter().filter_map(|config| config.server(name));
        Recipients { rules: servers.map(|server| &*server.rules).collect(), cuts, outside }
    }

    pub(crate) fn classes(&self) -> Vec<RecipientClass> {
        let mut merged: BTreeMap<DomainKey, Vec<(DomainPattern, Domain)>> = BTreeMap::new();
        for pattern in self.patterns() {
            let Some(domain) = self.example(&pattern) else { continue };
            merged.entry(self.key(&domain)).or_default().push((pattern, domain));
        }
        let mut classes = Vec::new();
        for (key, domains) in merged {
            let Some((_, example)) = domains.first() else { continue };
            let example = example.clone();
            let patterns: Vec<DomainPattern> = domains.into_iter().map(|(pattern, _)| pattern).collect();
            classes.extend(self.forms(&key, &example, &patterns));
        }
        classes.extend(self.malformed());
        classes
    }

    /// The class of a recipient; `found` is what directories would say of it.
    pub(crate) fn class<'c>(
        &self,
        classes: &'c [RecipientClass],
        recipient: &Mailbox,
        found: &Found,
    ) -> Option<&'c RecipientClass> {
        let Some(domain) = recipient.domain() else {
            return classes.iter().find(|class| class.form == RecipientForm::Literal);
        };
        let key = self.key(domain);
        let inside = key.iter().any(|kind| matches!(kind, Kind::Inside { .. }));
        let form = self.form(recipient, domain, found, inside);
        let exact = |class: &&RecipientClass| class.form == form && class.key.as_ref().is_none_or(|own| *own == key);
        classes.iter().find(exact)
    }

    fn form(&self, recipient: &Mailbox, domain: &Domain, found: &Found, inside: bool) -> RecipientForm {
        let existence = if inside { self.existence(recipient, domain, found) } else { Some(RecipientForm::Unknown) };
        let local = recipient.local.as_str();
        if recipient.local.looks_routed() {
            match existence {
                Some(RecipientForm::Unknown) | None => {}
                Some(form) => return form,
            }
            return match () {
                () if local.contains('@') => RecipientForm::QuotedAt,
                () if local.contains('%') => RecipientForm::Percent,
                () => RecipientForm::Bang,
            };
        }
        match existence {
            _ if !inside => RecipientForm::Foreign,
            _ if local.eq_ignore_ascii_case("postmaster") => RecipientForm::Postmaster,
            form => form.unwrap_or(RecipientForm::Known),
        }
    }

    /// Whether somebody is called so; `None` when nobody says who is.
    fn existence(&self, recipient: &Mailbox, domain: &Domain, found: &Found) -> Option<RecipientForm> {
        let rules = self.rules.iter().find(|rules| rules.domains.local(domain).is_some())?;
        let (_, stamp) = rules.domains.local(domain)?;
        let stamped = Mailbox { local: recipient.local.clone(), host: mail::Host::Domain(stamp.clone()) };
        match &rules.domains.recipients {
            Some(list) if list.contains(&stamped) => return Some(RecipientForm::Known),
            Some(_) if rules.domains.recipients_in.is_none() => return Some(RecipientForm::Unknown),
            None if rules.domains.recipients_in.is_none() => return None,
            _ => {}
        }
        Some(match found {
            Found::Exists => RecipientForm::Known,
            Found::Absent => RecipientForm::Unknown,
            Found::Names(_) | Found::Addresses(_) | Found::Unavailable => RecipientForm::Unclear,
        })
    }

    /// Every domain that is named, and all others.
    fn patterns(&self) -> Vec<DomainPattern> {
        let mut patterns = Vec::new();
        for rules in &self.rules {
            let domains = &rules.domains;
            let inside = local_domains(rules).chain(domains.aliases.keys());
            patterns.extend(inside.chain(domains.remote.keys()).cloned().map(DomainPattern::Is));
            patterns.extend(domains.remote_below.keys().cloned().map(DomainPattern::Below));
        }
        patterns.extend(self.cuts.iter().cloned());
        patterns.sort_unstable();
        patterns.dedup();
        patterns.push(DomainPattern::Elsewhere);
        patterns
    }

    /// A domain that a pattern means and no other one.
    fn example(&self, pattern: &DomainPattern) -> Option<Domain> {
        let suffix = match pattern {
            DomainPattern::Is(domain) => return Some(domain.clone()),
            DomainPattern::Elsewhere => return Some(self.outside.clone()),
            DomainPattern::Below(suffix) => suffix,
        };
        let mut candidates = ["host", "some-host", "some-other-host"].into_iter();
        candidates.find_map(|label| {
            let domain: Domain = format!("{label}.{suffix}").parse().ok()?;
            let plain =
                |rules: &&Rules| rules.domains.local(&domain).is_none() && !rules.domains.remote.contains_key(&domain);
            let named = self.cuts.contains(&DomainPattern::Is(domain.clone()));
            (self.rules.iter().all(plain) && !named).then_some(domain)
        })
    }

    fn key(&self, domain: &Domain) -> DomainKey {
        let kind = |rules: &&Rules| {
            let domains = &rules.domains;
            match (domains.local(domain), domains.remote(domain)) {
                (Some((_, stamp)), _) => Kind::Inside {
                    listed: domains.recipients.as_ref().is_some_and(|list| list.one_at(stamp).is_some()),
                },
                (None, Some(remote)) => Kind::Remote { open: remote.allow_relay },
                (None, None) => Kind::Elsewhere,
            }
        };
        let cuts = self.cuts.iter().map(|cut| Kind::Cut(cut.means(domain)));
        self.rules.iter().map(kind).chain(cuts).collect()
    }

    fn forms(&self, key: &DomainKey, domain: &Domain, patterns: &[DomainPattern]) -> Vec<RecipientClass> {
        let inside = key.iter().any(|kind| matches!(kind, Kind::Inside { .. }));
        let asked = self.directories_are_asked();
        let class = |form, local: &str, found| {
            let recipient = format!("{local}@{domain}").parse().ok()?;
            let asked = asked && !matches!(form, RecipientForm::Foreign | RecipientForm::Postmaster);
            Some(RecipientClass { form, domains: patterns.to_vec(), recipient, found, asked, key: Some(key.clone()) })
        };
        if !inside {
            return class(RecipientForm::Foreign, "somebody", Found::Absent).into_iter().collect();
        }
        let listed = self.rules.iter().any(|rules| rules.domains.recipients.is_some());
        let from_list = self.rules.iter().find_map(|rules| {
            let (_, stamp) = rules.domains.local(domain)?;
            rules.domains.recipients.as_ref()?.one_at(stamp)
        });
        let known = from_list.map_or_else(|| "known".to_owned(), |listed| listed.local.to_string());
        // Where there is a list alone and it has nobody in this domain, nobody is known there.
        let none_known = listed && !asked && !key.contains(&Kind::Inside { listed: true }) && !self.some_do_not_say();
        [
            (!none_known).then(|| class(RecipientForm::Known, &known, Found::Exists)),
            (asked || listed).then(|| class(RecipientForm::Unknown, "nobody-is-called-that", Found::Absent)),
            asked.then(|| class(RecipientForm::Unclear, "nobody-is-called-that", Found::Unavailable)),
            Some(class(RecipientForm::Postmaster, "postmaster", Found::Absent)),
        ]
        .into_iter()
        .flatten()
        .flatten()
        .collect()
    }

    fn directories_are_asked(&self) -> bool {
        self.rules.iter().any(|rules| rules.domains.recipients_in.is_some())
    }

    /// Whether one of the configurations accepts whoever is written to.
    fn some_do_not_say(&self) -> bool {
        self.rules.iter().any(|rules| rules.domains.recipients.is_none() && rules.domains.recipients_in.is_none())
    }

    fn malformed(&self) -> Vec<RecipientClass> {
        let inside = self.rules.iter().find_map(|rules| local_domains(rules).next()).unwrap_or(self.outside);
        let outside = self.outside;
        [
            (RecipientForm::Literal, "somebody@[192.0.2.1]".to_owned()),
            (RecipientForm::Percent, format!("somebody%{outside}@{inside}")),
            (RecipientForm::Bang, format!("{outside}!somebody@{inside}")),
            (RecipientForm::QuotedAt, format!("\"somebody@{outside}\"@{inside}")),
        ]
        .into_iter()
        .filter_map(|(form, text)| {
            let recipient = text.parse().ok()?;
            let asked = form != RecipientForm::Literal && self.directories_are_asked();
            Some(RecipientClass { form, domains: vec![], recipient, found: Found::Absent, asked, key: None })
        })
        .collect()
    }
}

//! The domains: the organization's own, their other names, those outside that are special, and who
//! lives inside. What is said about one domain in two places must fit together.

use super::Check;
use crate::file::{File, RemoteDomain};
use crate::mistake::Mistake;
use crate::places::{below, entry};
use mail::{Domain, Mailbox};
use policy::{Alias, Domains, Local, Recipients, Remote, Route, RuleId};
use std::collections::BTreeMap;

/// What the file says about domains, the same for every virtual server.
pub(super) struct Names {
    /// The organization's domains in the order of the file.
    pub(super) organization: Vec<Domain>,
    /// The domains without a default one.
    pub(super) shared: Domains,
}

impl Names {
    /// The domains as one virtual server knows them.
    pub(super) fn of_server(&self, default_domain: Local) -> Domains {
        Domains { default_domain: Some(default_domain), ..self.shared.clone() }
    }
}

impl Check<'_> {
    pub(super) fn domains(&mut self, file: &File) -> Option<Names> {
        let organization_rule = self.rule("organization.domains");
        let organization = self.organization_domains(file);
        let aliases = self.aliases(file, organization.as_ref());
        let recipients = self.recipients(file, organization.as_ref());
        let remote_rule = self.rule("remote_domain");
        let remote = self.remote_domains(file, organization.as_ref(), aliases.as_ref());
        let ordered = organization?;
        let (remote, remote_below) = remote?;
        let shared = Domains {
            organization_rule,
            organization: ordered.iter().cloned().collect(),
            aliases: aliases?,
            default_domain: None,
            remote_rule,
            remote,
            remote_below,
            recipients: recipients?,
            recipients_in: (!file.organization.recipients_in.is_empty())
                .then(|| self.rule("organization.recipients_in")),
        };
        Some(Names { organization: ordered.into_iter().map(|(domain, _)| domain).collect(), shared })
    }

    fn organization_domains(&mut self, file: &File) -> Option<Vec<(Domain, RuleId)>> {
        const KEY: &str = "organization.domains";
        let domains = self.all(&file.organization.domains, KEY, Self::domain)?;
        let mut seen: BTreeMap<&Domain, usize> = BTreeMap::new();
        let mut unique = true;
        for (index, domain) in domains.iter().enumerate() {
            if let Some(first) = seen.insert(domain, index) {
                let key = entry(KEY, index);
                let mistake =
                    Mistake::error(&key, self.places.value_of(&key), format!("`{domain}` is in the list twice"))
                        .related(self.places.value_of(&entry(KEY, first)), "here it is first");
                self.mistakes.push(mistake);
                unique = false;
            }
        }
        let rules = (0..domains.len()).map(|index| self.rule(&entry(KEY, index))).collect::<Vec<_>>();
        unique.then(|| domains.into_iter().zip(rules).collect())
    }

    fn aliases(
        &mut self,
        file: &File,
        organization: Option<&Vec<(Domain, RuleId)>>,
    ) -> Option<BTreeMap<Domain, Alias>> {
        const KEY: &str = "organization.alias_domains";
        let mut aliases = BTreeMap::new();
        let mut complete = !self.is_broken(KEY);
        for (name, target) in &file.organization.alias_domains {
            let key = below(KEY, name);
            let (alias, target) = (self.domain_text(&key, name), self.domain(&key, target));
            let (Some(alias), Some(target), Some(ours)) = (alias, target, organization) else {
                complete = false;
                continue;
            };
            let rule = self.rule(&key);
            if let Some(mistake) = self.bad_alias(&key, &alias, &target, ours) {
                self.mistakes.push(mistake);
                complete = false;
            } else if let Some((other, _)) = aliases.insert(alias.clone(), (key.clone(), Alias { rule, target })) {
                self.same_name(&key, &other, &format!("the alias `{alias}`"));
                complete = false;
            }
        }
        complete.then(|| aliases.into_iter().map(|(domain, (_, alias))| (domain, alias)).collect())
    }

    /// Two keys that are the same domain in two spellings.
    fn same_name(&mut self, one: &str, other: &str, what: &str) {
        let at = |key: &str| self.places.key_of(key);
        let start = |key: &str| at(key).map(|place| place.span.start);
        let (first, second) = if start(one) < start(other) { (one, other) } else { (other, one) };
        let mistake = Mistake::error(second, at(second), format!("{what} is there twice"))
            .expected("the same domain, written differently")
            .related(at(first), "here it is first");
        self.mistakes.push(mistake);
    }

    fn bad_alias(&self, key: &str, alias: &Domain, target: &Domain, ours: &[(Domain, RuleId)]) -> Option<Mistake> {
        let at = |domain: &Domain| ours.iter().position(|(known, _)| known == domain);
        if let Some(index) = at(alias) {
            let place = self.places.value_of(&entry("organization.domains", index));
            let mistake = Mistake::error(key, self.places.key_of(key), format!("`{alias}` is a domain of its own"))
                .expected("a domain is either an alias or in organization.domains");
            return Some(mistake.related(place, "here it is in the list"));
        }
        if at(target).is_none() {
            let nearest = crate::shape::nearest(target.as_str(), ours.iter().map(|(known, _)| known.as_str()));
            let found = format!("`{alias}` is an alias of `{target}`, which is not a domain of the organization");
            let mistake = Mistake::error(key, self.places.value_of(key), found);
            return Some(
                mistake
                    .expected("expected one of organization.domains")
                    .nearest(nearest.map(|near| format!("{near:?}"))),
            );
        }
        None
    }

    /// The inner `None`: nobody said who exists.
    fn recipients(&mut self, file: &File, organization: Option<&Vec<(Domain, RuleId)>>) -> Option<Option<Recipients>> {
        const KEY: &str = "organization.recipients";
        if self.is_broken(KEY) {
            return None;
        }
        let Some(list) = &file.organization.recipients else { return Some(None) };
        let mailboxes = self.all(list, KEY, Self::mailbox)?;
        // A recipient of a default domain may be listed, too: it is local to its virtual server.
        let defaults: Vec<Domain> =
            file.virtual_server.values().filter_map(|s| s.default_domain.as_ref()?.0.parse().ok()).collect();
        let ours = organization?;
        let mut complete = true;
        for (index, mailbox) in mailboxes.iter().enumerate() {
            let known = |domain: &Domain| ours.iter().any(|(known, _)| known == domain) || defaults.contains(domain);
            if !mailbox.domain().is_some_and(known) {
                let key = entry(KEY, index);
                let nearest = nearest_recipient(mailbox, ours);
                let found = format!("`{mailbox}` is not in a domain of the organization");
                let mistake = Mistake::error(&key, self.places.value_of(&key), found)
                    .expected("expected an address in one of organization.domains")
                    .nearest(nearest);
                self.mistakes.push(mistake);
                complete = false;
            }
        }
        let rule = self.rule(KEY);
        complete.then(|| Some(Recipients::new(rule, mailboxes)))
    }

    /// By exact name, and by the suffix of `*.suffix`.
    fn remote_domains(
        &mut self,
        file: &File,
        organization: Option<&Vec<(Domain, RuleId)>>,
        aliases: Option<&BTreeMap<Domain, Alias>>,
    ) -> Option<(BTreeMap<Domain, Remote>, BTreeMap<Domain, Remote>)> {
        let (mut exact, mut wild) = (BTreeMap::new(), BTreeMap::new());
        let mut complete = !self.is_broken("remote_domain");
        for (name, remote) in &file.remote_domain {
            let key = below("remote_domain", name);
            let suffix = name.strip_prefix("*.");
            let domain = self.remote_name(&key, name, suffix.unwrap_or(name));
            let value = self.remote_domain(&key, remote);
            let (Some(domain), Some(value)) = (domain, value) else {
                complete = false;
                continue;
            };
            if suffix.is_none() && !self.is_broken(&below(&key, "route")) {
                self.remote_inside(&key, &domain, remote, organization, aliases);
            }
            if suffix.is_some() && domain.parent().is_none() && remote.allow_relay {
                let found = format!("everyone may relay to every domain below `{domain}`");
                let mistake = Mistake::warning(&key, self.places.key_of(&key), found)
                    .expected("a whole top-level domain; name the domains that are meant");
                self.mistakes.push(mistake);
            }
            let map = if suffix.is_some() { &mut wild } else { &mut exact };
            if let Some((other, _)) = map.insert(domain, (key.clone(), value)) {
                self.same_name(&key, &other, &format!("the remote domain `{name}`"));
                complete = false;
            }
        }
        let plain = |map: BTreeMap<Domain, (String, Remote)>| {
            map.into_iter().map(|(domain, (_, remote))| (domain, remote)).collect()
        };
        complete.then(|| (plain(exact), plain(wild)))
    }

    fn remote_name(&mut self, key: &str, name: &str, domain: &str) -> Option<Domain> {
        let place = self.places.key_of(key);
        if domain == "*" {
            let mistake = Mistake::error(key, place, "`*` is not a remote domain")
                .expected("expected a domain, or `*.` and a domain")
                .advice("smart_hosts of a virtual server say where all other mail goes, and its relay table who may send it");
            self.mistakes.push(mistake);
            return None;
        }
        if domain.contains('*') {
            let rest = name.rsplit('*').next().unwrap_or_default().trim_start_matches('.');
            let nearest = rest.parse::<Domain>().ok().map(|rest| format!("\"*.{rest}\""));
            let mistake = Mistake::error(key, place, format!("`{name}` has a star in a place where it means nothing"))
                .expected("a star stands alone before the first dot")
                .nearest(nearest);
            self.mistakes.push(mistake);
            return None;
        }
        match domain.parse() {
            Ok(domain) => Some(domain),
            Err(_) => {
                let mistake = Mistake::error(key, place, format!("`{name}` is not a domain name"))
                    .expected("expected a domain, or `*.` and a domain");
                self.mistakes.push(mistake);
                None
            }
        }
    }

    fn remote_domain(&mut self, key: &str, remote: &RemoteDomain) -> Option<Remote> {
        let rule = self.rule(key);
        let allow_relay_rule = self.rule(&below(key, "allow_relay"));
        let route_key = below(key, "route");
        let is_whole = !self.is_broken(&route_key) && !self.is_broken(&below(key, "allow_relay"));
        if !remote.allow_relay && remote.route.is_none() && is_whole {
            let found = format!("{key} changes nothing");
            let mistake = Mistake::warning(key, self.places.key_of(key), found)
                .expected("it has neither allow_relay = true nor a route");
            self.mistakes.push(mistake);
        }
        let route = match &remote.route {
            Some(hosts) => Some(Route::SmartHosts(self.smart_hosts(&route_key, hosts, false)?)),
            None if self.is_broken(&route_key) => return None,
            None => None,
        };
        Some(Remote { rule, allow_relay: remote.allow_relay, allow_relay_rule, route })
    }

    /// A remote domain that is not remote.
    fn remote_inside(
        &mut self,
        key: &str,
        domain: &Domain,
        remote: &RemoteDomain,
        organization: Option<&Vec<(Domain, RuleId)>>,
        aliases: Option<&BTreeMap<Domain, Alias>>,
    ) {
        let listed = organization.and_then(|ours| ours.iter().position(|(known, _)| known == domain));
        let inside = match listed {
            Some(index) => entry("organization.domains", index),
            None if aliases.is_some_and(|a| a.contains_key(domain)) => {
                below("organization.alias_domains", domain.as_str())
            }
            None => return,
        };
        if remote.route.is_some() {
            return;
        }
        let found = format!("`{domain}` is a remote domain and a domain of the organization");
        let mistake = Mistake::error(key, self.places.key_of(key), found)
            .expected("this needs a route to mean anything")
            .related(self.places.value_of(&inside), "here it is inside")
            .advice("mail for the organization needs no permission to relay; remove one of the two, or add a route for this domain alone");
        self.mistakes.push(mistake);
    }
}

/// The address with the domain that was probably meant.
fn nearest_recipient(mailbox: &Mailbox, ours: &[(Domain, RuleId)]) -> Option<String> {
    let domain = mailbox.domain()?;
    let near = crate::shape::nearest(domain.as_str(), ours.iter().map(|(known, _)| known.as_str()))?;
    Some(format!("{:?}", format!("{}@{near}", mailbox.local)))
}

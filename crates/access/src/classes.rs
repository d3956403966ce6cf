//! The classes of everything that an answer can depend on, for one configuration or for several together.
//!
//! Classes of two configurations are those that neither tells apart, so that their tables have the same
//! cells and can be compared one by one.

use crate::clients::{ClientClass, Clients};
use crate::identities::{Identities, IdentityClass};
use crate::recipients::{DomainPattern, RecipientClass, Recipients};
use config::Config;
use mail::{Domain, Found, Host, Identity, Mailbox, Net, Timestamp};
use policy::{Addresses, Rules, Who};
use std::net::IpAddr;

/// What somebody wants told apart, beside what the settings do: an invariant that speaks of a network has to
/// see it whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cuts {
    /// Prefixes: each class of clients lies in one of them, or outside.
    pub nets: Vec<Net>,
    /// Accounts and groups: each class of accounts is one of them, or is not. At most six: each doubles the classes.
    pub holders: Vec<Who>,
    /// Domains: each class of recipients lies in one of them, or outside.
    pub domains: Vec<DomainPattern>,
}

/// The classes of one virtual server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerClasses {
    /// The name of the virtual server.
    pub server: Box<str>,
    /// Who can connect.
    pub clients: Vec<ClientClass>,
    /// Who a client can prove to be. Anonymous is the first.
    pub identities: Vec<IdentityClass>,
    /// Whom it can write to.
    pub recipients: Vec<RecipientClass>,
}

/// The classes of all virtual servers of some configurations, at one moment.
#[derive(Clone, Debug)]
pub struct Classes {
    /// When: entries that are over by then tell nobody apart.
    pub now: Timestamp,
    /// A domain that none of the configurations names.
    pub outside: Domain,
    /// By virtual server, in the order of their names.
    pub servers: Vec<ServerClasses>,
    cut_domains: Vec<DomainPattern>,
}

impl Classes {
    /// The classes that these configurations tell apart.
    #[must_use]
    pub fn of(configs: &[&Config], now: Timestamp) -> Classes {
        Classes::with(configs, &Cuts::default(), now)
    }

    /// The classes that these configurations and some cuts tell apart.
    ///
    /// # Panics
    /// With more than three configurations, or more holders than [`Cuts`] may have.
    #[must_use]
    pub fn with(configs: &[&Config], cuts: &Cuts, now: Timestamp) -> Classes {
        let outside = outside(configs, &cuts.domains);
        let mut names: Vec<Box<str>> =
            configs.iter().flat_map(|config| &config.servers).map(|server| server.name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        let servers = names.into_iter().map(|name| ServerClasses {
            clients: Clients::new(&name, configs, cuts, probe(&outside), now).classes(),
            identities: Identities::new(&name, configs, cuts, now).classes(),
            recipients: Recipients::new(&name, configs, &cuts.domains, &outside).classes(),
            server: name,
        });
        Classes { now, servers: servers.collect(), outside, cut_domains: cuts.domains.clone() }
    }

    /// The classes of one virtual server.
    #[must_use]
    pub fn server(&self, name: &str) -> Option<&ServerClasses> {
        self.servers.iter().find(|classes| *classes.server == *name)
    }

    /// The classes that a session belongs to. `configs` and `cuts` are those that the classes were made of.
    #[must_use]
    pub fn session<'c>(
        &'c self,
        (configs, cuts): (&[&Config], &Cuts),
        server: &str,
        client: (IpAddr, &Found),
        identity: &Identity,
    ) -> Option<(&'c ClientClass, &'c IdentityClass)> {
        let classes = self.server(server)?;
        let clients = Clients::new(server, configs, cuts, probe(&self.outside), self.now);
        let identities = Identities::new(server, configs, cuts, self.now);
        Some((clients.class(&classes.clients, client.0, client.1)?, identities.class(&classes.identities, identity)?))
    }

    /// The class of a recipient; `found` is what directories would say of it.
    #[must_use]
    pub fn recipient<'c>(
        &'c self,
        configs: &[&Config],
        server: &str,
        recipient: &Mailbox,
        found: &Found,
    ) -> Option<&'c RecipientClass> {
        let classes = self.server(server)?;
        Recipients::new(server, configs, &self.cut_domains, &self.outside).class(&classes.recipients, recipient, found)
    }
}

fn probe(outside: &Domain) -> Mailbox {
    Mailbox {
        local: "somebody".parse().expect("invariant: a plain word is a local part"),
        host: Host::Domain(outside.clone()),
    }
}

/// A domain that nobody names, and in which nothing is lent.
fn outside(configs: &[&Config], cuts: &[DomainPattern]) -> Domain {
    const TOPS: [&str; 6] = ["example", "test", "invalid", "net", "org", "com"];
    let servers = || configs.iter().flat_map(|config| &config.servers);
    let is_cut = |domain: &Domain| cuts.iter().any(|cut| cut.means(domain));
    let is_free = |domain: &Domain| !is_cut(domain) && servers().all(|server| is_unnamed(&server.rules, domain));
    let labels = std::iter::once("elsewhere".to_owned()).chain((1..100_u32).map(|n| format!("elsewhere-{n}")));
    let mut candidates =
        labels.flat_map(|label| TOPS.map(|top| format!("{label}.{top}"))).filter_map(|text| text.parse().ok());
    let first: Domain = "elsewhere.example".parse().expect("invariant: this is a domain");
    candidates.find(is_free).unwrap_or(first)
}

fn is_unnamed(rules: &Rules, domain: &Domain) -> bool {
    let domains = &rules.domains;
    let all = Addresses::AllAt(Host::Domain(domain.clone()));
    domains.local(domain).is_none()
        && domains.remote(domain).is_none()
        && rules.sender_filter.senders.list.entries().iter().all(|entry| entry.addresses != all)
        && rules.send_as.grants.iter().all(|loan| !loan.addresses.contains(&all))
}

//! Where does the mail of one recipient go?
//!
//! Pure choice among what the settings name; finding the addresses of a smart host is another's
//! work. First that applies: the route of a remote domain, the organization's own, the drop
//! directory, the smart hosts of the virtual server the mail came in by. Otherwise there is none.

use crate::decision::{Decision, Trace};
use crate::domains::Domains;
use crate::rule_book::RuleId;
use mail::{Domain, Mailbox};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Where mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Into a directory, a file each.
    Drop(Arc<DropDirectory>),
    /// To one of these hosts.
    SmartHosts(Arc<SmartHosts>),
    /// Nowhere: the recipient fails with 5.4.4.
    None,
}

impl Route {
    /// Where the route is written.
    #[must_use]
    pub fn rule(&self) -> RuleId {
        match self {
            Route::Drop(drop) => drop.rule,
            Route::SmartHosts(hosts) => hosts.rule,
            Route::None => RuleId::NO_ROUTE,
        }
    }
}

/// A directory that finished mail is written into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropDirectory {
    /// Where it is written.
    pub rule: RuleId,
    /// The directory.
    pub directory: PathBuf,
}

/// Hosts that take mail for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmartHosts {
    /// Where they are written.
    pub rule: RuleId,
    /// The hosts, never none, in the order written.
    pub hosts: Vec<SmartHost>,
    /// Whether load is spread over the hosts; otherwise each is there for when those before it fail.
    pub spread: bool,
}

/// One smart host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SmartHost {
    /// How it is reached.
    pub host: Target,
}

/// How a host is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// An address in brackets: no look-up at all (reference 1.4).
    Literal(SocketAddr),
    /// A name and a port: its A and AAAA records.
    Name(Domain, u16),
}

/// What the settings say about routes.
#[derive(Clone, Debug)]
pub struct Routing {
    /// The domains for mail of a virtual server that is no longer in the settings.
    pub domains: Arc<Domains>,
    /// Where mail for our own domains goes.
    pub organization: Option<Route>,
    /// Where mail for our own domains goes when `organization` does not say.
    pub drop_directory: Option<Route>,
    /// By virtual server.
    pub servers: BTreeMap<Box<str>, ServerRouting>,
}

/// What the settings say about the mail of one virtual server.
#[derive(Clone, Debug)]
pub struct ServerRouting {
    /// The domains it knows; the same as in its [`crate::Rules`].
    pub domains: Arc<Domains>,
    /// Where everything goes that has no other route.
    pub smart_hosts: Option<Arc<SmartHosts>>,
}

/// Chooses the route of one recipient of mail that came in by the virtual server `server`. Never a
/// refusal: mail that has no route gets [`Route::None`].
#[must_use]
pub fn route(routing: &Routing, server: &str, recipient: &Mailbox) -> Decision<Route> {
    let mut trace = Trace::new();
    let server = routing.servers.get(server);
    let domains = server.map_or(&routing.domains, |server| &server.domains);
    let route = recipient
        .domain()
        .and_then(|domain| by_domain(routing, domains, domain, &mut trace))
        .or_else(|| server.and_then(|server| server.smart_hosts.clone()).map(Route::SmartHosts))
        .unwrap_or(Route::None);
    trace.matched(route.rule());
    Decision::granted(route, trace)
}

/// The route that the recipient's domain has of its own.
fn by_domain(routing: &Routing, domains: &Domains, domain: &Domain, trace: &mut Trace) -> Option<Route> {
    if let Some(remote) = domains.try_remote(domain, trace)
        && let Some(route) = &remote.route
    {
        return Some(route.clone());
    }
    domains.try_local(domain, trace)?;
    routing.organization.clone().or_else(|| routing.drop_directory.clone())
}

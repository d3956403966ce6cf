//! Plan: which way each recipient of a message goes. Pure.
//!
//! A way out belongs to the virtual server that received the message: its route, its name in EHLO,
//! its source address, its counters. Recipients with the same way share one transaction.

use config::{Config, OutboundTls, ServerDelivery};
use mail::Mailbox;
use policy::{Route, Target};
use queue::{DestinationId, Places, Retry, Terms};
use std::fmt::Write;

/// One way out of the gateway.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// The name in the queue view: `outbound to [10.0.0.20]:25`.
    pub name: Box<str>,
    /// The virtual server whose mail goes this way.
    pub server: Box<str>,
    /// Where it goes.
    pub route: Route,
    /// How.
    pub delivery: ServerDelivery,
}

/// Sorts recipients, each with its place in the envelope, by the destination they go to. No route is a
/// way too: it leads nowhere, and who goes it is told so.
#[must_use]
pub(crate) fn plan(
    config: &Config,
    server: &str,
    recipients: impl Iterator<Item = (usize, Mailbox)>,
    mut destination: impl FnMut(&Route) -> DestinationId,
) -> Vec<(DestinationId, Places)> {
    let mut parts: Vec<(DestinationId, Vec<usize>)> = Vec::new();
    for (place, forward_path) in recipients {
        let decision = policy::route(&config.routing, server, &forward_path);
        let to = destination(&decision.verdict.unwrap_or(Route::None));
        match parts.iter_mut().find(|(known, _)| *known == to) {
            Some((_, places)) => places.push(place),
            None => parts.push((to, vec![place])),
        }
    }
    parts.into_iter().map(|(to, places)| (to, places.into_iter().collect())).collect()
}

/// The way a route makes for the mail of a virtual server.
#[must_use]
pub(crate) fn way(config: &Config, server: &str, route: &Route) -> Way {
    let delivery = config.server(server).map_or_else(|| orphan(config), |known| known.delivery.clone());
    Way { name: name(server, route).into(), server: server.into(), route: route.clone(), delivery }
}

/// How mail leaves whose virtual server is no longer in the settings.
fn orphan(config: &Config) -> ServerDelivery {
    ServerDelivery {
        hello_name: config.hostname.clone(),
        masquerade: None,
        source_address: None,
        tls: OutboundTls::Opportunistic,
        pipelining: true,
        chunking: true,
    }
}

/// What the queue view calls a way.
#[must_use]
pub(crate) fn name(server: &str, route: &Route) -> String {
    let mut name = format!("{server} to ");
    match route {
        // Writing to a string cannot fail.
        Route::Drop(drop) => {
            let _ = write!(name, "{}", drop.directory.display());
        }
        Route::SmartHosts(hosts) => {
            for (at, host) in hosts.hosts.iter().enumerate() {
                name.push_str(if at == 0 { "" } else { ", " });
                name.push_str(&host_name(&host.host));
            }
        }
        Route::None => name.push_str("nowhere"),
    }
    name
}

/// A smart host as it is written in the settings.
#[must_use]
pub fn host_name(target: &Target) -> String {
    match target {
        Target::Literal(address) => match address.ip() {
            std::net::IpAddr::V4(v4) => format!("[{v4}]:{}", address.port()),
            std::net::IpAddr::V6(v6) => format!("[IPv6:{v6}]:{}", address.port()),
        },
        Target::Name(name, port) => format!("{name}:{port}"),
    }
}

/// The delivery settings of every way.
#[must_use]
pub(crate) fn terms(config: &Config) -> Terms {
    Terms {
        retry: retry(config),
        connections: config.delivery.connections_per_domain,
        messages_per_connection: config.delivery.messages_per_connection,
    }
}

/// The retry settings.
#[must_use]
pub(crate) fn retry(config: &Config) -> Retry {
    config.queue.retry
}

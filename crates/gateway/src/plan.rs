//! Plan: which way each recipient of a message goes. Pure.
//!
//! A way out belongs to the virtual server that received the message: its route, its name in EHLO,
//! its source address, its counters. Recipients with the same way share one transaction.

use config::{Config, OutboundTls, ServerDelivery};
use policy::{Route, Target};
use queue::{Envelope, Places, Retry, Terms};
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

/// What a message's recipients were sorted into.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The ways, each with its recipients.
    pub ways: Vec<(Route, Places)>,
    /// Recipients that have no way out at all.
    pub stranded: Vec<usize>,
}

/// Sorts the recipients that are still to be attempted by the way they go.
#[must_use]
pub(crate) fn plan(config: &Config, envelope: &Envelope) -> Plan {
    let mut ways: Vec<(Route, Vec<usize>)> = Vec::new();
    let mut stranded = Vec::new();
    for (place, recipient) in envelope.pending() {
        let decision = policy::route(&config.routing, &envelope.server, &recipient.forward_path);
        match decision.verdict.unwrap_or(Route::None) {
            Route::None => stranded.push(place),
            route => match ways.iter_mut().find(|(known, _)| is_same_way(known, &route)) {
                Some((_, places)) => places.push(place),
                None => ways.push((route, vec![place])),
            },
        }
    }
    Plan { ways: ways.into_iter().map(|(route, places)| (route, places.into_iter().collect())).collect(), stranded }
}

/// Whether two routes lead to the same place, wherever they are written.
fn is_same_way(one: &Route, other: &Route) -> bool {
    match (one, other) {
        (Route::SmartHosts(one), Route::SmartHosts(other)) => one.hosts == other.hosts && one.spread == other.spread,
        (Route::Drop(one), Route::Drop(other)) => one.directory == other.directory,
        (one, other) => one == other,
    }
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

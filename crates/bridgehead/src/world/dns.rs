//! The name service, by hickory. A bare look-up is never trusted: PTR names count only when their
//! own addresses name the client again.

use hickory_resolver::TokioResolver;
use mail::{Domain, Found, Query, canonical};
use std::net::IpAddr;
use std::time::Duration;

/// How long one query may take, with all its parts.
const QUERY_TIME: Duration = Duration::from_secs(15);
/// PTR names of one address that are followed; more is somebody playing.
const NAMES: usize = 8;

/// The resolver of this host.
pub(super) struct Dns(Option<TokioResolver>);

impl Dns {
    /// With the name servers of `/etc/resolv.conf`. Without any, every answer is "could not find out".
    #[must_use]
    pub(super) fn new() -> Dns {
        Dns(TokioResolver::builder_tokio().and_then(hickory_resolver::ResolverBuilder::build).ok())
    }

    /// Asks; never fails.
    pub(super) async fn look_up(&self, query: &Query) -> Found {
        let Some(resolver) = &self.0 else { return Found::Unavailable };
        let answer = async {
            match query {
                Query::ConfirmedNames(address) => confirmed_names(resolver, canonical(*address)).await,
                Query::Addresses(name) => addresses(resolver, name).await,
                // Directories know that, not the name service.
                Query::Recipient(_) => Found::Unavailable,
            }
        };
        tokio::time::timeout(QUERY_TIME, answer).await.unwrap_or(Found::Unavailable)
    }
}

async fn addresses(resolver: &TokioResolver, name: &Domain) -> Found {
    match resolver.lookup_ip(format!("{name}.")).await {
        Ok(found) => Found::Addresses(found.iter().collect()),
        Err(error) if error.is_no_records_found() => Found::Absent,
        Err(_) => Found::Unavailable,
    }
}

async fn confirmed_names(resolver: &TokioResolver, client: IpAddr) -> Found {
    let names: Vec<Domain> = match resolver.reverse_lookup(client).await {
        Ok(found) => found
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                hickory_resolver::proto::rr::RData::PTR(name) => name.to_string().parse().ok(),
                _ => None,
            })
            .take(NAMES)
            .collect(),
        Err(error) if error.is_no_records_found() => return Found::Absent,
        Err(_) => return Found::Unavailable,
    };
    let mut confirmed = Vec::new();
    for name in names {
        match addresses(resolver, &name).await {
            Found::Addresses(found) if found.iter().any(|a| canonical(*a) == client) => confirmed.push(name),
            // A name that could not be confirmed for want of an answer must not look like a name
            // that is not there.
            Found::Unavailable => return Found::Unavailable,
            _ => {}
        }
    }
    if confirmed.is_empty() { Found::Absent } else { Found::Names(confirmed) }
}

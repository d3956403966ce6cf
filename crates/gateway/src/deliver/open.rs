//! Opening a connection to one of the hosts of a way: look up, connect, greet, secure.

use super::Carrier;
use super::link::Link;
use crate::event::Event;
use crate::plan::host_name;
use crate::world::{Verify, World};
use config::OutboundTls;
use mail::{Found, Host, Query};
use policy::{SmartHosts, Target};
use smtp::client::{Client, Settings, StartTls};
use std::net::SocketAddr;

/// Addresses of one name that are tried.
const ADDRESSES: usize = 8;

/// What came of it.
pub(super) enum Opened<W: World> {
    /// A transaction may begin.
    Ready(Box<Link<W>>),
    /// The only hosts there are, are we.
    Loop,
    /// None would have us; why the last would not.
    Failed(Box<str>),
}

impl<W: World> Carrier<W> {
    /// Tries the hosts in order, from a different one for each connection when load is spread.
    pub(super) async fn open(&self, hosts: &SmartHosts) -> Opened<W> {
        let count = hosts.hosts.len();
        let start = if hosts.spread { self.turn % count } else { 0 };
        let mut failed = None;
        for step in 0..count {
            let target = &hosts.hosts[(start + step) % count].host;
            match self.open_host(target).await {
                Opened::Failed(error) => {
                    let hop = host_name(target);
                    let event = Event::HopRefused { server: &self.way.server, hop: &hop, why: &error };
                    self.gateway.recorder.record(&event);
                    failed = Some(error);
                }
                // Another host may still be somebody else.
                Opened::Loop => {}
                ready @ Opened::Ready(_) => return ready,
            }
        }
        // As long as one host is not ourselves, mail may still arrive there.
        failed.map_or(Opened::Loop, Opened::Failed)
    }

    async fn open_host(&self, target: &Target) -> Opened<W> {
        let addresses = match self.addresses(target).await {
            Ok(addresses) if addresses.is_empty() => return Opened::Failed("the name has no address".into()),
            Ok(addresses) => addresses,
            Err(why) => return Opened::Failed(why),
        };
        let mut failed = None;
        for address in addresses {
            if self.gateway.is_own_listener(address) {
                continue;
            }
            match self.greet(target, address, self.starttls()).await {
                Ok(link) => return Opened::Ready(Box::new(link)),
                Err(Refused { why, handshake: true }) if self.starttls() == StartTls::Opportunistic => {
                    // RFC 7435: what cannot be secured although it was offered goes in the clear.
                    match self.greet(target, address, StartTls::Never).await {
                        Ok(link) => return Opened::Ready(Box::new(link)),
                        Err(_) => failed = Some(why),
                    }
                }
                Err(Refused { why, .. }) => failed = Some(why),
            }
        }
        failed.map_or(Opened::Loop, Opened::Failed)
    }

    /// A bracketed host is its address; nothing is looked up (E06).
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, Box<str>> {
        match target {
            Target::Literal(address) => Ok(vec![*address]),
            Target::Name(name, port) => match self.gateway.world.look_up(&Query::Addresses(name.clone())).await {
                Found::Addresses(found) => {
                    Ok(found.into_iter().take(ADDRESSES).map(|ip| SocketAddr::new(ip, *port)).collect())
                }
                Found::Absent => Err(format!("{name} has no address").into()),
                Found::Names(_) | Found::Unavailable => {
                    Err(format!("the address of {name} could not be found out").into())
                }
            },
        }
    }

    fn starttls(&self) -> StartTls {
        match self.way.delivery.tls {
            OutboundTls::Never => StartTls::Never,
            OutboundTls::Opportunistic => StartTls::Opportunistic,
            OutboundTls::Required => StartTls::Required,
        }
    }

    /// Connects and speaks until a transaction may begin.
    async fn greet(&self, target: &Target, address: SocketAddr, starttls: StartTls) -> Result<Link<W>, Refused> {
        let delivery = &self.way.delivery;
        let connecting = self.gateway.world.connect(address, delivery.source_address);
        let stream = match tokio::time::timeout(self.connect_limit, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Refused::plain(format!("{address}: {error}"))),
            Err(_) => return Err(Refused::plain(format!("{address}: connecting took too long"))),
        };
        let client = Client::new(Settings {
            hello: Host::Domain(delivery.hello_name.clone()),
            starttls,
            pipelining: delivery.pipelining,
            chunking: delivery.chunking,
        });
        // A certificate is compared with a name somebody wrote; an address in brackets has none.
        let (name, verify) = match target {
            Target::Name(name, _) if starttls == StartTls::Required => (name.to_string(), Verify::Name),
            Target::Name(name, _) => (name.to_string(), Verify::Nobody),
            Target::Literal(address) => (address.ip().to_string(), Verify::Nobody),
        };
        let mut link = Link::new(stream, client, host_name(target));
        link.ready(&*self.gateway.world, &name, verify).await?;
        Ok(link)
    }
}

/// Why a host would not have us.
pub(super) struct Refused {
    pub(super) why: Box<str>,
    /// It was the TLS handshake that failed.
    pub(super) handshake: bool,
}

impl Refused {
    pub(super) fn plain(why: impl Into<Box<str>>) -> Refused {
        Refused { why: why.into(), handshake: false }
    }
}

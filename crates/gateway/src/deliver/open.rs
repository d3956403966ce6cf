//! Opening a connection to one of the hosts of a way: look up, connect, greet, secure.

use super::Carrier;
use super::link::Link;
use crate::event::Event;
use crate::memory::LINK_OCTETS;
use crate::plan::host_name;
use crate::world::{Verify, World};
use config::OutboundTls;
use mail::{Found, Host, Query};
use policy::{SmartHosts, Target};
use smtp::client::{Client, Settings, StartTls};
use std::io;
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
    /// This host has nothing left to open a connection with.
    Exhausted(Box<str>),
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
                // Another would need a descriptor, too.
                exhausted @ Opened::Exhausted(_) => return exhausted,
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
                Err(Refused { why, fault: Fault::Ours }) => return Opened::Exhausted(why),
                Err(Refused { why, fault: Fault::Handshake }) if self.starttls() == StartTls::Opportunistic => {
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
                Found::Names(_) | Found::Exists | Found::Unavailable => {
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
            Ok(Err(error)) if error.kind() == io::ErrorKind::OutOfMemory => return Err(Refused::ours(&error)),
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
        let held = self.gateway.memory.hold(LINK_OCTETS);
        let mut link = Link::new(stream, client, host_name(target), self.rate, Some(held));
        link.ready(&*self.gateway.world, &name, verify).await?;
        Ok(link)
    }
}

/// Why a host would not have us.
pub(super) struct Refused {
    pub(super) why: Box<str>,
    /// What failed.
    pub(super) fault: Fault,
}

/// What failed when a connection was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The host, or the way to it.
    Host,
    /// The TLS handshake.
    Handshake,
    /// This host: it has no descriptor or buffer left.
    Ours,
}

impl Refused {
    pub(super) fn plain(why: impl Into<Box<str>>) -> Refused {
        Refused { why: why.into(), fault: Fault::Host }
    }

    fn ours(error: &io::Error) -> Refused {
        Refused { why: error.to_string().into(), fault: Fault::Ours }
    }
}

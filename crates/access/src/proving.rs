//! What a client can be, before any rule is asked: whether there is such a link, and whom it can prove to be on it.

use crate::table::Link;
use config::{Config, Server};
use identity::{Mechanism, Peer};
use mail::Identity;
use std::net::IpAddr;

/// Whether a client at this address can prove to be this, on this link of a virtual server. Nobody can on a link that
/// it does not have.
#[must_use]
pub fn can_be(config: &Config, server: &Server, identity: &Identity, (client, link): (IpAddr, Link)) -> bool {
    let Some(offered) = link.offers(server) else { return false };
    let known = !server.authentication.directories.is_empty();
    match identity {
        Identity::Anonymous => true,
        Identity::Account(_) => (known && !offered.is_empty()) || is_spoken_for(config, offered, known),
        Identity::Peer(name) => {
            let mut peers = config.peers.iter().filter(|peer| peer.name == *name);
            peers.any(|peer| comes_from(peer, client) && provable(peer, offered, known))
        }
    }
}

/// Whether a peer can say here that its client is an account, wherever that comes from (XCLIENT).
fn is_spoken_for(config: &Config, offered: &[Box<str>], known: bool) -> bool {
    config.peers.iter().any(|peer| peer.trust.xclient && provable(peer, offered, known))
}

/// Whether a peer can have this address.
#[must_use]
pub fn comes_from(peer: &Peer, address: IpAddr) -> bool {
    peer.addresses.is_empty() || peer.addresses.iter().any(|net| net.contains(address))
}

/// Whether a peer can prove itself by one of these mechanisms.
pub(crate) fn provable(peer: &Peer, offered: &[Box<str>], directories: bool) -> bool {
    offered.iter().filter_map(|name| name.parse().ok()).any(|mechanism| match mechanism {
        Mechanism::External => !peer.certificates.is_empty(),
        Mechanism::Gssapi | Mechanism::GssSpnego => {
            directories && !(peer.principals.is_empty() && peer.accounts.is_empty())
        }
        _ => directories && !peer.accounts.is_empty(),
    })
}

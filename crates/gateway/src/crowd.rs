//! Who is inside: the sessions of one virtual server, counted by address and by network.
//!
//! What it holds is bounded by the sessions that are open: whoever leaves takes the last count of an
//! address with him. The network of an address is what one customer is usually given: a /24, a /64.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The sessions of one virtual server.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    open: u32,
    per_address: BTreeMap<IpAddr, u32>,
    per_network: BTreeMap<IpAddr, u32>,
}

impl Crowd {
    /// Open sessions: in all, from this address, from its network.
    pub(crate) fn around(&self, client: IpAddr) -> (u32, u32, u32) {
        let count = |of: &BTreeMap<IpAddr, u32>, at: IpAddr| of.get(&at).copied().unwrap_or(0);
        (self.open, count(&self.per_address, client), count(&self.per_network, network(client)))
    }

    /// One session more.
    pub(crate) fn enter(&mut self, client: IpAddr) {
        self.open += 1;
        *self.per_address.entry(client).or_default() += 1;
        *self.per_network.entry(network(client)).or_default() += 1;
    }

    /// One session less. Only for a client that has entered.
    pub(crate) fn leave(&mut self, client: IpAddr) {
        self.open -= 1;
        one_less(&mut self.per_address, client);
        one_less(&mut self.per_network, network(client));
    }
}

fn one_less(counts: &mut BTreeMap<IpAddr, u32>, at: IpAddr) {
    if let Some(count) = counts.get_mut(&at) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&at);
        }
    }
}

/// The first address of the network that an address belongs to.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & !0xff).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn neighbours_share_a_network() {
        let mut crowd = Crowd::default();
        for client in ["192.0.2.1", "192.0.2.1", "192.0.2.200", "192.0.3.1", "2001:db8::1", "2001:db8::2:0:0:1"] {
            crowd.enter(at(client));
        }
        assert_eq!(crowd.around(at("192.0.2.1")), (6, 2, 3));
        assert_eq!(crowd.around(at("192.0.3.1")), (6, 1, 1));
        assert_eq!(crowd.around(at("2001:db8::9")), (6, 0, 2));
        assert_eq!(crowd.around(at("2001:db8:0:1::1")), (6, 0, 0));
    }

    proptest! {
        #[test]
        fn what_is_held_is_bounded_by_who_is_inside(clients in proptest::collection::vec(0_u32..2000, 0..100)) {
            let mut crowd = Crowd::default();
            let addresses: Vec<IpAddr> = clients.iter().map(|bits| Ipv4Addr::from_bits(*bits).into()).collect();
            for client in &addresses {
                crowd.enter(*client);
                prop_assert!(crowd.per_address.len() <= crowd.open as usize);
                prop_assert!(crowd.per_network.len() <= crowd.per_address.len());
            }
            addresses.iter().for_each(|client| crowd.leave(*client));
            prop_assert!(crowd.open == 0 && crowd.per_address.is_empty() && crowd.per_network.is_empty());
        }
    }
}

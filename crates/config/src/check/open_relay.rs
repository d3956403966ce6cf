//! Could everyone in the Internet relay through a virtual server?
//!
//! A client relays without having authenticated when anonymous clients may send, connection control
//! lets it through, and the relay list permits it. How many public addresses pass all three is
//! counted, so that it does not matter how the hole is spelt: all-except with nobody listed, only
//! with `0.0.0.0/0`, or with its two halves.

use crate::file::Mode;
use mail::Net;
use std::net::IpAddr;

/// Addresses, as sorted ranges that do not touch; both ends belong to a range.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ranges(Vec<(u128, u128)>);

impl Ranges {
    fn new(mut list: Vec<(u128, u128)>) -> Ranges {
        list.sort_unstable();
        let mut out: Vec<(u128, u128)> = Vec::with_capacity(list.len());
        for (low, high) in list {
            match out.last_mut() {
                Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
                _ => out.push((low, high)),
            }
        }
        Ranges(out)
    }

    /// Everything up to `top` that is not here.
    fn complement(&self, top: u128) -> Ranges {
        let mut out = Vec::with_capacity(self.0.len() + 1);
        let mut next = Some(0);
        for &(low, high) in &self.0 {
            let Some(start) = next else { break };
            if start < low {
                out.push((start, low - 1));
            }
            next = high.checked_add(1).filter(|start| *start <= top);
        }
        out.extend(next.map(|start| (start, top)));
        Ranges(out)
    }

    fn intersection(&self, other: &Ranges) -> Ranges {
        let mut out = Vec::new();
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(&&(a_low, a_high)), Some(&&(b_low, b_high))) = (a.peek(), b.peek()) {
            let (low, high) = (a_low.max(b_low), a_high.min(b_high));
            if low <= high {
                out.push((low, high));
            }
            if a_high < b_high {
                a.next()
            } else {
                b.next()
            };
        }
        Ranges(out)
    }

    /// How many addresses; a family as a whole has fewer than fit.
    fn count(&self) -> u128 {
        self.0.iter().fold(0, |sum: u128, (low, high)| sum.saturating_add((high - low).saturating_add(1)))
    }
}

/// One of the two address families.
#[derive(Clone, Copy)]
enum Family {
    V4,
    V6,
}

impl Family {
    fn bits(self) -> u32 {
        match self {
            Family::V4 => 32,
            Family::V6 => 128,
        }
    }

    fn top(self) -> u128 {
        u128::MAX >> (128 - self.bits())
    }

    /// Addresses that strangers have: not private, local, multicast or reserved.
    fn public(self) -> Ranges {
        let nets: &[&str] = match self {
            Family::V4 => &[
                "0.0.0.0/8",
                "10.0.0.0/8",
                "100.64.0.0/10",
                "127.0.0.0/8",
                "169.254.0.0/16",
                "172.16.0.0/12",
                "192.168.0.0/16",
                "224.0.0.0/3",
            ],
            Family::V6 => {
                return Ranges("2000::/3".parse().ok().and_then(|net| self.range_of(&net)).into_iter().collect());
            }
        };
        let special = nets.iter().filter_map(|net| net.parse().ok()).filter_map(|net| self.range_of(&net));
        Ranges::new(special.collect()).complement(self.top())
    }

    /// More strangers than this are everyone: an IPv4 /8, or what a very large provider has of IPv6.
    fn many(self) -> u128 {
        match self {
            Family::V4 => 1 << 24,
            Family::V6 => 1 << 108,
        }
    }

    /// The addresses of a network, if it is of this family.
    fn range_of(self, net: &Net) -> Option<(u128, u128)> {
        match (self, net.first(), net.last()) {
            (Family::V4, IpAddr::V4(first), IpAddr::V4(last)) => Some((first.to_bits().into(), last.to_bits().into())),
            (Family::V6, IpAddr::V6(first), IpAddr::V6(last)) => Some((first.to_bits(), last.to_bits())),
            _ => None,
        }
    }

    /// The addresses that a list, read by its mode, lets through. Domains are left out: who has a
    /// name is not known here.
    fn let_through(self, mode: Mode, list: &[Net]) -> Ranges {
        let listed = Ranges::new(list.iter().filter_map(|net| self.range_of(net)).collect());
        match mode {
            Mode::Only => listed,
            Mode::AllExcept => listed.complement(self.top()),
        }
    }
}

/// Whether so many strangers pass both lists that they are everyone.
pub(super) fn is_open(connection: (Mode, &[Net]), relay: (Mode, &[Net])) -> bool {
    [Family::V4, Family::V6].into_iter().any(|family| {
        let connect = family.let_through(connection.0, connection.1);
        let relay = family.let_through(relay.0, relay.1);
        connect.intersection(&relay).intersection(&family.public()).count() > family.many()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Mode::{AllExcept, Only};

    fn nets(list: &[&str]) -> Vec<Net> {
        list.iter().map(|net| net.parse().unwrap()).collect()
    }

    #[test]
    fn e12_what_is_an_open_relay() {
        let all: &[&str] = &[];
        for (connection, relay, open) in [
            ((AllExcept, all), (Only, all), false),
            ((AllExcept, all), (AllExcept, all), true),
            ((AllExcept, all), (AllExcept, &["192.0.2.1"][..]), true),
            ((AllExcept, all), (Only, &["0.0.0.0/0"]), true),
            ((AllExcept, all), (Only, &["0.0.0.0/1", "128.0.0.0/1"]), true),
            ((AllExcept, all), (Only, &["::/0"]), true),
            ((AllExcept, all), (Only, &["2a00::/12"]), true),
            ((AllExcept, all), (Only, &["10.0.0.0/8", "192.168.0.0/16", "203.0.113.0/24", "2001:db8::/32"]), false),
            ((AllExcept, all), (AllExcept, &["0.0.0.0/0"]), true),
            ((AllExcept, all), (AllExcept, &["0.0.0.0/0", "::/0"]), false),
            ((Only, &["10.0.0.0/8"]), (AllExcept, all), false),
            ((Only, &["0.0.0.0/0"]), (AllExcept, all), true),
            ((Only, all), (AllExcept, all), false),
            ((AllExcept, &["0.0.0.0/0", "::/0"]), (AllExcept, all), false),
            ((AllExcept, &["0.0.0.0/1"]), (Only, &["0.0.0.0/1"]), false),
            ((Only, &["127.0.0.0/8", "::1"]), (AllExcept, all), false),
            ((AllExcept, all), (Only, &["fd00::/8", "fe80::/10"]), false),
        ] {
            let name = format!("{connection:?} {relay:?}");
            let (c, r) = (nets(connection.1), nets(relay.1));
            assert_eq!(is_open((connection.0, &c), (relay.0, &r)), open, "{name}");
        }
    }

    #[test]
    fn a_complement_is_the_rest() {
        let some = Ranges::new(vec![(5, 9), (0, 1), (10, 12), (250, 255)]);
        assert_eq!(some, Ranges(vec![(0, 1), (5, 12), (250, 255)]));
        assert_eq!(some.complement(255), Ranges(vec![(2, 4), (13, 249)]));
        assert_eq!(some.complement(255).complement(255), some);
        assert_eq!(Ranges::new(vec![(0, u128::MAX)]).complement(u128::MAX), Ranges(vec![]));
        assert_eq!(Ranges(vec![]).complement(255), Ranges(vec![(0, 255)]));
    }
}

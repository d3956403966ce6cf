//! Sets of addresses, and how the prefixes of the settings cut all addresses into intervals.
//!
//! Both families are one ordered space here, IPv4 first. An IPv4-mapped IPv6 address is its IPv4
//! address, as everywhere (conformance row 22).

mod words;

use crate::network::{Net, canonical};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use words::Words;

pub use words::said;

/// One of the two address families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Family {
    /// 32 bits.
    V4,
    /// 128 bits.
    V6,
}

impl Family {
    const ALL: [Family; 2] = [Family::V4, Family::V6];

    fn bits(self) -> u32 {
        match self {
            Family::V4 => 32,
            Family::V6 => 128,
        }
    }

    fn top(self) -> u128 {
        u128::MAX >> (128 - self.bits())
    }

    fn address(self, number: u128) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX)).into(),
            Family::V6 => Ipv6Addr::from_bits(number).into(),
        }
    }
}

/// Addresses of one family from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    family: Family,
    first: u128,
    last: u128,
}

impl Span {
    /// The addresses of a prefix.
    #[must_use]
    pub fn of(net: Net) -> Span {
        let (family, first) = number(net.first());
        Span { family, first, last: number(net.last()).1 }
    }

    /// The address that stands for all of them: the first that a host could have.
    #[must_use]
    pub fn representative(self) -> IpAddr {
        // The first address of a network is the name of the network; hosts begin behind it.
        let host = if self.first < self.last { self.first + 1 } else { self.first };
        self.family.address(host)
    }
}

/// The family of an address, and the address as a number.
fn number(address: IpAddr) -> (Family, u128) {
    match canonical(address) {
        IpAddr::V4(v4) => (Family::V4, u128::from(v4.to_bits())),
        IpAddr::V6(v6) => (Family::V6, v6.to_bits()),
    }
}

/// All addresses, cut wherever one of the prefixes begins or ends: within an interval, no prefix tells one
/// address from another.
#[must_use]
pub fn intervals(nets: &[Net]) -> Vec<Span> {
    let spans: Vec<Span> = nets.iter().map(|net| Span::of(*net)).collect();
    let mut out = Vec::with_capacity(2 * spans.len() + 2);
    for family in Family::ALL {
        let mut starts = vec![0];
        for span in spans.iter().filter(|span| span.family == family) {
            starts.push(span.first);
            starts.extend(span.last.checked_add(1).filter(|next| *next <= family.top()));
        }
        starts.sort_unstable();
        starts.dedup();
        let ends = starts.iter().skip(1).map(|next| next - 1).chain([family.top()]);
        out.extend(starts.iter().zip(ends).map(|(&first, last)| Span { family, first, last }));
    }
    out
}

/// A set of addresses: spans in order that do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressSet(Vec<Span>);

impl AddressSet {
    /// Every address.
    #[must_use]
    pub fn everywhere() -> AddressSet {
        AddressSet(Family::ALL.map(|family| Span { family, first: 0, last: family.top() }).into())
    }

    /// The addresses of these prefixes.
    #[must_use]
    pub fn of<'a>(nets: impl IntoIterator<Item = &'a Net>) -> AddressSet {
        nets.into_iter().map(|net| Span::of(*net)).collect()
    }

    /// Addresses that strangers have: not private, local, multicast or reserved.
    #[must_use]
    pub fn public() -> AddressSet {
        const SPECIAL: [&str; 9] = [
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "224.0.0.0/3",
            "::/0",
        ];
        let special: Vec<Net> = SPECIAL.iter().filter_map(|net| net.parse().ok()).collect();
        let global: AddressSet = "2000::/3".parse::<Net>().ok().map(Span::of).into_iter().collect();
        AddressSet::of(&special).complement().union(&global)
    }

    /// Whether there is no address in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every address is in it.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        *self == AddressSet::everywhere()
    }

    /// Whether this address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (family, at) = number(address);
        self.0.iter().any(|span| span.family == family && (span.first..=span.last).contains(&at))
    }

    /// Whether every address of the prefix is in it.
    #[must_use]
    pub fn covers(&self, net: Net) -> bool {
        let inner = Span::of(net);
        self.0.iter().any(|span| span.family == inner.family && span.first <= inner.first && inner.last <= span.last)
    }

    /// Whether some address of the prefix is in it.
    #[must_use]
    pub fn overlaps(&self, net: Net) -> bool {
        let inner = Span::of(net);
        self.0.iter().any(|span| span.family == inner.family && span.first <= inner.last && inner.first <= span.last)
    }

    /// The addresses of either.
    #[must_use]
    pub fn union(&self, other: &AddressSet) -> AddressSet {
        self.0.iter().chain(&other.0).copied().collect()
    }

    /// The addresses of both.
    #[must_use]
    pub fn intersection(&self, other: &AddressSet) -> AddressSet {
        let mut out = Vec::new();
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(&&one), Some(&&two)) = (a.peek(), b.peek()) {
            let (first, last) = (one.first.max(two.first), one.last.min(two.last));
            if one.family == two.family && first <= last {
                out.push(Span { first, last, ..one });
            }
            if (one.family, one.last) < (two.family, two.last) {
                a.next()
            } else {
                b.next()
            };
        }
        AddressSet(out)
    }

    /// Every other address.
    #[must_use]
    pub fn complement(&self) -> AddressSet {
        let mut out = Vec::new();
        for family in Family::ALL {
            let mut next = Some(0);
            for span in self.0.iter().filter(|span| span.family == family) {
                if let Some(first) = next.filter(|first| *first < span.first) {
                    out.push(Span { family, first, last: span.first - 1 });
                }
                next = span.last.checked_add(1).filter(|first| *first <= family.top());
            }
            out.extend(next.map(|first| Span { family, first, last: family.top() }));
        }
        AddressSet(out)
    }

    /// Whether so many are in it that it is everyone, within one family: more than an IPv4 /8, or than a very
    /// large provider has of IPv6.
    #[must_use]
    pub fn is_many(&self) -> bool {
        Family::ALL.into_iter().any(|family| {
            let most: u128 = if family == Family::V4 { 1 << 24 } else { 1 << 108 };
            let spans = self.0.iter().filter(|span| span.family == family);
            spans.fold(0, |sum: u128, span| sum.saturating_add((span.last - span.first).saturating_add(1))) > most
        })
    }

    /// The fewest prefixes that are this set.
    #[must_use]
    pub fn prefixes(&self) -> Vec<Net> {
        self.0.iter().flat_map(|span| prefixes(*span)).collect()
    }

    /// As [`Display`](fmt::Display) does, but of many networks only the first few and how many more there are.
    #[must_use]
    pub fn in_short(&self) -> String {
        self.extreme().map_or_else(|| Words::of(self).short(), ToOwned::to_owned)
    }

    fn extreme(&self) -> Option<&'static str> {
        if self.is_everywhere() {
            return Some("anywhere");
        }
        self.is_empty().then_some("nowhere")
    }

    /// An address that stands for all: one that examples use (RFC 5737), if it is in it; otherwise of the first span.
    ///
    /// # Panics
    /// When the set is empty.
    #[must_use]
    pub fn representative(&self) -> IpAddr {
        let known = [[192, 0, 2, 66], [198, 51, 100, 66], [203, 0, 113, 66]].map(IpAddr::from);
        let public = self.intersection(&AddressSet::public());
        let span = public.0.first().or_else(|| self.0.first());
        let first = || span.expect("invariant: a class of clients is never empty").representative();
        known.into_iter().find(|address| self.contains(*address)).unwrap_or_else(first)
    }
}

impl FromIterator<Span> for AddressSet {
    fn from_iter<I: IntoIterator<Item = Span>>(spans: I) -> AddressSet {
        let mut list: Vec<Span> = spans.into_iter().collect();
        list.sort_unstable();
        let mut out: Vec<Span> = Vec::with_capacity(list.len());
        for span in list {
            match out.last_mut() {
                Some(last) if last.family == span.family && span.first <= last.last.saturating_add(1) => {
                    last.last = last.last.max(span.last);
                }
                _ => out.push(span),
            }
        }
        AddressSet(out)
    }
}

/// The prefixes that a span falls into, the longest first step being the largest that fits.
fn prefixes(span: Span) -> Vec<Net> {
    let Span { family, mut first, last } = span;
    let mut out = Vec::new();
    loop {
        let aligned = if first == 0 { family.bits() } else { first.trailing_zeros().min(family.bits()) };
        let mut free = aligned;
        while free > 0 && first.saturating_add(size(free)) > last {
            free -= 1;
        }
        let length = u8::try_from(family.bits() - free).unwrap_or(u8::MAX);
        out.push(Net::around(family.address(first), length, length));
        match first.checked_add(size(free)).and_then(|end| end.checked_add(1)).filter(|next| *next <= last) {
            Some(next) => first = next,
            None => return out,
        }
    }
}

/// How far the last address of a prefix with so many free bits lies behind its first.
fn size(free: u32) -> u128 {
    1_u128.checked_shl(free).map_or(u128::MAX, |size| size - 1)
}

impl fmt::Display for AddressSet {
    /// The shortest that is true: networks, networks with exceptions, or `anywhere except` those that are not in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.extreme() {
            Some(word) => f.write_str(word),
            None => Words::of(self).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(nets: &[&str]) -> AddressSet {
        let nets: Vec<Net> = nets.iter().map(|net| net.parse().unwrap()).collect();
        AddressSet::of(&nets)
    }

    #[test]
    fn a_set_is_said_by_what_is_shorter() {
        for (nets, text) in [
            (&["10.0.0.0/9", "10.128.0.0/9"][..], "10.0.0.0/8"),
            (&["0.0.0.0/0", "::/0"], "anywhere"),
            (&[], "nowhere"),
            (&["10.0.0.5", "2001:db8::1"], "10.0.0.5 and 2001:db8::1"),
            (&["10.0.0.1", "10.0.0.2", "10.0.0.3"], "10.0.0.1 and 10.0.0.2/31"),
        ] {
            assert_eq!(set(nets).to_string(), text);
        }
        assert_eq!(set(&["10.0.0.0/8"]).complement().to_string(), "anywhere except 10.0.0.0/8");
    }

    #[test]
    fn one_address_less_is_said_as_an_exception() {
        let without = |nets: &[&str], not: &[&str]| set(nets).intersection(&set(not).complement());
        let of_one = without(&["10.0.0.0/8"], &["10.0.5.5"]);
        assert_eq!(of_one.to_string(), "10.0.0.0/8 except 10.0.5.5");
        let of_two = without(&["10.0.0.0/8", "192.168.0.0/16"], &["10.0.5.5", "10.9.0.0/16"]);
        assert_eq!(of_two.to_string(), "10.0.0.0/8 (except 10.0.5.5 and 10.9.0.0/16) and 192.168.0.0/16");
        assert_eq!(of_two.in_short(), of_two.to_string());
        assert_eq!(without(&["0.0.0.0/0"], &["10.0.5.5"]).to_string(), "0.0.0.0/0 except 10.0.5.5");
        assert_eq!(without(&["2001:db8::/32"], &["2001:db8::1"]).to_string(), "2001:db8::/32 except 2001:db8::1");
    }

    #[test]
    fn strangers_have_public_addresses() {
        let public = AddressSet::public();
        for (address, is) in
            [("192.0.2.66", true), ("10.0.0.1", false), ("2001:db8::1", true), ("fd00::1", false), ("127.0.0.1", false)]
        {
            assert_eq!(public.contains(address.parse().unwrap()), is, "{address}");
        }
        assert!(public.is_many() && !set(&["203.0.113.0/24"]).is_many());
    }

    fn any_net() -> impl Strategy<Value = Net> {
        let v4 = (any::<u32>(), 0..=32_u8).prop_map(|(bits, length)| (IpAddr::V4(Ipv4Addr::from_bits(bits)), length));
        let v6 = (any::<u128>(), 0..=128_u8).prop_map(|(bits, length)| (IpAddr::V6(Ipv6Addr::from_bits(bits)), length));
        prop_oneof![v4, v6].prop_map(|(address, length)| Net::around(address, length, length))
    }

    proptest! {
        #[test]
        fn sets_are_sets(a in prop::collection::vec(any_net(), 0..6), b in prop::collection::vec(any_net(), 0..6)) {
            let (one, two) = (AddressSet::of(&a), AddressSet::of(&b));
            for net in a.iter().chain(&b) {
                for address in [net.first(), net.last()] {
                    let (in_one, in_two) = (a.iter().any(|n| n.contains(address)), b.iter().any(|n| n.contains(address)));
                    prop_assert_eq!(one.contains(address), in_one);
                    prop_assert_eq!(one.union(&two).contains(address), in_one || in_two);
                    prop_assert_eq!(one.intersection(&two).contains(address), in_one && in_two);
                    prop_assert_eq!(one.complement().contains(address), !in_one);
                }
            }
            prop_assert_eq!(&one.complement().complement(), &one);
            prop_assert_eq!(&AddressSet::of(&one.prefixes()), &one);
            let all: AddressSet = intervals(&a).into_iter().collect();
            prop_assert!(all.is_everywhere());
        }
    }
}

//! Address prefixes, and sets of them, by plain numbers.
//!
//! The rules compare addresses by other code (`mail::Net`, spans in `policy`). What is here is written
//! anew on purpose: a mistake in the one is not in the other.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// A text that is not a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixError;

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an address or prefix")
    }
}

impl std::error::Error for PrefixError {}

/// The first and the last of neighbouring addresses, both of IPv4 or both of IPv6, as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// Whether they are of IPv6.
    pub v6: bool,
    /// The first.
    pub first: u128,
    /// The last.
    pub last: u128,
}

/// An address as a number, and whether it is one of IPv6. An IPv4-mapped one is the IPv4 address in it.
fn number(address: IpAddr) -> (bool, u128) {
    match address {
        IpAddr::V4(v4) => (false, u32::from(v4).into()),
        IpAddr::V6(v6) => {
            let all = u128::from(v6);
            // RFC 4291 §2.5.5.2: ten octets of zero, two of ones, the IPv4 address.
            if all >> 32 == 0xffff { (false, all & 0xffff_ffff) } else { (true, all) }
        }
    }
}

impl Prefix {
    /// Its first and last address.
    #[must_use]
    pub fn range(&self) -> Range {
        let (v6, first) = number(self.address);
        // The bits behind the length are zero in the one and ones in the other.
        Range { v6, first, last: first + behind(v6, self.length) }
    }
}

/// The bits behind a length, all of them ones.
fn behind(v6: bool, length: u8) -> u128 {
    let bits: u8 = if v6 { 128 } else { 32 };
    // A shift by all bits there are would be none at all.
    1_u128.checked_shl(u32::from(bits.saturating_sub(length))).map_or(u128::MAX, |above| above - 1)
}

impl Range {
    /// Its first address.
    #[must_use]
    pub fn first_address(&self) -> IpAddr {
        match (self.v6, u32::try_from(self.first)) {
            (false, Ok(v4)) => Ipv4Addr::from(v4).into(),
            _ => Ipv6Addr::from(self.first).into(),
        }
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    /// Reads `10.0.0.7`, `10.0.0.0/8` or `2001:db8::/32`; bits behind the length must be zero.
    fn from_str(text: &str) -> Result<Prefix, PrefixError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| PrefixError)?;
        let (v6, first) = number(address);
        let bits = if v6 { 128 } else { 32 };
        let length = match length {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().map_err(|_| PrefixError)?,
            Some(_) => return Err(PrefixError),
            None => bits,
        };
        if length > bits || first & behind(v6, length) != 0 {
            return Err(PrefixError);
        }
        Ok(Prefix { address, length })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let single = self.range().first == self.range().last;
        if single { self.address.fmt(f) } else { write!(f, "{}/{}", self.address, self.length) }
    }
}

/// A set of addresses: ranges in their order, none of which touches another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Box<[Range]>);

impl Ranges {
    /// All addresses in any of the prefixes.
    #[must_use]
    pub fn of(prefixes: &[Prefix]) -> Ranges {
        let mut all: Vec<Range> = prefixes.iter().map(Prefix::range).collect();
        all.sort_unstable();
        let mut merged: Vec<Range> = Vec::with_capacity(all.len());
        for next in all {
            match merged.last_mut() {
                Some(last) if last.v6 == next.v6 && next.first <= last.last.saturating_add(1) => {
                    last.last = last.last.max(next.last);
                }
                _ => merged.push(next),
            }
        }
        Ranges(merged.into())
    }

    /// Whether an address, mapped or not, is in the set.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let wanted = number(address);
        let behind = self.0.partition_point(|range| (range.v6, range.first) <= wanted);
        behind > 0 && {
            let range = &self.0[behind - 1];
            range.v6 == wanted.0 && wanted.1 <= range.last
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefixes(texts: &[&str]) -> Vec<Prefix> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_prefix_is_read_and_written() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "::/0", "2001:db8::/32", "10.0.0.7", "::1"] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), text);
        }
        assert_eq!("10.0.0.7/32".parse::<Prefix>().unwrap().to_string(), "10.0.0.7");
        for text in ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0", "::/129", "corp.example", ""] {
            assert_eq!(text.parse::<Prefix>(), Err(PrefixError), "{text}");
        }
    }

    #[test]
    fn a_prefix_has_a_first_and_a_last_address() {
        for (text, first, last) in [
            ("10.1.0.0/16", "10.1.0.0", Some("10.1.255.255")),
            ("10.0.0.7", "10.0.0.7", Some("10.0.0.7")),
            ("0.0.0.0/0", "0.0.0.0", Some("255.255.255.255")),
            ("2001:db8::/32", "2001:db8::", Some("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")),
            // A number that is also one of IPv4.
            ("::/96", "::", Some("::255.255.255.255")),
            ("::/0", "::", None),
        ] {
            let range = text.parse::<Prefix>().unwrap().range();
            assert_eq!(range.first_address(), first.parse::<IpAddr>().unwrap(), "{text}");
            let last = last.map_or((true, u128::MAX), |last| number(last.parse().unwrap()));
            assert_eq!((range.v6, range.last), last, "{text}");
        }
        let error = "corp.example".parse::<Prefix>().unwrap_err();
        assert_eq!(error.to_string(), "not an address or prefix");
    }

    #[test]
    fn families_do_not_mix_and_mapped_addresses_are_their_ipv4_form() {
        let v4 = Ranges::of(&prefixes(&["0.0.0.0/0"]));
        let v6 = Ranges::of(&prefixes(&["::/0"]));
        for (address, is_v4) in [("192.0.2.1", true), ("::ffff:192.0.2.1", true), ("2001:db8::1", false), ("::", false)]
        {
            let address = address.parse().unwrap();
            assert_eq!((v4.contains(address), v6.contains(address)), (is_v4, !is_v4), "{address}");
        }
        assert!(!Ranges::default().contains("192.0.2.1".parse().unwrap()));
    }

    proptest! {
        /// A set of prefixes has the addresses of which, bit by bit, one of them is the beginning.
        #[test]
        fn a_set_is_what_its_prefixes_are(
            drawn in prop::collection::vec((any::<u32>(), 0_u8..=32), 0..8),
            address in any::<u32>(),
            near in any::<prop::sample::Index>(),
        ) {
            let masked = |bits: u32, length: u8| if length == 0 { 0 } else { bits & (u32::MAX << (32 - length)) };
            let drawn: Vec<(u32, u8)> = drawn.into_iter().map(|(bits, length)| (masked(bits, length), length)).collect();
            let prefixes: Vec<Prefix> = drawn
                .iter()
                .map(|(bits, length)| format!("{}/{length}", Ipv4Addr::from(*bits)).parse().unwrap())
                .collect();
            let set = Ranges::of(&prefixes);
            let beside = drawn.get(near.index(drawn.len().max(1))).map_or(0, |(bits, _)| bits.wrapping_sub(1));
            for probe in [address, beside, beside.wrapping_add(1)] {
                let inside = drawn.iter().any(|(bits, length)| masked(probe, *length) == *bits);
                prop_assert_eq!(set.contains(Ipv4Addr::from(probe).into()), inside);
                prop_assert_eq!(set.contains(Ipv4Addr::from(probe).to_ipv6_mapped().into()), inside);
            }
        }
    }
}

//! Address prefixes, and the one place where an IPv4-mapped address becomes an IPv4 one.

use crate::digits::Short;
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The address a rule compares: `::ffff:192.0.2.1` is `192.0.2.1` (conformance row 22).
#[must_use]
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// An address as it is written, in a form that costs little: it is in every line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub IpAddr);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IpAddr::V4(address) = self.0 else { return self.0.fmt(f) };
        let mut text: Short<15> = Short::new();
        for (at, octet) in address.octets().into_iter().enumerate() {
            if at > 0 {
                text.put(b'.');
            }
            text.number(u16::from(octet));
        }
        f.write_str(text.as_str())
    }
}

/// An address prefix: a single address, `address/length`, or `address/mask`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Net(IpNet);

/// A text that is not an address prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetError {
    /// Neither an address nor a prefix.
    Syntax,
    /// A prefix with bits set behind its length, such as `10.0.0.1/8`; the prefix that was
    /// probably meant is given.
    HostBits(Net),
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NetError::Syntax => f.write_str("not an address or prefix"),
            NetError::HostBits(meant) => write!(f, "has bits set behind its length; {meant} is the whole network"),
        }
    }
}

impl std::error::Error for NetError {}

impl Net {
    /// Whether `address`, mapped or not, lies in this prefix.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&canonical(address))
    }

    /// Its first address.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.0.network()
    }

    /// Its last address.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        self.0.broadcast()
    }

    /// The prefix of `length` bits around an address.
    #[must_use]
    pub fn around(address: IpAddr, length_v4: u8, length_v6: u8) -> Net {
        let address = canonical(address);
        let length = if address.is_ipv4() { length_v4.min(32) } else { length_v6.min(128) };
        Net(IpNet::new_assert(address, length).trunc())
    }

    /// How many bits its addresses may differ in: 0 for a single address, 8 for a /24.
    #[must_use]
    pub fn free_bits(&self) -> u8 {
        self.0.max_prefix_len() - self.0.prefix_len()
    }
}

impl From<IpAddr> for Net {
    fn from(address: IpAddr) -> Net {
        Net(IpNet::from(canonical(address)))
    }
}

impl FromStr for Net {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Net, NetError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Net::from(address));
        }
        let net = text.parse::<IpNet>().or_else(|_| with_mask(text)).map_err(|_| NetError::Syntax)?;
        if net.trunc() == net { Ok(Net(net)) } else { Err(NetError::HostBits(Net(net.trunc()))) }
    }
}

/// `10.0.0.0/255.0.0.0`, as the old consoles wrote a group of computers.
fn with_mask(text: &str) -> Result<IpNet, NetError> {
    let (address, mask) = text.split_once('/').ok_or(NetError::Syntax)?;
    let address: IpAddr = address.parse().map_err(|_| NetError::Syntax)?;
    let mask: IpAddr = mask.parse().map_err(|_| NetError::Syntax)?;
    IpNet::with_netmask(address, mask).map_err(|_| NetError::Syntax)
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_the_standard_library_writes_it() {
        for text in ["0.0.0.0", "192.0.2.66", "255.255.255.255", "::1", "2001:db8::8"] {
            assert_eq!(Address(text.parse().unwrap()).to_string(), text);
        }
    }

    #[test]
    fn three_ways_to_write_a_prefix() {
        for text in ["10.0.0.0/8", "10.0.0.0/255.0.0.0"] {
            let net: Net = text.parse().unwrap();
            assert_eq!(net.to_string(), "10.0.0.0/8");
            assert!(net.contains("10.255.0.1".parse().unwrap()));
            assert!(!net.contains("11.0.0.1".parse().unwrap()));
        }
        assert_eq!("10.168.0.1".parse::<Net>().unwrap().to_string(), "10.168.0.1");
    }

    #[test]
    fn mapped_addresses_are_their_ipv4_form() {
        let net: Net = "10.168.0.1".parse().unwrap();
        assert!(net.contains("::ffff:10.168.0.1".parse().unwrap()));
    }

    #[test]
    fn classless_masks_and_mistakes() {
        let net: Net = "10.0.0.128/25".parse().unwrap();
        assert!(net.contains("10.0.0.200".parse().unwrap()) && !net.contains("10.0.0.1".parse().unwrap()));
        assert!(
            matches!("10.0.0.1/8".parse::<Net>(), Err(NetError::HostBits(meant)) if meant.to_string() == "10.0.0.0/8")
        );
        assert_eq!("10.0.0.0/33".parse::<Net>(), Err(NetError::Syntax));
        assert_eq!("10.0.0.0/255.0.255.0".parse::<Net>(), Err(NetError::Syntax));
    }
}

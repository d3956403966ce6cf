//! The header by which a proxy says who its client is: the PROXY protocol, versions 1 and 2, as
//! haproxy's `proxy-protocol.txt` defines it.
//!
//! It comes before the greeting and before TLS, from a peer that was looked up first: this only reads
//! it. [`read`] is shown what has come so far and says how many octets certainly follow, so that whoever
//! reads exactly those never takes an octet that belongs to what comes behind the header.
//!
//! Who a client is must be said: a proxy that does not know it (`UNKNOWN`, no address, a socket that is
//! a file) is refused, or its client would be taken for the proxy (conformance row 28).

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header of version 1, its CR LF included.
pub const LINE_OCTETS: usize = 107;
/// The longest header of version 2 that is read: its addresses, and more than proxies add to them.
pub const OCTETS: usize = 4096;

/// What every header of version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The fixed part of version 2: the signature, version and command, family, length.
const FIXED_OCTETS: usize = 16;
/// `PROXY UNKNOWN` and its end. No header is shorter.
const SHORTEST_OCTETS: usize = 15;

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// That of this client.
    Client(SocketAddr),
    /// The proxy's own (LOCAL), to see whether we are alive.
    Proxy,
}

/// How far a header has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// At least so many octets of it, one or more, are still to come.
    More(usize),
    /// It is complete.
    Done(Origin),
}

/// Why it is no header to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not begin as one.
    NotProxy,
    /// It is longer than one may be.
    TooLong,
    /// It breaks the rules.
    Malformed,
    /// It does not say who the client is.
    NoClient,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::NotProxy => "no PROXY header",
            Fault::TooLong => "the PROXY header is too long",
            Fault::Malformed => "the PROXY header is malformed",
            Fault::NoClient => "the PROXY header does not say who the client is",
        })
    }
}

/// Reads a header, of which this has come so far: nothing at first, and then as much as was asked for.
///
/// # Errors
/// It is none, or none to go by: the connection must be closed.
pub fn read(octets: &[u8]) -> Result<Progress, Fault> {
    let begins = |with: &[u8]| octets.iter().zip(with).all(|(one, other)| one == other);
    if begins(b"PROXY ") {
        line(octets)
    } else if begins(SIGNATURE) {
        block(octets)
    } else {
        Err(Fault::NotProxy)
    }
}

/// Version 1: `PROXY TCP4 192.0.2.66 10.0.0.1 51000 25` and CR LF.
fn line(octets: &[u8]) -> Result<Progress, Fault> {
    if let Some(end) = octets.iter().position(|octet| *octet == b'\n') {
        let text = octets.strip_suffix(b"\r\n").filter(|text| text.len() + 1 == end);
        let text = text.and_then(|text| std::str::from_utf8(text).ok()).ok_or(Fault::Malformed)?;
        return client_of(text).map(|client| Progress::Done(Origin::Client(client)));
    }
    let shortest = if octets.starts_with(b"PROXY TCP4 ") {
        "PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n".len()
    } else if octets.starts_with(b"PROXY TCP6 ") {
        "PROXY TCP6 :: :: 1 1\r\n".len()
    } else {
        SHORTEST_OCTETS
    };
    let end = if octets.ends_with(b"\r") { 1 } else { 2 };
    let more = shortest.saturating_sub(octets.len()).max(end);
    if octets.len() + more > LINE_OCTETS { Err(Fault::TooLong) } else { Ok(Progress::More(more)) }
}

/// The client that a line names, its end taken off.
fn client_of(text: &str) -> Result<SocketAddr, Fault> {
    let mut words = text.split(' ');
    let family = words.nth(1).ok_or(Fault::Malformed)?;
    if family == "UNKNOWN" {
        return Err(Fault::NoClient);
    }
    let mut word = || words.next().ok_or(Fault::Malformed);
    let [source, destination, source_port, destination_port] = [word()?, word()?, word()?, word()?];
    if words.next().is_some() {
        return Err(Fault::Malformed);
    }
    let address = |text: &str| match family {
        "TCP4" => text.parse().ok().map(IpAddr::V4),
        "TCP6" => text.parse().ok().map(IpAddr::V6),
        _ => None,
    };
    // Both ends must be well-formed, although only one is of interest.
    let (_, _) = address(destination).zip(port(destination_port)).ok_or(Fault::Malformed)?;
    let (source, port) = address(source).zip(port(source_port)).ok_or(Fault::Malformed)?;
    client_at(source, port)
}

/// A port in digits, without zeros in front.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|octet| octet.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

/// Version 2: a fixed part that says how long the rest is; addresses, and behind them what is skipped.
fn block(octets: &[u8]) -> Result<Progress, Fault> {
    const LOCAL: u8 = 0x20;
    const PROXY: u8 = 0x21;
    let command = octets.get(12).copied();
    if command.is_some_and(|command| command != LOCAL && command != PROXY) {
        return Err(Fault::Malformed);
    }
    let Some(fixed) = octets.first_chunk::<FIXED_OCTETS>() else {
        return Ok(Progress::More(FIXED_OCTETS - octets.len()));
    };
    let rest = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if FIXED_OCTETS + rest > OCTETS {
        return Err(Fault::TooLong);
    }
    let block = &octets[FIXED_OCTETS..];
    if block.len() < rest {
        return Ok(Progress::More(rest - block.len()));
    }
    if block.len() > rest {
        return Err(Fault::Malformed);
    }
    if command == Some(LOCAL) {
        return Ok(Progress::Done(Origin::Proxy));
    }
    let (source, port) = match fixed[13] {
        0x11 => (IpAddr::V4(Ipv4Addr::from(at::<4>(block, 0, 12)?)), at::<2>(block, 8, 12)?),
        0x21 => (IpAddr::V6(Ipv6Addr::from(at::<16>(block, 0, 36)?)), at::<2>(block, 32, 36)?),
        // No address, datagrams, sockets that are files.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => return Err(Fault::NoClient),
        _ => return Err(Fault::Malformed),
    };
    client_at(source, u16::from_be_bytes(port)).map(|client| Progress::Done(Origin::Client(client)))
}

/// The octets from `start` of addresses that take `octets` in all.
fn at<const N: usize>(block: &[u8], start: usize, octets: usize) -> Result<[u8; N], Fault> {
    let addresses = block.get(..octets).ok_or(Fault::Malformed)?;
    addresses[start..].first_chunk().copied().ok_or(Fault::Malformed)
}

/// Somebody who can have opened a connection.
fn client_at(address: IpAddr, port: u16) -> Result<SocketAddr, Fault> {
    let address = mail::canonical(address);
    let nobody = address.is_unspecified() || address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST);
    if nobody { Err(Fault::Malformed) } else { Ok(SocketAddr::new(address, port)) }
}

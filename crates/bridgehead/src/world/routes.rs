//! The default gateways of this host, as far as the kernel says: elsewhere than under Linux, none are known.

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where the kernel writes its routes.
const ROUTES: &str = "/proc/net/route";
const ROUTES_6: &str = "/proc/net/ipv6_route";
/// Octets that are read of each; a router of the Internet has more routes, and no default one.
const OCTETS: u64 = 4 << 20;

/// Whoever carries what leaves for anywhere.
pub(crate) fn default_gateways() -> Vec<IpAddr> {
    let mut gateways: Vec<IpAddr> = read(ROUTES).lines().filter_map(gateway).collect();
    gateways.extend(read(ROUTES_6).lines().filter_map(gateway_6));
    gateways.sort_unstable();
    gateways.dedup();
    gateways
}

/// A file of the kernel, or its beginning; empty if there is none.
fn read(path: &str) -> String {
    let mut octets = Vec::new();
    // What has been read before an error is as good as ever.
    let _ = File::open(path).map(|file| file.take(OCTETS).read_to_end(&mut octets));
    String::from_utf8(octets).unwrap_or_default()
}

/// The gateway of a line of `/proc/net/route`, if it is of the route to everywhere: interface, destination, gateway.
/// The kernel writes these addresses as the machine keeps them.
fn gateway(line: &str) -> Option<IpAddr> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (to, by) = (fields.next()?, fields.next()?);
    let by = u32::from_str_radix(by, 16).ok().filter(|by| to == "00000000" && *by != 0)?;
    Some(IpAddr::V4(Ipv4Addr::from(by.to_ne_bytes())))
}

/// The gateway of a line of `/proc/net/ipv6_route`, if it is of the route from everywhere to everywhere: destination
/// and its length, source and its length, gateway. The kernel writes these addresses as they are said. A route without a
/// gateway leads to whoever is on the link, or says that there is no way.
fn gateway_6(line: &str) -> Option<IpAddr> {
    let mut fields = line.split_ascii_whitespace();
    let mut prefix = || Some((address_6(fields.next()?)?, fields.next()? == "00"));
    let everywhere = (Ipv6Addr::UNSPECIFIED, true);
    let is_default = prefix()? == everywhere && prefix()? == everywhere;
    let by = address_6(fields.next()?)?;
    (is_default && !by.is_unspecified()).then_some(IpAddr::V6(by))
}

fn address_6(digits: &str) -> Option<Ipv6Addr> {
    let address = u128::from_str_radix(digits, 16).ok()?;
    (digits.len() == 32).then(|| Ipv6Addr::from(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_of_the_route_to_everywhere() {
        let by = u32::from_ne_bytes([192, 0, 2, 1]);
        let routes = format!(
            "Iface\tDestination\tGateway \tFlags\neth0\t00000000\t{by:08X}\t0003\neth0\t000200C0\t00000000\t0001\n"
        );
        assert_eq!(routes.lines().filter_map(gateway).collect::<Vec<_>>(), [IpAddr::from([192, 0, 2, 1])]);
    }

    #[test]
    fn the_gateways_of_the_routes_of_ipv6_to_everywhere() {
        // Of a host with an address by router advertisement, one set by hand, and the entries that all have.
        let routes = "\
20010db8000000010000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000002 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000003 00000000 00450003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 20010db8000000010000000000000001 00000400 00000003 00000000 00000003     eth0
00000000000000000000000000000000 00 20010db8000000020000000000000000 40 20010db8000000020000000000000001 00000400 00000003 00000000 00000003     eth1
20000000000000000000000000000000 03 00000000000000000000000000000000 00 20010db8000000010000000000000009 00000400 00000003 00000000 00000003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 00000400 00000003 00000000 00000001     ppp0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
";
        let gateways: Vec<String> = routes.lines().filter_map(gateway_6).map(|by| by.to_string()).collect();
        assert_eq!(gateways, ["fe80::1", "2001:db8:0:1::1"]);
    }

    #[test]
    fn nonsense_is_no_gateway() {
        let zeros = "0".repeat(32);
        let lines = [
            "",
            "nonsense",
            "a b c d e f",
            "eth0\t00000000",
            "eth0\t00000000\tGGGGGGGG",
            "eth0\t00000000\t1000000000",
            "eth0\t00000000\t-1",
            &format!("{zeros} 00 {zeros} 00"),
            &format!("{zeros} 00 {zeros} 00 1"),
            &format!("{zeros} 00 {zeros} 00 {}", "é".repeat(16)),
            &format!("{zeros} 00 {zeros} 00 +{}", "1".repeat(32)),
            &format!("{zeros} 00 0 00 {}", "1".repeat(32)),
        ];
        for line in lines {
            assert_eq!((gateway(line), gateway_6(line)), (None, None), "{line}");
        }
        assert!(read("/nowhere/at/all").is_empty());
    }
}

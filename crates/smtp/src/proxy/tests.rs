use super::*;
use proptest::prelude::*;

/// Reads from what has arrived exactly what is asked for, as a driver does. The number is of the octets
/// that were taken.
fn taken(arrived: &[u8]) -> (usize, Option<Result<Origin, Fault>>) {
    let mut octets = 0;
    loop {
        match read(&arrived[..octets]) {
            Ok(Progress::More(more)) if octets + more > arrived.len() => return (octets, None),
            Ok(Progress::More(more)) => octets += more,
            Ok(Progress::Done(origin)) => return (octets, Some(Ok(origin))),
            Err(fault) => return (octets, Some(Err(fault))),
        }
    }
}

fn version_2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family][..], &length, block].concat()
}

fn addresses_v4() -> [u8; 12] {
    [192, 0, 2, 66, 10, 0, 0, 1, 0xC7, 0x38, 0, 25]
}

const CLIENT: &str = "192.0.2.66:51000";

#[test]
fn row28_a_line_names_the_client() {
    for (line, client) in [
        ("PROXY TCP4 192.0.2.66 10.0.0.1 51000 25\r\n", CLIENT),
        ("PROXY TCP4 255.255.255.254 255.255.255.255 65535 65535\r\n", "255.255.255.254:65535"),
        ("PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n", "1.1.1.1:1"),
        ("PROXY TCP6 2001:db8::66 2001:db8::1 51000 25\r\n", "[2001:db8::66]:51000"),
        ("PROXY TCP6 ::1 :: 0 0\r\n", "[::1]:0"),
        // Row 22: the same client, whichever way it is written.
        ("PROXY TCP6 ::ffff:192.0.2.66 :: 51000 25\r\n", CLIENT),
    ] {
        let whole = [line, "EHLO there.test\r\n"].concat();
        let origin = Origin::Client(client.parse().unwrap());
        assert_eq!(taken(whole.as_bytes()), (line.len(), Some(Ok(origin))), "{line:?}");
    }
}

#[test]
fn row28_lines_that_are_refused() {
    use Fault::{Malformed, NoClient, NotProxy, TooLong};
    let long = format!("PROXY TCP6 {} ::1 1 1\r\n", "0".repeat(100));
    for (line, fault) in [
        ("EHLO there.test\r\n", NotProxy),
        ("proxy TCP4 192.0.2.66 10.0.0.1 51000 25\r\n", NotProxy),
        ("PROXY UNKNOWN\r\n", NoClient),
        ("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", NoClient),
        ("PROXY TCP5 192.0.2.66 10.0.0.1 51000 25\r\n", Malformed),
        ("PROXY TCP4 2001:db8::66 2001:db8::1 51000 25\r\n", Malformed),
        ("PROXY TCP6 192.0.2.66 10.0.0.1 51000 25 25\r\n", Malformed),
        ("PROXY TCP4 192.0.2.66 10.0.0.1 51000 25 \r\n", Malformed),
        ("PROXY TCP4 192.0.2.66  10.0.0.1 51000 25\r\n", Malformed),
        ("PROXY TCP4 192.0.2.066 10.0.0.1 51000 25\r\n", Malformed),
        ("PROXY TCP4 192.0.2.66 10.0.0.1 051000 25\r\n", Malformed),
        ("PROXY TCP4 192.0.2.66 10.0.0.1 +51000 25\r\n", Malformed),
        ("PROXY TCP4 192.0.2.66 10.0.0.1 65536 25\r\n", Malformed),
        ("PROXY TCP4 192.0.2.66 10.0.0.256 51000 25\r\n", Malformed),
        ("PROXY TCP4 192.0.2.66 10.0.0.1 51000 25\n\n", Malformed),
        ("PROXY TCP4 192.0.2.66 10.0.0.1 51000 25\rX\r\n", Malformed),
        ("PROXY TCP4 0.0.0.0 10.0.0.1 51000 25\r\n", Malformed),
        ("PROXY TCP4 224.0.0.1 10.0.0.1 51000 25\r\n", Malformed),
        ("PROXY TCP4 192.0.2.66 10.0.0.1 51000 2\u{665}\r\n", Malformed),
        (long.as_str(), TooLong),
    ] {
        let (octets, said) = taken(line.as_bytes());
        assert_eq!(said, Some(Err(fault)), "{line:?}");
        assert!(octets <= LINE_OCTETS, "{line:?}");
    }
}

#[test]
fn row28_a_block_names_the_client_and_the_rest_is_skipped() {
    let ipv6 = [&Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x66).octets()[..], &[0; 16], &[0xC7, 0x38, 0, 25]];
    let with_more = [&addresses_v4()[..], &[0x03, 0, 4, 1, 2, 3, 4, 0xFF, 0xFF, 0xFF]].concat();
    for (block, origin) in [
        (version_2(0x21, 0x11, &addresses_v4()), Origin::Client(CLIENT.parse().unwrap())),
        (version_2(0x21, 0x11, &with_more), Origin::Client(CLIENT.parse().unwrap())),
        (version_2(0x21, 0x21, &ipv6.concat()), Origin::Client("[2001:db8::66]:51000".parse().unwrap())),
        (version_2(0x20, 0x00, &[]), Origin::Proxy),
        (version_2(0x20, 0x11, &addresses_v4()), Origin::Proxy),
        (version_2(0x20, 0xEE, &[7; 40]), Origin::Proxy),
    ] {
        let whole = [&block[..], b"EHLO there.test\r\n"].concat();
        assert_eq!(taken(&whole), (block.len(), Some(Ok(origin))), "{block:?}");
    }
}

#[test]
fn row28_blocks_that_are_refused() {
    use Fault::{Malformed, NoClient, TooLong};
    let nobody = [[0; 4], [10, 0, 0, 1], [1, 1, 0, 25]].concat();
    for (block, fault) in [
        (version_2(0x22, 0x11, &addresses_v4()), Malformed),
        (version_2(0x11, 0x11, &addresses_v4()), Malformed),
        (version_2(0x21, 0x13, &addresses_v4()), Malformed),
        (version_2(0x21, 0x41, &addresses_v4()), Malformed),
        (version_2(0x21, 0x11, &addresses_v4()[..11]), Malformed),
        (version_2(0x21, 0x21, &[1; 35]), Malformed),
        (version_2(0x21, 0x11, &nobody), Malformed),
        (version_2(0x21, 0x00, &[]), NoClient),
        (version_2(0x21, 0x12, &addresses_v4()), NoClient),
        (version_2(0x21, 0x31, &[0; 216]), NoClient),
        (version_2(0x21, 0x11, &[1; OCTETS]), TooLong),
        (version_2(0x20, 0x00, &[1; OCTETS]), TooLong),
    ] {
        assert_eq!(taken(&block).1, Some(Err(fault)), "{block:?}");
    }
}

#[test]
fn a_header_that_is_cut_off_waits_for_the_rest() {
    let line = b"PROXY TCP4 192.0.2.66 10.0.0.1 51000 25\r\n".to_vec();
    for whole in [line, version_2(0x21, 0x11, &addresses_v4())] {
        for cut in 0..whole.len() {
            assert_eq!(taken(&whole[..cut]).1, None, "{cut}");
        }
    }
}

/// Octets that are nearly a header.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let line = "PROXY (TCP4|TCP6|UNKNOWN|TCP) [0-9a-f:.]{1,20} [0-9a-f:.]{1,20} [0-9]{1,6} [0-9]{1,6}(\r\n|\n|\r)?";
    let tail = proptest::collection::vec(any::<u8>(), 0..80);
    let block = (any::<[u8; 4]>(), tail.clone()).prop_map(|(fixed, tail)| [&SIGNATURE[..], &fixed, &tail].concat());
    prop_oneof![line.prop_map(String::into_bytes), block, tail]
}

proptest! {
    #[test]
    fn reading_is_bounded_and_always_goes_on(octets in nearly()) {
        let (count, _) = taken(&octets);
        prop_assert!(count <= OCTETS);
        for end in 0..=octets.len() {
            if let Ok(Progress::More(more)) = read(&octets[..end]) {
                prop_assert!(more > 0 && end + more <= OCTETS);
            }
        }
    }

    #[test]
    fn what_was_written_is_read_and_nothing_behind_it(source: SocketAddr, own: SocketAddr, behind: Vec<u8>) {
        let source = SocketAddr::new(mail::canonical(source.ip()), source.port());
        let (family, own) = match (source.ip(), own.ip()) {
            (IpAddr::V4(_), _) => ("TCP4", "10.0.0.1".to_owned()),
            (IpAddr::V6(_), IpAddr::V6(own)) => ("TCP6", own.to_string()),
            (IpAddr::V6(_), IpAddr::V4(_)) => ("TCP6", "::".to_owned()),
        };
        let line = format!("PROXY {family} {} {own} {} 25\r\n", source.ip(), source.port());
        let whole = [line.as_bytes(), &behind].concat();
        let (count, said) = taken(&whole);
        prop_assert_eq!(count, line.len());
        match client_at(source.ip(), source.port()) {
            Ok(client) => prop_assert_eq!(said, Some(Ok(Origin::Client(client)))),
            Err(fault) => prop_assert_eq!(said, Some(Err(fault))),
        }
    }
}

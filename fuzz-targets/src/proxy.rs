//! The header of a proxy: exactly what is asked for is read, no more than is allowed, and whoever is
//! named could have opened a connection.

use smtp::proxy::{LINE_OCTETS, OCTETS, Origin, Progress, read};

pub(crate) fn run(octets: &[u8]) {
    let mut come = 0;
    loop {
        match read(&octets[..come]) {
            Ok(Progress::More(more)) => {
                assert!(more > 0 && come + more <= OCTETS);
                come += more;
                if come > octets.len() {
                    return;
                }
            }
            Ok(Progress::Done(origin)) => {
                if octets.starts_with(b"PROXY ") {
                    assert!(come <= LINE_OCTETS && octets[..come].ends_with(b"\r\n"));
                    assert!(matches!(origin, Origin::Client(_)), "a line is never of the proxy itself");
                }
                if let Origin::Client(client) = origin {
                    let address = client.ip();
                    assert!(!address.is_unspecified() && !address.is_multicast());
                    assert_eq!(address, mail::canonical(address));
                }
                return;
            }
            Err(_) => return,
        }
    }
}

//! Could everyone in the Internet relay through a virtual server?
//!
//! A client relays without having authenticated when anonymous clients may send, connection control
//! lets it through, and the relay list permits it. How many public addresses pass all three is
//! counted, so that it does not matter how the hole is spelt: all-except with nobody listed, only
//! with `0.0.0.0/0`, or with its two halves.

use crate::file::Mode;
use mail::{AddressSet, Net};

/// The addresses that a list, read by its mode, lets through. Domains are left out: who has a name is not known here.
fn let_through((mode, list): (Mode, &[Net])) -> AddressSet {
    let listed = AddressSet::of(list);
    match mode {
        Mode::Only => listed,
        Mode::AllExcept => listed.complement(),
    }
}

/// Whether so many strangers pass both lists that they are everyone.
pub(super) fn is_open(connection: (Mode, &[Net]), relay: (Mode, &[Net])) -> bool {
    let_through(connection).intersection(&let_through(relay)).intersection(&AddressSet::public()).is_many()
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
}

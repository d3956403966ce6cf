//! No two listeners may want the same address and port: the operating system would give it to one
//! of them, or refuse both, and which one is chance (D16, E13).

use super::Check;
use crate::file::{File, ListenText};
use crate::mistake::Mistake;
use crate::places::{below, entry};
use std::net::{IpAddr, SocketAddr};

/// One place to listen on.
struct Listener {
    address: SocketAddr,
    key: String,
    /// Who listens, in words.
    who: String,
}

/// Whether two sockets cannot both be bound. An IPv6 socket for all addresses takes IPv4 clients as
/// well, so it overlaps with everything on its port. Port 0 is chosen by the operating system.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    if a.port() != b.port() || a.port() == 0 {
        return false;
    }
    let (a, b) = (mail::canonical(a.ip()), mail::canonical(b.ip()));
    let takes = |all: IpAddr, one: IpAddr| all.is_unspecified() && (all.is_ipv6() || one.is_ipv4());
    a == b || takes(a, b) || takes(b, a)
}

impl Check<'_> {
    pub(super) fn listeners(&mut self, file: &File) {
        let mut all = Vec::new();
        for (name, server) in &file.virtual_server {
            let (key, who) = (below("virtual_server", name), format!("virtual server `{name}`"));
            collect(&mut all, &below(&key, "listen"), &who, &server.listen);
            collect(&mut all, &below(&key, "listen_tls"), &who, &server.listen_tls);
        }
        collect(&mut all, "metrics.listen", "metrics", &file.metrics.listen);
        // In the order of the file, so that the second of two is the mistake.
        all.sort_by_key(|one| self.places.value_of(&one.key).map(|place| place.span.start));
        for (index, second) in all.iter().enumerate() {
            for first in &all[..index] {
                if overlap(first.address, second.address) {
                    let mistake = self.taken(first, second);
                    self.mistakes.push(mistake);
                }
            }
        }
    }

    fn taken(&self, first: &Listener, second: &Listener) -> Mistake {
        let found = if first.who == second.who {
            format!("{} listens on {} twice", second.who, second.address)
        } else if first.address == second.address {
            format!("{} and {} both listen on {}", first.who, second.who, second.address)
        } else {
            format!("{} listens on {} and {} on {}", first.who, first.address, second.who, second.address)
        };
        let unspecified = [first, second].into_iter().find(|one| one.address.ip().is_unspecified());
        let mistake = Mistake::error(&second.key, self.places.value_of(&second.key), found)
            .related(self.places.value_of(&first.key), "this is the other");
        match unspecified {
            Some(one) if first.address != second.address => mistake
                .expected("only one can have it")
                .advice(format!("{} is every address of this machine; name the addresses instead", one.address.ip())),
            _ => mistake.expected("only one can have it"),
        }
    }
}

fn collect(all: &mut Vec<Listener>, key: &str, who: &str, list: &[ListenText]) {
    for (index, text) in list.iter().enumerate() {
        if let Ok(address) = text.0.parse() {
            all.push(Listener { address, key: entry(key, index), who: who.to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d16_e13_sockets_that_cannot_both_be_bound() {
        for (a, b, both) in [
            ("172.16.0.1:25", "172.16.0.1:25", true),
            ("172.16.0.1:25", "172.16.0.1:26", false),
            ("172.16.0.1:25", "10.0.0.1:25", false),
            ("0.0.0.0:25", "10.0.0.1:25", true),
            ("0.0.0.0:25", "[2001:db8::1]:25", false),
            ("[::]:25", "10.0.0.1:25", true),
            ("[::]:25", "0.0.0.0:25", true),
            ("[::]:25", "[2001:db8::1]:25", true),
            ("[::ffff:10.0.0.1]:25", "10.0.0.1:25", true),
            ("[::1]:25", "127.0.0.1:25", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            let (a, b) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!(overlap(a, b), both, "{a} {b}");
            assert_eq!(overlap(b, a), both, "{b} {a}");
        }
    }
}

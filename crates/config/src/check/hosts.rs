//! Smart hosts: the servers that take our mail.
//!
//! Brackets mean "this is an address, look nothing up" (reference 1.4). An address without them was
//! the classic mistake of old systems, which took it for a name; here it is taken for what it is, and
//! said.

use super::Check;
use crate::file::{File, Hosts};
use crate::mistake::Mistake;
use crate::places::{below, entry};
use mail::Domain;
use policy::{SmartHost, SmartHosts, Target};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// The port of a smart host that names none.
const SMTP_PORT: u16 = 25;

/// Why a text is not a smart host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HostError {
    Bracket,
    Address,
    NoAddress,
    Port,
    Several,
    Name,
}

impl HostError {
    fn why(self) -> &'static str {
        match self {
            HostError::Bracket => "has a bracket that is not closed, or something behind it that is not a port",
            HostError::Address => "has something in brackets that is not an IP address",
            HostError::NoAddress => "is not the address of one host",
            HostError::Port => "has a port that is not a number from 1 to 65535",
            HostError::Several => "names several hosts in one text",
            HostError::Name => "is neither an address in brackets nor a host name",
        }
    }
}

/// Reads a smart host. The second value is the spelling with brackets, if they were missing.
fn target(text: &str) -> Result<(Target, Option<String>), HostError> {
    if text.contains([';', ',', ' ']) {
        return Err(HostError::Several);
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, behind) = rest.split_once(']').ok_or(HostError::Bracket)?;
        let port = match behind.strip_prefix(':') {
            Some(port) => port_number(port)?,
            None if behind.is_empty() => SMTP_PORT,
            None => return Err(HostError::Bracket),
        };
        return Ok((literal(address_in_brackets(inside)?, port)?, None));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok((literal(address, SMTP_PORT)?, Some(format!("[{address}]"))));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        let spelling = format!("[{}]:{}", address.ip(), address.port());
        return Ok((literal(address.ip(), address.port())?, Some(spelling)));
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, port_number(port)?),
        None => (text, SMTP_PORT),
    };
    let name: Domain = name.parse().map_err(|_| HostError::Name)?;
    Ok((Target::Name(name, port), None))
}

/// `10.0.0.20`, `IPv6:2001:db8::20` as in mail, or `2001:db8::20` as elsewhere.
fn address_in_brackets(inside: &str) -> Result<IpAddr, HostError> {
    let tagged = inside.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("IPv6:"));
    let address = if tagged { inside[5..].parse::<Ipv6Addr>().map(IpAddr::V6).ok() } else { inside.parse().ok() };
    address.ok_or(HostError::Address)
}

fn literal(address: IpAddr, port: u16) -> Result<Target, HostError> {
    let address = mail::canonical(address);
    if address.is_unspecified() || address.is_multicast() {
        return Err(HostError::NoAddress);
    }
    if port == 0 {
        return Err(HostError::Port);
    }
    Ok(Target::Literal(SocketAddr::new(address, port)))
}

fn port_number(text: &str) -> Result<u16, HostError> {
    text.parse().ok().filter(|port| *port != 0).ok_or(HostError::Port)
}

impl Check<'_> {
    /// The smart hosts at `key`.
    pub(super) fn smart_hosts(&mut self, key: &str, hosts: &Hosts, spread: bool) -> Option<Arc<SmartHosts>> {
        let rule = self.rule(key);
        let targets = match hosts {
            Hosts::One(text) => vec![self.smart_host(key, text)?],
            Hosts::Several(list) => self.all(list, key, |check, key, text| check.smart_host(key, text))?,
        };
        if targets.is_empty() {
            self.bad(key, "is an empty list", "expected at least one host; without any, leave the key out", None);
            return None;
        }
        for (index, target) in targets.iter().enumerate() {
            if targets[..index].contains(target) {
                let key = entry(key, index);
                let mistake =
                    Mistake::warning(&key, self.places.value_of(&key), "this smart host is in the list twice");
                self.mistakes.push(mistake);
            }
        }
        let hosts = targets.into_iter().map(|host| SmartHost { host }).collect();
        Some(Arc::new(SmartHosts { rule, hosts, spread }))
    }

    fn smart_host(&mut self, key: &str, text: &str) -> Option<Target> {
        match target(text) {
            Ok((target, None)) => Some(target),
            Ok((target, Some(spelling))) => {
                let found = format!("the smart host `{text}` is an address without brackets");
                let mistake = Mistake::warning(key, self.places.value_of(key), found)
                    .expected("taken for an address, and not looked up")
                    .nearest(Some(format!("{spelling:?}")));
                self.mistakes.push(mistake);
                Some(target)
            }
            Err(error) => {
                let nearest = match error {
                    HostError::Several => Some(as_list(text)),
                    _ => None,
                };
                let expected = "expected \"[10.0.0.20]\", \"[IPv6:2001:db8::20]\" or \"relay.example.net\", with or without a port";
                self.bad(key, error.why(), expected, nearest);
                None
            }
        }
    }

    /// Mail that a virtual server would send to a socket of this very file.
    pub(super) fn smart_host_loops(&mut self, file: &File) {
        let mut listeners = Vec::new();
        for (name, server) in &file.virtual_server {
            for (word, list) in [("listen", &server.listen), ("listen_tls", &server.listen_tls)] {
                let key = below(&below("virtual_server", name), word);
                let parsed = list.iter().enumerate().map(|(index, text)| (text.0.parse().ok(), entry(&key, index)));
                listeners.extend(parsed.filter_map(|(address, key): (Option<SocketAddr>, _)| Some((address?, key))));
            }
        }
        for (key, hosts) in all_hosts(file) {
            let list = match hosts {
                Hosts::One(text) => vec![(key, text)],
                Hosts::Several(list) => {
                    list.iter().enumerate().map(|(index, text)| (entry(&key, index), text)).collect()
                }
            };
            for (key, text) in list {
                let Ok((Target::Literal(address), _)) = target(text) else { continue };
                let Some((_, listener)) = listeners.iter().find(|(own, _)| *own == address) else { continue };
                let mistake = Mistake::warning(
                    &key,
                    self.places.value_of(&key),
                    format!("the smart host `{text}` is this server itself"),
                )
                .expected("mail that is sent here comes back, until it has made too many hops")
                .related(self.places.value_of(listener), "this is where it listens");
                self.mistakes.push(mistake);
            }
        }
    }
}

/// Several hosts in one text, as the list that was meant.
fn as_list(text: &str) -> String {
    let parts = text.split([';', ',', ' ']).filter(|part| !part.is_empty());
    let spelt = parts.map(|part| match target(part) {
        Ok((_, Some(spelling))) => format!("{spelling:?}"),
        _ => format!("{part:?}"),
    });
    format!("[{}]", spelt.collect::<Vec<_>>().join(", "))
}

/// Every list of smart hosts in the file, with its key.
fn all_hosts(file: &File) -> Vec<(String, &Hosts)> {
    let organization = file.organization.route.as_ref().map(|hosts| ("organization.route".to_owned(), hosts));
    let remote = file
        .remote_domain
        .iter()
        .filter_map(|(name, remote)| Some((format!("{}.route", below("remote_domain", name)), remote.route.as_ref()?)));
    let servers = file.virtual_server.iter().filter_map(|(name, server)| {
        let key = format!("{}.delivery.smart_hosts", below("virtual_server", name));
        Some((key, server.delivery.smart_hosts.as_ref()?))
    });
    organization.into_iter().chain(remote).chain(servers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match target(text) {
            Ok((Target::Literal(address), None)) => format!("{address}"),
            Ok((Target::Literal(address), Some(meant))) => format!("{address}, better {meant}"),
            Ok((Target::Name(name, port), None)) => format!("{name} port {port}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn e06_e07_e08_smart_hosts_in_every_spelling() {
        for (text, means) in [
            ("[10.0.0.20]", "10.0.0.20:25"),
            ("[10.0.0.20]:2525", "10.0.0.20:2525"),
            ("[IPv6:2001:db8::1]", "[2001:db8::1]:25"),
            ("[ipv6:2001:db8::1]:26", "[2001:db8::1]:26"),
            ("[2001:db8::1]:25", "[2001:db8::1]:25"),
            ("[::ffff:10.0.0.20]", "10.0.0.20:25"),
            ("10.0.0.20", "10.0.0.20:25, better [10.0.0.20]"),
            ("10.0.0.20:2525", "10.0.0.20:2525, better [10.0.0.20]:2525"),
            ("2001:db8::1", "[2001:db8::1]:25, better [2001:db8::1]"),
            ("relay.example.net", "relay.example.net port 25"),
            ("Relay.Example.NET.:587", "relay.example.net port 587"),
            ("[10.0.0.20", "Err(Bracket)"),
            ("[10.0.0.20]x", "Err(Bracket)"),
            ("[10.0.0.20]:0", "Err(Port)"),
            ("[10.0.0.20]:65536", "Err(Port)"),
            ("[10.0.0.256]", "Err(Address)"),
            ("[relay.example.net]", "Err(Address)"),
            ("[IPv6:10.0.0.20]", "Err(Address)"),
            ("[0.0.0.0]", "Err(NoAddress)"),
            ("[10.0.0.20];[10.0.0.21]", "Err(Several)"),
            ("a.example;b.example", "Err(Several)"),
            ("relay.example.net:smtp", "Err(Port)"),
            ("relay_.-example", "Err(Name)"),
            ("", "Err(Name)"),
        ] {
            assert_eq!(read(text), means, "{text}");
        }
    }
}

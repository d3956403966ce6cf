//! Single values: each from its text, or with the mistake that says what was expected.

use super::Check;
use crate::file::{
    AddressText, ClientText, Count, DomainText, DurationText, ListenText, MailboxText, NetText, PathText, Size,
};
use crate::mistake::Mistake;
use crate::shape::last;
use crate::units::{self, UnitError};
use mail::{AddressError, Domain, Mailbox, Net, NetError};
use policy::Match;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

impl Check<'_> {
    /// Writes down that the value at `key` is not what it should be.
    pub(super) fn bad(&mut self, key: &str, why: impl std::fmt::Display, expected: &str, nearest: Option<String>) {
        let found = format!("`{}` {why}", last(key));
        let mistake = Mistake::error(key, self.places.value_of(key), found).expected(expected).nearest(nearest);
        self.mistakes.push(mistake);
    }

    pub(super) fn domain(&mut self, key: &str, text: &DomainText) -> Option<Domain> {
        self.domain_text(key, &text.0)
    }

    pub(super) fn domain_text(&mut self, key: &str, text: &str) -> Option<Domain> {
        match text.parse() {
            Ok(domain) => Some(domain),
            Err(error) => {
                let nearest = text.rsplit_once('@').map(|(_, domain)| domain).or(text.strip_prefix('.'));
                let nearest = nearest.filter(|near| near.parse::<Domain>().is_ok()).map(|near| format!("{near:?}"));
                let why = match error {
                    AddressError::TooLong => "is too long for a domain name",
                    _ => "is not a domain name",
                };
                self.bad(key, why, "expected letters, digits and hyphens, with dots between", nearest);
                None
            }
        }
    }

    /// A name that other servers will see.
    pub(super) fn host_name(&mut self, key: &str, text: &DomainText) -> Option<Domain> {
        let domain = self.domain(key, text)?;
        if domain.parent().is_none() {
            let mistake =
                Mistake::warning(key, self.places.value_of(key), format!("`{domain}` is a name without a dot"))
                    .expected("other servers may refuse mail from a host with such a name");
            self.mistakes.push(mistake);
        }
        Some(domain)
    }

    pub(super) fn mailbox(&mut self, key: &str, text: &MailboxText) -> Option<Mailbox> {
        match text.0.parse() {
            Ok(mailbox) => Some(mailbox),
            Err(_) => {
                let bare = text.0.trim().trim_start_matches('<').trim_end_matches('>');
                let nearest = bare.parse::<Mailbox>().ok().map(|near| format!("{:?}", near.to_string()));
                self.bad(key, "is not a mail address", "expected one address, such as \"alice@corp.example\"", nearest);
                None
            }
        }
    }

    pub(super) fn path(&mut self, key: &str, text: &PathText) -> Option<PathBuf> {
        if text.0.is_empty() {
            self.bad(key, "is empty", "expected a path", None);
            return None;
        }
        if text.0.contains('\0') {
            self.bad(key, "has a zero octet in it", "expected a path", None);
            return None;
        }
        Some(PathBuf::from(&text.0))
    }

    /// An address and port to listen on.
    pub(super) fn listen_address(&mut self, key: &str, text: &ListenText) -> Option<SocketAddr> {
        if let Ok(address) = text.0.parse::<SocketAddr>() {
            if !address.ip().is_multicast() {
                return Some(address);
            }
            self.bad(key, "is a multicast address", "expected an address of this machine", None);
            return None;
        }
        let (why, nearest) = if let Ok(address) = text.0.parse::<IpAddr>() {
            ("has no port", Some(SocketAddr::new(address, 25).to_string()))
        } else if let Some(port) = text.0.strip_prefix("*:").or(text.0.strip_prefix(':')) {
            ("does not say which address", port.parse::<u16>().ok().map(|port| format!("0.0.0.0:{port}")))
        } else if text.0.rsplit_once(':').is_some_and(|(host, port)| host.parse::<Domain>().is_ok() && is_port(port)) {
            ("is a name, and names are not looked up here", None)
        } else {
            ("is not an address and port", None)
        };
        let nearest = nearest.map(|near| format!("{near:?}"));
        self.bad(
            key,
            why,
            "expected an IP address and a port, such as \"192.0.2.1:25\" or \"[2001:db8::1]:25\"",
            nearest,
        );
        None
    }

    /// An address of this machine.
    pub(super) fn source_address(&mut self, key: &str, text: &AddressText) -> Option<IpAddr> {
        let bare = text.0.trim_start_matches('[').trim_end_matches(']');
        match text.0.parse::<IpAddr>() {
            Ok(address) if !address.is_unspecified() && !address.is_multicast() => Some(address),
            Ok(_) => {
                self.bad(key, "is no single address", "expected an address of this machine, or no such key", None);
                None
            }
            Err(_) => {
                let nearest = bare.parse::<IpAddr>().ok().map(|near| format!("\"{near}\""));
                self.bad(key, "is not an IP address", "expected an address of this machine, without a port", nearest);
                None
            }
        }
    }

    /// One entry of a list of clients.
    pub(super) fn client(&mut self, key: &str, text: &ClientText) -> Option<Match> {
        const EXPECTED: &str = "expected an address, a network such as \"10.0.0.0/8\", or a domain";
        let text = text.0.as_str();
        if let Some(net) = self.network(key, text)? {
            return Some(Match::Net(net));
        }
        match text.parse::<Domain>() {
            Ok(domain) => Some(Match::Domain(domain)),
            Err(_) => {
                let meant =
                    text.strip_prefix("*.").or(text.strip_prefix('.')).filter(|name| name.parse::<Domain>().is_ok());
                let inner = text.trim_start_matches('[').trim_end_matches(']');
                let nearest = meant.or(inner.parse::<IpAddr>().ok().map(|_| inner)).map(|near| format!("{near:?}"));
                let expected = if meant.is_some() { "a domain stands for every name below it, too" } else { EXPECTED };
                self.bad(key, "is neither an address nor a network nor a domain", expected, nearest);
                None
            }
        }
    }

    /// One entry of the list of proxies.
    pub(super) fn proxy(&mut self, key: &str, text: &NetText) -> Option<Net> {
        match self.network(key, &text.0)? {
            Some(net) if net.to_string().ends_with("/0") => {
                let expected = "expected the addresses of your own proxies: everybody in it may say who a client is";
                self.bad(key, "is every address", expected, None);
                None
            }
            Some(net) => Some(net),
            None => {
                let bare = text.0.trim_start_matches('[').trim_end_matches(']');
                let nearest = bare.parse::<IpAddr>().ok().map(|near| format!("\"{near}\""));
                let expected = "expected an address, or a network such as \"10.0.0.0/8\"; names are not looked up here";
                self.bad(key, "is neither an address nor a network", expected, nearest);
                None
            }
        }
    }

    /// An address or a network; the inner `None`: the text is something else.
    pub(super) fn network(&mut self, key: &str, text: &str) -> Option<Option<Net>> {
        match text.parse::<Net>() {
            Ok(_) if text.to_ascii_lowercase().starts_with("::ffff:") && text.contains('/') => {
                self.bad(key, "never matches", "expected IPv4 networks as such, without ::ffff:", None);
                None
            }
            Ok(net) => Some(Some(net)),
            Err(NetError::HostBits(meant)) => {
                let why = "has bits set behind its length";
                self.bad(key, why, "expected the first address of the network", Some(format!("\"{meant}\"")));
                None
            }
            Err(NetError::Syntax) => Some(None),
        }
    }

    pub(super) fn duration(
        &mut self,
        key: &str,
        text: &DurationText,
        bounds: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        match units::duration(&text.0) {
            Ok(span) if bounds.contains(&span) => Some(span),
            Ok(span) => {
                let way = if span < *bounds.start() { "short" } else { "long" };
                let (low, high) = (units::print_duration(*bounds.start()), units::print_duration(*bounds.end()));
                self.bad(key, format!("is too {way}: {}", text.0), &format!("expected from {low} to {high}"), None);
                None
            }
            Err(error) => {
                let nearest = match &error {
                    UnitError::UnknownUnit(meant) => meant.as_ref().map(|meant| format!("{meant:?}")),
                    UnitError::NoUnit => Some(format!("\"{} s\" or \"{} min\"", text.0, text.0)),
                    _ => None,
                };
                self.bad(key, error, "expected a whole number and s, min, h or d, such as \"15 min\"", nearest);
                None
            }
        }
    }

    pub(super) fn size(&mut self, key: &str, size: &Size, bounds: RangeInclusive<u64>) -> Option<u64> {
        self.size_or(key, size, bounds, "")
    }

    /// A size, or `unlimited`: the inner `None`.
    pub(super) fn size_limit(&mut self, key: &str, size: &Size, bounds: RangeInclusive<u64>) -> Option<Option<u64>> {
        match size {
            Size::Text(word) if word == Count::UNLIMITED => Some(None),
            _ => self.size_or(key, size, bounds, ", or \"unlimited\"").map(Some),
        }
    }

    fn size_or(&mut self, key: &str, size: &Size, bounds: RangeInclusive<u64>, or: &str) -> Option<u64> {
        let read = match size {
            Size::Octets(octets) => Ok(*octets),
            Size::Text(text) => units::size(text),
        };
        match read {
            Ok(octets) if bounds.contains(&octets) => Some(octets),
            Ok(octets) => {
                let way = if octets < *bounds.start() { "small" } else { "large" };
                let (low, high) = (units::print_size(*bounds.start()), units::print_size(*bounds.end()));
                let why = format!("is too {way}: {}", units::print_size(octets));
                self.bad(key, why, &format!("expected from {low} to {high}{or}"), None);
                None
            }
            Err(error) => {
                let nearest = match &error {
                    UnitError::UnknownUnit(meant) => meant.as_ref().map(|meant| format!("{meant:?}")),
                    _ => None,
                };
                let expected = format!("expected a whole number and B, KiB, MiB or GiB, such as \"25 MiB\"{or}");
                self.bad(key, error, &expected, nearest);
                None
            }
        }
    }

    /// A number, or `unlimited`: the inner `None`.
    pub(super) fn count(&mut self, key: &str, count: &Count) -> Option<Option<u32>> {
        match count {
            Count::AtMost(most) => Some(Some(*most)),
            Count::Text(word) if word == Count::UNLIMITED => Some(None),
            Count::Text(text) => {
                let nearest = text.parse::<u32>().ok().map(|number| number.to_string());
                self.bad(key, "is a text", "expected a number, or \"unlimited\"", nearest);
                None
            }
        }
    }
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

//! The servers of an LDAP directory: where they are, and whether they answered when last asked.

use crate::notice::{Happening, Teller};
use rustls::pki_types::ServerName;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// How long a server that did not answer is asked after all others.
const REST: Duration = Duration::from_secs(10);

/// How a link to a server is kept from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Privacy {
    /// TLS from the beginning.
    Tls,
    /// StartTLS before anything else.
    StartTls,
    /// It does not leave this host.
    Local,
}

/// A server.
#[derive(Debug)]
pub(super) struct Server {
    /// As the settings name it.
    pub(super) url: Box<str>,
    pub(super) host: Box<str>,
    pub(super) port: u16,
    /// Whom its certificate must name.
    pub(super) name: ServerName<'static>,
    pub(super) privacy: Privacy,
    /// Until when it rests, if it did not answer.
    rest: Mutex<Option<Instant>>,
}

impl Server {
    /// Reads `ldaps://host[:port]` or `ldap://host[:port]`.
    ///
    /// # Errors
    /// If it is neither, or if passwords would leave this host in the clear.
    pub(super) fn parse(url: &str, start_tls: bool) -> Result<Server, String> {
        let (scheme, place) =
            url.split_once("://").ok_or_else(|| format!("{url}: a server is ldaps://host or ldap://host"))?;
        let (privacy, usual) = match (scheme.to_ascii_lowercase().as_str(), start_tls) {
            ("ldaps", _) => (Privacy::Tls, 636),
            ("ldap", true) => (Privacy::StartTls, 389),
            ("ldap", false) => (Privacy::Local, 389),
            _ => return Err(format!("{url}: a server is ldaps://host or ldap://host")),
        };
        let (host, port) = split(place.strip_suffix('/').unwrap_or(place), usual)
            .ok_or_else(|| format!("{url}: that is not a host and a port"))?;
        if privacy == Privacy::Local && !is_here(host) {
            return Err(format!("{url}: passwords would be in the clear: use ldaps:// or StartTLS"));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("{url}: that is not a host"))?;
        Ok(Server { url: url.into(), host: host.into(), port, name, privacy, rest: Mutex::new(None) })
    }

    /// Whether it should be asked after others.
    pub(super) fn rests(&self, now: Instant) -> bool {
        self.rest.lock().is_ok_and(|rest| rest.is_some_and(|end| now < end))
    }

    /// It did not answer.
    pub(super) fn failed(&self, why: String, teller: &Teller) {
        let before = self.rest.lock().map(|mut rest| rest.replace(Instant::now() + REST));
        if before.is_ok_and(|before| before.is_none()) {
            teller.tell(Happening::Down { server: self.url.clone(), why });
        }
    }

    /// It answered.
    pub(super) fn answered(&self, teller: &Teller) {
        if self.rest.lock().is_ok_and(|mut rest| rest.take().is_some()) {
            teller.tell(Happening::Up { server: self.url.clone() });
        }
    }
}

/// `host`, `host:port`, `[2001:db8::1]:port`.
fn split(place: &str, usual: u16) -> Option<(&str, u16)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(usual), |port| port.parse().ok().filter(|port| *port != 0))?;
    (!host.is_empty()).then_some((host, port))
}

fn is_here(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{Privacy, Server};

    #[test]
    fn places_are_read() {
        let read = |url, start| Server::parse(url, start).map(|server| (server.host, server.port, server.privacy));
        assert_eq!(read("ldaps://dc1.corp.example", false), Ok(("dc1.corp.example".into(), 636, Privacy::Tls)));
        assert_eq!(read("ldaps://dc1.corp.example:3269/", true), Ok(("dc1.corp.example".into(), 3269, Privacy::Tls)));
        assert_eq!(read("LDAP://[::1]:1389", true), Ok(("::1".into(), 1389, Privacy::StartTls)));
        assert_eq!(read("ldap://127.0.0.1", false), Ok(("127.0.0.1".into(), 389, Privacy::Local)));
        assert_eq!(read("ldap://localhost", false), Ok(("localhost".into(), 389, Privacy::Local)));
    }

    #[test]
    fn passwords_do_not_leave_in_the_clear() {
        for url in ["ldap://dc1.corp.example", "ldap://192.0.2.1", "ldap://localhost.corp.example"] {
            assert!(Server::parse(url, false).unwrap_err().contains("in the clear"), "{url}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for url in ["dc1", "http://dc1", "ldaps://", "ldaps://a:0", "ldaps://a:x", "ldaps://[::1", "ldaps://a b"] {
            assert!(Server::parse(url, true).is_err(), "{url}");
        }
    }
}

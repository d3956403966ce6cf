//! XCLIENT and XFORWARD: what one server of the organization says about a client of its own
//! (Postfix XCLIENT_README, XFORWARD_README).
//!
//! The attributes are the same; what is believed differs. Values are xtext, bounded, and checked against
//! the grammar of what they are: none of them can carry a line end anywhere (conformance row 28).

use crate::envelope::xtext;
use mail::{Domain, Host};
use std::net::{IpAddr, Ipv6Addr};

/// Octets of one value; Postfix takes no more than 255 of any.
const VALUE_OCTETS: usize = 255;

/// One attribute that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim<T> {
    /// With a value.
    Is(T),
    /// `[UNAVAILABLE]`: there is none. `[TEMPUNAVAIL]`: it could not be found out.
    Unavailable,
}

impl<T> Claim<T> {
    /// The value, if there is one.
    #[must_use]
    pub fn value(&self) -> Option<&T> {
        match self {
            Claim::Is(value) => Some(value),
            Claim::Unavailable => None,
        }
    }
}

/// What was said about a client. `None`: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Its name.
    pub name: Option<Claim<Domain>>,
    /// Its address.
    pub address: Option<Claim<IpAddr>>,
    /// Its port.
    pub port: Option<Claim<u16>>,
    /// Whether it spoke ESMTP.
    pub extended: Option<Claim<bool>>,
    /// What it called itself.
    pub hello: Option<Claim<Host>>,
    /// The account it has authenticated as (XCLIENT).
    pub login: Option<Claim<Box<str>>>,
    /// The identifier of its message (XFORWARD).
    pub ident: Option<Claim<Box<str>>>,
    /// Whether its mail comes from outside (XFORWARD).
    pub remote: Option<Claim<bool>>,
}

/// Which of the two commands it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// The session goes on as that client's.
    Xclient,
    /// For the log.
    Xforward,
}

impl Verb {
    /// The attributes, as EHLO shows them.
    #[must_use]
    pub const fn keyword(self) -> &'static str {
        match self {
            Verb::Xclient => "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT",
            Verb::Xforward => "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE",
        }
    }
}

impl Claims {
    /// Reads the arguments of a command; `None` when they are not what they should be. No attribute
    /// may be given twice.
    #[must_use]
    pub fn parse(verb: Verb, arguments: &str) -> Option<Claims> {
        let mut claims = Claims::default();
        let mut given = 0;
        for argument in arguments.split(' ').filter(|argument| !argument.is_empty()) {
            let (name, value) = argument.split_once('=')?;
            claims.take(verb, name, value)?;
            given += 1;
        }
        (given > 0).then_some(claims)
    }

    fn take(&mut self, verb: Verb, name: &str, value: &str) -> Option<()> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let xclient = verb == Verb::Xclient;
        if is("NAME") {
            set(&mut self.name, value, |text| text.parse().ok())
        } else if is("ADDR") {
            set(&mut self.address, value, address)
        } else if is("PORT") {
            set(&mut self.port, value, |text| text.parse().ok())
        } else if is("PROTO") {
            set(&mut self.extended, value, protocol)
        } else if is("HELO") {
            set(&mut self.hello, value, |text| text.parse().ok())
        } else if is("LOGIN") && xclient {
            set(&mut self.login, value, word)
        } else if is("DESTADDR") && xclient {
            // Where the client has connected to changes nothing here.
            set(&mut None, value, address)
        } else if is("DESTPORT") && xclient {
            set(&mut None, value, |text| text.parse::<u16>().ok())
        } else if is("IDENT") && !xclient {
            set(&mut self.ident, value, word)
        } else if is("SOURCE") && !xclient {
            set(&mut self.remote, value, source)
        } else {
            None
        }
    }
}

fn set<T>(place: &mut Option<Claim<T>>, value: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<()> {
    if place.is_some() {
        return None;
    }
    let text = xtext(Some(value), VALUE_OCTETS, false).ok()?;
    *place = Some(match &*text {
        "[UNAVAILABLE]" | "[TEMPUNAVAIL]" => Claim::Unavailable,
        text => Claim::Is(read(text)?),
    });
    Some(())
}

fn address(text: &str) -> Option<IpAddr> {
    let tagged = text.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("IPV6:"));
    let address = if tagged { IpAddr::V6(text[5..].parse::<Ipv6Addr>().ok()?) } else { text.parse().ok()? };
    Some(mail::canonical(address))
}

fn protocol(text: &str) -> Option<bool> {
    match () {
        () if text.eq_ignore_ascii_case("SMTP") => Some(false),
        () if text.eq_ignore_ascii_case("ESMTP") => Some(true),
        () => None,
    }
}

fn source(text: &str) -> Option<bool> {
    match () {
        () if text.eq_ignore_ascii_case("REMOTE") => Some(true),
        () if text.eq_ignore_ascii_case("LOCAL") => Some(false),
        () => None,
    }
}

/// A name or identifier: not empty, nothing that does not print.
fn word(text: &str) -> Option<Box<str>> {
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_postfix_sends() {
        let claims = Claims::parse(
            Verb::Xclient,
            "NAME=spike.example ADDR=192.0.2.7 PORT=40001 PROTO=ESMTP HELO=spike.example LOGIN=u1 DESTADDR=10.0.0.1 DESTPORT=25",
        )
        .unwrap();
        assert_eq!(claims.address, Some(Claim::Is("192.0.2.7".parse().unwrap())));
        assert_eq!(claims.login, Some(Claim::Is("u1".into())));
        assert_eq!(claims.extended, Some(Claim::Is(true)));
        let claims =
            Claims::parse(Verb::Xclient, "name=[UNAVAILABLE] addr=IPV6:2001:db8::7 LOGIN=[UNAVAILABLE]").unwrap();
        assert_eq!(claims.name, Some(Claim::Unavailable));
        assert_eq!(claims.address, Some(Claim::Is("2001:db8::7".parse().unwrap())));
        let claims = Claims::parse(Verb::Xforward, "ADDR=192.0.2.7 IDENT=4F3+20x SOURCE=REMOTE").unwrap();
        assert_eq!((claims.ident, claims.remote), (Some(Claim::Is("4F3 x".into())), Some(Claim::Is(true))));
    }

    #[test]
    fn row28_what_is_no_claim() {
        for arguments in [
            "",
            " ",
            "ADDR",
            "ADDR=",
            "ADDR=999.0.0.1",
            "ADDR=192.0.2.7 ADDR=192.0.2.8",
            "PORT=65536",
            "PROTO=HTTP",
            "NAME=a+0D+0Ab",
            "LOGIN=a+0Ab",
            "LOGIN=a+00",
            "LOGIN=",
            "HELO=two+20words",
            "IDENT=1",
            "SOURCE=LOCAL",
            "COLOUR=red",
        ] {
            assert_eq!(Claims::parse(Verb::Xclient, arguments), None, "{arguments}");
        }
        assert_eq!(Claims::parse(Verb::Xforward, "LOGIN=u1"), None);
        let long = format!("LOGIN={}", "x".repeat(300));
        assert_eq!(Claims::parse(Verb::Xclient, &long), None);
    }
}

//! The messages of LDAP (RFC 4511 §4) that this product says and hears: bind, search, StartTLS.
//!
//! Requests are octets; what is heard is read strictly, and what is not understood is [`Malformed`].
//! Referrals are recognised and never followed: whoever answers is a server that the settings name.

use super::ber::{BOOLEAN, ENUMERATED, INTEGER, Malformed, OCTETS, Reader, SEQUENCE, SET, element, integer};
use super::filter::Filter;
use identity::Secret;

/// StartTLS (RFC 4511 §4.14.1).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
/// Octets of a diagnostic message that are kept.
const DIAGNOSTIC_OCTETS: usize = 300;
/// Attributes and values of one entry: many small ones would take much more memory than octets.
const VALUES: usize = 5000;

/// A search.
#[derive(Clone, Debug)]
pub(super) struct Search<'a> {
    /// Where it begins.
    pub(super) base: &'a str,
    /// The entry there, or all below it.
    pub(super) scope: Scope,
    /// What is searched for.
    pub(super) filter: &'a Filter,
    /// What stands in the places of the filter.
    pub(super) value: &'a [u8],
    /// The attributes that are wanted.
    pub(super) attributes: &'a [&'a str],
    /// How many entries are wanted at the most.
    pub(super) entries: u32,
}

/// How far a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The entry itself.
    Base,
    /// All below it.
    Subtree,
}

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    /// The end of a bind.
    Bound(Outcome),
    /// One entry that was found.
    Entry(Entry),
    /// There is more elsewhere.
    Reference,
    /// The end of a search.
    Done(Outcome),
    /// The end of an extended operation.
    Extended(Outcome),
}

/// The end of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The result code (RFC 4511 §4.1.9).
    pub(crate) code: u32,
    /// What the server says about it, for people; cut short, no control characters.
    pub(crate) diagnostic: Box<str>,
}

/// An entry of the directory, or what was wanted of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its distinguished name.
    pub(crate) dn: String,
    /// Its attributes, names in lower case.
    pub(crate) attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Entry {
    /// The values of an attribute, whose name is given in lower case.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.attributes.iter().filter(move |(found, _)| found == name).flat_map(|(_, values)| values).map(Vec::as_slice)
    }

    /// The values of an attribute that are text.
    pub(crate) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values(name).filter_map(|value| str::from_utf8(value).ok())
    }
}

fn envelope(id: u32, operation: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[&integer(INTEGER, id), operation])
}

/// A simple bind (RFC 4511 §4.2). The whole request is a secret, because the password is in it.
pub(super) fn bind(id: u32, dn: &str, password: &Secret) -> Secret {
    let inside = element(0x80, &[password.expose()]);
    let operation = Secret::new(element(0x60, &[&integer(INTEGER, 3), &element(OCTETS, &[dn.as_bytes()]), &inside]));
    drop(Secret::new(inside));
    Secret::new(envelope(id, operation.expose()))
}

/// The end of a connection (RFC 4511 §4.3).
pub(super) fn unbind(id: u32) -> Vec<u8> {
    envelope(id, &element(0x42, &[]))
}

/// The request to go on under TLS (RFC 4511 §4.14).
pub(super) fn start_tls(id: u32) -> Vec<u8> {
    envelope(id, &element(0x77, &[&element(0x80, &[START_TLS])]))
}

/// A search (RFC 4511 §4.5.1) that the server is to give up after so many seconds.
pub(super) fn search(id: u32, search: &Search<'_>, seconds: u32) -> Vec<u8> {
    let scope = match search.scope {
        Scope::Base => 0,
        Scope::Subtree => 2,
    };
    let attributes: Vec<u8> = search.attributes.iter().flat_map(|name| element(OCTETS, &[name.as_bytes()])).collect();
    let operation = element(
        0x63,
        &[
            &element(OCTETS, &[search.base.as_bytes()]),
            &integer(ENUMERATED, scope),
            &integer(ENUMERATED, 0), // aliases are not followed
            &integer(INTEGER, search.entries),
            &integer(INTEGER, seconds),
            &element(BOOLEAN, &[&[0]]),
            &search.filter.encode(search.value),
            &element(SEQUENCE, &[&attributes]),
        ],
    );
    envelope(id, &operation)
}

/// Reads one whole message: its number, and what it says.
///
/// # Errors
/// If it is not a message of LDAP, or not one that answers a request of ours.
pub(crate) fn read(octets: &[u8]) -> Result<(u32, Response), Malformed> {
    let mut outside = Reader(octets);
    let mut message = Reader(outside.take(SEQUENCE)?);
    let id = message.number(INTEGER)?;
    let (tag, inside) = message.next()?.ok_or(Malformed)?;
    // Behind it there may be controls, which we never ask for.
    let response = match tag {
        0x61 => Response::Bound(outcome(inside)?),
        0x64 => Response::Entry(entry(inside)?),
        0x65 => Response::Done(outcome(inside)?),
        0x73 => Response::Reference,
        0x78 => Response::Extended(outcome(inside)?),
        _ => return Err(Malformed),
    };
    Ok((id, response))
}

fn outcome(octets: &[u8]) -> Result<Outcome, Malformed> {
    let mut reader = Reader(octets);
    let code = reader.number(ENUMERATED)?;
    reader.take(OCTETS)?;
    let diagnostic = reader.take(OCTETS)?;
    let text = String::from_utf8_lossy(&diagnostic[..diagnostic.len().min(DIAGNOSTIC_OCTETS)]);
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    Ok(Outcome { code, diagnostic: text.trim().into() })
}

fn entry(octets: &[u8]) -> Result<Entry, Malformed> {
    let mut reader = Reader(octets);
    let dn = String::from_utf8(reader.take(OCTETS)?.to_vec()).map_err(|_| Malformed)?;
    let mut list = Reader(reader.take(SEQUENCE)?);
    let (mut attributes, mut room) = (Vec::new(), VALUES);
    while let Some((tag, attribute)) = list.next()? {
        if tag != SEQUENCE {
            return Err(Malformed);
        }
        let mut attribute = Reader(attribute);
        let name = str::from_utf8(attribute.take(OCTETS)?).map_err(|_| Malformed)?.to_ascii_lowercase();
        let mut set = Reader(attribute.take(SET)?);
        let mut values = Vec::new();
        while let Some((tag, value)) = set.next()? {
            if tag != OCTETS {
                return Err(Malformed);
            }
            room = room.checked_sub(1).ok_or(Malformed)?;
            values.push(value.to_vec());
        }
        room = room.checked_sub(1).ok_or(Malformed)?;
        attributes.push((name, values));
    }
    Ok(Entry { dn, attributes })
}

#[cfg(test)]
mod tests {
    use super::{Entry, Response, read};
    use crate::ldap::ber::{ENUMERATED, INTEGER, Malformed, OCTETS, SEQUENCE, SET, element, integer};
    use proptest::prelude::*;

    fn text(value: &str) -> Vec<u8> {
        element(OCTETS, &[value.as_bytes()])
    }

    fn message(operation: &[u8]) -> Vec<u8> {
        element(SEQUENCE, &[&integer(INTEGER, 7), operation])
    }

    #[test]
    fn entries_are_read() {
        let values = element(SET, &[&text("a"), &text("b")]);
        let attribute = element(SEQUENCE, &[&text("Mail"), &values]);
        let octets = message(&element(0x64, &[&text("uid=a"), &element(SEQUENCE, &[&attribute])]));
        let attributes = vec![("mail".to_owned(), vec![b"a".to_vec(), b"b".to_vec()])];
        assert_eq!(read(&octets), Ok((7, Response::Entry(Entry { dn: "uid=a".into(), attributes }))));
        for end in 0..octets.len() {
            assert_eq!(read(&octets[..end]), Err(Malformed));
        }
    }

    #[test]
    fn diagnostics_are_short_and_harmless() {
        let long = format!("80090308:\r\n\u{1b}{}", "x".repeat(5000));
        let octets = message(&element(0x61, &[&integer(ENUMERATED, 49), &text(""), &text(&long)]));
        let Ok((7, Response::Bound(outcome))) = read(&octets) else { panic!("no outcome") };
        assert!(outcome.code == 49 && outcome.diagnostic.len() <= 300);
        assert!(!outcome.diagnostic.contains(char::is_control));
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..80), tag: u8) {
            let _ = read(&octets);
            let _ = read(&message(&element(tag, &[&octets])));
            let _ = read(&message(&element(0x64, &[&text("dn"), &element(SEQUENCE, &[&octets])])));
        }
    }
}

//! What the fuzzer needs to see of LDAP. Only with the feature `fuzzing`, which no program has.

use super::dn::{self, Template};
use super::filter::Filter;
use super::message::{self, Entry, Outcome, Response, Scope, Search};
use super::person::{self, Standing};
use super::{ber, is_askable};
use identity::Secret;
use identity::settings::Schema;
use mail::{Account, Timestamp};

/// What a server has said.
#[derive(Clone, Debug)]
pub enum Heard {
    /// One entry.
    Found(Found),
    /// There is more elsewhere.
    Reference,
    /// The end of an operation: its code, and what is kept of its diagnostic message.
    End(u32, Box<str>),
}

/// An entry, as it was read.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its distinguished name.
    pub dn: String,
    /// Its attributes.
    pub attributes: Vec<(String, Vec<Vec<u8>>)>,
}

/// What an entry means.
#[derive(Clone, Debug)]
pub struct Meant {
    /// The account.
    pub account: Account,
    /// Whether it may log in.
    pub is_good: bool,
    /// Whether it may not, whatever the server thinks of its password.
    pub is_closed: bool,
}

/// Reads one message: its number, and what it says.
#[must_use]
pub fn hear(octets: &[u8]) -> Option<(u32, Heard)> {
    let (id, response) = message::read(octets).ok()?;
    let end = |Outcome { code, diagnostic }| Heard::End(code, diagnostic);
    let heard = match response {
        Response::Entry(Entry { dn, attributes }) => Heard::Found(Found { dn, attributes }),
        Response::Reference => Heard::Reference,
        Response::Bound(outcome) | Response::Done(outcome) | Response::Extended(outcome) => end(outcome),
    };
    Some((id, heard))
}

/// How long the first message of `octets` is, if that can be said and is no more than `limit`.
#[must_use]
pub fn extent(octets: &[u8], limit: usize) -> Option<usize> {
    ber::extent(octets, limit).ok().flatten()
}

/// The account of an entry.
#[must_use]
pub fn meant(schema: Schema, found: &Found, now: Timestamp) -> Option<Meant> {
    let person = person::person(schema, &entry(found), now)?;
    let (is_good, is_closed) = (person.standing == Standing::Good, person.standing == Standing::Closed);
    Some(Meant { account: person.account, is_good, is_closed })
}

/// What an entry is called that is a group.
#[must_use]
pub fn group(schema: Schema, found: &Found) -> Option<Box<str>> {
    person::group_name(schema, &entry(found))
}

fn entry(found: &Found) -> Entry {
    Entry { dn: found.dn.clone(), attributes: found.attributes.clone() }
}

/// Whether a directory is asked about this name at all.
#[must_use]
pub fn askable(name: &str) -> bool {
    is_askable(name)
}

/// A filter of the settings with a value in its places `%u`, as it goes into a request.
///
/// # Errors
/// What is wrong with the filter.
pub fn filter(text: &str, value: &[u8]) -> Result<Vec<u8>, &'static str> {
    Ok(Filter::parse(text, b'u')?.encode(value))
}

/// A search below `base` with such a filter.
///
/// # Errors
/// What is wrong with the filter.
pub fn search(id: u32, base: &str, text: &str, value: &[u8]) -> Result<Vec<u8>, &'static str> {
    let filter = Filter::parse(text, b'u')?;
    let attributes = &["uid", "mail"];
    let search = Search { base, scope: Scope::Subtree, filter: &filter, value, attributes, entries: 2 };
    Ok(message::search(id, &search, 5))
}

/// A bind.
#[must_use]
pub fn bind(id: u32, dn: &str, password: &[u8]) -> Vec<u8> {
    message::bind(id, dn, &Secret::from(password)).expose().to_vec()
}

/// A template of the settings with a name in its places `%u`.
///
/// # Errors
/// What is wrong with the template.
pub fn fill(template: &str, name: &str) -> Result<String, &'static str> {
    Ok(Template::parse(template)?.fill(name))
}

/// A value as it stands in a DN.
#[must_use]
pub fn escape(value: &str) -> String {
    dn::escape(value)
}

/// The parts of a DN.
#[must_use]
pub fn parts(dn: &str) -> Option<Vec<(String, String)>> {
    dn::parts(dn)
}

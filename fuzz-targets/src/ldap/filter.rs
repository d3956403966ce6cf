//! Filters of the settings with what a client has said in their places: they are read back from the
//! request as they were, and what the client has said never changes what is asked.

use super::element::{elements, only};
use crate::input::Input;
use directory::fuzzing::ldap;
use std::fmt::Write as _;

/// Octets of the text of a filter.
const TEXT_OCTETS: usize = 4096;
/// How deep a filter may nest, and what is inside a comparison.
const DEPTH: usize = 20;

pub(super) fn run(mut input: Input<'_>) {
    let value = input.counted();
    let text = String::from_utf8_lossy(input.0).into_owned();
    let Ok(filter) = ldap::filter(&text, value) else { return };
    let other = ldap::filter(&text, b"x").expect("a filter is good for every value");
    assert_eq!(shape(&filter, DEPTH), shape(&other, DEPTH), "{text:?} is another filter with {value:?}");

    // An empty substring cannot be written as text; nobody has an empty name.
    let filter = if value.is_empty() { other } else { filter };
    let written = written(&filter);
    if written.len() <= TEXT_OCTETS {
        assert_eq!(ldap::filter(&written, b"y").as_deref(), Ok(&filter[..]), "{text:?} is written {written:?}");
    }
    let request = ldap::search(300, "dc=x", &text, value).expect("a good filter");
    let operation = elements(only(0x30, &request)).expect("a request is elements");
    assert!(operation[0] == (0x02, &b"\x01\x2c"[..]) && operation[1].0 == 0x63 && operation.len() == 2);
    let search = elements(operation[1].1).expect("a search is elements");
    assert!(search.len() == 8 && search[0] == (0x04, &b"dc=x"[..]) && search[1] == (0x0a, &b"\x02"[..]));
}

/// The tags of a filter, and nothing of what is compared.
fn shape(octets: &[u8], depth: usize) -> String {
    let depth = depth.checked_sub(1).expect("a filter is not so deep");
    let mut shape = String::new();
    for (tag, inside) in elements(octets).expect("a filter is elements") {
        let inside = if tag & 0x20 == 0 { String::new() } else { self::shape(inside, depth) };
        write!(shape, "{tag:02x}({inside})").unwrap();
    }
    shape
}

/// A filter as text (RFC 4515), each octet of a value in hexadecimal.
fn written(octets: &[u8]) -> String {
    elements(octets).expect("a filter is elements").into_iter().map(|(tag, inside)| item(tag, inside)).collect()
}

fn item(tag: u8, inside: &[u8]) -> String {
    let comparison = match tag {
        0xa0 => return format!("(&{})", written(inside)),
        0xa1 => return format!("(|{})", written(inside)),
        0xa2 => return format!("(!{})", written(inside)),
        0x87 => return format!("({}=*)", name(inside)),
        0xa4 => return substrings(inside),
        0xa9 => return rule(inside),
        0xa3 => "=",
        0xa5 => ">=",
        0xa6 => "<=",
        0xa8 => "~=",
        other => panic!("no filter has the tag {other:02x}"),
    };
    let parts = elements(inside).expect("a comparison is elements");
    let [(0x04, attribute), (0x04, value)] = parts[..] else { panic!("{parts:?}") };
    format!("({}{comparison}{})", name(attribute), hex(value))
}

fn substrings(inside: &[u8]) -> String {
    let outer = elements(inside).expect("a comparison is elements");
    let [(0x04, attribute), (0x30, parts)] = outer[..] else { panic!("{outer:?}") };
    let parts = elements(parts).expect("substrings are elements");
    let begins = parts.first().is_some_and(|(tag, _)| *tag == 0x80);
    let ends = parts.last().is_some_and(|(tag, _)| *tag == 0x82);
    let texts: Vec<String> = parts.iter().map(|(_, text)| hex(text)).collect();
    let star = |stands: bool| if stands { "*" } else { "" };
    // One that is both the beginning and the end would be no substring.
    format!("({}={}{}{})", name(attribute), star(!begins), texts.join("*"), star(!ends))
}

fn rule(inside: &[u8]) -> String {
    let mut text = String::from("(");
    let parts = elements(inside).expect("a rule is elements");
    let part = |wanted| parts.iter().find(|(tag, _)| *tag == wanted).map(|(_, inside)| *inside);
    text.extend(part(0x82).map(name));
    text.push_str(if part(0x84).is_some() { ":dn" } else { "" });
    text.extend(part(0x81).map(|rule| format!(":{}", name(rule))));
    write!(text, ":={})", hex(part(0x83).expect("a value"))).unwrap();
    text
}

fn name(octets: &[u8]) -> &str {
    str::from_utf8(octets).expect("a name is ASCII")
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "\\{octet:02x}").unwrap();
        text
    })
}

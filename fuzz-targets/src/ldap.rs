//! LDAP: messages of servers are read within bounds, requests say what they were asked to say, whatever a
//! client calls itself, and an entry is never an account that it does not hold.

pub(crate) mod element;
mod entry;
mod filter;

use crate::input::{Input, has_control};
use directory::fuzzing::ldap::{self, Heard};
use element::{elements, only, write};

/// Attributes and values of one entry, as `docs/manual/directories.md` says.
const VALUES: usize = 5000;

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input(octets);
    match input.octet() % 4 {
        0 => message(input.0),
        1 => entry::run(input),
        2 => filter::run(input),
        _ => name(input),
    }
}

/// Any octets, as a whole message and as what stands in one.
fn message(octets: &[u8]) {
    hear(octets);
    let operation = octets.split_first().map_or_else(Vec::new, |(tag, rest)| write(*tag, rest, 0));
    hear(&write(0x30, &[b"\x02\x01\x07", &operation[..]].concat(), 0));
    hear(&write(0x30, &[b"\x02\x01\x07", &write(0x64, octets, 1)[..]].concat(), 2));
}

fn hear(octets: &[u8]) {
    let heard = ldap::hear(octets);
    let Some((_, heard)) = heard else { return };
    let whole = ldap::extent(octets, octets.len()).expect("what is read has an end");
    // Half a message is none, and what follows a message is no part of it.
    assert!((0..whole).rev().take(16).all(|end| ldap::hear(&octets[..end]).is_none()));
    assert!(ldap::extent(octets, whole - 1).is_none());
    match heard {
        Heard::Found(found) => {
            let values = found.attributes.iter().map(|(_, values)| values.len() + 1).sum::<usize>();
            assert!(values <= VALUES, "{values} attributes and values");
            let names = found.attributes.iter().map(|(name, values)| name.len() + values.concat().len());
            assert!(found.dn.len() + names.sum::<usize>() <= whole);
            entry::check(&found);
        }
        Heard::End(_, diagnostic) => assert!(diagnostic.len() <= 900 && !has_control(&diagnostic)),
        Heard::Reference => {}
    }
}

/// What stands in a DN is itself and nothing else.
fn name(mut input: Input<'_>) {
    let template = String::from_utf8_lossy(input.counted()).into_owned();
    let name = String::from_utf8_lossy(input.counted()).into_owned();
    let alone = format!("cn={}", ldap::escape(&name));
    assert_eq!(ldap::parts(&alone), Some(vec![("cn".to_owned(), name.clone())]), "{alone}");
    let bind = ldap::bind(3, &alone, input.0);
    let inside = only(0x30, &bind);
    let operation = elements(inside).expect("a request is elements");
    let bind = elements(operation[1].1).expect("a bind is elements");
    assert!(operation[0] == (0x02, &b"\x03"[..]) && operation[1].0 == 0x60 && bind[0] == (0x02, &b"\x03"[..]));
    assert!(bind[1] == (0x04, alone.as_bytes()) && bind[2] == (0x80, input.0) && bind.len() == 3);

    if let Some(parts) = ldap::parts(&template) {
        let again: Vec<String> = parts.iter().map(|(name, value)| format!("{name}={}", ldap::escape(value))).collect();
        assert_eq!(ldap::parts(&again.join(",")), Some(parts), "{again:?}");
    }
    let Ok(filled) = ldap::fill(&template, &name) else { return };
    // A name that nobody has, to see where it stands.
    let marked = ldap::fill(&template, "\u{1}").expect("a template is good for every name");
    let (Some(marked), true) = (ldap::parts(&marked), ldap::askable(&name)) else { return };
    if template.contains('\u{1}') || template.contains("01") {
        return;
    }
    let expected: Vec<_> = marked.into_iter().map(|(kind, value)| (kind, value.replace('\u{1}', &name))).collect();
    assert_eq!(ldap::parts(&filled), Some(expected), "{template:?} with {name:?}");
}

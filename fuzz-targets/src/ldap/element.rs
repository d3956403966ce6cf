//! A second writer and reader of the Basic Encoding Rules, to compare with.

/// An element; `form` chooses how its length is written, of the three ways that are allowed.
pub(crate) fn write(tag: u8, inside: &[u8], form: u8) -> Vec<u8> {
    let length = u32::try_from(inside.len()).unwrap().to_be_bytes();
    let length = match (form % 3, inside.len()) {
        (0, 0..0x80) => vec![length[3]],
        (0 | 1, 0..0x1_0000) => vec![0x82, length[2], length[3]],
        _ => [&[0x84], &length[..]].concat(),
    };
    [&[tag], &length[..], inside].concat()
}

/// The elements that octets are, one after the other; `None` if they are not.
pub(crate) fn elements(mut octets: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut found = Vec::new();
    while let [tag, first, rest @ ..] = octets {
        let count = if *first < 0x80 { 0 } else { usize::from(first & 0x7f) };
        let (digits, rest) = rest.split_at_checked(count)?;
        let digits = if count == 0 { std::slice::from_ref(first) } else { digits };
        let length = digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit));
        let (inside, rest) = rest.split_at_checked(length)?;
        found.push((*tag, inside));
        octets = rest;
    }
    octets.is_empty().then_some(found)
}

/// What is inside the one element that octets are.
pub(crate) fn only(tag: u8, octets: &[u8]) -> &[u8] {
    let found = elements(octets).expect("a request is an element");
    assert!(found.len() == 1 && found[0].0 == tag, "{found:?}");
    found[0].1
}

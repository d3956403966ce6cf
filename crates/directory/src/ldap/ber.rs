//! The part of the Basic Encoding Rules that LDAP uses (RFC 4511 §5.1): tags of one octet, definite
//! lengths. Reading never looks further than it was given octets, and calls nothing for a nested
//! element until somebody asks for it, so how deep a stranger nests does not matter.

/// SEQUENCE.
pub(super) const SEQUENCE: u8 = 0x30;
/// INTEGER.
pub(super) const INTEGER: u8 = 0x02;
/// BOOLEAN.
pub(super) const BOOLEAN: u8 = 0x01;
/// OCTET STRING.
pub(super) const OCTETS: u8 = 0x04;
/// ENUMERATED.
pub(super) const ENUMERATED: u8 = 0x0a;
/// SET.
pub(super) const SET: u8 = 0x31;

/// What was received does not follow the rules, or is larger than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Writes an element with this tag around `parts`.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut octets = Vec::with_capacity(length + 6);
    octets.push(tag);
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => octets.push(short),
        _ => {
            // Four octets of length always do: nothing here is made of more than a request's bound.
            octets.push(0x84);
            octets.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    for part in parts {
        octets.extend_from_slice(part);
    }
    octets
}

/// An integer that is not negative, in as few octets as it needs.
pub(super) fn integer(tag: u8, value: u32) -> Vec<u8> {
    let octets = value.to_be_bytes();
    let leading = octets.iter().take(3).take_while(|octet| **octet == 0).count();
    let kept = &octets[leading..];
    let sign: &[u8] = if kept[0] & 0x80 == 0 { &[] } else { &[0] };
    element(tag, &[sign, kept])
}

/// How long the first element of `octets` is with its tag and length; `None` until that can be said.
///
/// # Errors
/// If that is more than `limit`, or not in the form that LDAP allows.
pub(super) fn extent(octets: &[u8], limit: usize) -> Result<Option<usize>, Malformed> {
    let (Some(&tag), Some(&first)) = (octets.first(), octets.get(1)) else { return Ok(None) };
    if tag & 0x1f == 0x1f {
        return Err(Malformed);
    }
    let (start, length) = if first < 0x80 {
        (2, usize::from(first))
    } else {
        let count = usize::from(first & 0x7f);
        if !(1..=4).contains(&count) {
            return Err(Malformed);
        }
        let Some(digits) = octets.get(2..2 + count) else { return Ok(None) };
        (2 + count, digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)))
    };
    let whole = start + length;
    if whole > limit { Err(Malformed) } else { Ok(Some(whole)) }
}

/// Elements, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next element: its tag and what is inside; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, Malformed> {
        let Some(&tag) = self.0.first() else { return Ok(None) };
        let whole = extent(self.0, self.0.len())?.ok_or(Malformed)?;
        let (element, rest) = self.0.split_at_checked(whole).ok_or(Malformed)?;
        self.0 = rest;
        let start = if element[1] < 0x80 { 2 } else { 2 + usize::from(element[1] & 0x7f) };
        Ok(Some((tag, &element[start..])))
    }

    /// What is inside the next element, which must have this tag.
    pub(super) fn take(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        match self.next()? {
            Some((found, inside)) if found == tag => Ok(inside),
            _ => Err(Malformed),
        }
    }

    /// The next element, which must be an integer with this tag that is not negative and fits.
    pub(super) fn number(&mut self, tag: u8) -> Result<u32, Malformed> {
        let octets = self.take(tag)?;
        if octets.is_empty() || octets.len() > 5 || octets[0] & 0x80 != 0 {
            return Err(Malformed);
        }
        let value = octets.iter().fold(0u64, |sum, octet| sum << 8 | u64::from(*octet));
        u32::try_from(value).map_err(|_| Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::{INTEGER, Malformed, OCTETS, Reader, SEQUENCE, element, extent, integer};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(octets in proptest::collection::vec(any::<u8>(), 0..400), number: u32) {
            let written = element(SEQUENCE, &[&integer(INTEGER, number), &element(OCTETS, &[&octets])]);
            prop_assert_eq!(extent(&written, 1000), Ok(Some(written.len())));
            for end in 0..written.len() {
                prop_assert!(extent(&written[..end], 1000).is_ok());
                prop_assert!(Reader(&written[..end]).take(SEQUENCE).is_err());
            }
            let mut inside = Reader(Reader(&written).take(SEQUENCE).unwrap());
            prop_assert_eq!(inside.number(INTEGER), Ok(number));
            prop_assert_eq!(inside.take(OCTETS), Ok(&octets[..]));
            prop_assert_eq!(inside.next(), Ok(None));
        }

        #[test]
        fn anything_is_read_to_its_end_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader(&octets);
            while let Ok(Some((_, inside))) = reader.next() {
                prop_assert!(inside.len() < octets.len());
            }
        }
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        assert_eq!(extent(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], 1 << 20), Err(Malformed));
        assert_eq!(extent(&[0x30, 0x80], 1 << 20), Err(Malformed), "indefinite");
        assert_eq!(extent(&[0x30, 0x85, 0, 0, 0, 0, 1], 1 << 20), Err(Malformed));
        assert_eq!(extent(&[0x3f, 0x81, 1], 1 << 20), Err(Malformed), "a tag of several octets");
        assert_eq!(Reader(&[0x30, 5, 1]).next(), Err(Malformed));
        assert_eq!(Reader(&[0x02, 1, 0xff]).number(INTEGER), Err(Malformed), "negative");
        assert_eq!(Reader(&[0x02, 0]).number(INTEGER), Err(Malformed));
    }
}

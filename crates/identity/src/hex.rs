//! Octets in hexadecimal.

/// In lower case.
pub(crate) fn written(octets: &[u8]) -> String {
    let digits = octets.iter().flat_map(|octet| [octet >> 4, octet & 15]);
    digits.map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')).collect()
}

/// Exactly `N` octets in either case; `None` if it is anything else.
pub(crate) fn read<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut octets = [0; N];
    for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |octet: u8| char::from(octet).to_digit(16);
        *octet = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    #[test]
    fn there_and_back() {
        assert_eq!(super::read::<3>(&super::written(&[0, 0xab, 0xff])), Some([0, 0xab, 0xff]));
        assert_eq!(super::read::<2>("0g00"), None);
        assert_eq!(super::read::<2>("000"), None);
    }
}

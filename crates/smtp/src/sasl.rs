//! The framing of AUTH (RFC 4954): base64 lines, the empty initial response, cancellation.
//!
//! What the octets mean is a mechanism's business; nothing here understands them. The base64 is
//! strict on purpose: every lenience here is a second spelling of the same secret, and length
//! mistakes in such decoders have been remote holes (conformance row 13).

/// Octets a line of an AUTH exchange may have, its CR LF included (RFC 4954 §4).
pub const AUTH_LINE_OCTETS: usize = 12_288;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What a client sent in the middle of an exchange.
#[derive(PartialEq, Eq)]
pub enum Response {
    /// Octets for the mechanism.
    Octets(Vec<u8>),
    /// `*`: the client gives up.
    Cancel,
    /// Not base64.
    Malformed,
}

impl Response {
    /// Reads a line that answers a challenge. An empty line is an empty response; so is `=`, which curl sends
    /// for it although RFC 4954 §4 has it for initial responses alone, and which can mean nothing else.
    #[must_use]
    pub fn read(line: &[u8]) -> Response {
        match line {
            b"*" => Response::Cancel,
            b"=" => Response::Octets(Vec::new()),
            _ => decode(line).map_or(Response::Malformed, Response::Octets),
        }
    }
}

/// Reads the initial response of an AUTH command, where `=` stands for an empty one.
#[must_use]
pub fn initial_response(argument: &[u8]) -> Option<Vec<u8>> {
    match argument {
        b"=" => Some(Vec::new()),
        _ => decode(argument),
    }
}

/// Strict base64 (RFC 4648 §4): padded, without white space, unused bits zero.
#[must_use]
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let body = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut octets = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0u32);
    for &c in body {
        bits = bits << 6 | u32::from(value(c)?);
        count += 6;
        if count >= 8 {
            count -= 8;
            octets.push((bits >> count & 0xff) as u8);
        }
    }
    (bits & ((1 << count) - 1) == 0).then_some(octets)
}

fn value(c: u8) -> Option<u8> {
    Some(match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// The base64 of a challenge.
#[must_use]
pub fn encode(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len().div_ceil(3) * 4);
    for group in octets.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, &b| bits << 8 | u32::from(b)) << (8 * (3 - group.len()));
        for at in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn vectors_of_rfc_4648() {
        for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(encode(plain.as_bytes()), text);
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(plain.as_bytes()));
        }
    }

    #[test]
    fn row13_only_one_spelling_of_anything() {
        for text in ["Zg", "Zg=", "Zh==", "Zm9=", "Zm 9v", "Zm9v\n", "=", "====", "Z===", "Zg==Zg==", "Zm-_"] {
            assert_eq!(decode(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(initial_response(b"="), Some(Vec::new()));
        assert!(Response::read(b"=") == Response::Octets(Vec::new()));
        assert_eq!(initial_response(b"=="), None);
    }

    proptest! {
        #[test]
        fn octets_survive(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(decode(encode(&octets).as_bytes()), Some(octets));
        }

        #[test]
        fn what_decodes_is_what_encodes(text in "[A-Za-z0-9+/=]{0,12}") {
            if let Some(octets) = decode(text.as_bytes()) {
                prop_assert_eq!(encode(&octets), text);
            }
        }
    }
}

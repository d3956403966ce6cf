//! What the gateway and its PAM helper say to each other. A request is three texts: service, name,
//! password. An answer is one: a letter, and behind a yes the name of the account. Before each text
//! stands its length, two octets in network order.

use identity::Secret;

/// Octets of the name of an account.
pub(super) const NAME_OCTETS: usize = 256;
/// Octets of a password: as many as Linux-PAM lets a module be answered (`PAM_MAX_RESP_SIZE`).
pub(super) const PASSWORD_OCTETS: usize = 511;
/// Octets of an answer.
pub(super) const ANSWER_OCTETS: u16 = 1 + 256;

/// What a helper says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It is this account.
    Good(Box<str>),
    /// That is not its password.
    Wrong,
    /// There is no such account.
    Unknown,
    /// It may not log in: suspended, expired, locked.
    Suspended,
    /// It could not find out.
    Unavailable,
}

impl Said {
    /// Reads an answer, without its length. `None` is garbage.
    pub(super) fn parse(answer: &[u8]) -> Option<Said> {
        let (letter, rest) = answer.split_first()?;
        match (letter, rest) {
            (b'G', name) => account(name).map(Said::Good),
            (b'W', []) => Some(Said::Wrong),
            (b'N', []) => Some(Said::Unknown),
            (b'S', []) => Some(Said::Suspended),
            (b'U', []) => Some(Said::Unavailable),
            _ => None,
        }
    }
}

/// The name of an account.
pub(super) fn account(name: &[u8]) -> Option<Box<str>> {
    let name = str::from_utf8(name).ok()?;
    let sound = !name.is_empty() && name.len() <= NAME_OCTETS && name.trim() == name;
    (sound && !name.contains(char::is_control)).then(|| name.into())
}

/// The request about a password.
pub(super) fn request(service: &str, name: &str, password: &[u8]) -> Secret {
    let texts = [service.as_bytes(), name.as_bytes(), password];
    // All of its room at once: what grows leaves copies behind.
    let mut octets = Vec::with_capacity(texts.iter().map(|text| 2 + text.len()).sum());
    for text in texts {
        let length = u16::try_from(text.len()).expect("invariant: a service, name or password is short");
        octets.extend_from_slice(&length.to_be_bytes());
        octets.extend_from_slice(text);
    }
    Secret::new(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_understood() {
        assert_eq!(Said::parse(b"Galice"), Some(Said::Good("alice".into())));
        assert_eq!(Said::parse("GCORP\\jürgen b".as_bytes()), Some(Said::Good(r"CORP\jürgen b".into())));
        assert_eq!(Said::parse(b"W"), Some(Said::Wrong));
        assert_eq!(Said::parse(b"N"), Some(Said::Unknown));
        assert_eq!(Said::parse(b"S"), Some(Said::Suspended));
        assert_eq!(Said::parse(b"U"), Some(Said::Unavailable));
    }

    #[test]
    fn garbage_is_no_answer() {
        let answers: [&[u8]; 12] = [
            b"",
            b"G",
            b"G ",
            b"G alice",
            b"Gali\0ce",
            b"Gali\nce",
            b"Gali\xffce",
            b"Walice",
            b"W ",
            b"g",
            b"X",
            b"GG\r",
        ];
        for answer in answers {
            assert_eq!(Said::parse(answer), None, "{}", answer.escape_ascii());
        }
        assert_eq!(Said::parse(&[b'G'].repeat(2 + NAME_OCTETS)), None);
        assert!(Said::parse(&[b'G'].repeat(1 + NAME_OCTETS)).is_some());
    }

    #[test]
    fn a_request_is_three_counted_texts() {
        assert_eq!(request("smtp", "alice", b"pw").expose(), b"\0\x04smtp\0\x05alice\0\x02pw");
    }
}

//! The keys of SCRAM as the account file has them: `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`,
//! all but the number in base64. It is the form of RFC 5803, as PostgreSQL writes it.

use crate::keys::ScramKeys;
use crate::secret::Secret;
use base64ct::{Base64, Encoding};
use std::ops::RangeInclusive;
use zeroize::Zeroizing;

const PREFIX: &str = "SCRAM-SHA-256$";
const SALT_OCTETS: RangeInclusive<usize> = 8..=64;

pub(super) fn written(keys: &ScramKeys) -> Zeroizing<String> {
    let [salt, stored, server] = [&*keys.salt, &keys.stored_key, keys.server_key.expose()].map(Base64::encode_string);
    let server = Zeroizing::new(server);
    Zeroizing::new(format!("{PREFIX}{}:{salt}${stored}:{}", keys.iterations, *server))
}

/// `None` if it is something else, or out of bounds.
pub(super) fn read(text: &str) -> Option<ScramKeys> {
    let (settings, keys) = text.strip_prefix(PREFIX)?.split_once('$')?;
    let (iterations, salt) = settings.split_once(':')?;
    let (stored, server) = keys.split_once(':')?;
    if salt.len() > 2 * SALT_OCTETS.end() || !iterations.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let iterations = iterations.parse().ok().filter(|number| ScramKeys::ITERATIONS_TAKEN.contains(number))?;
    let salt = Base64::decode_vec(salt).ok().filter(|salt| SALT_OCTETS.contains(&salt.len()))?;
    let stored_key = key(stored)?;
    let server_key = Secret::from(&key(server)?[..]);
    Some(ScramKeys { salt: salt.into(), iterations, stored_key: *stored_key, server_key })
}

fn key(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut octets = Zeroizing::new([0; 32]);
    let whole = Base64::decode(text, &mut *octets).is_ok_and(|decoded| decoded.len() == 32);
    whole.then_some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Zeroizing<String> {
        written(&ScramKeys::from_password("pencil", b"saltsaltsaltsalt", 4096).unwrap())
    }

    #[test]
    fn written_and_read() {
        let text = example();
        assert!(text.starts_with("SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$"), "{}", *text);
        assert_eq!(written(&read(&text).unwrap()), text);
    }

    #[test]
    fn the_keys_of_the_password_of_rfc_7677() {
        // Password and salt of the example in RFC 7677 §3, in the form of `pg_authid.rolpassword`.
        let salt = Base64::decode_vec("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let made = ScramKeys::from_password("pencil", &salt, 4096).unwrap();
        let text = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
            WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        assert_eq!(*written(&made), text);
        assert_eq!(read(text).unwrap().stored_key, made.stored_key);
    }

    #[test]
    fn what_is_out_of_bounds_is_not_read() {
        let text = example();
        for (from, to) in [
            ("4096", "4095"),
            ("4096", "1000001"),
            ("4096", "+4096"),
            ("4096", "99999999999"),
            ("c2FsdHNhbHRzYWx0c2FsdA==", "c2Fs"),
            ("c2FsdHNhbHRzYWx0c2FsdA==", &"c2Fs".repeat(40)),
            ("SCRAM-SHA-256$", "SCRAM-SHA-1$"),
            ("=:", ":"),
        ] {
            assert!(read(&text.replacen(from, to, 1)).is_none(), "{from} {to}");
        }
    }
}

//! What is kept of a password so that SCRAM can check a proof of it, and how it is made.

use crate::secret::{Secret, hmac_sha256};
use sha2::{Digest, Sha256};
use std::fmt;
use std::ops::RangeInclusive;
use stringprep::saslprep;
use zeroize::Zeroizing;

/// What a proof of SCRAM-SHA-256 is checked by (RFC 5802 §3). Whoever has it can try passwords, so it
/// is printed nowhere; nobody can log in with it.
#[derive(Clone)]
pub struct ScramKeys {
    /// The salt of the password.
    pub salt: Box<[u8]>,
    /// How often it was hashed.
    pub iterations: u32,
    /// H(ClientKey).
    pub stored_key: [u8; 32],
    /// ServerKey.
    pub server_key: Secret,
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScramKeys({} iterations, …)", self.iterations)
    }
}

/// Why no keys can be made of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is empty, longer than 1024 octets, or has characters that SASLprep prohibits (RFC 4013).
    Password,
    /// The salt is empty or longer than 64 octets.
    Salt,
    /// Fewer iterations than RFC 7677 §4 wants, or more than anybody waits for.
    Iterations,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unfit::Password => "the password is empty, too long, or has characters that SASLprep prohibits",
            Unfit::Salt => "the salt is empty or too long",
            Unfit::Iterations => "the number of iterations is not between 4096 and 1000000",
        })
    }
}

impl std::error::Error for Unfit {}

impl ScramKeys {
    /// Octets of salt that new keys are given. What is shown of accounts that do not exist has as many:
    /// accounts with another number can be told from them.
    pub const SALT_OCTETS: usize = 16;

    /// Iterations that new keys are given, and that are shown of accounts that do not exist. RFC 7677 §4
    /// speaks of 15,000; only the client has to take the time.
    pub const ITERATIONS: u32 = 15_000;

    /// How many are taken: RFC 7677 §4 wants 4096 at the least.
    pub const ITERATIONS_TAKEN: RangeInclusive<u32> = 4096..=1_000_000;

    const SALT_OCTETS_TAKEN: RangeInclusive<usize> = 1..=64;
    const PASSWORD_OCTETS: usize = 1024;

    /// The keys of `password`, prepared by SASLprep as clients do (RFC 5802 §2.2, `Normalize`).
    ///
    /// This takes as long as so many iterations do. It is for whoever keeps passwords, not for a login.
    ///
    /// # Errors
    /// If the password cannot be prepared, or what goes with it is out of bounds.
    pub fn from_password(password: &str, salt: &[u8], iterations: u32) -> Result<ScramKeys, Unfit> {
        if !ScramKeys::SALT_OCTETS_TAKEN.contains(&salt.len()) {
            return Err(Unfit::Salt);
        }
        if !ScramKeys::ITERATIONS_TAKEN.contains(&iterations) {
            return Err(Unfit::Iterations);
        }
        let prepared = prepared(password)?;
        let mut salted = Zeroizing::new([0; 32]);
        pbkdf2::pbkdf2::<hmac::Hmac<Sha256>>(prepared.as_bytes(), salt, iterations, salted.as_mut())
            .expect("invariant: HMAC takes a key of any length");
        let client_key = Zeroizing::new(hmac_sha256(salted.as_ref(), &[b"Client Key"]));
        Ok(ScramKeys {
            salt: salt.into(),
            iterations,
            stored_key: Sha256::digest(client_key.as_ref()).into(),
            server_key: Secret::from(&hmac_sha256(salted.as_ref(), &[b"Server Key"])[..]),
        })
    }
}

/// `password` by SASLprep. What it prohibits has no keys, rather than keys that no client can prove.
fn prepared(password: &str) -> Result<Zeroizing<String>, Unfit> {
    if password.len() > ScramKeys::PASSWORD_OCTETS {
        return Err(Unfit::Password);
    }
    let prepared = Zeroizing::new(saslprep(password).map_err(|_| Unfit::Password)?.into_owned());
    if prepared.is_empty() { Err(Unfit::Password) } else { Ok(prepared) }
}

#[cfg(test)]
mod tests {
    use super::{ScramKeys, Unfit};

    const SALT: [u8; 16] = *b"0123456789abcdef";

    fn stored_key(password: &str) -> Result<[u8; 32], Unfit> {
        ScramKeys::from_password(password, &SALT, 4096).map(|keys| keys.stored_key)
    }

    #[test]
    fn spellings_that_saslprep_makes_equal_have_equal_keys() {
        // RFC 4013 §3, its examples.
        assert_eq!(stored_key("I\u{ad}X"), stored_key("IX"));
        assert_eq!(stored_key("\u{aa}"), stored_key("a"));
        assert_eq!(stored_key("\u{2168}"), stored_key("IX"));
        assert_ne!(stored_key("user"), stored_key("USER"));
    }

    #[test]
    fn what_cannot_be_prepared_has_no_keys() {
        for password in ["", "\u{7}", "a\u{7f}", "\u{627}\u{31}", "\u{ad}", "\u{0221}", &"x".repeat(1025)] {
            assert_eq!(stored_key(password), Err(Unfit::Password), "{password:?}");
        }
        assert!(stored_key(&"x".repeat(1024)).is_ok());
        assert!(stored_key("x").is_ok(), "one letter is a password");
    }

    #[test]
    fn salts_and_iterations_have_bounds() {
        let made = |salt: &[u8], iterations| ScramKeys::from_password("x", salt, iterations).map(|_| ());
        assert_eq!(made(&[], 4096), Err(Unfit::Salt));
        assert_eq!(made(&[0; 65], 4096), Err(Unfit::Salt));
        assert_eq!(made(&SALT, 4095), Err(Unfit::Iterations));
        assert_eq!(made(&SALT, 0), Err(Unfit::Iterations));
        assert_eq!(made(&SALT, 1_000_001), Err(Unfit::Iterations));
        assert!(ScramKeys::ITERATIONS_TAKEN.contains(&ScramKeys::ITERATIONS));
    }
}

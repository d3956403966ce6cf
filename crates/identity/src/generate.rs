//! Passwords that nobody has to think of.

use crate::secret::Secret;
use zeroize::Zeroizing;

/// What they are made of: Crockford's 32 signs, which are not taken for one another when they are read
/// out or written down.
const SIGNS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Signs of a password; a hyphen stands after every fourth.
const LENGTH: usize = 20;

/// A password of 100 bits, such as `7kqp-0mzt-x2vh-h9rd-w4cn`.
#[must_use]
pub fn generated_password(entropy: [u8; LENGTH]) -> Secret {
    let entropy = Zeroizing::new(entropy);
    let mut text = Zeroizing::new(Vec::with_capacity(LENGTH + LENGTH / 4));
    for (at, octet) in entropy.iter().enumerate() {
        if at > 0 && at % 4 == 0 {
            text.push(b'-');
        }
        text.push(SIGNS[usize::from(octet & 31)]);
    }
    Secret::from(&text[..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_sign_is_as_likely() {
        let mut seen = BTreeSet::new();
        for octet in 0..=255 {
            let password = generated_password([octet; LENGTH]);
            seen.insert(password.expose()[0]);
            assert_eq!(password.expose().len(), 24);
        }
        assert_eq!(seen.len(), 32);
        assert_eq!(256 % SIGNS.len(), 0);
    }

    #[test]
    fn it_is_easy_to_write_down() {
        let entropy = std::array::from_fn(|at| u8::try_from(at).unwrap());
        assert_eq!(generated_password(entropy).expose(), b"0123-4567-89ab-cdef-ghjk");
    }
}

//! Octets that no log, trace or reply may ever show.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// A password, a token, a key: wiped when it is dropped, and mute in every debug form. It is compared
/// only in constant time, by those who know what it is.
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Keeps `octets`.
    #[must_use]
    pub fn new(octets: Vec<u8>) -> Secret {
        Secret(Zeroizing::new(octets))
    }

    /// The octets themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The first 64 bits of HMAC-SHA256 under `key`, a secret of this server: the same for the same
    /// secret tried again, and worth nothing without the key. For the defence against guessing.
    #[must_use]
    pub fn digest(&self, key: &Secret) -> u64 {
        let whole = hmac_sha256(key.expose(), &[self.expose()]);
        whole.iter().take(8).fold(0, |digest, octet| digest << 8 | u64::from(*octet))
    }
}

/// HMAC-SHA256 (RFC 2104) of `parts`, one behind the other.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("invariant: HMAC takes a key of any length");
    parts.iter().for_each(|part| hmac.update(part));
    hmac.finalize().into_bytes().into()
}

impl From<&[u8]> for Secret {
    fn from(octets: &[u8]) -> Secret {
        Secret::new(octets.to_vec())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret::from(text.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its length is a secret, too.
        f.write_str("Secret(…)")
    }
}

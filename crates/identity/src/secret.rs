//! Octets that no log, trace or reply may ever show.

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

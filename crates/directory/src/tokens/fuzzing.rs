//! What the fuzzer needs to see of tokens. Only with the feature `fuzzing`, which no program has.

use super::claims;
use super::keys::KeySet;
use identity::settings::Tokens as Settings;
use mail::Timestamp;

/// The keys of an issuer.
#[derive(Debug)]
pub struct Keys(KeySet);

impl Keys {
    /// Reads a JWKS.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(octets: &[u8]) -> Result<Keys, String> {
        KeySet::parse(octets).map(Keys)
    }

    /// The name that a token vouches for, by these keys and settings alone; `None` if it is not good.
    #[must_use]
    pub fn name(&self, token: &[u8], settings: &Settings, now: Timestamp) -> Option<Box<str>> {
        let head = claims::head(token, settings).ok()?;
        claims::name(token, &head, &claims::candidates(&self.0, &head), settings, now).ok()
    }
}

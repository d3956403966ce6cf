//! The public keys of an issuer (RFC 7517), as far as tokens may be signed with them.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;
use std::fmt;

/// Octets of a set of keys.
pub(super) const SET_OCTETS: usize = 256 * 1024;
/// Keys of one set.
const KEYS: usize = 100;
/// Keys that are tried for a token that does not say which has signed it.
const TRIED: usize = 8;

const RSA: &[Algorithm] =
    &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];

/// The keys of an issuer.
pub(super) struct KeySet(Vec<Key>);

struct Key {
    id: Option<String>,
    /// What this key can sign with: its kind decides, and its own `alg` if it has one.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySet({} keys)", self.0.len())
    }
}

impl KeySet {
    /// Reads a JWKS. Keys that cannot be used are passed over (RFC 7517 §5): those of unknown kinds,
    /// for encryption, and secrets.
    ///
    /// # Errors
    /// If it is not a JWKS, or none of its keys can be used.
    pub(super) fn parse(octets: &[u8]) -> Result<KeySet, String> {
        if octets.len() > SET_OCTETS {
            return Err("a set of keys has no more than 256 KiB".into());
        }
        let value: Value = serde_json::from_slice(octets).map_err(|error| format!("not a set of keys: {error}"))?;
        let Some(Value::Array(list)) = value.get("keys") else { return Err("not a set of keys: no \"keys\"".into()) };
        let keys: Vec<Key> = list.iter().take(KEYS).filter_map(Key::read).collect();
        if keys.is_empty() { Err("none of its keys can be used".into()) } else { Ok(KeySet(keys)) }
    }

    /// The keys of this number that sign with this algorithm; all that do, if there is no number.
    pub(super) fn fitting(&self, algorithm: Algorithm, id: Option<&str>) -> Vec<&DecodingKey> {
        let named = |key: &&Key| id.is_none_or(|id| key.id.as_deref() == Some(id));
        let fitting = self.0.iter().filter(named).filter(|key| key.algorithms.contains(&algorithm));
        fitting.take(TRIED).map(|key| &key.key).collect()
    }
}

impl Key {
    fn read(value: &Value) -> Option<Key> {
        let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => RSA.to_vec(),
            AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
                EllipticCurve::P256 => vec![Algorithm::ES256],
                EllipticCurve::P384 => vec![Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
            _ => return None,
        };
        if let Some(own) = jwk.common.key_algorithm {
            algorithms.retain(|algorithm| Algorithm::try_from(own).is_ok_and(|own| own == *algorithm));
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        (!algorithms.is_empty()).then(|| Key { id: jwk.common.key_id, algorithms, key })
    }
}

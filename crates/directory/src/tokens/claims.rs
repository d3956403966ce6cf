//! What a token says, and whether that is what the settings want. Pure: octets and keys in, a name out.

use super::keys::KeySet;
use identity::settings::Tokens as Settings;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use mail::Timestamp;
use serde_json::{Map, Value};

/// Octets of a token. What issuers make has one or two thousand.
pub(super) const TOKEN_OCTETS: usize = 8 * 1024;
/// How far clocks may be apart.
const LEEWAY_S: u64 = 60;
/// Octets of a name.
const NAME_OCTETS: usize = 256;

/// All that a token may be signed with: only what has a public key. A shared secret is not among
/// them, because whoever has the "public" half could sign; nor is `none` (RFC 8725 §3.1).
pub(super) const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// Why a token is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is from another issuer.
    Foreign,
    /// It is not a token, not signed by this issuer, not for us, or not now.
    Bad,
}

/// The head of a token: what it says it is signed with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
}

/// Reads the head, and the issuer, before anything is verified: both only choose what is verified.
pub(super) fn head(token: &[u8], settings: &Settings) -> Result<Head, Refused> {
    if token.len() > TOKEN_OCTETS || token.iter().filter(|octet| **octet == b'.').count() != 2 {
        return Err(Refused::Bad);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| Refused::Bad)?;
    // RFC 7515 §4.1.11: what must be understood is not.
    if header.crit.is_some() || !ALGORITHMS.contains(&header.alg) {
        return Err(Refused::Bad);
    }
    let claims: Map<String, Value> =
        jsonwebtoken::dangerous::insecure_decode_claims(token).map_err(|_| Refused::Bad)?;
    if claims.get("iss").and_then(Value::as_str) != Some(&settings.issuer) {
        return Err(Refused::Foreign);
    }
    Ok(Head { algorithm: header.alg, key_id: header.kid })
}

/// The name that a token vouches for, if one of these keys has signed it.
pub(super) fn name(
    token: &[u8],
    head: &Head,
    keys: &[&DecodingKey],
    settings: &Settings,
    now: Timestamp,
) -> Result<Box<str>, Refused> {
    let claims = keys.iter().find_map(|key| signed(token, head.algorithm, key)).ok_or(Refused::Bad)?;
    is_for_us(&claims, settings, now).ok_or(Refused::Bad)?;
    let name = claims.get(&*settings.claim).and_then(Value::as_str).ok_or(Refused::Bad)?;
    let fits = !name.trim().is_empty() && name.len() <= NAME_OCTETS && !name.contains(char::is_control);
    if fits { Ok(name.into()) } else { Err(Refused::Bad) }
}

/// The claims, if this key has signed them by this algorithm.
fn signed(token: &[u8], algorithm: Algorithm, key: &DecodingKey) -> Option<Map<String, Value>> {
    let mut validation = Validation::new(algorithm);
    // The claims are judged below, by a clock that is handed in, and absent ones are not passed over.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    jsonwebtoken::decode::<Map<String, Value>>(token, key, &validation).ok().map(|data| data.claims)
}

/// Issuer, audience, time and scope; `None` if one of them is not as it must be.
fn is_for_us(claims: &Map<String, Value>, settings: &Settings, now: Timestamp) -> Option<()> {
    let now = now.millis() / 1000;
    let issuer = claims.get("iss")?.as_str()?;
    let expiry = moment(claims.get("exp")?)?;
    let start = claims.get("nbf").map_or(Some(0), moment)?;
    let audience = words(claims.get("aud")?, |text| vec![text])?;
    let in_time = expiry.saturating_add(LEEWAY_S) > now && start <= now.saturating_add(LEEWAY_S);
    let in_scope = settings.scope.as_deref().is_none_or(|wanted| {
        let scopes = claims.get("scope").or_else(|| claims.get("scp"));
        let scopes = scopes.and_then(|scopes| words(scopes, |text| text.split(' ').collect()));
        scopes.is_some_and(|scopes| scopes.contains(&wanted))
    });
    (issuer == &*settings.issuer && audience.contains(&&*settings.audience) && in_time && in_scope).then_some(())
}

/// A NumericDate (RFC 7519 §2): seconds since 1970, maybe with a fraction.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be within")]
fn moment(value: &Value) -> Option<u64> {
    let whole = value.as_u64();
    whole.or_else(|| value.as_f64().filter(|seconds| (0.0..1e15).contains(seconds)).map(|seconds| seconds as u64))
}

/// One string, taken apart by `split`, or a list of strings.
fn words<'a>(value: &'a Value, split: fn(&'a str) -> Vec<&'a str>) -> Option<Vec<&'a str>> {
    match value {
        Value::String(text) => Some(split(text)),
        Value::Array(list) => list.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// The keys that may have signed a token with this head.
pub(super) fn candidates<'a>(keys: &'a KeySet, head: &Head) -> Vec<&'a DecodingKey> {
    keys.fitting(head.algorithm, head.key_id.as_deref())
}

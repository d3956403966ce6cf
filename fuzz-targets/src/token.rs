//! Tokens: none is good that one of the issuer's keys has not signed, and one that is good says what the
//! settings want. What signs here is a key that the issuer has published, and whatever else somebody
//! might take for one.

use crate::input::{Input, has_control};
use base64ct::{Base64UrlUnpadded, Encoding};
use directory::fuzzing::tokens::Keys;
use hmac::{Hmac, KeyInit, Mac};
use identity::settings::{Keys as Place, Tokens as Settings};
use jsonwebtoken::{Algorithm, EncodingKey};
use mail::Timestamp;
use serde_json::{Map, Value};
use sha2::Sha256;
use std::sync::LazyLock;

/// 2026-01-01.
const NOW_S: u64 = 1_767_225_600;
/// The public half of a key of Ed25519 whose secret is 32 times 7.
const POINT: &str = "6kpsY-KcUgq-9VB7Ey7F-ZVHdq6-vnuSQh7qaRRG0iw";
/// The modulus of a key of RSA that signs nothing here.
const MODULUS: &str = "sy_DsoWfwSD4UU00F4FRN3ZQ3Z5S3cF9CotypVMjX6G7lpw04kbkU4JsHi2ans9wGTcOxYRihEiik-tJ-KGnUI-C0mfrtsZgraM4\
                       uToe5b_bboo_k7PIT8PzdbSCroeJ3Se_F78W1X3eOqNCHRkAqb5yaDKN4j14NLOn-ej6S_KxMjElFn1RKydVTwObTPO3UzcRKwIv\
                       V-kV67mRSdfs1SVgkXOmSJ9f9oed9hpf9Xl6j_f4P6IfwgfQ9PtITnqse6O51K11-oIfgWvde-cJMD7g38_Jv8OFY4HbjO96mN9b\
                       wclIQGqbvwrnWNC6HSKCmG4AKGF05IlbnXpfCQVzJQ";

/// What the issuer has published.
pub(crate) fn published() -> String {
    format!(
        r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{POINT}","kid":"k1"}},{{"kty":"RSA","n":"{MODULUS}","e":"AQAB","kid":"k2"}}]}}"#
    )
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys::parse(published().as_bytes()).expect("good keys"));
static SECRETS: LazyLock<[EncodingKey; 2]> = LazyLock::new(|| [7, 8].map(secret));

/// A key of Ed25519 (RFC 8410).
fn secret(octet: u8) -> EncodingKey {
    let head = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    EncodingKey::from_ed_der(&[&head[..], &[octet; 32]].concat())
}

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input(octets);
    let (manner, choice) = (input.octet() % 7, input.octet());
    if manner == 0 {
        return refuse(input.0);
    }
    if manner == 1 {
        return keys(input.0);
    }
    let head = match input.counted() {
        b"" => br#"{"alg":"EdDSA","kid":"k1"}"#,
        head => head,
    };
    let size = input.wide();
    let claims = input.take(size);
    let signed =
        format!("{}.{}", Base64UrlUnpadded::encode_string(head), Base64UrlUnpadded::encode_string(claims)).into_bytes();
    let with = |signature: &str| [&signed, &b"."[..], signature.as_bytes()].concat();
    match manner {
        2 => refuse(&with(&String::from_utf8_lossy(input.0))),
        3 => refuse(&with(&by_shared_secret(&signed, choice))),
        4 => refuse(&with(&sign(&signed, &SECRETS[1]))),
        5 => {
            let mut token = with(&sign(&signed, &SECRETS[0]));
            let (at, other) = (input.wide() % token.len(), input.octet());
            if token[at] != other {
                token[at] = other;
                refuse(&token);
            }
        }
        _ => accept(&with(&sign(&signed, &SECRETS[0])), head, claims),
    }
}

fn sign(signed: &[u8], key: &EncodingKey) -> String {
    jsonwebtoken::crypto::sign(signed, key, Algorithm::EdDSA).expect("a good key")
}

/// What is published, taken for a secret that is shared.
fn by_shared_secret(signed: &[u8], choice: u8) -> String {
    let decoded = |text| Base64UrlUnpadded::decode_vec(text).unwrap();
    let secret = match choice % 6 {
        0 => POINT.into(),
        1 => decoded(POINT),
        2 => MODULUS.into(),
        3 => decoded(MODULUS),
        4 => published().into_bytes(),
        _ => Vec::new(),
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
    mac.update(signed);
    Base64UrlUnpadded::encode_string(&mac.finalize().into_bytes())
}

fn settings() -> Settings {
    Settings {
        issuer: "https://login.test".into(),
        audience: "smtp".into(),
        keys: Place::File("keys".into()),
        claim: "email".into(),
        scope: Some("mail.send".into()),
        accounts: None,
    }
}

fn name(token: &[u8]) -> Option<Box<str>> {
    KEYS.name(token, &settings(), Timestamp::from_millis(NOW_S * 1000))
}

fn refuse(token: &[u8]) {
    assert!(name(token).is_none(), "nobody has signed {}", String::from_utf8_lossy(token));
}

/// A token that is signed as it should be is good only if it says what it must.
fn accept(token: &[u8], head: &[u8], claims: &[u8]) {
    let Some(name) = name(token) else {
        assert!(head != br#"{"alg":"EdDSA","kid":"k1"}"# || token.len() > 8192 || !is_plainly_good(claims));
        return;
    };
    let head: Map<String, Value> = serde_json::from_slice(head).expect("a head is an object");
    assert!(head["alg"] == "EdDSA" && head.get("crit").is_none_or(Value::is_null), "{head:?}");
    assert!(head.get("kid").is_none_or(|kid| kid == "k1" || kid.is_null()), "{head:?}");
    let claims: Map<String, Value> = serde_json::from_slice(claims).expect("claims are an object");
    assert_eq!(claims["email"], *name);
    assert!((1..=256).contains(&name.len()) && !has_control(&name) && !name.trim().is_empty());
    let seconds = |value: &Value| value.as_f64().expect("a number");
    #[expect(clippy::cast_precision_loss, reason = "a moment of this century")]
    let now = NOW_S as f64;
    assert!(seconds(&claims["exp"]) > now - 61.0 && claims.get("nbf").is_none_or(|start| seconds(start) < now + 61.0));
    assert!(claims["iss"] == "https://login.test" && has(&claims["aud"], "smtp"));
    let scope = claims.get("scope").or_else(|| claims.get("scp")).expect("a scope");
    assert!(has(scope, "mail.send") || scope.as_str().is_some_and(|all| all.split(' ').any(|one| one == "mail.send")));
}

fn has(value: &Value, wanted: &str) -> bool {
    value == wanted || value.as_array().is_some_and(|list| list.iter().any(|one| one == wanted))
}

/// Whether claims are such as every issuer writes: what is good in that form must be taken.
fn is_plainly_good(claims: &[u8]) -> bool {
    let Ok(Value::Object(claims)) = serde_json::from_slice(claims) else { return false };
    let name = claims.get("email").and_then(Value::as_str).unwrap_or_default();
    let time = |name| claims.get(name).map(|value| value.as_u64().unwrap_or(0));
    claims.get("iss").is_some_and(|issuer| issuer == "https://login.test")
        && claims.get("aud").is_some_and(|audience| audience == "smtp")
        && claims.get("scope").is_some_and(|scope| scope == "mail.send")
        && time("exp").is_some_and(|expiry| expiry > NOW_S)
        && time("nbf").is_none_or(|start| (1..=NOW_S).contains(&start))
        && (1..=256).contains(&name.len())
        && name.bytes().all(|octet| octet.is_ascii_graphic())
}

/// Any set of keys: what is taken for one has signed nothing yet.
fn keys(octets: &[u8]) {
    if let Err(why) = Keys::parse(octets) {
        assert!(!why.is_empty());
    }
}

//! Tokens: good ones, forged ones, and issuers that change their keys or cannot be reached.

mod issuer;

use crate::authority::Authority;
use crate::world::{NOW_S, Told, UNKNOWN, WRONG, World, secret_file};
use base64ct::{Base64UrlUnpadded, Encoding};
use directory::Happening;
use identity::Secret;
use identity::settings::{Keys, Kind, Tokens};
use issuer::{Key, Site, jwks};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::time::{advance, pause, resume};

fn claims() -> Value {
    json!({ "iss": "https://login.corp.example", "aud": "smtp.corp.example", "exp": NOW_S + 600, "nbf": NOW_S - 5,
            "email": "alice", "scope": "openid smtp.send" })
}

/// The claims with one of them changed, or taken away.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => claims.as_object_mut().unwrap().remove(name),
        value => claims.as_object_mut().unwrap().insert(name.into(), value),
    };
    claims
}

fn settings(keys: Keys) -> Tokens {
    Tokens {
        issuer: "https://login.corp.example".into(),
        audience: "smtp.corp.example".into(),
        keys,
        claim: "email".into(),
        scope: Some("smtp.send".into()),
        accounts: None,
    }
}

fn with_file(place: &Path, keys: &[&Key]) -> World {
    let path = secret_file(place, "jwks.json", &jwks(keys));
    World::of(vec![("issuer", Kind::Tokens(settings(Keys::File(path))))])
}

async fn minutes_later(minutes: u64) {
    pause();
    advance(Duration::from_secs(60 * minutes + 1)).await;
    resume();
}

#[tokio::test]
async fn tokens_of_every_algorithm() {
    let place = tempfile::tempdir().unwrap();
    let all = [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA, Algorithm::RS256];
    let keys: Vec<Key> = all.into_iter().map(|algorithm| Key::new(&format!("{algorithm:?}"), algorithm)).collect();
    let world = with_file(place.path(), &keys.iter().collect::<Vec<_>>());
    for key in &keys {
        assert_eq!(&*world.token(&key.sign(&claims()), None).await.account().name, "alice");
        assert_eq!(&*world.token(&key.sign_without_id(&claims()), Some("Alice")).await.account().name, "alice");
        assert_eq!(world.token(&key.sign(&claims()), Some("bob")).await, WRONG);
        let forged = Key::new(&format!("{:?}", key.algorithm), key.algorithm);
        assert_eq!(world.token(&forged.sign(&claims()), None).await, WRONG, "{:?}", key.algorithm);
    }
    // A key signs with its own algorithms only.
    assert_eq!(world.token(&keys[3].sign_as(Algorithm::PS256, &claims()), None).await, WRONG);
}

/// One login by each algorithm; as many as go in three seconds, and their number, with
/// `FIGURES=1 cargo test --release -p directory --test it -- --nocapture logins_a_second`.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
async fn logins_a_second() {
    let seconds = if std::env::var_os("FIGURES").is_some() { 3 } else { 0 };
    let place = tempfile::tempdir().unwrap();
    for algorithm in [Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256] {
        let key = Key::new("k", algorithm);
        let world = with_file(place.path(), &[&key]);
        let token = key.sign(&claims());
        let (start, mut logins) = (std::time::Instant::now(), 0_u32);
        while logins == 0 || start.elapsed().as_secs() < seconds {
            assert_eq!(&*world.token(&token, None).await.account().name, "alice");
            logins += 1;
        }
        println!("{algorithm:?}: {:.0} a second", f64::from(logins) / start.elapsed().as_secs_f64());
    }
}

#[tokio::test]
async fn claims_must_all_be_right() {
    let place = tempfile::tempdir().unwrap();
    let key = Key::new("k", Algorithm::ES256);
    let world = with_file(place.path(), &[&key]);
    for (name, value) in [
        ("exp", json!(NOW_S - 60)),
        ("exp", Value::Null),
        ("exp", json!("never")),
        ("exp", json!(-1)),
        ("nbf", json!(NOW_S + 61)),
        ("nbf", json!("now")),
        ("aud", json!("imap.corp.example")),
        ("aud", json!(["a", "b"])),
        ("aud", Value::Null),
        ("aud", json!([1, "smtp.corp.example"])),
        ("scope", json!("openid smtp.sender")),
        ("scope", Value::Null),
        ("email", Value::Null),
        ("email", json!(["alice"])),
        ("email", json!(17)),
        ("email", json!("")),
        ("email", json!("alice\nbob")),
        ("email", json!("a".repeat(300))),
    ] {
        assert_eq!(world.token(&key.sign(&with(name, value.clone())), None).await, WRONG, "{name} {value}");
    }
    for issuer in [json!("https://evil.example"), Value::Null, json!(["https://login.corp.example"])] {
        assert_eq!(world.token(&key.sign(&with("iss", issuer)), None).await, UNKNOWN, "somebody else's");
    }
    for (name, value) in [
        ("exp", json!(NOW_S - 59)),
        ("exp", json!(NOW_S as f64 + 0.5)),
        ("nbf", json!(NOW_S + 60)),
        ("nbf", Value::Null),
        ("aud", json!(["imap.corp.example", "smtp.corp.example"])),
        ("scope", json!(["openid", "smtp.send"])),
    ] {
        let token = key.sign(&with(name, value.clone()));
        assert_eq!(&*world.token(&token, None).await.account().name, "alice", "{name} {value}");
    }
}

#[tokio::test]
async fn forged_tokens() {
    let place = tempfile::tempdir().unwrap();
    let key = Key::new("k", Algorithm::RS256);
    let world = with_file(place.path(), &[&key]);
    let good = key.sign(&claims());
    assert_eq!(&*world.token(&good, None).await.account().name, "alice");
    let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    let [head, body, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let other = part(&with("email", json!("root")));
    for none in ["none", "None", "NONE", "nOnE", ""] {
        for signature in ["", signature] {
            let head = part(&json!({ "alg": none, "kid": "k" }));
            assert_eq!(world.token(&format!("{head}.{body}.{signature}"), None).await, WRONG, "{none}");
        }
    }
    // Signed with a shared secret that is the public key, in every form that somebody might use.
    for secret in key.public_forms() {
        assert_eq!(world.token(&issuer::sign_with_secret(&secret, "k", &claims()), None).await, WRONG);
    }
    let critical = key.sign_with_head(&json!({ "alg": "RS256", "kid": "k", "crit": ["b64"], "b64": false }), &claims());
    let embedded = key.with_embedded_key(&claims());
    for token in [
        format!("{head}.{other}.{signature}"),
        format!("{head}.{body}."),
        format!("{head}.{body}"),
        format!("{head}.{body}.{signature}.x"),
        format!("{head}.{body}.{signature}\n"),
        format!("{good}="),
        critical,
        embedded,
        String::new(),
        "..".into(),
        "a.b.c".into(),
        "\0.\0.\0".into(),
        key.sign(&with("padding", json!("x".repeat(9000)))),
        "x".repeat(10_000_000),
    ] {
        assert_eq!(world.token(&token, None).await, WRONG, "{}", &token[..token.len().min(200)]);
    }
    let finding = world.ask(identity::Inquiry::Token { token: Secret::new(vec![0xff; 50]), name: None }).await;
    assert_eq!(crate::world::told(finding), WRONG);
}

#[tokio::test]
async fn keys_of_a_file_change() {
    let place = tempfile::tempdir().unwrap();
    let (old, new) = (Key::new("old", Algorithm::ES256), Key::new("new", Algorithm::ES256));
    let world = with_file(place.path(), &[&old]);
    assert_eq!(world.token(&new.sign(&claims()), None).await, WRONG);
    fs::write(place.path().join("jwks.json"), jwks(&[&new])).unwrap();
    minutes_later(0).await;
    assert_eq!(&*world.token(&new.sign(&claims()), None).await.account().name, "alice");
    assert_eq!(world.token(&old.sign(&claims()), None).await, WRONG);
    for bad in ["", "{}", "{\"keys\":[]}", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\",\"kid\":\"new\"}]}"] {
        let path = secret_file(place.path(), "bad.json", bad);
        let error = World::try_of(vec![("issuer", Kind::Tokens(settings(Keys::File(path))))]).err().unwrap();
        assert!(error.to_string().contains("bad.json"), "{error}");
    }
}

#[tokio::test]
async fn keys_at_a_url_are_fetched_and_rotated() {
    let place = tempfile::tempdir().unwrap();
    let authority = Authority::in_directory(place.path());
    let site = Site::start(&authority).await;
    let (old, new) = (Key::new("old", Algorithm::ES256), Key::new("new", Algorithm::RS256));
    site.answers(200, &jwks(&[&old]));
    let keys = || Keys::Url { url: site.url().into(), authorities: Some(authority.authority.clone()) };
    let world = World::of(vec![("issuer", Kind::Tokens(settings(keys())))]);
    assert_eq!(site.asked(), 0, "at the first use");
    for _ in 0..3 {
        assert_eq!(&*world.token(&old.sign(&claims()), None).await.account().name, "alice");
    }
    assert_eq!(site.asked(), 1);
    // A key that is not known yet: asked for, not more than once a minute.
    site.answers(200, &jwks(&[&old, &new]));
    assert_eq!(world.token(&new.sign(&claims()), None).await, WRONG);
    assert_eq!(site.asked(), 1);
    minutes_later(1).await;
    assert_eq!(&*world.token(&new.sign(&claims()), None).await.account().name, "alice");
    assert_eq!(world.token(&Key::new("x", Algorithm::ES256).sign(&claims()), None).await, WRONG);
    assert_eq!(site.asked(), 2);
    // Out of reach: known keys stay good for a day, and of unknown ones nothing can be said.
    for (status, body) in [(500, jwks(&[&old])), (302, jwks(&[&old])), (200, "x".repeat(300_000)), (200, "{}".into())] {
        site.answers(status, &body);
        minutes_later(2).await;
        assert_eq!(world.token(&Key::new("x", Algorithm::ES256).sign(&claims()), None).await, Told::Unavailable);
        assert_eq!(&*world.token(&old.sign(&claims()), None).await.account().name, "alice", "{status}");
    }
    let heard = world.heard();
    assert!(matches!(&heard[..], [Happening::Down { .. }]), "{heard:?}");
    minutes_later(24 * 60).await;
    assert_eq!(world.token(&old.sign(&claims()), None).await, Told::Unavailable);
    // A key that the issuer has taken back is gone when the others are an hour old.
    site.answers(200, &jwks(&[&old, &new]));
    minutes_later(2).await;
    assert_eq!(&*world.token(&new.sign(&claims()), None).await.account().name, "alice");
    assert_eq!(world.heard().len(), 1);
    site.answers(200, &jwks(&[&old]));
    minutes_later(61).await;
    assert_eq!(world.token(&new.sign(&claims()), None).await, WRONG);
}

#[tokio::test]
async fn an_issuer_that_cannot_be_believed_is_not_reached() {
    let place = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let authority = Authority::in_directory(place.path());
    let site = Site::start(&authority).await;
    let key = Key::new("k", Algorithm::ES256);
    site.answers(200, &jwks(&[&key]));
    let stranger = Authority::in_directory(other.path()).authority;
    let keys = Keys::Url { url: site.url().into(), authorities: Some(stranger) };
    let world = World::of(vec![("issuer", Kind::Tokens(settings(keys)))]);
    assert_eq!(world.token(&key.sign(&claims()), None).await, Told::Unavailable);
    assert_eq!(site.asked(), 0);
    let keys = Keys::Url { url: "http://127.0.0.1/jwks".into(), authorities: Some(authority.authority.clone()) };
    assert!(World::try_of(vec![("issuer", Kind::Tokens(settings(keys)))]).is_err());
}

#[tokio::test]
async fn accounts_are_known_elsewhere() {
    let place = tempfile::tempdir().unwrap();
    let key = Key::new("k", Algorithm::ES256);
    let file = "account alice\n  group staff\n  address alice@corp.example\naccount bob\n  suspended\naccount carol\n";
    let file = secret_file(place.path(), "accounts", file);
    let path = secret_file(place.path(), "jwks.json", &jwks(&[&key]));
    let tokens = Tokens { accounts: Some("people".into()), ..settings(Keys::File(path)) };
    let world = World::of(vec![("people", Kind::File(file)), ("issuer", Kind::Tokens(tokens.clone()))]);
    let sign = |name: &str| key.sign(&with("email", json!(name)));
    let alice = world.token(&sign("alice@corp.example"), None).await.account();
    assert_eq!((&*alice.name, &*alice.groups), ("alice", &["staff".into()][..]));
    assert_eq!(&*world.token(&sign("alice@corp.example"), Some("alice")).await.account().name, "alice");
    assert_eq!(world.token(&sign("alice@corp.example"), Some("carol")).await, WRONG);
    assert_eq!(world.token(&sign("bob"), None).await, crate::world::SUSPENDED);
    assert_eq!(world.token(&sign("eve"), None).await, WRONG, "nobody the organization knows");
    let nowhere = Tokens { accounts: Some("nowhere".into()), ..tokens };
    assert!(World::try_of(vec![("issuer", Kind::Tokens(nowhere))]).is_err());
}

//! What may not be told from what, and what may not be seen (conformance row 13: unknown users).

use crate::{account, certificate, link, scram_keys, setting};
use base64ct::{Base64, Encoding};
use identity::{
    Conversation, Exchange, Failure, Finding, Inquiry, Mechanism, No, ScramKeys, Secret, Setting, Step, Why,
};

/// What the client sees of a try with a wrong proof: every challenge, and how it ends without the reason,
/// which is for the log.
fn seen(name: &str, finding: Finding, entropy: [u8; 32]) -> Vec<String> {
    let mut exchange = Exchange::new(Mechanism::ScramSha256, Setting { entropy, ..setting() });
    let Step::Inquire(Inquiry::ScramKeys { .. }) = exchange.respond(Some(format!("n,,n={name},r=q").as_bytes())) else {
        panic!("nobody is asked")
    };
    let Step::Challenge(first) = exchange.found(finding) else { panic!("no challenge") };
    let first = String::from_utf8(first).unwrap();
    let nonce = first.split(',').next().unwrap().strip_prefix("r=").unwrap();
    let last = format!("c=biws,r={nonce},p={}", Base64::encode_string(&[1; 32]));
    let end = match exchange.respond(Some(last.as_bytes())) {
        Step::Failed(Failure::Refused { secret: None, .. }) => "refused".to_owned(),
        other => format!("{other:?}"),
    };
    vec![first.replace(nonce, "NONCE"), end]
}

#[test]
fn an_account_that_does_not_exist_looks_like_a_wrong_password() {
    let without_salt = |seen: &[String]| {
        let (front, rest) = seen[0].split_once(",s=").unwrap();
        let (salt, back) = rest.split_once(',').unwrap();
        (front.to_owned(), Base64::decode_vec(salt).unwrap().len(), back.to_owned(), seen[1].clone())
    };
    let real = seen("alice", scram_keys("alice", "secret"), [1; 32]);
    for no in [No::Unknown, No::NoSecret, No::Suspended, No::Wrong] {
        let first = seen("nobody", Finding::No(no), [2; 32]);
        assert_eq!(without_salt(&first), without_salt(&real), "{no:?}");
        // The same at each try, however it is spelt, as that of an account is.
        for name in ["nobody", "NOBODY", "No\u{ad}body"] {
            assert_eq!(seen(name, Finding::No(no), [3; 32]), first, "{name} {no:?}");
        }
        assert_ne!(seen("nobody2", Finding::No(no), [2; 32])[0], first[0], "a salt of its own");
    }
    assert_eq!(seen("alice", scram_keys("alice", "secret"), [4; 32]), real);
}

/// Another server shows other salts, and nobody can compute them.
#[test]
fn what_is_shown_of_nobody_rests_on_a_secret() {
    let shown = |decoy: &str| {
        let mut exchange = Exchange::new(Mechanism::ScramSha256, Setting { decoy: Secret::from(decoy), ..setting() });
        exchange.respond(Some(b"n,,n=nobody,r=q"));
        match exchange.found(Finding::No(No::Unknown)) {
            Step::Challenge(octets) => octets,
            other => panic!("{other:?}"),
        }
    };
    assert_ne!(shown("one"), shown("two"));
}

#[test]
fn every_no_is_the_same_to_the_guessing_defence() {
    let end = |mechanism, said: &[&[u8]], no| {
        let mut exchange = Exchange::new(mechanism, setting());
        let mut steps = said.iter().map(|octets| exchange.respond(Some(octets))).collect::<Vec<_>>();
        assert!(matches!(steps.pop(), Some(Step::Inquire(_))));
        match exchange.found(Finding::No(no)) {
            Step::Failed(Failure::Refused { secret: Some(digest), .. }) => digest,
            other => panic!("{other:?}"),
        }
    };
    let plain = |said: &[u8], no| end(Mechanism::Plain, &[said], no);
    let digest = plain(b"\0alice\0wrong", No::Wrong);
    assert_eq!(plain(b"\0alice\0wrong", No::Wrong), digest, "tried again");
    assert_eq!(plain(b"\0nobody\0wrong", No::Unknown), digest, "for another account");
    assert_eq!(end(Mechanism::Login, &[b"alice", b"wrong"], No::Wrong), digest, "by another mechanism");
    assert_ne!(plain(b"\0alice\0Wrong", No::Wrong), digest, "a new guess");
    assert_eq!(Secret::from("wrong").digest(&Secret::from(crate::DECOY)), digest);
    assert_ne!(Secret::from("wrong").digest(&Secret::from("another server")), digest);
}

#[test]
fn no_debug_form_shows_a_secret() {
    const MARK: &str = "geheimnis";
    let secret = || Secret::from(MARK);
    let keys = ScramKeys {
        salt: MARK.as_bytes().into(),
        iterations: 4096,
        stored_key: *b"geheimnis.geheimnis.geheimnis.ge",
        server_key: secret(),
    };
    let mut bound = (*link(true, Some(certificate(&["a"]))).unwrap()).clone();
    bound.exporter = Some(keys.stored_key);
    bound.end_point = MARK.as_bytes().into();
    let setting = Setting { decoy: secret(), entropy: keys.stored_key, link: Some(bound.into()), ..setting() };
    let conversation = || Conversation(Box::new(MARK));
    let refused = |digest| Failure::Refused { name: Some("alice".into()), secret: Some(digest), why: Why::Proof };
    let shown = [
        format!("{keys:?}"),
        format!("{setting:?}"),
        format!("{:?}", setting.link),
        format!("{:?}", Exchange::new(Mechanism::Plain, setting.clone())),
        format!("{:?}", Step::Challenge(MARK.into())),
        format!("{:?}", Step::Inquire(Inquiry::Password { name: "alice".into(), password: secret() })),
        format!("{:?}", Step::Inquire(Inquiry::Token { name: None, token: secret() })),
        format!("{:?}", Step::Failed(refused(0x6765_6865_696d_6e69))),
        format!("{:?}", Finding::ScramKeys(keys.clone(), account("alice"))),
        format!("{:?}", Finding::NtHash(secret(), account("alice"))),
        format!("{:?}", Finding::Challenge(MARK.into(), conversation())),
    ];
    let octets = format!("{:?}", MARK.as_bytes());
    let octets = octets.trim_matches(['[', ']']);
    for text in shown {
        assert!(!text.contains(MARK) && !text.contains(octets), "{text}");
        assert!(!text.contains(&0x6765_6865_696d_6e69_u64.to_string()), "{text}");
    }
    assert_ne!(refused(1), refused(2), "the digest counts, unseen");
}

/// What a failed exchange has been told does not outlive its end: a kept exchange knows nothing more.
#[test]
fn nothing_follows_from_an_exchange_that_has_ended() {
    for mechanism in Mechanism::ALL {
        let mut exchange = Exchange::new(mechanism, setting());
        let mut last = exchange.respond(Some(&[b'x'; 10_000]));
        assert!(matches!(last, Step::Failed(Failure::Malformed)), "{mechanism}: {last:?}");
        for _ in 0..300 {
            last = exchange.respond(Some(b"\0alice\0secret"));
        }
        assert!(matches!(last, Step::Failed(_)));
        assert!(matches!(exchange.found(Finding::Account(account("alice"))), Step::Failed(_)));
    }
}

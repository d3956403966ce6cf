//! Any input at all, in any order: no panic, no proof without a directory's word, nothing after the end.

use crate::{account, certificate, link, setting};
use identity::{Credential, Exchange, Failure, Finding, Link, Mechanism, No, ScramKeys, Secret, Setting, Step};
use proptest::prelude::*;
use std::sync::Arc;

/// What may be done to an exchange.
#[derive(Clone, Debug)]
enum Deed {
    Respond(Option<Vec<u8>>),
    Find(u8),
}

/// Pieces of what clients say, and octets of no kind.
fn said() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        &b"\0"[..],
        b"alice",
        b"n,,",
        b"y,,",
        b"p=tls-exporter,,",
        b"n=alice,r=q",
        b"a=alice",
        b",",
        b"=",
        b"=2C",
        b"c=biws",
        b",r=qdGhpcnR5LXR3byBvY3RldHMgbm9ib2R5IGd1ZXNzZXM",
        b"p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        b"\x01",
        b"auth=Bearer t",
        b"user=alice",
        b"m=x",
        b"\xff",
        b"NTLMSSP\0\x01\0\0\0",
        b"\x60\x06\x06\x04+",
    ]);
    prop_oneof![
        3 => prop::collection::vec(pieces, 0..6).prop_map(|pieces| pieces.concat()),
        1 => prop::collection::vec(any::<u8>(), 0..64),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => said().prop_map(|octets| Deed::Respond(Some(octets))),
        1 => Just(Deed::Respond(None)),
        2 => (0u8..7).prop_map(Deed::Find),
    ]
}

/// A finding, and whether it says that somebody has proved who it is.
fn finding(number: u8) -> (Finding, bool) {
    let keys = ScramKeys { salt: [1; 16].into(), iterations: 4096, stored_key: [9; 32], server_key: Secret::from("k") };
    match number {
        0 => (Finding::Account(account("alice")), true),
        1 => (Finding::Principal("alice@CORP.EXAMPLE".into(), None), true),
        2 => (Finding::No(No::Unknown), false),
        3 => (Finding::No(No::Wrong), false),
        4 => (Finding::ScramKeys(keys, account("alice")), false),
        5 => (Finding::NtHash(Secret::from("sixteen octets.."), account("alice")), false),
        _ => (Finding::Unavailable, false),
    }
}

fn link_of(number: u8) -> Option<Arc<Link>> {
    match number {
        0 => None,
        1 => link(false, None),
        2 => link(true, None),
        _ => link(true, Some(certificate(&["alice"]))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_proved_but_by_what_was_found(
        mechanism in prop::sample::select(Mechanism::ALL.to_vec()),
        tls in 0u8..4,
        plus_offered: bool,
        deeds in prop::collection::vec(deed(), 0..12),
    ) {
        let mut exchange = Exchange::new(mechanism, Setting { link: link_of(tls), plus_offered, ..setting() });
        let (mut ended, mut asked, mut yes) = (false, false, false);
        for deed in deeds {
            let was_asked = std::mem::take(&mut asked);
            let step = match deed {
                Deed::Respond(said) => exchange.respond(said.as_deref()),
                Deed::Find(number) => {
                    let (finding, good) = finding(number);
                    yes |= was_asked && good;
                    exchange.found(finding)
                }
            };
            match step {
                Step::Proved(proof) => {
                    let by_certificate = matches!(proof.credential, Credential::Certificate(_)) && tls == 3;
                    prop_assert!(!ended && was_asked && (yes || by_certificate), "{mechanism}");
                    prop_assert!(yes || proof.account.is_none());
                    ended = true;
                }
                Step::Failed(_) => ended = true,
                Step::Challenge(octets) => prop_assert!(!ended && octets.len() <= 9216),
                Step::Inquire(_) => {
                    prop_assert!(!ended);
                    asked = true;
                }
            }
            prop_assert!(!ended || exchange.decided().is_none());
        }
    }

    /// A wrong proof is never proved, whatever else is said.
    #[test]
    fn no_guess_proves_scram(proof: [u8; 32]) {
        use base64ct::{Base64, Encoding};
        let mut exchange = Exchange::new(Mechanism::ScramSha256, setting());
        exchange.respond(Some(b"n,,n=alice,r=q"));
        exchange.found(finding(4).0);
        let said = format!(
            "c=biws,r=qdGhpcnR5LXR3byBvY3RldHMgbm9ib2R5IGd1ZXNzZXM,p={}", Base64::encode_string(&proof)
        );
        let step = exchange.respond(Some(said.as_bytes()));
        prop_assert!(matches!(step, Step::Failed(Failure::Refused { .. })), "{step:?}");
    }
}

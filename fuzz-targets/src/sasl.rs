//! Any sequence of responses and findings, for every mechanism: nobody is proved without the word of a
//! directory, nothing follows the end, challenges fit a line, and what directories are asked about could
//! stand in a file or a log.

pub(crate) mod bearer;
pub(crate) mod ntlm;
pub(crate) mod password;
pub(crate) mod scram;

use crate::input::{Input, has_control};
use identity::{
    ClientCertificate, Conversation, Credential, Exchange, Failure, Finding, Inquiry, Link, Mechanism, No, Protection,
    ScramKeys, Secret, Setting, Step,
};
use mail::Account;
use std::sync::Arc;

/// What a line of 12288 octets carries in base64 (RFC 4954 §4).
const CHALLENGE_OCTETS: usize = 9216;

/// Inquiries and challenges of one exchange, at the most: each response asks once or twice.
const STEPS: usize = 32;

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input(octets);
    let mechanism = Mechanism::ALL[usize::from(input.octet()) % Mechanism::ALL.len()];
    let flags = input.octet();
    let has_certificate = flags & 3 == 3;
    let mut exchange = Exchange::new(mechanism, setting(flags));
    let (mut ended, mut asked, mut yes, mut steps) = (false, false, false, 0);
    while !input.is_empty() {
        let step = match input.octet() {
            0 => exchange.respond(None),
            1 => exchange.respond(Some(&vec![input.octet(); input.wide()])),
            kind @ 2..=10 => {
                let (finding, good) = finding(kind, input.counted());
                yes |= asked && good;
                asked = false;
                exchange.found(finding)
            }
            _ => exchange.respond(Some(input.counted())),
        };
        assert!(!ended || matches!(step, Step::Failed(_)), "something follows the end: {step:?}");
        if let Step::Failed(failure) = &step {
            check_failure(failure);
        }
        match step {
            Step::Challenge(octets) => assert!(octets.len() <= CHALLENGE_OCTETS),
            Step::Inquire(inquiry) => {
                asked = true;
                check(&inquiry);
            }
            Step::Proved(proof) => {
                let shown = has_certificate && matches!(proof.credential, Credential::Certificate(_));
                assert!(yes || shown && proof.account.is_none(), "{mechanism}: {proof:?}");
                ended = true;
            }
            Step::Failed(_) => ended = true,
        }
        assert!(!ended || exchange.decided().is_none());
        steps += usize::from(!ended);
        assert!(steps <= STEPS, "{mechanism} does not end");
    }
}

/// A server whose secrets are always the same; `flags` say what is known about the link.
fn setting(flags: u8) -> Setting {
    let certificate =
        ClientCertificate { names: Box::new(["mx.test".into(), "a@b.test".into()]), fingerprint: [5; 32] };
    let link = Link {
        exporter: (flags & 4 == 4).then_some([3; 32]),
        end_point: vec![4; 32].into(),
        certificate: (flags & 2 == 2).then(|| Arc::new(certificate)),
    };
    Setting {
        entropy: [1; 32],
        decoy: Secret::from("decoy"),
        link: (flags & 1 == 1).then(|| Arc::new(link)),
        plus_offered: flags & 8 == 8,
        protection: if flags & 16 == 16 { Protection::Required } else { Protection::WhenGiven },
        hostname: "mx.test".into(),
        ntlm_here: flags & 32 == 32,
        now: 1_795_000_000,
    }
}

/// A finding, and whether it alone says that somebody has proved who it is. Keys do not: nobody knows
/// what they were made of.
fn finding(kind: u8, octets: &[u8]) -> (Finding, bool) {
    let account = Arc::new(Account::named("alice"));
    match kind {
        2 => (Finding::Account(account), true),
        3 => (Finding::Principal(String::from_utf8_lossy(octets).into(), None), true),
        4 => {
            let iterations = octets.first().map_or(4096, |octet| u32::from(*octet));
            let server_key = Secret::from("server key");
            (
                Finding::ScramKeys(
                    ScramKeys { salt: octets.into(), iterations, stored_key: [6; 32], server_key },
                    account,
                ),
                false,
            )
        }
        5 => (Finding::NtHash(Secret::from(octets), account), false),
        6 => (Finding::Challenge(octets.to_vec(), Conversation(Box::new(()))), false),
        7 => (Finding::Challenge(octets.repeat(50), Conversation(Box::new(()))), false),
        8 => (Finding::No(No::Unknown), false),
        9 => (Finding::No(No::Wrong), false),
        _ => (Finding::Unavailable, false),
    }
}

/// Whether a directory can be asked this: whatever is in it is bounded, and a name is one line.
fn check(inquiry: &Inquiry) {
    match inquiry {
        Inquiry::Password { name, password } => {
            check_name(name);
            assert!((1..=1024).contains(&password.expose().len()) && !password.expose().contains(&0));
        }
        Inquiry::ScramKeys { name } => check_name(name),
        Inquiry::NtHash { name, domain } => assert!(!has_control(name) && !has_control(domain)),
        Inquiry::Certificate { name, .. } => name.iter().for_each(|name| check_name(name)),
        Inquiry::Token { token, name } => {
            name.iter().for_each(|name| check_name(name));
            assert!(!token.expose().is_empty() && token.expose().iter().all(u8::is_ascii_graphic));
        }
        Inquiry::Converse { octets, .. } => assert!(octets.expose().len() <= CHALLENGE_OCTETS),
        Inquiry::Recipient { .. } | Inquiry::Account { .. } => {
            panic!("a mechanism asks about somebody without a proof")
        }
    }
}

fn check_name(name: &str) {
    assert!((1..=1024).contains(&name.len()) && !has_control(name), "{name:?}");
}

/// What stands in a failure goes to the log.
fn check_failure(failure: &Failure) {
    if let Failure::Refused { name: Some(name), .. } = failure {
        check_name(name);
    }
}

//! The mechanisms from outside: dialogs that are written down, clients of other people, any input at
//! all, and what may not be told from what.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod dialogs;
mod peers;
mod properties;
mod secrecy;

use identity::{ClientCertificate, Finding, Link, Protection, ScramKeys, Secret, Setting};
use mail::Account;
use std::sync::Arc;

/// The secret of the server in every test.
const DECOY: &str = "a secret of this server";

const SALT: [u8; ScramKeys::SALT_OCTETS] = *b"sixteen octets..";

/// A server in the clear. Its part of every nonce is the same.
fn setting() -> Setting {
    Setting {
        entropy: *b"thirty-two octets nobody guesses",
        decoy: Secret::from(DECOY),
        link: None,
        plus_offered: false,
        protection: Protection::WhenGiven,
        hostname: "mx.test".into(),
        ntlm_here: true,
        now: 1_795_000_000,
    }
}

fn link(exporter: bool, certificate: Option<ClientCertificate>) -> Option<Arc<Link>> {
    let exporter = exporter.then_some(*b"this is what tls-exporter gives!");
    let end_point = Box::from(&b"this is the hash of our own cert"[..]);
    Some(Arc::new(Link { exporter, end_point, certificate: certificate.map(Arc::new) }))
}

fn certificate(names: &[&str]) -> ClientCertificate {
    ClientCertificate { names: names.iter().map(|name| Box::from(*name)).collect(), fingerprint: [7; 32] }
}

fn account(name: &str) -> Arc<Account> {
    Arc::new(Account::named(name))
}

/// What a directory finds that knows this account by this password.
fn scram_keys(name: &str, password: &str) -> Finding {
    Finding::ScramKeys(ScramKeys::from_password(password, &SALT, ScramKeys::ITERATIONS).unwrap(), account(name))
}

//! PLAIN and LOGIN: what a directory is asked is what the client wrote, no more and no less.

use super::setting;
use crate::input::{Input, has_control};
use identity::{Exchange, Failure, Inquiry, Mechanism, Step, Why};

pub(crate) fn run(octets: &[u8]) {
    plain(octets);
    let mut input = Input(octets);
    let name = input.counted();
    login(name, input.0);
}

/// One response against a second reader of RFC 4616 §2.
fn plain(octets: &[u8]) {
    let fields: Vec<&[u8]> = octets.split(|octet| *octet == 0).collect();
    let expected = match fields[..] {
        [actor, name, password] if is_name(name) && is_password(password) => Some((actor, name, password)),
        _ => None,
    };
    let mut exchange = Exchange::new(Mechanism::Plain, setting(0));
    let step = exchange.respond(Some(octets));
    match expected {
        None => assert!(matches!(step, Step::Failed(Failure::Malformed)), "{step:?}"),
        Some((actor, name, _)) if !actor.is_empty() && actor != name => {
            assert!(matches!(step, Step::Failed(Failure::Refused { why: Why::ForAnother, .. })), "{step:?}");
        }
        Some((_, name, password)) => asks(&step, name, password),
    }
}

fn login(name: &[u8], password: &[u8]) {
    let mut exchange = Exchange::new(Mechanism::Login, setting(0));
    match exchange.respond(Some(name)) {
        Step::Challenge(challenge) => assert!(is_name(name) && challenge == b"Password:"),
        step => return assert!(!is_name(name) && matches!(step, Step::Failed(Failure::Malformed)), "{step:?}"),
    }
    let step = exchange.respond(Some(password));
    if is_password(password) && !password.contains(&0) {
        asks(&step, name, password);
    } else {
        assert!(matches!(step, Step::Failed(Failure::Malformed)), "{step:?}");
    }
}

fn asks(step: &Step, name: &[u8], password: &[u8]) {
    match step {
        Step::Inquire(Inquiry::Password { name: asked, password: shown }) => {
            assert!(asked.as_bytes() == name && shown.expose() == password && !password.is_empty());
        }
        Step::Failed(Failure::Refused { why: Why::Weak, .. }) => assert!(password.is_empty()),
        step => panic!("{step:?}"),
    }
}

fn is_name(name: &[u8]) -> bool {
    (1..=1024).contains(&name.len()) && std::str::from_utf8(name).is_ok_and(|name| !has_control(name))
}

fn is_password(password: &[u8]) -> bool {
    password.len() <= 1024 && std::str::from_utf8(password).is_ok()
}

//! Messages of NTLM: whatever is in them, nobody is proved who does not know the hash, and what a
//! directory is asked about is a name.

use super::{check, check_failure, setting};
use crate::input::Input;
use identity::{Exchange, Finding, Inquiry, Mechanism, Secret, Step};
use mail::Account;
use std::sync::Arc;

/// A first message as Windows sends it.
pub(crate) const NEGOTIATE: &[u8] =
    b"NTLMSSP\0\x01\0\0\0\x97\x82\x08\xe2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0a\0\x63\x45\0\0\0\x0f";

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input(octets);
    let (flags, first) = (input.octet(), input.flag());
    let mut exchange = Exchange::new(Mechanism::Ntlm, setting(flags | 32));
    let step = exchange.respond(Some(if first { input.0 } else { NEGOTIATE }));
    match step {
        Step::Challenge(challenge) => assert!(challenge.starts_with(b"NTLMSSP\0\x02\0\0\0") && challenge.len() < 2048),
        Step::Failed(failure) => return check_failure(&failure),
        step => panic!("{step:?}"),
    }
    let step = exchange.respond(Some(input.0));
    if let Step::Inquire(inquiry) = &step {
        assert!(matches!(inquiry, Inquiry::NtHash { name, .. } if !name.is_empty()));
        check(inquiry);
        let hash = Finding::NtHash(Secret::from(&b"an unknown hash."[..]), Arc::new(Account::named("alice")));
        let Step::Failed(failure) = exchange.found(hash) else { panic!("nobody knows the hash") };
        return check_failure(&failure);
    }
    let Step::Failed(failure) = step else { panic!("{step:?}") };
    check_failure(&failure);
}

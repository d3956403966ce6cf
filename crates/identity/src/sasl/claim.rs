//! What a client claims, and how an exchange ends that asked a directory about it. One place for all
//! mechanisms, so that a yes means the same everywhere and every no looks the same.

use crate::exchange::{Credential, Failure, Proof, Step, Why};
use crate::inquiry::{Finding, Inquiry};
use crate::secret::Secret;
use mail::Account;
use std::sync::Arc;

/// Octets of a name or password; RFC 4616 §2 wants room for 255.
pub(super) const FIELD_OCTETS: usize = 1024;

/// Which account a client says it is, and a digest of the secret it has shown.
#[derive(Default)]
pub(super) struct Claim {
    /// The account as the client spelt it; `None` if it has not said.
    pub(super) name: Option<Box<str>>,
    /// [`crate::Secret::digest`] of what it has shown.
    pub(super) digest: Option<u64>,
}

impl Claim {
    /// The claim to be `name`, before any secret.
    pub(super) fn of(name: &str) -> Claim {
        Claim { name: Some(name.into()), digest: None }
    }

    /// Asks whether `password` proves it. An empty one is refused here: to a directory it could mean an
    /// anonymous bind, which succeeds (RFC 4513 §5.1.2).
    pub(super) fn asked(&mut self, password: &[u8], decoy: &Secret) -> Step {
        let secret = Secret::from(password);
        self.digest = Some(secret.digest(decoy));
        match &self.name {
            Some(name) if !password.is_empty() => {
                Step::Inquire(Inquiry::Password { name: name.clone(), password: secret })
            }
            _ => self.refused(Why::Weak),
        }
    }

    /// The failure to prove it.
    pub(super) fn failure(&self, why: Why) -> Failure {
        Failure::Refused { name: self.name.clone(), secret: self.digest, why }
    }

    /// The end: it is not proved.
    pub(super) fn refused(&self, why: Why) -> Step {
        Step::Failed(self.failure(why))
    }

    /// The end that a directory's answer makes. A finding that answers another question is no yes: it
    /// has not been found out.
    pub(super) fn judged(&self, finding: Finding) -> Step {
        match finding {
            Finding::Account(account) => proved(Credential::Account(account.name.clone()), account),
            Finding::No(no) => self.refused(Why::Directory(no)),
            _ => Step::Failed(Failure::Unavailable),
        }
    }
}

/// The end: `credential` proves that the client is `account`.
pub(super) fn proved(credential: Credential, account: Arc<Account>) -> Step {
    Step::Proved(Proof { credential, account: Some(account) })
}

/// The end: it does not follow the mechanism.
pub(super) fn malformed() -> Step {
    Step::Failed(Failure::Malformed)
}

/// The name of an account as a client writes it: UTF-8, bounded, and nothing in it that could end a
/// line of a log, a file or a helper (conformance row 15). It is not prepared or folded: which
/// spellings are the same account is for the directories to know.
pub(super) fn name(octets: &[u8]) -> Option<&str> {
    let name = str::from_utf8(octets).ok()?;
    let fits = (1..=FIELD_OCTETS).contains(&name.len()) && !name.chars().any(char::is_control);
    fits.then_some(name)
}

/// saslname (RFC 5801 §4): `=2C` is a comma, `=3D` an equals sign, and nothing else follows one.
pub(super) fn sasl_name(text: &str) -> Option<Box<str>> {
    let mut pieces = text.split('=');
    let mut written = String::from(pieces.next()?);
    for piece in pieces {
        let (sign, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return None,
        };
        written.push(sign);
        written.push_str(rest);
    }
    name(written.as_bytes()).map(Box::from)
}

/// A password as a client writes it: UTF-8 without NUL (RFC 4616 §2), bounded. An empty one is a wrong one
/// ([`Claim::asked`]), not a malformed one: somebody pressed the key too early.
pub(super) fn password(octets: &[u8]) -> Option<&[u8]> {
    let fits = octets.len() <= FIELD_OCTETS && !octets.contains(&0);
    (fits && str::from_utf8(octets).is_ok()).then_some(octets)
}

//! PLAIN (RFC 4616): the account and its password in one response.

use crate::exchange::{Credential, Failure, Proof, Step, Steps, Why};
use crate::inquiry::{Finding, Inquiry};
use crate::secret::Secret;

/// Octets of a name or password; RFC 4616 §2 wants room for 255.
const FIELD_OCTETS: usize = 1024;

/// PLAIN.
#[derive(Debug, Default)]
pub(super) struct Plain {
    name: Box<str>,
}

impl Steps for Plain {
    fn respond(&mut self, response: Option<&[u8]>) -> Step {
        let Some(response) = response else { return Step::Challenge(Vec::new()) };
        let mut fields = response.split(|&octet| octet == 0);
        let (Some(zid), Some(name), Some(password), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Step::Failed(Failure::Malformed);
        };
        let (Ok(name), true) = (str::from_utf8(name), password.len() <= FIELD_OCTETS && name.len() <= FIELD_OCTETS)
        else {
            return Step::Failed(Failure::Malformed);
        };
        if name.is_empty() || password.is_empty() || str::from_utf8(password).is_err() {
            return Step::Failed(Failure::Malformed);
        }
        self.name = name.into();
        if !zid.is_empty() && zid != name.as_bytes() {
            return Step::Failed(Failure::Refused { name: Some(name.into()), secret: None, why: Why::ForAnother });
        }
        Step::Inquire(Inquiry::Password { name: name.into(), password: Secret::from(password) })
    }

    fn found(&mut self, finding: Finding) -> Step {
        match finding {
            Finding::Account(account) => {
                Step::Proved(Proof { credential: Credential::Account(account.name.clone()), account: Some(account) })
            }
            Finding::No(no) => {
                Step::Failed(Failure::Refused { name: Some(self.name.clone()), secret: None, why: Why::Directory(no) })
            }
            _ => Step::Failed(Failure::Unavailable),
        }
    }
}

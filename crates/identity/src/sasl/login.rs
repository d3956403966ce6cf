//! LOGIN (draft-murchison-sasl-login): the account, then its password, each after a challenge that
//! old clients compare word for word.

use super::claim::{self, Claim};
use crate::exchange::{Setting, Step, Steps};
use crate::inquiry::Finding;
use crate::secret::Secret;

/// LOGIN.
pub(super) struct Login {
    decoy: Secret,
    claim: Option<Claim>,
}

impl Login {
    pub(super) fn new(setting: Setting) -> Login {
        Login { decoy: setting.decoy, claim: None }
    }
}

impl Steps for Login {
    fn respond(&mut self, response: Option<&[u8]>) -> Step {
        match (&mut self.claim, response) {
            (None, None) => Step::Challenge(b"Username:".to_vec()),
            // The initial response is the name: Outlook sends it so.
            (None, Some(name)) => match claim::name(name) {
                Some(name) => {
                    self.claim = Some(Claim::of(name));
                    Step::Challenge(b"Password:".to_vec())
                }
                None => claim::malformed(),
            },
            (Some(claim), Some(password)) => match claim::password(password) {
                Some(password) => claim.asked(password, &self.decoy),
                None => claim::malformed(),
            },
            (Some(_), None) => claim::malformed(),
        }
    }

    fn found(&mut self, finding: Finding) -> Step {
        match &self.claim {
            Some(claim) => claim.judged(finding),
            None => claim::malformed(),
        }
    }
}

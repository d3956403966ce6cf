//! PLAIN (RFC 4616): the account and its password in one response.

use super::claim::{self, Claim};
use crate::exchange::{Setting, Step, Steps, Why};
use crate::inquiry::Finding;
use crate::secret::Secret;

/// PLAIN.
pub(super) struct Plain {
    decoy: Secret,
    claim: Claim,
}

impl Plain {
    pub(super) fn new(setting: Setting) -> Plain {
        Plain { decoy: setting.decoy, claim: Claim::default() }
    }
}

impl Steps for Plain {
    fn respond(&mut self, response: Option<&[u8]>) -> Step {
        let Some(response) = response else { return Step::Challenge(Vec::new()) };
        // RFC 4616 §2: message = [authzid] UTF8NUL authcid UTF8NUL passwd
        let mut fields = response.split(|&octet| octet == 0);
        let (Some(actor), Some(name), Some(password), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return claim::malformed();
        };
        let (Some(name), Some(password)) = (claim::name(name), claim::password(password)) else {
            return claim::malformed();
        };
        self.claim = Claim::of(name);
        // Octet by octet, as the client spelt both: whoever means one account writes one name.
        if !actor.is_empty() && actor != name.as_bytes() {
            return self.claim.refused(Why::ForAnother);
        }
        self.claim.asked(password, &self.decoy)
    }

    fn found(&mut self, finding: Finding) -> Step {
        self.claim.judged(finding)
    }
}

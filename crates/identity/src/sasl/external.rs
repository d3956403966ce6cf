//! EXTERNAL (RFC 4422 appendix A): the client is who its certificate says, which TLS has verified.

use super::claim::{self, Claim};
use crate::exchange::{ClientCertificate, Credential, Failure, Proof, Setting, Step, Steps, Why};
use crate::inquiry::{Finding, Inquiry, No};
use std::sync::Arc;

/// EXTERNAL.
pub(super) struct External {
    certificate: Option<Arc<ClientCertificate>>,
    claim: Claim,
}

impl External {
    pub(super) fn new(setting: Setting) -> External {
        let certificate = setting.link.and_then(|link| link.certificate.clone());
        External { certificate, claim: Claim::default() }
    }
}

impl Steps for External {
    fn respond(&mut self, response: Option<&[u8]>) -> Step {
        let Some(response) = response else { return Step::Challenge(Vec::new()) };
        if !response.is_empty() {
            let Some(name) = claim::name(response) else { return claim::malformed() };
            self.claim = Claim::of(name);
        }
        let Some(certificate) = self.certificate.clone() else { return self.claim.refused(Why::NoCertificate) };
        Step::Inquire(Inquiry::Certificate { certificate, name: self.claim.name.clone() })
    }

    fn found(&mut self, finding: Finding) -> Step {
        let Some(certificate) = self.certificate.clone() else { return claim::malformed() };
        let account = match finding {
            Finding::Account(account) => Some(account),
            // A certificate that no directory knows proves its own names: those of a peer.
            Finding::No(No::Unknown) => None,
            Finding::No(no) => return self.claim.refused(Why::Directory(no)),
            _ => return Step::Failed(Failure::Unavailable),
        };
        // A name that the client has given must be one that the certificate has, or that of the account
        // it belongs to. ASCII case does not count, as in the host names and accounts it is.
        if let Some(said) = &self.claim.name {
            let is_one = |name: &str| name.eq_ignore_ascii_case(said);
            let known = account.as_ref().is_some_and(|account| is_one(&account.name));
            if !known && !certificate.names.iter().any(|name| is_one(name)) {
                return self.claim.refused(Why::ForAnother);
            }
        }
        Step::Proved(Proof { credential: Credential::Certificate(certificate), account })
    }
}

//! NTLM (MS-NLMP, framed as MS-SMTPNTLM has it): three messages, of which the third proves that the
//! client knows the NT hash of the account.
//!
//! Only NTLMv2 with a message integrity code is accepted: every client since Windows 7 sends one when the
//! challenge carries a time, and ours always does. What is older or empty is refused before anybody is
//! asked. An account that does not exist costs the same work as one that does. Accounts of a Windows
//! domain are checked by the domain: then the messages go there, and are held to the same demands here.

mod challenge;
mod message;
mod proof;
#[cfg(test)]
mod tests;

use self::message::{Authenticate, Fault};
use crate::exchange::{Credential, Failure, Proof, Protection, Setting, Step, Steps, Why};
use crate::inquiry::{Conversation, Finding, Inquiry, Package};
use crate::secret::Secret;
use mail::Account;
use std::sync::Arc;

/// NTLM.
pub(super) struct Ntlm {
    setting: Setting,
    state: State,
}

/// How far the exchange is.
enum State {
    /// The client has yet to begin.
    Fresh,
    /// The domain has been asked for a challenge.
    Beginning,
    /// A challenge is with the client.
    Challenged { shown: Shown },
    /// Somebody has been asked about the third message.
    Inquiring { claim: Box<Authenticate>, shown: Shown },
    /// It is over.
    Over,
}

/// What the client has been shown: by us, or by the domain.
enum Shown {
    /// The first two messages, which the third one answers.
    Ours { negotiate: Box<[u8]>, challenge: Box<[u8]> },
    /// The exchange that the domain holds.
    Theirs(Option<Conversation>),
}

impl Ntlm {
    pub(super) fn new(setting: Setting) -> Ntlm {
        Ntlm { setting, state: State::Fresh }
    }

    /// The first message of the client: what it can do.
    fn begin(&mut self, octets: &[u8]) -> Step {
        let offered = match message::negotiate(octets) {
            Ok(offered) => offered,
            Err(fault) => return failed(fault),
        };
        if !self.setting.ntlm_here {
            self.state = State::Beginning;
            return self.converse(None, octets);
        }
        let challenge = challenge::challenge(&self.setting, offered);
        let shown = Shown::Ours { negotiate: octets.into(), challenge: challenge.clone().into() };
        self.state = State::Challenged { shown };
        Step::Challenge(challenge)
    }

    /// The third message: the proof.
    fn prove(&mut self, octets: &[u8], shown: Shown) -> Step {
        let claim = match Authenticate::parse(octets) {
            Ok(claim) => Box::new(claim),
            Err(fault) => return failed(fault),
        };
        match shown {
            Shown::Theirs(conversation) => {
                self.state = State::Inquiring { claim, shown: Shown::Theirs(None) };
                self.converse(conversation, octets)
            }
            Shown::Ours { .. } => {
                let (name, domain) = (claim.name.clone(), claim.domain.clone());
                self.state = State::Inquiring { claim, shown };
                Step::Inquire(Inquiry::NtHash { name, domain })
            }
        }
    }

    fn converse(&self, conversation: Option<Conversation>, octets: &[u8]) -> Step {
        Step::Inquire(Inquiry::Converse {
            package: Package::Ntlm,
            conversation,
            octets: Secret::from(octets),
            link: self.setting.link.clone(),
            binding_required: self.setting.protection == Protection::Required,
        })
    }

    /// What a directory here knows of the account. The work is the same whatever it knows.
    fn check(&self, claim: &Authenticate, (negotiate, challenge): (&[u8], &[u8]), finding: Finding) -> Step {
        let (hash, known) = match finding {
            Finding::NtHash(hash, account) => (hash, Ok(account)),
            Finding::No(no) => (proof::decoy(&self.setting.decoy, &claim.name), Err(no)),
            _ => return Step::Failed(Failure::Unavailable),
        };
        let Ok(hash) = <&[u8; 16]>::try_from(hash.expose()) else {
            // Not an NT hash: the directory is damaged.
            return Step::Failed(Failure::Unavailable);
        };
        let good = proof::is_good(hash, claim, negotiate, challenge);
        match known {
            Err(no) => refused(claim, Why::Directory(no)),
            Ok(_) if !good => refused(claim, Why::Proof),
            Ok(account) => {
                let credential = Credential::Account(account.name.clone());
                self.bound(claim, Proof { credential, account: Some(account) })
            }
        }
    }

    /// What the domain says.
    fn said(&mut self, claim: &Authenticate, finding: Finding) -> Step {
        match finding {
            Finding::Principal(name, account) => self.bound(claim, principal(name, account)),
            Finding::Account(account) => self.bound(claim, principal(account.name.clone(), Some(account))),
            Finding::No(no) => refused(claim, Why::Directory(no)),
            _ => Step::Failed(Failure::Unavailable),
        }
    }

    /// Extended protection. It comes last, because only the proof says that the binding is the client's
    /// own; and a good proof on the wrong link is worth knowing about.
    fn bound(&self, claim: &Authenticate, proof: Proof) -> Step {
        let expected = self.setting.link.as_ref().map(|link| proof::binding(&link.end_point));
        let good = match claim.binding {
            Some(given) => expected == Some(given),
            None => self.setting.protection != Protection::Required,
        };
        if good { Step::Proved(proof) } else { refused(claim, Why::Binding) }
    }
}

impl Steps for Ntlm {
    fn respond(&mut self, response: Option<&[u8]>) -> Step {
        match (std::mem::replace(&mut self.state, State::Over), response) {
            // MS-SMTPNTLM §3.2.5: without an initial response, the client is told to go on.
            (State::Fresh, None) => {
                self.state = State::Fresh;
                Step::Challenge(Vec::new())
            }
            (State::Fresh, Some(octets)) => self.begin(octets),
            (State::Challenged { shown }, Some(octets)) => self.prove(octets, shown),
            _ => Step::Failed(Failure::Malformed),
        }
    }

    fn found(&mut self, finding: Finding) -> Step {
        match (std::mem::replace(&mut self.state, State::Over), finding) {
            (State::Beginning, Finding::Challenge(challenge, conversation)) => {
                self.state = State::Challenged { shown: Shown::Theirs(Some(conversation)) };
                Step::Challenge(challenge)
            }
            (State::Beginning, Finding::No(no)) => Step::Failed(refusal(None, Why::Directory(no))),
            (State::Inquiring { claim, shown: Shown::Ours { negotiate, challenge } }, finding) => {
                self.check(&claim, (&negotiate, &challenge), finding)
            }
            (State::Inquiring { claim, shown: Shown::Theirs(_) }, finding) => self.said(&claim, finding),
            _ => Step::Failed(Failure::Unavailable),
        }
    }
}

fn principal(name: Box<str>, account: Option<Arc<Account>>) -> Proof {
    Proof { credential: Credential::Principal(name), account }
}

fn refused(claim: &Authenticate, why: Why) -> Step {
    Step::Failed(refusal(Some(claim.name.clone()), why))
}

fn failed(fault: Fault) -> Step {
    Step::Failed(match fault {
        Fault::Malformed => Failure::Malformed,
        Fault::Weak(name) => refusal(name, Why::Weak),
    })
}

/// The proof hides the secret, so two of the same cannot be told.
fn refusal(name: Option<Box<str>>, why: Why) -> Failure {
    Failure::Refused { name, secret: None, why }
}

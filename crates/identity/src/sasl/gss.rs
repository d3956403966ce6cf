//! GSSAPI (RFC 4752) and GSS-SPNEGO: the tokens go to whoever holds the keys, and what comes back goes
//! to the client. What is in them is not read here; how many and how long they are, [`crate::Exchange`] sees to.

use crate::exchange::{Credential, Failure, Proof, Protection, Setting, Step, Steps, Why};
use crate::inquiry::{Conversation, Finding, Inquiry, Package};
use crate::secret::Secret;

/// An exchange that is held elsewhere.
pub(super) struct Relay {
    package: Package,
    setting: Setting,
    /// What the last step left, while it is the client's turn.
    conversation: Option<Conversation>,
}

impl Relay {
    pub(super) fn new(package: Package, setting: Setting) -> Relay {
        Relay { package, setting, conversation: None }
    }
}

impl Steps for Relay {
    fn respond(&mut self, response: Option<&[u8]>) -> Step {
        // RFC 4422 §3.3: the client speaks first, so it is asked to.
        let Some(octets) = response else { return Step::Challenge(Vec::new()) };
        let conversation = self.conversation.take();
        // The first token cannot be empty; a later one may be (RFC 4752 §3.1).
        if octets.is_empty() && conversation.is_none() {
            return Step::Failed(Failure::Malformed);
        }
        Step::Inquire(Inquiry::Converse {
            package: self.package,
            conversation,
            octets: Secret::from(octets),
            link: self.setting.link.clone(),
            binding_required: self.setting.protection == Protection::Required,
        })
    }

    fn found(&mut self, finding: Finding) -> Step {
        match finding {
            Finding::Challenge(octets, conversation) => {
                self.conversation = Some(conversation);
                Step::Challenge(octets)
            }
            Finding::Principal(name, account) => {
                Step::Proved(Proof { credential: Credential::Principal(name), account })
            }
            Finding::Account(account) => {
                Step::Proved(Proof { credential: Credential::Account(account.name.clone()), account: Some(account) })
            }
            Finding::No(no) => refused(Why::Directory(no)),
            Finding::ScramKeys(..) | Finding::NtHash(..) | Finding::Unavailable => Step::Failed(Failure::Unavailable),
        }
    }
}

/// A refusal names nobody: a token that is not good says nothing about whose it is.
fn refused(why: Why) -> Step {
    Step::Failed(Failure::Refused { name: None, secret: None, why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Exchange;
    use crate::exchange::Mechanism;
    use crate::inquiry::No;
    use mail::Account;
    use std::sync::Arc;

    fn exchange(mechanism: Mechanism, protection: Protection) -> Exchange {
        let setting = Setting {
            entropy: [7; 32],
            decoy: Secret::from("decoy"),
            link: None,
            plus_offered: false,
            protection,
            hostname: "mx.corp.example".into(),
            ntlm_here: false,
            now: 1_795_000_000,
        };
        Exchange::new(mechanism, setting)
    }

    fn asked(step: Step) -> (Package, Option<Conversation>, Vec<u8>, bool) {
        match step {
            Step::Inquire(Inquiry::Converse { package, conversation, octets, binding_required, .. }) => {
                (package, conversation, octets.expose().to_vec(), binding_required)
            }
            other => panic!("{other:?}"),
        }
    }

    fn challenge(octets: &[u8], mark: u32) -> Finding {
        Finding::Challenge(octets.to_vec(), Conversation(Box::new(mark)))
    }

    #[test]
    fn tokens_and_the_conversation_go_back_and_forth() {
        let mut exchange = exchange(Mechanism::Gssapi, Protection::Required);
        assert!(matches!(exchange.respond(None), Step::Challenge(empty) if empty.is_empty()));
        let (package, conversation, octets, required) = asked(exchange.respond(Some(b"one")));
        assert_eq!((package, octets.as_slice(), required), (Package::Gssapi, &b"one"[..], true));
        assert!(conversation.is_none());
        assert!(matches!(exchange.found(challenge(b"two", 42)), Step::Challenge(octets) if octets == b"two"));
        // RFC 4752 §3.1: the client has nothing more to say.
        let (_, conversation, octets, _) = asked(exchange.respond(Some(b"")));
        assert!(octets.is_empty());
        assert_eq!(conversation.unwrap().0.downcast_ref::<u32>(), Some(&42));
        let account = Arc::new(Account::named("alice"));
        match exchange.found(Finding::Principal("alice@CORP.EXAMPLE".into(), Some(Arc::clone(&account)))) {
            Step::Proved(proof) => {
                assert_eq!(proof.credential, Credential::Principal("alice@CORP.EXAMPLE".into()));
                assert_eq!(proof.account, Some(account));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(exchange.respond(Some(b"again")), Step::Failed(Failure::Malformed)));
    }

    #[test]
    fn an_exchange_that_does_not_end_is_ended() {
        let mut exchange = exchange(Mechanism::GssSpnego, Protection::WhenGiven);
        for round in 0..8 {
            assert_eq!(asked(exchange.respond(Some(b"more"))).0, Package::Spnego, "{round}");
            assert!(matches!(exchange.found(challenge(b"more", 0)), Step::Challenge(_)));
        }
        let step = exchange.respond(Some(b"more"));
        assert!(matches!(step, Step::Failed(Failure::Refused { why: Why::TooLong, .. })), "{step:?}");
    }

    #[test]
    fn what_does_not_fit_is_not_handed_on() {
        for wrong in [Vec::new(), vec![0; 9217]] {
            let mut exchange = exchange(Mechanism::Gssapi, Protection::WhenGiven);
            assert!(matches!(exchange.respond(Some(&wrong)), Step::Failed(Failure::Malformed)));
        }
        let mut exchange = exchange(Mechanism::Gssapi, Protection::WhenGiven);
        assert!(matches!(exchange.respond(None), Step::Challenge(_)));
        assert!(matches!(exchange.respond(None), Step::Failed(Failure::Malformed)));
    }

    #[test]
    fn only_who_holds_the_exchange_can_end_it_well() {
        let refusal = |finding| {
            let mut exchange = exchange(Mechanism::Gssapi, Protection::WhenGiven);
            asked(exchange.respond(Some(b"one")));
            exchange.found(finding)
        };
        let no = refusal(Finding::No(No::Wrong));
        assert!(matches!(no, Step::Failed(Failure::Refused { why: Why::Directory(No::Wrong), .. })), "{no:?}");
        assert!(matches!(refusal(Finding::Unavailable), Step::Failed(Failure::Unavailable)));
        let hash = Finding::NtHash(Secret::from("x"), Arc::new(Account::named("alice")));
        assert!(matches!(refusal(hash), Step::Failed(Failure::Unavailable)));
        // What was found although nobody asked counts for nothing.
        let mut fresh = exchange(Mechanism::Gssapi, Protection::WhenGiven);
        let account = Finding::Account(Arc::new(Account::named("alice")));
        assert!(matches!(fresh.found(account), Step::Failed(Failure::Unavailable)));
    }
}

//! May this client submit?
//!
//! Asked again for every MAIL. An account or peer may; anybody else may if connection control has admitted
//! it and anonymous access is on. What the reverse-path says is never a reason.

use crate::connection::Admission;
use crate::decision::{Decision, Missing, Refusal, Trace};
use crate::facts::SenderFacts;
use crate::rule_book::RuleId;
use crate::rules::{AppliesTo, Permit, Rules};
use mail::{Account, Identity, Ledger};

/// The client may submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submission;

/// Judges a client that said MAIL.
///
/// # Errors
/// [`Missing`]: the confirmed names of a client that must authenticate and has not, if the list of
/// connection control has names and no address entry decides.
pub fn sender(rules: &Rules, facts: &SenderFacts<'_>, ledger: &Ledger) -> Result<Decision<Submission>, Missing> {
    let mut trace = Trace::new();
    let control = &rules.connection;
    match facts.identity {
        Identity::Peer(_) => {
            trace.matched(RuleId::PEER);
            return Ok(Decision::granted(Submission, trace));
        }
        Identity::Account(account) => return Ok(account_submits(rules, account, trace)),
        Identity::Anonymous => trace.no_match(RuleId::ACCOUNT_SUBMITS),
    }
    match facts.admission {
        Admission::Admitted if control.applies_to == AppliesTo::Anonymous => trace.no_match(control.applies_rule),
        Admission::Admitted => {}
        Admission::MustAuthenticate => match control.permits(facts.client, ledger, &mut trace)? {
            Permit::Yes => {}
            Permit::No => {
                trace.matched(control.applies_rule);
                return Ok(Decision::refused(Refusal::NotAuthenticated { close: true }, trace));
            }
            Permit::Unavailable => return Ok(Decision::refused(Refusal::CouldNotFindOut, trace)),
        },
    }
    trace.matched(rules.authentication.anonymous_rule);
    Ok(if rules.authentication.anonymous {
        Decision::granted(Submission, trace)
    } else {
        Decision::refused(Refusal::NotAuthenticated { close: false }, trace)
    })
}

/// Whether an account may submit. Every account may: rights of users and groups are asked here,
/// and nowhere else, once a virtual server can have them.
fn account_submits(_rules: &Rules, _account: &Account, mut trace: Trace) -> Decision<Submission> {
    trace.matched(RuleId::ACCOUNT_SUBMITS);
    Decision::granted(Submission, trace)
}

//! May this client submit, and as this sender?
//!
//! Asked again for every MAIL. An account needs the right to submit, a peer has its own; anybody else may if
//! connection control has admitted it and anonymous access is on. What the reverse-path says is never a
//! reason to let a client in; it is one to refuse it, where it is filtered or somebody else's.

use crate::connection::Admission;
use crate::decision::{Decision, Missing, Refusal, Trace};
use crate::facts::SenderFacts;
use crate::filter::OnMatch;
use crate::rights::Right;
use crate::rule_book::RuleId;
use crate::rules::{AppliesTo, Permit, Rules};
use crate::send_as::{Action, User};
use mail::{Identity, Ledger};

/// The client may submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The reverse-path is not its own, and whoever reads the message shall know.
    pub marked: bool,
}

/// Judges a client that said MAIL.
///
/// # Errors
/// [`Missing`]: the confirmed names of a client that must authenticate and has not, if the list of
/// connection control has names and no address entry decides.
pub fn sender(rules: &Rules, facts: &SenderFacts<'_>, ledger: &Ledger) -> Result<Decision<Submission>, Missing> {
    let mut trace = Trace::new();
    if let Err(refusal) = submits(rules, facts, ledger, &mut trace)? {
        return Ok(Decision::refused(refusal, trace));
    }
    if let Some(refusal) = filtered(rules, facts, &mut trace) {
        return Ok(Decision::refused(refusal, trace));
    }
    let user =
        User { identity: facts.identity, client: facts.client, now: facts.now, trusted: rules.trusts(facts.identity) };
    Ok(match rules.send_as.envelope(&user, facts.reverse_path, &rules.domains, &mut trace) {
        Action::Refuse => Decision::refused(Refusal::NotOwner, trace),
        action => Decision::granted(Submission { marked: action == Action::Mark }, trace),
    })
}

/// The refusal of a reverse-path that the sender filter has. Where nothing is to be filtered, it is not tried.
fn filtered(rules: &Rules, facts: &SenderFacts<'_>, trace: &mut Trace) -> Option<Refusal> {
    let senders = rules.filtered_senders(facts.identity, trace)?;
    let has = senders.have(facts.reverse_path, &rules.domains, facts.now, trace);
    has.then_some(Refusal::SenderFiltered { close: senders.on_match == OnMatch::Drop })
}

/// Whether the client may submit at all, whoever it says the mail is from.
fn submits(
    rules: &Rules,
    facts: &SenderFacts<'_>,
    ledger: &Ledger,
    trace: &mut Trace,
) -> Result<Result<(), Refusal>, Missing> {
    let account = match facts.identity {
        Identity::Peer(name) => return Ok(peer_submits(rules, name, trace)),
        Identity::Account(account) => account,
        Identity::Anonymous => return anonymous_submits(rules, facts, ledger, trace),
    };
    Ok(match rules.submit.of(account, facts.now, trace) {
        Right::Given => Ok(()),
        Right::NotGiven | Right::Denied => Err(Refusal::MayNotSubmit),
    })
}

fn peer_submits(rules: &Rules, name: &str, trace: &mut Trace) -> Result<(), Refusal> {
    let Some(peer) = rules.peers.get(name) else {
        trace.matched(RuleId::PEER);
        return Err(Refusal::MayNotSubmit);
    };
    trace.matched(peer.submit_rule);
    if peer.submit { Ok(()) } else { Err(Refusal::MayNotSubmit) }
}

fn anonymous_submits(
    rules: &Rules,
    facts: &SenderFacts<'_>,
    ledger: &Ledger,
    trace: &mut Trace,
) -> Result<Result<(), Refusal>, Missing> {
    let control = &rules.connection;
    match facts.admission {
        Admission::Admitted if control.applies_to == AppliesTo::Anonymous => trace.no_match(control.applies_rule),
        Admission::Admitted => {}
        Admission::MustAuthenticate => match control.permits((facts.client, facts.now), ledger, trace)? {
            Permit::Yes => {}
            Permit::No => {
                trace.matched(control.applies_rule);
                return Ok(Err(Refusal::NotAuthenticated { close: true }));
            }
            Permit::Unavailable => return Ok(Err(Refusal::CouldNotFindOut)),
        },
    }
    trace.matched(rules.authentication.anonymous_rule);
    Ok(if rules.authentication.anonymous { Ok(()) } else { Err(Refusal::NotAuthenticated { close: false }) })
}

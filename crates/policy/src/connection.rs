//! May this client open a session?
//!
//! The limits come first: they need no look-up, and so also bound how many look-ups a flood of
//! connections can cause. Then connection control. Being admitted says nothing about submitting or
//! relaying, which are judged later, by other rules.

use crate::decision::{Decision, Missing, Refusal, Trace};
use crate::facts::ConnectionFacts;
use crate::rules::{AppliesTo, Mode, Permit, Rules};
use mail::Ledger;

/// On what terms a client is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Connection control lets it in.
    Admitted,
    /// Connection control would not, or could not find out, but it restricts only clients that have
    /// not authenticated: [`crate::sender`] judges it again, if it has not by then.
    MustAuthenticate,
}

/// Whether one session more is too many: the part of [`connection`] that needs no look-up, for whoever
/// must turn away many at little cost.
#[must_use]
pub fn room(rules: &Rules, facts: &ConnectionFacts) -> Decision<()> {
    let mut trace = Trace::new();
    match rules.limits.one_more(facts, &mut trace) {
        Ok(()) => Decision::granted((), trace),
        Err(refusal) => Decision::refused(refusal, trace),
    }
}

/// Judges a client that has just connected.
///
/// # Errors
/// [`Missing`]: the confirmed names of the client, if the list has names and no address entry decides.
pub fn connection(rules: &Rules, facts: &ConnectionFacts, ledger: &Ledger) -> Result<Decision<Admission>, Missing> {
    let mut trace = Trace::new();
    if let Err(refusal) = rules.limits.one_more(facts, &mut trace) {
        return Ok(Decision::refused(refusal, trace));
    }
    let control = &rules.connection;
    let refusal = match control.permits((facts.client, facts.now), ledger, &mut trace)? {
        Permit::Yes => return Ok(Decision::granted(Admission::Admitted, trace)),
        _ if control.applies_to == AppliesTo::Anonymous => {
            trace.matched(control.applies_rule);
            return Ok(Decision::granted(Admission::MustAuthenticate, trace));
        }
        Permit::No if control.mode == Mode::Only => Refusal::ConnectionNotListed,
        Permit::No => Refusal::ConnectionListed,
        Permit::Unavailable => Refusal::CouldNotFindOut,
    };
    Ok(Decision::refused(refusal, trace))
}

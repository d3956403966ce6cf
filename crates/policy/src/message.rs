//! May this message be taken?
//!
//! It is complete, its sender and recipients have been accepted; what is left is what only its
//! content can show. A message that has been through too many servers is in a loop.

use crate::decision::{Decision, Missing, Refusal, Trace};
use crate::facts::MessageFacts;
use crate::rules::Rules;
use mail::Ledger;

/// The message may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken;

/// Judges a complete message.
///
/// # Errors
/// None: no rule about messages needs a look-up. The form is that of the other questions.
pub fn message(rules: &Rules, facts: &MessageFacts, _ledger: &Ledger) -> Result<Decision<Taken>, Missing> {
    let mut trace = Trace::new();
    // RFC 5321 §6.3: the count of Received fields; more than the limit is a loop.
    Ok(if facts.hops > rules.limits.hop_count {
        trace.matched(rules.limits.hop_count_rule);
        Decision::refused(Refusal::HopCount, trace)
    } else {
        trace.no_match(rules.limits.hop_count_rule);
        Decision::granted(Taken, trace)
    })
}

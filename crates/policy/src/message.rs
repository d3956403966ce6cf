//! May this message be taken?
//!
//! It is complete, its sender and recipients have been accepted; what is left is what only its
//! content can show. A message that has been through too many servers is in a loop; one whose header names
//! somebody else as its author is refused or marked, as its reverse-path would be.

use crate::decision::{Decision, Missing, Refusal, Trace};
use crate::facts::MessageFacts;
use crate::rules::Rules;
use crate::send_as::{Action, Place, User};
use mail::{Identity, Ledger};

/// The message may be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Where addresses stand that are not its sender's own, so that whoever reads the message shall know; each
    /// place once.
    pub marks: Vec<Place>,
}

/// Whether [`message`] asks who the header of a message of this client says it is from.
#[must_use]
pub fn asks_authors(rules: &Rules, identity: &Identity) -> bool {
    let send_as = &rules.send_as;
    let asked = |check: &crate::send_as::Check| check.action != Action::Off;
    match identity {
        Identity::Anonymous => asked(&send_as.anonymous),
        _ if rules.trusts(identity) => false,
        _ => [&send_as.from, &send_as.sender, &send_as.resent_from].into_iter().any(asked),
    }
}

/// Judges a complete message.
///
/// # Errors
/// None: no rule about messages needs a look-up. The form is that of the other questions.
pub fn message(rules: &Rules, facts: &MessageFacts<'_>, _ledger: &Ledger) -> Result<Decision<Taken>, Missing> {
    let mut trace = Trace::new();
    // RFC 5321 §6.3: the count of Received fields; more than the limit is a loop.
    if facts.hops > rules.limits.hop_count {
        trace.matched(rules.limits.hop_count_rule);
        return Ok(Decision::refused(Refusal::HopCount, trace));
    }
    trace.no_match(rules.limits.hop_count_rule);
    let user =
        User { identity: facts.identity, client: facts.client, now: facts.now, trusted: rules.trusts(facts.identity) };
    let authors = facts.authors;
    let mut marks = Vec::new();
    for (place, named) in
        [(Place::From, &authors.from), (Place::Sender, &authors.sender), (Place::ResentFrom, &authors.resent_from)]
    {
        for author in named {
            match rules.send_as.author(&user, place, author, &rules.domains, &mut trace) {
                Action::Refuse => return Ok(Decision::refused(Refusal::NotOwner, trace)),
                Action::Mark if !marks.contains(&place) => marks.push(place),
                Action::Mark | Action::Off => {}
            }
        }
    }
    Ok(Decision::granted(Taken { marks }, trace))
}

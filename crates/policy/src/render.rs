//! A trace as lines a person reads.
//!
//! Text is made here, and only when somebody reads it; the trace itself is numbers.

use crate::decision::{Step, Trace};
use crate::rule_book::RuleBook;

/// One step: `virtual_server.inbound.relay.list (line 31): no match`. A rule that is not written in
/// the file says `(default)` in place of the line; a built-in rule says neither.
#[must_use]
pub fn line(step: &Step, book: &RuleBook) -> String {
    let place = book.place(step.rule);
    match place.line {
        Some(line) => format!("{} (line {line}): {}", place.key, step.finding),
        None if step.rule.is_built_in() => format!("{}: {}", place.key, step.finding),
        None => format!("{} (default): {}", place.key, step.finding),
    }
}

/// All steps, in order, one line each, without line ends.
pub fn lines<'a>(trace: &'a Trace, book: &'a RuleBook) -> impl Iterator<Item = String> + 'a {
    trace.steps().iter().map(|step| line(step, book))
}

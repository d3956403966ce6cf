//! What the facts about one message come to, whatever order they are read in.
//!
//! Segments are read newest first and a fact may be there twice, so nothing can be applied as it is
//! read. Of each recipient the latest word counts and the number of words; so it is enough to keep
//! those, and a message that has been attempted for days takes no more memory than one that was
//! attempted once.

use super::Attempt;
use super::survey::Alive;
use crate::brief::Diagnoses;
use crate::envelope::{Diagnosis, State};
use mail::Timestamp;
use std::sync::Arc;

/// Something that is remembered about a message.
#[derive(Debug)]
pub(crate) enum Fact {
    Attempt(Attempt),
    Held,
    Released,
}

/// The facts about one message.
#[derive(Default)]
pub(crate) struct Story {
    /// Turns that have been heard; each counts once.
    turns: Vec<u32>,
    /// Octets of the facts, by segment.
    segments: Vec<(u64, u64)>,
    /// The latest attempt, and when the message is due again.
    due: (u32, Option<Timestamp>),
    /// The latest word of an administrator.
    held: (u32, bool),
    warned: bool,
    /// By recipient, in rising order.
    recipients: Vec<Heard>,
}

/// What was said of one recipient.
struct Heard {
    recipient: usize,
    turn: u32,
    attempts: u32,
    state: State,
    last: Arc<Diagnosis>,
}

impl Story {
    /// Takes in a fact that stands in a segment with so many octets.
    pub(super) fn hear(&mut self, turn: u32, fact: &Fact, diagnoses: &mut Diagnoses) {
        if turn == 0 || self.turns.contains(&turn) {
            return;
        }
        self.turns.push(turn);
        match fact {
            Fact::Attempt(attempt) => self.attempt(turn, attempt, diagnoses),
            Fact::Held if turn > self.held.0 => self.held = (turn, true),
            Fact::Released if turn > self.held.0 => self.held = (turn, false),
            Fact::Held | Fact::Released => {}
        }
    }

    /// A fact stands in this segment, heard before or not.
    pub(super) fn stands_in(&mut self, number: u64, bytes: u64) {
        match self.segments.iter_mut().find(|(known, _)| *known == number) {
            Some((_, sum)) => *sum += bytes,
            None => self.segments.push((number, bytes)),
        }
    }

    fn attempt(&mut self, turn: u32, attempt: &Attempt, diagnoses: &mut Diagnoses) {
        self.warned |= attempt.warned;
        if turn > self.due.0 {
            self.due = (turn, attempt.retry_at);
        }
        for outcome in &attempt.outcomes {
            let (recipient, state) = (outcome.recipient, State::after(outcome.result));
            match self.recipients.binary_search_by_key(&recipient, |heard| heard.recipient) {
                Ok(at) => {
                    let heard = &mut self.recipients[at];
                    heard.attempts = heard.attempts.saturating_add(1);
                    if turn >= heard.turn {
                        (heard.turn, heard.state) = (turn, state);
                        heard.last = diagnoses.keep(&outcome.diagnosis);
                    }
                }
                Err(at) => {
                    let last = diagnoses.keep(&outcome.diagnosis);
                    self.recipients.insert(at, Heard { recipient, turn, attempts: 1, state, last });
                }
            }
        }
    }

    /// Writes everything into what was kept of the message.
    pub(super) fn settle(self, kept: &mut Alive) {
        self.segments.iter().for_each(|(number, bytes)| kept.entry.found(*number, *bytes));
        self.turns.iter().for_each(|turn| kept.entry.heard(*turn));
        kept.retry_at = self.due.1;
        if self.warned {
            kept.brief.set_warned();
        }
        if self.held.0 > 0 {
            kept.brief.set_held(self.held.1);
        }
        for Heard { recipient, attempts, state, last, .. } in self.recipients {
            if let Some(standing) = kept.brief.standing(recipient) {
                let attempts = standing.attempts.saturating_add(attempts);
                kept.brief.put(recipient, state, attempts, last);
            }
        }
    }
}

//! Cuts a plan that fails to a smaller one that still fails in the same way.

use super::oracles::Oracle;
use super::plan::{Act, Event, Manner, Plan, Session};
use super::try_plan;
use crate::plant::Plant;

/// The smallest plan found that the oracle still objects to. Takes as many runs as `most` allows.
#[must_use]
pub fn shrink(plan: &Plan, oracle: Oracle, plant: Option<Plant>, most: usize) -> Plan {
    let mut shrinking = Shrinking { best: plan.clone(), oracle, plant, left: most };
    while shrinking.left > 0 {
        let before = shrinking.best.clone();
        shrinking.events();
        shrinking.letters();
        shrinking.sessions();
        if shrinking.best == before {
            break;
        }
    }
    shrinking.best
}

struct Shrinking {
    best: Plan,
    oracle: Oracle,
    plant: Option<Plant>,
    left: usize,
}

impl Shrinking {
    /// Whether a smaller plan fails too; then it is the best.
    fn take(&mut self, plan: Plan) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let fails = try_plan(&plan, self.plant).0.iter().any(|finding| finding.oracle == self.oracle);
        if fails {
            self.best = plan;
        }
        fails
    }

    /// Leaves out events: many at a time at first, then one by one.
    fn events(&mut self) {
        let mut size = self.best.events.len().div_ceil(2);
        while size > 0 {
            let mut at = 0;
            while at < self.best.events.len() {
                let mut plan = self.best.clone();
                let end = (at + size).min(plan.events.len());
                plan.events.drain(at..end);
                if !self.take(plan) {
                    at = end;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    /// Leaves out messages and recipients.
    fn letters(&mut self) {
        self.each_session(&|session: &Session| {
            let mut smaller = Vec::new();
            for at in 0..session.letters.len() {
                let mut session = session.clone();
                session.letters.remove(at);
                smaller.push(session);
            }
            for (at, letter) in session.letters.iter().enumerate() {
                // Which address a recipient has follows from its place, so only the last can go.
                for keep in 1..letter.to.len() {
                    let mut session = session.clone();
                    session.letters[at].to.truncate(keep);
                    smaller.push(session);
                }
                for size in [200, 2].into_iter().filter(|size| *size < letter.size) {
                    let mut session = session.clone();
                    session.letters[at].size = size;
                    smaller.push(session);
                }
            }
            smaller
        });
    }

    /// Makes clients ordinary.
    fn sessions(&mut self) {
        self.each_session(&|session: &Session| {
            let plain = [
                Manner::default(),
                Manner { ends: None, ..session.manner.clone() },
                Manner { slow_ms: None, ..session.manner.clone() },
                Manner { chunk: None, ..session.manner.clone() },
                Manner { pipelined: false, ..session.manner.clone() },
            ];
            let other = plain.into_iter().filter(|manner| *manner != session.manner);
            other.map(|manner| Session { manner, ..session.clone() }).collect()
        });
    }

    fn each_session(&mut self, smaller: &dyn Fn(&Session) -> Vec<Session>) {
        for at in 0..self.best.events.len() {
            while let Event { at_ms, act: Act::Session(session) } = &self.best.events[at] {
                let at_ms = *at_ms;
                let mut taken = false;
                for session in smaller(session) {
                    let mut plan = self.best.clone();
                    plan.events[at] = Event { at_ms, act: Act::Session(session) };
                    taken = self.take(plan);
                    if taken {
                        break;
                    }
                }
                if !taken {
                    break;
                }
            }
        }
    }
}

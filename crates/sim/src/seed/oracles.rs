//! The oracles: what must be so whatever went wrong. They look only from outside.

mod duties;
mod mail;

use super::counters;
use super::plan::{Act, DiskTrouble, Plan};
use super::seen::Seen;
use crate::plant::{CONTENT, KEY, PASSWORD};
use std::fmt;

/// Who says that something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Oracle {
    /// Every message that was promised is delivered, reported, queued or deleted.
    NothingLost,
    /// What arrives is what was sent.
    NothingAltered,
    /// What was refused does not arrive.
    RefusalsHold,
    /// Nobody reaches whom the rules do not let them reach.
    NoOpenRelay,
    /// Nothing arrives twice without need.
    NothingTwice,
    /// The counters and the log agree.
    CountersAreTheLog,
    /// No secret is seen.
    NoSecretSaid,
    /// When all is well again, everything comes to an end.
    EverythingEnds,
    /// Nobody is left behind, and nothing has failed inside.
    NobodyLeftBehind,
    /// When nothing goes wrong, all mail that may pass is taken and delivered once.
    MailPasses,
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Who says so.
    pub oracle: Oracle,
    /// What it is.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.oracle, self.what)
    }
}

/// Everything that is not as it must be.
#[must_use]
pub fn judge(plan: &Plan, seen: &Seen) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    mail::judge(plan, seen, &mut findings);
    duties::judge(plan, seen, &mut findings);
    count(seen, &mut findings);
    secrets(seen, &mut findings);
    ends(plan, seen, &mut findings);
    findings.0
}

/// What has been found so far.
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, oracle: Oracle, what: impl Into<String>) {
        self.0.push(Finding { oracle, what: what.into() });
    }
}

fn count(seen: &Seen, findings: &mut Findings) {
    for count in seen.lives.iter().flat_map(|life| &life.counts) {
        for what in counters::disagreements(count) {
            findings.add(Oracle::CountersAreTheLog, what);
        }
    }
}

fn secrets(seen: &Seen, findings: &mut Findings) {
    for (place, text) in [("the log", &seen.log), ("what was answered", &seen.said)] {
        for secret in [KEY, PASSWORD, CONTENT] {
            if text.contains(secret) {
                findings.add(Oracle::NoSecretSaid, format!("{secret} stands in {place}"));
            }
        }
    }
    for (at, delivery, _) in &seen.deliveries {
        for secret in [KEY, PASSWORD] {
            if delivery.content.windows(secret.len()).any(|window| window == secret.as_bytes()) {
                findings.add(Oracle::NoSecretSaid, format!("{secret} was sent to {at}"));
            }
        }
    }
}

fn ends(plan: &Plan, seen: &Seen, findings: &mut Findings) {
    let left = counters::unquiet(&seen.last_metrics);
    if seen.last_metrics.is_empty() || !left.is_empty() || !seen.queue.is_empty() {
        let what = format!("at the end: {}; the queue: {}", left.join(", "), seen.queue.join("; "));
        findings.add(Oracle::EverythingEnds, what);
    }
    seen.wrong.iter().for_each(|what| findings.add(Oracle::EverythingEnds, what));
    if seen.tasks_left > 0 {
        findings.add(Oracle::NobodyLeftBehind, format!("{} tasks are left", seen.tasks_left));
    }
    let planned = plan.has(|act| matches!(act, Act::Stillborn(_)));
    let lies = plan.has(|act| matches!(act, Act::Disk(DiskTrouble::Lies)));
    for line in seen.log.lines() {
        let says = |what: &str| line.contains(&format!("\"event\":\"{what}\""));
        if says("fault") && !(planned && line.contains("\"place\":\"accept\"")) {
            findings.add(Oracle::NobodyLeftBehind, line);
        }
        if says("damaged") && !lies {
            findings.add(Oracle::NobodyLeftBehind, format!("on a disk that never lied: {line}"));
        }
    }
}

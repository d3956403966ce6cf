//! What was promised: delivered, reported, deleted by somebody who may, or still queued.

use super::{Findings, Oracle};
use crate::seed::law;
use crate::seed::plan::{Act, DiskTrouble, Law, Letter, Manner, Notify, Plan, Session};
use crate::seed::seen::Seen;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn judge(plan: &Plan, seen: &Seen, findings: &mut Findings) {
    let lied = plan.has(|act| matches!(act, Act::Disk(DiskTrouble::Lies)));
    let deaf = plan.has(|act| matches!(act, Act::Log { deaf: true }));
    let ends = Ends::of(seen);
    for (_, letter) in plan.letters() {
        let Some(heard) = seen.heard.get(&letter.number) else { continue };
        // What was kept by a disk that lies was kept in good faith.
        let promised = heard.end.as_ref().is_some_and(|(code, _)| *code == 250) && !lied;
        for place in 0..letter.to.len() {
            let accepted = heard.rcpt.get(&place) == Some(&250);
            if promised && accepted && !ends.has(seen, letter, place, deaf) {
                let to = letter.recipient(place);
                findings
                    .add(Oracle::NothingLost, format!("{to} was promised message {} and it is gone", letter.number));
            }
        }
    }
    calm(plan, seen, &ends, findings);
    // Without a crash and on a good disk nothing is said twice.
    if !lied && !seen.lives.iter().any(|life| life.killed || life.disk_failed) {
        for (to, reports) in ends.reported.iter().filter(|(_, reports)| reports.len() > 1) {
            findings.add(Oracle::NothingTwice, format!("the sender was told in {reports:?} that {to} has failed"));
        }
        for (at, delivery, _) in seen.deliveries.iter().filter(|(.., taking)| taking.known) {
            for to in delivery.to.iter().map(|path| bare(path.trim_start_matches('<'))) {
                if ends.reported.contains_key(&to) {
                    findings.add(
                        Oracle::NothingTwice,
                        format!("{at} has taken mail for {to}, and its sender was told it failed"),
                    );
                }
            }
        }
    }
}

/// When nothing goes wrong and clients do as they should, there is no reason not to take a message.
fn calm(plan: &Plan, seen: &Seen, ends: &Ends, findings: &mut Findings) {
    let polite = |session: &Session| {
        let Manner { slow_ms, ends, deaf, .. } = session.manner;
        let small = session.letters.iter().all(|letter| letter.size <= 50_000);
        slow_ms.is_none() && ends.is_none() && !deaf && small
    };
    let harmless = |act: &Act| matches!(act, Act::Count) || matches!(act, Act::Session(session) if polite(session));
    // Narrow limits may turn away anybody.
    if plan.law == Law::Narrow || plan.has(|act| !harmless(act)) {
        return;
    }
    for (session, letter) in plan.letters() {
        for place in 0..letter.to.len() {
            let to = letter.recipient(place);
            let may = law::may_reach(&session.server, session.client, &letter.to[place]);
            if may && !ends.delivered.contains(&to) {
                findings.add(
                    Oracle::MailPasses,
                    format!("nothing went wrong, and {to} did not get message {}", letter.number),
                );
            }
            let taken = seen.heard.get(&letter.number).and_then(|heard| heard.end.as_ref());
            if may && taken.is_none_or(|(code, _)| *code != 250) {
                findings.add(Oracle::MailPasses, format!("message {} was not taken: {taken:?}", letter.number));
            }
        }
    }
}

/// Where recipients have come to an end, by address.
struct Ends {
    delivered: BTreeSet<String>,
    /// The reports that delivery has failed. One that arrived twice is one.
    reported: BTreeMap<String, BTreeSet<String>>,
    /// Their message, or the report about them, went to the bad-mail directory.
    buried: BTreeSet<String>,
}

impl Ends {
    fn of(seen: &Seen) -> Ends {
        let mut ends = Ends { delivered: BTreeSet::new(), reported: BTreeMap::new(), buried: BTreeSet::new() };
        for (_, delivery, _) in &seen.deliveries {
            ends.delivery(&delivery.to, &delivery.content);
        }
        for file in &seen.files {
            let text = String::from_utf8_lossy(&file.content);
            if file.directory == law::bad_mail_directory() {
                ends.buried.extend(text.lines().filter_map(|line| line.strip_prefix("To: <")).map(bare));
                ends.buried.extend(failed(&text));
            } else {
                let to = |line: &str| line.strip_prefix("X-Receiver: ").map(str::to_owned);
                ends.delivery(
                    &text.lines().map_while(|line| Some(to(line))).flatten().collect::<Vec<_>>(),
                    &file.content,
                );
            }
        }
        ends
    }

    fn delivery(&mut self, to: &[String], content: &[u8]) {
        self.delivered.extend(to.iter().map(|path| bare(path.trim_start_matches('<'))));
        let text = String::from_utf8_lossy(content);
        let name = text.lines().find(|line| line.starts_with("Message-ID: ")).unwrap_or_default();
        for recipient in failed(&text) {
            self.reported.entry(recipient).or_default().insert(name.trim_end().to_owned());
        }
    }

    /// Whether a recipient has come to an end. `deaf`: the log may not know.
    fn has(&self, seen: &Seen, letter: &Letter, place: usize, deaf: bool) -> bool {
        let to = letter.recipient(place);
        // Whoever asked never to be told is not told; then the log must know.
        let unasked = || {
            let (event, to) = ("\"event\":\"failed\"", format!("\"to\":\"{to}\""));
            let told = || seen.log.lines().any(|line| line.contains(event) && line.contains(&to));
            letter.notify == Notify::Never && (deaf || told())
        };
        self.delivered.contains(&to)
            || self.reported.contains_key(&to)
            || self.buried.contains(&to)
            || seen.deleted.iter().any(|(number, _)| *number == letter.number)
            || seen.queue.iter().any(|line| line.contains(&format!("<{to}> pending")))
            || unasked()
    }
}

fn bare(path: &str) -> String {
    path.split('>').next().unwrap_or_default().to_owned()
}

/// The recipients whose failure a report tells of (RFC 3464 §2.3).
fn failed(text: &str) -> Vec<String> {
    let mut failed = Vec::new();
    let mut about = None;
    for line in text.lines() {
        if let Some(recipient) = line.strip_prefix("Final-Recipient: rfc822; ") {
            about = Some(recipient.trim().to_owned());
        } else if line.trim_end() == "Action: failed" {
            failed.extend(about.take());
        }
    }
    failed
}

//! What arrived: was it sent, is it whole, was it allowed, and how often.

use super::{Findings, Oracle};
use crate::peers::Delivery;
use crate::seed::law;
use crate::seed::letter;
use crate::seed::plan::{Letter, Plan, Session};
use crate::seed::seen::{Heard, Seen};
use std::collections::BTreeMap;
use std::time::Duration;

/// An outcome is durable so long after the next hop's 250 (faults page, figure 1: 5 ms), the flush
/// that is under way and the pace of the simulated disk included.
const DURABLE: Duration = Duration::from_millis(100);

/// One arrival of one message for one recipient.
struct Arrival<'a> {
    /// Where.
    place: String,
    delivery: &'a Delivery,
    /// When, and whether the gateway knew; `None` for a file, which replaces itself.
    taking: Option<crate::peers::Taking>,
}

pub(super) fn judge(plan: &Plan, seen: &Seen, findings: &mut Findings) {
    let files: Vec<Delivery> =
        seen.files.iter().filter(|file| file.directory == law::drop_directory()).map(dropped).collect();
    let mut arrivals: BTreeMap<String, Vec<Arrival<'_>>> = BTreeMap::new();
    let peers = seen.deliveries.iter().map(|(at, delivery, taking)| (at.to_string(), delivery, Some(*taking)));
    let files = files.iter().map(|delivery| ("/drop".to_owned(), delivery, None));
    for (place, delivery, taking) in peers.chain(files) {
        for to in &delivery.to {
            let arrival = Arrival { place: place.clone(), delivery, taking };
            arrivals.entry(address(to)).or_default().push(arrival);
        }
    }
    let nobody = Heard::default();
    for (session, letter) in plan.letters() {
        let heard = seen.heard.get(&letter.number).unwrap_or(&nobody);
        let content = letter::content(plan.seed, letter);
        for place in 0..letter.to.len() {
            let arrivals = arrivals.remove(&letter.recipient(place)).unwrap_or_default();
            for arrival in &arrivals {
                whole(letter, &content, heard, arrival, findings);
            }
            refusals(seen, letter, place, heard, &arrivals, findings);
            relay(session, letter, place, heard, &arrivals, findings);
            twice(seen, letter, place, &arrivals, findings);
        }
    }
    for (to, arrivals) in arrivals {
        if arrivals.iter().any(|arrival| !arrival.delivery.from.starts_with("<>")) {
            findings.add(Oracle::NothingAltered, format!("something arrived for {to}, to whom nobody wrote"));
        }
    }
    for complaint in seen.complaints.iter().filter(|text| !text.ends_with("the connection ended within a line")) {
        findings.add(Oracle::NothingAltered, format!("a strict receiver complains: {complaint}"));
    }
}

/// A file in a drop directory as a delivery.
fn dropped(file: &crate::world::PlacedFile) -> Delivery {
    let (summary, content) = crate::shown::summary_of(file);
    let (from, to) = summary.strip_prefix("from ").and_then(|rest| rest.split_once(" to ")).unwrap_or(("", ""));
    let to = to.split(' ').map(str::to_owned).collect();
    // Return-Path is what delivery adds (RFC 5321 §4.4).
    let content = match content.windows(2).position(|pair| pair == b"\r\n") {
        Some(end) if content.starts_with(b"Return-Path: ") => content[end + 2..].to_vec(),
        _ => content,
    };
    Delivery { from: from.to_owned(), to, content, secured: false }
}

/// The address in a path with parameters behind it.
fn address(path: &str) -> String {
    path.trim_start_matches('<').split('>').next().unwrap_or_default().to_owned()
}

/// The trace field in front of what was sent, without the mark of mail that nobody answers for and that claims to be
/// from inside, or whose From names nobody; `None` if that mark is not what it should be.
fn trace_of<'a>(letter: &Letter, content: &[u8], added: &'a str) -> Option<&'a str> {
    let sender = letter.sender();
    let inside = sender.ends_with("@corp.example");
    let names_nobody = sender.is_empty() && content.starts_with(b"From: <>");
    let places: Vec<&str> = [(inside, "envelope"), (inside && content.starts_with(b"From: ") || names_nobody, "from")]
        .into_iter()
        .filter_map(|(claimed, place)| claimed.then_some(place))
        .collect();
    if places.is_empty() {
        return Some(added);
    }
    added.strip_suffix(&format!("X-Bridgehead-Auth: anonymous; not-own={}\r\n", places.join(",")))
}

/// What arrived is one trace field, perhaps a mark, and then what was sent, from whom it was.
fn whole(letter: &Letter, content: &[u8], heard: &Heard, arrival: &Arrival<'_>, findings: &mut Findings) {
    let Arrival { delivery, place, .. } = arrival;
    let mut wrong = |what: &str| {
        findings.add(Oracle::NothingAltered, format!("message {} at {place}: {what}", letter.number));
    };
    if address(&delivery.from) != letter.sender() {
        wrong(&format!("it is from {}", delivery.from));
    }
    let Some(trace) = delivery.content.strip_suffix(content) else {
        return wrong("its content is not what was sent");
    };
    let added = String::from_utf8_lossy(trace);
    let Some(trace) = trace_of(letter, content, &added) else {
        return wrong(&format!("marked or not, in front of it stands {added:?}"));
    };
    let lines: Vec<&str> = trace.split("\r\n").collect();
    let folded = lines.iter().skip(1).all(|line| line.is_empty() || line.starts_with(['\t', ' ']));
    if !trace.starts_with("Received: from ") || !trace.ends_with("\r\n") || !folded {
        wrong(&format!("in front of it stands {trace:?}"));
    }
    // The identifier that the client was told: `250 2.6.0 01A queued`.
    let id = heard.end.as_ref().filter(|(code, _)| *code == 250).and_then(|(_, words)| words.split(' ').nth(2));
    if id.is_some_and(|id| !trace.contains(&format!("id {id}"))) {
        wrong(&format!("it was called {id:?}, and its trace is {trace:?}"));
    }
    if !heard.complete {
        wrong("its client had not finished sending it");
    }
}

/// What was refused does not arrive.
fn refusals(
    seen: &Seen,
    letter: &Letter,
    place: usize,
    heard: &Heard,
    arrivals: &[Arrival<'_>],
    findings: &mut Findings,
) {
    let Some(arrival) = arrivals.first() else { return };
    let to = letter.recipient(place);
    if let Some(code) = heard.rcpt.get(&place).filter(|code| **code != 250) {
        findings.add(Oracle::RefusalsHold, format!("{to} was refused with {code} and got it at {}", arrival.place));
    }
    let Some((code, words)) = heard.end.as_ref().filter(|(code, _)| *code != 250) else { return };
    // A disk that failed to keep a message may have kept it all the same. That this does not count is
    // written down before the client hears 451, unless the disk does not let the gateway; then it comes
    // back if nothing was written down to the end. What a disk that lies was told is worth nothing.
    let life = &seen.lives[heard.life];
    let uncertain = words.starts_with("45") && (life.disk_lied || (heard.disk_failed_twice && life.loose_ends));
    if !uncertain {
        findings.add(Oracle::RefusalsHold, format!("message {} was refused with {code} and arrived", letter.number));
    }
}

/// Nobody reaches whom the rules do not let them reach.
fn relay(
    session: &Session,
    letter: &Letter,
    place: usize,
    heard: &Heard,
    arrivals: &[Arrival<'_>],
    findings: &mut Findings,
) {
    if law::may_reach(&session.server, session.client, &letter.to[place]) {
        return;
    }
    let (to, client) = (letter.recipient(place), session.client);
    if let Some(arrival) = arrivals.first() {
        findings.add(Oracle::NoOpenRelay, format!("{client} reached {to} at {}", arrival.place));
    }
    if heard.rcpt.get(&place) == Some(&250) {
        findings.add(Oracle::NoOpenRelay, format!("{client} was told that {to} can be reached"));
    }
}

/// Every arrival but the last needs an excuse: the gateway could not know of it, or could not keep
/// what it knew.
fn twice(seen: &Seen, letter: &Letter, place: usize, arrivals: &[Arrival<'_>], findings: &mut Findings) {
    let takings = || arrivals.iter().filter_map(|arrival| arrival.taking);
    let last = takings().map(|taking| taking.at).max();
    let certain = |taking: &crate::peers::Taking| {
        let dying = |life: &&super::super::seen::Life| {
            life.killed && taking.at <= life.ended && life.ended <= taking.at + DURABLE
        };
        let forgetful = seen.lives.iter().any(|life| life.disk_failed && life.ended >= taking.at);
        taking.known && !forgetful && !seen.lives.iter().any(|life| dying(&life))
    };
    let needless = takings().filter(|taking| Some(taking.at) != last && certain(taking)).count();
    if needless > 0 {
        let times = arrivals.len();
        findings.add(
            Oracle::NothingTwice,
            format!("{} got it {times} times, {needless} without need", letter.recipient(place)),
        );
    }
}

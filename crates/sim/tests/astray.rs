//! Whatever the rules answer, the gate holds; and where they are right, nobody notices that there is one.
//!
//! Cases are drawn: settings, sentences of what must never be, sessions. `E2E_LONG` (as `cargo xtask test --long`
//! sets it) plays twenty times as many. A case that fails is told whole: its settings, its sentences, its dialog.

use access::{Outcome, prove};
use sim::astray::draw::Case;
use sim::astray::lies::Lies;
use sim::astray::oracle::{Never, Sentence};
use sim::astray::{Seen, play};
use sim::dice::Dice;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// How many cases are played with rules that are wrong, and with rules that are right.
const WRONG: u64 = 400;
const RIGHT: u64 = 200;
/// So many times as many, if there is time.
const LONG: u64 = 20;

fn cases(count: u64) -> std::ops::Range<u64> {
    0..if std::env::var_os("E2E_LONG").is_some() { count * LONG } else { count }
}

/// Wrong answers of every kind; now and then none at all, for sentences that the settings themselves break.
fn lies(seed: u64) -> Lies {
    match seed % 8 {
        0 => Lies::none(),
        1 | 2 => Lies::widest(),
        _ => Lies::drawn(Dice::new(seed).fork("lies")),
    }
}

/// The sentences that what was committed breaks.
fn broken<'a>(case: &'a Case, seen: &Seen) -> Vec<&'a Sentence> {
    let forbids = |sentence: &&Sentence| seen.committed.iter().any(|message| sentence.forbids(message));
    case.sentences.iter().filter(forbids).collect()
}

/// Plays a case, and says which one it was if even that fails.
fn played(seed: u64, case: &Case, meant: impl Fn(usize) -> bool, lies: Lies) -> Seen {
    let played = catch_unwind(AssertUnwindSafe(|| play(case, case.config(meant), lies)));
    let seen = played.unwrap_or_else(|panic| {
        println!("case {seed}:\n{case}");
        resume_unwind(panic)
    });
    assert!(seen.faults.is_empty(), "case {seed}: {}\n{case}\n{seen}", seen.faults.join("; "));
    seen
}

#[test]
fn whatever_the_rules_answer_what_must_never_be_is_not_committed() {
    let (mut committed, mut stopped) = (0, 0);
    for seed in cases(WRONG) {
        let case = Case::draw(seed);
        let seen = played(seed, &case, |_| true, lies(seed));
        let broken = broken(&case, &seen);
        assert!(broken.is_empty(), "case {seed}: committed in spite of\n{}\n{case}\n{seen}", broken[0]);
        committed += seen.committed.len() as u64;
        stopped += seen.stopped;
    }
    println!("{committed} messages committed, {stopped} stopped");
    assert!(committed > WRONG && stopped > WRONG, "{committed} messages committed, {stopped} stopped");
}

#[test]
fn where_the_rules_are_right_the_gate_stops_nothing() {
    let (mut committed, mut holding) = (0, 0);
    for seed in cases(RIGHT) {
        let case = Case::draw(seed);
        let proofs = prove(&case.config(|_| true), sim::world::BEGINNING);
        let holds = |at: usize| matches!(proofs[at].outcome, Outcome::Holds { .. });
        let seen = played(seed, &case, holds, Lies::none());
        assert_eq!(seen.stopped, 0, "case {seed}: the gate has stopped a message\n{case}\n{seen}");
        for (_, sentence) in case.sentences.iter().enumerate().filter(|(at, _)| holds(*at)) {
            let deed = seen.deeds.iter().find(|deed| sentence.forbids_deed(deed));
            assert!(deed.is_none(), "case {seed}: {deed:?} in spite of\n{sentence}\n{case}\n{seen}");
            assert!(!seen.committed.iter().any(|one| sentence.forbids(one)), "case {seed}\n{sentence}\n{case}\n{seen}");
            holding += 1;
        }
        committed += seen.committed.len() as u64;
    }
    println!("{committed} messages committed, {holding} sentences held");
    assert!(committed > RIGHT / 2 && holding > RIGHT / 2, "{committed} messages, {holding} sentences");
}

/// The oracle can fail: without the gate, sentences of every kind and about everybody are broken.
#[test]
fn without_the_gate_it_would_be_committed() {
    let (mut kinds, mut whom) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..WRONG / 2 {
        let case = Case::draw(seed);
        let seen = played(seed, &case, |_| false, lies(seed));
        for sentence in broken(&case, &seen) {
            kinds.insert(sentence.never);
            whom.insert(sentence.who.split(':').next().unwrap_or_default());
        }
    }
    assert!(Never::ALL.iter().all(|never| kinds.contains(never)), "{kinds:?}");
    let everybody = ["", "account", "accounts", "anonymous", "anybody", "group", "peer", "peers"];
    assert!(everybody.iter().all(|who| whom.contains(who)), "{whom:?}");
}

//! Plays seeds: new ones, those that failed once, and worlds that are broken on purpose.
//!
//! 300 seeds are played by default, 20,000 with `E2E_LONG` set (as `cargo xtask test --long` does). A
//! seed that fails is cut to a smaller plan, which is printed; put into `tests/seeds` at the root it
//! is played for ever after.
#![expect(clippy::disallowed_methods, reason = "a test reads the files it is about, and plays on two threads")]

use sim::plant::Plant;
use sim::seed::oracles::Oracle;
use sim::seed::plan::Plan;
use sim::seed::{draw, shrink, try_plan};
use std::fs;
use std::path::Path;

/// How many seeds are played.
const SEEDS: u64 = 300;
const MANY_SEEDS: u64 = 20_000;
/// How many runs the search for a smaller plan may take.
const RUNS: usize = 300;
/// A broken world must be found out within so many seeds.
const PLANTED: u64 = 40;

/// Plays one plan; a failure is told with the smallest plan that still fails.
fn check(name: &str, plan: &Plan) -> Result<usize, String> {
    let (findings, seen) = try_plan(plan, None);
    let Some(first) = findings.first() else { return Ok(seen.deliveries.len()) };
    let smallest = shrink::shrink(plan, first.oracle, None, RUNS);
    Err(format!("{name}: {first}\nput this into tests/seeds/NAME.seed:\n\n# {first}\n{smallest}"))
}

/// Plays every second seed.
fn half(first: u64, end: u64) -> (usize, Vec<String>) {
    let (mut delivered, mut failures) = (0, Vec::new());
    for seed in (first..end).step_by(2) {
        match check(&format!("seed {seed}"), &draw::plan(seed)) {
            Ok(deliveries) => delivered += deliveries,
            Err(failure) => failures.push(failure),
        }
        // Each failure costs a search; three tell enough.
        if failures.len() == 3 {
            break;
        }
    }
    (delivered, failures)
}

#[test]
fn whatever_goes_wrong_promises_are_kept() {
    let seeds = if std::env::var_os("E2E_LONG").is_some() { MANY_SEEDS } else { SEEDS };
    let other = std::thread::spawn(move || half(1, seeds));
    let (delivered, mut failures) = half(0, seeds);
    let (more, further) = other.join().expect("the other half has its own word for failure");
    failures.extend(further);
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    // Seeds in which nothing happens would prove nothing.
    assert!((delivered + more) as u64 > seeds * 10, "only {} deliveries", delivered + more);
}

#[test]
fn what_failed_once_never_fails_again() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/seeds");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "seed"));
    files.sort();
    for file in files {
        let plan =
            fs::read_to_string(&file).unwrap().parse().unwrap_or_else(|what| panic!("{}: {what}", file.display()));
        if let Err(failure) = check(&file.display().to_string(), &plan) {
            panic!("{failure}");
        }
    }
}

#[test]
fn one_seed_tells_one_story() {
    for seed in 0..25 {
        let (one, other) = (try_plan(&draw::plan(seed), None).1, try_plan(&draw::plan(seed), None).1);
        assert!(!one.story.is_empty());
        assert!(one.story == other.story, "two runs of seed {seed} differ");
        assert_eq!(one.log, other.log, "seed {seed}");
    }
}

#[test]
fn a_smaller_plan_fails_in_the_same_way() {
    let (plan, oracle) = (0..PLANTED)
        .map(draw::plan)
        .find_map(|plan| Some((plan.clone(), found(&plan, Plant::BodyAltered, Oracle::NothingAltered)?)))
        .expect("an altered body is found");
    let smaller = shrink::shrink(&plan, oracle, Some(Plant::BodyAltered), RUNS);
    assert_eq!(smaller.events.len(), 1, "one client is enough:\n{smaller}");
    assert_eq!(found(&smaller, Plant::BodyAltered, oracle), Some(oracle));
    let again: Plan = smaller.to_string().parse().unwrap();
    assert_eq!(again, smaller);
}

/// The oracle, if it finds out that a world is broken.
fn found(plan: &Plan, plant: Plant, oracle: Oracle) -> Option<Oracle> {
    let findings = try_plan(plan, Some(plant)).0;
    findings.iter().find(|finding| finding.oracle == oracle).map(|finding| finding.oracle)
}

macro_rules! plants {
    ($($name:ident: $plant:ident is found by $oracle:ident,)*) => {
        $(#[test]
        fn $name() {
            let caught = (0..PLANTED).find(|seed| found(&draw::plan(*seed), Plant::$plant, Oracle::$oracle).is_some());
            assert!(caught.is_some(), "{PLANTED} seeds, and nobody noticed");
        })*
    };
}

plants! {
    a_flush_left_out_is_found: FlushSkipped is found by NothingLost,
    an_octet_altered_is_found: BodyAltered is found by NothingAltered,
    a_message_taken_and_refused_is_found: RefusedAndTaken is found by RefusalsHold,
    a_recipient_taken_and_refused_is_found: RecipientRefusedAndTaken is found by RefusalsHold,
    an_open_relay_is_found: Disguise is found by NoOpenRelay,
    an_end_forgotten_is_found: EndForgotten is found by NothingTwice,
    a_missing_line_of_the_log_is_found: LogLineLost is found by CountersAreTheLog,
    a_secret_in_the_log_is_found: SecretSaid is found by NoSecretSaid,
    a_disk_that_hangs_is_found: DiskHangs is found by EverythingEnds,
    a_task_left_behind_is_found: TaskLeft is found by NobodyLeftBehind,
    mail_turned_away_is_found: RefusedAndTaken is found by MailPasses,
}

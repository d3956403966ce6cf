//! Runs simulations from seeds. `cargo run --release -p sim -- --seeds 0..1000`.

use sim::seed::plan::Plan;
use sim::seed::{draw, shrink, try_plan};
use std::ops::Range;
use std::process::ExitCode;

const USAGE: &str = "\
sim --seeds FIRST..LAST   plays each seed and says which fail
sim --seed N [--log]      plays one; with --log its whole story
sim --plan FILE [--log]   plays a plan that is written down
sim --shrink N            plays one that fails, and prints the smallest plan that still does
sim --shrink-plan FILE    the same for a plan that is written down";

/// How many runs the search for a smaller plan may take.
const RUNS: usize = 2000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let log = words.contains(&"--log");
    let done = match words[..] {
        ["--seeds", range] => seeds(range),
        ["--seed", seed, ..] => number(seed).map(|seed| one(&draw::plan(seed), log)),
        ["--plan", file, ..] => plan(file).map(|plan| one(&plan, log)),
        ["--shrink", seed] => number(seed).map(|seed| smallest(&draw::plan(seed))),
        ["--shrink-plan", file] => plan(file).map(|plan| smallest(&plan)),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(what) => {
            eprintln!("{what}");
            ExitCode::from(2)
        }
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("not a number: {text}"))
}

#[expect(clippy::disallowed_methods, reason = "a tool reads the file it is given")]
fn plan(file: &str) -> Result<Plan, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?.parse()
}

fn seeds(range: &str) -> Result<bool, String> {
    let (first, last) = range.split_once("..").ok_or(USAGE)?;
    let range: Range<u64> = number(first)?..number(last)?;
    let (mut failed, mut delivered, mut messages) = (0, 0, 0);
    for seed in range.clone() {
        let (findings, seen) = try_plan(&draw::plan(seed), None);
        delivered += seen.deliveries.len() + seen.files.len();
        messages += seen.heard.len();
        if let Some(first) = findings.first() {
            failed += 1;
            println!("seed {seed}: {} findings, the first: {first}", findings.len());
        }
    }
    println!("{} seeds, {failed} failed; {messages} messages, {delivered} deliveries", range.count());
    Ok(failed == 0)
}

/// Plays one plan and says what there is to say.
fn one(plan: &Plan, log: bool) -> bool {
    let (findings, seen) = try_plan(plan, None);
    if log {
        print!("{plan}\n{}", String::from_utf8_lossy(&seen.story));
    }
    findings.iter().for_each(|finding| println!("{finding}"));
    findings.is_empty()
}

fn smallest(plan: &Plan) -> bool {
    let (findings, _) = try_plan(plan, None);
    let Some(first) = findings.first() else {
        println!("nothing is wrong with it");
        return true;
    };
    println!("# {first}\n{}", shrink::shrink(plan, first.oracle, None, RUNS));
    false
}

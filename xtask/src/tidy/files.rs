//! What a source file may not be: too long without a reason, unfinished, or asleep in its tests.

use super::Finding;
use crate::source::Source;

const LONG: usize = 600;

/// What a too long file says to its reader.
const REASON: &str = "// Long because";

/// Put together here, so that this file does not find itself.
const UNFINISHED: [&str; 2] = [concat!("todo", "!("), concat!("unimplemented", "!(")];
const IGNORED: &str = concat!("#[", "ignore");
const THREAD_SLEEP: &str = concat!("thread::", "sleep");
const TASK_SLEEP: &str = concat!("time::", "sleep(");

/// On a paused clock a task may sleep in a test: no time passes.
const PAUSED: [&str; 2] = ["start_paused", "time::pause("];

/// Everything wrong with one file.
pub(crate) fn findings(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = source.lines();
    if lines > LONG && !source.text.contains(REASON) {
        let text = format!("{lines} lines; over {LONG} it owes its reader an explanation (`{REASON} …`) or a split");
        findings.push(Finding::new(&source.path, text));
    }
    let tests_from = source.lines() - source.tests().lines().count();
    let paused = PAUSED.iter().any(|word| source.text.contains(word));
    for (number, line) in source.text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let place = format!("{}:{}", source.path, number + 1);
        if UNFINISHED.iter().any(|word| code.contains(word)) {
            findings.push(Finding::new(&place, "unfinished"));
        }
        if code.trim_start().starts_with(IGNORED) {
            findings.push(Finding::new(&place, "an ignored test is a test that nobody runs"));
        }
        let sleeps = code.contains(THREAD_SLEEP) || (code.contains(TASK_SLEEP) && !paused);
        if sleeps && number >= tests_from {
            findings.push(Finding::new(&place, "no test sleeps: wait for a condition"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        findings(&Source { path: path.into(), text: text.into() }).len()
    }

    #[test]
    fn long_files_explain_themselves() {
        let long = "\n".repeat(601);
        assert_eq!(count("a.rs", &long), 1);
        assert_eq!(count("a.rs", &format!("// Long because it is a table.{long}")), 0);
    }

    #[test]
    fn unfinished_code_and_sleeping_tests_are_found() {
        assert_eq!(count("a.rs", &format!("fn x() {{ {}) }}", UNFINISHED[0])), 1);
        assert_eq!(count("a.rs", &format!("// {}) in a comment", UNFINISHED[0])), 0);
        let sleeping = format!("std::{THREAD_SLEEP}(x)");
        assert_eq!(count("crates/x/tests/a.rs", &sleeping), 1);
        assert_eq!(count("crates/x/src/a.rs", &sleeping), 0);
        assert_eq!(count("crates/x/src/a.rs", &format!("x\n#[cfg(test)]\n{sleeping}")), 1);
        assert_eq!(count("a.rs", &format!("{IGNORED}]")), 1);
    }
}

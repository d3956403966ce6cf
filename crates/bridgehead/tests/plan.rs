//! Every line of a plan has a session that can be pasted, and the program itself answers it otherwise under the new
//! settings than under the old ones. The pairs of settings are those whose plans are goldens (`tests/audit`).
#![allow(clippy::disallowed_methods, reason = "a test of the real program uses real files and processes")]

use serde_json::Value;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn audits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/audit")
}

/// The names of the pairs.
fn pairs() -> Vec<String> {
    let entries = fs::read_dir(audits()).expect("the goldens");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut pairs: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".old.toml")?.to_owned())).collect();
    pairs.sort();
    assert!(pairs.len() > 2, "{pairs:?}");
    pairs
}

/// What a shell prints, in the directory of the goldens.
fn shell(command: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_bridgehead")).parent().expect("a directory");
    let path = format!("{}:{}", program.display(), env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec 2>&1\n{command}")]).current_dir(audits()).env("PATH", path);
    String::from_utf8(shell.output().expect("a shell").stdout).expect("text")
}

/// A line of a plan: what it says, and the command that stands below it as it is written.
struct Line {
    says: String,
    see: String,
}

fn lines(plan: &str) -> Vec<Line> {
    // No session is asked about the sockets that it comes by.
    let sockets = |block: &&str| block.contains(" listens on ") || block.contains(" listened on ");
    let blocks = plan.split("\n\n").skip(1).filter(|block| !sockets(block));
    let line = |block: &str| {
        let (says, see) = block.split_once("            see   ").unwrap_or_else(|| panic!("no session:\n{block}"));
        let says = says.split_whitespace().collect::<Vec<_>>().join(" ");
        Line { says, see: see.trim_end().to_owned() }
    };
    blocks.map(line).collect()
}

/// The questions of a session, each with its answer and whether that is a refusal; or why there is no such session.
#[derive(Debug, PartialEq)]
enum Explained {
    Asked(Vec<(String, String, bool)>),
    NoSession(String),
}

impl Explained {
    /// Typed as it stands, but for these settings.
    fn by(command: &str, (shown, file): (&str, &str)) -> Explained {
        let typed = command.replace(&format!("--config {shown}"), &format!("--config {file}"));
        assert!(typed.contains(&format!("--config {file} ")), "{command}");
        let said = shell(&format!("{typed} --json"));
        let Ok(Value::Array(asked)) = serde_json::from_str(&said) else { return Explained::NoSession(said) };
        let text = |one: &Value, key: &str| one[key].as_str().expect("text").to_owned();
        let one =
            |one: &Value| (text(one, "question"), text(one, "answer"), one["refused"].as_bool().expect("yes or no"));
        Explained::Asked(asked.iter().map(one).collect())
    }

    fn is_refused(&self) -> bool {
        match self {
            Explained::Asked(asked) => asked.iter().any(|(_, _, refused)| *refused),
            Explained::NoSession(why) => {
                let known = why.contains("has no virtual server `") || why.contains("there is no peer ");
                assert!(known, "neither an answer nor a reason: {why}");
                true
            }
        }
    }
}

#[test]
fn every_session_of_a_plan_is_answered_otherwise_by_the_program() {
    let mut looked = [("sessions", 0), ("headers", 0), ("mechanisms", 0), ("loans", 0)];
    for pair in pairs() {
        let [old, new] = ["old", "new"].map(|which| format!("{pair}.{which}.toml"));
        let plan = shell(&format!("bridgehead plan {new} --against {old}"));
        for line in lines(&plan) {
            let shown = if line.see.contains(&new) { &new } else { &old };
            let [before, after] = [&old, &new].map(|file| Explained::by(&line.see, (shown, file)));
            let context = || format!("{}\n{}\n{before:#?}\n{after:#?}", line.says, line.see);
            assert_ne!(before, after, "{}", context());
            let refused = [before.is_refused(), after.is_refused()];
            // Who might do it before, and was marked for it, may do it unmarked.
            if line.says.ends_with(" unmarked") {
                assert_eq!(refused, [false, false], "{}", context());
            } else if line.says.contains(" may now ") {
                assert_eq!(refused, [true, false], "{}", context());
            } else if line.says.contains(" may no longer ") {
                assert_eq!(refused, [false, true], "{}", context());
            }
            let kind = match () {
                () if line.see.contains("--mechanism") => 2,
                () if line.says.contains(" send as ") => 3,
                () if line.says.contains(" mail of ") && line.see.contains("--header-") => 1,
                () => 0,
            };
            looked[kind].1 += 1;
        }
    }
    assert!(looked.iter().all(|(_, count)| *count > 1), "{looked:?}");
}

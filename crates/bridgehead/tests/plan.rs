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

/// What a shell prints in the directory of the goldens, and what it complains of.
fn shell(command: &str) -> (String, String) {
    let program = Path::new(env!("CARGO_BIN_EXE_bridgehead")).parent().expect("a directory");
    let path = format!("{}:{}", program.display(), env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    let output = shell.args(["-c", command]).current_dir(audits()).env("PATH", path).output().expect("a shell");
    let text = |octets| String::from_utf8(octets).expect("text");
    (text(output.stdout), text(output.stderr))
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
        Explained::typed(&typed)
    }

    fn typed(typed: &str) -> Explained {
        let (said, complaint) = shell(&format!("{typed} --json"));
        let Ok(Value::Array(asked)) = serde_json::from_str(&said) else { return Explained::NoSession(complaint) };
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
        let (plan, _) = shell(&format!("bridgehead plan {new} --against {old}"));
        for line in lines(&plan) {
            let shown = if line.see.contains(&new) { &new } else { &old };
            let [before, after] = [&old, &new].map(|file| Explained::by(&line.see, (shown, file)));
            let context = || format!("{}\n{}\n{before:#?}\n{after:#?}", line.says, line.see);
            assert_ne!(before, after, "{}", context());
            let refused = [before.is_refused(), after.is_refused()];
            // Who might do it before, and was marked for it, may do it unmarked.
            if line.says.contains(" unmarked") {
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

/// What the settings of before say of a session: each question with its answer.
fn before(session: &str) -> Vec<String> {
    match Explained::typed(&format!("bridgehead explain --config all-kinds.old.toml {session}")) {
        Explained::Asked(asked) => {
            asked.into_iter().map(|(question, answer, _)| format!("{question}: {answer}")).collect()
        }
        Explained::NoSession(why) => panic!("{why}"),
    }
}

#[test]
fn a_session_that_cannot_be_is_refused_and_what_is_said_of_a_recipient_is_taken() {
    let outbound = "--server outbound --client 10.0.0.20";
    let of = |more: &str| before(&format!("{outbound} {more}"));
    let inbound = |more: &str| before(&format!("--server inbound --client 192.0.2.66 {more}"));
    let last = |all: Vec<String>| all.last().cloned().expect("an answer");
    assert_eq!(last(inbound("--tls")), "link: there is no such link");
    assert_eq!(last(inbound("--account u1 --group staff")), "account u1: it cannot prove that here");
    assert_eq!(last(of("--peer ex1")), "peer ex1: it cannot prove that here");
    assert_eq!(last(of("--peer crm")), "MAIL FROM:<>: may submit");
    let rcpt =
        |word: &str| inbound(&format!("--rcpt a@corp.example --rcpt-is {word}")).into_iter().nth(2).expect("RCPT");
    assert_eq!(rcpt("known"), "RCPT TO:<a@corp.example>: submitted");
    assert!(rcpt("unknown").contains(": 550 5.1.1"), "{}", rcpt("unknown"));
    assert!(rcpt("unclear").contains(": 451 4."), "{}", rcpt("unclear"));
}

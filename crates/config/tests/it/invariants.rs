//! Every file of `tests/settings/invariants` with what is said about it, or what it says, in the `.txt`
//! beside it. They speak of the settings in `settings.toml` there. `UPDATE_GOLDEN=1` rewrites.

use crate::golden::{compare, files};
use config::Config;
use std::fmt::Write;

const DIRECTORY: &str = "invariants";
const SETTINGS: &str = "settings.toml";

fn settings() -> Config {
    let (name, text) = files(DIRECTORY).into_iter().find(|(name, _)| name == SETTINGS).expect("the settings");
    Config::from_text(&name, &text).unwrap_or_else(|mistakes| panic!("{mistakes}")).0
}

#[test]
fn a_file_of_invariants_is_read_or_told_what_is_wrong() {
    let mut outcomes = Vec::new();
    for (name, text) in files(DIRECTORY).into_iter().filter(|(name, _)| name != SETTINGS) {
        let is_good = name.starts_with("good-");
        let said = match settings().with_invariants(&name, &text) {
            Ok(config) => {
                assert!(is_good, "{name} was taken");
                config.invariants.iter().fold(String::new(), |mut out, one| {
                    let _ = writeln!(out, "{}, line {}: {one}", one.name, one.line);
                    out
                })
            }
            Err(mistakes) => {
                assert!(!is_good, "{name} was not taken: {mistakes}");
                mistakes.render(false)
            }
        };
        outcomes.push((name, said));
    }
    assert!(outcomes.len() > 4, "only {} files", outcomes.len());
    compare(DIRECTORY, outcomes);
}

#[test]
fn no_more_are_taken_than_a_message_can_be_asked_about() {
    let many = |count: usize| {
        (0..count).fold(String::new(), |mut text, n| {
            let _ = write!(text, "[[invariant]]\nname = \"n{n}\"\nnever = \"relay\"\n");
            text
        })
    };
    assert!(settings().with_invariants("many", &many(100)).is_ok());
    assert!(settings().with_invariants("many", &many(101)).is_err());
    assert!(settings().with_invariants("none", "").unwrap().invariants.is_empty());
}

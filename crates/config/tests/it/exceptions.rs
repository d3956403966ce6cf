//! Exceptions: one walk over all of them, who answers for them, and when they end.

use crate::golden::directory;
use config::{Config, Severity};
use std::{env, fs};

const NAME: &str = "exceptions.toml";

fn settings() -> (String, Config) {
    let text = fs::read_to_string(directory(".").join(NAME)).expect("the settings");
    let (config, warnings) = Config::from_text(NAME, &text).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(warnings, []);
    (text, config)
}

fn compare(name: &str, got: &str) {
    let path = directory(".").join(name);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, got).expect("the expected text is written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(got == expected, "{name}: expected\n{expected}\ngot\n{got}");
}

#[test]
fn every_list_right_and_loan_is_walked_once() {
    let (_, config) = settings();
    let walked = config.exceptions().map(|exception| {
        let place = config.book.place(exception.rule);
        format!("{} line {}: {}\n", place.key, place.line.expect("it is written"), exception.what)
    });
    compare("exceptions-walked.txt", &walked.collect::<String>());
}

#[test]
fn strict_wants_to_know_who_why_and_until_when() {
    let (text, config) = settings();
    let mistakes = config.strict(&text);
    assert!(mistakes.iter().all(|mistake| mistake.severity == Severity::Error));
    compare("exceptions-strict.txt", &config::render(NAME, &text, &mistakes, false));
}

#[test]
fn what_has_ended_and_what_is_about_to_is_said() {
    let (text, config) = settings();
    let day = |day: &str| day.parse::<mail::Day>().expect("a day").ends();
    let said = |now: mail::Timestamp| config::render(NAME, &text, &config.ending(&text, now), false);
    compare("exceptions-ending.txt", &said(day("2026-12-15")));
    assert_eq!(config.ending(&text, day("2026-11-14")), [], "31 days before the first end nothing is said");
    assert_eq!(config.ending(&text, day("2026-11-15")).len(), 1, "30 days before it is");
    let all = config.ending(&text, day("2027-06-30"));
    assert!(all.iter().all(|mistake| mistake.found.contains("has ended") && mistake.place.is_some()), "{all:?}");
    assert_eq!(all.len(), config.exceptions().filter(|exception| exception.term.expires.is_some()).count());
}

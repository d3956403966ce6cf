//! Whatever the text: an answer, and never one that is more open than what was written.

use crate::dump::probe;
use crate::golden::files;
use config::{Config, Mistake, Mistakes, Server, Severity};
use proptest::prelude::*;

/// Clients: a stranger, one of each list of the good files, and this machine.
const CLIENTS: [&str; 8] =
    ["203.0.113.7", "2a00::1", "10.168.0.1", "10.168.0.2", "10.0.0.5", "172.16.9.9", "127.0.0.1", "::1"];
/// Recipients outside of every organization.
const OUTSIDE: [&str; 3] = ["bob@ext.example", "bob@corp2.example", "bob@sub.corp2.example"];

/// The probes that `server` lets pass.
fn passes(server: &Server) -> Vec<(&'static str, &'static str)> {
    let probes = CLIENTS.iter().flat_map(|client| OUTSIDE.iter().map(move |recipient| (*client, *recipient)));
    probes.filter(|(client, recipient)| probe(server, client, recipient)).collect()
}

/// A file that was written only in part, at whatever octet it ends, is refused or relays no more
/// than the whole.
#[test]
fn half_a_file_never_relays_more_than_the_whole() {
    for (name, text) in files("good") {
        let (whole, _) = Config::from_text(&name, &text).unwrap();
        for end in 0..text.len() {
            let Some(part) = text.get(..end) else { continue };
            let Ok((half, _)) = Config::from_text(&name, part) else { continue };
            for server in &half.servers {
                // A name that was cut is another name for the same table.
                let of_whole: Vec<_> = whole
                    .servers
                    .iter()
                    .filter(|w| w.name.starts_with(&*server.name))
                    .flat_map(|w| passes(w))
                    .collect();
                for probe in passes(server) {
                    assert!(
                        of_whole.contains(&probe),
                        "{name} cut at {end} relays {probe:?} by {}:\n{part}",
                        server.name
                    );
                }
            }
        }
    }
}

/// A line that is lost must not make a relay for the whole Internet either.
#[test]
fn a_lost_line_never_makes_an_open_relay() {
    for (name, text) in files("good") {
        let (whole, _) = Config::from_text(&name, &text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for lost in 0..lines.len() {
            let rest: Vec<&str> =
                lines.iter().enumerate().filter(|(at, _)| *at != lost).map(|(_, line)| *line).collect();
            let Ok((config, _)) = Config::from_text(&name, &rest.join("\n")) else { continue };
            for server in &config.servers {
                let stranger = |server: &Server| probe(server, "203.0.113.7", "bob@ext.example");
                let insists = whole.servers.iter().any(stranger);
                assert!(insists || !stranger(server), "{name} without {:?}", lines[lost]);
            }
        }
    }
}

/// Whether every mistake was found here, and none was left for serde to stumble over.
fn is_told_well(mistakes: &Mistakes) -> bool {
    let told = |m: &Mistake| !m.key.is_empty() || m.found.starts_with("not TOML");
    mistakes.list().iter().all(told) && mistakes.list().iter().any(|m| m.severity == Severity::Error)
}

/// A value of some kind, for keys that want another.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("true".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_filter("TOML has its own words for these", |n| n.is_finite()).prop_map(|n| format!("{n:?}")),
        "[ -~]{0,12}".prop_map(|text| format!("{text:?}")),
        "[a-z0-9.:/\\[\\]-]{0,12}".prop_map(|text| format!("[{text:?}]")),
        Just("1979-05-27".to_owned()),
        Just("{ a = 1 }".to_owned()),
        Just("[[1], [2]]".to_owned()),
    ]
}

proptest! {
    #[test]
    fn any_text_has_an_answer(text in "\\PC{0,200}") {
        if let Err(mistakes) = Config::from_text("any", &text) {
            prop_assert!(!mistakes.render(false).is_empty());
        }
    }

    #[test]
    fn any_octets_in_a_file_have_an_answer(
        file in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        rest in "[\\x00-\\x7f\u{e9}\u{202e}\u{1f600}]{1,8}",
    ) {
        let all = [files("good"), files("bad")].concat();
        let (name, text) = &all[file.index(all.len())];
        let mut place = at.index(text.len() + 1);
        while !text.is_char_boundary(place) {
            place -= 1;
        }
        let changed = format!("{}{rest}{}", &text[..place], &text[place..]);
        match Config::from_text(name, &changed) {
            Ok((_, warnings)) => drop(config::render(name, &changed, &warnings, true)),
            Err(mistakes) => prop_assert!(is_told_well(&mistakes), "{mistakes}"),
        }
    }

    #[test]
    fn any_value_at_any_key_has_an_answer(key in any::<prop::sample::Index>(), value in value()) {
        let example = config::reference::example();
        let keys: Vec<usize> =
            example.lines().enumerate().filter(|(_, line)| line.contains(" = ")).map(|(at, _)| at).collect();
        let chosen = keys[key.index(keys.len())];
        let changed: String = example
            .lines()
            .enumerate()
            .map(|(at, line)| match line.trim_start_matches(['#', ' ']).trim_start_matches("e.g. ").split_once(" = ") {
                Some((key, _)) if at == chosen => format!("{key} = {value}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        if let Err(mistakes) = Config::from_text("changed", &changed) {
            prop_assert!(is_told_well(&mistakes), "{mistakes}");
        }
    }
}

//! The generated pages are those that are committed. `UPDATE_REFERENCE=1` rewrites them.

use config::{Config, reference};
use std::path::Path;
use std::{env, fs};

fn is_fresh(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name);
    if env::var_os("UPDATE_REFERENCE").is_some() {
        fs::create_dir_all(path.parent().expect("a directory")).expect("the directory is made");
        fs::write(&path, text).expect("the page is written");
        return;
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "{name} is stale: run the tests with UPDATE_REFERENCE=1 and look at the difference");
}

#[test]
fn the_manual_is_fresh() {
    is_fresh("settings.md", &reference::markdown());
}

#[test]
fn the_example_is_fresh() {
    is_fresh("bridgehead.example.toml", &reference::example());
}

#[test]
fn the_schema_is_fresh() {
    is_fresh("bridgehead.schema.json", &reference::json_schema());
}

#[test]
fn the_schema_of_invariants_is_fresh() {
    is_fresh("invariants.schema.json", &reference::invariant_json_schema());
}

#[test]
fn the_example_is_a_settings_file() {
    let (config, warnings) = Config::from_text("bridgehead.example.toml", &reference::example()).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(config.servers.len(), 1);
}

#[test]
fn every_default_that_is_shown_is_the_default() {
    // Uncommented, the defaults must be taken, and change nothing.
    let example = reference::example();
    let mut is_example = false;
    let spelt_out: String = example
        .lines()
        .map(|line| {
            // A table whose name is an example stays out.
            is_example = if line.starts_with("#[") { true } else { is_example && !line.starts_with('[') };
            match line.strip_prefix('#') {
                Some(rest) if !is_example && !rest.starts_with(' ') && rest.contains(" = ") => format!("{rest}\n"),
                _ => format!("{line}\n"),
            }
        })
        .collect();
    assert!(
        spelt_out.lines().filter(|line| !line.starts_with('#') && line.contains(" = ")).count() > 40,
        "{spelt_out}"
    );
    let (plain, _) = Config::from_text("plain", &example).unwrap();
    let (spelt, _) = Config::from_text("spelt", &spelt_out).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(crate::dump::dump(&plain), crate::dump::dump(&spelt));
}

#[test]
fn every_key_is_in_the_manual_with_a_meaning() {
    let manual = reference::markdown();
    for line in manual.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        assert_eq!(cells.len(), 4, "{line}");
        assert!(cells.iter().all(|cell| cell.trim_matches(['|', ' ']).len() > 1), "{line}");
    }
}

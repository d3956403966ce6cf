//! The floors of ARCHITECTURE.md: a crate uses only crates on lower floors, and heavy libraries
//! stay where they belong.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use toml::{Table, Value};

use super::Finding;

const FLOORS: [(&str, u8); 15] = [
    ("mail", 0),
    ("smtp", 1),
    ("policy", 1),
    ("queue", 1),
    ("identity", 1),
    ("bounds", 1),
    ("invariant", 1),
    ("verify", 1),
    ("config", 2),
    ("directory", 2),
    ("gateway", 3),
    ("access", 3),
    ("console", 4),
    ("sim", 4),
    ("bridgehead", 5),
];

/// All that the light crates of floors 0 and 1 may use of other people's. A new name here is a
/// commit of its own, with its reason in ARCHITECTURE.md.
const SMALL: [(&str, &[&str]); 7] = [
    ("bounds", &["sha2"]),
    (
        "identity",
        &[
            "argon2",
            "base64ct",
            "bcrypt",
            "hmac",
            "md-5",
            "md4",
            "pbkdf2",
            "rc4",
            "sha-crypt",
            "sha2",
            "stringprep",
            "subtle",
            "yescrypt",
            "zeroize",
        ],
    ),
    ("invariant", &[]),
    ("mail", &["idna", "ipnet"]),
    ("smtp", &["memchr"]),
    ("policy", &["smallvec"]),
    ("queue", &["bytes", "crc32c", "mail-builder", "memchr"]),
];

/// Libraries that only these crates may name.
const OWNED: [(&str, &[&str]); 12] = [
    ("toml", &["config"]),
    ("axum", &["console"]),
    ("rustls", &["bridgehead", "directory"]),
    ("tokio-rustls", &["bridgehead", "directory"]),
    ("rustls-native-certs", &["bridgehead", "directory"]),
    ("reqwest", &["bridgehead", "directory"]),
    ("jsonwebtoken", &["directory"]),
    ("nonstick", &["directory"]),
    ("x509-parser", &["bridgehead"]),
    ("rcgen", &["bridgehead"]),
    ("hickory-resolver", &["bridgehead", "verify"]),
    ("anyhow", &["bridgehead"]),
];

/// The feature of `gateway` that only the simulator may ask for.
const ASTRAY: &str = "astray";

/// Reads the manifests under `crates` and holds them to the floors.
pub(crate) fn findings(root: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let directories = fs::read_dir(root.join("crates")).map(Iterator::flatten).into_iter().flatten();
    let mut names: Vec<String> = directories.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    for name in names {
        let place = format!("crates/{name}/Cargo.toml");
        let text = fs::read_to_string(root.join(&place)).unwrap_or_default();
        match text.parse::<Table>() {
            Ok(manifest) => {
                findings.extend(faults(&name, &manifest).into_iter().map(|text| Finding::new(&place, text)));
            }
            Err(error) => findings.push(Finding::new(&place, error.to_string())),
        }
    }
    findings
}

fn faults(name: &str, manifest: &Table) -> Vec<String> {
    let floors = BTreeMap::from(FLOORS);
    let Some(&floor) = floors.get(name) else {
        return vec![format!(
            "{name} has no floor: ARCHITECTURE.md and xtask/src/tidy/floors.rs must say where it stands"
        )];
    };
    let mut faults = Vec::new();
    for (dependency, ships) in dependencies(manifest) {
        match floors.get(dependency.as_str()) {
            Some(&below) if below >= floor => {
                faults.push(format!("{name} (floor {floor}) must not use {dependency} (floor {below})"));
            }
            Some(_) if ships && dependency == "sim" => faults.push(format!("{name} must not ship sim")),
            Some(_) => {}
            None if ships => faults.extend(foreign_fault(name, &dependency)),
            None => {}
        }
    }
    if name != "sim" && manifest.values().any(|value| asks_for(value, ASTRAY)) {
        faults.push(format!(
            "{name} must not have the feature {ASTRAY}: with it the rules can be made to answer wrongly"
        ));
    }
    let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(Value::as_bool);
    if inherits != Some(true) {
        faults.push("the lints of the workspace are not inherited".to_owned());
    }
    faults
}

/// Whether a feature is asked for anywhere in a part of a manifest.
fn asks_for(value: &Value, feature: &str) -> bool {
    match value {
        Value::String(text) => text == feature || text.strip_suffix(feature).is_some_and(|front| front.ends_with('/')),
        Value::Array(list) => list.iter().any(|one| asks_for(one, feature)),
        Value::Table(table) => table.values().any(|one| asks_for(one, feature)),
        _ => false,
    }
}

fn foreign_fault(name: &str, dependency: &str) -> Option<String> {
    let small = SMALL.iter().find(|(light, _)| *light == name).map(|(_, allowed)| *allowed);
    if small.is_some_and(|allowed| !allowed.contains(&dependency)) {
        return Some(format!("{name} is to stay light and must not use {dependency}"));
    }
    let owners = OWNED.iter().find(|(library, _)| *library == dependency).map(|(_, owners)| *owners)?;
    (!owners.contains(&name)).then(|| format!("only {} may use {dependency}", owners.join(" and ")))
}

/// Every dependency, and whether it ships (a development dependency does not).
fn dependencies(manifest: &Table) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let targets = manifest.get("target").and_then(Value::as_table);
    let conditional = targets.into_iter().flat_map(|targets| targets.values().filter_map(Value::as_table));
    for table in std::iter::once(manifest).chain(conditional) {
        for (section, ships) in [("dependencies", true), ("build-dependencies", true), ("dev-dependencies", false)] {
            let names = table.get(section).and_then(Value::as_table).into_iter().flat_map(Table::keys);
            found.extend(names.map(|name| (name.clone(), ships)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::faults;

    fn faults_of(name: &str, manifest: &str) -> Vec<String> {
        faults(name, &format!("{manifest}\n[lints]\nworkspace = true").parse().unwrap())
    }

    #[test]
    fn arrows_go_down_only() {
        assert!(faults_of("config", "[dependencies]\nmail = {}\npolicy.workspace = true").is_empty());
        assert_eq!(faults_of("smtp", "[dependencies]\npolicy = {}"), ["smtp (floor 1) must not use policy (floor 1)"]);
        assert_eq!(faults_of("smtp", "[dev-dependencies]\nqueue = {}").len(), 1);
        assert_eq!(faults_of("mail", "[target.'cfg(unix)'.dependencies]\nconfig = {}").len(), 1);
    }

    #[test]
    fn the_simulator_does_not_ship() {
        assert_eq!(faults_of("bridgehead", "[dependencies]\nsim = {}"), ["bridgehead must not ship sim"]);
        assert!(faults_of("bridgehead", "[dev-dependencies]\nsim = {}").is_empty());
    }

    #[test]
    fn only_the_simulator_makes_the_rules_answer_wrongly() {
        let asks = "[dependencies]\ngateway = { workspace = true, features = [\"astray\"] }";
        assert!(faults_of("sim", asks).is_empty());
        assert_eq!(faults_of("bridgehead", asks).len(), 1);
        assert_eq!(faults_of("bridgehead", "[features]\nx = [\"gateway/astray\"]").len(), 1);
        assert!(faults_of("gateway", "[features]\nastray = []").is_empty());
    }

    #[test]
    fn light_crates_stay_light() {
        assert_eq!(
            faults_of("policy", "[dependencies]\nserde = {}"),
            ["policy is to stay light and must not use serde"]
        );
        assert!(faults_of("policy", "[dev-dependencies]\nproptest = {}").is_empty());
        assert_eq!(faults_of("gateway", "[dependencies]\naxum = {}"), ["only console may use axum"]);
    }

    #[test]
    fn a_crate_without_a_floor_or_lints_is_found() {
        assert_eq!(faults_of("util", "").len(), 1);
        assert_eq!(super::faults("mail", &"".parse().unwrap()).len(), 1);
    }
}

//! Every kept input, run as a normal test: what the fuzzer found once is never found again.

// Reads the corpora from the tree.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test that reads the kept inputs")]

use fuzz_targets::{TARGETS, Target};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The kept inputs of a target, with their names.
fn corpus(target: &Target) -> Vec<(String, Vec<u8>)> {
    let directory = root().join("fuzz/corpus").join(target.name);
    let entries = std::fs::read_dir(&directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let mut inputs: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} is empty", directory.display());
    inputs
}

#[test]
fn every_kept_input_keeps_every_promise() {
    for target in TARGETS {
        for (name, octets) in corpus(&target) {
            let run = std::panic::catch_unwind(|| (target.run)(&octets));
            assert!(run.is_ok(), "fuzz/corpus/{}/{name} breaks a promise of `{}`", target.name, target.name);
        }
    }
}

#[test]
fn what_the_tests_say_already_keeps_every_promise() {
    for target in TARGETS {
        let seeds = fuzz_targets::seeds::of(target.name, &root());
        assert!(!seeds.is_empty());
        seeds.iter().for_each(|octets| (target.run)(octets));
    }
}

/// The corpora stay small enough to be run by every test.
#[test]
fn corpora_are_small() {
    for target in TARGETS {
        let inputs = corpus(&target);
        let octets: usize = inputs.iter().map(|(_, octets)| octets.len()).sum();
        assert!(
            inputs.len() <= 400 && octets <= 256 << 10,
            "{}: {} inputs, {octets} octets",
            target.name,
            inputs.len()
        );
    }
}

/// Each target has its program, and each program its target.
#[test]
fn every_target_has_its_program() {
    let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    let named: Vec<&str> = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")).collect();
    let expected = TARGETS.map(|target| format!("{}.rs\"", target.name));
    assert_eq!(named, expected);
    for Target { name, .. } in TARGETS {
        let program = std::fs::read_to_string(root().join(format!("fuzz/fuzz_targets/{name}.rs"))).unwrap();
        assert!(program.contains(&format!("fuzz_targets::run(\"{name}\", octets)")), "{name}");
    }
}

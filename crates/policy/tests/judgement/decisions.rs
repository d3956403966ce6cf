//! Runs every `tests/decisions/*.case` of the workspace and compares it, whole, with what comes out.
//! `UPDATE_CASES=1` rewrites the answers; the difference is the review.

use crate::case;
use std::path::{Path, PathBuf};

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/decisions");
    let entries = std::fs::read_dir(&directory).expect("tests/decisions exists");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "case"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_case_is_decided_and_traced_as_written() {
    let files = files();
    assert!(files.len() >= 60, "only {} cases", files.len());
    let update = std::env::var_os("UPDATE_CASES").is_some();
    let mut wrong = Vec::new();
    for path in files {
        let written = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let answered = case::answer(&name, &written);
        if answered == written {
            continue;
        }
        if update {
            std::fs::write(&path, answered).unwrap();
        } else {
            wrong.push(format!("{name}\n{}", difference(&written, &answered)));
        }
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// The lines of one text that the other does not have in the same place, from the first difference on.
fn difference(written: &str, answered: &str) -> String {
    let same = written.lines().zip(answered.lines()).take_while(|(a, b)| a == b).count();
    let part = |sign, text: &str| -> String {
        text.lines().skip(same).take(8).map(|line| format!("  {sign}{line}\n")).collect()
    };
    format!("  from line {}:\n{}{}", same + 1, part('-', written), part('+', answered))
}

#[test]
fn every_case_names_its_acceptance_row_or_its_practice_and_asks_something() {
    for path in files() {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# "), "{}: no title", path.display());
        assert!(text.contains("\n? "), "{}: no question", path.display());
    }
}

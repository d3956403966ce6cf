//! What audits and plans look like: `tests/audit`. `UPDATE_AUDITS=1 cargo test -p access` writes them anew.
#![expect(clippy::disallowed_methods, reason = "golden files are read and written here")]

use crate::{NOW, config};
use access::{Audit, Plan, Surroundings, html, text};
use std::fs;
use std::path::{Path, PathBuf};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/audit")
}

/// The settings files whose names end so.
fn settings(end: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = all.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Compares with the file, or writes it.
fn golden(path: &Path, said: &str) {
    if std::env::var_os("UPDATE_AUDITS").is_some() {
        fs::write(path, said).unwrap();
        return;
    }
    let known = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(said, known, "{} is not what it was", path.display());
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn no_line_is_too_long(text: &str) {
    for line in text.lines() {
        let plain = !line.trim_start().contains(' ');
        assert!(line.chars().count() <= 100 || plain, "{line}");
    }
}

#[test]
fn d23_audits() {
    for path in
        settings(".toml").into_iter().filter(|path| !name(path).contains(".old.") && !name(path).contains(".new."))
    {
        let config = config(&fs::read_to_string(&path).unwrap());
        let audit = Audit::of(&name(&path), &config, &Surroundings::default(), NOW);
        let said = text::audit(&audit);
        no_line_is_too_long(&said);
        golden(&path.with_extension("txt"), &said);
        if name(&path) == "typical-default.toml" {
            golden(&path.with_extension("html"), &html::audit(&audit));
            golden(&path.with_extension("json"), &(serde_json::to_string_pretty(&audit).unwrap() + "\n"));
        }
    }
}

#[test]
fn plans() {
    for old in settings(".old.toml") {
        let stem = name(&old).replace(".old.toml", "");
        let new = directory().join(format!("{stem}.new.toml"));
        let read = |path: &Path| config(&fs::read_to_string(path).unwrap());
        let plan = Plan::of((&name(&old), &read(&old)), (&name(&new), &read(&new)), NOW);
        let said = text::plan(&plan);
        no_line_is_too_long(&said);
        golden(&directory().join(format!("{stem}.plan.txt")), &said);
    }
}

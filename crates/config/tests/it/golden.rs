//! Every file of `tests/settings/bad` with what is said about it in the `.txt` beside it, and every
//! file of `good` with a short dump of the settings it gives. `UPDATE_GOLDEN=1` rewrites what is
//! expected; the difference is the review.

use config::{Config, Mistakes};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

pub(crate) fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/settings").join(name)
}

/// The settings files of a directory, by name.
pub(crate) fn files(name: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(directory(name))
        .expect("the directory of settings files")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("a settings file"))
        })
        .collect();
    files.sort();
    files
}

/// Compares what came out with the file beside, all files first.
pub(crate) fn compare(directory_name: &str, outcomes: Vec<(String, String)>) {
    let mut wrong = String::new();
    for (name, got) in outcomes {
        let path = directory(directory_name).join(Path::new(&name).with_extension("txt"));
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &got).expect("the expected text is written");
            continue;
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if got != expected {
            let _ = writeln!(wrong, "--- {name}: expected\n{expected}\n--- {name}: got\n{got}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn bad_files_are_told_what_is_wrong() {
    let said = |(name, text): (String, String)| match Config::from_text(&name, &text) {
        Ok(_) => panic!("{name} was taken"),
        Err(mistakes) => (name, mistakes.render(false)),
    };
    let outcomes: Vec<_> = files("bad").into_iter().map(said).collect();
    assert!(outcomes.len() >= 50, "only {} bad files", outcomes.len());
    compare("bad", outcomes);
}

#[test]
fn a_bad_file_says_where_and_what_to_do() {
    for (name, text) in files("bad") {
        let mistakes: Mistakes = Config::from_text(&name, &text).expect_err("a bad file");
        for mistake in mistakes.list() {
            let helped =
                !mistake.expected.is_empty() || mistake.advice.is_some() || mistake.found.starts_with("not TOML");
            assert!(helped || !mistake.related.is_empty(), "{name}: {mistake:?}");
            let missing = mistake.found.contains("missing") || mistake.found.starts_with("there is no");
            assert!(mistake.place.is_some() || missing, "{name}: {mistake:?}");
            let rendered = mistake.render(&name, &text, false);
            assert!(rendered.bytes().all(|b| b == b'\n' || !b.is_ascii_control()), "{name}: {rendered:?}");
        }
        let coloured = mistakes.render(true);
        assert!(coloured.contains("\u{1b}["), "{name}: no colour when it was asked for");
    }
}

#[test]
fn good_files_give_these_settings() {
    let gave = |(name, text): (String, String)| match Config::from_text(&name, &text) {
        Ok((config, warnings)) => {
            let said = config::render(&name, &text, &warnings, false);
            (name, format!("{}\n{}\n{said}", crate::dump::dump(&config), crate::dump::places(&config)))
        }
        Err(mistakes) => panic!("{name} was not taken:\n{mistakes}"),
    };
    compare("good", files("good").into_iter().map(gave).collect());
}

#[test]
fn every_expected_text_has_its_file() {
    for name in ["good", "bad", "invariants"] {
        for entry in fs::read_dir(directory(name)).expect("the directory") {
            let path = entry.expect("an entry").path();
            assert!(path.with_extension("toml").exists(), "{} is about nothing", path.display());
        }
    }
}

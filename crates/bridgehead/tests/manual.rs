//! The manual is run: every file of a page is checked, and every command is typed and must answer what the page says. `UPDATE_MANUAL=1` writes down what is answered; the difference is the review.
//!
//! A block that begins with "```toml NAME" is a file of that name; one that begins with "```console" has commands
//! behind `$ `, and further lines of them behind `> `, which a shell is given; each is followed by what it prints.
#![allow(clippy::disallowed_methods, reason = "a test of the real program uses real files and processes")]

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Pages must not fail because time goes by: exceptions that end on this day end much later when they are run.
const ENDS: [&str; 2] = ["2027-01-31", "2999-12-31"];

/// The pages of the manual, by path.
fn pages() -> Vec<PathBuf> {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/manual");
    let paths = [manual.join("recipes"), manual].into_iter().flat_map(|directory| {
        let entries = fs::read_dir(directory).expect("the manual");
        entries.map(|entry| entry.expect("an entry").path())
    });
    let mut pages: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    pages.sort();
    pages
}

/// A piece of a page.
enum Piece {
    Text(String),
    File { name: String, text: String },
    Console(String),
}

fn pieces(page: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut lines = page.lines();
    let mut text = String::new();
    while let Some(line) = lines.next() {
        let _ = writeln!(text, "{line}");
        let file = line.strip_prefix("```toml ");
        if file.is_none() && line != "```console" {
            continue;
        }
        pieces.push(Piece::Text(std::mem::take(&mut text)));
        let block = lines.by_ref().take_while(|line| *line != "```");
        let block: String = block.flat_map(|line| [line, "\n"]).collect();
        pieces.push(match file {
            Some(name) => Piece::File { name: name.to_owned(), text: block },
            None => Piece::Console(block),
        });
        text.push_str("```\n");
    }
    pieces.push(Piece::Text(text));
    pieces
}

/// The commands of a block, each with its lines as they are written and without what was answered.
fn commands(block: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in block.lines() {
        match commands.last_mut() {
            Some(command) if goes_on || line.starts_with("> ") => *command += &format!("\n{line}"),
            _ if line.starts_with("$ ") => commands.push(line.to_owned()),
            _ => continue,
        }
        goes_on = line.ends_with('\\');
    }
    assert!(!commands.is_empty(), "a console without a command:\n{block}");
    commands
}

/// What a shell answers to a command, in a directory.
fn answer(command: &str, directory: &Path) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_bridgehead")).parent().expect("a directory");
    let path = format!("{}:{}", program.display(), env::var("PATH").unwrap_or_default());
    let typed = command.strip_prefix("$ ").expect("a command").replace("\n> ", "\n");
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec 2>&1\n{typed}")]).current_dir(directory).env("PATH", path);
    let output = shell.output().expect("a shell");
    String::from_utf8(output.stdout).expect("text").replace(ENDS[1], ENDS[0])
}

/// The page as it would be if it said what is answered.
fn run(page: &str, name: &str) -> String {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut out = String::new();
    for piece in pieces(page) {
        match piece {
            Piece::Text(text) => out += &text,
            Piece::File { name: file, text } => {
                assert!(!file.contains('/'), "{name}: {file}");
                fs::write(directory.path().join(&file), text.replace(ENDS[0], ENDS[1])).expect("the file is written");
                let checked = answer(&format!("$ bridgehead check {file}"), directory.path());
                assert!(checked.starts_with(&format!("{file}: no mistakes\n")), "{name}:\n{checked}");
                out += &text;
            }
            Piece::Console(block) => {
                for command in commands(&block) {
                    let said = answer(&command, directory.path());
                    let _ = write!(out, "{command}\n{said}");
                    assert!(said.is_empty() || said.ends_with('\n'), "{name}: {command}");
                }
            }
        }
    }
    out
}

#[test]
fn every_command_answers_what_the_manual_says() {
    let pages = pages();
    assert!(pages.iter().any(|page| page.ends_with("recipes/hub.md")), "{pages:?}");
    let mut wrong = String::new();
    for path in pages {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let page = fs::read_to_string(&path).expect("a page");
        let ran = run(&page, &name);
        if env::var_os("UPDATE_MANUAL").is_some() {
            fs::write(&path, &ran).expect("the page is written");
        } else if ran != page {
            let _ = writeln!(wrong, "--- {name}: what is answered now\n{ran}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_page_that_says_something_else_is_found() {
    let page = "# P\n\n```console\n$ printf 'a\\nb\\n' | \\\n    head -1\nb\n```\n\ntext\n";
    assert_eq!(run(page, "p"), page.replace("1\nb\n", "1\na\n"));
}

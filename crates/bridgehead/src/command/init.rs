//! `bridgehead init`: settings to begin with, for what a server is to be.

use crate::cli;
use anyhow::{Context, Result};
use config::templates::Options;
use std::fs::{OpenOptions, remove_file};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// The domain of those who do not say theirs; nobody has it (RFC 2606).
const EXAMPLE: &str = "corp.example";

/// Writes the settings to standard output, or to a file that is not there yet.
///
/// # Errors
/// The file is there, or cannot be written.
pub(super) fn run(init: cli::Init) -> Result<ExitCode> {
    let mut domains = init.domain.into_iter();
    let example = || EXAMPLE.parse().expect("invariant: the example is a domain");
    let options = Options {
        hostname: init.hostname,
        domain: domains.next().unwrap_or_else(example),
        more_domains: domains.collect(),
        realm: init.realm,
    };
    let text = init.role.text(&options);
    match &init.output {
        None => io::stdout().write_all(text.as_bytes()).context("cannot write the settings")?,
        Some(file) => {
            write_new(file, &text)?;
            let file = file.display();
            eprintln!("{file} is written.");
            eprintln!("Addresses, accounts and certificates in it are examples: put yours there, then");
            eprintln!("    bridgehead check {file}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A file that is there stays as it is: it may be the settings of a gateway that runs.
fn write_new(file: &Path, text: &str) -> Result<()> {
    let cannot = || format!("cannot write {}", file.display());
    let mut new = OpenOptions::new().write(true).create_new(true).open(file).with_context(cannot)?;
    let written = new.write_all(text.as_bytes()).and_then(|()| new.sync_all());
    if written.is_err() {
        // Half a file would keep the next attempt from writing a whole one.
        let _ = remove_file(file);
    }
    written.with_context(cannot)
}

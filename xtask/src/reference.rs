//! Rewrites the documents that are generated: the staleness tests of the config crate, told to
//! update what they would otherwise complain about.

use std::process::Command;

use anyhow::{Result, ensure};

/// Rewrites them and says what changed.
pub(crate) fn run() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["test", "--quiet", "--package", "config"]).env("UPDATE_REFERENCE", "1").current_dir(crate::root());
    ensure!(command.status()?.success(), "the staleness tests of config failed even when told to update");
    let changed =
        Command::new("git").args(["status", "--short", "--", "docs", "tests"]).current_dir(crate::root()).output()?;
    let changed = String::from_utf8_lossy(&changed.stdout).into_owned();
    println!("{}", if changed.is_empty() { "nothing was stale" } else { changed.trim_end() });
    Ok(())
}

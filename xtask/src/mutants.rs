//! Mutation testing: no mutant of what decides access may survive the tests of its crate.
//!
//! cargo-mutants does the work, in a copy of the tree. Which files decide access, and which mutants survive by
//! design, stands in `.cargo/mutants.toml` and nowhere else.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use tempfile::NamedTempFile;

/// The version that the settings were written for; another of the same major number will do.
const VERSION: &str = "27.1.0";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only mutants of this crate; may be repeated
    #[arg(short, long, value_name = "CRATE")]
    package: Vec<String>,
    /// Mutants that are tested at the same time
    #[arg(short, long, default_value_t = 2)]
    jobs: usize,
    /// Only say which mutants there are
    #[arg(long)]
    list: bool,
    /// Only mutants of these files (globs from the root of the tree), instead of those that decide access
    files: Vec<String>,
}

/// Tests every mutant; fails if one survives.
pub(crate) fn run(options: &Options) -> Result<()> {
    installed()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), Into::into);
    let mut command = crate::test::cargo(&["mutants"]);
    options.package.iter().for_each(|package| _ = command.args(["--package", package]));
    let settings = settings(&options.files)?;
    command.arg("--config").arg(settings.path());
    if options.list {
        command.arg("--list");
    } else {
        command.arg("--jobs").arg(options.jobs.to_string()).arg("--output").arg(&target);
    }
    let status = command.status()?;
    match status.code() {
        Some(0) => Ok(()),
        // As cargo-mutants documents its exit codes.
        Some(2) => bail!("a mutant has survived; what its tests said is in {}", target.join("mutants.out").display()),
        Some(3) => bail!("the tests of a mutant did not come to an end: they are too slow, or it cannot be told"),
        Some(4) => bail!("the tests fail without any mutant"),
        _ => bail!("cargo-mutants could not do its work"),
    }
}

/// The settings; if files are named, with them instead of those that stand there: on its command line cargo-mutants
/// only adds files.
fn settings(files: &[String]) -> Result<NamedTempFile> {
    let place = crate::root().join(".cargo/mutants.toml");
    let text = fs::read_to_string(&place).with_context(|| format!("cannot read {}", place.display()))?;
    let mut settings: toml::Table = text.parse().with_context(|| format!("cannot read {}", place.display()))?;
    if !files.is_empty() {
        settings.insert("examine_globs".to_owned(), files.to_vec().into());
    }
    let mut file = NamedTempFile::with_suffix(".toml")?;
    file.write_all(settings.to_string().as_bytes())?;
    Ok(file)
}

/// Says how to get cargo-mutants when it is not there.
fn installed() -> Result<()> {
    let major = VERSION.split('.').next().unwrap_or(VERSION);
    let output = Command::new("cargo-mutants").args(["mutants", "--version"]).stderr(Stdio::null()).output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let found = said.split_whitespace().last().unwrap_or("none");
    ensure!(
        found.split('.').next() == Some(major),
        "cargo-mutants {major} is needed, found {found}; get it: cargo install --locked cargo-mutants@{VERSION}"
    );
    Ok(())
}

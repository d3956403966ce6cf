//! Runs everything that must hold, in the order in which a failure is cheapest to hear of.

use std::io::{BufRead, BufReader, IsTerminal};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::peers;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these parts (by default all of them)
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// The long versions: `kill -9` two hundred times instead of ten, 20,000 simulated seeds instead of 300
    #[arg(long)]
    long: bool,
    /// Install nothing; say what is missing
    #[arg(long)]
    no_install: bool,
    /// Only end-to-end tests whose name contains this
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Formatting
    Format,
    /// Warnings are errors
    Clippy,
    /// Tests of the workspace, tidy among them
    Unit,
    /// The release program among real peers
    E2e,
}

/// What has passed and failed so far.
#[derive(Default)]
struct Score {
    passed: u64,
    failed: u64,
    broken: Vec<String>,
    skipped: Vec<String>,
}

/// Runs the parts that were asked for; fails if anything failed.
pub(crate) fn run(options: &Options) -> Result<()> {
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);
    let mut score = Score::default();
    if (wanted(Part::E2e) || wanted(Part::Unit)) && !options.no_install {
        score.skipped.extend(peers::install());
    }
    let features = features();
    if wanted(Part::Format) {
        score.step("formatting", cargo(&["fmt", "--all", "--check"]))?;
    }
    if wanted(Part::Clippy) {
        let clippy = ["clippy", "--workspace", "--all-targets", "--test", "all", "--quiet", "--features", &features];
        score.step("clippy", cargo(&[&clippy[..], &["--", "-D", "warnings"]].concat()))?;
    }
    if wanted(Part::Unit) {
        let mut command = cargo(&["test", "--workspace", "--no-fail-fast", "--features", &features]);
        if options.long {
            command.env("E2E_LONG", "1");
        }
        score.tests("tests", command)?;
    }
    if wanted(Part::E2e) {
        end_to_end(options, &features, &mut score)?;
    }
    score.tell()
}

/// What needs libraries of the system is built and tested where they are. The same for all parts: other
/// features would build the libraries of others once more.
fn features() -> String {
    let mut features = Vec::new();
    if peers::kerberos() {
        features.extend(["bridgehead/gssapi", "directory/gssapi", "e2e/gssapi"]);
    }
    if peers::pam() {
        features.extend(["bridgehead/pam", "directory/pam", "e2e/pam"]);
    }
    features.join(",")
}

fn end_to_end(options: &Options, features: &str, score: &mut Score) -> Result<()> {
    let program: Vec<&str> = features.split(',').filter(|feature| feature.starts_with("bridgehead/")).collect();
    let build = ["build", "--release", "--package", "bridgehead", "--features", &program.join(",")];
    score.step("release build", cargo(&build))?;
    if score.broken.iter().any(|step| step == "release build") {
        return Ok(());
    }
    // The workspace, so that what the other tests have built is used again.
    let mut command = cargo(&["test", "--workspace", "--test", "all", "--features", features]);
    command.env("BRIDGEHEAD_BIN", release_program());
    if options.long {
        command.env("E2E_LONG", "1");
    }
    command.args(&options.scenario);
    score.tests("end to end", command)
}

impl Score {
    /// A step that either holds or does not.
    fn step(&mut self, name: &str, mut command: Command) -> Result<()> {
        heading(name);
        let start = Instant::now();
        let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
        self.note(name, status.success());
        println!("{name}: {} in {} s", verdict(status.success()), start.elapsed().as_secs());
        Ok(())
    }

    /// A step that is many tests, counted from cargo's own lines.
    fn tests(&mut self, name: &str, mut command: Command) -> Result<()> {
        heading(name);
        let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {command:?}"))?;
        let (passed, failed) = (self.passed, self.failed);
        for line in BufReader::new(child.stdout.take().context("its output is a pipe")?).lines() {
            let line = line?;
            self.passed += count(&line, " passed;");
            self.failed += count(&line, " failed;");
            println!("{line}");
        }
        let success = child.wait()?.success();
        if !success && self.failed == failed {
            // It did not even build, or died.
            self.failed += 1;
        }
        if !success {
            self.broken.push(name.to_owned());
        }
        println!("{name}: {} passed, {} failed", self.passed - passed, self.failed - failed);
        Ok(())
    }

    fn note(&mut self, name: &str, success: bool) {
        if success {
            self.passed += 1;
        } else {
            self.failed += 1;
            self.broken.push(name.to_owned());
        }
    }

    fn tell(&self) -> Result<()> {
        println!();
        for reason in &self.skipped {
            println!("not installed: {reason}");
        }
        let summary = format!("{} passed, {} failed", self.passed, self.failed);
        if self.failed > 0 {
            println!("failed: {}", self.broken.join(", "));
            bail!("{summary}");
        }
        println!("{summary}");
        Ok(())
    }
}

/// The figure before `words` in cargo's `test result: ok. 12 passed; 0 failed; …`.
fn count(line: &str, words: &str) -> u64 {
    let Some(rest) = line.strip_prefix("test result: ") else { return 0 };
    let before = rest.split(words).next().filter(|before| before.len() < rest.len());
    before.and_then(|before| before.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(crate::root());
    command
}

/// Where cargo puts the release program.
pub(crate) fn release_program() -> std::path::PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), Into::into);
    target.join("release/bridgehead")
}

fn heading(name: &str) {
    if std::io::stdout().is_terminal() {
        println!("\n\x1b[1m== {name}\x1b[0m");
    } else {
        println!("\n== {name}");
    }
}

fn verdict(success: bool) -> &'static str {
    if success { "ok" } else { "FAILED" }
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn cargo_lines_are_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!((count(line, " passed;"), count(line, " failed;")), (12, 3));
        assert_eq!(count("something else: 12 passed;", " passed;"), 0);
    }
}

//! Fuzzing: builds the programs in `fuzz/` with coverage counters and gives each its share of the
//! time. Stops at the first input that breaks a promise, and says how to see it again.
//!
//! libFuzzer is driven directly: the counters are flags of the stable compiler, so no other
//! toolchain and no cargo-fuzz is needed. The layout is cargo-fuzz's, which works on it too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

mod keep;

/// What makes the compiler count the edges that run and show comparisons to the fuzzer.
const COUNTERS: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    // As cargo-fuzz does: libraries may leave out what is not repeatable.
    "--cfg fuzzing",
];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Minutes for all targets together; 0 only runs what is kept and what the tests say
    #[arg(long, default_value_t = 16.0)]
    minutes: f64,
    /// Only these targets
    #[arg(long, value_delimiter = ',')]
    target: Vec<String>,
    /// Targets that run at the same time
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Take into the kept corpora what covers something new
    #[arg(long)]
    keep: bool,
    /// Only run this input again; needs one `--target`
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Only measure how the cost of each reader grows while its input is doubled
    #[arg(long)]
    doubling: bool,
}

/// One program and its directories.
struct Fuzzer {
    name: String,
    program: PathBuf,
    /// Inputs that are part of the tree.
    corpus: PathBuf,
    /// Inputs found here so far, not part of the tree.
    found: PathBuf,
    /// Inputs that broke a promise.
    artifacts: PathBuf,
}

/// Fuzzes, replays or measures.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.doubling {
        let status =
            crate::test::cargo(&["run", "--release", "--package", "fuzz-targets", "--example", "doubling"]).status()?;
        ensure!(status.success(), "some reader costs more than it should when its input grows");
        return Ok(());
    }
    let fuzzers = fuzzers(options)?;
    build(&fuzzers)?;
    if let Some(input) = &options.replay {
        let [fuzzer] = &fuzzers[..] else { bail!("--replay needs one --target") };
        let status = Command::new(&fuzzer.program).arg(input).status()?;
        ensure!(status.success(), "{} breaks a promise", input.display());
        return Ok(());
    }
    seed()?;
    fuzz(&fuzzers, options)?;
    if options.keep {
        fuzzers.iter().try_for_each(keep::keep)?;
    }
    Ok(())
}

/// The targets that are meant, by the files of their programs.
fn fuzzers(options: &Options) -> Result<Vec<Fuzzer>> {
    let home = crate::root().join("fuzz");
    let programs = home.join("target").join(host()?).join("release");
    let mut names = Vec::new();
    for entry in fs::read_dir(home.join("fuzz_targets"))? {
        names.extend(entry?.path().file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    for wanted in &options.target {
        ensure!(names.contains(wanted), "there is no target {wanted}; there are {}", names.join(", "));
    }
    names.retain(|name| options.target.is_empty() || options.target.contains(name));
    let fuzzer = |name: String| Fuzzer {
        program: programs.join(&name),
        corpus: home.join("corpus").join(&name),
        found: home.join("found").join(&name),
        artifacts: home.join("artifacts").join(&name),
        name,
    };
    Ok(names.into_iter().map(fuzzer).collect())
}

/// The compiler's own platform. Naming it keeps the counters out of build scripts and macros.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot start rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc does not say its host")?;
    Ok(host.to_owned())
}

fn build(fuzzers: &[Fuzzer]) -> Result<()> {
    let mut command =
        crate::test::cargo(&["build", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target", &host()?]);
    fuzzers.iter().for_each(|fuzzer| _ = command.args(["--bin", &fuzzer.name]));
    command.env("RUSTFLAGS", COUNTERS.join(" ")).env_remove("CARGO_TARGET_DIR");
    ensure!(command.status()?.success(), "the programs of the fuzzer cannot be built");
    Ok(())
}

/// Makes the first inputs from the transcripts and settings of the tests.
fn seed() -> Result<()> {
    let mut command = crate::test::cargo(&["run", "--quiet", "--package", "fuzz-targets", "--example", "seeds", "--"]);
    ensure!(command.arg(crate::root().join("fuzz/found")).status()?.success(), "the seeds cannot be made");
    Ok(())
}

/// Runs every program for its share; the first one that fails ends it.
fn fuzz(fuzzers: &[Fuzzer], options: &Options) -> Result<()> {
    let jobs = options.jobs.max(1);
    // At least a second each: zero means for ever to libFuzzer.
    let share = (options.minutes * 60.0 * jobs as f64 / fuzzers.len() as f64).max(1.0).round();
    println!("{:14} {:>12} {:>9} {:>8} {:>8}", "target", "executions", "a second", "edges", "inputs");
    for together in fuzzers.chunks(jobs) {
        let mut running = Vec::new();
        for fuzzer in together {
            running.push((fuzzer, fuzzer.start(share, options.minutes == 0.0)?));
        }
        let mut failed = None;
        for (fuzzer, child) in running {
            let output = child.wait_with_output()?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if output.status.success() {
                println!("{}", fuzzer.line(&said));
            } else {
                failed = Some((fuzzer, said));
            }
        }
        if let Some((fuzzer, said)) = failed {
            return fuzzer.tell(&said);
        }
    }
    Ok(())
}

impl Fuzzer {
    fn start(&self, seconds: f64, only_replay: bool) -> Result<std::process::Child> {
        for directory in [&self.corpus, &self.found, &self.artifacts] {
            fs::create_dir_all(directory)?;
        }
        let mut command = self.command();
        if only_replay {
            command.arg("-runs=0");
        } else {
            command.arg(format!("-max_total_time={seconds}"));
        }
        command.args([&self.found, &self.corpus]).stderr(Stdio::piped()).stdout(Stdio::null());
        command.spawn().with_context(|| format!("cannot start {}", self.program.display()))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        // An input may take ten seconds and a gigabyte: both are far more than any needs.
        command.args(["-print_final_stats=1", "-timeout=10", "-rss_limit_mb=1024", "-max_len=4096"]);
        command.arg(format!("-artifact_prefix={}/", self.artifacts.display()));
        command
    }

    /// What one run came to.
    fn line(&self, said: &str) -> String {
        let after = |word: &str| said.rsplit(word).next().filter(|rest| rest.len() < said.len());
        let figure = |word: &str| after(word).and_then(|rest| rest.split_whitespace().next()).unwrap_or("-").to_owned();
        let (executions, rate) = (figure("number_of_executed_units:"), figure("average_exec_per_sec:"));
        let inputs = fs::read_dir(&self.found).map_or(0, Iterator::count);
        format!("{:14} {executions:>12} {rate:>9} {:>8} {inputs:>8}", self.name, figure(" cov: "))
    }

    /// What broke, where the input is, and how to see it again.
    fn tell(&self, said: &str) -> Result<()> {
        let from = said.lines().position(|line| line.contains("panicked at") || line.contains("ERROR:")).unwrap_or(0);
        said.lines().skip(from).take(12).for_each(|line| println!("    {line}"));
        let artefact = said.lines().find_map(|line| line.split_once("Test unit written to ").map(|(_, path)| path));
        let artefact = artefact.unwrap_or("(no artefact was written)");
        println!("    {artefact}");
        println!("    cargo xtask fuzz --target {} --replay {artefact}", self.name);
        bail!("{} broke a promise", self.name);
    }
}

/// The inputs of a directory, smallest first.
fn inputs(directory: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        inputs.push((entry.metadata()?.len(), entry.path()));
    }
    inputs.sort();
    Ok(inputs)
}

//! `bridgehead pam-helper`: one password, asked about where the gateway cannot be harmed by the answer.

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;

/// Answers one request on standard input, and ends.
///
/// # Errors
/// When it is no request, or nobody hears the answer.
pub(super) fn run() -> Result<ExitCode> {
    // What the modules have in memory is nobody's business, not even when they crash.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // Not by way of Rust's own standard input, which would keep a copy.
    let requests = File::from(io::stdin().as_fd().try_clone_to_owned().context("no standard input")?);
    let answers = File::from(io::stdout().as_fd().try_clone_to_owned().context("no standard output")?);
    // Modules, and what they start, must neither read the one nor write the other.
    let nothing = File::options().read(true).write(true).open("/dev/null").context("cannot open /dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    directory::pam::serve(requests, answers).context("cannot answer")?;
    Ok(ExitCode::SUCCESS)
}

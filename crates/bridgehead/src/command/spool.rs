//! `bridgehead spool verify|dump`: looks into a spool, and writes nothing.

use crate::cli;
use crate::world::disk::RealDisk;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Looks into a spool.
///
/// # Errors
/// The directory cannot be read.
pub fn run(spool: &cli::Spool) -> Result<ExitCode> {
    match spool {
        cli::Spool::Verify { directory } => verify(directory),
        cli::Spool::Dump { directory } => dump(directory),
    }
}

fn open(directory: &Path) -> Result<RealDisk> {
    let inside: PathBuf = directory.join("spool");
    let directory = if inside.is_dir() { inside } else { directory.to_owned() };
    RealDisk::open_directory(&directory).with_context(|| format!("cannot read {}", directory.display()))
}

/// Ends with 1 if anything is damaged.
fn verify(directory: &Path) -> Result<ExitCode> {
    let summary = queue::dump::verify(&open(directory)?)?;
    println!(
        "{} messages in {} segments, {} octets read",
        summary.messages.len(),
        summary.segments.len(),
        summary.bytes_read
    );
    for damage in &summary.damages {
        println!("damaged: {damage}");
    }
    for kept in &summary.kept {
        println!("put aside by an earlier start: {kept}");
    }
    if summary.is_sound() {
        println!("no damage");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

fn dump(directory: &Path) -> Result<ExitCode> {
    let summary = queue::dump::dump(&open(directory)?, |line| println!("{line}"))?;
    Ok(if summary.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

//! The circumstances of a measurement.

use std::fs;
use std::io::{Seek, Write};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;

use super::Options;

/// What a reader must know to judge the figures.
#[derive(Serialize)]
pub(super) struct Facts {
    pub(super) processor: String,
    pub(super) processors: usize,
    pub(super) kernel: String,
    /// The file system of both queues, and where it is mounted from.
    pub(super) file_system: String,
    pub(super) disk_mib_per_s: f64,
    pub(super) bridgehead: String,
    pub(super) postfix: String,
    pub(super) rust: String,
    pub(super) command: String,
    pub(super) date: String,
    pub(super) rounds: usize,
}

pub(super) fn facts(options: &Options, disk: f64) -> Facts {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let command: Vec<String> = std::env::args().skip(1).collect();
    Facts {
        processor: model.map_or("unknown processor", |(_, name)| name).to_owned(),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        kernel: said("uname", &["-r"]),
        file_system: said("findmnt", &["-n", "-o", "FSTYPE,SOURCE", "-T", &std::env::temp_dir().display().to_string()]),
        disk_mib_per_s: disk / f64::from(1 << 20),
        bridgehead: said("git", &["describe", "--always", "--dirty"]),
        postfix: said("postconf", &["-d", "-h", "mail_version"]),
        rust: said("rustc", &["--version"]).split(' ').nth(1).unwrap_or_default().to_owned(),
        command: format!("cargo xtask {}", command.join(" ")),
        date: said("date", &["-u", "+%Y-%m-%d"]),
        rounds: if options.quick { 1 } else { options.rounds },
    }
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(crate::root()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Octets a second that the disk of the queues takes for good: one file of a gibibyte whose place is
/// already taken, written from end to end and flushed.
pub(super) fn disk_bandwidth() -> Result<f64> {
    const OCTETS: u64 = 1 << 30;
    let block = vec![0x5a; 1 << 20];
    let mut file = tempfile::tempfile()?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, OCTETS).context("no room for a gibibyte")?;
    file.rewind()?;
    let start = Instant::now();
    for _ in 0..OCTETS >> 20 {
        file.write_all(&block)?;
    }
    file.sync_data()?;
    Ok(f64::from(1 << 30) / start.elapsed().as_secs_f64())
}

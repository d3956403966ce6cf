//! Three processes, so that nothing is left behind however a measurement ends. The caller builds and
//! waits. The guard adopts everything that the measurement starts and loses; when the measurement
//! ends, or the caller does (interrupted, killed), it ends them all and removes their directory.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, fs, thread};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process_group, set_child_subreaper, wait};
use std::os::unix::process::CommandExt;

use super::usage;
use crate::test::{cargo, release_program};

pub(super) enum Role {
    Caller,
    Guard,
    Measure,
}

const ROLE: &str = "XTASK_BENCH_ROLE";

pub(super) fn role() -> Role {
    match env::var(ROLE).as_deref() {
        Ok("guard") => Role::Guard,
        Ok("measure") => Role::Measure,
        _ => Role::Caller,
    }
}

/// Builds both programs and starts the guard. `BRIDGEHEAD_BIN` and `LOAD_BIN` name others than the
/// release builds.
pub(super) fn call(directory: Option<&Path>) -> Result<()> {
    let (bridgehead, load) = (program("BRIDGEHEAD_BIN", "bridgehead")?, program("LOAD_BIN", "load")?);
    let directory = temporary_directory(directory)?;
    let mut command = again("guard")?;
    // The harness makes its temporary directories where TMPDIR says.
    command.env("BRIDGEHEAD_BIN", bridgehead).env("LOAD_BIN", load).env("TMPDIR", directory.path());
    // A group of its own: an interrupt from the terminal reaches only the caller.
    let mut guard = command.process_group(0).stdin(Stdio::piped()).spawn()?;
    // Held to the end, and not closed by `wait`: that it closes tells the guard that we are gone.
    let _lifeline = guard.stdin.take();
    let status = guard.wait()?;
    ensure!(status.success(), "the measurement failed");
    Ok(())
}

/// The program that a variable names, or else the release build.
fn program(variable: &str, package: &str) -> Result<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return Ok(PathBuf::from(path));
    }
    // One by one: built together they would share features, and Bridgehead would not be as shipped.
    let built = cargo(&["build", "--release", "--package", package]).status()?;
    ensure!(built.success(), "{package} does not build");
    Ok(release_program().with_file_name(package))
}

/// In `wanted`, or where temporary files are if that is a disk, or below `target`.
fn temporary_directory(wanted: Option<&Path>) -> Result<tempfile::TempDir> {
    let temporary = env::temp_dir();
    let target = crate::root().join("target");
    let place = match wanted {
        Some(wanted) => wanted,
        None if is_memory(&temporary)? => &target,
        None => &temporary,
    };
    ensure!(!is_memory(place)?, "{} is in memory; durable means a disk", place.display());
    let directory = tempfile::Builder::new().prefix("bridgehead-bench-").tempdir_in(place)?;
    // Postfix enters it after giving up its privileges.
    fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(directory)
}

fn is_memory(directory: &Path) -> Result<bool> {
    const TMPFS: u64 = 0x0102_1994;
    let found = rustix::fs::statfs(directory).with_context(|| format!("no directory {}", directory.display()))?;
    Ok(u64::try_from(found.f_type).unwrap_or_default() == TMPFS)
}

fn again(role: &str) -> Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args(env::args_os().skip(1)).env(ROLE, role);
    Ok(command)
}

/// Waits for the end of the measurement or of the caller, then tidies up.
pub(super) fn watch() -> Result<()> {
    set_child_subreaper(Some(getpid()))?;
    let caller_gone = Arc::new(AtomicBool::new(false));
    let noticed = Arc::clone(&caller_gone);
    thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        noticed.store(true, Ordering::Release);
    });
    let mut measurement = again("measure")?.process_group(0).stdin(Stdio::null()).spawn()?;
    let success = end_of(&mut measurement, &caller_gone)?;
    end_children();
    if caller_gone.load(Ordering::Acquire) {
        // Otherwise the caller removes it.
        let _ = fs::remove_dir_all(env::temp_dir());
    }
    if success { Ok(()) } else { bail!("not everything was measured") }
}

fn end_of(measurement: &mut Child, caller_gone: &AtomicBool) -> Result<bool> {
    loop {
        if let Some(status) = measurement.try_wait()? {
            return Ok(status.success());
        }
        if caller_gone.load(Ordering::Acquire) {
            measurement.kill()?;
            measurement.wait()?;
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Ends the groups of all that has become our child, until nobody is left.
fn end_children() {
    let own = u64::from(getpid().as_raw_nonzero().get().unsigned_abs());
    for _ in 0..1000 {
        let children: Vec<u64> =
            usage::processes(|stat| stat.parent == own).into_values().map(|stat| stat.group).collect();
        for group in &children {
            let group = i32::try_from(*group).ok().and_then(Pid::from_raw);
            if let Some(group) = group.filter(|group| *group != getpid()) {
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        if children.is_empty() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

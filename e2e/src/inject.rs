//! Faults of the disk, injected into the running program from outside: strace makes system calls fail,
//! attaches to a live process, and leaves it again without its noticing.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::foreign::installed;
use crate::process::{Process, run, signal};
use crate::until;

/// Which calls fail, how, and when.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// System calls, as in `fdatasync,fsync`.
    pub calls: &'static str,
    /// As in `EIO`.
    pub error: &'static str,
    /// As strace's `when`: `3` is the third call alone, `3+` that and all later ones.
    pub when: &'static str,
}

/// A process some of whose system calls fail, until this is dropped or lifted.
#[derive(Debug)]
pub struct Injection {
    strace: Process,
    trace: NamedTempFile,
}

impl Injection {
    /// Why system calls cannot be made to fail here, if they cannot.
    #[must_use]
    pub fn unavailable() -> Option<String> {
        if !installed("strace") {
            return Some("strace is not installed".to_owned());
        }
        let tried = run(Command::new("strace").args(["-e", "trace=fsync", "-e", "inject=fsync:error=EIO", "true"]));
        (tried.code != 0).then(|| format!("strace may not trace: {}", tried.text().trim()))
    }

    /// From now on calls of one thread of the process fail: the one named `thread`.
    ///
    /// # Panics
    /// When it has no such thread.
    #[must_use]
    pub fn into_thread(process: u32, thread: &str, fault: Fault) -> Self {
        let threads = fs::read_dir(format!("/proc/{process}/task")).expect("the process runs");
        let mut named = threads.filter_map(|entry| {
            let entry = entry.ok()?;
            let name = fs::read_to_string(entry.path().join("comm")).ok()?;
            (name.trim() == thread).then(|| entry.file_name().to_string_lossy().into_owned())
        });
        let id = named.next().unwrap_or_else(|| panic!("no thread {thread} in {process}"));
        Self::attach(&["-p", &id], fault)
    }

    /// From now on calls of any thread of the process fail. `when` counts for each thread alone.
    #[must_use]
    pub fn into_process(process: u32, fault: Fault) -> Self {
        Self::attach(&["-f", "-p", &process.to_string()], fault)
    }

    fn attach(whom: &[&str], fault: Fault) -> Self {
        let trace = NamedTempFile::new().expect("a temporary file");
        let said = NamedTempFile::new().expect("a temporary file");
        let mut command = Command::new("strace");
        command.args(whom).arg("-o").arg(trace.path()).args(["-y", "-e", &format!("trace={}", fault.calls)]);
        command.args(["-e", &format!("inject={}:error={}:when={}", fault.calls, fault.error, fault.when)]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said.reopen().expect("a temporary file"));
        let mut strace = Process::start(&mut command);
        until("strace to attach", || {
            let words = fs::read_to_string(said.path()).unwrap_or_default();
            assert!(strace.ended().is_none(), "strace ended: {words}");
            words.contains("attached").then_some(())
        });
        Self { strace, trace }
    }

    /// The calls so far, one a line; those that were made to fail end in `(INJECTED)`.
    #[must_use]
    pub fn trace(&self) -> String {
        fs::read_to_string(self.trace.path()).unwrap_or_default()
    }

    /// How many calls were made to fail.
    #[must_use]
    pub fn hits(&self) -> usize {
        self.trace().matches("(INJECTED)").count()
    }

    /// Lifts the fault; returns the calls that were seen.
    #[must_use]
    pub fn lift(mut self) -> String {
        signal("INT", &self.strace.id().to_string());
        let _ = self.strace.wait_within(Duration::from_secs(10));
        self.trace()
    }
}

//! Children that never outlive the test that started them.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Output};
use std::time::Duration;

use crate::until_within;

/// A running program in a process group of its own, ended with all its children when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

/// What a program that has ended left behind.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// What it printed on standard output.
    pub stdout: String,
    /// What it printed on standard error.
    pub stderr: String,
}

impl Process {
    /// Starts `command` as the leader of its own process group.
    ///
    /// # Panics
    /// When the program cannot be started at all.
    pub fn start(command: &mut Command) -> Self {
        let child = command.process_group(0).spawn();
        Self { child: child.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}")) }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits until it has ended.
    pub fn wait_within(&mut self, patience: Duration) -> ExitStatus {
        until_within(patience, "the process to end", || self.ended())
    }

    /// Ends it at once and without warning (SIGKILL), and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How long it has been computing so far, all threads together.
    #[must_use]
    pub fn computed(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap_or_default();
        // Behind the name, which may have spaces in it, the 12th and the 13th field, in hundredths.
        let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace()).into_iter().flatten();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// How long it computes in so long a time, in which nothing is asked of it.
    #[must_use]
    pub fn computes_in(&self, span: Duration) -> Duration {
        let before = self.computed();
        std::thread::sleep(span);
        self.computed().saturating_sub(before)
    }

    /// Bytes it has in memory now, in KiB.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        status_kib(self.id(), "VmRSS:")
    }

    /// Most bytes it ever had in memory, in KiB.
    #[must_use]
    pub fn peak_resident_kib(&self) -> u64 {
        status_kib(self.id(), "VmHWM:")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The group first: Postfix and OpenSMTPD are families of processes.
        signal("KILL", &format!("-{}", self.id()));
        self.kill();
    }
}

/// Sends a signal, named as `kill` names it, to a process or (with a minus before it) to a group.
pub fn signal(name: &str, process: &str) {
    let _ = Command::new("kill").arg(format!("-{name}")).arg("--").arg(process).output();
}

/// Runs a program to its end.
///
/// # Panics
/// When it cannot be started at all.
pub(crate) fn run(command: &mut Command) -> Finished {
    let output = command.output();
    Finished::from(output.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}")))
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Finished {
    /// Both outputs, for looking something up.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The same, after asserting that the program was content.
    ///
    /// # Panics
    /// When its exit code was not 0.
    #[must_use]
    pub fn success(self) -> Self {
        assert_eq!(self.code, 0, "exit code {}\n{}", self.code, self.text());
        self
    }
}

fn status_kib(process: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|figure| figure.parse().ok()).unwrap_or(0)
}

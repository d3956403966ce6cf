//! The program under test, started as an operator starts it: a settings file, a directory, a process.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::metrics::Metrics;
use crate::process::{Finished, Process, run, signal};
use crate::start::{Start, program};
use crate::{Client, PATIENCE, until, until_within};

/// A running Bridgehead with a directory of its own, stopped and removed when dropped.
#[derive(Debug)]
pub struct Gateway {
    directory: TempDir,
    process: Process,
    start: Start,
    /// How long the log was when the process was last started.
    log_before: usize,
}

/// A Bridgehead that would not start.
#[derive(Debug)]
pub struct Refused {
    /// Its exit code.
    pub code: i32,
    /// Everything it printed.
    pub output: String,
}

impl Gateway {
    /// Starts the program with these settings and waits until it listens. `hostname` and `state_dir`
    /// are put in front, so `settings` starts with a table.
    ///
    /// # Panics
    /// When it does not start; the message has what it printed.
    #[must_use]
    pub fn start(settings: &str) -> Self {
        Start::with(settings).go()
    }

    /// [`Gateway::start`] with environment variables.
    #[must_use]
    pub fn start_with(settings: &str, environment: &[(&str, &str)]) -> Self {
        Start::with(settings).environment(environment).go()
    }

    /// Starts the program, which may find fault with its settings.
    pub fn try_start(settings: &str, environment: &[(&str, &str)]) -> Result<Self, Refused> {
        Start::with(settings).environment(environment).try_go()
    }

    /// A process over a directory; waits until it is ready.
    pub(crate) fn begin(directory: TempDir, start: Start) -> Result<Self, Refused> {
        let process = start.launch(directory.path());
        let mut gateway = Self { directory, process, start, log_before: 0 };
        gateway.wait_until_ready()?;
        Ok(gateway)
    }

    /// The directory that holds the settings file, the log and the state.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// `state_dir` of its settings.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.start.state(self.directory())
    }

    /// The settings file.
    #[must_use]
    pub fn settings_file(&self) -> PathBuf {
        self.directory().join("bridgehead.toml")
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its process id, which is also that of its process group.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Every line it has printed. The last ones may still be on their way when a client has its reply.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory().join("log")).unwrap_or_default()
    }

    /// Every line it has printed, once one of them holds all of `words`.
    ///
    /// # Panics
    /// When there is no such line within [`crate::PATIENCE`].
    pub fn log_with(&self, words: &[&str]) -> String {
        until(format!("{words:?} in one line of the log"), || {
            let log = self.log();
            let said = log.lines().any(|line| words.iter().all(|word| line.contains(word)));
            said.then_some(log)
        })
    }

    /// The first address at which a virtual server (or `metrics`) listens.
    ///
    /// # Panics
    /// When there is no such listener.
    #[must_use]
    pub fn address(&self, listener: &str) -> SocketAddr {
        let listeners = self.listeners();
        let found = listeners.iter().find(|(name, _)| name == listener);
        found.unwrap_or_else(|| panic!("no listener {listener} among {listeners:?}")).1
    }

    /// Every listener, as `state_dir/listeners` has them.
    #[must_use]
    pub fn listeners(&self) -> Vec<(String, SocketAddr)> {
        let greeted = self.greeted();
        // Written before the greeting: where there is a greeting and no file, there will be none.
        let Ok(text) = fs::read_to_string(self.state().join("listeners")) else { return greeted };
        let pairs = text.lines().filter_map(|line| {
            let (name, address) = line.rsplit_once(' ')?;
            Some((name.trim().to_owned(), address.parse().ok()?))
        });
        pairs.collect()
    }

    /// The virtual servers as it has named them since it was last started: all there is where the disk
    /// has no room for the file.
    fn greeted(&self) -> Vec<(String, SocketAddr)> {
        let log = self.log();
        let lines = log.get(self.log_before..).unwrap_or_default().lines();
        let pairs = lines.filter_map(|line| {
            let (name, address) = line.trim().strip_prefix("virtual server ")?.split_once(" listens on ")?;
            Some((name.to_owned(), address.parse().ok()?))
        });
        pairs.collect()
    }

    /// Connects to a virtual server from `source` and leaves the greeting unread.
    #[must_use]
    pub fn connect(&self, server: &str, source: &str) -> Client {
        Client::connect(self.address(server), source)
    }

    /// Connects to a virtual server from `source`, reads the greeting and says EHLO.
    #[must_use]
    pub fn client(&self, server: &str, source: &str) -> Client {
        let mut client = self.connect(server, source);
        client.greet();
        client
    }

    /// The messages in the drop directory, oldest name first.
    #[must_use]
    pub fn dropped(&self) -> Vec<String> {
        let mut files = Vec::new();
        collect_messages(&self.state().join("drop"), &mut files);
        files.sort();
        files.iter().map(|path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()).collect()
    }

    /// Waits until a message with `token` in it is in the drop directory.
    #[must_use]
    pub fn dropped_with(&self, token: &str) -> String {
        until(format!("{token} in the drop directory"), || {
            self.dropped().into_iter().find(|message| message.contains(token))
        })
    }

    /// Reads the metrics page.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics::read(self.address("metrics"))
    }

    /// Runs `bridgehead queue …` against this gateway.
    #[must_use]
    pub fn queue(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(program());
        command.arg("queue").args(arguments).arg("--config").arg(self.settings_file());
        run(&mut command)
    }

    /// How many messages are in the queue, as `queue list --count` says.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.count(&[])
    }

    /// How many messages in the queue these filters choose.
    ///
    /// # Panics
    /// When the command does not print a number.
    #[must_use]
    pub fn count(&self, filters: &[&str]) -> u64 {
        let printed = self.queue(&[&["list", "--count"], filters].concat()).success().stdout;
        let number = printed.split_whitespace().find_map(|word| word.parse().ok());
        number.unwrap_or_else(|| panic!("no number in {printed:?}"))
    }

    /// Waits until nothing is queued any more.
    pub fn wait_until_empty(&self) {
        until("the queue to become empty", || (self.queued() == 0).then_some(()));
    }

    /// Replaces the settings file; a reload or a restart makes it take effect.
    pub fn rewrite(&self, settings: &str) {
        self.start.write_settings(self.directory(), settings);
    }

    /// Sends a signal, named as `kill` names it.
    pub fn signal(&self, name: &str) {
        signal(name, &self.process.id().to_string());
    }

    /// Ends the process without warning (SIGKILL).
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// The arguments of `serve` from the next start on.
    pub fn set_arguments(&mut self, arguments: &[&str]) {
        self.start.set_arguments(arguments);
    }

    /// Runs `bridgehead reload …` against this gateway.
    #[must_use]
    pub fn reload(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(program());
        command.arg("reload").args(arguments).arg("--config").arg(self.settings_file());
        run(&mut command)
    }

    /// Starts the program again over the same directory. Ports chosen by the kernel change.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.relaunch();
        if let Err(refused) = self.wait_until_ready() {
            panic!("Bridgehead did not come back, {}:\n{}", refused.code, refused.output);
        }
    }

    /// [`Gateway::restart`] that does not wait until it is ready.
    pub fn relaunch(&mut self) {
        self.process.kill();
        let _ = fs::remove_file(self.state().join("listeners"));
        self.log_before = self.log().len();
        self.process = self.start.launch(self.directory.path());
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    pub fn stop(&mut self, patience: Duration) -> i32 {
        self.signal("TERM");
        self.process.wait_within(patience).code().unwrap_or(-1)
    }

    fn wait_until_ready(&mut self) -> Result<(), Refused> {
        until_within(PATIENCE, "the listeners file", || {
            if let Some(status) = self.process.ended() {
                return Some(Err(Refused { code: status.code().unwrap_or(-1), output: self.log() }));
            }
            // The file is written whole, so if it has a line it has them all.
            (!self.listeners().is_empty()).then_some(Ok(()))
        })
    }
}

impl Drop for Gateway {
    /// After a failure, shows the end of the log and keeps all of it.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let log = self.log();
        let tail: Vec<&str> = log.lines().rev().take(20).collect();
        eprintln!("the last lines of its log:");
        tail.iter().rev().for_each(|line| eprintln!("  {line}"));
        let kept = crate::foreign::root().join("target/e2e-failed");
        let test = std::thread::current().name().unwrap_or("unnamed").replace("::", "-");
        let file = kept.join(format!("{test}.log"));
        if fs::create_dir_all(&kept).and_then(|()| fs::write(&file, log)).is_ok() {
            eprintln!("all of it is in {}", file.display());
        }
    }
}

fn collect_messages(directory: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(directory).map(Iterator::flatten).into_iter().flatten();
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() {
            collect_messages(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "eml") {
            files.push(path);
        }
    }
}

//! The program under test, started as an operator starts it: a settings file, a directory, a process.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

use crate::metrics::Metrics;
use crate::process::{Finished, Process, run, signal};
use crate::{Client, PATIENCE, until, until_within};

/// A running Bridgehead with a directory of its own, stopped and removed when dropped.
#[derive(Debug)]
pub struct Gateway {
    directory: TempDir,
    process: Process,
    extra: Vec<(String, String)>,
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
        Self::start_with(settings, &[])
    }

    /// [`Gateway::start`] with environment variables.
    #[must_use]
    pub fn start_with(settings: &str, environment: &[(&str, &str)]) -> Self {
        match Self::try_start(settings, environment) {
            Ok(gateway) => gateway,
            Err(refused) => panic!("Bridgehead ended with {}:\n{}", refused.code, refused.output),
        }
    }

    /// Starts the program, which may find fault with its settings.
    pub fn try_start(settings: &str, environment: &[(&str, &str)]) -> Result<Self, Refused> {
        let directory = tempfile::Builder::new().prefix("bridgehead-e2e-").tempdir().expect("a temporary directory");
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("our own directory");
        let extra = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        write_settings(directory.path(), settings);
        let process = launch(directory.path(), &extra);
        let mut gateway = Self { directory, process, extra };
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
        self.directory().join("state")
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

    /// Every line it printed.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory().join("log")).unwrap_or_default()
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
        let text = fs::read_to_string(self.state().join("listeners")).unwrap_or_default();
        let pairs = text.lines().filter_map(|line| {
            let (name, address) = line.rsplit_once(' ')?;
            Some((name.trim().to_owned(), address.parse().ok()?))
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
        write_settings(self.directory(), settings);
    }

    /// Sends a signal, named as `kill` names it.
    pub fn signal(&self, name: &str) {
        signal(name, &self.process.id().to_string());
    }

    /// Ends the process without warning (SIGKILL).
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts the program again over the same directory. Ports chosen by the kernel change.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.process.kill();
        let _ = fs::remove_file(self.state().join("listeners"));
        self.process = launch(self.directory.path(), &self.extra);
        if let Err(refused) = self.wait_until_ready() {
            panic!("Bridgehead did not come back, {}:\n{}", refused.code, refused.output);
        }
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
            // Written whole, so a file with a line in it has them all.
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

/// The program: `BRIDGEHEAD_BIN`, or what cargo builds now.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match std::env::var_os("BRIDGEHEAD_BIN") {
        Some(path) => PathBuf::from(path),
        None => build(),
    })
}

/// Runs the program with these arguments to its end.
#[must_use]
pub fn command(arguments: &[&str]) -> Finished {
    run(Command::new(program()).args(arguments))
}

/// [`command`] with something on its standard input.
///
/// # Panics
/// When the program cannot be started.
#[must_use]
pub fn command_with_input(arguments: &[&str], input: &[u8]) -> Finished {
    let mut command = Command::new(program());
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program can be started");
    // It may end before it has read everything; its exit code then says more than a broken pipe.
    let _ = child.stdin.take().expect("its input is a pipe").write_all(input);
    Finished::from(child.wait_with_output().expect("a child can be waited for"))
}

fn build() -> PathBuf {
    let root = crate::foreign::root();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args(["build", "--quiet", "--package", "bridgehead"]).current_dir(&root).status();
    assert!(status.is_ok_and(|status| status.success()), "the program does not build");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    target.join("debug/bridgehead")
}

fn write_settings(directory: &Path, settings: &str) {
    let state = directory.join("state");
    let text =
        format!("hostname = \"mx1.bridgehead.test\"\nstate_dir = {:?}\n{settings}\n", state.display().to_string());
    fs::write(directory.join("bridgehead.toml"), text).expect("our own directory");
}

fn launch(directory: &Path, environment: &Vec<(String, String)>) -> Process {
    let log = File::options().create(true).append(true).open(directory.join("log")).expect("our own directory");
    let mut command = Command::new(program());
    command.arg("serve").arg("--config").arg(directory.join("bridgehead.toml"));
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file can be cloned")).stderr(log);
    for (key, value) in environment {
        command.env(key, value);
    }
    Process::start(&mut command)
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

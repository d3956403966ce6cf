//! How the program is started: settings, environment, what stands in front of it on the command line.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::gateway::{Gateway, Refused};
use crate::process::{Finished, Process, run};

/// A start that may be repeated.
#[derive(Clone, Debug)]
pub struct Start {
    settings: String,
    environment: Vec<(String, String)>,
    under: Vec<String>,
    arguments: Vec<String>,
    state: Option<PathBuf>,
}

impl Start {
    /// With these settings; `hostname` and `state_dir` are put in front, so they start with a table.
    #[must_use]
    pub fn with(settings: &str) -> Self {
        Self {
            settings: settings.to_owned(),
            environment: Vec::new(),
            under: Vec::new(),
            arguments: Vec::new(),
            state: None,
        }
    }

    /// With these environment variables.
    #[must_use]
    pub fn environment(mut self, variables: &[(&str, &str)]) -> Self {
        self.environment = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self
    }

    /// By this program, which must become ours (`prlimit --nofile=64`).
    #[must_use]
    pub fn under(mut self, command: &[&str]) -> Self {
        self.under = command.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// With further arguments of `serve`.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.set_arguments(arguments);
        self
    }

    pub(crate) fn set_arguments(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(|&word| word.to_owned()).collect();
    }

    /// With its state elsewhere than beside the settings and the log: on a disk that may be full.
    #[must_use]
    pub fn state_in(mut self, directory: &Path) -> Self {
        self.state = Some(directory.join("state"));
        self
    }

    /// Starts it and waits until it listens.
    ///
    /// # Panics
    /// When it does not start; the message has what it printed.
    #[must_use]
    pub fn go(self) -> Gateway {
        match self.try_go() {
            Ok(gateway) => gateway,
            Err(refused) => panic!("Bridgehead ended with {}:\n{}", refused.code, refused.output),
        }
    }

    /// [`Start::go`] with a program that may refuse.
    pub fn try_go(self) -> Result<Gateway, Refused> {
        let directory = tempfile::Builder::new().prefix("bridgehead-e2e-").tempdir().expect("a temporary directory");
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("our own directory");
        self.write_settings(directory.path(), &self.settings);
        Gateway::begin(directory, self)
    }

    /// `state_dir` of a gateway that lives in `directory`.
    pub(crate) fn state(&self, directory: &Path) -> PathBuf {
        self.state.clone().unwrap_or_else(|| directory.join("state"))
    }

    pub(crate) fn write_settings(&self, directory: &Path, settings: &str) {
        let state = self.state(directory).display().to_string();
        let text = format!("hostname = \"mx1.bridgehead.test\"\nstate_dir = {state:?}\n{settings}\n");
        fs::write(directory.join("bridgehead.toml"), text).expect("our own directory");
    }

    pub(crate) fn launch(&self, directory: &Path) -> Process {
        let log = File::options().create(true).append(true).open(directory.join("log")).expect("our own directory");
        let program = program().as_os_str().to_owned();
        let mut words = self.under.iter().map(Into::into).chain([program]);
        let mut command = Command::new(words.next().expect("at least the program"));
        command.args(words).arg("serve").arg("--config").arg(directory.join("bridgehead.toml"));
        command.args(&self.arguments);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file can be cloned")).stderr(log);
        for (key, value) in &self.environment {
            command.env(key, value);
        }
        Process::start(&mut command)
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
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "bridgehead"]).current_dir(&root);
    if cfg!(feature = "pam") {
        command.args(["--features", "pam"]);
    }
    let status = command.status();
    assert!(status.is_ok_and(|status| status.success()), "the program does not build");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    target.join("debug/bridgehead")
}

//! Samba's winbindd with one account of its own, beside any that the system runs: in a mount namespace, because
//! the place of its socket is compiled into the library that asks it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{installed, is_root, root};
use crate::process::Process;
use crate::until;

/// A running winbindd. It knows the user `nobody`, whose password is `secret`.
#[derive(Debug)]
pub struct Winbindd {
    directory: TempDir,
    process: Process,
}

impl Winbindd {
    /// Starts one, or tells that it is not available.
    ///
    /// # Panics
    /// If one of its programs fails.
    #[must_use]
    pub fn start() -> Option<Self> {
        let programs = ["winbindd", "ntlm_auth", "smbpasswd", "unshare", "nsenter"];
        if !is_root() || !programs.into_iter().all(installed) {
            return None;
        }
        let directory = TempDir::new().expect("a temporary directory");
        let settings = directory.path().join("smb.conf");
        fs::write(&settings, settings_in(directory.path())).expect("our own directory");
        add_account(&settings);
        let script = "mount -t tmpfs none /run && mkdir /run/samba && exec winbindd -F --no-process-group -s \"$0\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script]).arg(&settings);
        let process = Process::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
        fs::write(directory.path().join("process"), format!("{}\n", process.id())).expect("our own directory");
        let helper = root().join("e2e/tests/all/integrated/winbindd.sh");
        std::os::unix::fs::symlink(helper, directory.path().join("helper")).expect("our own directory");
        let started = Self { directory, process };
        until("winbindd", || started.is_asked().then_some(()));
        Some(started)
    }

    /// `ntlm_auth` that asks it.
    #[must_use]
    pub fn helper(&self) -> PathBuf {
        self.directory.path().join("helper")
    }

    /// Whether it answers already.
    fn is_asked(&self) -> bool {
        let id = self.process.id().to_string();
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &id, "wbinfo", "--ping"]);
        command.output().is_ok_and(|output| output.status.success())
    }
}

fn settings_in(directory: &Path) -> String {
    let place = directory.display();
    let mut settings = String::from(
        "[global]\nworkgroup = CORP\nnetbios name = TESTHOST\ninterfaces = 127.0.0.1\nbind interfaces only = yes\n",
    );
    for (key, name) in [
        ("private dir", "private"),
        ("lock directory", "lock"),
        ("state directory", "state"),
        ("cache directory", "cache"),
        ("pid directory", "pid"),
    ] {
        fs::create_dir(directory.join(name)).expect("our own directory");
        settings.push_str(&format!("{key} = {place}/{name}\n"));
    }
    settings.push_str(&format!("log file = {place}/log\n"));
    settings
}

fn add_account(settings: &Path) {
    let mut command = Command::new("sh");
    command.args(["-c", "printf 'secret\\nsecret\\n' | smbpasswd -c \"$0\" -s -a nobody"]).arg(settings);
    let output = command.output().expect("there is a shell");
    assert!(output.status.success(), "smbpasswd: {}", String::from_utf8_lossy(&output.stderr));
}

//! Debian's Postfix with private configuration, queue and data directories.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{free_port, installed, is_root, make_traversable, tell_if_failed, wait_until_it_listens};
use crate::process::{Finished, Process, run, signal};
use crate::until;

const MASTER: &str = "/usr/lib/postfix/sbin/master";

/// A running Postfix.
#[derive(Debug)]
pub struct Postfix {
    directory: TempDir,
    process: Process,
    address: SocketAddr,
}

impl Postfix {
    /// Whether it can be started here: installed, and we are root, as its master must be.
    #[must_use]
    pub fn available() -> bool {
        Path::new(MASTER).exists() && installed("postconf") && is_root()
    }

    /// Starts Postfix on `ip` with Debian's settings and these lines of main.cf, or tells that it is
    /// not available.
    ///
    /// Departs from Debian's shipped settings only in what privacy needs: directories, listening
    /// address, no chroot (there is no /dev/log or resolv.conf in a private queue directory), no
    /// local aliases, and a log file of its own.
    ///
    /// # Panics
    /// When it is there but does not start.
    #[must_use]
    pub fn start(ip: &str, settings: &str) -> Option<Self> {
        if !Self::available() {
            return None;
        }
        let directory = tempfile::Builder::new().prefix("postfix-e2e-").tempdir().expect("a temporary directory");
        make_traversable(directory.path());
        let address = SocketAddr::new(ip.parse().expect("an address"), free_port(ip));
        configure(directory.path(), address, settings);
        let checked = run(Command::new("postfix").arg("-c").arg(directory.path().join("etc")).arg("check"));
        assert_eq!(checked.code, 0, "postfix check: {}", checked.text());
        let process = launch(directory.path());
        let postfix = Self { directory, process, address };
        wait_until_it_listens(address, "Postfix", || postfix.log());
        Some(postfix)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// As a smart host is written in settings.
    #[must_use]
    pub fn route(&self) -> String {
        format!("[{}]:{}", self.address.ip(), self.address.port())
    }

    /// The id of its master process, which leads its process group.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("maillog")).unwrap_or_default()
    }

    /// Ends all its processes without warning (SIGKILL), and waits until none of them listens.
    pub fn kill(&mut self) {
        signal("KILL", &format!("-{}", self.process.id()));
        self.process.kill();
        until("the end of Postfix", || TcpStream::connect(self.address).is_err().then_some(()));
    }

    /// Starts it again at the same address, over the same directories.
    pub fn restart(&mut self) {
        self.kill();
        self.process = launch(self.directory.path());
        wait_until_it_listens(self.address, "Postfix", || self.log());
    }

    /// Has it try everything that is deferred now.
    #[must_use]
    pub fn flush(&self) -> Finished {
        run(Command::new("postqueue").arg("-c").arg(self.directory.path().join("etc")).arg("-f"))
    }

    /// Hands it a message as a local program does; it sends it where its settings say.
    #[must_use]
    pub fn submit(&self, from: &str, to: &str, message: &str) -> Finished {
        let file = self.directory.path().join("message");
        fs::write(&file, message.replace("\r\n", "\n")).expect("our own directory");
        let mut command = Command::new("sendmail");
        command.arg("-C").arg(self.directory.path().join("etc")).args(["-i", "-f", from, to]);
        command.env("MAIL_CONFIG", self.directory.path().join("etc"));
        run(command.stdin(fs::File::open(file).expect("just written")))
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        tell_if_failed("Postfix", &self.log());
    }
}

fn launch(directory: &Path) -> Process {
    let mut command = Command::new(MASTER);
    command.arg("-c").arg(directory.join("etc")).arg("-d");
    Process::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))
}

fn configure(directory: &Path, address: SocketAddr, settings: &str) {
    for name in ["etc", "spool", "data"] {
        fs::create_dir(directory.join(name)).expect("our own directory");
    }
    let chowned = Command::new("chown").arg("postfix").arg(directory.join("data")).status();
    assert!(chowned.is_ok_and(|status| status.success()), "the package makes the user postfix");
    let shipped = fs::read_to_string("/usr/share/postfix/main.cf.debian").unwrap_or_default();
    let own = directory.display();
    let private = format!(
        "queue_directory = {own}/spool\ndata_directory = {own}/data\nmaillog_file = {own}/maillog\n\
         maillog_file_prefixes = {own}\ninet_protocols = ipv4\nmyhostname = postfix.bridgehead.test\n\
         mydestination =\nalias_maps =\nalias_database =\nmynetworks = 127.0.0.0/8\n{settings}\n"
    );
    fs::write(directory.join("etc/main.cf"), format!("{shipped}\n{private}")).expect("our own directory");
    fs::write(directory.join("etc/master.cf"), services(address)).expect("our own directory");
}

/// Debian's master.cf with smtpd at our address and nothing in a chroot.
fn services(address: SocketAddr) -> String {
    let shipped = fs::read_to_string("/usr/share/postfix/master.cf.dist").expect("the package has its master.cf");
    let mut lines = String::new();
    for line in shipped.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_service = !line.starts_with(' ') && words.len() >= 8;
        match words.as_slice() {
            ["smtp", "inet", ..] => lines.push_str(&format!("{address} inet n - n - - smtpd")),
            [name, kind, private, unprivileged, _chroot, rest @ ..] if is_service => {
                lines.push_str(&format!("{name} {kind} {private} {unprivileged} n {}", rest.join(" ")));
            }
            _ => lines.push_str(line),
        }
        lines.push('\n');
    }
    lines
}

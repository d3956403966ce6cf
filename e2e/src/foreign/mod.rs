//! Other people's software: what is installed, and how each is started privately, with its own
//! directories and port, never as the system's service.
//!
//! `cargo xtask test` installs them: swaks and Postfix (with its smtp-source and smtp-sink) as Debian
//! packages, Exim and OpenSMTPD as trees under `target/peers` that are entered with chroot, since
//! Debian allows only one mail server at a time.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Finished, run};

mod exim;
mod haproxy;
mod issuer;
mod kdc;
mod opensmtpd;
mod openssl;
mod postfix;
mod python;
mod sink;
mod submit;
mod testssl;
mod winbindd;

pub use exim::Exim;
pub use haproxy::Haproxy;
pub use issuer::{AUDIENCE, Authority, ClientFiles, ISSUER, Issuer};
pub use kdc::{Kdc, REALM};
pub use opensmtpd::OpenSmtpd;
pub use openssl::{openssl, s_client};
pub use postfix::Postfix;
pub use python::{Certificate, TlsPeer, python};
pub use sink::{Sink, Source};
pub use submit::{Program, Proof, Submission};
pub use testssl::testssl;
pub use winbindd::Winbindd;

/// The root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the package is in the workspace").to_owned()
}

/// Where the trees of peers that are not installed as packages stand.
#[must_use]
pub fn trees() -> PathBuf {
    root().join("target/peers")
}

/// Whether a program is there under the usual names.
#[must_use]
pub fn installed(program: &str) -> bool {
    let directories = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    let on_path = std::env::var("PATH").unwrap_or_default();
    let mut candidates = directories.into_iter().map(str::to_owned).chain(on_path.split(':').map(str::to_owned));
    candidates.any(|directory| Path::new(&directory).join(program).exists())
}

/// Runs swaks, or tells that it is not there.
#[must_use]
pub fn swaks(arguments: &[&str]) -> Option<Finished> {
    installed("swaks").then(|| run(Command::new("swaks").args(arguments)))
}

/// Whether this process may start servers that give up their privileges.
#[must_use]
pub fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"))
}

/// Whether there is a tree of this peer, and we may enter it.
fn has_tree(name: &str) -> bool {
    is_root() && trees().join(name).join("ready").exists()
}

/// A copy of a peer's tree, with hard links where possible, in which one instance may run.
fn copy_of_tree(name: &str) -> Option<tempfile::TempDir> {
    if !has_tree(name) {
        return None;
    }
    let tree = trees().join(name);
    let instance = tempfile::Builder::new().prefix(&format!("run-{name}-")).tempdir_in(trees()).ok()?;
    make_traversable(instance.path());
    let copied = Command::new("cp").arg("-al").arg(tree.join(".")).arg(instance.path()).status();
    copied.is_ok_and(|status| status.success()).then_some(instance)
}

/// Servers that have given up their privileges must be able to enter their directory.
fn make_traversable(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).expect("our own directory");
}

/// A port on `ip` that was free a moment ago, for programs that cannot report which they got.
fn free_port(ip: &str) -> u16 {
    let listener = std::net::TcpListener::bind((ip, 0)).expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Waits until something accepts connections at `address`.
fn wait_until_it_listens(address: std::net::SocketAddr, what: &str, log: impl Fn() -> String) {
    let mut tries = 0;
    crate::until(what, || {
        tries += 1;
        assert!(tries < 2000, "{what} does not listen:\n{}", log());
        std::net::TcpStream::connect(address).ok()
    });
}

/// Shows what a peer had to say, if the test that used it has failed.
fn tell_if_failed(peer: &str, log: &str) {
    if std::thread::panicking() {
        eprintln!("{peer} says:\n{log}");
    }
}

/// All messages in a maildir's `new`.
fn maildir(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory.join("new")).map(Iterator::flatten).into_iter().flatten();
    entries
        .map(|entry| String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap_or_default()).into_owned())
        .collect()
}

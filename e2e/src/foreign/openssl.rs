//! OpenSSL's client: handshakes of every kind, and certificates of clients.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::installed;
use crate::process::{Finished, run};

/// Connects with `openssl s_client` and these arguments, says `commands` when TLS is on, and tells what came
/// of it; or that OpenSSL is not there. With `-starttls smtp` among the arguments TLS is begun by STARTTLS.
///
/// # Panics
/// When OpenSSL cannot be started.
#[must_use]
pub fn s_client(server: SocketAddr, arguments: &[&str], commands: &str) -> Option<Finished> {
    use std::io::Write;
    use std::process::Stdio;
    if !installed("openssl") {
        return None;
    }
    let mut command = Command::new("timeout");
    command.args(["60", "openssl", "s_client", "-connect", &server.to_string(), "-ign_eof", "-crlf"]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("timeout and openssl are there");
    // A server that ends the handshake ends this, too.
    let _ = child.stdin.take().expect("its input is a pipe").write_all(commands.as_bytes());
    Some(Finished::from(child.wait_with_output().expect("a child can be waited for")))
}

/// Runs `openssl` in a directory.
///
/// # Panics
/// When it is not content.
pub fn openssl(directory: &Path, arguments: &[&str]) {
    let finished = run(Command::new("openssl").args(arguments).current_dir(directory));
    assert_eq!(finished.code, 0, "openssl {arguments:?}: {}", finished.text());
}

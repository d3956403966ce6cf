//! testssl.sh: what a scanner finds at our TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::installed;
use crate::process::run;

/// Looks at a server with STARTTLS for SMTP, believing `authority`; what it has found as JSON, a list of objects with
/// `id`, `severity` and `finding`. `None` where it is not installed.
///
/// # Panics
/// When it does not come to an end.
#[must_use]
pub fn testssl(server: SocketAddr, authority: &Path) -> Option<String> {
    // Debian calls it by the one name, its author by the other.
    let program = ["testssl", "testssl.sh"].into_iter().find(|name| installed(name))?;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let found = directory.path().join("found.json");
    let mut command = Command::new("timeout");
    command.args(["1800", program, "--quiet", "--color", "0", "--warnings", "batch", "--ip", "one", "-t", "smtp"]);
    command.arg("--add-ca").arg(authority).arg("--jsonfile").arg(&found).arg(server.to_string());
    let finished = run(&mut command);
    let json = std::fs::read_to_string(&found).unwrap_or_default();
    // Its exit code is a number of findings; what it writes last closes the list.
    assert!(json.trim_end().ends_with(']'), "it has not come to its end\n{}", finished.text());
    Some(json)
}

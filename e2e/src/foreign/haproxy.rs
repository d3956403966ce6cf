//! Debian's haproxy in front of a gateway, which says who the clients are.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{free_port, installed, tell_if_failed, wait_until_it_listens};
use crate::process::Process;

/// A running haproxy.
#[derive(Debug)]
pub struct Haproxy {
    directory: TempDir,
    _process: Process,
    address: SocketAddr,
}

impl Haproxy {
    /// Starts one at `ip` that passes connections on to `server` from the same address, with these words
    /// of its `server` line (`send-proxy`), or tells that it is not there.
    ///
    /// # Panics
    /// When it is there but does not start.
    #[must_use]
    pub fn start(ip: &str, server: SocketAddr, words: &str) -> Option<Self> {
        if !installed("haproxy") {
            return None;
        }
        let directory = tempfile::Builder::new().prefix("haproxy-e2e-").tempdir().expect("a temporary directory");
        let address = SocketAddr::new(ip.parse().expect("an address"), free_port(ip));
        let settings = format!(
            "global\n  nbthread 1\n  maxconn 50\ndefaults\n  mode tcp\n  timeout connect 20s\n  timeout client 60s\n  \
             timeout server 60s\nlisten smtp\n  bind {address}\n  source {ip}\n  server gateway {server} {words}\n"
        );
        fs::write(directory.path().join("haproxy.cfg"), settings).expect("our own directory");
        let log = fs::File::create(directory.path().join("log")).expect("our own directory");
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(directory.path().join("haproxy.cfg"));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file can be cloned")).stderr(log);
        let haproxy = Self { _process: Process::start(&mut command), directory, address };
        wait_until_it_listens(address, "haproxy", || haproxy.log());
        Some(haproxy)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything it printed.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        tell_if_failed("haproxy", &self.log());
    }
}

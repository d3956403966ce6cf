//! smtp-source and smtp-sink, Postfix's load makers: as fast as a client and a next hop can be.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use super::{free_port, installed, is_root, wait_until_it_listens};
use crate::process::{Process, run};

/// A running smtp-sink, which accepts everything and counts it.
#[derive(Debug)]
pub struct Sink {
    counter: NamedTempFile,
    _process: Process,
    address: SocketAddr,
}

impl Sink {
    /// Starts one on `ip`, or tells that it is not available.
    #[must_use]
    pub fn start(ip: &str) -> Option<Self> {
        if !installed("smtp-sink") {
            return None;
        }
        let address = SocketAddr::new(ip.parse().expect("an address"), free_port(ip));
        let counter = NamedTempFile::new().expect("a temporary file");
        let output = counter.reopen().expect("a temporary file");
        let mut command = Command::new("smtp-sink");
        if is_root() {
            command.args(["-u", "nobody"]);
        }
        command.args(["-c", &address.to_string(), "1024"]);
        let process = Process::start(command.stdin(Stdio::null()).stdout(output).stderr(Stdio::null()));
        wait_until_it_listens(address, "smtp-sink", String::new);
        Some(Self { counter, _process: process, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many messages it has accepted: the last figure behind `mesg=` it printed.
    #[must_use]
    pub fn count(&self) -> u64 {
        let text = fs::read_to_string(self.counter.path()).unwrap_or_default();
        let figures = text.rsplit("mesg=").next().filter(|_| text.contains("mesg=")).unwrap_or_default();
        let digits: String = figures.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    }
}

/// What one run of smtp-source sends.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Sessions at the same time.
    pub sessions: u32,
    /// Messages in all.
    pub messages: u32,
    /// Bytes in each.
    pub bytes: u32,
    /// Sender.
    pub from: &'a str,
    /// Recipient.
    pub to: &'a str,
    /// Whether a session goes on with the next message; otherwise each has a connection of its own.
    pub reuse: bool,
}

impl Source<'_> {
    /// Sends everything to `server` and returns how long it took until the last 250.
    ///
    /// # Panics
    /// When a message was not accepted.
    #[must_use]
    pub fn run(&self, server: SocketAddr) -> Duration {
        let start = Instant::now();
        let mut command = Command::new("smtp-source");
        command.args(["-s", &self.sessions.to_string(), "-m", &self.messages.to_string()]);
        command.args(["-l", &self.bytes.to_string(), "-f", self.from, "-t", self.to]);
        if self.reuse {
            command.arg("-d");
        }
        let finished = run(command.arg(server.to_string()));
        let took = start.elapsed();
        assert_eq!(finished.code, 0, "smtp-source: {}", finished.text());
        took
    }
}

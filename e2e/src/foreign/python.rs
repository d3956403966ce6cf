//! Python's standard library and OpenSSL: an independent SMTP client, and TLS on either side.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::installed;
use crate::process::{Finished, Process, run};
use crate::until;

/// Runs a Python program with these arguments, or tells that there is no Python.
#[must_use]
pub fn python(program: &str, arguments: &[&str]) -> Option<Finished> {
    installed("python3").then(|| run(Command::new("python3").args(["-c", program]).args(arguments)))
}

/// A self-signed certificate in files of its own.
#[derive(Debug)]
pub struct Certificate {
    directory: TempDir,
}

impl Certificate {
    /// Makes one for `name`, or tells that OpenSSL is not there.
    ///
    /// # Panics
    /// When OpenSSL does not do it.
    #[must_use]
    pub fn for_name(name: &str) -> Option<Self> {
        if !installed("openssl") {
            return None;
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        command.args([
            "-days",
            "30",
            "-subj",
            &format!("/CN={name}"),
            "-addext",
            &format!("subjectAltName=DNS:{name}"),
        ]);
        command.arg("-keyout").arg(directory.path().join("key.pem"));
        command.arg("-out").arg(directory.path().join("certificate.pem"));
        let made = run(&mut command);
        assert_eq!(made.code, 0, "openssl req: {}", made.text());
        Some(Self { directory })
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("certificate.pem")
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }
}

/// A next hop that offers STARTTLS, written in Python.
#[derive(Debug)]
pub struct TlsPeer {
    directory: TempDir,
    _process: Process,
    address: SocketAddr,
}

impl TlsPeer {
    /// Starts one on `ip`, or tells that there is no Python.
    #[must_use]
    pub fn start(ip: &str, certificate: &Certificate) -> Option<Self> {
        if !installed("python3") {
            return None;
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let output = fs::File::create(directory.path().join("output")).expect("our own directory");
        let mut command = Command::new("python3");
        command.args(["-c", include_str!("tls_peer.py"), ip]).arg(certificate.certificate()).arg(certificate.key());
        let process = Process::start(command.stdin(Stdio::null()).stdout(output));
        let port = until("the port of the TLS peer", || port(directory.path()));
        let address = SocketAddr::new(ip.parse().expect("an address"), port);
        Some(Self { directory, _process: process, address })
    }

    /// As a smart host is written in settings.
    #[must_use]
    pub fn route(&self) -> String {
        format!("[{}]:{}", self.address.ip(), self.address.port())
    }

    /// Waits for a message with `token` in its subject and tells with which TLS version it came
    /// (`none` for clear text).
    #[must_use]
    pub fn tls_of(&self, token: &str) -> String {
        let line = until(format!("{token} at the TLS peer"), || {
            output(self.directory.path()).lines().find(|line| line.contains(token)).map(str::to_owned)
        });
        line.split("tls=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned()
    }

    /// Everything it printed.
    #[must_use]
    pub fn output(&self) -> String {
        output(self.directory.path())
    }
}

fn output(directory: &Path) -> String {
    fs::read_to_string(directory.join("output")).unwrap_or_default()
}

fn port(directory: &Path) -> Option<u16> {
    output(directory).lines().find_map(|line| line.strip_prefix("port ")?.parse().ok())
}

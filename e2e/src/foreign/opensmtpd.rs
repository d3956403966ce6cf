//! OpenSMTPD in a chroot of its own.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{copy_of_tree, free_port, has_tree, maildir, tell_if_failed, wait_until_it_listens};
use crate::process::Process;

/// A running OpenSMTPD: mail for corp.example goes to its inbox, all other mail to one next hop.
#[derive(Debug)]
pub struct OpenSmtpd {
    directory: TempDir,
    process: Process,
    address: SocketAddr,
}

impl OpenSmtpd {
    /// Whether it can be started here.
    #[must_use]
    pub fn available() -> bool {
        has_tree("opensmtpd")
    }

    /// Starts OpenSMTPD on `ip` with `next_hop` for foreign mail, or tells that it is not available.
    #[must_use]
    pub fn start(ip: &str, next_hop: SocketAddr) -> Option<Self> {
        let directory = copy_of_tree("opensmtpd")?;
        let address = SocketAddr::new(ip.parse().expect("an address"), free_port(ip));
        let log = fs::File::create(directory.path().join("output")).expect("our own directory");
        let settings = directory.path().join("etc/smtpd.conf");
        // Removed first: the copy of the tree shares its files with the original.
        let _ = fs::remove_file(&settings);
        fs::write(settings, self::settings(address, next_hop)).expect("our own directory");
        let mut command = Command::new("chroot");
        command.arg(directory.path()).args(["/usr/sbin/smtpd", "-d", "-f", "/etc/smtpd.conf"]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file can be cloned")).stderr(log);
        let opensmtpd = Self { process: Process::start(&mut command), directory, address };
        wait_until_it_listens(address, "OpenSMTPD", || opensmtpd.log());
        Some(opensmtpd)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The id of its first process, which leads its process group.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// As a smart host is written in settings.
    #[must_use]
    pub fn route(&self) -> String {
        format!("[{}]:{}", self.address.ip(), self.address.port())
    }

    /// What it delivered to its inbox.
    #[must_use]
    pub fn inbox(&self) -> Vec<String> {
        maildir(&self.directory.path().join("private/inbox"))
    }

    /// Whatever it printed.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("output")).unwrap_or_default()
    }
}

impl Drop for OpenSmtpd {
    fn drop(&mut self) {
        tell_if_failed("OpenSMTPD", &self.log());
    }
}

fn settings(address: SocketAddr, next_hop: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!(
        "listen on {ip} port {port} hostname opensmtpd.bridgehead.test
table everyone {{ \"@\" = nobody }}
action \"inbox\" maildir \"/private/inbox\" virtual <everyone>
action \"onward\" relay host smtp://{next_hop}
match from any for domain \"corp.example\" action \"inbox\"
match from any for any action \"onward\"
"
    )
}

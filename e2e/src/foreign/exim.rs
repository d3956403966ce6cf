//! Exim in a chroot of its own.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{copy_of_tree, free_port, has_tree, maildir, tell_if_failed, wait_until_it_listens};
use crate::process::Process;

/// A running Exim: mail for corp.example goes to its inbox, all other mail to one next hop.
#[derive(Debug)]
pub struct Exim {
    directory: TempDir,
    process: Process,
    address: SocketAddr,
}

impl Exim {
    /// Whether it can be started here.
    #[must_use]
    pub fn available() -> bool {
        has_tree("exim")
    }

    /// Starts Exim on `ip` with `next_hop` for foreign mail, or tells that it is not available.
    #[must_use]
    pub fn start(ip: &str, next_hop: SocketAddr) -> Option<Self> {
        let directory = copy_of_tree("exim")?;
        let address = SocketAddr::new(ip.parse().expect("an address"), free_port(ip));
        let log = fs::File::create(directory.path().join("output")).expect("our own directory");
        fs::create_dir_all(directory.path().join("etc/exim4")).expect("our own directory");
        fs::write(directory.path().join("etc/exim4/exim4.conf"), settings(address, next_hop))
            .expect("our own directory");
        let mut command = Command::new("chroot");
        command.arg(directory.path()).args(["/usr/sbin/exim4", "-bdf", "-q2s"]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file can be cloned")).stderr(log);
        let exim = Self { process: Process::start(&mut command), directory, address };
        wait_until_it_listens(address, "Exim", || exim.log());
        Some(exim)
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

    /// Its log and whatever it printed.
    #[must_use]
    pub fn log(&self) -> String {
        let files = ["output", "private/log/mainlog", "private/log/paniclog"];
        files.map(|name| fs::read_to_string(self.directory.path().join(name)).unwrap_or_default()).join("\n")
    }
}

impl Drop for Exim {
    fn drop(&mut self) {
        tell_if_failed("Exim", &self.log());
    }
}

fn settings(address: SocketAddr, next_hop: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    let (hop_ip, hop_port) = (next_hop.ip(), next_hop.port());
    format!(
        "primary_hostname = exim.bridgehead.test
spool_directory = /private/spool
log_file_path = /private/log/%slog
pid_file_path = /private/exim.pid
local_interfaces = {ip}
daemon_smtp_ports = {port}
acl_smtp_rcpt = accept
acl_smtp_data = accept
tls_advertise_hosts =
host_lookup =
rfc1413_hosts =
keep_environment =
domainlist local = corp.example
begin routers
inbox:
  driver = accept
  domains = +local
  transport = inbox
onward:
  driver = manualroute
  domains = ! +local
  route_list = * {hop_ip}::{hop_port} byname
  self = send
  transport = onward
begin transports
inbox:
  driver = appendfile
  directory = /private/inbox
  user = Debian-exim
  maildir_format
onward:
  driver = smtp
begin retry
* * F,1h,1s
"
    )
}

//! The servers that are measured: each relays everything to one next hop and has its shipped settings
//! otherwise, but for limits that would refuse the client.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::Gateway;
use e2e::foreign::{Certificate, Postfix};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    /// No server: the client speaks to the next hop itself.
    Ceiling,
    Bridgehead,
    Postfix,
}

/// What is asked of a server before it starts.
pub(super) struct Needs<'a> {
    pub(super) next_hop: SocketAddr,
    pub(super) connections: u32,
    pub(super) tls: Option<&'a Certificate>,
}

/// A running server, ended with all its processes when dropped.
pub(super) enum Running {
    Bridgehead(Box<Gateway>),
    Postfix(Box<Postfix>),
}

const BRIDGEHEAD: &str = "127.0.0.61";
const POSTFIX: &str = "127.0.0.62";

/// From so many connections on, limits are raised: 100 for an address in Bridgehead, 100 processes in
/// Postfix.
const MANY: u32 = 100;

impl Server {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ceiling => "ceiling",
            Self::Bridgehead => "Bridgehead",
            Self::Postfix => "Postfix",
        }
    }
}

impl Running {
    /// Starts Bridgehead or Postfix.
    pub(super) fn start(server: Server, needs: &Needs<'_>) -> Result<Self> {
        let route = format!("[{}]:{}", needs.next_hop.ip(), needs.next_hop.port());
        if server == Server::Postfix {
            let postfix = Postfix::start(POSTFIX, &postfix(needs, &route)).context("Postfix is gone")?;
            return Ok(Self::Postfix(Box::new(postfix)));
        }
        Ok(Self::Bridgehead(Box::new(Gateway::start(&bridgehead(needs, &route)))))
    }

    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::Bridgehead(gateway) => gateway.address("outbound"),
            Self::Postfix(postfix) => postfix.address(),
        }
    }

    /// The first process, whose process group are all of them.
    pub(super) fn id(&self) -> u32 {
        match self {
            Self::Bridgehead(gateway) => gateway.id(),
            Self::Postfix(postfix) => postfix.id(),
        }
    }

    /// Kills it and starts it again. Tells how long it took from then until it greeted.
    pub(super) fn restart(&mut self) -> Result<Duration> {
        match self {
            Self::Bridgehead(gateway) => gateway.kill(),
            Self::Postfix(postfix) => postfix.kill(),
        }
        let start = Instant::now();
        match self {
            Self::Bridgehead(gateway) => gateway.restart(),
            Self::Postfix(postfix) => postfix.restart(),
        }
        let mut client = e2e::Client::connect(self.address(), "127.0.0.1");
        client.expect("220");
        Ok(start.elapsed())
    }

    /// Has it try everything that is queued now.
    pub(super) fn retry(&self) -> Result<()> {
        let done = match self {
            Self::Bridgehead(gateway) => gateway.queue(&["retry", "--all"]),
            Self::Postfix(postfix) => postfix.flush(),
        };
        ensure!(done.code == 0, "retry: {}", done.text());
        Ok(())
    }
}

fn bridgehead(needs: &Needs<'_>, route: &str) -> String {
    let mut settings = format!(
        "[organization]\ndomains = [\"corp.example\"]\n\
         [virtual_server.outbound]\nlisten = [\"{BRIDGEHEAD}:0\"]\n\
         [virtual_server.outbound.relay]\nmode = \"only\"\nlist = [\"127.0.0.0/8\"]\n\
         [virtual_server.outbound.delivery]\nsmart_hosts = [\"{route}\"]\n"
    );
    if needs.connections >= MANY {
        let most = needs.connections + MANY;
        settings.push_str(&format!(
            "[virtual_server.outbound.limits]\nconnections = {}\nconnections_per_address = {most}\n",
            most.max(2_000)
        ));
    }
    if let Some(tls) = needs.tls {
        let (certificate, key) = (tls.certificate(), tls.key());
        let certificates = format!("[{{ certificate = {certificate:?}, key = {key:?} }}]");
        settings.push_str(&format!("[virtual_server.outbound.tls]\ncertificates = {certificates}\n"));
    }
    settings
}

fn postfix(needs: &Needs<'_>, route: &str) -> String {
    let mut settings = format!("relayhost = {route}\n");
    if needs.connections > MANY {
        settings.push_str(&format!("default_process_limit = {}\n", needs.connections + MANY));
    }
    if let Some(tls) = needs.tls {
        let (certificate, key) = (tls.certificate(), tls.key());
        settings.push_str(&format!(
            "smtpd_tls_cert_file = {}\nsmtpd_tls_key_file = {}\nsmtpd_tls_security_level = may\n",
            certificate.display(),
            key.display()
        ));
    }
    settings
}

//! The servers that are measured: each relays everything to one next hop and has its shipped settings
//! otherwise, but for limits that would refuse the client.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use e2e::Gateway;
use e2e::foreign::{Certificate, Exim, OpenSmtpd, Postfix};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    /// No server: the client speaks to the next hop itself.
    Ceiling,
    Bridgehead,
    Postfix,
    Exim,
    OpenSmtpd,
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
    Exim(Box<Exim>),
    OpenSmtpd(Box<OpenSmtpd>),
}

const BRIDGEHEAD: &str = "127.0.0.61";
const POSTFIX: &str = "127.0.0.62";
const EXIM: &str = "127.0.0.63";
const OPENSMTPD: &str = "127.0.0.64";

/// From so many connections on, limits are raised: 100 for an address in Bridgehead, 100 processes in
/// Postfix.
const MANY: u32 = 100;

impl Server {
    /// Those that only stand beside: few turns, and no goal.
    pub(super) const BESIDE: [Self; 2] = [Self::Exim, Self::OpenSmtpd];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ceiling => "ceiling",
            Self::Bridgehead => "Bridgehead",
            Self::Postfix => "Postfix",
            Self::Exim => "Exim",
            Self::OpenSmtpd => "OpenSMTPD",
        }
    }

    /// Whether it is somebody else's.
    pub(super) fn is_foreign(self) -> bool {
        matches!(self, Self::Postfix | Self::Exim | Self::OpenSmtpd)
    }

    /// Whether it takes its turn here.
    pub(super) fn is_available(self) -> bool {
        match self {
            Self::Ceiling | Self::Bridgehead => true,
            Self::Postfix => Postfix::available(),
            Self::Exim => Exim::available(),
            Self::OpenSmtpd => OpenSmtpd::available(),
        }
    }
}

impl Running {
    /// Starts any of them; between client and next hop there is no server to start.
    pub(super) fn start(server: Server, needs: &Needs<'_>) -> Result<Self> {
        let route = format!("[{}]:{}", needs.next_hop.ip(), needs.next_hop.port());
        let gone = || format!("{} is gone", server.name());
        Ok(match server {
            Server::Ceiling => bail!("there is no server"),
            Server::Bridgehead => Self::Bridgehead(Box::new(Gateway::start(&bridgehead(needs, &route)))),
            Server::Postfix => {
                Self::Postfix(Box::new(Postfix::start(POSTFIX, &postfix(needs, &route)).with_context(gone)?))
            }
            Server::Exim => Self::Exim(Box::new(Exim::start(EXIM, needs.next_hop).with_context(gone)?)),
            Server::OpenSmtpd => {
                Self::OpenSmtpd(Box::new(OpenSmtpd::start(OPENSMTPD, needs.next_hop).with_context(gone)?))
            }
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::Bridgehead(gateway) => gateway.address("outbound"),
            Self::Postfix(postfix) => postfix.address(),
            Self::Exim(exim) => exim.address(),
            Self::OpenSmtpd(opensmtpd) => opensmtpd.address(),
        }
    }

    /// The first process, whose process group are all of them.
    pub(super) fn id(&self) -> u32 {
        match self {
            Self::Bridgehead(gateway) => gateway.id(),
            Self::Postfix(postfix) => postfix.id(),
            Self::Exim(exim) => exim.id(),
            Self::OpenSmtpd(opensmtpd) => opensmtpd.id(),
        }
    }

    /// Kills it and starts it again. Tells how long it took from then until it greeted.
    pub(super) fn restart(&mut self) -> Result<Duration> {
        match self {
            Self::Bridgehead(gateway) => gateway.kill(),
            Self::Postfix(postfix) => postfix.kill(),
            Self::Exim(_) | Self::OpenSmtpd(_) => bail!("it is not restarted"),
        }
        let start = Instant::now();
        match self {
            Self::Bridgehead(gateway) => gateway.restart(),
            Self::Postfix(postfix) => postfix.restart(),
            Self::Exim(_) | Self::OpenSmtpd(_) => {}
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
            Self::Exim(_) | Self::OpenSmtpd(_) => bail!("it is not asked to retry"),
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

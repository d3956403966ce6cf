//! A session as the command line describes it.

use crate::cli;
use access::Link;
use anyhow::{Context, Result, bail};
use config::{Config, Server};
use identity::{Finding, Inquiry, No};
use mail::{Account, Authors, Day, Found, Identity, Ledger, Mailbox, Query, ReversePath, Timestamp};
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// Octets of a message file that are read: only its header counts.
const MESSAGE_OCTETS: u64 = 16 * 1024 * 1024;

/// A session that somebody thinks of.
#[derive(Debug)]
pub(super) struct Described {
    pub client: IpAddr,
    pub now: Timestamp,
    pub secured: bool,
    pub mechanism: Option<String>,
    pub identity: Identity,
    /// What came of asking the directories for the account.
    pub known: Known,
    pub reverse_path: ReversePath,
    pub recipients: Vec<Mailbox>,
    /// What the directories would say of them; `None`: they are asked.
    pub found: Option<Found>,
    /// Who the message says it is from, and its Received fields; `None` if nothing is said about it.
    pub message: Option<(Authors, u32)>,
    names: Option<Found>,
}

/// What is known of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// There is none in this session.
    NotNamed,
    /// What the command line says.
    Said,
    /// What a directory says.
    ByDirectory,
    /// No directory that can be asked knows it: a name alone.
    ByName,
    /// It may not log in.
    Suspended,
    /// The directories could not be asked.
    Unavailable,
}

impl Described {
    /// Reads the command line; asks the directories for an account of which it says nothing more.
    ///
    /// # Errors
    /// Something on it cannot be read, or names what is not there.
    pub(super) fn read(explain: &cli::Explain, client: IpAddr, config: &Config, server: &Server) -> Result<Described> {
        let (identity, known) = identity(explain, config, server)?;
        let recipients = explain.rcpt.iter().map(|text| forward_path(text, server));
        Ok(Described {
            client,
            now: now(explain.at.as_deref())?,
            secured: explain.tls,
            mechanism: explain.mechanism.clone(),
            identity,
            known,
            reverse_path: reverse_path(&explain.mail_from)?,
            recipients: recipients.collect::<Result<_>>()?,
            found: explain.rcpt_is.map(found),
            message: message(explain)?,
            names: names(explain)?,
        })
    }

    /// The link that it is on.
    pub(super) fn link(&self) -> Link {
        if self.secured { Link::Tls } else { Link::Clear }
    }

    /// What look-ups would find, as far as the command line says.
    pub(super) fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::new();
        if let Some(found) = &self.names {
            ledger.enter(Query::ConfirmedNames(mail::canonical(self.client)), found.clone());
        }
        ledger
    }
}

fn found(said: cli::Recipient) -> Found {
    match said {
        cli::Recipient::Known => Found::Exists,
        cli::Recipient::Unknown => Found::Absent,
        cli::Recipient::Unclear => Found::Unavailable,
    }
}

fn names(explain: &cli::Explain) -> Result<Option<Found>> {
    if explain.no_client_name {
        return Ok(Some(Found::Absent));
    }
    if explain.client_name_unclear {
        return Ok(Some(Found::Unavailable));
    }
    let names: Result<Vec<mail::Domain>, _> = explain.client_name.iter().map(|name| name.parse()).collect();
    let names = names.context("--client-name is not a domain name")?;
    Ok((!names.is_empty()).then_some(Found::Names(names)))
}

/// The beginning of a day, or now.
fn now(day: Option<&str>) -> Result<Timestamp> {
    let Some(day) = day else { return Ok(crate::world::wall_clock()) };
    day.parse::<Day>().map(Day::begins).with_context(|| format!("--at {day}"))
}

fn identity(explain: &cli::Explain, config: &Config, server: &Server) -> Result<(Identity, Known)> {
    if let Some(name) = &explain.peer {
        let found = config.peers.iter().find(|peer| *peer.name == **name);
        let peer = found.with_context(|| format!("there is no peer {name}"))?;
        return Ok((Identity::Peer(peer.name.clone()), Known::NotNamed));
    }
    let Some(name) = &explain.account else { return Ok((Identity::Anonymous, Known::NotNamed)) };
    if !explain.group.is_empty() || !explain.address.is_empty() {
        let addresses: Result<Vec<Mailbox>, _> = explain.address.iter().map(|address| address.parse()).collect();
        let groups = explain.group.iter().map(|group| group.as_str().into()).collect();
        let addresses = addresses.context("--address is not a mail address")?.into();
        let account = Account { name: name.as_str().into(), groups, addresses };
        return Ok((Identity::Account(Arc::new(account)), Known::Said));
    }
    let inquiry = Inquiry::Account { name: name.as_str().into() };
    let found = match &server.authentication.directories[..] {
        [] => Finding::No(No::Unknown),
        names => super::inquire(config, names, inquiry),
    };
    Ok(match found {
        Finding::Account(account) => (Identity::Account(account), Known::ByDirectory),
        Finding::No(No::Unknown) => (Identity::account(name), Known::ByName),
        Finding::No(_) => (Identity::account(name), Known::Suspended),
        _ => (Identity::account(name), Known::Unavailable),
    })
}

/// Who the message says it is from: its header is read by the function that reads those of real ones.
fn message(explain: &cli::Explain) -> Result<Option<(Authors, u32)>> {
    if let Some(file) = &explain.message {
        let octets = read(file)?;
        return Ok(Some((Authors::of(&octets), queue::glance(&octets).hops)));
    }
    let fields = [
        ("From", &explain.header_from),
        ("Sender", &explain.header_sender),
        ("Resent-From", &explain.header_resent_from),
    ];
    let said = fields.into_iter().filter(|(_, all)| !all.is_empty());
    let header: String = said.map(|(name, all)| format!("{name}: {}\r\n", all.join(", "))).collect();
    Ok((!header.is_empty()).then(|| (Authors::of(header.as_bytes()), 0)))
}

/// The beginning of a message, with the line ends of SMTP.
#[expect(clippy::disallowed_methods, reason = "a file that somebody names on the command line")]
fn read(file: &Path) -> Result<Vec<u8>> {
    let cannot = || format!("cannot read the message {}", file.display());
    let mut text = Vec::new();
    std::fs::File::open(file).with_context(cannot)?.take(MESSAGE_OCTETS).read_to_end(&mut text).with_context(cannot)?;
    let mut octets = Vec::with_capacity(text.len() + text.len() / 32);
    for line in text.split_inclusive(|octet| *octet == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        octets.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        octets.extend_from_slice(b"\r\n");
    }
    Ok(octets)
}

fn reverse_path(text: &str) -> Result<ReversePath> {
    let bare = text.trim_start_matches('<').trim_end_matches('>');
    if bare.is_empty() {
        return Ok(ReversePath::Null);
    }
    bare.parse().map(ReversePath::Mailbox).with_context(|| format!("--mail-from {text}"))
}

/// A recipient without a domain is one of the default domain, as in the session.
fn forward_path(text: &str, server: &Server) -> Result<Mailbox> {
    let bracketed = format!("<{text}>");
    let (path, rest) = mail::Path::take(&bracketed).with_context(|| format!("--rcpt {text}"))?;
    match path {
        mail::Path::Mailbox(mailbox) if rest.is_empty() => Ok(mailbox),
        mail::Path::Bare(local) if rest.is_empty() => {
            Ok(Mailbox { local, host: mail::Host::Domain(server.session.default_domain.clone()) })
        }
        _ => bail!("--rcpt {text}: not a mail address"),
    }
}

//! From the shape of the file to settings that can be used.
//!
//! Every function here reads what it can, writes a mistake down for what it cannot, and goes on;
//! `None` means that a mistake was written down. So all mistakes of a file are found at once, and no
//! place needs an invented value.

mod authentication;
mod bounds;
mod directory;
mod domains;
mod filter;
mod hosts;
mod invariants;
mod listen;
mod open_relay;
mod queue;
mod rights;
mod routing;
mod rules;
mod server;
mod session;
mod tls;
mod value;

use crate::file::File;
use crate::mistake::{Mistake, Mistakes, Place, Severity};
use crate::places::Places;
use crate::{Config, Organization, shape};
use mail::{Domain, Mailbox};
use policy::{RuleBook, RuleId};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::de::DeTable;

/// The memory the program may be told to live on.
const MEMORY_BYTES: RangeInclusive<u64> = 32 << 20..=1 << 50;

pub(crate) use invariants::text as invariants;

/// As [`Config::from_text`].
pub(crate) fn text(name: &str, text: &str) -> Result<(Config, Vec<Mistake>), Mistakes> {
    let (mut table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(Mistakes::new(name, text, syntax(text, &errors)));
    }
    let places = Places::new(text, table.get_ref());
    let shape = shape::check(text, table.get_mut(), shape::schema());
    let mut check = Check { places, broken: shape.broken, mistakes: shape.mistakes, book: RuleBook::new() };
    let config = match File::deserialize(toml::Deserializer::from(table)) {
        Ok(file) => check.file(&file),
        // The walk beside the schema leaves nothing for serde to find; should it, that is said too.
        Err(error) => {
            let place = error.span().map(|span| Place::new(text, span));
            check.mistakes.push(Mistake::error("", place, error.message()));
            None
        }
    };
    let mut mistakes = check.mistakes;
    mistakes.sort_by_key(|m| m.place.as_ref().map_or((0, 0), |place| (place.span.start, place.span.end)));
    match config {
        Some(config) if mistakes.iter().all(|m| m.severity == Severity::Warning) => Ok((config, mistakes)),
        _ => Err(Mistakes::new(name, text, mistakes)),
    }
}

/// What is not TOML. The first few: behind a lost quote everything looks wrong.
fn syntax(text: &str, errors: &[toml::de::Error]) -> Vec<Mistake> {
    let mistake = |error: &toml::de::Error| {
        let place = error.span().map(|span| Place::new(text, span));
        Mistake::error("", place, format!("not TOML: {}", error.message().replace('\n', ", ")))
    };
    errors.iter().take(5).map(mistake).collect()
}

/// A file that is being checked.
struct Check<'a> {
    places: Places<'a>,
    /// Keys with a value of the wrong shape; what depends on them is not judged.
    broken: BTreeSet<String>,
    mistakes: Vec<Mistake>,
    book: RuleBook,
}

impl Check<'_> {
    fn file(&mut self, file: &File) -> Option<Config> {
        let hostname = match &file.hostname {
            Some(name) => self.host_name("hostname", name),
            None => self.missing("hostname", "hostname = \"mx1.corp.example\""),
        };
        let state_dir = match &file.state_dir {
            Some(path) => self.path("state_dir", path),
            None => self.missing("state_dir", "state_dir = \"/var/lib/bridgehead\""),
        };
        let invariants_file = match &file.invariants {
            Some(path) => self.path("invariants", path).map(Some),
            None => Some(None),
        };
        let directories = self.directories(file, hostname.as_ref());
        let known = directories.as_deref().unwrap_or_default();
        let recipients_in =
            self.directories_named("organization.recipients_in", &file.organization.recipients_in, known);
        let peers = self.peers(file);
        let guessing = self.guessing(&file.guessing);
        let bounds = self.bounds(&file.bounds);
        let names = self.domains(file);
        let organization = self.organization(file, names.as_ref(), hostname.as_ref());
        let loans = self.loans(&file.organization.send_as);
        let rights = self.peer_rights(file);
        let shared = rights::Shared {
            names: names.as_ref(),
            peers: rights,
            loans: loans.clone().unwrap_or_default(),
            senders: self.filtered_senders(file, names.as_ref()),
        };
        let mut servers = self.servers(file, hostname.as_ref(), &shared, directories.as_deref());
        let in_all = self.connections_in_all(file, servers.as_deref_mut().unwrap_or_default());
        self.listeners(file);
        self.smart_host_loops(file);
        let routing = self.routing(file, names.as_ref(), state_dir.as_deref(), servers.as_deref());
        let memory = match &file.limits.memory {
            Some(size) => self.size("limits.memory", size, MEMORY_BYTES).map(Some),
            None => Some(None),
        };
        let delivery = self.delivery(&file.delivery);
        let queue = self.queue(&file.queue, state_dir.as_deref());
        let metrics = self.all(&file.metrics.listen, "metrics.listen", Self::listen_address);
        let control_socket = self.control_socket(file.control.socket.as_ref(), state_dir.as_deref());
        in_all?;
        loans?;
        Some(Config {
            hostname: hostname?,
            state_dir: state_dir?,
            invariants_file: invariants_file?,
            invariants: Vec::new(),
            organization: organization?,
            directories: directories?,
            recipients_in: recipients_in?,
            peers: peers?,
            guessing: guessing?,
            bounds: bounds?,
            servers: servers?,
            routing: Arc::new(routing?),
            memory_bytes: memory?,
            delivery: delivery?,
            queue: queue?,
            metrics: metrics?,
            log_format: file.log.format,
            control_socket: control_socket?,
            book: Arc::new(std::mem::take(&mut self.book)),
        })
    }

    /// Who answers for the mail here.
    fn organization(
        &mut self,
        file: &File,
        names: Option<&domains::Names>,
        hostname: Option<&Domain>,
    ) -> Option<Organization> {
        let postmaster = match &file.organization.postmaster {
            Some(text) => self.mailbox("organization.postmaster", text)?,
            None => {
                let domain = names?.organization.first().or(hostname)?.clone();
                let local = "postmaster".parse().expect("invariant: the word is a local part");
                Mailbox { local, host: mail::Host::Domain(domain) }
            }
        };
        Some(Organization { domains: names?.organization.clone(), postmaster })
    }

    fn control_socket(&mut self, text: Option<&crate::file::PathText>, state_dir: Option<&Path>) -> Option<PathBuf> {
        let key = if text.is_some() { "control.socket" } else { "state_dir" };
        let path = match text {
            Some(text) => self.path(key, text)?,
            None => state_dir?.join("control.sock"),
        };
        // What fits into a socket address, with its closing zero.
        if path.as_os_str().len() > 107 {
            let mistake = Mistake::error(key, self.places.value_of(key), "the path of the control socket is too long")
                .expected("expected at most 107 octets")
                .advice("choose a shorter path as control.socket");
            self.mistakes.push(mistake);
            return None;
        }
        Some(path)
    }

    /// A rule that stands at `key`, or would stand there if it were not a default.
    fn rule(&mut self, key: &str) -> RuleId {
        let line = self.places.line_of(key);
        self.book.add(key, line)
    }

    /// Whether what stands at `key` could not be read.
    fn is_broken(&self, key: &str) -> bool {
        self.broken.contains(key)
    }

    /// A key that must be there and is not. One that is there with a wrong shape, or misspelt, has
    /// its mistake already.
    fn missing<T>(&mut self, key: &str, example: &str) -> Option<T> {
        if !self.places.has(key) && !self.is_broken(key) {
            let table = key.rsplit_once('.').map(|(table, _)| table);
            let place = table.and_then(|table| self.places.key_of(table));
            let found = format!("`{}` is missing", shape::last(key));
            self.mistakes.push(Mistake::error(key, place, found).advice(format!("add a line such as {example}")));
        }
        None
    }

    /// Reads all entries of a list, so that every bad one is a mistake.
    fn all<T, R>(&mut self, list: &[T], key: &str, read: impl Fn(&mut Self, &str, &T) -> Option<R>) -> Option<Vec<R>> {
        let mut out = Vec::with_capacity(list.len());
        let mut complete = !self.is_broken(key);
        for (index, item) in list.iter().enumerate() {
            match read(self, &crate::places::entry(key, index), item) {
                Some(value) => out.push(value),
                None => complete = false,
            }
        }
        complete.then_some(out)
    }
}

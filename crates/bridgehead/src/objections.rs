//! What speaks against settings before they are taken, and what somebody insists on all the same.
//!
//! An [`Objection`] has an identifier and a witness. It keeps the settings from being taken unless somebody
//! insists by that identifier; what was insisted on stands in the file `accepted` of the state directory,
//! with the time, for as long as it is still objected to.

use access::{Broken, Outcome, Proof};
use anyhow::{Context, Result, bail};
use config::Config;
use mail::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

/// The largest list of what is accepted that is read.
const FILE_OCTETS: u64 = 1024 * 1024;

/// Something that speaks against settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Objection {
    /// By what it is insisted on.
    pub id: String,
    /// What is wrong, in one line.
    pub what: String,
    /// A command that shows it step by step.
    pub witness: Option<String>,
}

impl fmt::Display for Objection {
    /// In one line, as the log has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.what)?;
        self.witness.as_ref().map_or(Ok(()), |witness| write!(f, " (see: {witness})"))
    }
}

/// What speaks against these settings: the invariants that they break. `name` is the file they come from.
pub(crate) fn of(config: &Config, name: &str, now: Timestamp) -> Vec<Objection> {
    access::prove(config, now).iter().flat_map(|proof| of_proof(config, name, proof)).collect()
}

fn of_proof(config: &Config, name: &str, proof: &Proof) -> Vec<Objection> {
    let invariant = &config.invariants[proof.invariant];
    match &proof.outcome {
        Outcome::Holds { .. } => Vec::new(),
        Outcome::Broken(all) => all
            .iter()
            .map(|broken| Objection {
                id: invariant.finding_id(&broken.server),
                what: format!("`{invariant}` is broken at {}: {}", broken.server, sentence(config, broken)),
                witness: Some(broken.witness.command(name)),
            })
            .collect(),
        // Nobody knows at which virtual server, so it is objected to at each it speaks of.
        Outcome::Unproved(why) => config
            .servers
            .iter()
            .filter(|server| invariant.holds_at(&server.name))
            .map(|server| Objection {
                id: invariant.finding_id(&server.name),
                what: format!("`{invariant}` cannot be proved: {why}"),
                witness: None,
            })
            .collect(),
    }
}

/// Who does what, since when, and by which line.
pub(crate) fn sentence(config: &Config, broken: &Broken) -> String {
    let mut text = broken.what.clone();
    let _ = write!(text, ", permitted by {}", permitted_by(config, broken));
    if let Some(since) = broken.since {
        let _ = write!(text, ", from {since} on");
    }
    text
}

fn permitted_by(config: &Config, broken: &Broken) -> String {
    match (broken.rule, &broken.key) {
        (Some(rule), _) => {
            let place = config.book.place(rule);
            match place.line {
                Some(line) => format!("{} (line {line})", place.key),
                None if rule.is_built_in() => place.key.to_owned(),
                None => format!("{} (default)", place.key),
            }
        }
        (None, Some(key)) => key.clone(),
        (None, None) => "no rule".to_owned(),
    }
}

/// What is accepted, by its identifier, and since when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accepted(BTreeMap<String, String>);

/// Settings that may be taken.
#[derive(Debug)]
pub(crate) struct Judged {
    /// They themselves; at the gate, what is insisted on is waived.
    pub config: Config,
    /// What is accepted of them.
    pub accepted: Accepted,
    /// What of it is new.
    pub new: Vec<String>,
}

/// Judges settings. `insisted` is what somebody insists on now; what was insisted on earlier is in the state
/// directory. The objections are those that nobody insists on.
///
/// # Errors
/// What was accepted cannot be read.
pub(crate) fn judge(
    mut config: Config,
    name: &str,
    insisted: &[String],
    now: Timestamp,
) -> Result<Result<Judged, Vec<Objection>>> {
    let known = Accepted::read(&config.state_dir)?;
    let (mut accepted, mut new, mut left) = (Accepted::default(), Vec::new(), Vec::new());
    for objection in of(&config, name, now) {
        match known.0.get(&objection.id) {
            Some(since) => _ = accepted.0.insert(objection.id, since.clone()),
            None if insisted.contains(&objection.id) => {
                new.push(objection.id.clone());
                accepted.0.insert(objection.id, now.to_string());
            }
            None => left.push(objection),
        }
    }
    if !left.is_empty() {
        return Ok(Err(left));
    }
    accepted.waive(&mut config);
    Ok(Ok(Judged { config, accepted, new }))
}

impl Accepted {
    fn file(state_dir: &Path) -> PathBuf {
        state_dir.join("accepted")
    }

    /// What is accepted, as it stands in the state directory.
    #[expect(clippy::disallowed_methods, reason = "read when settings are, before the world begins")]
    fn read(state_dir: &Path) -> Result<Accepted> {
        let path = Accepted::file(state_dir);
        let cannot = || format!("cannot read {}", path.display());
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Accepted::default()),
            Ok(found) if found.len() > FILE_OCTETS => bail!("{}: {} octets", cannot(), found.len()),
            _ => {}
        }
        let text = std::fs::read_to_string(&path).with_context(cannot)?;
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        Ok(Accepted(lines.map(|(since, id)| (id.to_owned(), since.to_owned())).collect()))
    }

    /// Writes what is accepted into the state directory; what is not objected to any more is forgotten with
    /// that.
    ///
    /// # Errors
    /// It cannot be written; the old file stays.
    #[expect(clippy::disallowed_methods, reason = "as above")]
    pub(crate) fn write(&self, state_dir: &Path) -> Result<()> {
        let path = Accepted::file(state_dir);
        let text = self.0.iter().fold(String::new(), |mut text, (id, since)| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{since} {id}");
            text
        });
        if self.0.is_empty() && !path.exists() {
            return Ok(());
        }
        let unfinished = path.with_extension("part");
        std::fs::write(&unfinished, text)
            .and_then(|()| std::fs::rename(&unfinished, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// The identifiers.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The gate lets pass what is insisted on: it would only put off what the settings are meant to permit.
    fn waive(&self, config: &mut Config) {
        for invariant in &mut config.invariants {
            for server in &config.servers {
                if self.0.contains_key(&invariant.finding_id(&server.name)) {
                    invariant.waived_at.push(server.name.clone());
                }
            }
        }
    }
}

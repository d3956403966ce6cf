//! What speaks against settings before they are taken, and what somebody insists on all the same.
//!
//! An [`Objection`] has an identifier and a witness. It keeps the settings from being taken unless somebody
//! insists by that identifier; what was insisted on stands in the file `accepted` of the state directory,
//! with the time, for as long as it is still objected to.

use access::{Audit, Broken, Outcome, Plan, Proof, Severity, Surroundings, text};
use anyhow::{Context, Result, bail};
use config::Config;
use mail::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

/// The largest list of what is accepted that is read.
const FILE_OCTETS: u64 = 1024 * 1024;

/// What the settings are called that are running.
const RUNNING: &str = "the running settings";

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
fn sentence(config: &Config, broken: &Broken) -> String {
    let mut text = broken.what.clone();
    if let Some(place) = broken.place(&config.book) {
        let _ = write!(text, ", permitted by {place}");
    }
    if let Some(since) = broken.since {
        let _ = write!(text, ", from {since} on");
    }
    text
}

/// What the audit calls critical.
fn critical(config: &Config, name: &str, surroundings: &Surroundings, now: Timestamp) -> Vec<Objection> {
    let found = Audit::of(name, config, surroundings, now).findings.into_iter();
    let critical = found.filter(|finding| finding.severity == Severity::Critical);
    critical
        .map(|finding| Objection {
            id: finding.id,
            what: format!("{} {} ({})", finding.what, finding.mend, finding.rule),
            witness: finding.witness,
        })
        .collect()
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
    /// What they open and what they close; nothing where there were no settings before.
    pub plan: Option<String>,
}

/// What settings are judged against.
#[derive(Debug)]
pub(crate) struct Against {
    /// The settings that are running: what is critical of them already is no news.
    pub running: Option<Config>,
    /// What somebody insists on now.
    pub insisted: Vec<String>,
    /// What is known of this host.
    pub surroundings: Surroundings,
    /// When.
    pub now: Timestamp,
}

/// Judges settings. Whatever breaks an invariant is objected to; so is what the audit calls critical, if it
/// comes with a change of settings that are running. What was insisted on earlier is in the state directory.
/// The objections that come back are those that nobody insists on.
///
/// # Errors
/// What was accepted cannot be read.
pub(crate) fn judge(mut config: Config, name: &str, against: &Against) -> Result<Result<Judged, Vec<Objection>>> {
    let Against { running, insisted, surroundings, now } = against;
    let known = Accepted::read(&config.state_dir)?;
    let (mut accepted, mut new, mut left) = (Accepted::default(), Vec::new(), Vec::new());
    let old = running.as_ref().map(|running| critical(running, name, surroundings, *now));
    let is_news = |id: &str| old.as_ref().is_some_and(|old| old.iter().all(|known| known.id != id));
    let broken = of(&config, name, *now).into_iter().map(|one| (true, one));
    let critical = critical(&config, name, surroundings, *now).into_iter().map(|one| (is_news(&one.id), one));
    for (keeps_out, objection) in broken.chain(critical) {
        match known.0.get(&objection.id) {
            Some(since) => _ = accepted.0.insert(objection.id, since.clone()),
            None if insisted.contains(&objection.id) => {
                new.push(objection.id.clone());
                accepted.0.insert(objection.id, now.to_string());
            }
            None if keeps_out => left.push(objection),
            None => {}
        }
    }
    if !left.is_empty() {
        return Ok(Err(left));
    }
    let plan = running.as_ref().map(|running| text::plan(&Plan::of((RUNNING, running), (name, &config), *now)));
    accepted.waive(&mut config);
    Ok(Ok(Judged { config, accepted, new, plan }))
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

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look at what is on the disk")]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);
    const BROKEN: &str = "invariant:no-relay:inbound";

    /// Settings that break an invariant, unless they are mended.
    fn settings(state_dir: &Path, mended: bool) -> Config {
        let relay =
            if mended { "" } else { "[virtual_server.inbound.relay]\nmode = \"only\"\nlist = [\"10.0.0.7\"]\n" };
        let text = format!(
            "hostname = \"mx.corp.example\"\nstate_dir = {state_dir:?}\norganization.domains = [\"corp.example\"]\n\
             [virtual_server.inbound]\nlisten = [\"127.0.0.1:0\"]\n{relay}"
        );
        let (config, _) = Config::from_text("settings", &text).unwrap();
        config.with_invariants("invariants", "[[invariant]]\nname = \"no-relay\"\nnever = \"relay\"\n").unwrap()
    }

    fn insisting(ids: &[&str]) -> Against {
        let insisted = ids.iter().map(|&id| id.to_owned()).collect();
        Against { running: None, insisted, surroundings: Surroundings::default(), now: NOW }
    }

    #[test]
    fn only_what_is_insisted_on_is_taken_and_the_gate_lets_it_pass() {
        let state = tempfile::tempdir().unwrap();
        for ids in [&[][..], &["invariant:no-relay:outbound"], &["invariant:no-relay"]] {
            let objections = judge(settings(state.path(), false), "settings", &insisting(ids)).unwrap().unwrap_err();
            assert_eq!(objections.iter().map(|one| &*one.id).collect::<Vec<_>>(), [BROKEN]);
            let said = objections[0].to_string();
            assert!(said.contains("virtual_server.inbound.relay.list[0] (line 8)"), "{said}");
            assert!(said.contains("bridgehead explain --config settings --server inbound --client 10.0.0.7"), "{said}");
        }
        let judged = judge(settings(state.path(), false), "settings", &insisting(&[BROKEN])).unwrap().unwrap();
        assert_eq!(judged.new, [BROKEN]);
        assert!(!judged.config.invariants[0].holds_at("inbound"));
    }

    #[test]
    fn what_was_insisted_on_is_known_until_it_is_mended() {
        let state = tempfile::tempdir().unwrap();
        let taken = |mended, ids: &[&str]| {
            let judged = judge(settings(state.path(), mended), "settings", &insisting(ids)).unwrap();
            judged.map(|judged| {
                judged.accepted.write(state.path()).unwrap();
                (judged.accepted.ids().map(str::to_owned).collect::<Vec<_>>(), judged.new.len())
            })
        };
        assert_eq!(taken(false, &[BROKEN]).unwrap(), (vec![BROKEN.to_owned()], 1));
        // The time is that of the first word.
        let text = std::fs::read_to_string(state.path().join("accepted")).unwrap();
        assert_eq!(text, format!("{NOW} {BROKEN}\n"));
        assert_eq!(taken(false, &[]).unwrap(), (vec![BROKEN.to_owned()], 0));
        assert_eq!(taken(true, &[BROKEN]).unwrap(), (vec![], 0));
        assert!(taken(false, &[]).is_err());
    }

    #[test]
    fn a_list_that_cannot_be_read_is_not_an_empty_one() {
        let state = tempfile::tempdir().unwrap();
        std::fs::create_dir(state.path().join("accepted")).unwrap();
        assert!(judge(settings(state.path(), true), "settings", &insisting(&[])).is_err());
    }
}

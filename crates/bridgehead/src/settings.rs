//! Where the settings come from: a file, or the embedded default.

use crate::cli::{Running, SettingsFrom};
use anyhow::{Context, Result, bail};
use config::{Config, Mistake, embedded};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// The largest file of settings or invariants that is read.
const FILE_OCTETS: u64 = 16 * 1024 * 1024;

/// The settings and what they are called.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The settings.
    pub config: Config,
    /// The file, or words for the embedded default.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

/// Reads and checks the settings; warnings are printed.
///
/// # Errors
/// All mistakes at once, under their source lines.
pub(crate) fn load(from: &SettingsFrom) -> Result<Loaded> {
    let (name, text) = text(from)?;
    let colour = std::io::stderr().is_terminal();
    match Config::from_text(&name, &text) {
        Ok((config, warnings)) => {
            warn(&name, &text, &warnings, colour);
            Ok(Loaded { config, name, text })
        }
        Err(mistakes) => bail!("{}", mistakes.render(colour).trim_end()),
    }
}

/// As [`load`], with what the settings must never permit.
///
/// # Errors
/// All mistakes of the settings, or of the file of invariants.
pub(crate) fn load_with_invariants(from: &SettingsFrom) -> Result<Loaded> {
    let loaded = load(from)?;
    let Some(path) = &loaded.config.invariants_file else { return Ok(loaded) };
    let (file, invariants) = (path.display().to_string(), read(path, "the file of invariants")?);
    match loaded.config.with_invariants(&file, &invariants) {
        Ok(config) => Ok(Loaded { config, ..loaded }),
        Err(mistakes) => bail!("{}", mistakes.render(std::io::stderr().is_terminal()).trim_end()),
    }
}

/// The control socket of a running gateway, by its settings.
///
/// # Errors
/// The settings cannot be read.
pub(crate) fn socket(running: &Running) -> Result<PathBuf> {
    let (config, state_dir) = (running.config.clone(), running.state_dir.clone());
    Ok(load(&SettingsFrom { config, smart_host: None, state_dir })?.config.control_socket)
}

/// The text of the settings and what it is called.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn text(from: &SettingsFrom) -> Result<(String, String)> {
    match &from.config {
        Some(file) => Ok((file.display().to_string(), read(file, "the settings file")?)),
        None => {
            let mut options = embedded::Options { smart_host: from.smart_host.clone(), ..embedded::Options::default() };
            if let Some(directory) = &from.state_dir {
                let directory = directory.to_str().context("the state directory is not UTF-8")?;
                directory.clone_into(&mut options.state_dir);
            }
            Ok(("the embedded default".to_owned(), embedded::default_text(&options)))
        }
    }
}

fn warn(name: &str, text: &str, warnings: &[Mistake], colour: bool) {
    if !warnings.is_empty() {
        eprint!("{}", config::render(name, text, warnings, colour));
    }
}

#[expect(clippy::disallowed_methods, reason = "the settings file is read here and nowhere else")]
fn read(file: &Path, what: &str) -> Result<String> {
    let cannot = || format!("cannot read {what} {}", file.display());
    let length = std::fs::metadata(file).with_context(cannot)?.len();
    if length > FILE_OCTETS {
        bail!("{}: {length} octets; it is not {what}", file.display());
    }
    std::fs::read_to_string(file).with_context(cannot)
}

//! `bridgehead reload`: a running gateway loads its settings again, and says what came of it.

use crate::cli;
use crate::control::{self, Reloaded, ServeCommand};
use crate::objections::Objection;
use crate::settings;
use access::text;
use anyhow::Result;
use std::path::Path;
use std::process::ExitCode;

/// Commands, and prints the answer.
///
/// # Errors
/// No gateway answers, or the settings cannot be read.
pub(super) fn run(reload: &cli::Reload) -> Result<ExitCode> {
    let socket = settings::socket(&reload.running)?;
    let command = ServeCommand::Reload { accept: reload.accept.clone() };
    let reloaded: Reloaded = super::runtime()?.block_on(control::ask(&socket, &command))?;
    if reload.running.json {
        println!("{}", serde_json::to_string_pretty(&reloaded)?);
    }
    match reloaded {
        Reloaded::Taken { accepted, plan } => {
            if !reload.running.json {
                println!("the settings were taken");
                print!("{plan}");
                accepted.iter().for_each(|id| println!("although {id} is found; it is accepted"));
                let needless = reload.accept.iter().filter(|id| !accepted.contains(id));
                needless.for_each(|id| println!("there was no need for --accept {id}: nothing of that name is found"));
            }
            Ok(ExitCode::SUCCESS)
        }
        Reloaded::Refused { why, objections } => {
            if !reload.running.json {
                eprintln!("the settings were not taken; the old ones stay");
                eprint!("{}", if objections.is_empty() { format!("{why}\n") } else { said(&objections) });
                eprint!("{}", insist(&objections, "reload", reload.running.config.as_deref()));
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

/// What speaks against settings, for a person.
pub(super) fn said(objections: &[Objection]) -> String {
    objections.iter().map(|one| text::objection(&one.id, &one.what, one.witness.as_deref())).collect()
}

/// How to insist, by which command and for which settings file.
pub(super) fn insist(objections: &[Objection], command: &str, file: Option<&Path>) -> String {
    if objections.is_empty() {
        return String::new();
    }
    let ids: Vec<String> = objections.iter().map(|objection| format!(" --accept {}", objection.id)).collect();
    let config = file.map(|file| format!(" --config {}", file.display())).unwrap_or_default();
    text::advice("to take them all the same:", &format!("bridgehead {command}{config}{}", ids.concat()))
}

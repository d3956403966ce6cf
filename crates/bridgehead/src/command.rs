//! The commands, one file each.

mod account;
pub(crate) mod audit;
mod bans;
mod check;
mod explain;
mod init;
#[cfg(feature = "pam")]
mod pam_helper;
mod plan;
mod queue;
mod reload;
mod send;
mod serve;
mod spool;

use crate::cli::{Command, Reference, SettingsFrom};
use crate::settings::{self, Loaded};
use anyhow::{Context, Result};
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

/// Does what the command line says.
///
/// # Errors
/// What kept the command from being done, in words for whoever typed it.
pub(crate) fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Serve(serve) => serve::run(&serve),
        Command::Init(init) => init::run(init),
        Command::Check(check) => check::run(check),
        Command::Audit(audit) => Ok(audit::run(&audit)),
        Command::Plan(plan) => Ok(plan::run(&plan)),
        Command::Explain(explain) => explain::run(&explain),
        Command::Reload(reload) => reload::run(&reload),
        Command::Send(send) => send::run(&send),
        Command::Account(account) => account::run(&account),
        Command::Bans(bans) => bans::run(&bans),
        Command::Queue(queue) => queue::run(&queue),
        Command::Spool(spool) => spool::run(&spool),
        Command::Reference(which) => {
            print!("{}", reference(which));
            Ok(ExitCode::SUCCESS)
        }
        #[cfg(feature = "pam")]
        Command::PamHelper => pam_helper::run(),
    }
}

/// How a command ends whose result says how bad it is, when there is none: as at the worst.
const UNREADABLE: u8 = 2;

/// The settings in a file.
fn load(file: &Path) -> Result<Loaded> {
    settings::load(&SettingsFrom { config: Some(file.to_owned()), smart_host: None, state_dir: None })
}

/// Prints a report for programs.
fn print_json(report: &impl Serialize) {
    match serde_json::to_string_pretty(report) {
        Ok(text) => println!("{text}"),
        Err(error) => unreachable!("a report is plain data: {error}"),
    }
}

fn reference(which: Reference) -> String {
    match which {
        Reference::Example => config::reference::example(),
        Reference::Table => config::reference::markdown(),
        Reference::Schema => config::reference::json_schema(),
    }
}

/// A runtime for a command that talks to somebody.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")
}

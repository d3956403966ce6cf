//! The commands, one file each.

mod account;
mod bans;
mod check;
mod explain;
mod init;
#[cfg(feature = "pam")]
mod pam_helper;
mod queue;
mod send;
mod serve;
mod spool;

use crate::cli::{Command, Reference};
use anyhow::{Context, Result};
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
        Command::Explain(explain) => explain::run(&explain),
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

//! `bridgehead bans`: who is refused for guessing, asked of the running gateway over its control socket.

use crate::cli::{self, BansAction};
use crate::control::{self, BansAnswer, BansCommand};
use crate::settings;
use anyhow::{Result, bail};
use std::process::ExitCode;

/// Asks or commands, and prints the answer.
///
/// # Errors
/// No gateway answers, or nobody of that name is refused.
pub(super) fn run(bans: &cli::Bans) -> Result<ExitCode> {
    let socket = settings::socket(&bans.running)?;
    let command = match &bans.action {
        BansAction::List => BansCommand::ListBans,
        BansAction::Lift { who } => BansCommand::LiftBan(who.clone()),
    };
    match (super::runtime()?.block_on(control::ask(&socket, &command))?, &bans.action) {
        (BansAnswer::Bans(list), _) if bans.running.json => println!("{}", serde_json::to_string_pretty(&list)?),
        (BansAnswer::Bans(list), _) if list.is_empty() => println!("nobody is refused"),
        (BansAnswer::Bans(list), _) => list.iter().for_each(|ban| println!("{} until {}", ban.banned, ban.until)),
        (BansAnswer::Lifted(true), BansAction::Lift { who }) => println!("{who} may try again"),
        (BansAnswer::Lifted(_), _) => {
            bail!("no such network or account is refused; `bridgehead bans list` shows who is")
        }
    }
    Ok(ExitCode::SUCCESS)
}

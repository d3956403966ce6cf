//! How much accounts have sent: asked of the running gateway over its control socket.

use crate::control::{self, LimitsAnswer, LimitsCommand};
use crate::{cli, settings};
use anyhow::{Result, bail};
use gateway::StandingView;

/// Prints where everybody stands.
///
/// # Errors
/// No gateway answers.
pub(super) fn list(account: &cli::Account, json: bool) -> Result<()> {
    let LimitsAnswer::Limits(standings) = ask(account, &LimitsCommand::ListLimits)? else {
        bail!("the gateway answered something else");
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&standings)?);
    } else if standings.is_empty() {
        println!("nobody has sent anything that is counted");
    } else {
        standings.iter().for_each(|standing| println!("{}", line(standing)));
    }
    Ok(())
}

/// Lets an account send again; whether anything was in its way.
///
/// # Errors
/// No gateway answers.
pub(super) fn resume(account: &cli::Account, name: &str) -> Result<bool> {
    match ask(account, &LimitsCommand::ResumeSender(name.to_owned()))? {
        LimitsAnswer::Resumed(resumed) => Ok(resumed),
        LimitsAnswer::Limits(_) => bail!("the gateway answered something else"),
    }
}

fn ask(account: &cli::Account, command: &LimitsCommand) -> Result<LimitsAnswer> {
    let running = cli::Running { config: account.config.clone(), state_dir: account.state_dir.clone(), json: false };
    crate::command::runtime()?.block_on(control::ask(&settings::socket(&running)?, command))
}

/// The sender, its stage, and why.
fn line(standing: &StandingView) -> String {
    let since = standing.since.as_ref().map(|since| format!(" since {since}")).unwrap_or_default();
    let why = standing.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let stage = match &*standing.stage {
        "open" => "within its limits",
        reached => reached,
    };
    format!("{} {stage}{since}{why}", standing.sender)
}

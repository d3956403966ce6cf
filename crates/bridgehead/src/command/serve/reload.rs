//! Settings are loaded again: at a signal, or as a command that is answered.
//!
//! Settings that break an invariant, or of which the audit finds something critical that is not so of those that
//! are running, are not taken unless somebody insists by its identifier. Whatever keeps
//! settings from being taken, the old ones stay, and the log and whoever asked are told why.

use super::{make_directories, tell_systemd};
use crate::cli;
use crate::command::audit::surroundings;
use crate::control::Reloaded;
use crate::objections::{self, Against, Judged, Objection};
use crate::settings::{self, Loaded};
use crate::world::{Machine, wall_clock};
use anyhow::{Context, Result};
use config::Config;
use gateway::Handle;
use sd_notify::NotifyState;

/// Loads settings and gives them to the running gateway; `running` is then what it runs with.
pub(super) async fn reload(
    serve: &cli::Serve,
    handle: &mut Handle<Machine>,
    running: &mut Config,
    insisted: Vec<String>,
) -> Reloaded {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell_systemd(&[NotifyState::Reloading, now]);
    }
    let reloaded = match read(serve, running, insisted).await {
        Err(error) => refused(handle, &format!("{error:#}"), Vec::new()),
        Ok(Err(objections)) => {
            let why: Vec<String> = objections.iter().map(ToString::to_string).collect();
            refused(handle, &why.join("; "), objections)
        }
        Ok(Ok(judged)) => take(handle, running, judged).await,
    };
    tell_systemd(&[NotifyState::Ready]);
    reloaded
}

/// Says to the log that the settings are not taken.
fn refused(handle: &Handle<Machine>, why: &str, objections: Vec<Objection>) -> Reloaded {
    handle.reload_refused(why);
    Reloaded::Refused { why: if objections.is_empty() { why.to_owned() } else { String::new() }, objections }
}

/// The settings as they are now, and what speaks against them.
async fn read(serve: &cli::Serve, running: &Config, insisted: Vec<String>) -> Result<Result<Judged, Vec<Objection>>> {
    let Loaded { config, name, .. } = settings::load_with_invariants(&serve.settings)?;
    anyhow::ensure!(
        !needs_restart(running, &config),
        "state_dir, metrics, control.socket and log.format change only with a restart"
    );
    // Sessions go on meanwhile: a proof looks at every class of session.
    let against = Against { running: Some(running.clone()), insisted, surroundings: surroundings(), now: wall_clock() };
    let judging = tokio::task::spawn_blocking(move || objections::judge(config, &name, &against));
    judging.await.context("the settings could not be judged")?
}

async fn take(handle: &mut Handle<Machine>, running: &mut Config, judged: Judged) -> Reloaded {
    let Judged { config, accepted, new, plan } = judged;
    if let Err(error) = make_directories(&config) {
        return refused(handle, &format!("{error:#}"), Vec::new());
    }
    // A refusal by the gateway is an event already.
    if let Err(error) = handle.reload(config.clone()).await {
        return Reloaded::Refused { why: error.to_string(), objections: Vec::new() };
    }
    *running = config;
    new.iter().for_each(|id| handle.accepted(id));
    super::record(&accepted, &running.state_dir);
    Reloaded::Taken { accepted: accepted.ids().map(str::to_owned).collect(), plan: plan.unwrap_or_default() }
}

fn needs_restart(running: &Config, new: &Config) -> bool {
    running.state_dir != new.state_dir
        || running.metrics != new.metrics
        || running.control_socket != new.control_socket
        || running.log_format != new.log_format
}

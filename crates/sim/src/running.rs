//! The gateway under test, as a transcript sees it: started, commanded, asked, stopped.

use crate::world::SimWorld;
use config::Config;
use gateway::{Control, Filter, Handle, MessageView, QueueAnswer, QueueCommand, StandingView};
use std::net::SocketAddr;
use std::sync::Arc;

/// A number that strangers cannot guess is drawn for every process; here it is always this one.
const SALT: u64 = 0x5EED;

/// A running gateway.
pub struct Running {
    handle: Handle<SimWorld>,
}

impl Running {
    /// Starts the gateway; gives the warnings about its settings as well.
    ///
    /// # Errors
    /// The mistakes, as lines for a person.
    pub async fn start(world: Arc<SimWorld>, file: &str, text: &str) -> Result<(Running, Vec<String>), Vec<String>> {
        let (config, warnings) = checked(file, text)?;
        Ok((Running::begin(world, config).await?, warnings))
    }

    /// As [`Running::start`], by settings that have been read.
    ///
    /// # Errors
    /// Why it did not start, as lines for a person.
    pub(crate) async fn begin(world: Arc<SimWorld>, mut config: Config) -> Result<Running, Vec<String>> {
        config.queue.spool.segment_bytes = world.spool_shape().segment_bytes;
        config.queue.spool.body_file_over_bytes = world.spool_shape().body_file_over_bytes;
        let started = Box::pin(Handle::start(world, config, SALT)).await;
        let handle = started.map_err(|error| vec![error.to_string()])?;
        Ok(Running { handle })
    }

    /// Gives the running gateway other settings.
    ///
    /// # Errors
    /// The mistakes, as lines for a person.
    pub async fn reload(&mut self, file: &str, text: &str) -> Result<Vec<String>, Vec<String>> {
        let (config, warnings) = checked(file, text)?;
        self.take(config).await?;
        Ok(warnings)
    }

    /// As [`Running::reload`], by settings that have been read.
    ///
    /// # Errors
    /// Why they were not taken, as lines for a person.
    pub(crate) async fn take(&mut self, config: Config) -> Result<(), Vec<String>> {
        Box::pin(self.handle.reload(config)).await.map_err(|error| vec![error.to_string()])
    }

    /// Stops the gateway.
    pub async fn stop(self) {
        self.handle.stop().await;
    }

    /// Stops one virtual server.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn stop_server(&mut self, name: &str) -> Result<(), String> {
        self.handle.close_server(name).then_some(()).ok_or_else(|| format!("no virtual server called {name}"))
    }

    /// The first address a virtual server listens on.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn address_of(&self, server: &str) -> Result<SocketAddr, String> {
        let listening = self.handle.listening();
        let found = listening.iter().find(|(name, _)| name == server);
        found.map(|(_, address)| *address).ok_or_else(|| format!("no virtual server called {server}"))
    }

    /// Returns when the owner of the spool or of the schedule has died.
    pub(crate) async fn owner_lost(&mut self) {
        self.handle.owner_lost().await;
    }

    /// All counters, as they are served to monitoring.
    pub async fn metrics(&self) -> String {
        self.handle.control().metrics().await
    }

    /// What is in the queue, one line a message.
    pub async fn queue(&self) -> Vec<String> {
        match self.handle.control().queue(QueueCommand::List(Filter::default())).await {
            Some(QueueAnswer::View(view)) => view.messages.iter().map(message_line).collect(),
            other => vec![format!("{other:?}")],
        }
    }

    /// An administrator's command, in words: a verb, then what it is about as `key:value`.
    ///
    /// # Errors
    /// No such command.
    pub async fn command(&mut self, text: &str) -> Result<Vec<String>, String> {
        perform(&self.control(), text).await
    }

    /// A way to ask and command beside whoever owns the gateway.
    pub(crate) fn control(&self) -> Control<SimWorld> {
        self.handle.control()
    }
}

/// Performs a command, and gives the answer in words.
pub(crate) async fn perform(control: &Control<SimWorld>, text: &str) -> Result<Vec<String>, String> {
    if text == "limits" {
        let standings = control.standings().await.unwrap_or_default();
        let line = |one: &StandingView| format!("{} {}: {}", one.sender, one.stage, one.why.as_deref().unwrap_or("-"));
        return Ok(standings.iter().map(line).collect());
    }
    if let Some(name) = text.strip_prefix("resume ") {
        let resumed = control.resume(name).await.unwrap_or_default();
        return Ok(vec![if resumed { "resumed" } else { "was not suspended" }.to_owned()]);
    }
    let command = command(text).ok_or_else(|| format!("no such command: {text}"))?;
    Ok(match control.queue(command).await {
        Some(QueueAnswer::Done(touched)) => vec![format!("{touched} done")],
        Some(QueueAnswer::View(view)) => view.messages.iter().map(message_line).collect(),
        Some(QueueAnswer::NotFound(id)) => vec![format!("no message {id}")],
        None => vec!["the gateway is stopping".to_owned()],
    })
}

/// Settings, with the warnings about them.
pub(crate) fn checked(file: &str, text: &str) -> Result<(Config, Vec<String>), Vec<String>> {
    match Config::from_text(file, text) {
        Ok((config, warnings)) => Ok((config, lines(&config::render(file, text, &warnings, false)))),
        Err(mistakes) => Err(lines(&mistakes.render(false))),
    }
}

pub(crate) fn lines(text: &str) -> Vec<String> {
    text.trim_end().lines().map(str::to_owned).collect()
}

/// `01A from <a@b> to <c@d> pending, attempts 2`, and ` held` behind it where it is.
fn message_line(message: &MessageView) -> String {
    let each = message.recipients.iter().map(|to| format!("<{}> {}, attempts {}", to.to, to.state, to.attempts));
    let recipients = each.collect::<Vec<_>>().join("; ");
    let why = message.recipients.iter().find_map(|to| to.last.as_deref()).filter(|_| message.held);
    let held = match why {
        Some(why) => format!(" {why}"),
        None if message.held => " held".to_owned(),
        None => String::new(),
    };
    format!("{} from <{}> to {recipients}{held}", message.id, message.from)
}

fn command(text: &str) -> Option<QueueCommand> {
    let mut words = text.split_whitespace();
    let verb = words.next()?;
    if matches!(verb, "freeze" | "unfreeze") {
        let destination = words.next()?.to_owned();
        return Some(if verb == "freeze" {
            QueueCommand::Freeze(destination)
        } else {
            QueueCommand::Unfreeze(destination)
        });
    }
    let mut filter = Filter::default();
    for word in words {
        let (key, value) = word.split_once(':')?;
        let value = value.to_owned();
        match key {
            "id" => filter.ids.push(value),
            "from" => filter.from = Some(value),
            "to" => filter.to = Some(value),
            "destination" => filter.destination = Some(value),
            "server" => filter.server = Some(value),
            _ => return None,
        }
    }
    Some(match verb {
        "list" => QueueCommand::List(filter),
        "count" => QueueCommand::Count(filter),
        "retry" => QueueCommand::Retry(filter),
        "hold" => QueueCommand::Hold(filter),
        "release" => QueueCommand::Release(filter),
        "delete" => QueueCommand::Delete { filter, report: true },
        "delete-silently" => QueueCommand::Delete { filter, report: false },
        _ => return None,
    })
}

/// The rules of the last refusal in the log, in the order in which they were tried.
#[must_use]
pub fn last_trace(world: &SimWorld) -> Vec<String> {
    let log = world.log();
    let text = String::from_utf8_lossy(&log);
    let events = text.lines().rev().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut rules = events.filter_map(|event| event.get("rules")?.as_array().cloned());
    let steps = rules.next().unwrap_or_default();
    steps.iter().filter_map(|step| step.as_str().map(str::to_owned)).collect()
}

//! `bridgehead queue`: asks the running gateway over its control socket.

use crate::cli::{self, QueueAction, Which};
use crate::{control, settings};
use anyhow::{Result, bail};
use gateway::{Filter, QueueAnswer, QueueCommand, QueueView};
use std::process::ExitCode;

/// Asks or commands, and prints the answer.
///
/// # Errors
/// No gateway answers, or a command that changes something names no messages.
pub(super) fn run(queue: &cli::Queue) -> Result<ExitCode> {
    let socket = settings::socket(&queue.running)?;
    let (verb, command) = command(&queue.action)?;
    let answer: QueueAnswer = super::runtime()?.block_on(control::ask(&socket, &command))?;
    if queue.running.json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(ExitCode::SUCCESS);
    }
    match answer {
        QueueAnswer::View(view) => print(&view),
        QueueAnswer::Done(count) => println!("{verb}: {count}"),
        QueueAnswer::NotFound(id) => bail!("no message {id} in the queue"),
    }
    Ok(ExitCode::SUCCESS)
}

/// The command, and the word for what its count means.
fn command(action: &QueueAction) -> Result<(&'static str, QueueCommand)> {
    Ok(match action {
        QueueAction::List(which) if which.count => ("messages", QueueCommand::Count(filter(which))),
        QueueAction::List(which) => ("messages", QueueCommand::List(filter(which))),
        QueueAction::Show { id } => ("messages", QueueCommand::Show(id.clone())),
        QueueAction::Retry(which) => changing("messages to be attempted now", which, QueueCommand::Retry)?,
        QueueAction::Hold(which) => changing("messages held", which, QueueCommand::Hold)?,
        QueueAction::Release(which) => changing("messages released", which, QueueCommand::Release)?,
        QueueAction::Delete { which, no_report } => {
            changing("messages deleted", which, |filter| QueueCommand::Delete { filter, report: !no_report })?
        }
        QueueAction::Freeze { destination } => ("destinations frozen", QueueCommand::Freeze(destination.clone())),
        QueueAction::Unfreeze { destination } => ("destinations let go", QueueCommand::Unfreeze(destination.clone())),
    })
}

/// A command that changes something must name what it is to change.
fn changing(
    word: &'static str,
    which: &Which,
    command: impl FnOnce(Filter) -> QueueCommand,
) -> Result<(&'static str, QueueCommand)> {
    let filter = filter(which);
    if filter == Filter::default() && !which.all {
        bail!("say which messages: identifiers, a choice such as --to, or --all");
    }
    Ok(if which.count { ("messages meant", QueueCommand::Count(filter)) } else { (word, command(filter)) })
}

fn filter(which: &Which) -> Filter {
    Filter {
        ids: which.ids.clone(),
        from: which.from.clone(),
        to: which.to.clone(),
        destination: which.destination.clone(),
        server: which.server.clone(),
        older_than_s: which.older_than,
    }
}

fn print(view: &QueueView) {
    for destination in &view.destinations {
        let held = if destination.held > 0 { format!(" ({} held)", destination.held) } else { String::new() };
        let messages = if destination.messages == 1 { "message" } else { "messages" };
        println!(
            "{}: {}, {} {messages}{held}, {} octets",
            destination.name, destination.state, destination.messages, destination.bytes
        );
        if let Some(at) = &destination.next_retry {
            println!("    next retry {at}");
        }
        if let Some(error) = &destination.last_error {
            println!("    last error: {error}");
        }
    }
    for message in &view.messages {
        let held = if message.held { " held" } else { "" };
        println!(
            "{} {} {} <{}> {} octets{held}",
            message.id, message.received, message.server, message.from, message.bytes
        );
        for recipient in &message.recipients {
            let attempts = match recipient.attempts {
                0 => "not attempted yet".to_owned(),
                1 => "after 1 attempt".to_owned(),
                more => format!("after {more} attempts"),
            };
            println!("    {} <{}> {attempts}", recipient.state, recipient.to);
            if let Some(last) = &recipient.last {
                println!("        {last}");
            }
        }
    }
    if view.destinations.is_empty() && view.messages.is_empty() {
        println!("the queue is empty");
    }
}

//! `bridgehead explain`: the questions of a session, asked of the same functions that the server
//! runs, or one that the running gateway has answered with no. A look-up of a name that a rule needs comes
//! from the command line; about recipients and accounts, the directories are asked.

mod credentials;
mod described;
mod print;

use crate::cli;
use crate::control::{self, DecisionsCommand};
use crate::settings::{self, Loaded};
use crate::world::Machine;
use anyhow::{Context, Result, bail};
use config::{Config, Server};
use described::Described;
use gateway::explain::{Explained, granted, words};
use gateway::world::World;
use gateway::{DecisionAnswer, refusal};
use identity::{Finding, Inquiry};
use mail::{Found, Ledger, Mailbox, Query};
use policy::{
    Acceptance, Admission, ConnectionFacts, Decision, MessageFacts, Missing, Question, RecipientFacts, Route,
    SenderFacts, Verdict,
};
use serde::Serialize;
use std::process::ExitCode;
use std::sync::Arc;

/// Explains; ends with 1 when something is refused.
///
/// # Errors
/// The settings have mistakes, or the command line names what is not there.
pub(super) fn run(explain: &cli::Explain) -> Result<ExitCode> {
    let loaded = settings::load(&explain.settings)?;
    let refused = match (&explain.decision, &explain.server, explain.client) {
        (Some(id), ..) => past(&loaded.config, id, explain.json)?,
        (None, Some(server), Some(client)) => session(&loaded, explain, server, client)?,
        (None, ..) => bail!("say which --server and which --client, or which --decision"),
    };
    Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A question of a session that was described, explained.
#[derive(Debug, Serialize)]
struct Asked {
    /// As it is put in a session.
    question: String,
    #[serde(flatten)]
    explained: Explained,
}

/// Explains a session that the command line describes; whether something is refused.
fn session(loaded: &Loaded, explain: &cli::Explain, server: &str, client: std::net::IpAddr) -> Result<bool> {
    let server = loaded.config.server(server).with_context(|| {
        let names: Vec<&str> = loaded.config.servers.iter().map(|server| &*server.name).collect();
        format!("{} has no virtual server `{server}`; it has {}", loaded.name, names.join(", "))
    })?;
    let described = Described::read(explain, client, &loaded.config, server)?;
    let mut explainer = Explainer { config: &loaded.config, server, ledger: described.ledger(), asked: Vec::new() };
    explainer.session(&described);
    let refused = explainer.asked.iter().any(|asked| asked.explained.refused);
    if explain.json {
        println!("{}", serde_json::to_string_pretty(&explainer.asked)?);
    } else {
        explainer.asked.iter().for_each(|asked| print!("{}", print::explained(&asked.question, &asked.explained)));
    }
    Ok(refused)
}

/// Explains a refusal of the running gateway; whether it would be one now.
fn past(config: &Config, id: &str, json: bool) -> Result<bool> {
    let command = DecisionsCommand::ExplainDecision(id.to_owned());
    let answer: DecisionAnswer = super::runtime()?.block_on(control::ask(&config.control_socket, &command))?;
    match answer {
        DecisionAnswer::Forgotten(kept) => bail!("{}", print::forgotten(id, kept)),
        DecisionAnswer::Known(view) => {
            match json {
                true => println!("{}", serde_json::to_string_pretty(&view)?),
                false => print!("{}", print::past(&view)),
            }
            Ok(view.now.as_ref().map_or(view.is_there, |now| now.refused))
        }
    }
}

struct Explainer<'a> {
    config: &'a Config,
    server: &'a Server,
    ledger: Ledger,
    asked: Vec<Asked>,
}

impl Explainer<'_> {
    /// Asks one question after the other, as a session does, until one that ends it is refused.
    fn session(&mut self, described: &Described) {
        let (client, now, identity) = (described.client, described.now, &described.identity);
        let facts = ConnectionFacts { client, now, open_in_all: 0, open: 0, open_from_client: 0, open_from_network: 0 };
        let Some(Verdict::Admitted(admission)) = self.ask(&Question::Connection(facts)) else { return };
        for (question, explained) in credentials::explained(self.config, self.server, described) {
            let refused = explained.refused;
            self.asked.push(Asked { question, explained });
            if refused {
                return;
            }
        }
        if !self.sender(described, admission) {
            return;
        }
        for recipient in &described.recipients {
            self.recipient(&RecipientFacts { client, now, identity, recipient }, described.found.as_ref());
        }
        if let Some((authors, hops)) = &described.message {
            let _ = self.ask(&Question::Message(MessageFacts { client, now, identity, authors, hops: *hops }));
        }
    }

    fn sender(&mut self, described: &Described, admission: Admission) -> bool {
        let Described { client, now, identity, secured, reverse_path, .. } = described;
        let (client, now, secured) = (*client, *now, *secured);
        self.ask(&Question::Sender(SenderFacts { client, now, admission, identity, secured, reverse_path })).is_some()
    }

    /// `said`: what directories would say, instead of asking them.
    fn recipient(&mut self, facts: &RecipientFacts<'_>, said: Option<&Found>) {
        let rules = &self.server.rules;
        if let Err(Missing(query @ Query::Recipient(_))) = policy::recipient(rules, facts, &self.ledger) {
            let found = said.cloned().unwrap_or_else(|| recipient_exists(self.config, &query));
            self.ledger.enter(query, found);
        }
        let to = match self.ask(&Question::Recipient(*facts)) {
            Some(Verdict::Accepted(Acceptance::Submitted { to })) => to,
            Some(Verdict::Accepted(Acceptance::Relayed { .. })) => facts.recipient.clone(),
            _ => return,
        };
        self.route(&to);
    }

    fn route(&mut self, to: &Mailbox) {
        let (routing, book, server) = (&self.config.routing, &self.config.book, &self.server.name);
        let Decision { verdict, trace } = policy::route(routing, server, to);
        let answer = match verdict.unwrap_or(Route::None) {
            Route::Drop(drop) => format!("into the directory {}", drop.directory.display()),
            Route::SmartHosts(hosts) => {
                let hosts: Vec<String> = hosts.hosts.iter().map(|host| gateway::host_name(&host.host)).collect();
                format!("to {}", hosts.join(", "))
            }
            Route::None => "nowhere: the message would be reported as undeliverable (5.4.4)".to_owned(),
        };
        let explained = Explained::route(routing, book, server, to, &trace, answer);
        self.asked.push(Asked { question: "route".to_owned(), explained });
    }

    /// Asks a question and explains the answer; gives back what was granted.
    fn ask(&mut self, question: &Question<'_>) -> Option<Verdict> {
        let rules = &self.server.rules;
        let Ok(decision) = question.ask(rules, &self.ledger) else {
            let answer =
                "depends on the name of the client; give --client-name, --no-client-name or --client-name-unclear"
                    .to_owned();
            let explained = Explained { answer, refused: true, steps: Vec::new(), edits: Vec::new() };
            self.asked.push(Asked { question: words(question), explained });
            return None;
        };
        let answer = match &decision.verdict {
            Ok(verdict) => granted(verdict, question),
            Err(denied) => {
                refusal(denied, &self.server.session.hostname, self.server.not_authenticated_code).1.to_string()
            }
        };
        let said = (answer, decision.verdict.is_err());
        let explained = Explained::new((rules, &self.config.book), question, &self.ledger, &decision.trace, said);
        self.asked.push(Asked { question: words(question), explained });
        decision.verdict.ok()
    }
}

/// What the directories say about a recipient.
fn recipient_exists(config: &Config, query: &Query) -> Found {
    let Query::Recipient(mailbox) = query else { return Found::Unavailable };
    let inquiry = Inquiry::Recipient { mailbox: mailbox.clone() };
    gateway::recipient_found(&inquire(config, &config.recipients_in, inquiry))
}

/// Asks the directories as the gateway asks them.
fn inquire(config: &Config, names: &[Box<str>], inquiry: Inquiry) -> Finding {
    let asked = super::runtime().and_then(|runtime| {
        let world = Machine::new()?;
        let hear: gateway::world::Hear = Arc::new(|directory, what| eprintln!("directory {directory}: {what}"));
        // Opening may begin to watch files, which needs the runtime.
        let _inside = runtime.enter();
        // Those that are not asked need not be there.
        let wanted: Vec<_> =
            config.directories.iter().filter(|directory| names.contains(&directory.name)).cloned().collect();
        let wanted = if wanted.iter().any(|directory| matches!(directory.kind, identity::settings::Kind::Tokens(_))) {
            config.directories.clone()
        } else {
            wanted
        };
        let directories = world.directories(&wanted, &hear)?;
        Ok(runtime.block_on(world.inquire(&directories, names, inquiry)))
    });
    asked.unwrap_or_else(|error| {
        eprintln!("the directories cannot be asked: {error:#}");
        Finding::Unavailable
    })
}

//! `bridgehead explain`: the questions of a session, asked of the same functions that the server
//! runs. A look-up of a name that a rule needs comes from the command line; whether a recipient exists, the
//! directories are asked.

use crate::cli;
use crate::settings;
use crate::world::Machine;
use anyhow::{Context, Result, bail};
use config::{Config, Server};
use gateway::refusal;
use gateway::world::World;
use mail::{Found, Identity, Ledger, Mailbox, Query, ReversePath, Timestamp};
use policy::{
    Acceptance, Admission, ConnectionFacts, Decision, Missing, RecipientFacts, Refusal, Route, SenderFacts, Submission,
    render,
};
use std::process::ExitCode;
use std::sync::Arc;

/// Explains; ends with 1 when something is refused.
///
/// # Errors
/// The settings have mistakes, or the command line names what is not there.
pub(super) fn run(explain: &cli::Explain) -> Result<ExitCode> {
    let loaded = settings::load(&explain.settings)?;
    let server = loaded.config.server(&explain.server).with_context(|| {
        let names: Vec<&str> = loaded.config.servers.iter().map(|server| &*server.name).collect();
        format!("{} has no virtual server `{}`; it has {}", loaded.name, explain.server, names.join(", "))
    })?;
    let mut explainer = Explainer {
        config: &loaded.config,
        server,
        ledger: ledger(explain)?,
        now: crate::world::wall_clock(),
        refused: false,
    };
    explainer.session(explain)?;
    Ok(if explainer.refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What the command line says a look-up would find.
fn ledger(explain: &cli::Explain) -> Result<Ledger> {
    let mut ledger = Ledger::new();
    if !explain.client_name.is_empty() {
        let names: Result<Vec<mail::Domain>, _> = explain.client_name.iter().map(|name| name.parse()).collect();
        let names = names.context("--client-name is not a domain name")?;
        ledger.enter(Query::ConfirmedNames(mail::canonical(explain.client)), Found::Names(names));
    }
    if explain.no_client_name {
        ledger.enter(Query::ConfirmedNames(mail::canonical(explain.client)), Found::Absent);
    }
    Ok(ledger)
}

struct Explainer<'a> {
    config: &'a Config,
    server: &'a Server,
    ledger: Ledger,
    now: Timestamp,
    refused: bool,
}

impl Explainer<'_> {
    fn session(&mut self, explain: &cli::Explain) -> Result<()> {
        let (client, rules) = (explain.client, &self.server.rules);
        let identity = match (&explain.account, &explain.peer) {
            (Some(name), _) => Identity::account(name),
            (None, Some(name)) => self.peer(name)?,
            (None, None) => Identity::Anonymous,
        };
        let now = self.now;
        let facts = ConnectionFacts { client, now, open_in_all: 0, open: 0, open_from_client: 0, open_from_network: 0 };
        let decision = judge(&mut self.ledger, |ledger| policy::connection(rules, &facts, ledger));
        let Some(admission) = self.say("connect", &decision, |admission| match admission {
            Admission::Admitted => "admitted".to_owned(),
            Admission::MustAuthenticate => "admitted, must authenticate before MAIL".to_owned(),
        }) else {
            return Ok(());
        };
        let reverse_path = reverse_path(&explain.mail_from)?;
        let facts =
            SenderFacts { client, now, admission, identity: &identity, secured: false, reverse_path: &reverse_path };
        let decision = judge(&mut self.ledger, |ledger| policy::sender(rules, &facts, ledger));
        let question = format!("MAIL FROM:<{reverse_path}>");
        let marked = |submission: &Submission| match submission.marked {
            true => "may submit, and the message is marked: the address is not its own".to_owned(),
            false => "may submit".to_owned(),
        };
        if self.say(&question, &decision, marked).is_none() {
            return Ok(());
        }
        for recipient in &explain.rcpt {
            let recipient = forward_path(recipient, self.server)?;
            self.recipient(explain, &identity, &recipient);
        }
        Ok(())
    }

    fn peer(&self, name: &str) -> Result<Identity> {
        match self.config.peers.iter().find(|peer| *peer.name == *name) {
            Some(peer) => Ok(Identity::Peer(peer.name.clone())),
            None => bail!("there is no peer {name}"),
        }
    }

    fn recipient(&mut self, explain: &cli::Explain, identity: &Identity, recipient: &Mailbox) {
        let facts = RecipientFacts { client: explain.client, now: self.now, identity, recipient };
        let rules = &self.server.rules;
        if let Err(Missing(query @ Query::Recipient(_))) = policy::recipient(rules, &facts, &self.ledger) {
            let found = recipient_exists(self.config, &query);
            self.ledger.enter(query, found);
        }
        let decision = judge(&mut self.ledger, |ledger| policy::recipient(rules, &facts, ledger));
        let question = format!("RCPT TO:<{recipient}>");
        let accepted = self.say(&question, &decision, |acceptance| match acceptance {
            Acceptance::Submitted { to } if to != recipient => format!("submitted, as <{to}>"),
            Acceptance::Submitted { .. } => "submitted".to_owned(),
            Acceptance::Relayed { .. } => "relayed".to_owned(),
        });
        let to = match accepted {
            None => return,
            Some(Acceptance::Submitted { to }) => to,
            Some(Acceptance::Relayed { .. }) => recipient.clone(),
        };
        let route = policy::route(&self.config.routing, &self.server.name, &to);
        self.say("route", &Some(route), |route| match route {
            Route::Drop(drop) => format!("into the directory {}", drop.directory.display()),
            Route::SmartHosts(hosts) => {
                let hosts: Vec<String> = hosts.hosts.iter().map(|host| gateway::host_name(&host.host)).collect();
                format!("to {}", hosts.join(", "))
            }
            Route::None => "nowhere: the message would be reported as undeliverable (5.4.4)".to_owned(),
        });
    }

    /// Prints a decision with every rule tried; gives the verdict back.
    fn say<V: Clone>(
        &mut self,
        question: &str,
        decision: &Option<Decision<V>>,
        word: impl Fn(&V) -> String,
    ) -> Option<V> {
        let Some(decision) = decision else {
            println!("{question}: depends on the name of the client; give --client-name or --no-client-name");
            self.refused = true;
            return None;
        };
        match &decision.verdict {
            Ok(verdict) => println!("{question}: {}", word(verdict)),
            Err(refusal) => println!("{question}: refused, {}", self.reply(refusal)),
        }
        for line in render::lines(&decision.trace, &self.config.book) {
            println!("    {line}");
        }
        self.refused |= decision.verdict.is_err();
        decision.verdict.as_ref().ok().cloned()
    }

    fn reply(&self, denied: &Refusal) -> String {
        let code = self.server.not_authenticated_code;
        refusal(denied, &self.server.session.hostname, code).1.to_string()
    }
}

/// What the directories say about a recipient; they are asked as the gateway asks them.
fn recipient_exists(config: &Config, query: &Query) -> Found {
    let Query::Recipient(mailbox) = query else { return Found::Unavailable };
    let asked = super::runtime().and_then(|runtime| {
        let world = Machine::new()?;
        let hear: gateway::world::Hear = Arc::new(|directory, what| eprintln!("directory {directory}: {what}"));
        // Opening may begin to watch files, which needs the runtime.
        let _inside = runtime.enter();
        let directories = world.directories(&config.directories, &hear)?;
        let inquiry = identity::Inquiry::Recipient { mailbox: mailbox.clone() };
        Ok(gateway::recipient_found(&runtime.block_on(world.inquire(&directories, &config.recipients_in, inquiry))))
    });
    asked.unwrap_or_else(|error| {
        eprintln!("the directories cannot be asked: {error:#}");
        Found::Unavailable
    })
}

/// `None` when the ledger does not say what the rule needs.
fn judge<V>(ledger: &mut Ledger, ask: impl Fn(&Ledger) -> Result<Decision<V>, Missing>) -> Option<Decision<V>> {
    ask(ledger).ok()
}

fn reverse_path(text: &str) -> Result<ReversePath> {
    let bare = text.trim_start_matches('<').trim_end_matches('>');
    if bare.is_empty() {
        return Ok(ReversePath::Null);
    }
    bare.parse().map(ReversePath::Mailbox).with_context(|| format!("--mail-from {text}"))
}

/// A recipient without a domain is one of the default domain, as in the session.
fn forward_path(text: &str, server: &Server) -> Result<Mailbox> {
    let bracketed = format!("<{text}>");
    let (path, rest) = mail::Path::take(&bracketed).with_context(|| format!("--rcpt {text}"))?;
    match path {
        mail::Path::Mailbox(mailbox) if rest.is_empty() => Ok(mailbox),
        mail::Path::Bare(local) if rest.is_empty() => {
            Ok(Mailbox { local, host: mail::Host::Domain(server.session.default_domain.clone()) })
        }
        _ => bail!("--rcpt {text}: not a mail address"),
    }
}

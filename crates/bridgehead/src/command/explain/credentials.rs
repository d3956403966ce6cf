//! The question of credentials: what a client may prove itself by on this link, why not by anything else, and
//! what is known of the account. Secrets are not asked for, so whether one is good is not said.

use super::described::{Described, Known};
use config::{Authentication, Server};
use gateway::explain::{Explained, StepView};
use identity::{Mechanism, Protection};
use mail::{Account, Identity};
use policy::RuleBook;

/// What there is to say, each with the question it answers; nothing where AUTH does not exist and nobody asks
/// about it.
pub(super) fn explained(server: &Server, book: &RuleBook, described: &Described) -> Vec<(String, Explained)> {
    let mut all = Vec::new();
    if server.session.tls_required && !described.secured {
        // RFC 3207 §4: everything else waits for TLS.
        let key = format!("virtual_server.{}.tls.mode", server.name);
        let line = book.find(&key).and_then(|rule| book.place(rule).line);
        let tested = "TLS is required, and the link is in the clear; say --tls".to_owned();
        let step = StepView { line, built_in: false, ..step(&key, "match", Some(tested)) };
        all.push(("link".to_owned(), refused("530 5.7.0 Must issue a STARTTLS command first", vec![step])));
        return all;
    }
    if server.session.has_auth() || described.mechanism.is_some() {
        all.push(("AUTH".to_owned(), mechanisms(server, described)));
    }
    if let Identity::Account(account) = &described.identity {
        all.push((format!("account {}", account.name), known(account, described.known)));
    }
    all
}

/// Which mechanisms are offered.
fn mechanisms(server: &Server, described: &Described) -> Explained {
    let settings = &server.authentication;
    let offered: &[Box<str>] =
        if described.secured { &server.session.mechanisms_when_secured } else { &server.session.mechanisms };
    let wanted = described.mechanism.as_deref().map(str::to_ascii_uppercase);
    let is_asked_about = |name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
    let mut steps = Vec::new();
    for mechanism in Mechanism::ALL.iter().filter(|mechanism| is_asked_about(mechanism.name())) {
        let is_offered = offered.iter().any(|name| **name == *mechanism.name());
        let finding = if is_offered { "offered" } else { "not offered" };
        let why = if is_offered { is_used(*mechanism) } else { Some(why_not(*mechanism, settings, &server.name)) };
        // Of those that nobody has set, only the one that is asked about is worth a line.
        if is_offered || wanted.is_some() || settings.mechanisms.contains(mechanism) {
            steps.push(step(mechanism.name(), finding, why));
        }
    }
    let Some(wanted) = wanted else {
        let list = if offered.is_empty() { "nothing".to_owned() } else { offered.join(", ") };
        let link = if described.secured { "under TLS" } else { "in the clear" };
        return Explained { answer: format!("{list} offered {link}"), refused: false, steps, edits: Vec::new() };
    };
    if offered.iter().any(|name| **name == *wanted) {
        return Explained { answer: format!("{wanted} is offered"), refused: false, steps, edits: Vec::new() };
    }
    let when_secured = server.session.mechanisms_when_secured.iter().any(|name| **name == *wanted);
    let reply = match () {
        () if !server.session.has_auth() => "502 5.5.1: there is no AUTH here",
        () if when_secured => "538 5.7.11 Encryption required for requested authentication mechanism",
        () => "504 5.5.4 Unrecognized authentication type",
    };
    refused(reply, steps)
}

/// What an offered mechanism needs beside its name.
fn is_used(mechanism: Mechanism) -> Option<String> {
    (mechanism == Mechanism::External).then(|| "by the client's certificate, if it shows one".to_owned())
}

/// Why a mechanism is not offered.
fn why_not(mechanism: Mechanism, settings: &Authentication, server: &str) -> String {
    let bound = settings.protection == Protection::Required;
    match mechanism {
        _ if !settings.mechanisms.contains(&mechanism) => {
            format!("it is not in virtual_server.{server}.authentication.mechanisms")
        }
        Mechanism::Ntlm | Mechanism::GssSpnego if bound => {
            "extended_protection wants it bound to TLS, and the link is in the clear".to_owned()
        }
        _ if mechanism.shows_its_secret() => "it shows its secret, and the link is in the clear".to_owned(),
        _ => "it needs TLS, and the link is in the clear".to_owned(),
    }
}

/// What is known of the account.
fn known(account: &Account, known: Known) -> Explained {
    let list = |what: &str, all: Vec<String>| match all.len() {
        0 => format!("no {what}"),
        _ => format!("{what} {}", all.join(", ")),
    };
    let groups = list("groups", account.groups.iter().map(ToString::to_string).collect());
    let addresses = list("addresses", account.addresses.iter().map(ToString::to_string).collect());
    let (answer, is_refused) = match known {
        Known::NotNamed | Known::Said => ("as the command line says", false),
        Known::ByDirectory => ("known to the directories", false),
        Known::ByName => ("no directory that can be asked knows more than its name", false),
        Known::Suspended => ("it may not log in: 535 5.7.8 Authentication credentials invalid", true),
        Known::Unavailable => {
            ("the directories could not be asked: 454 4.7.0; --group and --address say what they would", true)
        }
    };
    let told = matches!(known, Known::Said | Known::ByDirectory);
    let steps =
        if told { vec![step(&format!("account {}", account.name), &groups, Some(addresses))] } else { Vec::new() };
    Explained { answer: answer.to_owned(), refused: is_refused, steps, edits: Vec::new() }
}

fn step(key: &str, finding: &str, tested: Option<String>) -> StepView {
    StepView { key: key.to_owned(), line: None, built_in: true, finding: finding.to_owned(), tested }
}

fn refused(reply: &str, steps: Vec<StepView>) -> Explained {
    Explained { answer: reply.to_owned(), refused: true, steps, edits: Vec::new() }
}

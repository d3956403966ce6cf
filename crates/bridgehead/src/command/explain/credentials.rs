//! The question of credentials: what a client may prove itself by on this link, why not by anything else, and
//! what is known of the account. Secrets are not asked for, so whether one is good is not said.

use super::described::{Described, Known};
use access::Link;
use config::{Authentication, Config, Server};
use gateway::explain::{Explained, StepView};
use identity::{Mechanism, Protection};
use mail::{Account, Identity};
use policy::RuleBook;

/// What there is to say, each with the question it answers; nothing where AUTH does not exist and nobody asks
/// about it.
pub(super) fn explained(config: &Config, server: &Server, described: &Described) -> Vec<(String, Explained)> {
    if let Some(no_link) = link(&config.book, server, described.link()) {
        return vec![("link".to_owned(), no_link)];
    }
    let mut all = Vec::new();
    if server.session.has_auth() || described.mechanism.is_some() {
        all.push(("AUTH".to_owned(), mechanisms(server, described)));
    }
    if !access::can_be(config, server, &described.identity, (described.client, described.link())) {
        all.extend(whom(&described.identity).map(|whom| (whom, unproved(config, server, described))));
    } else if let Identity::Account(account) = &described.identity {
        all.push((format!("account {}", account.name), known(account, described.known)));
    }
    all
}

/// Why there is no such link, or nothing to be said on it.
fn link(book: &RuleBook, server: &Server, link: Link) -> Option<Explained> {
    let no = |reply: &str, key: &str, tested: &str| {
        let key = format!("virtual_server.{}.{key}", server.name);
        Some(refused(reply, vec![setting(book, &key, "match", tested.to_owned())]))
    };
    match link {
        // RFC 3207 §4: everything else waits for TLS.
        Link::Clear if server.session.tls_required => no(
            "530 5.7.0 Must issue a STARTTLS command first",
            "tls.mode",
            "TLS is required, and the link is in the clear; say --tls",
        ),
        Link::Clear if link.offers(server).is_none() => {
            no("there is no such link", "listen", "every address that it listens on begins with TLS; say --tls")
        }
        Link::Tls if link.offers(server).is_none() => {
            no("there is no such link", "tls.certificates", "there is no certificate, so there is no TLS")
        }
        _ => None,
    }
}

fn whom(identity: &Identity) -> Option<String> {
    match identity {
        Identity::Anonymous => None,
        Identity::Account(account) => Some(format!("account {}", account.name)),
        Identity::Peer(name) => Some(format!("peer {name}")),
    }
}

/// Why this client cannot prove to be what the command line says.
fn unproved(config: &Config, server: &Server, described: &Described) -> Explained {
    let settings = format!("virtual_server.{}.authentication", server.name);
    let offered = described.link().offers(server).unwrap_or_default();
    let peer = config.peers.iter().find(|peer| Identity::Peer(peer.name.clone()) == described.identity);
    let mechanisms = format!("{settings}.mechanisms");
    let (key, tested) = match peer {
        Some(peer) if !access::comes_from(peer, described.client) => (
            format!("peer.{}.addresses", peer.name),
            format!(
                "client {} has none of its addresses: here it is what it logs in as, and no peer",
                described.client
            ),
        ),
        _ if offered.is_empty() => {
            let under_tls = link_offers_more(server, described.link());
            (mechanisms, format!("nothing is offered {}{under_tls}", on(described.link())))
        }
        Some(_) => (mechanisms, format!("of {}, none is one that it can use", offered.join(", "))),
        None => (format!("{settings}.directories"), "no directory knows any account".to_owned()),
    };
    refused("it cannot prove that here", vec![setting(&config.book, &key, "no match", tested)])
}

fn link_offers_more(server: &Server, link: Link) -> &'static str {
    let more = link == Link::Clear && Link::Tls.offers(server).is_some_and(|offered| !offered.is_empty());
    if more { "; say --tls" } else { "" }
}

fn on(link: Link) -> &'static str {
    match link {
        Link::Clear => "in the clear",
        Link::Tls => "under TLS",
    }
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
        return Explained {
            answer: format!("{list} offered {}", on(described.link())),
            refused: false,
            steps,
            edits: Vec::new(),
        };
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

/// A step that rests on a key of the settings, with its line.
fn setting(book: &RuleBook, key: &str, finding: &str, tested: String) -> StepView {
    let line = book.find(key).and_then(|rule| book.place(rule).line);
    StepView { line, built_in: false, ..step(key, finding, Some(tested)) }
}

fn step(key: &str, finding: &str, tested: Option<String>) -> StepView {
    StepView { key: key.to_owned(), line: None, built_in: true, finding: finding.to_owned(), tested }
}

fn refused(reply: &str, steps: Vec<StepView>) -> Explained {
    Explained { answer: reply.to_owned(), refused: true, steps, edits: Vec::new() }
}

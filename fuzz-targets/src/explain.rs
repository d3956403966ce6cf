//! The questions of a session, as `bridgehead explain` asks them: settings of the tests, any client,
//! any addresses. Every answer carries its rules and comes after a bounded number of look-ups.

use crate::input::{Input, has_control};
use config::{Config, Server};
use mail::{Found, Identity, Ledger, Mailbox, ReversePath};
use policy::{
    Admission, ConnectionFacts, Decision, Missing, Question, RecipientFacts, SenderFacts, Verdict, edits, render,
    tested,
};
use std::net::IpAddr;
use std::sync::LazyLock;

static SETTINGS: LazyLock<Vec<Config>> = LazyLock::new(|| {
    let texts = [
        include_str!("../../tests/settings/good/everything.toml"),
        include_str!("../../tests/settings/good/closed-all-except.toml"),
        include_str!("../../tests/settings/good/inbound-outbound.toml"),
        include_str!("../../tests/settings/good/minimal.toml"),
    ];
    texts.iter().map(|text| Config::from_text("good.toml", text).expect("good settings").0).collect()
});

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input(octets);
    let config = &SETTINGS[usize::from(input.octet()) % SETTINGS.len()];
    let server = &config.servers[usize::from(input.octet()) % config.servers.len()];
    let identity = if input.flag() { Identity::account("u1") } else { Identity::Anonymous };
    let found = input.octet();
    let text = |octets| std::str::from_utf8(octets).unwrap_or_default();
    let client: IpAddr = text(input.counted()).parse().unwrap_or([203, 0, 113, 7].into());
    let reverse_path = text(input.counted()).parse().map_or(ReversePath::Null, ReversePath::Mailbox);
    let mut names = text(input.counted()).split(',').filter_map(|name| name.parse().ok());
    let answer = match found % 3 {
        0 => Found::Names(names.by_ref().collect()),
        1 => Found::Absent,
        _ => Found::Unavailable,
    };
    let asking = Asking { config, server, client, identity, answer };
    asking.session(&reverse_path, text(input.0).lines().filter_map(|line| line.parse().ok()).take(8).collect());
}

struct Asking<'a> {
    config: &'a Config,
    server: &'a Server,
    client: IpAddr,
    identity: Identity,
    answer: Found,
}

impl Asking<'_> {
    fn session(&self, reverse_path: &ReversePath, recipients: Vec<Mailbox>) {
        let client = self.client;
        let now = mail::Timestamp::default();
        let facts = ConnectionFacts { client, now, open: 0, open_from_client: 0, open_from_network: 0, open_in_all: 0 };
        let Ok(Verdict::Admitted(admission)) = self.decide(&Question::Connection(facts)) else { return };
        if !self.submits(admission, reverse_path) {
            return;
        }
        for recipient in recipients {
            let facts = RecipientFacts { client, now, identity: &self.identity, recipient: &recipient };
            if self.decide(&Question::Recipient(facts)).is_ok() {
                let route = policy::route(&self.config.routing, &self.server.name, &recipient);
                self.is_explained(&route);
            }
        }
    }

    fn submits(&self, admission: Admission, reverse_path: &ReversePath) -> bool {
        let (client, identity) = (self.client, &self.identity);
        let now = mail::Timestamp::default();
        let facts = SenderFacts { client, now, admission, identity, secured: false, reverse_path };
        self.decide(&Question::Sender(facts)).is_ok()
    }

    /// Judges with as many look-ups as the rules need; they cannot need many.
    fn decide(&self, question: &Question<'_>) -> Result<Verdict, policy::Refusal> {
        let mut ledger = Ledger::new();
        for _ in 0..8 {
            match question.ask(&self.server.rules, &ledger) {
                Ok(decision) => {
                    self.is_explained(&decision);
                    self.is_mended(question, &ledger, &decision);
                    return decision.verdict;
                }
                Err(Missing(query)) => ledger.enter(query, self.answer.clone()),
            }
        }
        panic!("a judgement that never ends");
    }

    /// Each step has its words or none, and every edit is text that a file can hold.
    fn is_mended(&self, question: &Question<'_>, ledger: &Ledger, decision: &Decision<Verdict>) {
        let rules = &self.server.rules;
        let words = tested(rules, question, ledger, &decision.trace);
        assert_eq!(words.len(), decision.trace.steps().len());
        for edit in edits(rules, &self.config.book, question, ledger) {
            assert!(!edit.settings.is_empty() && edit.toml.iter().all(|line| !has_control(line)), "{edit:?}");
        }
    }

    fn is_explained<V>(&self, decision: &Decision<V>) {
        let lines: Vec<String> = render::lines(&decision.trace, &self.config.book).collect();
        assert!(!lines.is_empty(), "every decision carries the rules that were tried");
        assert!(lines.iter().all(|line| !has_control(line)));
        if let Err(refusal) = &decision.verdict {
            assert!(decision.responsible().is_some());
            let (_, reply) =
                gateway::refusal(refusal, &self.server.session.hostname, self.server.not_authenticated_code);
            assert!((400..600).contains(&reply.code()), "{reply}");
        }
    }
}

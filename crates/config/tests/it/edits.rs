//! The edit of the settings that is proposed to turn an answer round does: written into the file it was proposed
//! for, the same question has the other answer.

use config::Config;
use mail::{Account, Authors, Found, Identity, Ledger, Mailbox, Query, ReversePath, Timestamp};
use policy::{Admission, ConnectionFacts, Edit, MessageFacts, Question, RecipientFacts, SenderFacts, edits};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::net::IpAddr;
use std::sync::Arc;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const OVER: &str = "2026-12-31";
const CLIENTS: [&str; 5] = ["10.0.0.1", "10.0.0.2", "10.0.1.1", "192.0.2.1", "2001:db8::1"];
const ADDRESSES: [&str; 6] = [
    "u1@corp.example",
    "alice@corp.example",
    "x@old.example",
    "x@ext.example",
    "x@a.remote.example",
    "50%x@corp.example",
];

/// A list, each entry perhaps with an end that is past.
fn list(name: &'static str, entries: &'static [&'static str]) -> impl Strategy<Value = String> {
    vec((select(entries.to_vec()), any::<bool>()), 0..8).prop_map(move |entries| {
        let entry = |(text, over): &(&str, bool)| match over {
            true => format!("{{ {name} = {text:?}, owner = \"o\", reason = \"a \\\"b\\\"\", expires = \"{OVER}\" }}"),
            false => format!("{text:?}"),
        };
        format!("[{}]", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
    })
}

fn clients() -> impl Strategy<Value = String> {
    list("client", &["10.0.0.1", "10.0.0.0/24", "10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "a.example", "b.example"])
}

fn holders() -> impl Strategy<Value = String> {
    list("who", &["account:u1", "account:U2", "group:staff", "group:ops"])
}

fn senders() -> impl Strategy<Value = String> {
    list("address", &["alice@corp.example", "x@ext.example", "@old.example", "@ext.example"])
}

fn action() -> impl Strategy<Value = &'static str> {
    select(vec!["refuse", "mark", "off"])
}

/// A table with those of its lines that are drawn.
fn part(lines: Vec<String>) -> impl Strategy<Value = String> {
    let all = vec(any::<bool>(), lines.len());
    all.prop_map(move |taken| {
        let lines = lines.iter().zip(taken).filter(|(_, taken)| *taken);
        lines.map(|(line, _)| format!("{line}\n")).collect()
    })
}

prop_compose! {
    fn rights()(submit in (holders(), holders()), relay in (holders(), holders()))
        (submit in part(vec![format!("allow = {}", submit.0), format!("deny = {}", submit.1)]),
         relay in part(vec![format!("allow = {}", relay.0), format!("deny = {}", relay.1)])) -> (String, String) {
        (submit, relay)
    }
}

prop_compose! {
    fn settings()(
        (submit, relay) in rights(),
        connection in proptest::option::of((any::<bool>(), clients(), any::<bool>())),
        relaying in proptest::option::of(clients()),
        anonymous in any::<bool>(),
        authenticated in any::<bool>(),
        peer in any::<[bool; 4]>(),
        filter in (any::<bool>(), senders(), any::<bool>()),
        checks in vec(action(), 7),
        loans in vec((select(vec!["account:u1", "group:ops", "peer:ex1", "client:10.0.0.0/24"]), any::<bool>()), 0..4),
        recipients in proptest::option::of(vec(select(vec!["u1@corp.example", "alice@corp.example"]), 0..2)),
        remote in any::<[Option<bool>; 2]>(),
        many in any::<bool>(),
    ) -> String {
        use std::fmt::Write;
        let mut text = "hostname = \"mx.corp.example\"\nstate_dir = \"/tmp/x\"\n[organization]\ndomains = [\"corp.example\", \"old.example\"]\n".to_owned();
        if let Some(known) = recipients {
            writeln!(text, "recipients = {known:?}").expect("a string takes everything");
        }
        for (who, over) in loans {
            writeln!(text, "[[organization.send_as]]\nwho = {who:?}\naddresses = [\"alice@corp.example\", \"@ext.example\"]").expect("a string takes everything");
            if over {
                writeln!(text, "expires = \"{OVER}\"").expect("a string takes everything");
            }
        }
        for (name, allow) in ["ext.example", "*.remote.example"].into_iter().zip(remote) {
            if let Some(allow) = allow {
                writeln!(text, "[remote_domain.{name:?}]\nallow_relay = {allow}").expect("a string takes everything");
            }
        }
        let [submits, relays, anybody, bypass] = peer;
        writeln!(text, "[peer.ex1]\naccounts = [\"ex1\"]\nsubmit = {submits}\nrelay = {relays}\nsend_as_anybody = {anybody}\nbypass_filters = {bypass}").expect("a string takes everything");
        writeln!(text, "[virtual_server.x]\nlisten = [\"127.0.0.1:25\"]").expect("a string takes everything");
        if let Some((only, list, flag)) = connection {
            let mode = if only { "only" } else { "all-except" };
            writeln!(text, "[virtual_server.x.connection_control]\nmode = {mode:?}\nlist = {list}").expect("a string takes everything");
            if flag {
                writeln!(text, "applies_to = \"anonymous\"").expect("a string takes everything");
            }
        }
        writeln!(text, "[virtual_server.x.authentication]\nanonymous = {anonymous}").expect("a string takes everything");
        writeln!(text, "[virtual_server.x.submit]\n{submit}").expect("a string takes everything");
        writeln!(text, "[virtual_server.x.relay]\n{relay}authenticated = {authenticated}").expect("a string takes everything");
        if let Some(list) = relaying {
            writeln!(text, "mode = \"only\"\nlist = {list}").expect("a string takes everything");
        }
        let (applied, senders, null) = filter;
        writeln!(text, "[virtual_server.x.filters]\nsender = {applied}").expect("a string takes everything");
        writeln!(text, "[sender_filter]\nlist = {senders}\nnull_sender = {null}").expect("a string takes everything");
        writeln!(text, "[virtual_server.x.send_as]").expect("a string takes everything");
        let places = ["envelope", "from", "sender", "resent_from", "outside", "null_sender", "anonymous"];
        for (place, action) in places.into_iter().zip(checks) {
            writeln!(text, "{place} = {action:?}").expect("a string takes everything");
        }
        if !many {
            writeln!(text, "[virtual_server.x.limits]\nconnections = 3\nhop_count = 2").expect("a string takes everything");
        }
        text
    }
}

/// Who asks, and about which addresses.
#[derive(Clone, Debug)]
struct Asker {
    client: IpAddr,
    identity: Identity,
    address: Mailbox,
    null: bool,
    open: u32,
}

prop_compose! {
    fn asker()(
        client in select(CLIENTS.to_vec()),
        who in 0..4_u8,
        address in select(ADDRESSES.to_vec()),
        null in any::<bool>(),
        open in 0..5_u32,
    ) -> Asker {
        let account = |name: &str, groups: &[&str]| {
            let groups = groups.iter().map(|&group| group.into()).collect();
            Identity::Account(Arc::new(Account { name: name.into(), groups, addresses: Box::new(["u1@corp.example".parse().expect("this is well formed")]) }))
        };
        let identity = match who {
            0 => Identity::Anonymous,
            1 => account("u1", &["ops", "Staff"]),
            2 => account("u2", &[]),
            _ => Identity::Peer("ex1".into()),
        };
        Asker { client: client.parse().expect("this is well formed"), identity, address: address.parse().expect("this is well formed"), null, open }
    }
}

/// Whether a session that begins anew gets a yes; `None` if a look-up is missing.
fn is_granted(config: &Config, question: &Question<'_>, ledger: &Ledger) -> Option<bool> {
    let rules = &config.server("x").expect("this is well formed").rules;
    let asked = |question: &Question<'_>| Some(question.ask(rules, ledger).ok()?.verdict);
    if let Question::Sender(facts) = question {
        let (client, now) = (facts.client, facts.now);
        let alone = ConnectionFacts { client, now, open_in_all: 0, open: 0, open_from_client: 0, open_from_network: 0 };
        return match asked(&Question::Connection(alone))? {
            Ok(policy::Verdict::Admitted(admission)) => {
                Some(asked(&Question::Sender(SenderFacts { admission, ..*facts }))?.is_ok())
            }
            _ => Some(false),
        };
    }
    Some(asked(question)?.is_ok())
}

/// The settings with an edit in them.
fn edited(text: &str, edit: &Edit) -> String {
    let mut settings: toml::Table = text.parse().expect("this is well formed");
    for (key, value) in &edit.settings {
        let change: toml::Table =
            format!("{key} = {value}").parse().unwrap_or_else(|why| panic!("{key} = {value}: {why}"));
        merge(&mut settings, change);
    }
    settings.to_string()
}

fn merge(into: &mut toml::Table, change: toml::Table) {
    for (key, value) in change {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

/// What a person is shown is TOML, too.
fn shown(edit: &Edit) {
    let text = edit.toml.join("\n");
    let _: toml::Table = text.parse().unwrap_or_else(|why| panic!("{text}\n{why}"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_edit_that_is_proposed_turns_the_answer_round(text in settings(), asker in asker(), names in select(vec!["a.example", "c.example"])) {
        let Ok((config, _)) = Config::from_text("x.toml", &text) else { return Err(TestCaseError::reject("open relay")) };
        let mut ledger = Ledger::new();
        ledger.enter(Query::ConfirmedNames(asker.client), Found::Names(vec![names.parse().expect("this is well formed")]));
        let Asker { client, identity, address, null, open } = &asker;
        let (client, now, open) = (*client, NOW, *open);
        let reverse_path = if *null { ReversePath::Null } else { ReversePath::Mailbox(address.clone()) };
        let authors = Authors::of(format!("From: {address}, u1@corp.example\r\nSender: {address}\r\n").as_bytes());
        let connection = ConnectionFacts { client, now, open_in_all: open, open, open_from_client: open, open_from_network: open };
        let questions = [
            Question::Connection(connection),
            Question::Sender(SenderFacts { client, now, admission: Admission::Admitted, identity, secured: false, reverse_path: &reverse_path }),
            Question::Recipient(RecipientFacts { client, now, identity, recipient: address }),
            Question::Message(MessageFacts { client, now, identity, authors: &authors, hops: open }),
        ];
        for question in &questions {
            let Some(granted) = is_granted(&config, question, &ledger) else { continue };
            for edit in edits(&config.server("x").expect("this is well formed").rules, &config.book, question, &ledger) {
                shown(&edit);
                let new = edited(&text, &edit);
                match Config::from_text("x.toml", &new) {
                    Ok((config, _)) => prop_assert_eq!(
                        is_granted(&config, question, &ledger), Some(!granted), "{:?}\n{:?}\n{}", question, edit, new
                    ),
                    // What `check` refuses is refused for good reason, and not because it cannot be read.
                    Err(mistakes) => {
                        let why = mistakes.render(false);
                        prop_assert!(why.contains("could relay through this virtual server"), "{:?}\n{}", edit, why);
                    }
                }
            }
        }
    }
}

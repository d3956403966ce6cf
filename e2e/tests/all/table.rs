//! The table equals the server: what the settings say to whoever reads them is what clients hear.
//!
//! Settings are drawn, ten virtual servers at a time; a gateway runs them; and each client, as each identity,
//! says MAIL for each sender and RCPT for each recipient. Every reply is compared with what is worked out from the
//! settings alone. 500 virtual servers, and 20,000 when there is time.

mod draw;

use config::Config;
use e2e::{Client, Dice, Gateway, long};
use mail::{Account, Found, Identity, Ledger, Mailbox, Query, ReversePath, Timestamp};
use policy::{Admission, ConnectionFacts, Decision, Missing, RecipientFacts, Refusal, SenderFacts};
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

/// Where clients come from: those that lists name, alone and together, and one that none does.
const CLIENTS: [&str; 4] = ["127.0.0.5", "127.0.0.6", "127.0.0.7", "127.1.0.1"];
const SENDERS: [&str; 6] =
    ["", "u1@corp.example", "U2+shop@old.example", "alice@corp.example", "news@corp.example", "x@ext.example"];
const RECIPIENTS: [&str; 9] = [
    "alice@corp.example",
    "nobody@corp.example",
    "Postmaster@old.example",
    "x@partner.example",
    "x@a.below.example",
    "bob@ext.example",
    "bob@[192.0.2.1]",
    "bob%ext.example@corp.example",
    "\"bob@ext.example\"@partner.example",
];
/// The password of everybody. Its hash is as cheap as one may be: thousands log in here.
pub(crate) const PASSWORD: &str = "pw";
pub(crate) const HASH: &str = "$6$rounds=1000$saltsaltsalt$3uTn/p/Js.77U8WBozdWwF.s7Hb3L.COSZYgrwmuK01KH61Ebpt4uf/rkQlDAG3nFY6CLHQZXBdJrjzd2BCld.";
/// The accounts, with their groups and addresses; `ex1` is a peer's.
const ACCOUNTS: [(&str, &[&str], &[&str]); 4] = [
    ("u1", &["staff"], &["u1@corp.example"]),
    ("u2", &["staff", "workers"], &["u2@corp.example"]),
    ("u3", &[], &[]),
    ("ex1", &[], &[]),
];

/// What a client hears, as far as it matters: the code and the enhanced status.
type Heard = String;

#[test]
fn the_server_does_what_the_settings_say() {
    let rounds = if long() { 2_000 } else { 50 };
    let first = Dice::new().below(1 << 32);
    let mut told = BTreeMap::new();
    for round in 0..rounds {
        let settings = draw::settings(&mut Dice::seeded(first + round));
        compare(&settings, &mut told);
    }
    println!("{told:?}");
    // Chance has led everywhere.
    let all = ["250 2.1.0", "250 2.1.5", "530 5.7.3", "550 5.1.1", "550 5.7.1", "550 5.7.3", "554 5.1.0", "554 5.7.1"];
    for status in all {
        assert!(told.get(status).is_some_and(|times| *times > 100), "{told:?}");
    }
}

/// Runs a gateway with these settings and asks it everything; counts what it said.
fn compare(settings: &str, told: &mut BTreeMap<Heard, u64>) {
    let accounts = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(accounts.path(), account_file()).expect("our own file");
    let settings = settings.replace("ACCOUNTS", &accounts.path().display().to_string());
    let gateway = Gateway::start(&settings);
    let text = fs::read_to_string(gateway.directory().join("bridgehead.toml")).expect("our own settings");
    let (config, _) = Config::from_text("drawn", &text).expect("the gateway has taken them");
    for server in &config.servers {
        for client in CLIENTS {
            for who in [None, Some("u1"), Some("u2"), Some("u3"), Some("ex1")] {
                let expected = expected(server, client, &identity(who));
                let (heard, transcript) = heard(&gateway, &server.name, client, who);
                assert_eq!(heard, expected, "{client} as {who:?} at {}\n{transcript}\n{settings}", server.name);
                heard.into_iter().for_each(|status| *told.entry(status).or_default() += 1);
            }
        }
    }
}

fn account_file() -> String {
    let account = |(name, groups, addresses): &(&str, &[&str], &[&str])| {
        let mut lines = vec![format!("account {name}"), format!("  password {HASH}")];
        lines.extend(groups.iter().map(|group| format!("  group {group}")));
        lines.extend(addresses.iter().map(|address| format!("  address {address}")));
        lines.join("\n") + "\n"
    };
    ACCOUNTS.iter().map(account).collect()
}

fn identity(who: Option<&str>) -> Identity {
    let Some(who) = who else { return Identity::Anonymous };
    if who == "ex1" {
        return Identity::Peer(who.into());
    }
    let (name, groups, addresses) = ACCOUNTS.iter().find(|(name, ..)| *name == who).expect("one of ours");
    Identity::Account(Arc::new(Account {
        name: (*name).into(),
        groups: groups.iter().map(|&group| group.into()).collect(),
        addresses: addresses.iter().map(|address| address.parse().expect("an address")).collect(),
    }))
}

/// What the client should hear: to its connection, to each MAIL, and to each RCPT after a MAIL that was accepted.
fn expected(server: &config::Server, client: &str, identity: &Identity) -> Vec<Heard> {
    let (rules, client) = (&server.rules, client.parse().expect("an address"));
    // Between the two days that are drawn.
    let now = Timestamp::from_millis(1_800_000_000_000);
    let facts = ConnectionFacts { client, now, open_in_all: 0, open: 0, open_from_client: 0, open_from_network: 0 };
    let admission = match decide(|ledger| policy::connection(rules, &facts, ledger)).verdict {
        Ok(admission) => admission,
        Err(refusal) => return vec![reply(&refusal)],
    };
    let mut all = Vec::new();
    for sender in SENDERS {
        let reverse_path = reverse_path(sender);
        let facts = SenderFacts { client, now, admission, identity, secured: false, reverse_path: &reverse_path };
        match decide(|ledger| policy::sender(rules, &facts, ledger)).verdict {
            Ok(_) => all.push("250 2.1.0".to_owned()),
            Err(refusal) => {
                all.push(reply(&refusal));
                let ends = match refusal {
                    Refusal::NotAuthenticated { close } => close && admission == Admission::MustAuthenticate,
                    Refusal::SenderFiltered { close } => close,
                    _ => false,
                };
                if ends {
                    return all;
                }
                continue;
            }
        }
        for recipient in RECIPIENTS {
            let recipient: Mailbox = recipient.parse().expect("an address");
            let facts = RecipientFacts { client, now, identity, recipient: &recipient };
            let decision = decide(|ledger| policy::recipient(rules, &facts, ledger));
            all.push(decision.verdict.map_or_else(|refusal| reply(&refusal), |_| "250 2.1.5".to_owned()));
        }
    }
    all
}

fn reverse_path(text: &str) -> ReversePath {
    match text {
        "" => ReversePath::Null,
        text => ReversePath::Mailbox(text.parse().expect("an address")),
    }
}

/// No directory knows recipients here, and nobody has a name.
fn decide<V>(mut ask: impl FnMut(&Ledger) -> Result<Decision<V>, Missing>) -> Decision<V> {
    let mut ledger = Ledger::new();
    loop {
        match ask(&ledger) {
            Ok(decision) => return decision,
            Err(Missing(query @ Query::ConfirmedNames(_))) => ledger.enter(query, Found::Absent),
            Err(Missing(query)) => panic!("nothing here asks for {query:?}"),
        }
    }
}

/// The table of reference 9.2, written once more: the gateway's own is what is tested.
fn reply(refusal: &Refusal) -> Heard {
    match refusal {
        Refusal::ConnectionListed | Refusal::ConnectionNotListed => "554 5.7.1",
        Refusal::NotAuthenticated { .. } => "530 5.7.3",
        Refusal::SenderFiltered { .. } => "554 5.1.0",
        Refusal::MayNotSubmit => "550 5.7.3",
        Refusal::NotOwner
        | Refusal::RelayDenied { .. }
        | Refusal::RoutedLocalPart { .. }
        | Refusal::AddressLiteral { .. } => "550 5.7.1",
        Refusal::UserUnknown => "550 5.1.1",
        other => panic!("nobody here should hear {other:?}"),
    }
    .to_owned()
}

/// What the client does hear, and everything that was said.
fn heard(gateway: &Gateway, server: &str, client: &str, who: Option<&str>) -> (Vec<Heard>, String) {
    let mut session = gateway.connect(server, client);
    let greeting = session.reply();
    if greeting.code() != 220 {
        return (vec![status(greeting.last())], session.transcript().to_owned());
    }
    session.ask("EHLO client.example", "250");
    if let Some(who) = who {
        session.ask(&crate::authentication::plain(who, PASSWORD), "235 2.7.0");
    }
    let mut all = Vec::new();
    for sender in SENDERS {
        session.line(&format!("MAIL FROM:<{sender}>"));
        let said = session.reply();
        all.push(status(said.last()));
        if all.last().is_some_and(|said| said == "530 5.7.3" || said == "554 5.1.0") && has_hung_up(&mut session) {
            break;
        }
        if said.code() != 250 {
            continue;
        }
        let group: String = RECIPIENTS.iter().map(|recipient| format!("RCPT TO:<{recipient}>\r\n")).collect();
        session.send(group.as_bytes());
        for _ in RECIPIENTS {
            let said = session.reply();
            all.push(status(said.last()));
        }
        session.ask("RSET", "250");
    }
    (all, session.transcript().to_owned())
}

fn has_hung_up(session: &mut Client) -> bool {
    session.try_send(b"NOOP\r\n").is_err() || session.try_reply().is_none()
}

/// The code and the enhanced status of a reply.
fn status(reply: &str) -> Heard {
    reply.split([' ', '-']).take(2).collect::<Vec<_>>().join(" ")
}

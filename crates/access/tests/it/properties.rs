//! What holds for all settings: the table says what the functions say, and the plan is the difference.

use crate::NOW;
use crate::draw::{Dice, Draw};
use access::plan::Taken;
use access::{Classes, Cuts, Direction, Link, Plan, SenderClass, Table, Verdict, Why};
use config::{Config, Server};
use mail::{Account, Found, Identity, Ledger, Mailbox, Query, ReversePath};
use policy::{Acceptance, Addresses, ConnectionFacts, Decision, Missing, RecipientFacts, Refusal, SenderFacts};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// How many settings are drawn for each property.
const DRAWS: u64 = 200;

/// What would be an open relay says that it knows.
fn config(draw: &Draw) -> Option<Config> {
    settings(&draw.text())
}

/// The settings of a text that is drawn.
pub(crate) fn settings(text: &str) -> Option<Config> {
    let word = "relay.open_relay = \"i-know-this-is-an-open-relay\"\n";
    let insisting = text.replace("relay.authenticated", &format!("{word}relay.authenticated"));
    [text, &insisting].iter().find_map(|text| Config::from_text("drawn", text).ok()).map(|(config, _)| config)
}

/// Drawn settings that have no mistake; a few in a hundred have one virtual server that is open and one that is not.
pub(crate) fn draws() -> impl Iterator<Item = (Dice, Draw, Config)> {
    (0..DRAWS).filter_map(|seed| {
        let mut dice = Dice::seeded(seed);
        let draw = Draw::new(&mut dice);
        let config = config(&draw)?;
        Some((dice, draw, config))
    })
}

#[test]
fn nearly_all_that_is_drawn_can_be_used() {
    assert!(draws().count() > 130, "{}", draws().count());
}

/// A session by chance.
struct Drawn {
    client: IpAddr,
    names: Found,
    identity: Identity,
    recipient: Mailbox,
    exists: Found,
}

fn session(dice: &mut Dice) -> Drawn {
    let clients = [
        "10.0.0.5",
        "10.0.0.6",
        "10.0.0.77",
        "10.9.9.9",
        "192.0.2.66",
        "192.0.2.9",
        "203.0.113.9",
        "2001:db8::5",
        "2001:db8:1::1",
        "2a00::1",
        "::ffff:10.0.0.5",
        "127.0.0.1",
    ];
    let names = ["partner.example", "b.a.partner.example", "x.other.example", "stranger.example"];
    let names = match dice.below(4) {
        0 => Found::Absent,
        1 => Found::Unavailable,
        _ => Found::Names(dice.some(&names, 3).iter().map(|name| name.parse().unwrap()).collect()),
    };
    let identity = match dice.below(6) {
        0 | 1 => Identity::Anonymous,
        2 => Identity::Peer((*dice.one(&["ex1", "ex2"])).into()),
        _ => {
            let name = *dice.one(&["u1", "U2", "u3", "u4"]);
            Identity::Account(Arc::new(Account {
                name: name.into(),
                groups: dice.some(&["a", "B", "c", "d", "e"], 5).into_iter().map(Into::into).collect(),
                addresses: Box::new(["me@corp.example".parse().unwrap()]),
            }))
        }
    };
    let recipients = [
        "alice@corp.example",
        "Alice@old.example",
        "bob@corp2.example",
        "Postmaster@corp.example",
        "x@partner.example",
        "x@a.below.example",
        "x@below.example",
        "x@sub.partner.example",
        "x@ext.example",
        "x@[192.0.2.1]",
        "x%y.example@corp.example",
        "y.example!x@ext.example",
        "\"x@y.example\"@partner.example",
    ];
    Drawn {
        client: dice.one(&clients).parse().unwrap(),
        names,
        identity,
        recipient: dice.one(&recipients).parse().unwrap(),
        exists: dice.one(&[Found::Exists, Found::Absent, Found::Unavailable]).clone(),
    }
}

/// An address of a class for whoever has this identity; `None` where there is none. One that is filtered out of its
/// mail is of no other class.
fn sender(server: &Server, drawn: &Drawn, class: SenderClass) -> Option<ReversePath> {
    let path = written(server, drawn, class)?;
    let (rules, ReversePath::Mailbox(mailbox)) = (&server.rules, &path) else { return Some(path) };
    let filter = rules.senders_filtered_for(&drawn.identity);
    let is_filtered = filter.is_some_and(|filter| filter.list.has(mailbox, &rules.domains, NOW));
    (is_filtered == (class == SenderClass::Filtered)).then_some(path)
}

fn written(server: &Server, drawn: &Drawn, class: SenderClass) -> Option<ReversePath> {
    let address = match class {
        SenderClass::Null => return Some(ReversePath::Null),
        SenderClass::Own if matches!(drawn.identity, Identity::Account(_)) => "me+shop@old.example",
        SenderClass::Own => return None,
        SenderClass::Lent => {
            let mut held = server.rules.send_as.grants.held_by(&drawn.identity, drawn.client);
            let loan = held.find(|loan| !loan.term.is_over(NOW))?;
            return Some(ReversePath::Mailbox(match &loan.addresses[0] {
                Addresses::One(mailbox) => mailbox.clone(),
                Addresses::AllAt(host) => Mailbox { local: "anybody".parse().unwrap(), host: host.clone() },
            }));
        }
        SenderClass::Inside => "carol@corp2.example",
        SenderClass::Outside => "carol@strangers.example",
        SenderClass::Filtered => {
            let filtered = server.rules.sender_filter.senders.list.entries();
            let entry = filtered.iter().rfind(|entry| !entry.term.is_over(NOW))?;
            return Some(ReversePath::Mailbox(match &entry.addresses {
                Addresses::One(mailbox) => mailbox.clone(),
                Addresses::AllAt(host) => Mailbox { local: "anybody".parse().unwrap(), host: host.clone() },
            }));
        }
    };
    Some(ReversePath::Mailbox(address.parse().unwrap()))
}

fn judge<V>(drawn: &Drawn, ask: impl Fn(&Ledger) -> Result<Decision<V>, Missing>) -> Result<V, Refusal> {
    let found = |query: &Query| match query {
        Query::ConfirmedNames(_) => drawn.names.clone(),
        _ => drawn.exists.clone(),
    };
    judged(found, ask)
}

/// Asks until nothing is missing; `found` says what look-ups find.
pub(crate) fn judged<V>(
    found: impl Fn(&Query) -> Found,
    ask: impl Fn(&Ledger) -> Result<Decision<V>, Missing>,
) -> Result<V, Refusal> {
    let mut ledger = Ledger::new();
    loop {
        match ask(&ledger) {
            Ok(decision) => return decision.verdict,
            Err(Missing(query)) => {
                let answer = found(&query);
                ledger.enter(query, answer);
            }
        }
    }
}

/// What the functions of the server say.
fn said(server: &Server, drawn: &Drawn, path: &ReversePath) -> Result<(bool, Acceptance), Refusal> {
    let (rules, client, identity) = (&server.rules, drawn.client, &drawn.identity);
    let facts =
        ConnectionFacts { client, now: NOW, open_in_all: 0, open: 0, open_from_client: 0, open_from_network: 0 };
    let admission = judge(drawn, |ledger| policy::connection(rules, &facts, ledger))?;
    let facts = SenderFacts { client, now: NOW, admission, identity, secured: false, reverse_path: path };
    let marked = judge(drawn, |ledger| policy::sender(rules, &facts, ledger))?.marked;
    let facts = RecipientFacts { client, now: NOW, identity, recipient: &drawn.recipient };
    Ok((marked, judge(drawn, |ledger| policy::recipient(rules, &facts, ledger))?))
}

#[test]
fn the_cell_of_a_session_says_what_the_functions_say() {
    let mut compared = [0_u32; 2];
    for (mut dice, draw, config) in draws() {
        let classes = Classes::of(&[&config], NOW);
        let table = Table::of(&config, &classes);
        for _ in 0..60 {
            let drawn = session(&mut dice);
            let server = dice.one(&config.servers);
            let sender_class = *dice.one(&SenderClass::ALL);
            let Some(path) = sender(server, &drawn, sender_class) else { continue };
            let context = || {
                format!(
                    "{:?} {:?} {:?} {sender_class:?} {} {:?}\n{}",
                    drawn.client,
                    drawn.names,
                    drawn.identity,
                    drawn.recipient,
                    drawn.exists,
                    draw.text()
                )
            };
            let cuts = Cuts::default();
            let found =
                classes.session((&[&config], &cuts), &server.name, (drawn.client, &drawn.names), &drawn.identity);
            let found = found.unwrap_or_else(|| panic!("no class: {}", context()));
            let recipient = classes.recipient(&[&config], &server.name, &drawn.recipient, &drawn.exists);
            let recipient = recipient.unwrap_or_else(|| panic!("no recipient: {}", context()));
            let own = table.server(&server.name).unwrap();
            for link in Link::ALL {
                let Some(cell) = own.cell(link, found, sender_class, recipient) else {
                    let is_none = !drawn.identity.is_authenticated() && link.offers(server).is_some();
                    assert!(!is_none, "no cell: {}", context());
                    continue;
                };
                if cell.verdict == Verdict::Refused(Why::TlsRequired) {
                    continue;
                }
                let said = match said(server, &drawn, &path) {
                    Ok((marked, Acceptance::Submitted { .. })) => Verdict::Submitted { marked },
                    Ok((marked, Acceptance::Relayed { by })) => Verdict::Relayed { by, marked },
                    Err(refusal) if refusal.is_later() => Verdict::Later(Why::of(&refusal)),
                    Err(refusal) => Verdict::Refused(Why::of(&refusal)),
                };
                assert_eq!(cell.verdict, said, "{} {}", context(), cell.witness());
                compared[usize::from(said.is_taken())] += 1;
            }
        }
    }
    assert!(compared.iter().all(|count| *count > 1000), "{compared:?}");
}

fn plan(old: &Config, new: &Config) -> Plan {
    Plan::of(("old.toml", old), ("new.toml", new), NOW)
}

#[test]
fn an_order_without_effect_is_no_plan() {
    let mut changed = 0;
    for (mut dice, draw, old) in draws() {
        let mut shuffled = draw.clone();
        dice.shuffle(&mut shuffled.loans);
        dice.shuffle(&mut shuffled.filtered.0);
        for server in &mut shuffled.servers {
            let (submit, relay) = (&mut server.submit, &mut server.relay);
            let lists = [&mut server.connection.1, &mut submit.1, &mut server.relay_list, &mut relay.0, &mut relay.1];
            lists.into_iter().chain(submit.0.as_mut()).for_each(|list| dice.shuffle(list));
        }
        changed += u32::from(shuffled.text() != draw.text());
        let new = config(&shuffled).unwrap();
        let plan = plan(&old, &new);
        assert!(plan.lines.is_empty(), "{}\n{}\n{}", access::text::plan(&plan), draw.text(), shuffled.text());
    }
    assert!(changed > 60, "{changed}");
}

/// Takes one permit away, or adds one denial; `None` when there was none to take away.
fn narrowed(dice: &mut Dice, draw: &Draw) -> Option<Draw> {
    let mut new = draw.clone();
    let remove = |dice: &mut Dice, list: &mut Vec<String>| {
        (!list.is_empty()).then(|| {
            let at = dice.below(list.len());
            list.remove(at);
        })
    };
    let at = dice.below(new.servers.len());
    let which = dice.below(15);
    let server = &mut new.servers[at];
    match which {
        0 if server.relay_only => remove(dice, &mut server.relay_list)?,
        1 if server.connection.0 => remove(dice, &mut server.connection.1)?,
        2 => remove(dice, server.submit.0.as_mut()?)?,
        3 => remove(dice, &mut server.relay.0)?,
        4 => remove(dice, &mut new.loans)?,
        5 => server.relay_authenticated = false,
        6 => server.anonymous = false,
        7 => new.remote[0].1 = false,
        8 => server.submit.1.push("\"group:a\"".into()),
        9 => server.relay.1.push("\"group:b\"".into()),
        10 if !server.connection.0 => server.connection.1.push("\"10.0.0.0/24\"".into()),
        11 if !server.relay_only => server.relay_list.push("\"192.0.2.0/24\"".into()),
        12 => new.filtered.0.push("\"@strangers.example\"".into()),
        13 => new.filtered.1 = true,
        14 => server.filters = true,
        _ => return None,
    }
    Some(new)
}

#[test]
fn less_permits_or_more_denials_never_permit_more() {
    let mut narrower = 0;
    for (mut dice, draw, old) in draws() {
        let Some(less) = narrowed(&mut dice, &draw) else { continue };
        let Some(new) = config(&less) else { continue };
        let plan = plan(&old, &new);
        let widens = plan.lines.iter().any(|line| line.direction == Direction::Wider);
        assert!(!widens, "{}\n{}\n{}", access::text::plan(&plan), draw.text(), less.text());
        narrower += u32::from(plan.direction() == Some(Direction::Narrower));
        assert_eq!(self::plan(&new, &old).lines.is_empty(), plan.lines.is_empty());
    }
    assert!(narrower > 30, "{narrower}");
}

#[test]
fn a_plan_applied_to_the_old_table_gives_the_new_one() {
    // Each pair has some ten thousand cells, and each of them is looked for in every line.
    let all: Vec<Config> = draws().map(|(_, _, config)| config).take(16).collect();
    let mut changed = 0;
    for pair in all.chunks_exact(2) {
        let plan = plan(&pair[0], &pair[1]);
        let classes = Classes::of(&[&pair[0], &pair[1]], NOW);
        let taken = |config: &Config| -> BTreeMap<_, _> {
            let table = Table::of(config, &classes);
            let key = |cell: &access::Cell<'_>| (cell.server.to_owned(), cell.link, cell.place);
            table.cells().map(|cell| (key(&cell), Taken::of(cell.verdict))).collect()
        };
        let (before, after) = (taken(&pair[0]), taken(&pair[1]));
        for (config, own) in [(&pair[0], &before), (&pair[1], &after)] {
            for cell in Table::of(config, &classes).cells() {
                let key = (cell.server.to_owned(), cell.link, cell.place);
                let was = before.get(&key).copied().unwrap_or(Taken::Not);
                let is = after.get(&key).copied().unwrap_or(Taken::Not);
                assert_eq!(plan.apply(&cell, was), is);
                assert!(own.contains_key(&key));
                changed += u32::from(was != is);
            }
        }
    }
    assert!(changed > 1_000, "{changed}");
}

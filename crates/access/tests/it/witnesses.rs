//! What holds for every line of every plan: its session is answered otherwise under the new settings than under the
//! old ones, and as the line says. The questions are asked here once more, by nothing that made the plan.

use crate::NOW;
use crate::draw::Draw;
use crate::properties::{draws, judged, settings};
use access::plan::Line;
use access::{Direction, Link, Plan, Shown, Witness};
use config::{Config, Server};
use mail::{Account, Author, Authors, Identity, Ledger, Mailbox, Query, ReversePath, Timestamp};
use policy::{
    Acceptance, AddressPlace, Addresses, Borrower, ConnectionFacts, Decision, MessageFacts, Missing, RecipientFacts,
    Refusal, SenderFacts, Who,
};

use std::collections::BTreeMap;
use std::sync::Arc;

/// When every exception that is drawn has ended.
const LATER: Timestamp = Timestamp::from_millis(NOW.millis() * 2);

/// How far mail of a session gets, the better the less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// It is taken, and relayed or not; or there was nothing to send, and what was asked for is offered.
    Taken {
        relayed: bool,
    },
    Marked {
        relayed: bool,
    },
    Not,
}

fn judge<V>(session: &Witness, ask: impl Fn(&Ledger) -> Result<Decision<V>, Missing>) -> Result<V, Refusal> {
    let found = |query: &Query| match query {
        Query::ConfirmedNames(_) => {
            assert_ne!(session.names, access::Names::Any, "a name is asked for: {session}");
            session.names.found()
        }
        _ => session.found.clone().unwrap_or_else(|| panic!("a directory is asked: {session}")),
    };
    judged(found, ask)
}

/// Whether somebody can be this on this link: all that is drawn has passwords.
fn can_be(config: &Config, server: &Server, session: &Witness) -> bool {
    let offered = session.link.offers(server).is_some_and(|offered| !offered.is_empty());
    let asked = offered && !server.authentication.directories.is_empty();
    match &session.identity {
        Identity::Anonymous => true,
        Identity::Account(_) => asked,
        Identity::Peer(name) => {
            let peer = config.peers.iter().find(|peer| peer.name == *name);
            asked && peer.is_some_and(|peer| access::comes_from(peer, session.client))
        }
    }
}

fn fate(config: &Config, session: &Witness, now: Timestamp) -> Fate {
    let Some(server) = config.server(&session.server) else { return Fate::Not };
    let (rules, client, identity) = (&server.rules, session.client, &session.identity);
    let facts = ConnectionFacts { client, now, open_in_all: 0, open: 0, open_from_client: 0, open_from_network: 0 };
    let Ok(admission) = judge(session, |ledger| policy::connection(rules, &facts, ledger)) else { return Fate::Not };
    let Some(offered) = session.link.offers(server) else { return Fate::Not };
    let is_closed = session.link == Link::Clear && server.session.tls_required;
    let has = |wanted: &str| offered.iter().any(|name| **name == *wanted);
    if is_closed || !session.mechanism.iter().all(|wanted| has(wanted)) || !can_be(config, server, session) {
        return Fate::Not;
    }
    if session.mechanism.is_some() {
        return Fate::Taken { relayed: false };
    }
    let facts = SenderFacts { client, now, admission, identity, secured: true, reverse_path: &session.reverse_path };
    let sender = judge(session, |ledger| policy::sender(rules, &facts, ledger));
    let Ok(mut marked) = sender.map(|submission| submission.marked) else { return Fate::Not };
    let mut relayed = false;
    if let Some(recipient) = &session.recipient {
        let facts = RecipientFacts { client, now, identity, recipient };
        match judge(session, |ledger| policy::recipient(rules, &facts, ledger)) {
            Ok(acceptance) => relayed = matches!(acceptance, Acceptance::Relayed { .. }),
            Err(_) => return Fate::Not,
        }
    }
    if let Some((place, author)) = &session.header {
        let author = Author::Mailbox(author.clone());
        let mut authors = Authors::default();
        match place {
            AddressPlace::From | AddressPlace::Envelope => authors.from.push(author),
            AddressPlace::Sender => authors.sender.push(author),
            AddressPlace::ResentFrom => authors.resent_from.push(author),
        }
        let facts = MessageFacts { client, now, identity, authors: &authors, hops: 0 };
        match judge(session, |ledger| policy::message(rules, &facts, ledger)) {
            Ok(taken) => marked |= !taken.marks.is_empty(),
            Err(_) => return Fate::Not,
        }
    }
    if marked { Fate::Marked { relayed } } else { Fate::Taken { relayed } }
}

/// Relayed or not, it is as good.
fn grade(fate: Fate) -> u8 {
    match fate {
        Fate::Taken { .. } => 0,
        Fate::Marked { .. } => 1,
        Fate::Not => 2,
    }
}

/// What the session of a line comes to under both settings; it must be what the line says.
fn shows(line: &Line, settings: [&Config; 2]) -> Result<(), String> {
    let Some(Shown { session, .. }) = &line.witness else {
        let is_said = line.what.contains("listens on ") || line.what.contains("listened on ");
        return if is_said { Ok(()) } else { Err(format!("no session shows it: {line:#?}")) };
    };
    let moments = session.day.map_or_else(|| vec![NOW, LATER], |day| vec![NOW, day.begins()]);
    for moment in moments {
        let [old, new] = settings.map(|config| fate(config, session, moment));
        let is_so = match line.direction {
            Direction::Wider => grade(new) < grade(old),
            Direction::Narrower => grade(new) > grade(old),
            Direction::Sideways => old != new && grade(old) == grade(new),
        };
        let is_so = is_so && is_said(&line.what, [old, new]);
        if !is_so {
            return Err(format!("{moment}: {old:?} -> {new:?}: {:?} {line:#?}", line.direction));
        }
    }
    Ok(())
}

/// Whether the words of a line say just that.
fn is_said(what: &str, [old, new]: [Fate; 2]) -> bool {
    let relays = |fate: Fate| matches!(fate, Fate::Taken { relayed: true } | Fate::Marked { relayed: true });
    let submits = |fate: Fate| fate != Fate::Not && !relays(fate);
    match what {
        "may now relay" => old == Fate::Not && relays(new),
        "may now submit" => old == Fate::Not && submits(new),
        "may no longer relay" => relays(old) && new == Fate::Not,
        "may no longer submit" => submits(old) && new == Fate::Not,
        "is marked now" => grade(old) == 0 && grade(new) == 1,
        "is no longer marked" => grade(old) == 1 && grade(new) == 0,
        "is now relayed, not submitted" => submits(old) && relays(new),
        "is now submitted, not relayed" => relays(old) && submits(new),
        _ if what.ends_with(" unmarked") => grade(old) + grade(new) == 1,
        _ if what.ends_with(" is taken now") => grade(old) == 2 && grade(new) == 0,
        _ if what.ends_with(" is taken now, and marked") => grade(old) == 2 && grade(new) == 1,
        _ if what.ends_with(" is no longer marked") => grade(old) == 1 && grade(new) == 0,
        _ if what.ends_with(" is marked now") => grade(old) == 0 && grade(new) == 1,
        _ if what.contains(" may now send as ") => grade(old) == 2,
        _ if what.ends_with(" is refused now") || what.contains(" may no longer send as ") => grade(new) == 2,
        _ if what.ends_with(" is filtered no more") => grade(old) == 2 && grade(new) < 2,
        _ if what.contains(" is offered now, ") => (grade(old), grade(new)) == (2, 0),
        _ => what.contains(" is offered no more ") && (grade(old), grade(new)) == (0, 2),
    }
}

fn kind(line: &Line) -> &'static str {
    match () {
        () if line.words.is_some() => "sessions",
        () if line.server.is_none() => "loans",
        () if line.witness.is_none() => "listeners",
        () if line.witness.iter().any(|shown| shown.session.mechanism.is_some()) => "mechanisms",
        () if line.witness.iter().any(|shown| shown.session.header.is_some()) => "headers",
        () => "filters",
    }
}

/// Every line of plans from each of some settings to the next.
fn look(all: &[Config]) -> BTreeMap<&'static str, u32> {
    let mut looked = BTreeMap::new();
    for pair in all.windows(2) {
        let plan = Plan::of(("old.toml", &pair[0]), ("new.toml", &pair[1]), NOW);
        for line in &plan.lines {
            if let Err(wrong) = shows(line, [&pair[0], &pair[1]]) {
                panic!("{wrong}");
            }
            *looked.entry(kind(line)).or_default() += 1;
        }
    }
    looked
}

#[test]
fn the_session_of_every_line_shows_what_it_says() {
    let all: Vec<Config> = draws().map(|(_, _, config)| config).take(24).collect();
    let looked = look(&all);
    for (kind, least) in [("sessions", 500), ("headers", 40), ("mechanisms", 10), ("loans", 20), ("filters", 2)] {
        assert!(looked.get(kind).is_some_and(|count| *count > least), "{kind}: {looked:?}");
    }
}

/// Other domains are of the organization: the addresses that stand for those inside are not the same any more.
#[test]
fn a_session_shows_it_where_domains_come_and_go() {
    const DOMAINS: &str = "\"corp.example\", \"corp2.example\"";
    let others =
        ["\"corp.example\"", "\"corp.example\", \"a.example\"", "\"corp.example\", \"a.example\", \"b.example\""];
    let mut looked = BTreeMap::new();
    for ((mut dice, draw, old), (_, next, _)) in draws().zip(draws().skip(1)).take(8) {
        let Some(new) = settings(&next.text().replace(DOMAINS, others[dice.below(others.len())])) else { continue };
        assert_ne!(draw.text(), draw.text().replace(DOMAINS, ""), "the domains are there");
        for (kind, count) in look(&[old, new]) {
            *looked.entry(kind).or_insert(0) += count;
        }
    }
    assert!(looked.get("headers").is_some_and(|count| *count > 10), "{looked:?}");
}

/// Nothing but what is lent differs: whoever can use an address under one of the settings alone is in the plan.
#[test]
fn what_is_lent_is_said_if_anybody_can_tell() {
    let (mut told, mut silent) = (0, 0);
    for (mut dice, draw, old) in draws() {
        let lent = Draw::new(&mut dice).loans;
        let mut other = draw.clone();
        other.loans = lent;
        let Some(new) = settings(&other.text()) else { continue };
        let plan = Plan::of(("old.toml", &old), ("new.toml", &new), NOW);
        for line in &plan.lines {
            assert_eq!(shows(line, [&old, &new]), Ok(()));
        }
        let sessions = lending(&old).chain(lending(&new)).collect::<Vec<_>>();
        let different = sessions.iter().find(|session| fate(&old, session, NOW) != fate(&new, session, NOW));
        match different {
            Some(session) => {
                let said = plan.lines.iter().any(|line| line.what.contains(" send as "));
                assert!(said, "{session}\n{}\n{}", access::text::plan(&plan), draw.text());
                told += 1;
            }
            None => silent += u32::from(plan.lines.is_empty()),
        }
    }
    assert!(told > 30 && silent > 30, "{told} {silent}");
}

/// Sessions of borrowers, from everywhere and with everything that is lent.
fn lending(config: &Config) -> impl Iterator<Item = Witness> {
    const CLIENTS: [&str; 5] = ["10.0.0.5", "10.0.0.77", "192.0.2.66", "203.0.113.9", "2001:db8::5"];
    const PLACES: [AddressPlace; 4] =
        [AddressPlace::Envelope, AddressPlace::From, AddressPlace::Sender, AddressPlace::ResentFrom];
    let mut all = Vec::new();
    for (server, client) in config.servers.iter().flat_map(|server| CLIENTS.map(|client| (server, client))) {
        for loan in server.rules.send_as.grants.iter().filter(|loan| !loan.term.is_over(NOW)) {
            for (link, place) in Link::ALL.into_iter().flat_map(|link| PLACES.map(|place| (link, place))) {
                let address = match &loan.addresses[0] {
                    Addresses::One(mailbox) => mailbox.clone(),
                    Addresses::AllAt(host) => Mailbox { local: "anybody".parse().unwrap(), host: host.clone() },
                };
                let is_envelope = place == AddressPlace::Envelope;
                let reverse_path = if is_envelope { ReversePath::Mailbox(address.clone()) } else { ReversePath::Null };
                all.push(Witness {
                    server: server.name.clone(),
                    client: client.parse().unwrap(),
                    names: access::Names::Unlisted,
                    link,
                    mechanism: None,
                    identity: borrower(&loan.to),
                    reverse_path,
                    recipient: None,
                    found: None,
                    header: (!is_envelope).then_some((place, address)),
                    day: None,
                });
            }
        }
    }
    all.into_iter()
}

fn borrower(to: &Borrower) -> Identity {
    let account = |name: &str, groups: Box<[Box<str>]>| {
        let addresses = Box::new(["me@corp.example".parse().unwrap()]);
        Identity::Account(Arc::new(Account { name: name.into(), groups, addresses }))
    };
    match to {
        Borrower::Clients(_) => Identity::Anonymous,
        Borrower::Peer(name) => Identity::Peer(name.clone()),
        Borrower::Holder(Who::Account(name)) => account(name, Box::new([])),
        Borrower::Holder(Who::Group(group)) => account("u9", Box::new([group.clone()])),
    }
}

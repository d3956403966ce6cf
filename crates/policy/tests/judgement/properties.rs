//! What holds for all rules, clients and answers of the DNS.
//!
//! Rules are drawn as plain data from a small world of addresses and names, so that entries overlap,
//! repeat and contradict one another as often as possible.

use mail::{Domain, Found, Identity, Ledger, Mailbox, Net, Query, ReversePath, Timestamp};
use policy::{
    Acceptance, Admission, AppliesTo, Authentication, ConnectionControl, ConnectionFacts, Decision, Domains, Entry,
    Finding, Limits, List, Match, Missing, Mode, RecipientFacts, Recipients, Refusal, Relay, Remote, Rights, RuleBook,
    RuleId, Rules, SendAs, SenderFacts, SenderFilter, Step, Submission,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const CLIENTS: [&str; 11] = [
    "10.0.0.0",
    "10.0.0.1",
    "10.0.0.2",
    "10.0.1.1",
    "192.0.2.1",
    "255.255.255.255",
    "2001:db8::1",
    "2001:db8::2",
    "2001:db8:1::1",
    "::1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
];
const NAMES: [&str; 6] = ["example", "a.example", "h.a.example", "x.h.a.example", "b.example", "nota.example"];
const RECIPIENTS: [&str; 9] = [
    "alice@corp.example",
    "nobody@corp.example",
    "postmaster@corp.example",
    "50%off@corp.example",
    "u!x@corp.example",
    "x@remote.example",
    "x@sub.remote.example",
    "x@ext.example",
    "x@[192.0.2.1]",
];

/// Rules as plain data, so that they can be changed.
#[derive(Clone, Debug)]
struct Plan {
    connection: (Mode, Vec<Match>),
    applies_to: AppliesTo,
    anonymous: bool,
    relay: (Mode, Vec<Match>),
    relay_authenticated: bool,
    /// Whether `remote.example` and `*.remote.example` allow relaying; `None`: not in the settings.
    remote: [Option<bool>; 2],
    recipients: Option<Vec<Mailbox>>,
    connections: Option<u32>,
    per_address: Option<u32>,
}

/// A client and what it wants.
#[derive(Clone, Debug)]
struct Client {
    address: IpAddr,
    identity: Identity,
    open: u32,
    open_from_client: u32,
    recipient: Mailbox,
}

fn mode() -> impl Strategy<Value = Mode> {
    select(vec![Mode::AllExcept, Mode::Only])
}

fn entry() -> impl Strategy<Value = Match> {
    let net = (select(CLIENTS.to_vec()), select(vec![0, 8, 24, 30, 31, 32, 32]), select(vec![0, 32, 48, 127, 128]));
    prop_oneof![
        12 => net.prop_map(|(address, v4, v6)| Match::Net(Net::around(address.parse().unwrap(), v4, v6))),
        // An IPv6 prefix never means IPv4 clients, not even this one.
        1 => Just(Match::Net("::ffff:0:0/96".parse().unwrap())),
        4 => select(NAMES.to_vec()).prop_map(|name| Match::Domain(name.parse().unwrap())),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let known = vec(select(RECIPIENTS[..5].to_vec()), 0..4);
    let known = known.prop_map(|all| all.into_iter().map(|one| one.parse().unwrap()).collect());
    let access = (mode(), vec(entry(), 0..8), any::<bool>(), any::<bool>());
    let relay = (mode(), vec(entry(), 0..8), any::<bool>(), any::<[Option<bool>; 2]>());
    let limits = (proptest::option::of(0..4_u32), proptest::option::of(0..4_u32));
    (access, relay, proptest::option::of(known), limits).prop_map(|(access, relay, recipients, limits)| Plan {
        connection: (access.0, access.1),
        applies_to: if access.2 { AppliesTo::Anonymous } else { AppliesTo::Everyone },
        anonymous: access.3,
        relay: (relay.0, relay.1),
        relay_authenticated: relay.2,
        remote: relay.3,
        recipients,
        connections: limits.0,
        per_address: limits.1,
    })
}

fn client() -> impl Strategy<Value = Client> {
    (select(CLIENTS.to_vec()), any::<bool>(), 0..4_u32, 0..4_u32, select(RECIPIENTS.to_vec())).prop_map(
        |(address, account, open, open_from_client, recipient)| Client {
            address: address.parse().unwrap(),
            identity: if account { Identity::account("u1") } else { Identity::Anonymous },
            open,
            open_from_client,
            recipient: recipient.parse().unwrap(),
        },
    )
}

/// What the DNS says about the client when it is asked, and it knows.
fn known_names() -> impl Strategy<Value = Found> {
    let names = vec(select(NAMES.to_vec()), 0..3);
    prop_oneof![
        3 => names.prop_map(|all| Found::Names(all.into_iter().map(|name| name.parse().unwrap()).collect())),
        1 => Just(Found::Absent),
    ]
}

fn names() -> impl Strategy<Value = Found> {
    prop_oneof![3 => known_names(), 1 => Just(Found::Unavailable), 1 => Just(Found::Addresses(Vec::new()))]
}

impl Plan {
    fn rules(&self) -> Rules {
        let mut book = RuleBook::new();
        let mut rule = |key: &str| book.add(key, None);
        let connection = list(&mut rule, &self.connection.1);
        let relay = list(&mut rule, &self.relay.1);
        Rules {
            server: "inbound".into(),
            connection: ConnectionControl {
                rule: rule("connection_control"),
                mode: self.connection.0,
                mode_rule: rule("connection_control.mode"),
                list: connection,
                applies_to: self.applies_to,
                applies_rule: rule("connection_control.applies_to"),
            },
            authentication: Authentication { anonymous: self.anonymous, anonymous_rule: rule("anonymous") },
            relay: Relay {
                mode: self.relay.0,
                mode_rule: rule("relay.mode"),
                list: relay,
                authenticated: self.relay_authenticated,
                authenticated_rule: rule("relay.authenticated"),
                rights: Rights::nobody(rule("relay.allow")),
            },
            submit: Rights::everyone(rule("submit.allow")),
            sender_filter: SenderFilter::off(rule("filters.sender")),
            send_as: SendAs::anybody(rule("send_as")),
            peers: Arc::default(),
            domains: Arc::new(self.domains(&mut rule)),
            limits: Limits {
                connections: self.connections,
                connections_rule: rule("connections"),
                connections_per_address: self.per_address,
                connections_per_address_rule: rule("connections_per_address"),
                connections_per_network: self.per_address,
                connections_per_network_rule: rule("connections_per_network"),
                connections_in_all: self.connections,
                connections_in_all_rule: rule("connections_in_all"),
                hop_count: 30,
                hop_count_rule: rule("hop_count"),
            },
        }
    }

    fn domains(&self, rule: &mut impl FnMut(&str) -> RuleId) -> Domains {
        let mut remotes = self.remote.map(|allow_relay| {
            let (rule, allow_relay_rule) = (rule("remote"), rule("remote.allow_relay"));
            let remote = allow_relay.map(|allow_relay| Remote { rule, allow_relay, allow_relay_rule, route: None });
            remote.map(|remote| ("remote.example".parse::<Domain>().unwrap(), remote))
        });
        Domains {
            organization_rule: rule("organization"),
            organization: BTreeMap::from([("corp.example".parse().unwrap(), rule("corp.example"))]),
            aliases: BTreeMap::new(),
            default_domain: None,
            remote_rule: rule("remote_domains"),
            remote: remotes[0].take().into_iter().collect(),
            remote_below: remotes[1].take().into_iter().collect(),
            recipients: self.recipients.clone().map(|known| Recipients::new(rule("recipients"), known)),
            recipients_in: None,
        }
    }

    /// The same rules with one permit less or one denial more; `None` if the change drawn is not one.
    fn narrowed(&self, change: usize, which: Index, extra: Match) -> Option<Plan> {
        let mut plan = self.clone();
        match change {
            0 => narrow(&mut plan.connection, which, extra)?,
            1 => narrow(&mut plan.relay, which, extra)?,
            2 => plan.applies_to = AppliesTo::Everyone,
            3 => plan.anonymous = false,
            4 => plan.relay_authenticated = false,
            5 | 6 => plan.remote[change - 5] = plan.remote[change - 5].map(|_| false),
            // A remote domain that denies may stand before a wildcard that permits: not a permit less.
            7 | 8 if plan.remote[change - 7] == Some(true) => plan.remote[change - 7] = None,
            9 => drop(remove(plan.recipients.as_mut()?, which)?),
            10 => plan.connections = Some(plan.connections.unwrap_or(4).saturating_sub(1)),
            11 => plan.per_address = Some(plan.per_address.unwrap_or(4).saturating_sub(1)),
            _ => return None,
        }
        Some(plan)
    }
}

/// Takes a permit from a list of permits, or adds a denial to a list of denials.
fn narrow(list: &mut (Mode, Vec<Match>), which: Index, extra: Match) -> Option<()> {
    match list.0 {
        Mode::Only => remove(&mut list.1, which).map(drop),
        Mode::AllExcept => {
            list.1.insert(which.index(list.1.len() + 1), extra);
            Some(())
        }
    }
}

fn remove<T>(from: &mut Vec<T>, which: Index) -> Option<T> {
    if from.is_empty() { None } else { Some(from.remove(which.index(from.len()))) }
}

fn list(rule: &mut impl FnMut(&str) -> RuleId, entries: &[Match]) -> List {
    let whole = rule("list");
    List::new(whole, entries.iter().map(|what| Entry::new(rule("list[n]"), what.clone())).collect())
}

/// Asks until nothing is missing, as the gateway does. Also says how often it had to ask again.
fn drive<V>(
    found: &Found,
    mut ask: impl FnMut(&Ledger) -> Result<Decision<V>, Missing>,
) -> (Decision<V>, usize, Ledger) {
    let mut ledger = Ledger::new();
    for restarts in 0..10 {
        match ask(&ledger) {
            Ok(decision) => return (decision, restarts, ledger),
            Err(Missing(query)) => {
                assert!(ledger.find(&query).is_none(), "asked again for {query:?}");
                ledger.enter(query, found.clone());
            }
        }
    }
    panic!("no end of look-ups");
}

fn ask_connection(rules: &Rules, client: &Client, ledger: &Ledger) -> Result<Decision<Admission>, Missing> {
    let Client { address, open, open_from_client, .. } = *client;
    let facts = ConnectionFacts {
        client: address,
        now: NOW,
        open_in_all: open,
        open,
        open_from_client,
        open_from_network: open_from_client,
    };
    policy::connection(rules, &facts, ledger)
}

fn ask_sender(
    rules: &Rules,
    client: &Client,
    admission: Admission,
    ledger: &Ledger,
) -> Result<Decision<Submission>, Missing> {
    let reverse_path = ReversePath::Null;
    let facts = SenderFacts {
        client: client.address,
        now: NOW,
        admission,
        identity: &client.identity,
        secured: false,
        reverse_path: &reverse_path,
    };
    policy::sender(rules, &facts, ledger)
}

fn ask_recipient(rules: &Rules, client: &Client, ledger: &Ledger) -> Result<Decision<Acceptance>, Missing> {
    let facts =
        RecipientFacts { client: client.address, now: NOW, identity: &client.identity, recipient: &client.recipient };
    policy::recipient(rules, &facts, ledger)
}

/// The three decisions of one session, as far as it gets.
#[derive(Debug, PartialEq)]
struct Session {
    connection: Decision<Admission>,
    sender: Option<Decision<Submission>>,
    recipient: Decision<Acceptance>,
    most_restarts: usize,
}

fn session(rules: &Rules, client: &Client, found: &Found) -> Session {
    let (connection, first, _) = drive(found, |ledger| ask_connection(rules, client, ledger));
    let sent = connection
        .verdict
        .as_ref()
        .ok()
        .map(|admission| drive(found, |ledger| ask_sender(rules, client, *admission, ledger)));
    // Also judged when the session would not get so far: each question must be right by itself.
    let (recipient, third, _) = drive(found, |ledger| ask_recipient(rules, client, ledger));
    let second = sent.as_ref().map_or(0, |sent| sent.1);
    Session { connection, sender: sent.map(|sent| sent.0), recipient, most_restarts: first.max(second).max(third) }
}

impl Session {
    /// How far the client gets at each question, as numbers that can be compared.
    fn grants(&self) -> [u8; 3] {
        let connection = match self.connection.verdict {
            Err(_) => 0,
            Ok(Admission::MustAuthenticate) => 1,
            Ok(Admission::Admitted) => 2,
        };
        let sender = self.sender.as_ref().is_some_and(|decision| decision.verdict.is_ok());
        [connection, u8::from(sender), u8::from(self.recipient.verdict.is_ok())]
    }

    /// The refusal of each question, if it was reached and refused.
    fn refusals(&self) -> [Option<&Refusal>; 3] {
        [
            self.connection.verdict.as_ref().err(),
            self.sender.as_ref().and_then(|decision| decision.verdict.as_ref().err()),
            self.recipient.verdict.as_ref().err(),
        ]
    }
}

/// What a list must find: the entries in their order, addresses before names; the steps it must leave.
fn ordered_scan(list: &List, client: IpAddr, found: &Found) -> Vec<Step> {
    let step = |rule, finding| Step { rule, finding };
    let nets = list.entries().iter().find(|entry| matches!(&entry.what, Match::Net(net) if net.contains(client)));
    if let Some(entry) = nets {
        return vec![step(entry.rule, Finding::Matched)];
    }
    let mut steps = Vec::new();
    let mut unavailable = false;
    for entry in list.entries() {
        let Match::Domain(domain) = &entry.what else { continue };
        let finding = match found {
            Found::Names(names) if names.iter().any(|name| name == domain || name.is_below(domain)) => Finding::Matched,
            Found::Names(_) | Found::Absent => Finding::NoMatch,
            Found::Unavailable | Found::Addresses(_) | Found::Exists => Finding::Unavailable,
        };
        steps.push(step(entry.rule, finding));
        if finding == Finding::Matched {
            return steps;
        }
        unavailable |= finding == Finding::Unavailable;
    }
    steps.push(step(list.rule(), if unavailable { Finding::Unavailable } else { Finding::NoMatch }));
    steps
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn less_permission_never_permits_more(
        plan in plan(), client in client(), found in names(),
        change in 0..12_usize, which in any::<Index>(), extra in entry(),
    ) {
        if let Some(narrowed) = plan.narrowed(change, which, extra) {
            let before = session(&plan.rules(), &client, &found);
            let after = session(&narrowed.rules(), &client, &found);
            for (after, before) in after.grants().into_iter().zip(before.grants()) {
                prop_assert!(after <= before, "{plan:?}\n{narrowed:?}");
            }
        }
    }

    #[test]
    fn a_mapped_address_is_its_ipv4_address(plan in plan(), client in client(), found in names()) {
        if let IpAddr::V4(v4) = client.address {
            let mapped = Client { address: IpAddr::V6(v4.to_ipv6_mapped()), ..client.clone() };
            let rules = plan.rules();
            prop_assert_eq!(session(&rules, &mapped, &found), session(&rules, &client, &found));
        }
    }

    #[test]
    fn a_sorted_list_finds_what_an_ordered_scan_finds(
        entries in vec(entry(), 0..40), client in client(), found in names(),
    ) {
        let mut book = RuleBook::new();
        let list = list(&mut |key: &str| book.add(key, None), &entries);
        let mut plan_rules = Plan {
            connection: (Mode::AllExcept, Vec::new()), applies_to: AppliesTo::Everyone, anonymous: true,
            relay: (Mode::Only, Vec::new()), relay_authenticated: false, remote: [None; 2], recipients: None,
            connections: None, per_address: None,
        }.rules();
        plan_rules.connection.list = list.clone();
        let (decision, _, _) = drive(&found, |ledger| ask_connection(&plan_rules, &client, ledger));
        let mut expected = ordered_scan(&list, client.address, &found);
        if expected.last().is_some_and(|step| step.finding == Finding::NoMatch) {
            expected.push(Step { rule: plan_rules.connection.mode_rule, finding: Finding::Matched });
        }
        prop_assert_eq!(decision.trace.steps(), &expected[..]);
    }

    #[test]
    fn the_order_of_a_list_never_changes_a_verdict(plan in plan(), client in client(), found in names()) {
        let mut turned = plan.clone();
        turned.connection.1.reverse();
        turned.relay.1.reverse();
        let (straight, turned) = (session(&plan.rules(), &client, &found), session(&turned.rules(), &client, &found));
        prop_assert_eq!(straight.refusals(), turned.refusals());
        prop_assert_eq!(straight.grants(), turned.grants());
    }

    #[test]
    fn a_fuller_ledger_changes_nothing(
        plan in plan(), client in client(), found in names(), other in names(), stranger in select(CLIENTS.to_vec()),
    ) {
        let rules = plan.rules();
        let (connected, _, mut ledger) = drive(&found, |ledger| ask_connection(&rules, &client, ledger));
        let (accepted, _, mut other_ledger) = drive(&found, |ledger| ask_recipient(&rules, &client, ledger));
        // Look-ups nobody asked for, and a second answer to the one that somebody did.
        let asked = Query::ConfirmedNames(mail::canonical(client.address));
        for ledger in [&mut ledger, &mut other_ledger] {
            ledger.enter(Query::ConfirmedNames(stranger.parse().unwrap()), other.clone());
            ledger.enter(Query::Addresses("a.example".parse().unwrap()), other.clone());
            ledger.enter(asked.clone(), other.clone());
        }
        prop_assert_eq!(ask_connection(&rules, &client, &ledger), Ok(connected));
        prop_assert_eq!(ask_recipient(&rules, &client, &other_ledger), Ok(accepted));
    }

    #[test]
    fn what_could_not_be_found_out_grants_nothing_and_refuses_nothing_for_good(
        plan in plan(), client in client(), found in known_names(),
    ) {
        let rules = plan.rules();
        let unknown = session(&rules, &client, &Found::Unavailable);
        let known = session(&rules, &client, &found);
        // Whatever was granted without knowing would be granted whatever the answer…
        for (blind, seeing) in unknown.grants().into_iter().zip(known.grants()) {
            prop_assert!(blind <= seeing);
        }
        // …and whatever was refused for good would be refused whatever the answer.
        for (blind, seeing) in unknown.refusals().into_iter().zip(known.refusals()) {
            prop_assert!(blind.is_none_or(|refusal| refusal.is_later() || seeing.is_some()));
        }
        let decisions = [
            (&unknown.connection.trace, unknown.refusals()[0]),
            (&unknown.recipient.trace, unknown.refusals()[2]),
        ];
        for (trace, refusal) in decisions {
            let rests = trace.steps().last().is_some_and(|step| step.finding == Finding::Unavailable);
            prop_assert_eq!(rests, refusal == Some(&Refusal::CouldNotFindOut));
        }
    }

    #[test]
    fn one_look_up_is_the_most_a_question_needs(plan in plan(), client in client(), found in names()) {
        prop_assert!(session(&plan.rules(), &client, &found).most_restarts <= 1);
    }

    #[test]
    fn every_refusal_has_a_rule_and_every_grant_of_a_relay_too(plan in plan(), client in client(), found in names()) {
        let session = session(&plan.rules(), &client, &found);
        prop_assert_eq!(session.connection.responsible().is_some(), session.connection.verdict.is_err());
        prop_assert_eq!(session.recipient.responsible().is_some(), session.recipient.verdict.is_err());
        if let Ok(Acceptance::Relayed { .. }) = session.recipient.verdict {
            let last = session.recipient.trace.steps().last();
            prop_assert_eq!(last.map(|step| step.finding), Some(Finding::Matched));
        }
    }
}

#[test]
fn being_let_in_once_by_authenticating_is_not_remembered_by_address() {
    // Conformance row 14: the same address without the identity is judged as if it had never been here.
    let plan = Plan {
        connection: (Mode::Only, Vec::new()),
        applies_to: AppliesTo::Anonymous,
        anonymous: true,
        relay: (Mode::Only, Vec::new()),
        relay_authenticated: true,
        remote: [None; 2],
        recipients: None,
        connections: None,
        per_address: None,
    };
    let rules = plan.rules();
    let known = Client {
        address: "192.0.2.1".parse().unwrap(),
        identity: Identity::account("u1"),
        open: 0,
        open_from_client: 0,
        recipient: "bob@ext.example".parse().unwrap(),
    };
    let unknown = Client { identity: Identity::Anonymous, ..known.clone() };
    let before = session(&rules, &unknown, &Found::Absent);
    assert_eq!(session(&rules, &known, &Found::Absent).grants(), [1, 1, 1]);
    assert_eq!(session(&rules, &unknown, &Found::Absent), before);
    assert_eq!(before.grants(), [1, 0, 0]);
}

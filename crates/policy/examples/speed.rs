//! Prints what the questions of one message cost with lists of a thousand entries:
//! `cargo run --release -p policy --example speed`. The promise is 5 µs for all of them together.

#![allow(clippy::disallowed_methods, reason = "a figure of speed needs a clock")]
#![allow(clippy::unwrap_used, reason = "the texts below are what they are")]

use mail::{Account, Authors, Domain, Found, Host, Identity, Ledger, Mailbox, Net, Query, ReversePath, Timestamp};
use policy::{
    Action, Addresses, Allowed, AppliesTo, Authentication, Borrower, Check, ConnectionControl, ConnectionFacts,
    Domains, Entry, FilteredSender, FilteredSenders, Holder, Holders, Limits, List, Loan, Loans, Local, Match,
    MessageFacts, Mode, OnMatch, RecipientFacts, Recipients, Relay, Remote, Rights, Routing, RuleBook, RuleId, Rules,
    SendAs, SenderFacts, SenderFilter, SenderList, Term, Who,
};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

const ROUNDS: u32 = 200_000;

fn main() {
    let addresses = |at: u16| Match::Net(Net::from(IpAddr::from(Ipv4Addr::from(0x0a00_0000 + u32::from(at) * 7))));
    let prefixes = |at: u16| {
        let length = 16 + u8::try_from(at % 17).unwrap();
        Match::Net(Net::around(IpAddr::from(Ipv4Addr::from(0x0a00_0000 + (u32::from(at) << 12))), length, 128))
    };
    let names = |at: u16| Match::Domain(format!("d{at}.example").parse().unwrap());
    println!("one message: connection, sender, one recipient outside, message, route; 1,000 entries in each list");
    measure("1,000 addresses, none matches", &addresses, "192.0.2.66");
    measure("1,000 addresses, one matches", &addresses, "10.0.27.81");
    measure("1,000 prefixes of 17 lengths, none matches", &prefixes, "192.0.2.66");
    measure("1,000 names, none matches", &names, "192.0.2.66");
    measure_account();
}

/// What is asked again and again.
struct Scene {
    rules: Rules,
    routing: Routing,
    client: IpAddr,
    identity: Identity,
    from: ReversePath,
    header: &'static [u8],
}

fn measure(title: &str, entry: &dyn Fn(u16) -> Match, client: &str) {
    let (rules, routing) = settings(&mut RuleBook::new(), entry);
    let from = ReversePath::Mailbox("x@there.test".parse().unwrap());
    let client = client.parse().unwrap();
    let header = b"From: x@there.test\r\n";
    time(title, &Scene { rules, routing, client, identity: Identity::Anonymous, from, header });
}

/// An account in ten groups, only one of which has any right: the dearest shape of rights and loans.
fn measure_account() {
    let mut book = RuleBook::new();
    let (mut rules, routing) =
        settings(&mut book, &|at| Match::Net(Net::from(IpAddr::from(Ipv4Addr::from(u32::from(at))))));
    let rule = book.add("rule", Some(1));
    let who = |at: u16| match at % 2 {
        0 => Who::Account(format!("u{at}").into()),
        _ => Who::Group(format!("G{at}").into()),
    };
    let holders = |range: std::ops::Range<u16>| {
        Holders::new(rule, range.map(|at| Holder { rule, who: who(at), term: Term::default() }).collect())
    };
    let rights = || Rights { deny: holders(1_000..2_000), allow: Allowed::Only(holders(0..1_000)) };
    (rules.submit, rules.relay.rights, rules.relay.authenticated) = (rights(), rights(), false);
    let loan = |at: u16| Loan {
        rule,
        to: Borrower::Holder(who(at)),
        addresses: Box::new([Addresses::One(format!("a{at}@d1.corp.example").parse().unwrap())]),
        term: Term::default(),
    };
    let refuse = Check { rule, action: Action::Refuse };
    let grants = Arc::new(Loans::from((0..1_000).map(loan).collect::<Vec<_>>()));
    rules.send_as = SendAs { envelope: refuse, from: refuse, sender: refuse, grants, ..SendAs::anybody(rule) };
    let groups: Vec<Box<str>> = (0..10).map(|at| format!("g{}", 2 * at + 999).into()).collect();
    let account = Account { name: "somebody".into(), groups: groups.into(), addresses: Box::new([]) };
    let scene = Scene {
        rules,
        routing,
        client: "10.0.0.1".parse().unwrap(),
        identity: Identity::Account(Arc::new(account)),
        from: ReversePath::Mailbox("a999@d1.corp.example".parse().unwrap()),
        header: b"From: a999@d1.corp.example\r\nSender: a999@d1.corp.example\r\n",
    };
    time("an account in 10 groups; 1,000 holders and 1,000 denials of each right, 1,000 loans", &scene);
}

fn time(title: &str, scene: &Scene) {
    let Scene { rules, routing, client, identity, from, header } = scene;
    let client = *client;
    let mut ledger = Ledger::new();
    ledger.enter(Query::ConfirmedNames(client), Found::Names(vec!["mx.there.test".parse().unwrap()]));
    let recipient: Mailbox = "bob@mail.ext.example".parse().unwrap();
    let now = Timestamp::from_millis(1_800_000_000_000);
    let authors = Authors::of(header);
    let start = Instant::now();
    for _ in 0..ROUNDS {
        let facts = ConnectionFacts { client, now, open_in_all: 7, open: 7, open_from_client: 0, open_from_network: 0 };
        let connected = policy::connection(black_box(rules), &facts, &ledger).unwrap();
        let admission = black_box(connected).verdict.unwrap();
        let facts = SenderFacts { client, now, admission, identity, secured: false, reverse_path: from };
        black_box(policy::sender(rules, &facts, &ledger)).unwrap();
        let facts = RecipientFacts { client, now, identity, recipient: &recipient };
        black_box(policy::recipient(rules, &facts, &ledger)).unwrap();
        let facts = MessageFacts { client, now, identity, authors: &authors, hops: 3 };
        black_box(policy::message(rules, &facts, &ledger)).unwrap();
        black_box(policy::route(routing, "inbound", &recipient));
    }
    let each = start.elapsed() / ROUNDS;
    println!("{title}: {:.2} µs", each.as_secs_f64() * 1e6);
}

/// The dearest shape: connection control is judged twice, and the recipient passes every rule there is.
fn settings(book: &mut RuleBook, entry: &dyn Fn(u16) -> Match) -> (Rules, Routing) {
    let mut list = |key: &str| {
        let rule = book.add(key, Some(1));
        let entries = (0..1_000).map(|at| Entry::new(book.add(format!("{key}[{at}]"), Some(2)), entry(at)));
        List::new(rule, entries.collect())
    };
    let (connection, relay) = (list("connection_control.list"), list("relay.list"));
    let rule = book.add("rule", Some(1));
    let domains = Arc::new(domains(rule));
    let rules = Rules {
        server: "inbound".into(),
        connection: ConnectionControl {
            rule,
            mode: Mode::Only,
            mode_rule: rule,
            list: connection,
            applies_to: AppliesTo::Anonymous,
            applies_rule: rule,
        },
        authentication: Authentication { anonymous: true, anonymous_rule: rule },
        submit: Rights::everyone(rule),
        relay: Relay {
            mode: Mode::Only,
            mode_rule: rule,
            list: relay,
            authenticated: true,
            authenticated_rule: rule,
            rights: Rights::nobody(rule),
        },
        sender_filter: sender_filter(rule),
        send_as: SendAs { anonymous: Check { rule, action: Action::Mark }, ..SendAs::anybody(rule) },
        peers: Arc::default(),
        domains: domains.clone(),
        limits: Limits {
            connections: Some(1_000),
            connections_rule: rule,
            connections_per_address: Some(20),
            connections_per_address_rule: rule,
            connections_per_network: Some(100),
            connections_per_network_rule: rule,
            connections_in_all: Some(1_000),
            connections_in_all_rule: rule,
            hop_count: 30,
            hop_count_rule: rule,
        },
    };
    (rules, Routing { domains, organization: None, drop_directory: None, servers: BTreeMap::new() })
}

/// A filter that is applied, and has somebody else.
fn sender_filter(rule: RuleId) -> SenderFilter {
    let entry = |at: u16| FilteredSender {
        rule,
        addresses: match at % 2 {
            0 => Addresses::One(format!("x@d{at}.spam.example").parse().unwrap()),
            _ => Addresses::AllAt(Host::Domain(format!("d{at}.spam.example").parse().unwrap())),
        },
        term: Term::default(),
    };
    let list = SenderList::new(rule, (0..1_000).map(entry).collect(), &BTreeMap::new());
    let senders = FilteredSenders { list, null_sender: true, null_sender_rule: rule, on_match: OnMatch::Drop };
    SenderFilter { applied: true, applied_rule: rule, senders: Arc::new(senders) }
}

fn domains(rule: RuleId) -> Domains {
    let name = |at: u16, suffix: &str| -> Domain { format!("d{at}.{suffix}").parse().unwrap() };
    let remote = || Remote { rule, allow_relay: false, allow_relay_rule: rule, route: None };
    Domains {
        organization_rule: rule,
        organization: (0..1_000).map(|at| (name(at, "corp.example"), rule)).collect(),
        aliases: BTreeMap::new(),
        default_domain: Some(Local { rule, domain: "corp.example".parse().unwrap() }),
        remote_rule: rule,
        remote: (0..1_000).map(|at| (name(at, "partner.example"), remote())).collect(),
        remote_below: (0..1_000).map(|at| (name(at, "below.example"), remote())).collect(),
        recipients: Some(Recipients::new(rule, ["alice@corp.example".parse().unwrap()])),
        recipients_in: None,
    }
}

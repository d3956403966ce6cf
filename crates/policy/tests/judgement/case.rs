//! The language of case files.
//!
//! Lines that start with `#` are prose. A `? ` line is a question; `=> ` and the indented lines below
//! it are the answer, which is written here. Everything else sets up rules:
//!
//! ```text
//! server inbound                     the virtual server that the lines below are about
//! connection only                    or `all-except`; entries follow, indented: an address, a prefix,
//!   10.168.0.1                       or `name partner.example`
//! applies-to anonymous               or `everyone`
//! anonymous off
//! relay only                         as connection
//! relay-authenticated on
//! limit connections 2                or `-in-all`, `-per-address`, `-per-network` behind it
//! hop-count 15
//! smart-hosts 10.0.0.20:25
//! organization corp.example          domains, for all virtual servers
//! alias corp.test corp.example
//! default-domain bogus1
//! remote *.corp.example allow-relay route 10.0.0.20:25      both words may be left out
//! recipients                         known recipients follow, indented
//! organization-route 10.0.0.20:25
//! drop-directory /srv/drop
//! submit-allow                       or `-deny`, `relay-allow`, `relay-deny`; entries follow: `account:u1` or `group:staff`
//! filter applied                     to this virtual server
//! filter @spam.example               or an address, or `<>`, for all virtual servers; `filter refuse` lets the session go on
//! peer ex1 no-relay                  or `no-submit`, `no-send-as`, `no-bypass`; a peer may everything that is not named so
//! send-as from mark                  or another place, and `refuse` or `off`; nothing is asked where nothing is said
//! lend account:news news@corp.example until 2027-01-31
//! An entry, too, may end with `until 2027-01-31`.
//!
//! dns 10.168.0.9 h.partner.example   or `absent`, or `unavailable`
//!
//! ? inbound connect 10.168.0.2 in-all 3 open 2 from-client 1 from-network 2
//! ? inbound mail 10.168.0.2 as u1 from x@ext.example        `from <>` for the null reverse-path
//! ? inbound rcpt 10.168.0.2 as u1 to <bob@ext.example>      a path, as RCPT takes it
//! ? inbound message hops 16
//! ? inbound message of 10.168.0.2 as u1 owning u1@corp.example header From: u1@corp.example|Sender: x@ext.example
//! ? inbound route alice@corp.example
//! ```
//!
//! `? why inbound rcpt ...` also says what each step compared, behind `|`, and which changes of the settings would turn the
//! answer round, behind `>`, the nearest first.
//!
//! `as u1 in staff,ops owning u1@corp.example at 2027-02-01` says more about an account, and when it is asked.
//! A `mail` question is asked with what the connection of that client came to.

mod reader;

use mail::{Account, Authors, Day, Host, Identity, Ledger, Mailbox, Path, ReversePath, Timestamp};
use policy::{
    Acceptance, Admission, AppliesTo, ConnectionFacts, Decision, Entry, Holder, Limits, MessageFacts, Missing, Mode,
    Question, RecipientFacts, Route, Routing, RuleBook, RuleId, Rules, SendAs, SenderFacts, SmartHosts, Target,
    Verdict, render,
};
use reader::Reader;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// The text of a case with its answers made anew.
pub(crate) fn answer(name: &str, text: &str) -> String {
    let asked: Vec<&str> = text.lines().filter(|line| !is_answer(line)).collect();
    // Line numbers are those of the file, so the file as it stands is what is read.
    let world = World::read(name, text);
    let mut out = String::new();
    for line in asked {
        writeln!(out, "{line}").unwrap();
        if let Some(question) = line.strip_prefix("? ") {
            out.push_str(&world.ask(question));
        }
    }
    out
}

fn is_answer(line: &str) -> bool {
    line.starts_with("=> ") || line.starts_with("     ")
}

/// The settings of one virtual server while they are read.
struct Server {
    connection: (Mode, RuleId, RuleId, Vec<Entry>),
    applies: (AppliesTo, RuleId),
    anonymous: (bool, RuleId),
    relay: (Mode, RuleId, RuleId, Vec<Entry>),
    relay_authenticated: (bool, RuleId),
    submit: (Option<Vec<Holder>>, RuleId, Vec<Holder>, RuleId),
    relay_rights: (Vec<Holder>, RuleId, Vec<Holder>, RuleId),
    filter: (bool, RuleId),
    send_as: SendAs,
    limits: Limits,
    smart_hosts: Option<Arc<SmartHosts>>,
}

impl Server {
    fn new(book: &mut RuleBook, name: &str) -> Server {
        let mut default = |key: &str| book.add(format!("virtual_server.{name}.{key}"), None);
        Server {
            connection: (
                Mode::AllExcept,
                default("connection_control.mode"),
                default("connection_control.list"),
                Vec::new(),
            ),
            applies: (AppliesTo::Everyone, default("connection_control.applies_to")),
            anonymous: (true, default("authentication.anonymous")),
            relay: (Mode::Only, default("relay.mode"), default("relay.list"), Vec::new()),
            relay_authenticated: (false, default("relay.authenticated")),
            submit: (None, default("submit.allow"), Vec::new(), default("submit.deny")),
            relay_rights: (Vec::new(), default("relay.allow"), Vec::new(), default("relay.deny")),
            filter: (false, default("filters.sender")),
            send_as: SendAs::anybody(default("send_as")),
            limits: Limits {
                connections: None,
                connections_rule: default("limits.connections"),
                connections_per_address: None,
                connections_per_address_rule: default("limits.connections_per_address"),
                connections_per_network: None,
                connections_per_network_rule: default("limits.connections_per_network"),
                connections_in_all: None,
                connections_in_all_rule: default("limits.connections"),
                hop_count: 30,
                hop_count_rule: default("limits.hop_count"),
            },
            smart_hosts: None,
        }
    }
}

/// When questions are asked that do not say when.
const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

/// A client that finds nobody else inside.
fn alone(client: &str) -> ConnectionFacts {
    let client = client.parse().unwrap();
    ConnectionFacts { client, now: NOW, open_in_all: 0, open: 0, open_from_client: 0, open_from_network: 0 }
}

/// Everything one case file sets up.
struct World {
    name: String,
    book: RuleBook,
    ledger: Ledger,
    rules: BTreeMap<String, Rules>,
    routing: Routing,
}

impl World {
    fn read(name: &str, text: &str) -> World {
        let mut reader = Reader::new(name);
        let mut asking = false;
        for (at, line) in text.lines().enumerate() {
            reader.line = u32::try_from(at + 1).unwrap();
            asking |= line.starts_with("? ");
            let ignored = line.is_empty() || line.starts_with('#') || line.starts_with("? ") || is_answer(line);
            match line.strip_prefix("  ") {
                _ if ignored => {}
                // Rules have the lines of the file, which answers would move.
                _ if asking => panic!("{name}:{}: a setting after the first question", at + 1),
                Some(entry) => reader.entry(entry),
                None => reader.setting(line),
            }
        }
        reader.finish()
    }

    fn ask(&self, question: &str) -> String {
        match question.strip_prefix("why ") {
            Some(question) => self.answer(question, true),
            None => self.answer(question, false),
        }
    }

    fn answer(&self, question: &str, why: bool) -> String {
        let words: Vec<&str> = question.split(' ').collect();
        let rules = self.rules.get(words[0]).unwrap_or_else(|| panic!("{}: no server {}", self.name, words[0]));
        let after = |word: &str| words.iter().position(|w| *w == word).map(|at| words[at + 1]);
        let number = |word: &str| after(word).map_or(0, |n| n.parse::<u32>().unwrap());
        let account = after("as").map_or(Identity::Anonymous, |name| account(name, after("in"), after("owning")));
        let identity = after("as-peer").map_or(account, |name| Identity::Peer(name.into()));
        // Asked at the beginning of the day.
        let now = after("at").map_or(NOW, |day| day.parse::<Day>().unwrap().begins());
        match words[1] {
            "connect" => {
                let facts = ConnectionFacts {
                    open_in_all: number("in-all"),
                    open: number("open"),
                    open_from_client: number("from-client"),
                    open_from_network: number("from-network"),
                    ..alone(words[2])
                };
                self.show(rules, &Question::Connection(facts), why)
            }
            "mail" => self.mail(rules, (words[2], now), &identity, after("from").unwrap(), why),
            "rcpt" => self.rcpt(rules, (words[2], now), &identity, question.split_once(" to ").unwrap().1, why),
            "message" => {
                let header = question.split_once(" header ").map_or("", |(_, header)| header).replace('|', "\r\n");
                let facts = MessageFacts {
                    client: after("of").unwrap_or("192.0.2.66").parse().unwrap(),
                    now,
                    identity: &identity,
                    authors: &Authors::of(header.as_bytes()),
                    hops: number("hops"),
                };
                self.show(rules, &Question::Message(facts), why)
            }
            "route" => {
                let recipient: Mailbox = words[2].parse().unwrap();
                let decision = policy::route(&self.routing, words[0], &recipient);
                let tested = policy::tested_route(&self.routing, words[0], &recipient, &decision.trace);
                self.lines(&decision.map(|route| describe_route(&route)), why.then_some(tested))
            }
            other => panic!("{}: unknown question {other}", self.name),
        }
    }

    fn mail(
        &self,
        rules: &Rules,
        (client, now): (&str, Timestamp),
        identity: &Identity,
        from: &str,
        why: bool,
    ) -> String {
        let connected = policy::connection(rules, &ConnectionFacts { now, ..alone(client) }, &self.ledger)
            .expect("a look-up is missing for the connection");
        let admission = connected.verdict.expect("this client cannot connect");
        let reverse_path = match from {
            "<>" => ReversePath::Null,
            mailbox => ReversePath::Mailbox(mailbox.parse().unwrap()),
        };
        let client = client.parse().unwrap();
        let facts = SenderFacts { client, now, admission, identity, secured: false, reverse_path: &reverse_path };
        self.show(rules, &Question::Sender(facts), why)
    }

    /// The recipient is read as the session reads it: source route dropped, default domain appended.
    fn rcpt(
        &self,
        rules: &Rules,
        (client, now): (&str, Timestamp),
        identity: &Identity,
        path: &str,
        why: bool,
    ) -> String {
        let recipient = match Path::take(path) {
            Ok((Path::Mailbox(mailbox), "")) => mailbox,
            Ok((Path::Bare(local), "")) => {
                let default = rules.domains.default_domain.as_ref().expect("no default domain");
                Mailbox { local, host: Host::Domain(default.domain.clone()) }
            }
            Ok(other) => panic!("{}: {other:?} is not a recipient", self.name),
            Err(error) => return format!("=> not a path: {error}\n"),
        };
        let facts = RecipientFacts { client: client.parse().unwrap(), now, identity, recipient: &recipient };
        self.show(rules, &Question::Recipient(facts), why)
    }

    fn show(&self, rules: &Rules, question: &Question<'_>, why: bool) -> String {
        let decision = match question.ask(rules, &self.ledger) {
            Ok(decision) => decision,
            Err(Missing(query)) => return format!("=> needs {query:?}\n"),
        };
        let tested = why.then(|| policy::tested(rules, question, &self.ledger, &decision.trace));
        let mut out = self.lines(&decision.map(describe), tested);
        if why {
            for edit in policy::edits(rules, &self.book, question, &self.ledger) {
                let place = edit.line.map_or_else(|| "default".to_owned(), |line| format!("line {line}"));
                writeln!(out, "     > {} ({place}): {}", edit.key, edit.what).unwrap();
                edit.toml.iter().for_each(|line| writeln!(out, "     >     {line}").unwrap());
                edit.also.iter().for_each(|also| writeln!(out, "     >   also: {also}").unwrap());
            }
        }
        out
    }

    fn lines(&self, decision: &Decision<String>, tested: Option<Vec<Option<String>>>) -> String {
        let mut out = match &decision.verdict {
            Ok(granted) => format!("=> {granted}\n"),
            Err(refusal) if refusal.is_later() => format!("=> refused for now: {refusal}\n"),
            Err(refusal) => format!("=> refused: {refusal}\n"),
        };
        let tested = tested.into_iter().flatten().chain(std::iter::repeat(None));
        for (line, value) in render::lines(&decision.trace, &self.book).zip(tested) {
            writeln!(out, "     {line}").unwrap();
            value.iter().for_each(|value| writeln!(out, "     | {value}").unwrap());
        }
        out
    }
}

fn describe(verdict: Verdict) -> String {
    match verdict {
        Verdict::Admitted(Admission::Admitted) => "admitted".to_owned(),
        Verdict::Admitted(Admission::MustAuthenticate) => "connected, must authenticate".to_owned(),
        Verdict::Submits(submission) if submission.marked => "may submit, marked".to_owned(),
        Verdict::Submits(_) => "may submit".to_owned(),
        Verdict::Accepted(Acceptance::Submitted { to }) => format!("submitted to {to}"),
        Verdict::Accepted(Acceptance::Relayed { by }) => format!("relayed by {by:?}"),
        Verdict::Taken(taken) => match taken.marks[..] {
            [] => "taken".to_owned(),
            ref marks => format!("taken, marked: {marks:?}"),
        },
    }
}

fn describe_route(route: &Route) -> String {
    match route {
        Route::Drop(drop) => format!("drop directory {}", drop.directory.display()),
        Route::SmartHosts(hosts) => {
            let hosts: Vec<String> = hosts
                .hosts
                .iter()
                .map(|host| match &host.host {
                    Target::Literal(address) => format!("[{}]:{}", address.ip(), address.port()),
                    Target::Name(name, port) => format!("{name}:{port}"),
                })
                .collect();
            format!("smart hosts {}", hosts.join(" "))
        }
        Route::None => "no route".to_owned(),
    }
}

fn account(name: &str, groups: Option<&str>, addresses: Option<&str>) -> Identity {
    let words = |list: Option<&str>| -> Vec<String> {
        list.into_iter().flat_map(|list| list.split(',')).map(str::to_owned).collect()
    };
    Identity::Account(Arc::new(Account {
        name: name.into(),
        groups: words(groups).into_iter().map(Into::into).collect(),
        addresses: words(addresses).into_iter().map(|address| address.parse().unwrap()).collect(),
    }))
}

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
//! peer ex1 no-relay                  or `no-submit`, `no-send-as`; a peer may everything that is not named so
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

use mail::{
    Account, Authors, Day, Domain, Found, Host, Identity, Ledger, Mailbox, Net, Path, Query, ReversePath, Timestamp,
    canonical,
};
use policy::{
    Acceptance, Action, Addresses, Admission, Alias, Allowed, AppliesTo, Authentication, Borrower, Check,
    ConnectionControl, ConnectionFacts, Decision, Domains, DropDirectory, Entry, Holder, Holders, Limits, List, Loan,
    Loans, Local, Match, MessageFacts, Missing, Mode, PeerRights, Question, RecipientFacts, Recipients, Relay, Remote,
    Rights, Route, Routing, RuleBook, RuleId, Rules, SendAs, SenderFacts, ServerRouting, SmartHost, SmartHosts, Target,
    Term, Verdict, Who, render,
};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;
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

/// Where indented lines go.
#[derive(Clone, Copy)]
enum Section {
    None,
    Connection,
    Relay,
    Recipients(RuleId),
    Holders(&'static str),
}

struct Reader {
    name: String,
    line: u32,
    book: RuleBook,
    ledger: Ledger,
    servers: BTreeMap<String, Server>,
    current: String,
    section: Section,
    domains: Domains,
    recipients: Vec<Mailbox>,
    peers: BTreeMap<Box<str>, PeerRights>,
    loans: Vec<Loan>,
    organization: Option<Route>,
    drop_directory: Option<Route>,
}

impl Reader {
    fn new(name: &str) -> Reader {
        let mut book = RuleBook::new();
        let domains = Domains {
            organization_rule: book.add("organization.domains", None),
            organization: BTreeMap::new(),
            aliases: BTreeMap::new(),
            default_domain: None,
            remote_rule: book.add("remote_domains", None),
            remote: BTreeMap::new(),
            remote_below: BTreeMap::new(),
            recipients: None,
            recipients_in: None,
        };
        Reader {
            name: name.to_owned(),
            line: 0,
            book,
            ledger: Ledger::new(),
            servers: BTreeMap::new(),
            current: String::new(),
            section: Section::None,
            domains,
            recipients: Vec::new(),
            peers: BTreeMap::new(),
            loans: Vec::new(),
            organization: None,
            drop_directory: None,
        }
    }

    /// The rule of a setting on the present line.
    fn rule(&mut self, key: &str) -> RuleId {
        self.book.add(key, Some(self.line))
    }

    /// The rule of a setting of the present virtual server on the present line.
    fn server_rule(&mut self, key: &str) -> RuleId {
        let key = format!("virtual_server.{}.{key}", self.current);
        self.rule(&key)
    }

    fn server(&mut self) -> &mut Server {
        let (name, line) = (&self.name, self.line);
        self.servers.get_mut(&self.current).unwrap_or_else(|| panic!("{name}:{line}: no server yet"))
    }

    fn setting(&mut self, line: &str) {
        self.section = Section::None;
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["server", name] => {
                let server = Server::new(&mut self.book, name);
                self.current = name.to_owned();
                self.servers.insert(name.to_owned(), server);
            }
            ["connection", mode] => {
                let rules = (self.server_rule("connection_control.mode"), self.server_rule("connection_control.list"));
                self.server().connection = (read_mode(mode), rules.0, rules.1, Vec::new());
                self.section = Section::Connection;
            }
            ["relay", mode] => {
                let rules = (self.server_rule("relay.mode"), self.server_rule("relay.list"));
                self.server().relay = (read_mode(mode), rules.0, rules.1, Vec::new());
                self.section = Section::Relay;
            }
            ["applies-to", whom] => {
                let rule = self.server_rule("connection_control.applies_to");
                let whom = if whom == "anonymous" { AppliesTo::Anonymous } else { AppliesTo::Everyone };
                self.server().applies = (whom, rule);
            }
            ["anonymous", value] => {
                let rule = self.server_rule("authentication.anonymous");
                self.server().anonymous = (value == "on", rule);
            }
            ["relay-authenticated", value] => {
                let rule = self.server_rule("relay.authenticated");
                self.server().relay_authenticated = (value == "on", rule);
            }
            [list @ ("submit-allow" | "submit-deny" | "relay-allow" | "relay-deny")] => self.holders(list),
            ["peer", name, ref but @ ..] => self.peer(name, but),
            ["send-as", place, action] => self.send_as(place, action),
            ["lend", who, addresses, ref term @ ..] => self.lend(who, addresses, term),
            ["smart-hosts", ..] => {
                let rule = self.server_rule("smart_hosts");
                self.server().smart_hosts = Some(Arc::new(smart_hosts(rule, &words[1..])));
            }
            ["limit", what, number] => self.limit(what, number),
            ["hop-count", number] => {
                let rule = self.server_rule("limits.hop_count");
                let limits = &mut self.server().limits;
                (limits.hop_count, limits.hop_count_rule) = (number.parse().unwrap(), rule);
            }
            ["dns", address, ref found @ ..] => self.dns(address, found),
            _ => self.domain_setting(&words),
        }
    }

    fn domain_setting(&mut self, words: &[&str]) {
        match *words {
            ["organization", domain] => {
                let rule = self.rule("organization.domains");
                self.domains.organization.insert(domain.parse().unwrap(), rule);
            }
            ["alias", alias, target] => {
                let rule = self.rule(&format!("organization.aliases.\"{alias}\""));
                self.domains.aliases.insert(alias.parse().unwrap(), Alias { rule, target: target.parse().unwrap() });
            }
            ["default-domain", domain] => {
                let rule = self.rule("organization.default_domain");
                self.domains.default_domain = Some(Local { rule, domain: domain.parse().unwrap() });
            }
            ["remote", domain, ref rest @ ..] => self.remote(domain, rest),
            ["recipients"] => {
                let rule = self.rule("organization.recipients");
                self.domains.recipients = Some(Recipients::new(rule, []));
                self.section = Section::Recipients(rule);
            }
            ["recipients-in-directories"] => {
                self.domains.recipients_in = Some(self.rule("organization.recipients_in"));
            }
            ["directory", mailbox, found] => {
                let found = match found {
                    "knows" => Found::Exists,
                    "knows-not" => Found::Absent,
                    _ => Found::Unavailable,
                };
                self.ledger.enter(Query::Recipient(mailbox.parse().unwrap()), found);
            }
            ["organization-route", ..] => {
                let rule = self.rule("organization.route");
                self.organization = Some(Route::SmartHosts(Arc::new(smart_hosts(rule, &words[1..]))));
            }
            ["drop-directory", directory] => {
                let rule = self.rule("organization.drop_directory");
                self.drop_directory = Some(Route::Drop(Arc::new(DropDirectory { rule, directory: directory.into() })));
            }
            _ => panic!("{}:{}: not a setting: {}", self.name, self.line, words.join(" ")),
        }
    }

    fn limit(&mut self, what: &str, number: &str) {
        let rule = self.server_rule(&format!("limits.{}", what.replace('-', "_")));
        let number = Some(number.parse().unwrap());
        let limits = &mut self.server().limits;
        match what {
            "connections" => (limits.connections, limits.connections_rule) = (number, rule),
            "connections-per-address" => {
                (limits.connections_per_address, limits.connections_per_address_rule) = (number, rule);
            }
            "connections-per-network" => {
                (limits.connections_per_network, limits.connections_per_network_rule) = (number, rule);
            }
            "connections-in-all" => {
                (limits.connections_in_all, limits.connections_in_all_rule) = (number, rule);
            }
            other => panic!("unknown limit {other}"),
        }
    }

    fn remote(&mut self, domain: &str, rest: &[&str]) {
        let key = format!("remote_domain.\"{domain}\"");
        let rule = self.rule(&key);
        let allow_relay = rest.contains(&"allow-relay");
        let allow_key = format!("{key}.allow_relay");
        let allow_relay_rule = self.book.add(allow_key, allow_relay.then_some(self.line));
        let route = rest.iter().position(|word| *word == "route").map(|at| {
            let rule = self.rule(&format!("{key}.route"));
            Route::SmartHosts(Arc::new(smart_hosts(rule, &rest[at + 1..])))
        });
        let remote = Remote { rule, allow_relay, allow_relay_rule, route };
        match domain.strip_prefix("*.") {
            Some(suffix) => self.domains.remote_below.insert(suffix.parse().unwrap(), remote),
            None => self.domains.remote.insert(domain.parse().unwrap(), remote),
        };
    }

    fn dns(&mut self, address: &str, found: &[&str]) {
        let address: IpAddr = address.parse().unwrap();
        let found = match *found {
            ["absent"] => Found::Absent,
            ["unavailable"] => Found::Unavailable,
            ref names => Found::Names(names.iter().map(|name| name.parse().unwrap()).collect()),
        };
        self.ledger.enter(Query::ConfirmedNames(canonical(address)), found);
    }

    fn entry(&mut self, text: &str) {
        let (text, term) = term(text);
        let what = || match text.strip_prefix("name ") {
            Some(domain) => Match::Domain(domain.parse::<Domain>().unwrap()),
            None => Match::Net(text.parse::<Net>().unwrap()),
        };
        match self.section {
            Section::None => panic!("{}:{}: an entry of no list", self.name, self.line),
            Section::Connection => {
                let at = self.server().connection.3.len();
                let rule = self.server_rule(&format!("connection_control.list[{at}]"));
                self.server().connection.3.push(Entry { rule, what: what(), term });
            }
            Section::Relay => {
                let at = self.server().relay.3.len();
                let rule = self.server_rule(&format!("relay.list[{at}]"));
                self.server().relay.3.push(Entry { rule, what: what(), term });
            }
            Section::Holders(list) => {
                let key = list.replace('-', ".");
                let at = self.holder_list(list).len();
                let rule = self.server_rule(&format!("{key}[{at}]"));
                let holder = Holder { rule, who: who(text), term };
                self.holder_list(list).push(holder);
            }
            Section::Recipients(rule) => {
                self.recipients.push(text.parse().unwrap());
                self.domains.recipients = Some(Recipients::new(rule, self.recipients.clone()));
            }
        }
    }

    fn holders(&mut self, list: &str) {
        let rule = self.server_rule(&list.replace('-', "."));
        let server = self.server();
        match list {
            "submit-allow" => (server.submit.0, server.submit.1) = (Some(Vec::new()), rule),
            "submit-deny" => server.submit.3 = rule,
            "relay-allow" => server.relay_rights.1 = rule,
            _ => server.relay_rights.3 = rule,
        }
        self.section = Section::Holders(match list {
            "submit-allow" => "submit-allow",
            "submit-deny" => "submit-deny",
            "relay-allow" => "relay-allow",
            _ => "relay-deny",
        });
    }

    fn holder_list(&mut self, list: &str) -> &mut Vec<Holder> {
        let server = self.server();
        match list {
            "submit-allow" => server.submit.0.as_mut().unwrap(),
            "submit-deny" => &mut server.submit.2,
            "relay-allow" => &mut server.relay_rights.0,
            _ => &mut server.relay_rights.2,
        }
    }

    fn peer(&mut self, name: &str, but: &[&str]) {
        let mut right = |key: &str, word: &str| {
            let not = but.contains(&word);
            (!not, self.book.add(format!("peer.{name}.{key}"), not.then_some(self.line)))
        };
        let (submit, submit_rule) = right("submit", "no-submit");
        let (relay, relay_rule) = right("relay", "no-relay");
        let (send_as_anybody, send_as_anybody_rule) = right("send_as_anybody", "no-send-as");
        let rights = PeerRights { submit, submit_rule, relay, relay_rule, send_as_anybody, send_as_anybody_rule };
        self.peers.insert(name.into(), rights);
    }

    fn send_as(&mut self, place: &str, action: &str) {
        let action = match action {
            "refuse" => Action::Refuse,
            "mark" => Action::Mark,
            _ => Action::Off,
        };
        let check = Check { rule: self.server_rule(&format!("send_as.{place}")), action };
        let send_as = &mut self.server().send_as;
        match place {
            "envelope" => send_as.envelope = check,
            "from" => send_as.from = check,
            "sender" => send_as.sender = check,
            "resent_from" => send_as.resent_from = check,
            "outside" => send_as.outside = check,
            "null_sender" => send_as.null_sender = check,
            "anonymous" => send_as.anonymous = check,
            "sub_addresses" => send_as.sub_addresses = action != Action::Off,
            other => panic!("no place {other}"),
        }
    }

    fn lend(&mut self, to: &str, addresses: &str, words: &[&str]) {
        let at = self.loans.len();
        let rule = self.rule(&format!("organization.send_as[{at}]"));
        let to = match to.split_once(':').unwrap() {
            ("peer", name) => Borrower::Peer(name.into()),
            ("client", net) => Borrower::Clients(net.parse().unwrap()),
            _ => Borrower::Holder(who(to)),
        };
        let addresses = match addresses.strip_prefix('@') {
            Some(domain) => Addresses::AllAt(Host::Domain(domain.parse().unwrap())),
            None => Addresses::One(addresses.parse().unwrap()),
        };
        let term = term(&format!("x {}", words.join(" "))).1;
        self.loans.push(Loan { rule, to, addresses: [addresses].into(), term });
    }

    fn finish(self) -> World {
        let domains = Arc::new(self.domains);
        let mut rules = BTreeMap::new();
        let mut servers = BTreeMap::new();
        let mut book = self.book;
        let (peers, loans) = (Arc::new(self.peers), Arc::new(Loans::from(self.loans)));
        for (name, server) in self.servers {
            let routing = ServerRouting { domains: domains.clone(), smart_hosts: server.smart_hosts.clone() };
            servers.insert(name.as_str().into(), routing);
            let section = book.add(format!("virtual_server.{name}.connection_control"), None);
            let mut of_server = server_rules(&name, server, domains.clone(), section);
            (of_server.peers, of_server.send_as.grants) = (peers.clone(), loans.clone());
            rules.insert(name.clone(), of_server);
        }
        let routing =
            Routing { domains, organization: self.organization, drop_directory: self.drop_directory, servers };
        World { name: self.name, book, ledger: self.ledger, rules, routing }
    }
}

fn server_rules(name: &str, server: Server, domains: Arc<Domains>, section: RuleId) -> Rules {
    let (mode, mode_rule, list_rule, entries) = server.connection;
    let (relay_mode, relay_mode_rule, relay_list_rule, relay_entries) = server.relay;
    Rules {
        server: name.into(),
        connection: ConnectionControl {
            rule: section,
            mode,
            mode_rule,
            list: List::new(list_rule, entries),
            applies_to: server.applies.0,
            applies_rule: server.applies.1,
        },
        authentication: Authentication { anonymous: server.anonymous.0, anonymous_rule: server.anonymous.1 },
        relay: Relay {
            mode: relay_mode,
            mode_rule: relay_mode_rule,
            list: List::new(relay_list_rule, relay_entries),
            authenticated: server.relay_authenticated.0,
            authenticated_rule: server.relay_authenticated.1,
            rights: Rights {
                deny: Holders::new(server.relay_rights.3, server.relay_rights.2),
                allow: Allowed::Only(Holders::new(server.relay_rights.1, server.relay_rights.0)),
            },
        },
        submit: Rights {
            deny: Holders::new(server.submit.3, server.submit.2),
            allow: match server.submit.0 {
                Some(holders) => Allowed::Only(Holders::new(server.submit.1, holders)),
                None => Allowed::Everyone(server.submit.1),
            },
        },
        send_as: server.send_as,
        peers: Arc::default(),
        domains,
        limits: server.limits,
    }
}

/// An entry and its term: `10.0.0.5 until 2027-01-31`.
fn term(text: &str) -> (&str, Term) {
    match text.split_once(" until ") {
        Some((text, day)) => (text, Term { expires: Some(day.parse::<Day>().unwrap().ends()), ..Term::default() }),
        None => (text, Term::default()),
    }
}

/// `account:u1` or `group:staff`.
fn who(text: &str) -> Who {
    match text.split_once(':').unwrap() {
        ("account", name) => Who::Account(name.into()),
        ("group", name) => Who::Group(name.into()),
        _ => panic!("neither account nor group: {text}"),
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

fn read_mode(word: &str) -> Mode {
    match word {
        "only" => Mode::Only,
        "all-except" => Mode::AllExcept,
        other => panic!("unknown mode {other}"),
    }
}

/// Hosts as `10.0.0.20:25` or `name:25`.
fn smart_hosts(rule: RuleId, words: &[&str]) -> SmartHosts {
    let host = |word: &&str| match word.parse() {
        Ok(address) => Target::Literal(address),
        Err(_) => {
            let (name, port) = word.rsplit_once(':').unwrap();
            Target::Name(name.parse().unwrap(), port.parse().unwrap())
        }
    };
    let hosts = words.iter().map(|word| SmartHost { host: host(word) }).collect();
    SmartHosts { rule, hosts, spread: false }
}

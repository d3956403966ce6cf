//! Reads what a case file sets up, line by line.

use super::{Server, World};
use mail::{Day, Domain, Found, Host, Ledger, Mailbox, Net, Query, canonical};
use policy::{
    Action, Addresses, Alias, Allowed, AppliesTo, Authentication, Borrower, Check, ConnectionControl, Domains,
    DropDirectory, Entry, FilteredSender, FilteredSenders, Holder, Holders, List, Loan, Loans, Local, Match, Mode,
    OnMatch, PeerRights, Recipients, Relay, Remote, Rights, Route, Routing, RuleBook, RuleId, Rules, SenderFilter,
    SenderList, ServerRouting, SmartHost, SmartHosts, Target, Term, Who,
};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Where indented lines go.
#[derive(Clone, Copy)]
enum Section {
    None,
    Connection,
    Relay,
    Recipients(RuleId),
    Holders(&'static str),
}

/// The sender filter while it is read.
struct Filtered {
    entries: Vec<FilteredSender>,
    null: Option<RuleId>,
    on_match: OnMatch,
}

pub(super) struct Reader {
    name: String,
    pub(super) line: u32,
    book: RuleBook,
    ledger: Ledger,
    servers: BTreeMap<String, Server>,
    current: String,
    section: Section,
    domains: Domains,
    recipients: Vec<Mailbox>,
    peers: BTreeMap<Box<str>, PeerRights>,
    loans: Vec<Loan>,
    filtered: Filtered,
    organization: Option<Route>,
    drop_directory: Option<Route>,
}

impl Reader {
    pub(super) fn new(name: &str) -> Reader {
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
            filtered: Filtered { entries: Vec::new(), null: None, on_match: OnMatch::Drop },
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

    pub(super) fn setting(&mut self, line: &str) {
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
            ["filter", "applied"] => {
                let rule = self.server_rule("filters.sender");
                self.server().filter = (true, rule);
            }
            ["filter", addresses, ref term @ ..] => self.filter(addresses, term),
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

    pub(super) fn entry(&mut self, text: &str) {
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
        let (bypass_filters, bypass_filters_rule) = right("bypass_filters", "no-bypass");
        let rights = PeerRights {
            submit,
            submit_rule,
            relay,
            relay_rule,
            send_as_anybody,
            send_as_anybody_rule,
            bypass_filters,
            bypass_filters_rule,
        };
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
        let (addresses, term) = (read_addresses(addresses), term(&format!("x {}", words.join(" "))).1);
        self.loans.push(Loan { rule, to, addresses: [addresses].into(), term });
    }

    /// An entry of the sender filter, `<>` for the null reverse-path, or what becomes of the session.
    fn filter(&mut self, what: &str, words: &[&str]) {
        match what {
            "<>" => self.filtered.null = Some(self.rule("sender_filter.null_sender")),
            "refuse" => self.filtered.on_match = OnMatch::Refuse,
            addresses => {
                let at = self.filtered.entries.len();
                let rule = self.rule(&format!("sender_filter.list[{at}]"));
                let (addresses, term) = (read_addresses(addresses), term(&format!("x {}", words.join(" "))).1);
                self.filtered.entries.push(FilteredSender { rule, addresses, term });
            }
        }
    }

    pub(super) fn finish(self) -> World {
        let domains = Arc::new(self.domains);
        let mut rules = BTreeMap::new();
        let mut servers = BTreeMap::new();
        let mut book = self.book;
        let list = SenderList::new(book.add("sender_filter.list", None), self.filtered.entries, &domains.aliases);
        let senders = Arc::new(FilteredSenders {
            list,
            null_sender: self.filtered.null.is_some(),
            null_sender_rule: self.filtered.null.unwrap_or_else(|| book.add("sender_filter.null_sender", None)),
            on_match: self.filtered.on_match,
        });
        let (peers, loans) = (Arc::new(self.peers), Arc::new(Loans::from(self.loans)));
        for (name, server) in self.servers {
            let routing = ServerRouting { domains: domains.clone(), smart_hosts: server.smart_hosts.clone() };
            servers.insert(name.as_str().into(), routing);
            let section = book.add(format!("virtual_server.{name}.connection_control"), None);
            let mut of_server = server_rules(&name, server, domains.clone(), section);
            of_server.sender_filter.senders = senders.clone();
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
        sender_filter: SenderFilter { applied: server.filter.0, ..SenderFilter::off(server.filter.1) },
        send_as: server.send_as,
        peers: Arc::default(),
        domains,
        limits: server.limits,
    }
}

fn read_addresses(text: &str) -> Addresses {
    match text.strip_prefix('@') {
        Some(domain) => Addresses::AllAt(Host::Domain(domain.parse().unwrap())),
        None => Addresses::One(text.parse().unwrap()),
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

//! Settings as a few lines that a person can compare, and small questions put to them.

use config::{Config, Server};
use mail::{Found, Identity, Ledger, ReversePath, Timestamp};
use policy::{
    Acceptance, Allowed, ConnectionFacts, Decision, Holders, List, Match, Missing, RecipientFacts, Rights, Route,
    RuleId, SenderFacts, SmartHosts,
};
use std::fmt::Write;

/// What matters of the settings, without the lines of the rules.
pub(crate) fn dump(config: &Config) -> String {
    let mut out = String::new();
    let o = &mut out;
    let _ = writeln!(o, "hostname {} state_dir {}", config.hostname, config.state_dir.display());
    let _ = writeln!(o, "organization {:?} postmaster {}", config.organization.domains, config.organization.postmaster);
    dump_identities(o, config);
    for server in &config.servers {
        dump_server(o, server);
    }
    let routing = &config.routing;
    let _ = writeln!(o, "route of the organization {}", route(routing.organization.as_ref()));
    let _ = writeln!(o, "otherwise {}", route(routing.drop_directory.as_ref()));
    for (suffix, domains) in [("", &routing.domains.remote), ("*.", &routing.domains.remote_below)] {
        for (name, remote) in domains {
            let way = route(remote.route.as_ref());
            let _ = writeln!(o, "remote {suffix}{name} allow_relay {} route {way}", remote.allow_relay);
        }
    }
    for (name, server) in &routing.servers {
        let _ =
            writeln!(o, "route of {name} {}", server.smart_hosts.as_ref().map_or("none".into(), |hosts| smart(hosts)));
    }
    let _ = writeln!(o, "delivery {:?}", config.delivery);
    let _ = writeln!(o, "retry {:?}", config.queue.retry);
    let _ = writeln!(
        o,
        "queue reserve {} copy {:?} badmail {}",
        config.queue.spool.reserve_bytes,
        config.queue.copy_of_reports,
        config.queue.bad_mail_directory.display()
    );
    let _ = writeln!(
        o,
        "metrics {:?} log {:?} control {}",
        config.metrics,
        config.log_format,
        config.control_socket.display()
    );
    out
}

/// Who clients may be, where the settings say anything about it.
fn dump_identities(o: &mut String, config: &Config) {
    for directory in &config.directories {
        let _ = writeln!(o, "directory {} {:?}", directory.name, directory.kind);
    }
    for peer in &config.peers {
        let _ = writeln!(o, "{peer:?}");
    }
    if !config.directories.is_empty() {
        let _ = writeln!(o, "{:?}", config.guessing);
    }
    let _ = writeln!(o, "{:?}", config.bounds);
}

fn dump_server(o: &mut String, server: &Server) {
    let (session, rules) = (&server.session, &server.rules);
    let _ = writeln!(o, "server {} on {:?}, TLS first on {:?}", server.name, server.listen, server.listen_tls);
    let _ = writeln!(o, "  proxies {:?}", server.proxies);
    let _ = writeln!(o, "  session {:?}", **session);
    let _ = writeln!(o, "  at most {:?}, not authenticated {}", server.session_limit, server.not_authenticated_code);
    let _ = writeln!(o, "  tls {:?}", server.tls);
    if !server.authentication.mechanisms.is_empty() {
        let _ = writeln!(o, "  {:?}", server.authentication);
    }
    let _ = writeln!(o, "  {:?}", server.delivery);
    let connection = &rules.connection;
    let list = entries(&connection.list);
    let _ = writeln!(o, "  connection {:?} {list:?} {:?}", connection.mode, connection.applies_to);
    let relay = &rules.relay;
    let anonymous = rules.authentication.anonymous;
    let list = entries(&relay.list);
    let _ =
        writeln!(o, "  anonymous {anonymous} relay {:?} {list:?} authenticated {}", relay.mode, relay.authenticated);
    let _ = writeln!(o, "  may submit {} may relay {}", rights(&rules.submit), rights(&relay.rights));
    let send_as = &rules.send_as;
    let checks = [
        send_as.envelope,
        send_as.from,
        send_as.sender,
        send_as.resent_from,
        send_as.outside,
        send_as.null_sender,
        send_as.anonymous,
    ];
    let _ = writeln!(o, "  send as {:?} sub-addresses {}", checks.map(|check| check.action), send_as.sub_addresses);
    for loan in send_as.grants.iter() {
        let _ = writeln!(o, "  lent {:?} to {:?} {:?}", loan.addresses, loan.to, loan.term);
    }
    let limits = &rules.limits;
    let _ = writeln!(
        o,
        "  connections {:?} of {:?} in all, from one address {:?}, from one network {:?}, hops {}",
        limits.connections,
        limits.connections_in_all,
        limits.connections_per_address,
        limits.connections_per_network,
        limits.hop_count
    );
    let domains = &rules.domains;
    let aliases: Vec<String> = domains.aliases.iter().map(|(name, alias)| format!("{name}={}", alias.target)).collect();
    let default = domains.default_domain.as_ref().map(|local| &local.domain);
    let _ = writeln!(
        o,
        "  domains {:?} aliases {aliases:?} default {default:?} recipients known {}",
        domains.organization.keys().collect::<Vec<_>>(),
        domains.recipients.is_some()
    );
}

fn rights(rights: &Rights) -> String {
    let holders = |holders: &Holders| -> Vec<String> {
        holders.entries().iter().map(|holder| format!("{:?} {:?}", holder.who, holder.term.expires)).collect()
    };
    let allow = match &rights.allow {
        Allowed::Everyone(_) => "everyone".to_owned(),
        Allowed::Only(list) => format!("{:?}", holders(list)),
    };
    format!("{allow} but {:?}", holders(&rights.deny))
}

fn entries(list: &List) -> Vec<String> {
    list.entries()
        .iter()
        .map(|entry| match &entry.what {
            Match::Net(net) => net.to_string(),
            Match::Domain(domain) => domain.to_string(),
        })
        .collect()
}

fn route(route: Option<&Route>) -> String {
    match route {
        None | Some(Route::None) => "none".into(),
        Some(Route::Drop(drop)) => format!("drop {}", drop.directory.display()),
        Some(Route::SmartHosts(hosts)) => smart(hosts),
    }
}

fn smart(hosts: &SmartHosts) -> String {
    let list: Vec<String> = hosts.hosts.iter().map(|host| format!("{:?}", host.host)).collect();
    format!("{}{}", list.join(", "), if hosts.spread { ", spread" } else { "" })
}

/// The places of the rules that decide about clients: key and line.
pub(crate) fn places(config: &Config) -> String {
    let mut out = String::new();
    let mut say = |rule: RuleId| {
        let place = config.book.place(rule);
        let line = place.line.map_or("default".to_owned(), |line| format!("line {line}"));
        let _ = writeln!(out, "{} ({line})", place.key);
    };
    for server in &config.servers {
        let rules = &server.rules;
        say(rules.connection.mode_rule);
        say(rules.connection.applies_rule);
        rules.connection.list.entries().iter().for_each(|entry| say(entry.rule));
        say(rules.authentication.anonymous_rule);
        say(rules.relay.mode_rule);
        rules.relay.list.entries().iter().for_each(|entry| say(entry.rule));
        say(rules.limits.connections_rule);
    }
    let domains = &config.routing.domains;
    domains.organization.values().for_each(|rule| say(*rule));
    domains.aliases.values().for_each(|alias| say(alias.rule));
    for remote in domains.remote.values().chain(domains.remote_below.values()) {
        say(remote.rule);
        say(remote.allow_relay_rule);
        remote.route.iter().for_each(|route| say(route.rule()));
    }
    config.routing.organization.iter().chain(&config.routing.drop_directory).for_each(|route| say(route.rule()));
    config.routing.servers.values().filter_map(|s| s.smart_hosts.as_ref()).for_each(|hosts| say(hosts.rule));
    out
}

/// Whether an anonymous client without a name may send to `recipient` through `server`.
pub(crate) fn probe(server: &Server, client: &str, recipient: &str) -> bool {
    let client = client.parse().expect("an address");
    let recipient = recipient.parse().expect("a mailbox");
    let identity = Identity::Anonymous;
    let now = Timestamp::from_millis(1_800_000_000_000);
    let connected = ConnectionFacts { client, now, open_in_all: 0, open: 0, open_from_client: 0, open_from_network: 0 };
    let Ok(admission) = decide(|ledger| policy::connection(&server.rules, &connected, ledger)).verdict else {
        return false;
    };
    let reverse_path = &ReversePath::Null;
    let sender = SenderFacts { client, now, admission, identity: &identity, secured: false, reverse_path };
    let facts = RecipientFacts { client, now, identity: &identity, recipient: &recipient };
    decide(|ledger| policy::sender(&server.rules, &sender, ledger)).verdict.is_ok()
        && decide::<Acceptance>(|ledger| policy::recipient(&server.rules, &facts, ledger)).verdict.is_ok()
}

/// Asks until every look-up has been answered; no address has a name here.
fn decide<V>(ask: impl Fn(&Ledger) -> Result<Decision<V>, Missing>) -> Decision<V> {
    let mut ledger = Ledger::new();
    loop {
        match ask(&ledger) {
            Ok(decision) => return decision,
            Err(Missing(query)) => ledger.enter(query, Found::Absent),
        }
    }
}

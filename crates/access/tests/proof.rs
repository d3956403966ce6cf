//! An invariant is proved, or there is a witness; and the gate, which shares no code with the rules, is of the
//! same opinion about every class of session.
#![expect(clippy::disallowed_methods, reason = "a test reads the settings it is about")]

use access::{Classes, Outcome, Table, prove};
use config::Config;
use invariant::{Client, Gate, Known, Mail};
use mail::{Identity, Timestamp};
use std::path::Path;

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

const SETTINGS: &str = "hostname = \"mx.corp.example\"\nstate_dir = \"/var/lib/bridgehead\"\n\
    [organization]\ndomains = [\"corp.example\"]\n\
    [directory.file.people]\npath = \"accounts\"\n\
    [virtual_server.inbound]\nlisten = [\"172.16.0.1:25\"]\n\
    [virtual_server.outbound]\nlisten = [\"10.0.0.1:25\"]\n";

const PASSWORDS: &str = "[virtual_server.outbound.authentication]\nmechanisms = [\"PLAIN\"]\n\
    directories = [\"people\"]\nin_the_clear = \"i-know-passwords-can-be-read-on-the-way\"\n";

fn settings(lines: &str, invariants: &str) -> Config {
    let text = format!("{SETTINGS}{lines}");
    let (config, _) = Config::from_text("settings", &text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    config.with_invariants("invariants", invariants).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// The only invariant, with these keys, of settings with these lines: where and how it is broken.
fn told(lines: &str, keys: &str) -> Vec<String> {
    let config = settings(lines, &format!("[[invariant]]\nname = \"x\"\n{keys}\n"));
    let proofs = prove(&config, NOW);
    assert_eq!(proofs.len(), 1);
    match &proofs[0].outcome {
        Outcome::Holds { classes } => {
            assert!(*classes > 0, "nothing was looked at");
            Vec::new()
        }
        Outcome::Broken(all) => all
            .iter()
            .map(|one| {
                let by = one.rule.map(|rule| config.book.place(rule).key.to_string()).or(one.key.clone());
                let since = one.since.map(|since| format!(" since {since}")).unwrap_or_default();
                format!("{} [{}]{since}: {} by {}", one.server, one.addresses, one.what, by.unwrap_or_default())
            })
            .collect(),
        Outcome::Unproved(why) => vec![(*why).to_owned()],
    }
}

#[test]
fn relaying_is_proved_or_witnessed() {
    let relay = "[virtual_server.inbound.relay]\nmode = \"only\"\nlist = [\"10.0.0.0/8\"]\n";
    let never = "never = \"relay\"\n";
    assert_eq!(told("", never), Vec::<String>::new());
    assert_eq!(
        told(relay, never),
        ["inbound [10.0.0.0/8]: 10.0.0.1, who has not authenticated, relays to somebody@elsewhere.example by \
             virtual_server.inbound.relay.list[0]"]
    );
    assert_eq!(told(relay, &format!("{never}at = \"outbound\"")), Vec::<String>::new());
    assert_eq!(told(relay, &format!("{never}who = \"accounts\"")), Vec::<String>::new());
    assert_eq!(told(relay, &format!("{never}from = [\"192.0.2.0/24\"]")), Vec::<String>::new());
    assert_eq!(told(relay, &format!("{never}except_from = [\"0.0.0.0/0\"]")), Vec::<String>::new());
    // The exception is smaller than what is granted: the rest of it is found.
    let narrow = told(relay, &format!("{never}except_from = [\"10.0.0.0/9\"]"));
    assert!(narrow[0].starts_with("inbound [10.128.0.0/9]: 10.128.0.1, "), "{narrow:?}");
}

#[test]
fn a_domain_that_everybody_may_relay_to_is_an_exception_or_a_breach() {
    let remote = "[remote_domain.\"*.partner.example\"]\nallow_relay = true\n";
    let never = "never = \"relay\"\nwho = \"anonymous\"\nat = \"inbound\"\n";
    assert!(told(remote, never)[0].contains("partner.example by remote_domain"), "{:?}", told(remote, never));
    assert_eq!(told(remote, &format!("{never}except_to = [\"*.partner.example\"]")), Vec::<String>::new());
    // Only a part of what is granted is excepted.
    for part in ["[\"partner.example\"]", "[\"*.a.partner.example\"]", "[\"host.partner.example\"]"] {
        assert_eq!(told(remote, &format!("{never}except_to = {part}")).len(), 1, "{part}");
    }
}

#[test]
fn submitting_depends_on_who_it_is() {
    let rights = format!("{PASSWORDS}anonymous = false\n[virtual_server.outbound.submit]\ndeny = [\"group:guests\"]\n");
    let never = |who: &str| format!("never = \"submit\"\nat = \"outbound\"\nwho = \"{who}\"");
    assert_eq!(told(&rights, &never("anonymous")), Vec::<String>::new());
    assert_eq!(told(&rights, &never("group:guests")), Vec::<String>::new());
    assert_eq!(told(&rights, &never("group:Guests")), Vec::<String>::new());
    // Groups that no rule names are told apart all the same.
    assert_eq!(told(&rights, &never("group:workers")).len(), 1);
    let account = told(&rights, &never("account:u1"));
    assert!(account[0].contains("as account u1, submits to") && account[0].contains("submit"), "{account:?}");
}

#[test]
fn a_peer_that_speaks_for_others_can_make_an_account_of_them() {
    let peer = |xclient: bool| {
        format!(
            "[peer.front]\ncertificates = [\"front.corp.example\"]\nxclient = {xclient}\n\
             [virtual_server.outbound.tls]\nclient_certificates = \"asked\"\nclient_authorities = \"ca.pem\"\n\
             certificates = [{{ certificate = \"mx.pem\", key = \"mx.key\" }}]\n\
             [virtual_server.outbound.authentication]\nmechanisms = [\"EXTERNAL\"]\n"
        )
    };
    let never = "never = \"submit\"\nwho = \"accounts\"";
    assert_eq!(told(&peer(false), never), Vec::<String>::new());
    assert_eq!(told(&peer(true), never).len(), 1);
}

#[test]
fn authentication_is_offered_where_a_client_is_let_in() {
    let never = "never = \"auth-in-clear\"";
    assert_eq!(told("", never), Vec::<String>::new());
    let found = told(PASSWORDS, never);
    assert_eq!(
        found,
        ["outbound [anywhere]: 192.0.2.66 is offered AUTH PLAIN in the clear by \
             virtual_server.outbound.authentication.mechanisms"]
    );
    let inside =
        format!("{PASSWORDS}[virtual_server.outbound.connection_control]\nmode = \"only\"\nlist = [\"10.0.0.0/8\"]\n");
    let outside = "never = \"auth-offered\"\nexcept_from = [\"10.0.0.0/8\"]";
    assert_eq!(told(&inside, outside), Vec::<String>::new());
    assert_eq!(told(PASSWORDS, outside).len(), 1);
    assert_eq!(told(&inside, "never = \"connect\"\nat = \"outbound\"\nfrom = [\"10.9.9.9\"]").len(), 1);
    assert_eq!(
        told(&inside, "never = \"connect\"\nat = \"outbound\"\nfrom = [\"192.0.2.0/24\"]"),
        Vec::<String>::new()
    );
}

#[test]
fn a_denial_that_ends_is_looked_at_behind_its_end() {
    let deny = |term: &str| {
        format!("{PASSWORDS}[virtual_server.outbound.submit]\ndeny = [{{ who = \"group:guests\"{term} }}]\n")
    };
    let never = "never = \"submit\"\nwho = \"group:guests\"";
    assert_eq!(told(&deny(""), never), Vec::<String>::new());
    let found = told(&deny(", expires = \"2031-12-31\""), never);
    assert!(found[0].starts_with("outbound [anywhere] since 2032-01-01T00:00:00.000Z: "), "{found:?}");
    // Pasted today, the session is shown as of the day on which it begins.
    let config = settings(&deny(", expires = \"2031-12-31\""), &format!("[[invariant]]\nname = \"x\"\n{never}\n"));
    let text = access::text::invariants("settings", &config, &prove(&config, NOW));
    assert!(text.contains("--at 2032-01-01"), "{text}");
    let found = told(&deny(", expires = \"2020-12-31\""), never);
    assert!(found[0].starts_with("outbound [anywhere]: "), "{found:?}");
}

#[test]
fn an_invariant_that_leaves_nobody_to_look_at_is_not_called_proved() {
    let tops = ["example", "test", "invalid", "net", "org", "com"].map(|top| format!("\"*.{top}\"")).join(", ");
    assert!(told("", &format!("never = \"relay\"\nexcept_to = [{tops}]"))[0].contains("no domain"));
}

#[test]
fn what_is_said_fits_a_terminal_and_can_be_pasted() {
    let relay = "[virtual_server.inbound.relay]\nmode = \"only\"\nlist = [\"10.0.0.0/8\"]\n";
    let config = settings(
        relay,
        "[[invariant]]\nname = \"one\"\nnever = \"relay\"\nat = \"outbound\"\n\
         [[invariant]]\nname = \"two\"\nnever = \"relay\"\n",
    );
    let text = access::text::invariants("/etc/bridgehead/bridgehead.toml", &config, &prove(&config, NOW));
    let (held, broken) = text.split_once('\n').unwrap();
    assert!(held.starts_with("  one holds, proved over ") && held.ends_with(" classes of session"), "{held}");
    assert_eq!(
        broken,
        "  two IS BROKEN at inbound\n    never: relay\n\
         \x20   but   10.0.0.1, who has not authenticated, relays to somebody@elsewhere.example\n\
         \x20   from  10.0.0.0/8\n\
         \x20   by    virtual_server.inbound.relay.list[0] (line 13)\n\
         \x20   see   bridgehead explain --config /etc/bridgehead/bridgehead.toml --server inbound \\\n\
         \x20          --client 10.0.0.1 --rcpt somebody@elsewhere.example\n"
    );
}

/// What the gate thinks of every class of session in which mail is taken, against the proof.
#[test]
fn the_gate_is_of_the_same_opinion() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/settings/good");
    let mut sentences = String::new();
    for (at, keys) in [
        "never = \"relay\"\nwho = \"anonymous\"",
        "never = \"relay\"\nexcept_from = [\"10.168.0.0/24\"]",
        "never = \"relay\"\nexcept_to = [\"corp2.example\", \"*.corp2.example\"]",
        "never = \"submit\"\nwho = \"anonymous\"\nfrom = [\"10.0.0.0/8\"]",
        "never = \"submit\"\nwho = \"accounts\"",
        "never = \"relay\"\nwho = \"group:workers\"",
        "never = \"submit\"\nwho = \"account:scanner\"",
        "never = \"submit\"\nwho = \"peers\"",
    ]
    .iter()
    .enumerate()
    {
        sentences.push_str(&format!("[[invariant]]\nname = \"n{at}\"\n{keys}\n"));
    }
    let (mut settings, mut broken) = (0, 0);
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let (config, _) = Config::from_text("good", &std::fs::read_to_string(&path).unwrap()).unwrap();
        let config = config.with_invariants("sentences", &sentences).unwrap();
        let proofs = prove(&config, NOW);
        for (at, proof) in proofs.iter().enumerate() {
            let stopped = servers_that_stop(&config, at);
            let told: Vec<&str> = match &proof.outcome {
                Outcome::Holds { .. } => vec![],
                Outcome::Broken(all) => all.iter().map(|one| &*one.server).collect(),
                Outcome::Unproved(why) => panic!("{}: {why}", path.display()),
            };
            assert_eq!(told, stopped, "{}: {}", path.display(), config.invariants[at]);
            settings += 1;
            broken += usize::from(!told.is_empty());
        }
    }
    assert!(broken > 20 && broken < settings - 20, "both kinds: {broken} of {settings}");
}

/// The virtual servers at which the gate would stop mail that the rules take, by one of the invariants alone.
fn servers_that_stop(config: &Config, at: usize) -> Vec<&str> {
    let mut cuts = access::Cuts::default();
    let invariant = &config.invariants[at];
    cuts.nets.extend(
        invariant
            .from
            .iter()
            .chain(&invariant.except_from)
            .map(|net| net.to_string().parse::<mail::Net>().expect("as it is printed")),
    );
    match &invariant.who {
        invariant::Who::Account(name) => cuts.holders.push(policy::Who::Account(name.clone())),
        invariant::Who::Group(name) => cuts.holders.push(policy::Who::Group(name.clone())),
        _ => {}
    }
    let classes = Classes::with(&[config], &cuts, NOW);
    let table = Table::of(config, &classes);
    let stopping = config.servers.iter().filter(|server| {
        let inside = config.organization.domains.iter().chain([&server.session.default_domain]);
        let gate = Gate::new(&server.name, inside.map(mail::Domain::as_str), std::slice::from_ref(invariant));
        let own = table.server(&server.name).expect("the same settings");
        own.cells().filter(|cell| cell.verdict.is_taken()).any(|cell| {
            let client = match &cell.identity.identity {
                Identity::Anonymous => Client::Anonymous,
                Identity::Account(account) => Client::Account { name: &account.name, groups: &account.groups },
                Identity::Peer(name) => Client::Peer(name),
            };
            let mail = Mail { client, address: cell.client.representative, known: Known::NotByAuth };
            // The rules have rewritten a domain that is another name of one inside.
            let said = cell.recipient.recipient.domain();
            let to = said.map(|domain| server.rules.domains.local(domain).map_or(domain, |(_, stamp)| stamp).as_str());
            gate.stops(&mail, &std::iter::once(to)).is_some()
        })
    });
    stopping.map(|server| &*server.name).collect()
}

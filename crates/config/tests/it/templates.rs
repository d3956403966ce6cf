//! What `bridgehead init` writes: settings without a mistake, and the table of roles, cell by cell.

use crate::dump::probe;
use config::templates::{Options, Template};
use config::{Config, Role, Server};
use identity::Mechanism;
use mail::{Identity, Ledger, Timestamp};
use policy::{Acceptance, Admission, Allowed, Grant, Mode, RecipientFacts, Refusal, Route, SenderFacts};

fn options(realm: Option<&str>) -> Options {
    Options {
        hostname: None,
        domain: "corp.example".parse().expect("a domain"),
        more_domains: vec!["corp2.example".parse().expect("a domain")],
        realm: realm.map(|realm| realm.parse().expect("a realm")),
    }
}

fn text(template: Template, realm: Option<&str>) -> String {
    template.text(&options(realm))
}

fn settings(template: Template, realm: Option<&str>) -> Config {
    let text = text(template, realm);
    let (config, warnings) = Config::from_text(template.name(), &text).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(warnings, [], "{}", template.name());
    config
}

/// The two ways in which servers and people authenticate.
const REALMS: [Option<&str>; 2] = [None, Some("CORP.EXAMPLE")];

fn every() -> impl Iterator<Item = (Template, Option<&'static str>)> {
    Template::ALL.into_iter().flat_map(|template| REALMS.map(|realm| (template, realm)))
}

#[test]
fn every_template_is_complete_and_without_a_mistake() {
    for (template, realm) in every() {
        let (text, config) = (text(template, realm), settings(template, realm));
        assert!(!text.contains("{{") && !text.contains("}}") && text.ends_with("]\n"), "{}\n{text}", template.name());
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{}\n{text}", template.name());
        assert_eq!(config.hostname, "mx1.corp.example".parse().unwrap());
        // Nothing that nobody has asked for has to be answered for.
        assert_eq!(config.strict(&text), []);
        assert_eq!(template.name().parse(), Ok(template));
    }
    assert!("gateway".parse::<Template>().is_err());
}

#[test]
fn every_key_that_decides_has_a_word_why() {
    for (template, realm) in every() {
        let text = text(template, realm);
        let mut explained = false;
        for line in text.lines() {
            let decides = ["anonymous =", "mechanisms =", "allow =", "authenticated =", "allow_relay =", "outside ="];
            if decides.iter().any(|key| line.starts_with(key)) {
                // `list`, `mode` and `directories` go with the line before them.
                assert!(explained, "{}: {line}", template.name());
            }
            explained = line.starts_with('#') || (explained && !line.is_empty());
        }
        assert!(text.contains("[S1]") || text.contains("[S2]") || text.contains("[S3]"));
    }
}

/// A row of the table: role, name, anonymous access. The other cells are the same in all four.
const TABLE: [(Template, Role, &str, bool); 4] = [
    (Template::SmtpGateway, Role::SmtpGateway, "gateway", true),
    (Template::Mailbox, Role::Mailbox, "mailbox", false),
    (Template::FrontEnd, Role::FrontEnd, "front-end", false),
    (Template::AllInOne, Role::AllInOne, "mail", true),
];

/// H22: reference 9.1, exactly as given. "Only if SMTP is required" is so, where this file is wanted.
#[test]
fn h22_the_table_of_roles_cell_by_cell() {
    for (template, role, name, anonymous) in TABLE {
        for realm in REALMS {
            let config = settings(template, realm);
            let [server] = &config.servers[..] else { panic!("{name}: one virtual server") };
            assert_eq!((&*server.name, server.role), (name, Some(role)));
            let rules = &server.rules;
            assert_eq!(rules.authentication.anonymous, anonymous, "{name}: anonymous access");
            let offered = &server.authentication.mechanisms;
            assert!(!offered.iter().any(|mechanism| mechanism.shows_its_secret()), "{name}: Basic is not offered");
            let integrated = match realm {
                Some(_) => &[Mechanism::Gssapi][..],
                None => &[Mechanism::ScramSha256Plus, Mechanism::ScramSha256],
            };
            assert_eq!(offered, integrated, "{name}: Integrated is offered");
            let nobody = matches!(&rules.submit.allow, Allowed::Only(list) if list.entries().is_empty());
            assert!(nobody, "{name}: all entries are removed");
            assert_eq!((rules.relay.mode, rules.relay.list.entries()), (Mode::Only, &[][..]), "{name}: only the list");
            assert!(!rules.relay.authenticated, "{name}: unticked");
            assert!(!config.peers.is_empty(), "{name}: servers of the organization go on talking");
        }
    }
}

/// What a client who has authenticated, or not, hears at MAIL and at RCPT.
fn answers(server: &Server, identity: &Identity, recipient: &str) -> Result<Acceptance, Refusal> {
    let (client, now) = ("10.0.0.10".parse().expect("an address"), Timestamp::from_millis(1_800_000_000_000));
    let reverse_path = &"u1@corp.example".parse().map(mail::ReversePath::Mailbox).expect("a mailbox");
    let admission = Admission::Admitted;
    let facts = SenderFacts { client, now, admission, identity, secured: true, reverse_path };
    policy::sender(&server.rules, &facts, &Ledger::new()).expect("nothing is looked up").verdict?;
    let recipient = &recipient.parse().expect("a mailbox");
    let facts = RecipientFacts { client, now, identity, recipient };
    policy::recipient(&server.rules, &facts, &Ledger::new()).expect("nothing is looked up").verdict
}

/// H01 to H19 for every row: what the table is for.
#[test]
fn what_the_table_is_for() {
    for (template, _, name, anonymous) in TABLE {
        let config = settings(template, None);
        let server = config.server(name).unwrap();
        assert_eq!(probe(server, "192.0.2.66", "alice@corp.example"), anonymous, "{name}");
        assert!(!probe(server, "192.0.2.66", "bob@ext.example"), "{name}");
        for recipient in ["alice@corp2.example", "bob@ext.example"] {
            assert_eq!(answers(server, &Identity::account("u1"), recipient), Err(Refusal::MayNotSubmit), "{name}");
        }
        let peer = Identity::Peer("ex1".into());
        assert!(matches!(answers(server, &peer, "alice@corp.example"), Ok(Acceptance::Submitted { .. })), "{name}");
        let relayed = Ok(Acceptance::Relayed { by: Grant::Peer });
        assert_eq!(answers(server, &peer, "bob@ext.example"), relayed, "{name}");
    }
}

/// E01 to E05: the published server for people on the road (S2).
#[test]
fn the_corporate_relay_relays_for_whoever_authenticates() {
    for realm in REALMS {
        let config = settings(Template::CorporateRelay, realm);
        let server = config.server("corporate").unwrap();
        assert!(!probe(server, "192.0.2.66", "alice@corp.example") && !probe(server, "192.0.2.66", "bob@ext.example"));
        let u1 = mail::Account { addresses: ["u1@corp.example".parse().unwrap()].into(), ..mail::Account::named("u1") };
        let u1 = Identity::Account(u1.into());
        for recipient in ["alice@corp.example", "bob@ext.example"] {
            assert_eq!(answers(server, &u1, recipient), Ok(Acceptance::Relayed { by: Grant::Authenticated }));
            let route = policy::route(&config.routing, "corporate", &recipient.parse().unwrap()).verdict;
            assert!(matches!(route, Ok(Route::SmartHosts(_))), "{route:?}");
        }
        assert_eq!(answers(server, &u1, "x@bogus1"), Err(Refusal::UserUnknown));
        assert_eq!(answers(server, &Identity::account("u2"), "bob@ext.example"), Err(Refusal::NotOwner));
    }
}

/// F01, F02, F12: the published server for mail from the Internet (S2).
#[test]
fn the_internet_relay_relays_to_the_organization_alone() {
    let config = settings(Template::InternetRelay, None);
    let server = config.server("internet").unwrap();
    assert!(server.authentication.mechanisms.is_empty());
    for (recipient, may) in [("alice@corp.example", true), ("alice@corp2.example", true), ("bob@ext.example", false)] {
        assert_eq!(probe(server, "192.0.2.66", recipient), may, "{recipient}");
    }
}

/// D01 to D11: one virtual server in, one out (S1).
#[test]
fn the_two_server_gateway_shows_nothing_outside_and_takes_nothing_anonymous_inside() {
    for realm in REALMS {
        let config = settings(Template::TwoServerGateway, realm);
        let [inbound, outbound] = ["inbound", "outbound"].map(|name| config.server(name).unwrap());
        assert!(inbound.authentication.mechanisms.is_empty() && !outbound.authentication.mechanisms.is_empty());
        assert!(probe(inbound, "192.0.2.66", "alice@corp.example") && !probe(inbound, "192.0.2.66", "bob@ext.example"));
        for recipient in ["alice@corp.example", "bob@ext.example"] {
            assert!(!probe(outbound, "10.1.1.1", recipient));
            assert_eq!(answers(outbound, &Identity::account("u1"), recipient), Err(Refusal::MayNotSubmit));
            assert!(answers(outbound, &Identity::Peer("ex1".into()), recipient).is_ok());
        }
        let bob = "bob@ext.example".parse().unwrap();
        let route = |server| policy::route(&config.routing, server, &bob).verdict;
        assert!(matches!(route("outbound"), Ok(Route::SmartHosts(_))) && route("inbound") == Ok(Route::None));
    }
}

#[test]
fn what_is_not_a_realm_cannot_become_a_key() {
    use config::templates::Realm;
    for wrong in ["", "CORP EXAMPLE", "A\"\nhostname = \"evil.example", "CÖRP", &"A".repeat(256)] {
        assert!(wrong.parse::<Realm>().is_err(), "{wrong}");
    }
}

//! Scenarios of the acceptance table as far as settings decide them, and the defaults of the file
//! against those of the crates it sets.

use crate::dump::probe;
use crate::golden::files;
use config::{Config, Severity};
use policy::{Route, Target};

fn good(name: &str) -> Config {
    let (name, text) = files("good").into_iter().find(|(found, _)| found == name).expect("a good file");
    Config::from_text(&name, &text).unwrap_or_else(|mistakes| panic!("{mistakes}")).0
}

/// Settings with some lines of a virtual server `inbound`.
fn with(lines: &str) -> Result<Config, config::Mistakes> {
    let text = format!(
        "hostname = \"mx1.corp.example\"\nstate_dir = \"s\"\norganization.domains = [\"corp.example\"]\n\
         [virtual_server.inbound]\nlisten = [\"127.0.0.1:0\"]\n{lines}\n"
    );
    Config::from_text("with", &text).map(|(config, _)| config)
}

#[test]
fn d03_d04_d10_the_inbound_server_submits_and_the_outbound_server_relays() {
    let config = good("inbound-outbound.toml");
    let [inbound, outbound] = ["inbound", "outbound"].map(|name| config.server(name).expect("a virtual server"));
    assert!(probe(inbound, "192.0.2.67", "alice@corp.example"));
    assert!(!probe(inbound, "192.0.2.67", "bob@ext.example"));
    assert!(!probe(inbound, "192.0.2.66", "alice@corp.example"));
    assert!(probe(outbound, "10.168.0.1", "bob@ext.example"));
    assert!(!probe(outbound, "10.168.0.2", "bob@ext.example"));
    assert!(!probe(outbound, "192.0.2.67", "alice@corp.example"));
}

#[test]
fn f01_to_f06_the_internet_server_relays_to_its_remote_domains_only() {
    let config = good("published.toml");
    let inet = config.server("inet").expect("a virtual server");
    for (recipient, may) in [
        ("alice@corp.example", true),
        ("alice@CORP.example.", true),
        ("bob@ext.example", false),
        ("user@sub.corp.example", true),
        ("x@notcorp.example", false),
    ] {
        assert_eq!(probe(inet, "192.0.2.67", recipient), may, "{recipient}");
    }
}

#[test]
fn e06_e07_a_smart_host_that_is_an_address_is_a_literal_with_or_without_brackets() {
    for (spelling, warnings) in [("[10.0.0.20]", 0), ("10.0.0.20", 1)] {
        let text = format!(
            "hostname = \"mx1.corp.example\"\nstate_dir = \"s\"\n[virtual_server.corp]\nlisten = [\"127.0.0.1:0\"]\n\
             delivery.smart_hosts = {spelling:?}\n"
        );
        let (config, said) = Config::from_text("corp", &text).unwrap();
        assert_eq!(said.len(), warnings, "{said:?}");
        assert!(said.iter().all(|mistake| mistake.severity == Severity::Warning));
        let route = policy::route(&config.routing, "corp", &"bob@ext.example".parse().unwrap()).verdict;
        let Ok(Route::SmartHosts(hosts)) = route else { panic!("{route:?}") };
        assert_eq!(hosts.hosts[0].host, Target::Literal("10.0.0.20:25".parse().unwrap()));
    }
}

#[test]
fn g09_the_route_of_a_remote_domain_wins_over_the_smart_hosts() {
    let config = good("everything.toml");
    let target = |recipient: &str| match policy::route(&config.routing, "inbound", &recipient.parse().unwrap()).verdict
    {
        Ok(Route::SmartHosts(hosts)) => format!("{:?}", hosts.hosts[0].host),
        other => panic!("{other:?}"),
    };
    assert_eq!(target("x@sub.corp2.example"), "Name(relay2.example.net, 25)");
    assert_eq!(target("x@corp2.example"), "Literal(10.0.0.30:25)");
    assert_eq!(target("alice@corp.example"), "Literal(10.0.0.20:25)");
}

#[test]
fn l01_l05_l09_l12_limits_reach_the_session_and_the_rules() {
    let config = with(
        "[virtual_server.inbound.limits]\nmessage_size = \"2048 KiB\"\nrecipients_per_message = 100\n\
         hop_count = 15\nconnections = 2",
    )
    .unwrap();
    let server = &config.servers[0];
    assert_eq!(server.session.message_size_bytes, Some(2_097_152));
    assert_eq!(server.session.recipients_per_message, 100);
    assert_eq!(server.rules.limits.hop_count, 15);
    assert_eq!(server.rules.limits.connections, Some(2));
}

#[test]
fn p08_intervals_reach_the_schedule() {
    let retry = with("").unwrap().queue.retry;
    assert_eq!([1, 2, 3, 4].map(|n| retry.interval(n).as_secs() / 60), [15, 30, 60, 240]);
}

#[test]
fn the_defaults_of_the_file_are_those_of_the_crates() {
    let config = with("").unwrap();
    let ours = &config.servers[0].session;
    let mut theirs = smtp::server::Settings::new("mx1.corp.example".parse().unwrap());
    // What the gateway wants otherwise: the domain of the organization, and room for the mail of today.
    theirs.default_domain = "corp.example".parse().unwrap();
    theirs.message_size_bytes = Some(25 << 20);
    theirs.session_size_bytes = None;
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    assert_eq!(config.queue.retry, queue::Retry::default());
    assert_eq!(config.queue.spool, queue::spool::Settings::default());
}

#[test]
fn e12_everyone_is_judged_by_both_lists() {
    let open = "[virtual_server.inbound.relay]\nmode = \"all-except\"\nlist = []";
    let inside = "[virtual_server.inbound.connection_control]\nmode = \"only\"\nlist = [\"10.0.0.0/8\"]";
    let nobody = "[virtual_server.inbound.authentication]\nanonymous = false";
    let insists = "open_relay = \"i-know-this-is-an-open-relay\"";
    assert!(with(open).is_err());
    assert!(with(&format!("{open}\n{insists}")).is_ok());
    assert!(with(&format!("{open}\n{inside}")).is_ok());
    assert!(with(&format!("{open}\n{nobody}")).is_ok());
}

#[test]
fn line_ends_and_marks_of_other_systems_are_read() {
    let text =
        "hostname = \"mx1.corp.example\"\r\nstate_dir = \"s\"\r\n[virtual_server.a]\r\nlisten = [\"127.0.0.1:0\"]\r\n";
    let (config, _) = Config::from_text("dos", text).unwrap();
    assert_eq!(config.book.place(config.servers[0].rules.relay.mode_rule).line, None);
    assert!(Config::from_text("marked", &format!("\u{feff}{text}")).is_ok());
}

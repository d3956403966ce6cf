//! The embedded settings are settings like any other.

use crate::dump::probe;
use config::Config;
use config::embedded::{Options, default_text};

fn embedded(options: &Options) -> Config {
    let text = default_text(options);
    let (config, warnings) = Config::from_text("embedded", &text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(warnings, [], "{text}");
    config
}

#[test]
fn without_a_smart_host_no_mail_leaves_the_machine() {
    let config = embedded(&Options::default());
    let inbound = config.server("inbound").unwrap();
    assert_eq!(inbound.listen, ["127.0.0.1:2525".parse().unwrap()]);
    assert!(inbound.rules.domains.local(&"bridgehead.test".parse().unwrap()).is_some());
    assert_eq!(config.metrics, ["127.0.0.1:2580".parse().unwrap()]);
    assert!(!probe(inbound, "127.0.0.1", "bob@ext.example"));
    assert!(probe(inbound, "127.0.0.1", "alice@bridgehead.test"));
    let route = policy::route(&config.routing, "inbound", &"alice@bridgehead.test".parse().unwrap());
    assert!(matches!(route.verdict, Ok(policy::Route::Drop(drop)) if drop.directory.ends_with("bridgehead-data/drop")));
    let elsewhere = policy::route(&config.routing, "outbound", &"bob@ext.example".parse().unwrap());
    assert!(matches!(elsewhere.verdict, Ok(policy::Route::None)), "{elsewhere:?}");
}

#[test]
fn only_accounts_send_outside_and_only_over_tls() {
    let config = embedded(&Options { smart_host: Some("[10.0.0.20]:2500".into()), ..Options::default() });
    let outbound = config.server("outbound").unwrap();
    assert_eq!(outbound.listen, ["127.0.0.1:2526".parse().unwrap()]);
    for client in ["127.0.0.1", "::1", "192.0.2.1"] {
        assert!(!probe(outbound, client, "bob@ext.example"), "{client}");
        assert!(!probe(outbound, client, "alice@bridgehead.test"), "{client}");
    }
    let recipient = "bob@ext.example".parse().unwrap();
    let facts = policy::RecipientFacts {
        client: "127.0.0.1".parse().unwrap(),
        now: mail::Timestamp::from_millis(1_800_000_000_000),
        identity: &mail::Identity::account("you"),
        recipient: &recipient,
    };
    assert!(policy::recipient(&outbound.rules, &facts, &mail::Ledger::new()).unwrap().verdict.is_ok());
    assert_eq!(outbound.session.mechanisms, ["SCRAM-SHA-256".into()]);
    assert!(outbound.session.mechanisms_when_secured.contains(&"PLAIN".into()));
    assert!(!config.server("inbound").unwrap().session.has_auth());
    let route = policy::route(&config.routing, "outbound", &recipient);
    assert!(matches!(route.verdict, Ok(policy::Route::SmartHosts(_))), "{route:?}");
}

#[test]
fn what_the_command_line_says_cannot_become_another_key() {
    let options = Options {
        state_dir: "a\"\nhostname = \"evil.example".into(),
        smart_host: Some("x\"]\n[virtual_server.evil]\nlisten=[\"0.0.0.0:25".into()),
        ..Options::default()
    };
    let mistakes = Config::from_text("embedded", &default_text(&options)).expect_err("that is no smart host");
    assert_eq!(mistakes.list().len(), 1, "{mistakes}");
    assert_eq!(&*mistakes.list()[0].key, "virtual_server.outbound.delivery.smart_hosts[0]");
}

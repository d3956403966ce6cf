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
    assert_eq!(config.servers.len(), 1);
    assert_eq!(config.servers[0].listen, ["127.0.0.1:2525".parse().unwrap()]);
    assert!(config.servers[0].rules.domains.local(&"bridgehead.test".parse().unwrap()).is_some());
    assert_eq!(config.metrics, ["127.0.0.1:2580".parse().unwrap()]);
    assert!(!probe(&config.servers[0], "127.0.0.1", "bob@ext.example"));
    assert!(probe(&config.servers[0], "127.0.0.1", "alice@bridgehead.test"));
    let route = policy::route(&config.routing, "inbound", &"alice@bridgehead.test".parse().unwrap());
    assert!(matches!(route.verdict, Ok(policy::Route::Drop(drop)) if drop.directory.ends_with("bridgehead-data/drop")));
}

#[test]
fn with_a_smart_host_only_this_machine_may_send() {
    let config = embedded(&Options { smart_host: Some("[10.0.0.20]:2500".into()), ..Options::default() });
    let outbound = config.server("outbound").unwrap();
    for (client, may) in [("127.0.0.1", true), ("::1", true), ("127.200.0.1", true), ("192.0.2.1", false)] {
        assert_eq!(probe(outbound, client, "bob@ext.example"), may, "{client}");
    }
    assert!(!probe(config.server("inbound").unwrap(), "127.0.0.1", "bob@ext.example"));
    let route = policy::route(&config.routing, "outbound", &"bob@ext.example".parse().unwrap());
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

//! What must never be: proved before settings are taken, insisted on by name, and never forgotten too soon.

use std::path::PathBuf;

use e2e::{Gateway, Start, command, mail};
use tempfile::TempDir;

use crate::{OTHER, inbound};

/// A file of invariants, and settings that name it.
struct Invariants(TempDir);

/// The finding that the invariant below is broken.
const FINDING: &str = "invariant:no-anonymous-relay:inbound";

/// Whoever has this address may relay.
const RELAY: &str = "[virtual_server.inbound.relay]\nmode = \"only\"\nlist = [\"127.0.0.6\"]\n";

impl Invariants {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let text = "[[invariant]]\nname = \"no-anonymous-relay\"\nnever = \"relay\"\nwho = \"anonymous\"\n";
        std::fs::write(directory.path().join("invariants.toml"), text).unwrap();
        Self(directory)
    }

    /// Settings with these tables behind them.
    fn settings(&self, tables: &str) -> String {
        let path = self.0.path().join("invariants.toml").display().to_string();
        format!("invariants = {path:?}\n{}", inbound(tables))
    }
}

fn accepted(gateway: &Gateway) -> String {
    let path: PathBuf = gateway.state().join("accepted");
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Whether a client that has not authenticated may relay.
fn relays(gateway: &Gateway) -> bool {
    let mut client = gateway.client("inbound", OTHER);
    client.ask("MAIL FROM:<x@ext.example>", "250");
    client.line("RCPT TO:<bob@ext.example>");
    client.reply().code() == 250
}

#[test]
fn settings_that_break_an_invariant_do_not_start_and_the_witness_shows_why() {
    let invariants = Invariants::new();
    let refused = Gateway::try_start(&invariants.settings(RELAY), &[]).expect_err("an invariant is broken");
    assert_ne!(refused.code, 0);
    for expected in [FINDING, "virtual_server.inbound.relay.list[0] (line ", "--client 127.0.0.6", "--accept"] {
        assert!(refused.output.contains(expected), "no {expected} in\n{}", refused.output);
    }
    let _ = Gateway::start(&invariants.settings(""));
}

#[test]
fn check_says_what_holds_and_what_is_broken() {
    let invariants = Invariants::new();
    let gateway = Gateway::start(&invariants.settings(""));
    let file = gateway.settings_file().display().to_string();
    let checked = command(&["check", &file]);
    assert_eq!(checked.code, 0, "{}", checked.text());
    assert!(checked.text().contains("no-anonymous-relay holds, proved over "), "{}", checked.text());

    gateway.rewrite(&invariants.settings(RELAY));
    let checked = command(&["check", &file]);
    assert_eq!(checked.code, 1, "{}", checked.text());
    assert!(checked.text().contains("no-anonymous-relay IS BROKEN"), "{}", checked.text());
    // The witness is a command line; typed as it stands, it shows the session.
    let (_, witness) = checked.stdout.split_once("see   bridgehead ").expect("a witness");
    // Broken lines end with a backslash.
    let words: Vec<&str> = witness.split_whitespace().filter(|word| *word != "\\").collect();
    let explained = command(&words).text();
    assert!(explained.contains("virtual_server.inbound.relay.list[0]"), "{explained}");
}

#[test]
fn a_reload_that_breaks_an_invariant_is_refused_either_way() {
    let invariants = Invariants::new();
    let gateway = Gateway::start(&invariants.settings(""));
    let taken = gateway.reload(&[]);
    assert_eq!(taken.code, 0, "{}", taken.text());
    assert!(taken.stdout.contains("the settings were taken"), "{}", taken.text());
    assert!(taken.stdout.contains("nothing changes in who may do what"), "{}", taken.text());

    gateway.rewrite(&invariants.settings(RELAY));
    let refused = gateway.reload(&[]);
    assert_eq!(refused.code, 1, "{}", refused.text());
    for expected in ["the old ones stay", FINDING, "bridgehead explain --config", "--accept"] {
        assert!(refused.text().contains(expected), "no {expected} in\n{}", refused.text());
    }
    let _ = gateway.log_with(&["reload-refused", FINDING, "--client 127.0.0.6"]);
    assert!(!relays(&gateway));

    let before = gateway.log().lines().filter(|line| line.contains("reload-refused")).count();
    gateway.signal("HUP");
    e2e::until("a second refusal", || {
        let now = gateway.log().lines().filter(|line| line.contains("reload-refused")).count();
        (now > before).then_some(())
    });
    assert!(!relays(&gateway));
    assert_eq!(accepted(&gateway), "");
}

#[test]
fn a_reload_says_what_is_wrong_with_the_settings() {
    let gateway = Gateway::start(&inbound(""));
    gateway.rewrite(&inbound("no_such_key = 1\n"));
    let refused = gateway.reload(&[]);
    assert_eq!(refused.code, 1);
    assert!(refused.text().contains("no_such_key"), "{}", refused.text());
    // What only the gateway can find out comes back as well.
    gateway.rewrite(&inbound("").replace("[metrics]", "[log]\nformat = \"text\"\n[metrics]"));
    let refused = gateway.reload(&[]);
    assert!(refused.text().contains("only with a restart"), "{}", refused.text());
    let json = gateway.reload(&["--json"]);
    assert!(json.stdout.contains("\"refused\""), "{}", json.text());
}

#[test]
fn what_is_insisted_on_is_taken_recorded_and_forgotten_when_it_is_mended() {
    let invariants = Invariants::new();
    let mut gateway = Gateway::start(&invariants.settings(""));
    gateway.rewrite(&invariants.settings(RELAY));
    // Another finding is not this one.
    assert_eq!(gateway.reload(&["--accept", "invariant:no-anonymous-relay:outbound"]).code, 1);
    let taken = gateway.reload(&["--accept", FINDING]);
    assert_eq!(taken.code, 0, "{}", taken.text());
    assert!(taken.stdout.contains(FINDING), "{}", taken.text());
    assert!(taken.stdout.contains("WIDER"), "what it opens: {}", taken.text());
    let _ = gateway.log_with(&["\"accepted\"", FINDING]);
    assert!(accepted(&gateway).trim_end().ends_with(FINDING), "{}", accepted(&gateway));
    assert!(accepted(&gateway).starts_with("20"), "the time: {}", accepted(&gateway));
    // The gate does not put off what was insisted on.
    let (message, token) = mail::message("insisted");
    gateway.client("inbound", OTHER).deliver("x@ext.example", "alice@corp.example", &message);
    let _ = gateway.dropped_with(&token);
    assert!(relays(&gateway));

    // Later reloads and starts know of it.
    assert_eq!(gateway.reload(&[]).code, 0);
    gateway.restart();
    assert!(relays(&gateway));

    // Once it is mended it is forgotten: the same mistake is refused again.
    gateway.rewrite(&invariants.settings(""));
    assert_eq!(gateway.reload(&[]).code, 0);
    assert_eq!(accepted(&gateway), "");
    gateway.rewrite(&invariants.settings(RELAY));
    assert_eq!(gateway.reload(&[]).code, 1);
    assert!(!relays(&gateway));
}

#[test]
fn a_start_can_be_insisted_on_and_the_next_one_knows() {
    let invariants = Invariants::new();
    let mut gateway = Start::with(&invariants.settings(RELAY)).arguments(&["--accept", FINDING]).go();
    assert!(relays(&gateway));
    assert_eq!(says_accepted(&gateway, 1), 1);
    gateway.set_arguments(&[]);
    gateway.restart();
    assert!(relays(&gateway));
    assert_eq!(says_accepted(&gateway, 2), 2, "each start says so");
}

/// How often the log says that the finding is accepted, once it has said it so often.
fn says_accepted(gateway: &Gateway, times: usize) -> usize {
    e2e::until("a word about what is accepted", || {
        let log = gateway.log();
        let said = log.lines().filter(|line| line.contains("\"accepted\"") && line.contains(FINDING)).count();
        (said >= times).then_some(said)
    })
}

/// I15: that it is one is found, and whoever reloads it by mistake is stopped.
#[test]
fn a_reload_that_adds_a_critical_finding_is_refused_and_a_start_is_not() {
    const OPEN: &str = "[virtual_server.inbound.relay]\nmode = \"all-except\"\nlist = []\n\
         open_relay = \"i-know-this-is-an-open-relay\"\n";
    let mut gateway = Gateway::start(&inbound(""));
    gateway.rewrite(&inbound(OPEN));
    let refused = gateway.reload(&[]);
    assert_eq!(refused.code, 1, "{}", refused.text());
    assert!(refused.text().contains("--accept open-relay:inbound"), "{}", refused.text());
    let _ = gateway.log_with(&["reload-refused", "open-relay:inbound"]);
    assert!(!relays(&gateway));
    let taken = gateway.reload(&["--accept", "open-relay:inbound"]);
    assert_eq!(taken.code, 0, "{}", taken.text());
    assert!(relays(&gateway));
    assert!(accepted(&gateway).contains("open-relay:inbound"));
    // Whoever has started with it has it running: that it is still there is no news.
    gateway.rewrite(&inbound(""));
    assert_eq!(gateway.reload(&[]).code, 0);
    gateway.rewrite(&inbound(OPEN));
    gateway.restart();
    assert!(relays(&gateway));
    assert_eq!(gateway.reload(&[]).code, 0);
}

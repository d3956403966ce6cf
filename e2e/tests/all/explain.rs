//! `bridgehead explain`: a session that is described, and a refusal that has happened, by its name.

use crate::{CORP, LISTED, OTHER};
use e2e::{Finished, Gateway, command, until};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Accounts by hand: nobody logs in here.
const ACCOUNTS: &str = "
account u1
  group workers
  address u1@corp.example
account guest
  group trainees
account gone
  suspended
";

fn settings(accounts: &Path, relay_list: &[&str]) -> String {
    format!(
        "{CORP}\n[directory.file.people]\npath = {:?}\n\
         [virtual_server.inbound]\nlisten = [\"127.0.0.2:0\"]\n\
         [virtual_server.inbound.authentication]\nmechanisms = [\"SCRAM-SHA-256\"]\ndirectories = [\"people\"]\n\
         [virtual_server.inbound.submit]\nallow = [\"group:workers\", {{ who = \"account:scanner\", owner = \"it\", \
         reason = \"old\", expires = \"2026-12-31\" }}]\n\
         [virtual_server.inbound.relay]\nmode = \"only\"\nlist = {relay_list:?}\nallow = [\"group:workers\"]\n\
         [virtual_server.inbound.send_as]\nenvelope = \"refuse\"\nfrom = \"refuse\"\n",
        accounts.display().to_string()
    )
}

/// A gateway with these accounts.
fn gateway() -> (Gateway, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("this is there");
    let accounts = directory.path().join("accounts");
    std::fs::write(&accounts, ACCOUNTS).expect("this is there");
    std::fs::set_permissions(&accounts, std::fs::Permissions::from_mode(0o600)).expect("this is there");
    (Gateway::start(&settings(&accounts, &[LISTED])), directory)
}

fn explain(gateway: &Gateway, more: &[&str]) -> Finished {
    let file = gateway.settings_file().display().to_string();
    let finished = command(&[&["explain", "--config", &file], more].concat());
    let is_json = more.contains(&"--json");
    assert!(is_json || finished.stdout.lines().all(|line| line.chars().count() <= 100), "{}", finished.stdout);
    finished
}

fn session(gateway: &Gateway, more: &[&str]) -> Finished {
    explain(gateway, &[&["--server", "inbound", "--client", OTHER], more].concat())
}

fn assert_said(finished: &Finished, code: i32, expected: &[&str]) {
    assert_eq!(finished.code, code, "{}", finished.text());
    // Lines are broken where a terminal ends.
    let text = finished.text().split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in expected {
        assert!(text.contains(expected), "no {expected} in\n{}", finished.text());
    }
}

#[test]
fn an_account_is_looked_up_and_what_was_compared_is_said() {
    let (gateway, _directory) = gateway();
    let own = session(&gateway, &["--account", "u1", "--mail-from", "u1@corp.example", "--rcpt", "bob@ext.example"]);
    assert_said(
        &own,
        0,
        &["groups workers", "account u1, group workers: group:workers", "u1@corp.example is account u1's own"],
    );

    let guest = session(&gateway, &["--account", "guest"]);
    let nearest = "nearest edit to let it through: virtual_server.inbound.submit.allow";
    assert_said(
        &guest,
        1,
        &["550 5.7.3", "account guest, group trainees: none of 2 entries", nearest, "\"account:guest\", ]"],
    );

    let gone = session(&gateway, &["--account", "gone"]);
    assert_said(&gone, 1, &["may not log in"]);
}

#[test]
fn what_is_said_of_an_account_is_taken_instead_and_exceptions_have_a_day() {
    let (gateway, _directory) = gateway();
    let said = session(&gateway, &["--account", "x", "--group", "workers", "--address", "x@corp.example"]);
    assert_said(&said, 0, &["as the command line says", "addresses x@corp.example"]);
    let scanner = |day: &str| session(&gateway, &["--account", "scanner", "--at", day, "--mail-from", ""]);
    assert_said(&scanner("2026-12-31"), 0, &["until 2026-12-31; owner it; reason old"]);
    assert_said(
        &scanner("2027-01-01"),
        1,
        &["expired on 2026-12-31; owner it; reason old", "renew \"account:scanner\""],
    );
}

#[test]
fn mechanisms_headers_and_messages_are_explained() {
    let (gateway, directory) = gateway();
    assert_said(&session(&gateway, &[]), 0, &["AUTH: SCRAM-SHA-256 offered in the clear"]);
    let login = session(&gateway, &["--mechanism", "login"]);
    assert_said(&login, 1, &["504 5.5.4", "it is not in virtual_server.inbound.authentication.mechanisms"]);
    let u1 = ["--account", "u1", "--mail-from", "u1@corp.example", "--rcpt", "alice@corp.example"];
    let forged = session(&gateway, &[&u1[..], &["--header-from", "Boss <boss@corp.example>"]].concat());
    let lend = ["lend boss@corp.example to account:u1", "[[organization.send_as]]", "who = \"account:u1\""];
    assert_said(&forged, 1, &["message: refused, 550 5.7.1"]);
    assert_said(&forged, 1, &lend);
    let message = directory.path().join("message");
    std::fs::write(&message, "Received: from x\nFrom: u1@corp.example\nSubject: x\n\nFrom: boss@corp.example\n")
        .expect("this is there");
    let sent = session(&gateway, &[&u1[..], &["--message", &message.display().to_string()]].concat());
    assert_said(&sent, 0, &["message: taken", "1 Received fields, the limit is 30"]);
}

#[test]
fn json_is_for_programs() {
    let (gateway, _directory) = gateway();
    let told = session(&gateway, &["--account", "guest", "--json"]);
    assert_eq!(told.code, 1);
    let told: serde_json::Value = serde_json::from_str(&told.stdout).expect("this is there");
    let mail = told.as_array().expect("this is there").last().expect("this is there");
    assert_eq!(mail["question"], "MAIL FROM:<>");
    assert_eq!(mail["refused"], true);
    assert_eq!(mail["steps"][0]["key"], "virtual_server.inbound.submit.allow");
    assert_eq!(mail["edits"][0]["what"], "add \"account:guest\"");
}

#[test]
fn a_refusal_is_asked_about_by_the_name_in_its_reply() {
    let (gateway, directory) = gateway();
    let mut client = gateway.client("inbound", OTHER);
    client.ask("MAIL FROM:<x@ext.example>", "250");
    let reply = client.ask("RCPT TO:<bob@ext.example>", "550 5.7.1 Unable to relay for bob@ext.example (");
    let id = reply.last().rsplit_once('(').expect("this is there").1.trim_end_matches(')').to_owned();
    let _ = gateway.log_with(&["\"refused\"", &format!("\"decision\":\"{id}\"")]);

    let told = explain(&gateway, &["--decision", &id]);
    let rule = "virtual_server.inbound.relay.list (line";
    let nearest = "list = [\"127.0.0.5\", \"127.0.0.6\"]";
    let value = "client 127.0.0.6 is not on the list of 1 client";
    assert_said(
        &told,
        1,
        &[&id, "client 127.0.0.6, not authenticated", rule, value, nearest, "the settings of now decide the same"],
    );
    assert_said(
        &told,
        1,
        &[&format!("RCPT TO:<bob@ext.example>: refused, 550 5.7.1 Unable to relay for bob@ext.example ({id})")],
    );

    // What was proposed turns the answer round.
    gateway.rewrite(&settings(&directory.path().join("accounts"), &[LISTED, OTHER]));
    gateway.signal("HUP");
    let told = until("the answer of now", || {
        let told = explain(&gateway, &["--decision", &id]);
        told.text().contains("by the settings of now").then_some(told)
    });
    assert_said(&told, 0, &[value, "RCPT TO:<bob@ext.example>: relayed", "client 127.0.0.6 is this address"]);
    let json = explain(&gateway, &["--decision", &id, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("this is there");
    assert_eq!(
        (&json["id"], &json["then"]["refused"], &json["now"]["refused"]),
        (&id.into(), &true.into(), &false.into())
    );
}

#[test]
fn a_refusal_that_is_forgotten_leads_to_the_log() {
    let (mut gateway, _directory) = gateway();
    let mut client = gateway.client("inbound", OTHER);
    client.ask("MAIL FROM:<x@ext.example>", "250");
    let reply = client.ask("RCPT TO:<bob@ext.example>", "550 5.7.1");
    let id = reply.last().rsplit_once('(').expect("this is there").1.trim_end_matches(')').to_owned();
    gateway.kill();
    gateway.restart();
    for unknown in [id.as_str(), "00000000", "not an id"] {
        let told = explain(&gateway, &["--decision", unknown]);
        assert_said(&told, 1, &[&format!("decision={unknown}")]);
    }
}

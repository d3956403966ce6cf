//! Directories that misbehave, while the gateway runs: whoever logs in meanwhile is told to come again, nobody
//! is let in for it, nobody else waits, and when they are back everything is as before.

mod issuer;
mod ldap;

use std::fs;
use std::path::Path;

use base64ct::{Base64, Encoding};
use e2e::{Client, Gateway, Reserved, command_with_input, mail, until};

use crate::{OTHER, inbound};
use issuer::Issuer;
use ldap::{LdapServer, Manner};

/// Where directories stand.
const DIRECTORY: &str = "127.0.0.60";
/// The password of everybody whom these directories know.
const PASSWORD: &str = "correct horse";
/// What is said when a directory cannot be asked.
const COME_AGAIN: &str = "454 4.7.0 Temporary authentication failure";

/// `inbound`, where anybody may send mail inside, and `submit`, where it takes an account to do so. Passwords go in
/// the clear here, so that what is said can be read.
fn settings(mechanisms: &str, directory: &str, tables: &str) -> String {
    let server = format!(
        "[virtual_server.submit]\nlisten = [\"127.0.0.3:0\"]\n\
         [virtual_server.submit.authentication]\nanonymous = false\nmechanisms = [\"{mechanisms}\"]\n\
         directories = [\"{directory}\"]\nin_the_clear = \"i-know-passwords-can-be-read-on-the-way\"\n"
    );
    inbound(&format!("{server}{tables}"))
}

/// A login by PLAIN.
fn plain(name: &str, password: &str) -> String {
    format!("AUTH PLAIN {}", Base64::encode_string(format!("\0{name}\0{password}").as_bytes()))
}

/// Logs in, in a session of its own.
fn log_in(gateway: &Gateway, command: &str, expected: &str) -> Client {
    let mut client = gateway.client("submit", OTHER);
    client.ask(command, expected);
    client
}

/// A login that is put off lets nobody in.
fn assert_put_off(gateway: &Gateway, command: &str) {
    let mut client = log_in(gateway, command, COME_AGAIN);
    client.ask("MAIL FROM:<alice@corp.example>", "530 5.7.3 Client was not authenticated");
    client.quit();
}

/// Mail of somebody who needs no directory.
fn assert_mail_goes_on(gateway: &Gateway) {
    let (message, token) = mail::message("meanwhile");
    let mut client = gateway.client("inbound", OTHER);
    client.deliver("x@ext.example", "alice@corp.example", &message);
    client.quit();
    let _ = gateway.dropped_with(&token);
}

fn ldap(server: &Reserved, timeout: &str) -> String {
    let url = format!("ldap://{}", server.address());
    let tables = format!(
        "[directory.ldap.corp]\nservers = [\"{url}\"]\nbase = \"dc=corp\"\ntimeout = \"{timeout}\"\ncache = \"1 s\"\n"
    );
    settings("PLAIN", "corp", &tables)
}

#[test]
fn an_ldap_server_in_trouble_is_no_answer() {
    let reserved = Reserved::on(DIRECTORY);
    let gateway = Gateway::start(&ldap(&reserved, "1 s"));
    let login = plain("alice", PASSWORD);
    // Nobody listens.
    assert_put_off(&gateway, &login);
    let _ = gateway.log_with(&["does not answer: Connection refused"]);

    let server = LdapServer::over(reserved);
    for manner in [Manner::Silent, Manner::HalfAnAnswer, Manner::DiesInAnAnswer, Manner::DiesInTheSearch] {
        server.behaves(manner);
        server.hangs_up();
        assert_put_off(&gateway, &login);
        assert_mail_goes_on(&gateway);
    }
    server.behaves(Manner::Sound);
    let mut client = log_in(&gateway, &login, "235 2.7.0");
    client.ask("MAIL FROM:<alice@corp.example>", "250");
    let _ = gateway.log_with(&["answers again"]);
    let _ = log_in(&gateway, &plain("alice", "wrong"), "535 5.7.8");

    let metrics = gateway.metrics();
    let counted = |reason: &str| {
        let labels = ["server=\"submit\"", &format!("reason=\"{reason}\"")];
        metrics.sum("bridgehead_authentications_total", &labels)
    };
    assert_eq!([counted("unavailable"), counted("proved"), counted("refused")], [5.0, 1.0, 1.0], "{}", gateway.log());
}

#[test]
fn a_login_that_waits_for_its_directory_holds_up_nobody() {
    let reserved = Reserved::on(DIRECTORY);
    let gateway = Gateway::start(&ldap(&reserved, "30 s"));
    let server = LdapServer::over(reserved);
    server.behaves(Manner::Silent);
    let mut waiting = gateway.client("submit", OTHER);
    waiting.line(&plain("alice", PASSWORD));
    server.wait_until_asked();
    assert_mail_goes_on(&gateway);
    // Only now does the directory speak, and the login goes on where it was.
    server.behaves(Manner::Sound);
    waiting.expect("235 2.7.0");
}

#[test]
fn an_issuer_that_cannot_be_reached_is_no_answer() {
    let Some(issuer) = Issuer::new() else { return e2e::skip("no openssl") };
    let reserved = Reserved::on(DIRECTORY);
    let tables = format!(
        "[directory.tokens.logins]\nissuer = \"https://login.test\"\naudience = \"smtp\"\nkeys = \"https://{}/jwks\"\n\
         authorities = {:?}\n",
        reserved.address(),
        issuer.authority().display().to_string()
    );
    let gateway = Gateway::start(&settings("XOAUTH2", "logins", &tables));
    let login = |token: &str| {
        let shown = format!("user=alice@corp.example\x01auth=Bearer {token}\x01\x01");
        format!("AUTH XOAUTH2 {}", Base64::encode_string(shown.as_bytes()))
    };
    let good = login(&issuer.token("alice@corp.example"));
    assert_put_off(&gateway, &good);
    let _ = gateway.log_with(&["\"event\":\"directory\""]);
    assert_mail_goes_on(&gateway);

    // Keys are asked for again ten seconds after the last time, so this takes some tries.
    let _site = issuer.publish(reserved);
    until("the keys", || {
        let mut client = gateway.client("submit", OTHER);
        client.line(&good);
        let reply = client.reply();
        assert!(reply.last().starts_with(COME_AGAIN) || reply.code() == 235, "{}", client.transcript());
        (reply.code() == 235).then_some(())
    });
    // Now that there are keys, one that is signed by nobody is refused for good.
    let mut forged = log_in(&gateway, &login(&issuer.forged("alice@corp.example")), "334");
    forged.ask("", "535 5.7.8");
}

/// Puts a file in place whole.
fn replace(file: &Path, text: &str) {
    let unfinished = file.with_extension("new");
    fs::write(&unfinished, text).expect("our own directory");
    fs::rename(&unfinished, file).expect("our own directory");
}

#[test]
fn a_bad_account_file_changes_nothing_and_a_good_one_needs_no_restart() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("accounts");
    let add = |name: &str| {
        let address = format!("{name}@corp.example");
        let words = ["account", "--file", &file.display().to_string(), "add", name, "--address", &address];
        let _ = command_with_input(&words, format!("{PASSWORD}\n").as_bytes()).success();
    };
    add("alice");
    let tables = format!("[directory.file.people]\npath = {:?}\n", file.display().to_string());
    let gateway = Gateway::start(&settings("PLAIN", "people", &tables));
    let alice = plain("alice", PASSWORD);
    // Whether the file has changed is looked at when somebody asks.
    let until_said = |words: &str| {
        until(format!("{words} in the log"), || {
            log_in(&gateway, &alice, "235 2.7.0").quit();
            gateway
                .log()
                .lines()
                .any(|line| line.contains("\"event\":\"directory\"") && line.contains(words))
                .then_some(())
        });
    };
    let good = fs::read_to_string(&file).expect("our own file");
    replace(&file, &format!("{good}account bob\n  pasword nothing\n"));
    until_said("not read again, what was read before stays");
    let _ = log_in(&gateway, &plain("bob", PASSWORD), "535 5.7.8");
    assert!(!gateway.log().contains("pasword nothing"), "what stands in the file is not said");

    replace(&file, &good);
    add("bob");
    until_said("what\":\"read again");
    let mut bob = log_in(&gateway, &plain("bob", PASSWORD), "235 2.7.0");
    bob.ask("MAIL FROM:<bob@corp.example>", "250");
}

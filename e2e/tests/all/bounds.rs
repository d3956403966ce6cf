//! Bounds for the trusted: what an account can still do that has sent too much, or to strangers who do not exist, and
//! what its operator does about it.

use e2e::{Act, At, Gateway, Peer, Script, command, mail, until};

use crate::authentication::plain;
use crate::table::{HASH, PASSWORD};
use crate::{IMPATIENT, OTHER};

/// Accounts that may submit, with these limits.
fn settings(accounts: &std::path::Path, bounds: &str) -> String {
    format!(
        "[organization]\ndomains = [\"corp.example\"]\n[directory.file.people]\npath = {:?}\n\
         [bounds]\nslow_from = 100\n{bounds}\n\
         [virtual_server.submit]\nlisten = [\"127.0.0.2:0\"]\n[virtual_server.submit.authentication]\nanonymous = false\n\
         mechanisms = [\"PLAIN\"]\ndirectories = [\"people\"]\nin_the_clear = \"i-know-passwords-can-be-read-on-the-way\"\n",
        accounts.display().to_string()
    )
}

/// The reply to MAIL of a new session as `u1`; if it is positive, the message is sent, and must be taken.
fn send(gateway: &Gateway, message: &str) -> String {
    let mut client = gateway.client("submit", OTHER);
    client.ask(&plain("u1", PASSWORD), "235 2.7.0");
    client.line("MAIL FROM:<u1@corp.example>");
    let said = client.reply();
    if said.code() == 250 {
        client.ask("RCPT TO:<alice@corp.example>", "250");
        client.ask("DATA", "354");
        client.send(&mail::stuffed(message));
        client.expect("250");
    }
    said.last().to_owned()
}

#[test]
fn s3_an_account_that_sends_too_much_is_held_then_suspended_until_somebody_resumes_it() {
    let accounts = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(accounts.path(), format!("account u1\n  password {HASH}\n  address u1@corp.example\n")).unwrap();
    let mut gateway = Gateway::start(&settings(accounts.path(), "[bounds.account]\nmessages_per_hour = 2"));
    let file = gateway.settings_file().display().to_string();
    let ask = |words: &[&str]| command(&[words, &["-c", &file]].concat()).success().stdout;

    let mut tokens = Vec::new();
    let refused = loop {
        let (message, token) = mail::message("one of many");
        let said = send(&gateway, &message);
        if !said.starts_with("250") {
            break said;
        }
        tokens.push(token);
        assert!(tokens.len() < 10, "nobody stops it");
    };
    assert!(refused.starts_with("550 5.7.13"), "{refused}");
    // Two leave; of the others the client hears nothing, and they wait for somebody to look at them.
    for token in &tokens[..2] {
        let _ = gateway.dropped_with(token);
    }
    let held = u64::try_from(tokens.len() - 2).unwrap();
    assert!(held >= 2, "it is held before it is suspended");
    assert_eq!(gateway.queued(), held);
    let _ = gateway.dropped_with("account resume u1");

    // Killed, not stopped: what was said is kept all the same.
    let saved = gateway.state().join("bounds");
    until("the suspension to be kept", || {
        std::fs::read_to_string(&saved).is_ok_and(|text| text.contains("u1")).then_some(())
    });
    gateway.restart();
    let (message, again) = mail::message("after a restart");
    assert!(send(&gateway, &message).starts_with("550 5.7.13"), "a restart forgets nobody");
    assert!(ask(&["account", "limits"]).contains("u1 suspend"));
    let _ = ask(&["account", "resume", "u1"]);
    assert!(send(&gateway, &message).starts_with("250"));
    let _ = gateway.dropped_with(&again);
    let _ = ask(&["queue", "release", "--all"]);
    for token in &tokens[2..] {
        let _ = gateway.dropped_with(token);
    }
}

#[test]
fn s3_an_account_is_suspended_when_next_hops_refuse_most_of_the_strangers_it_writes_to() {
    let accounts = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(accounts.path(), format!("account u1\n  password {HASH}\n  address u1@corp.example\n")).unwrap();
    let later = Script::polite().always(At::Rcpt, Act::say("450 4.2.1 Try later"));
    let hop = Peer::start("127.0.0.5", later);
    let settings = format!(
        "{}[virtual_server.submit.relay]\nauthenticated = true\n\
         [virtual_server.submit.delivery]\nsmart_hosts = [\"{}\"]\n{IMPATIENT}",
        settings(accounts.path(), "refused_at_least = 4\n[bounds.account]\nrecipients_per_hour = 8"),
        hop.route()
    );
    let mut gateway = Gateway::start(&settings);
    let (message, token) = mail::message("to strangers");
    let mut client = gateway.client("submit", OTHER);
    client.ask(&plain("u1", PASSWORD), "235 2.7.0");
    client.ask("MAIL FROM:<u1@corp.example>", "250");
    for stranger in ["s1", "s2", "n1", "n2", "n3", "n4", "n5", "n6"] {
        client.ask(&format!("RCPT TO:<{stranger}@ext.example>"), "250");
    }
    client.ask("DATA", "354");
    client.send(&mail::stuffed(&message));
    client.expect("250");
    hop.wait_for_command("RCPT TO:<n6@ext.example>");
    // Killed while the next hop puts it off: whose message it is stands in the spool.
    let saved = gateway.state().join("bounds");
    until("the recipients to be counted on disk", || {
        std::fs::read_to_string(&saved).is_ok_and(|text| text.contains("u1")).then_some(())
    });
    gateway.restart();
    hop.behave(Script::polite().when(At::Rcpt, "<n", Act::say("550 5.1.1 No such user")));
    assert_eq!(hop.received_with(&token).to, ["<s1@ext.example>", "<s2@ext.example>"]);
    gateway.log_with(&["sending-limit", "u1", "suspend", "5 of 8 recipients refused in an hour"]);
    let _ = gateway.dropped_with("account resume u1");
    let mut client = gateway.client("submit", OTHER);
    client.ask(&plain("u1", PASSWORD), "235 2.7.0");
    client.ask("MAIL FROM:<u1@corp.example>", "550 5.7.13");
    let file = gateway.settings_file().display().to_string();
    let limits = command(&["account", "limits", "-c", &file]).success().stdout;
    assert!(limits.contains("u1 suspend") && limits.contains("5 of 8 recipients refused"), "{limits}");
}

#[test]
fn what_is_kept_of_senders_may_be_damaged_or_not_be_written_and_mail_goes_on() {
    let accounts = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(accounts.path(), format!("account u1\n  password {HASH}\n  address u1@corp.example\n")).unwrap();
    let mut gateway = Gateway::start(&settings(accounts.path(), "[bounds.account]\nmessages_per_hour = 2"));
    let kept = ["bounds", "guessing"].map(|name| gateway.state().join(name));
    // Nothing can be put in the place of a directory. At the limit it is written at once.
    kept.iter().for_each(|file| std::fs::create_dir(file).expect("a directory"));
    for _ in 0..2 {
        let (message, token) = mail::message("its stage is written");
        assert!(send(&gateway, &message).starts_with("250"));
        let _ = gateway.dropped_with(&token);
    }
    gateway.log_with(&["`bounds`", "could not be written"]);
    gateway.kill();
    for file in &kept {
        std::fs::remove_dir(file).expect("it is empty");
        std::fs::write(file, "nonsense\n").unwrap();
    }
    gateway.restart();
    for name in ["`bounds`", "`guessing`"] {
        gateway.log_with(&[name, "damaged", "begins anew"]);
    }
    let (message, token) = mail::message("after the damage");
    assert!(send(&gateway, &message).starts_with("250"));
    let _ = gateway.dropped_with(&token);
}

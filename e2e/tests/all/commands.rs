//! The other commands: check, explain, send, spool, and a server without any settings.

use e2e::{Gateway, Peer, Reserved, Script, command, command_with_input, mail, until};

use crate::{HOP, LISTED, OTHER, control, inbound, published};

#[test]
fn check_says_where_a_mistake_is_and_what_was_meant() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bad.toml");
    let text = "hostname = \"mx1.corp.example\"\nstate_dir = \"/tmp/x\"\n[virtual_server.inbound]\nlisen = [\"127.0.0.2:25\"]\n";
    std::fs::write(&file, text).unwrap();
    let checked = command(&["check", &file.display().to_string()]);
    assert_ne!(checked.code, 0);
    for expected in ["bad.toml:4", "lisen", "did you mean `listen`"] {
        assert!(checked.text().contains(expected), "no {expected} in\n{}", checked.text());
    }
}

#[test]
fn check_is_content_with_what_starts() {
    let gateway = Gateway::start(&inbound(""));
    let _ = command(&["check", &gateway.settings_file().display().to_string()]).success();
}

#[test]
fn check_refuses_a_relay_grant_to_whoever_comes_through_a_proxy() {
    let gateway =
        Gateway::start(&inbound("proxies = [\"10.9.0.5\"]\nrelay = { mode = \"only\", list = [\"10.9.0.0/24\"] }\n"));
    let checked = command(&["check", &gateway.settings_file().display().to_string()]);
    assert_ne!(checked.code, 0);
    assert!(checked.text().contains("covers a declared proxy"), "{}", checked.text());
}

/// Explains one recipient.
fn explain(gateway: &Gateway, client: &str, recipient: &str) -> String {
    let file = gateway.settings_file().display().to_string();
    let arguments = ["explain", "--config", &file, "--server", "inbound", "--client", client];
    let envelope = ["--mail-from", "x@ext.example", "--rcpt", recipient];
    command(&[&arguments[..], &envelope[..]].concat()).text()
}

#[test]
fn explain_gives_the_reply_of_the_session_and_the_rule_behind_it() {
    let gateway = Gateway::start(&control("only", &[LISTED], "everyone"));
    let listed = explain(&gateway, LISTED, "alice@corp.example");
    assert!(listed.contains("virtual_server.inbound.connection_control.list[0]"), "{listed}");

    let other = explain(&gateway, OTHER, "alice@corp.example");
    assert!(other.contains("554 5.7.1"), "{other}");

    let relayed = explain(&gateway, LISTED, "bob@ext.example");
    assert!(relayed.contains("550 5.7.1 Unable to relay for bob@ext.example"), "{relayed}");
    let mut client = gateway.client("inbound", LISTED);
    client.ask("MAIL FROM:<x@ext.example>", "250");
    client.ask("RCPT TO:<bob@ext.example>", "550 5.7.1 Unable to relay for bob@ext.example");
}

#[test]
fn explain_follows_the_must_authenticate_rule() {
    let gateway = Gateway::start(&control("only", &[LISTED], "anonymous"));
    let other = explain(&gateway, OTHER, "alice@corp.example");
    assert!(other.contains("530 5.7.3"), "{other}");
}

#[test]
fn send_hands_over_a_message() {
    let gateway = Gateway::start(&inbound(""));
    let (message, token) = mail::message("by hand");
    let server = gateway.address("inbound").to_string();
    let arguments = ["send", "--server", &server, "--from", "x@ext.example", "--to", "alice@corp.example"];
    let sent = command_with_input(&arguments, message.as_bytes());
    assert_eq!(sent.code, 0, "{}", sent.text());
    let _ = gateway.dropped_with(&token);
}

#[test]
fn send_reports_a_refusal() {
    let gateway = Gateway::start(&inbound(""));
    let server = gateway.address("inbound").to_string();
    let arguments = ["send", "--server", &server, "--from", "x@ext.example", "--to", "bob@ext.example"];
    let sent = command_with_input(&arguments, b"Subject: x\n\nx\n");
    assert_ne!(sent.code, 0);
    assert!(sent.text().contains("550 5.7.1"), "{}", sent.text());
}

#[test]
fn a_spool_can_be_verified_and_read() {
    let hop = Reserved::on(HOP);
    let mut gateway = Gateway::start(&published(&hop.route(), &hop.route()));
    let (message, token) = mail::message("in the spool");
    gateway.client("inet", OTHER).deliver("x@ext.example", "alice@corp.example", &message);
    gateway.kill();
    let spool = gateway.state().join("spool").display().to_string();
    let _ = command(&["spool", "verify", &spool]).success();
    let dumped = command(&["spool", "dump", &spool]).success().stdout;
    for expected in ["alice@corp.example", "x@ext.example"] {
        assert!(dumped.contains(expected), "no {expected} in\n{dumped}");
    }
    // The commands only read: the message is still there and leaves.
    let hop = hop.open(Script::polite());
    gateway.restart();
    let _ = hop.received_with(&token);
}

#[test]
fn without_settings_it_serves_this_machine() {
    // The embedded settings have fixed ports; where somebody else has them there is nothing to test.
    let taken = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_err();
    if [2525, 2526, 2580].into_iter().any(taken) {
        return e2e::skip("a port of the embedded settings is taken");
    }
    let hop = Peer::start(HOP, Script::polite());
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let said = directory.path().join("said");
    let output = std::fs::File::create(&said).expect("a file for what it says");
    let mut command = std::process::Command::new(e2e::program());
    command.args(["serve", "--smart-host", &hop.route()]).arg("--state-dir").arg(&state);
    let _process = e2e::Process::start(command.stdout(output).stderr(std::process::Stdio::null()));
    let listening = |port: u16| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    until("both virtual servers", || (listening(2525) && listening(2526)).then_some(()));

    let (message, token) = mail::message("first steps");
    let mut client = e2e::Client::connect(([127, 0, 0, 1], 2525).into(), "127.0.0.1");
    client.greet();
    client.deliver("x@ext.example", "alice@bridgehead.test", &message);
    until("the message in the drop directory", || {
        let entries = std::fs::read_dir(state.join("drop")).ok()?;
        entries.flatten().find(|entry| std::fs::read_to_string(entry.path()).is_ok_and(|text| text.contains(&token)))
    });

    // The first account sends outside, over TLS, with the password that was shown once.
    let said = std::fs::read_to_string(&said).expect("what it said");
    let password = said.split_once("its password ").and_then(|(_, rest)| rest.lines().next()).expect("a password");
    let (message, token) = mail::message("onward");
    let file = directory.path().join("message");
    std::fs::write(&file, &message).expect("a message to send");
    let sent = |password: &str| {
        let mut curl = std::process::Command::new("curl");
        curl.args(["--silent", "--ssl-reqd", "--insecure", "--user", &format!("you:{password}")]);
        curl.args(["--mail-from", "you@bridgehead.test", "--mail-rcpt", "bob@ext.example", "--upload-file"]);
        curl.arg(&file).arg("smtp://127.0.0.1:2526").status().expect("curl is installed").success()
    };
    assert!(!sent("wrong"));
    assert!(sent(password));
    let _ = hop.received_with(&token);
}

#[test]
fn accounts_are_made_changed_and_listed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("accounts").display().to_string();
    let account = |arguments: &[&str], input: &str| {
        command_with_input(&[&["account", "--file", &file], arguments].concat(), input.as_bytes())
    };
    let added =
        account(&["add", "Alice", "--group", "staff", "--address", "alice@corp.example"], "one two\n").success();
    assert_eq!(added.stdout, "");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("password $argon2id$") && !text.contains("one two"), "{text}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    let generated = account(&["add", "bob", "--generate"], "").success().stdout;
    assert_eq!(generated.trim_end().len(), 24, "{generated}");
    let _ = account(&["group", "alice", "--add", "sales", "--remove", "staff"], "").success();
    let _ = account(&["suspend", "bob"], "").success();
    let listed = account(&["list"], "").success().stdout;
    assert_eq!(listed, "alice argon2id scram group=sales <alice@corp.example>\nbob argon2id scram suspended\n");

    // What cannot be done leaves the file as it was, and says why.
    let before = std::fs::read_to_string(&file).unwrap();
    for (arguments, said) in [
        (&["add", "ALICE", "--no-password"][..], "there is such an account already"),
        (&["resume", "carol"][..], "there is no such account"),
        (&["address", "bob", "--add", "alice@corp.example"][..], "this address has an account already"),
        (&["add", "d d", "--no-password"][..], "a name has no blanks"),
        (&["password", "alice"][..], "the password is empty"),
    ] {
        let refused = account(arguments, "");
        assert!(refused.code != 0 && refused.text().contains(said), "{arguments:?}: {}", refused.text());
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    let _ = account(&["remove", "alice"], "").success();
    assert_eq!(account(&["list"], "").success().stdout, "bob argon2id scram suspended\n");

    std::fs::write(&file, "account a\n  pasword hunter2\n").unwrap();
    let mistaken = account(&["list"], "");
    assert!(mistaken.code != 0 && mistaken.text().contains("accounts: line 2: does not begin with one of"));
    assert!(!mistaken.text().contains("hunter2"), "{}", mistaken.text());
}

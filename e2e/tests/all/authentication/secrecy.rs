//! No secret anywhere: whatever clients prove themselves by, good or bad, stands in nothing that a run leaves
//! behind, says or shows.

use std::fs;
use std::path::Path;

use base64ct::{Base64, Encoding};
use e2e::foreign::{Program, Proof, Submission};
use e2e::{Gateway, command, mail, skip};

use super::{House, PASSWORD, SERVER, log_in, plain};
use crate::OTHER;

/// A password that is tried and is wrong.
const TRIED: &str = "Wr0ng-Gu3ss.Of-Somebody";

/// All the forms in which these octets could stand somewhere: as they are, in hexadecimal digits, and in
/// base64, where it depends on what stands before them.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let digits: String = secret.iter().map(|octet| format!("{octet:02x}")).collect();
    let mut forms = vec![secret.to_vec(), digits.to_uppercase().into_bytes(), digits.into_bytes()];
    for before in 0..3 {
        let text = Base64::encode_string(&[&vec![0; before], secret].concat());
        // Characters that are made of our octets alone.
        let (from, to) = ((8 * before).div_ceil(6), 8 * (before + secret.len()) / 6);
        forms.push(text[from..to].as_bytes().to_vec());
    }
    forms
}

/// Which of the secrets stands in this, if any.
fn secret_in<'s>(text: &[u8], secrets: &'s [String]) -> Option<&'s str> {
    let has = |form: &Vec<u8>| text.windows(form.len()).any(|window| window == form);
    secrets.iter().find(|secret| forms(secret.as_bytes()).iter().any(has)).map(String::as_str)
}

/// Everything in files below here.
fn files(directory: &Path, all: &mut Vec<(String, Vec<u8>)>) {
    for path in fs::read_dir(directory).map(Iterator::flatten).into_iter().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            files(&path, all);
        } else if let Ok(octets) = fs::read(&path) {
            all.push((path.display().to_string(), octets));
        }
    }
}

/// What the commands say about this gateway.
fn commands(gateway: &Gateway, accounts: &str) -> Vec<(String, Vec<u8>)> {
    let file = gateway.settings_file().display().to_string();
    let explain = ["explain", "--config", &file, "--server", "out", "--client", OTHER, "--account", "alice"];
    let envelope = ["--mail-from", "alice@corp.example", "--rcpt", "bob@ext.example"];
    let lines: [&[&str]; 5] = [
        &[&explain[..], &envelope[..]].concat(),
        &["queue", "list", "--json", "--config", &file],
        &["bans", "list", "--config", &file],
        &["account", "--file", accounts, "list"],
        &["check", &file],
    ];
    lines.iter().map(|line| (line.join(" "), command(line).text().into_bytes())).collect()
}

/// Tries each mechanism with what is good and with what is not.
fn use_every_mechanism(house: &House, tokens: [&str; 2]) {
    let password = |text: &str| Proof::Password(text.to_owned());
    let token = |text: &str| Proof::Token(text.to_owned());
    let all = [
        (Program::Curl, "out", "PLAIN", [password(TRIED), password(PASSWORD)]),
        (Program::Curl, "out", "LOGIN", [password(TRIED), password(PASSWORD)]),
        (Program::Curl, "out", "OAUTHBEARER", tokens.map(token)),
        (Program::Curl, "old", "XOAUTH2", tokens.map(token)),
        (Program::Curl, "out", "EXTERNAL", [&house.stranger, &house.alice].map(|one| Proof::Certificate(one.clone()))),
        (Program::Gsasl, "out", "SCRAM-SHA-256", [password(TRIED), password(PASSWORD)]),
        (Program::Gsasl, "out", "SCRAM-SHA-256-PLUS", [password(TRIED), password(PASSWORD)]),
        (Program::Samba, "out", "NTLM", [password(TRIED), password(PASSWORD)]),
    ];
    for (program, server, mechanism, proofs) in all {
        if !program.available() {
            skip(&format!("no {program:?}, so {mechanism} is not looked at"));
            continue;
        }
        for proof in proofs {
            let _ = program.submit(&Submission {
                server: house.gateway.address(server),
                mechanism,
                name: "alice".into(),
                proof,
                from: "alice@corp.example".into(),
                to: "bob@ext.example".into(),
                message: mail::message(mechanism).0,
            });
        }
    }
}

/// What a session hears that says secrets at every wrong place.
fn clumsy_session(house: &House) -> Vec<u8> {
    let mut client = house.gateway.client("devices", OTHER);
    let mut heard = String::new();
    let encoded = Base64::encode_string(PASSWORD.as_bytes());
    for line in [
        plain("alice", TRIED),
        PASSWORD.to_owned(),
        format!("AUTH PLAIN {PASSWORD}"),
        format!("AUTH {PASSWORD}"),
        "AUTH LOGIN".to_owned(),
        Base64::encode_string(b"alice"),
        Base64::encode_string(TRIED.as_bytes()),
        format!("MAIL FROM:<{PASSWORD}"),
        encoded,
    ] {
        client.line(&line);
        heard.push_str(client.reply().last());
        heard.push('\n');
    }
    heard.push_str(log_in(&mut client, "ex1", SERVER).last());
    heard.into_bytes()
}

#[test]
fn no_secret_stands_anywhere() {
    for format in ["json", "text"] {
        let Some(house) = House::open(&format!("[log]\nformat = \"{format}\"\n")) else { return skip("no openssl") };
        let good = house.issuer.token("alice@corp.example", 600);
        let bad = house.issuer.token("alice@corp.example", -600);
        let signature = |token: &str| token.rsplit('.').next().unwrap_or_default().to_owned();
        let secrets =
            [PASSWORD, SERVER, TRIED].map(str::to_owned).into_iter().chain([signature(&good), signature(&bad)]);
        let secrets: Vec<String> = secrets.collect();
        use_every_mechanism(&house, [&bad, &good]);
        let mut all = vec![("the replies".to_owned(), clumsy_session(&house))];
        all.push(("the metrics".to_owned(), house.gateway.metrics().page().as_bytes().to_vec()));
        all.extend(commands(&house.gateway, &house.directory.path().join("accounts").display().to_string()));
        // What has been relayed has left the spool; here is what is written at the end.
        let mut house = house;
        let _ = house.gateway.stop(e2e::PATIENCE);
        files(house.gateway.directory(), &mut all);
        let log = all.iter().find(|(name, _)| name.ends_with("/log")).expect("there is a log");
        let log = String::from_utf8_lossy(&log.1);
        assert!(log.matches("wrong-secret").count() >= 3, "they were tried\n{log}");
        for (name, text) in &all {
            let found = secret_in(text, &secrets);
            assert!(found.is_none(), "{found:?} stands in {name}:\n{}", String::from_utf8_lossy(text));
        }
        // A list of bans, a spool and a log were really looked at.
        assert!(all.len() > 8, "only {} things", all.len());
    }
}

/// What looks for secrets finds them, whatever stands around them.
#[test]
fn a_secret_that_stands_somewhere_is_found() {
    let secrets = [PASSWORD.to_owned()];
    for name in ["", "a", "al", "ali"] {
        let response = format!("{name}\0{PASSWORD}\0...");
        for text in [
            response.clone(),
            Base64::encode_string(response.as_bytes()),
            response.bytes().map(|octet| format!("{octet:02X}")).collect(),
        ] {
            assert_eq!(secret_in(format!("a log line: {text}!").as_bytes(), &secrets), Some(PASSWORD), "{text}");
        }
    }
    assert_eq!(secret_in(b"nothing of the kind", &secrets), None);
}

//! Who may submit, who may relay, and as whom: the heart of the table of roles, by programs that others wrote, and the
//! settings that `bridgehead init` writes, as they are and as they run.

use e2e::foreign::{Certificate, Program, Proof, Submission, swaks};
use e2e::{Client, Gateway, Peer, Script, command, mail, skip};

use super::authentication::{PASSWORD, SERVER, add_account, log_in, quoted};
use crate::{HOP, LISTED, OTHER};

/// Where programs come from that cannot be told.
const LOCAL: &str = "127.0.0.1";

/// A gateway made of what `bridgehead init` writes, with accounts u1 and u2 and the server ex1, which comes from
/// [`LOCAL`]. All of its mail goes to one next hop.
struct Role {
    gateway: Gateway,
    hop: Peer,
    _certificate: Certificate,
    _directory: tempfile::TempDir,
}

/// A text in a template, and what a test has instead of it.
type Change<'a> = (&'a str, &'a str);

/// `None` where there is no Python to make a certificate.
fn role(name: &str, changes: &[Change<'_>]) -> Option<Role> {
    let certificate = Certificate::for_name("mx1.corp.example")?;
    let directory = tempfile::tempdir().expect("a temporary directory");
    add_account(directory.path(), "u1", PASSWORD, &["--address", "u1@corp.example", "--group", "workers"]);
    add_account(directory.path(), "u2", PASSWORD, &["--address", "u2@corp.example", "--group", "staff"]);
    add_account(directory.path(), "ex1", SERVER, &[]);
    let hop = Peer::start(HOP, Script::polite());
    let accounts = quoted(&directory.path().join("accounts"));
    let (chain, key) = (quoted(&certificate.certificate()), quoted(&certificate.key()));
    let here: [Change<'_>; 14] = [
        ("\"/etc/bridgehead/servers\"", &accounts),
        ("\"/etc/bridgehead/people\"", &accounts),
        ("\"/etc/bridgehead/mx1.corp.example.pem\"", &chain),
        ("\"/etc/bridgehead/mx1.corp.example.key\"", &key),
        ("0.0.0.0:25", "127.0.0.2:0"),
        ("192.0.2.2:25", "127.0.0.2:0"),
        ("192.0.2.3:25", "127.0.0.2:0"),
        ("172.16.0.1:25", "127.0.0.2:0"),
        ("10.0.0.1:25", "127.0.0.3:0"),
        ("127.0.0.1:2580", "127.0.0.1:0"),
        ("addresses = [\"10.0.0.10\"]", "addresses = [\"127.0.0.1\"]"),
        ("[10.0.0.20]", &hop.route()),
        ("[198.51.100.25]", &hop.route()),
        ("[10.0.0.1]", &hop.route()),
    ];
    let written = command(&["init", "--role", name, "--domain", "corp.example"]).success().stdout;
    // The gateway under test has a name and a directory of its own.
    let own = |line: &&str| !line.starts_with("hostname =") && !line.starts_with("state_dir =");
    let mut settings: String = written.lines().filter(own).flat_map(|line| [line, "\n"]).collect();
    for (from, to) in here.iter().chain(changes) {
        assert!(here.iter().any(|known| known.0 == *from) || settings.contains(from), "{name} has no {from}");
        settings = settings.replace(from, to);
    }
    let gateway = Gateway::start(&format!("{settings}\n[guessing]\nexempt = [\"127.0.0.0/8\"]\n"));
    Some(Role { gateway, hop, _certificate: certificate, _directory: directory })
}

/// Programs know PLAIN, and no SCRAM.
const BASIC: Change<'static> = ("mechanisms = [\"SCRAM-SHA-256-PLUS\", \"SCRAM-SHA-256\"]", "mechanisms = [\"PLAIN\"]");
/// Remote workers may submit and relay.
const WORKERS: [Change<'static>; 3] = [
    BASIC,
    ("\nallow = []\n", "\nallow = [\"group:workers\"]\n"),
    ("\nauthenticated = false\n", "\nauthenticated = false\nallow = [\"group:workers\"]\n"),
];

/// The programs that send what they are told to, of those that are here.
fn programs() -> Vec<Program> {
    let known = [Program::Swaks, Program::Smtplib, Program::Curl];
    known.into_iter().filter(|program| program.available()).collect()
}

/// A message of somebody's, sent by a program; what it printed, and the word by which the message is found.
fn send(it: &Role, server: &str, program: Program, who: &str, from: &str, author: &str, to: &str) -> (String, String) {
    let token = mail::token();
    let password = if who == "ex1" { SERVER } else { PASSWORD };
    let submission = Submission {
        server: it.gateway.address(server),
        mechanism: "PLAIN",
        name: who.into(),
        proof: Proof::Password(password.into()),
        from: from.into(),
        to: to.into(),
        message: format!("From: {author}\r\nTo: {to}\r\nSubject: rights\r\n\r\n{token}\r\n"),
    };
    (program.submit(&submission).text(), token)
}

/// Every template is settings that a gateway runs on, offers TLS with, and shows no password to.
#[test]
fn h22_what_init_writes_runs() {
    for (name, server, authenticates) in [
        ("smtp-gateway", "gateway", true),
        ("mailbox", "mailbox", true),
        ("front-end", "front-end", true),
        ("all-in-one", "mail", true),
        ("corporate-relay", "corporate", true),
        ("internet-relay", "internet", false),
        ("two-server-gateway", "inbound", false),
        ("two-server-gateway", "outbound", true),
    ] {
        let Some(it) = role(name, &[]) else { return skip("no python3 with cryptography") };
        let mut client = it.gateway.connect(server, OTHER);
        let offered = client.greet();
        assert!(offered.offers("STARTTLS"), "{name}\n{}", client.transcript());
        let expected = authenticates.then_some("SCRAM-SHA-256");
        assert_eq!(offered.keyword("AUTH"), expected, "{name}\n{}", client.transcript());
        client.quit();
    }
}

#[test]
fn init_writes_a_file_that_is_not_there_yet_and_no_other() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("bridgehead.toml").display().to_string();
    let init = ["init", "--role", "mailbox", "--domain", "a.example", "--domain", "b.example", "--output", &file];
    assert!(command(&init).success().stderr.contains("bridgehead check"));
    let written = std::fs::read_to_string(&file).expect("the file");
    assert!(written.contains("domains = [\"a.example\", \"b.example\"]") && written.contains("\"mx1.a.example\""));
    let _ = command(&["check", "--strict", &file]).success();
    let again = command(&["init", "--role", "smtp-gateway", "--output", &file]);
    assert_ne!(again.code, 0);
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), written, "it is as it was");
    for wrong in [&["init", "--role", "gateway"][..], &["init", "--role", "mailbox", "--domain", "a b"]] {
        assert_ne!(command(wrong).code, 0, "{wrong:?}");
    }
}

#[test]
fn check_strict_wants_an_owner_a_reason_and_an_end() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("bridgehead.toml").display().to_string();
    let with = |entry: &str| {
        let text = format!(
            "hostname = \"mx1.corp.example\"\nstate_dir = \"/tmp/x\"\n[virtual_server.inbound]\n\
             listen = [\"127.0.0.2:25\"]\n[virtual_server.inbound.relay]\nmode = \"only\"\nlist = [{entry}]\n"
        );
        std::fs::write(&file, text).expect("our own file");
        [command(&["check", &file]), command(&["check", "--strict", &file])]
    };
    let [check, strict] = with("\"10.0.5.5\"");
    assert!(check.code == 0 && strict.code != 0, "{}\n{}", check.text(), strict.text());
    assert!(strict.text().contains("bridgehead.toml:7") && strict.text().contains("no owner, no reason and no end"));
    let [check, strict] = with("{ client = \"10.0.5.5\", owner = \"it\", reason = \"old\", expires = \"2026-01-31\" }");
    for said in [check, strict] {
        assert!(said.code == 0 && said.text().contains("its last day was 2026-01-31"), "{}", said.text());
    }
}

/// H03, H04, H05, H07: on a gateway nobody sends by an account, servers of the organization do, and the same host
/// submits like anybody if it does not say who it is.
#[test]
fn h03_h04_h05_h07_credentials_of_people_open_nothing_and_servers_go_on() {
    let Some(it) = role("smtp-gateway", &[BASIC]) else { return skip("no python3 with cryptography") };
    for program in programs() {
        for (who, to) in [("u1", "alice@corp.example"), ("u1", "bob@ext.example"), ("u2", "alice@corp.example")] {
            let before = it.hop.count();
            let (said, _) = send(&it, "gateway", program, who, &format!("{who}@corp.example"), who, to);
            assert!(said.contains("550 5.7.3") || said.contains("(550, b'5.7.3"), "{program:?} {who}\n{said}");
            assert_eq!((it.gateway.queued(), it.hop.count()), (0, before), "{program:?} {who}");
        }
        for to in ["alice@corp.example", "bob@ext.example"] {
            let (_, token) = send(&it, "gateway", program, "ex1", "alice@corp.example", "alice@corp.example", to);
            let received = it.hop.received_with(&token);
            assert!(!received.content.contains("X-Bridgehead-Auth"), "{}", received.content);
        }
    }
    let mut nobody = it.gateway.client("gateway", LOCAL);
    submits_and_does_not_relay(&it, &mut nobody);
}

/// A client that has not authenticated, as the role of a gateway wants it.
fn submits_and_does_not_relay(it: &Role, client: &mut Client) {
    let (message, token) = mail::message("nobody in particular");
    client.deliver("x@ext.example", "alice@corp.example", &message);
    let _ = it.hop.received_with(&token);
    client.ask("MAIL FROM:<x@ext.example>", "250");
    client.ask("RCPT TO:<bob@ext.example>", "550 5.7.1 Unable to relay for bob@ext.example");
    client.ask("RSET", "250");
}

/// I01, I02, I17: remote workers of a group send, others authenticate and may not submit; anonymous access makes no
/// difference to either.
#[test]
fn i01_i02_i17_who_is_in_the_group_sends() {
    let Some(it) = role("smtp-gateway", &WORKERS) else { return skip("no python3 with cryptography") };
    for program in programs() {
        let own = "u1@corp.example";
        let (_, token) = send(&it, "gateway", program, "u1", own, own, "bob@ext.example");
        assert!(it.hop.received_with(&token).content.contains("with ESMTPSA"));
        let (said, _) = send(&it, "gateway", program, "u2", "u2@corp.example", "u2@corp.example", "alice@corp.example");
        assert!(said.contains("235 2.7.0"), "{program:?}\n{said}");
        assert!(said.contains("550 5.7.3") || said.contains("(550, b'5.7.3"), "{program:?}\n{said}");
    }
}

/// I11, I12, E11: who may only submit reaches mailboxes and nobody else, who may only relay reaches nobody.
#[test]
fn i11_i12_e11_the_two_rights_are_two() {
    let apart = [
        BASIC,
        ("\nallow = []\n", "\nallow = [\"account:u1\"]\n"),
        ("\nauthenticated = false\n", "\nauthenticated = false\nallow = [\"account:u2\"]\n"),
    ];
    let Some(it) = role("smtp-gateway", &apart) else { return skip("no python3 with cryptography") };
    for program in programs() {
        let own = "u1@corp.example";
        let (_, token) = send(&it, "gateway", program, "u1", own, own, "alice@corp.example");
        let _ = it.hop.received_with(&token);
        let (said, _) = send(&it, "gateway", program, "u1", own, own, "bob@ext.example");
        assert!(said.contains("5.7.1 Unable to relay for bob@ext.example"), "{program:?}\n{said}");
        for to in ["alice@corp.example", "bob@ext.example"] {
            let (said, _) = send(&it, "gateway", program, "u2", "u2@corp.example", "u2@corp.example", to);
            assert!(said.contains("5.7.3 Client does not have permission to submit"), "{program:?}\n{said}");
        }
    }
}

/// I07, I08: a device that cannot authenticate relays by its address; the one beside it does not.
#[test]
fn i07_i08_a_device_relays_by_its_address() {
    let device = format!("\nlist = [\"{LISTED}\"]\n");
    let listed = [("\nlist = []\n", device.as_str())];
    let Some(it) = role("smtp-gateway", &listed) else { return skip("no python3 with cryptography") };
    let server = it.gateway.address("gateway");
    let (host, port) = (server.ip().to_string(), server.port().to_string());
    for (client, relays) in [(LISTED, true), (OTHER, false)] {
        let token = mail::token();
        let to = ["--server", &host, "--port", &port, "--local-interface", client, "--helo", "device.corp.example"];
        let what = ["--from", "device@corp.example", "--to", "support@vendor.example", "--body", &token];
        let Some(said) = swaks(&[&to[..], &what[..]].concat()) else { return skip("no swaks") };
        if relays {
            let _ = it.hop.received_with(&token);
        } else {
            assert!(said.text().contains("550 5.7.1 Unable to relay for support@vendor.example"), "{}", said.text());
        }
    }
}

/// I18: in the envelope and in the header an account has its own addresses and no others; the client is not told
/// whose it is.
#[test]
fn i18_everybody_sends_as_themselves() {
    let Some(it) = role("corporate-relay", &[BASIC]) else { return skip("no python3 with cryptography") };
    let refusal = "5.7.1 Client does not have permissions to send as this sender";
    for program in programs() {
        for (from, author, why) in [
            ("alice@corp.example", "alice@corp.example", "send_as.outside"),
            ("u2@corp.example", "u1@corp.example", "send_as.outside"),
            ("u1@corp.example", "Alice <alice@corp.example>", "send_as.outside"),
        ] {
            let before = it.hop.count();
            let (said, _) = send(&it, "corporate", program, "u1", from, author, "bob@ext.example");
            // curl shows what it is told at the end of the data, too.
            assert!(said.contains(refusal), "{program:?} {from} {author}\n{said}");
            assert_eq!((it.gateway.queued(), it.hop.count()), (0, before), "{program:?} {from} {author}");
            let _ = it.gateway.log_with(&["\"not-owner\"", why]);
        }
        for (from, author) in
            [("u1@corp.example", "One <u1@corp.example>"), ("U1+shop@corp.example", "u1+shop@corp.example")]
        {
            let (_, token) = send(&it, "corporate", program, "u1", from, author, "bob@ext.example");
            let _ = it.hop.received_with(&token);
        }
    }
}

/// C09: mail of nobody that claims to be from inside is taken, and says so; what comes from outside does not, nor does
/// what somebody sends who has proved who it is.
#[test]
fn c09_mail_of_nobody_from_inside_is_marked() {
    let Some(it) = role("smtp-gateway", &WORKERS) else { return skip("no python3 with cryptography") };
    let server = it.gateway.address("gateway");
    let (host, port) = (server.ip().to_string(), server.port().to_string());
    for (from, author, mark) in [
        ("x@ext.example", "alice@corp.example", Some("X-Bridgehead-Auth: anonymous; not-own=from\r\n")),
        ("alice@corp.example", "x@ext.example", Some("X-Bridgehead-Auth: anonymous; not-own=envelope\r\n")),
        ("x@ext.example", "x@ext.example", None),
    ] {
        let token = mail::token();
        let header = format!("From: {author}");
        let to = ["--server", &host, "--port", &port, "--helo", "there.ext.example", "--to", "alice@corp.example"];
        let Some(said) = swaks(&[&to[..], &["--from", from, "--header", &header, "--body", &token]].concat()) else {
            return skip("no swaks");
        };
        assert!(said.text().contains("250 2.6.0"), "{}", said.text());
        let content = it.hop.received_with(&token).content;
        match mark {
            Some(mark) => assert!(content.contains(mark), "{content}"),
            None => assert!(!content.contains("X-Bridgehead-Auth"), "{content}"),
        }
    }
    let mut u1 = it.gateway.client("gateway", OTHER);
    // In the clear nothing is offered that a client could say its password by.
    assert_eq!(log_in(&mut u1, "u1", PASSWORD).code(), 538, "{}", u1.transcript());
    for program in programs() {
        let own = "u1@corp.example";
        let (_, token) = send(&it, "gateway", program, "u1", own, own, "alice@corp.example");
        assert!(!it.hop.received_with(&token).content.contains("X-Bridgehead-Auth"));
    }
}

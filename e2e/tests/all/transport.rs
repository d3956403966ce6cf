//! What the handshake shows and asks for, certificates that are renewed, and clients behind haproxy.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use e2e::foreign::{Certificate, Haproxy, openssl, s_client, testssl};
use e2e::{Client, Gateway, mail, skip, until};

use crate::{CORP, LISTED, OTHER, inbound};

/// Where haproxy stands.
const PROXY: &str = "127.0.0.40";

/// A certificate as the settings name it.
fn pair(certificate: &Path, key: &Path) -> String {
    format!("{{ certificate = {:?}, key = {:?} }}", certificate.display().to_string(), key.display().to_string())
}

fn of(certificate: &Certificate) -> String {
    pair(&certificate.certificate(), &certificate.key())
}

/// Virtual server `inbound`, with STARTTLS at one address and TLS first at another.
fn secured(pairs: &[String], more: &str) -> String {
    let list = pairs.join(", ");
    inbound(&format!("listen_tls = [\"127.0.0.2:0\"]\n[virtual_server.inbound.tls]\ncertificates = [{list}]\n{more}\n"))
}

/// The address where TLS comes first: the second of its virtual server.
fn first(gateway: &Gateway) -> SocketAddr {
    let listeners = gateway.listeners();
    listeners.iter().filter(|(name, _)| name == "inbound").nth(1).expect("two addresses").1
}

/// Whether a handshake with these arguments comes to anything, and what OpenSSL says about it.
fn shake(gateway: &Gateway, arguments: &[&str]) -> (bool, String) {
    let starttls = [&["-starttls", "smtp", "-brief"], arguments].concat();
    let said =
        s_client(gateway.address("inbound"), &starttls, "EHLO client.ext.example\nQUIT\n").expect("openssl is there");
    (said.stdout.contains("221 2.0.0"), said.text())
}

#[test]
fn the_certificate_is_that_of_the_name_that_is_asked_for() {
    let names = ["mx1.bridgehead.test", "*.corp.example", "mail.ext.example"];
    let made: Option<Vec<Certificate>> = names.iter().map(|name| Certificate::for_name(name)).collect();
    let Some(made) = made else { return skip("no openssl") };
    let gateway = Gateway::start(&secured(&made.iter().map(of).collect::<Vec<_>>(), ""));
    for (asked, shown) in [
        (&["-servername", "mx.corp.example"][..], "CN = *.corp.example"),
        (&["-servername", "MAIL.ext.example"], "CN = mail.ext.example"),
        (&["-servername", "unknown.example"], "CN = mx1.bridgehead.test"),
        (&["-noservername"], "CN = mx1.bridgehead.test"),
        (&["-servername", "mx.corp.example", "-tls1_2"], "CN = *.corp.example"),
    ] {
        let (done, said) = shake(&gateway, asked);
        assert!(done && said.contains(shown), "{asked:?}\n{said}");
    }
}

#[test]
fn old_versions_weak_suites_and_other_protocols_are_refused() {
    let Some(certificate) = Certificate::for_name("mx1.bridgehead.test") else { return skip("no openssl") };
    let gateway = Gateway::start(&secured(&[of(&certificate)], ""));
    let anything = "ALL:COMPLEMENTOFALL:@SECLEVEL=0";
    for (arguments, taken) in [
        (&["-tls1_3"][..], true),
        (&["-tls1_2"], true),
        (&["-tls1_1", "-cipher", anything], false),
        (&["-tls1", "-cipher", anything], false),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"], true),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384"], false),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"], false),
        (&["-alpn", "smtp"], true),
        (&["-alpn", "http/1.1"], false),
        (&["-alpn", "h2,smtp"], true),
    ] {
        let (done, said) = shake(&gateway, arguments);
        assert_eq!(done, taken, "{arguments:?}\n{said}");
    }
    let newer = Gateway::start(&secured(&[of(&certificate)], "min_version = \"1.3\""));
    assert!(shake(&newer, &["-tls1_3"]).0);
    assert!(!shake(&newer, &["-tls1_2"]).0);
}

#[test]
fn where_tls_is_first_the_greeting_is_behind_it() {
    let Some(certificate) = Certificate::for_name("mx1.bridgehead.test") else { return skip("no openssl") };
    let gateway = Gateway::start(&secured(&[of(&certificate)], "mode = \"required\""));
    let commands = "EHLO client.ext.example\nMAIL FROM:<x@ext.example>\nQUIT\n";
    let said = s_client(first(&gateway), &["-quiet"], commands).expect("openssl is there").stdout;
    assert!(said.starts_with("220 mx1.bridgehead.test ESMTP"), "{said}");
    assert!(!said.contains("STARTTLS") && said.contains("250 2.1.0"), "{said}");
    let mut clear = Client::connect(first(&gateway), OTHER);
    clear.line("EHLO client.ext.example");
    assert!(clear.try_reply().is_none_or(|reply| reply.code() == 0), "{}", clear.transcript());
}

/// An authority, a client that it vouches for, and one of its own making.
fn clients() -> Option<tempfile::TempDir> {
    let own = Certificate::for_name("stranger.ext.example")?;
    let directory = tempfile::tempdir().ok()?;
    fs::copy(own.certificate(), directory.path().join("stranger.pem")).ok()?;
    fs::copy(own.key(), directory.path().join("stranger.key")).ok()?;
    let ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let authority = ["-days", "30", "-subj", "/CN=Authority", "-keyout", "ca.key", "-out", "ca.pem"];
    openssl(directory.path(), &[&["req", "-x509"][..], &ec, &authority].concat());
    let request = ["-subj", "/CN=peer.ext.example", "-keyout", "peer.key", "-out", "peer.csr"];
    openssl(directory.path(), &[&["req"][..], &ec, &request].concat());
    fs::write(directory.path().join("names"), "subjectAltName=DNS:peer.ext.example\nextendedKeyUsage=clientAuth\n")
        .ok()?;
    let sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile", "names"];
    let signed = ["x509", "-req", "-in", "peer.csr", "-out", "peer.pem"];
    openssl(directory.path(), &[&signed[..], &sign].concat());
    Some(directory)
}

#[test]
fn a_client_that_shows_a_certificate_must_prove_it() {
    let Some(certificate) = Certificate::for_name("mx1.bridgehead.test") else { return skip("no openssl") };
    let Some(clients) = clients() else { return skip("no openssl") };
    let file = |name: &str| clients.path().join(name).display().to_string();
    let asked = format!("client_certificates = \"asked\"\nclient_authorities = {:?}", file("ca.pem"));
    let gateway = Gateway::start(&secured(&[of(&certificate)], &asked));
    assert!(shake(&gateway, &[]).0, "one without is let in");
    let (certificate, key) = (file("peer.pem"), file("peer.key"));
    for version in ["-tls1_3", "-tls1_2"] {
        let (done, said) = shake(&gateway, &[version, "-cert", &certificate, "-key", &key]);
        assert!(done, "{said}");
        let (certificate, key) = (file("stranger.pem"), file("stranger.key"));
        let (done, said) = shake(&gateway, &[version, "-cert", &certificate, "-key", &key]);
        assert!(!done, "{said}");
    }
    until("the events", || {
        let log = gateway.log();
        (log.matches("peer.ext.example").count() == 2 && log.matches("not-secured").count() == 2).then_some(())
    });
}

/// A chain of `length` authorities below `ca.pem`, each vouching for the next, and what the last vouches for.
fn long_chain(directory: &Path, length: usize) {
    let openssl = |words: String| openssl(directory, &words.split(' ').collect::<Vec<_>>());
    let ec = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    fs::write(directory.join("authority"), "basicConstraints=critical,CA:TRUE\n").expect("our own directory");
    let mut above = "ca".to_owned();
    let mut chain = Vec::new();
    for place in 0..length {
        let name = format!("ca{place}");
        openssl(format!("req {ec} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
        let by = format!("-CA {above}.pem -CAkey {above}.key -CAcreateserial -days 30 -extfile authority");
        openssl(format!("x509 -req -in {name}.csr -out {name}.pem {by}"));
        chain.insert(0, fs::read(directory.join(format!("{name}.pem"))).expect("our own file"));
        above = name;
    }
    fs::write(directory.join(format!("chain{length}.pem")), chain.concat()).expect("our own directory");
    let by = format!("-CA {above}.pem -CAkey {above}.key -CAcreateserial -days 30 -extfile names");
    openssl(format!("x509 -req -in peer.csr -out leaf{length}.pem {by}"));
}

#[test]
fn a_chain_of_a_client_that_does_not_end_ends_the_handshake() {
    let Some(certificate) = Certificate::for_name("mx1.bridgehead.test") else { return skip("no openssl") };
    let Some(clients) = clients() else { return skip("no openssl") };
    let file = |name: &str| clients.path().join(name).display().to_string();
    for length in [2, 12] {
        long_chain(clients.path(), length);
    }
    // 300 certificates behind its own, more than a message of the handshake may have.
    let bulky = fs::read(file("ca.pem")).expect("our own file").repeat(300);
    fs::write(file("bulky.pem"), bulky).expect("our own directory");
    let asked = format!("client_certificates = \"asked\"\nclient_authorities = {:?}", file("ca.pem"));
    let mut gateway = Gateway::start(&secured(&[of(&certificate)], &asked));
    let show = |gateway: &Gateway, version: &str, leaf: &str, chain: &str| {
        let (leaf, key, chain) = (file(leaf), file("peer.key"), file(chain));
        shake(gateway, &[version, "-cert", &leaf, "-key", &key, "-cert_chain", &chain])
    };
    for version in ["-tls1_3", "-tls1_2"] {
        let (done, said) = show(&gateway, version, "leaf2.pem", "chain2.pem");
        assert!(done, "a chain as it is usual\n{said}");
        let (done, said) = show(&gateway, version, "leaf12.pem", "chain12.pem");
        assert!(!done, "{said}");
    }
    let before = gateway.process().peak_resident_kib();
    for round in 0..10 {
        let version = if round % 2 == 0 { "-tls1_3" } else { "-tls1_2" };
        let (done, said) = show(&gateway, version, "peer.pem", "bulky.pem");
        assert!(!done, "{said}");
    }
    let grown = gateway.process().peak_resident_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB for chains that are refused");
    until("the sessions to end", || {
        let open = gateway.metrics().sum("bridgehead_inbound_connections_current", &["server=\"inbound\""]);
        (open == 0.0 && gateway.log().matches("not-secured").count() == 12).then_some(())
    });
    assert!(shake(&gateway, &[]).0, "others are let in as before");
}

/// An object of a list of findings.
type Finding = serde_json::Map<String, serde_json::Value>;

#[test]
fn testssl_finds_nothing() {
    if !e2e::long() {
        return;
    }
    let Some(clients) = clients() else { return skip("no openssl") };
    let file = |name: &str| clients.path().join(name);
    fs::write(file("names"), "subjectAltName=DNS:mx1.bridgehead.test\n").expect("our own directory");
    let by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile", "names"];
    openssl(clients.path(), &[&["x509", "-req", "-in", "peer.csr", "-out", "ours.pem"][..], &by].concat());
    let gateway = Gateway::start(&secured(&[pair(&file("ours.pem"), &file("peer.key"))], ""));
    let Some(json) = testssl(gateway.address("inbound"), &file("ca.pem")) else { return skip("no testssl.sh") };
    let findings: Vec<Finding> = serde_json::from_str(&json).expect("it writes JSON");
    judge(&findings);
}

/// What a scanner looks for that has a name.
const ATTACKS: [&str; 15] = [
    "heartbleed",
    "CCS",
    "ROBOT",
    "secure_renego",
    "secure_client_renego",
    "CRIME_TLS",
    "POODLE_SSL",
    "SWEET32",
    "FREAK",
    "DROWN",
    "LOGJAM",
    "BEAST",
    "LUCKY13",
    "fallback_SCSV",
    "RC4",
];

/// What a scanner may say: nothing of protocols, ciphers or attacks that is worse than LOW. Of the certificate it
/// says what there is to say of one from an authority of this test; which of our ciphers is taken is for the client
/// to say, who knows which one its hardware is good at, because none of them is weak; and two checks of its
/// own do not always work.
fn judge(findings: &[Finding]) {
    let text = |finding: &Finding, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let found = |id: &str| {
        let finding = findings.iter().find(|finding| finding["id"] == id);
        finding.map(|finding| text(finding, "finding")).unwrap_or_else(|| panic!("nothing is said of {id}"))
    };
    for finding in findings {
        let (id, severity) = (text(finding, "id"), text(finding, "severity"));
        let of_certificate = ["cert", "DNS_CAA"].iter().any(|kind| id.starts_with(kind));
        let of_the_scanner = severity == "WARN" && (id == "engine_problem" || id.starts_with("sessionresumption"));
        let mild = ["OK", "INFO", "LOW", "DEBUG"].contains(&severity.as_str());
        assert!(mild || of_certificate || of_the_scanner || id == "cipher_order", "{finding:?}");
    }
    ATTACKS.iter().for_each(|attack| assert!(!found(attack).is_empty()));
    for old in ["SSLv2", "SSLv3", "TLS1", "TLS1_1"] {
        assert!(found(old).starts_with("not offered"), "{old}: {}", found(old));
    }
    for new in ["TLS1_2", "TLS1_3"] {
        assert!(found(new).starts_with("offered"), "{new}: {}", found(new));
    }
    let ciphers = findings.iter().filter(|finding| text(finding, "id").starts_with("cipher_x"));
    let ciphers: Vec<String> = ciphers.map(|finding| text(finding, "finding")).collect();
    assert_eq!(ciphers.len(), 6, "those of an ECDSA key: {ciphers:?}");
    for cipher in ciphers {
        assert!(
            cipher.contains("GCM") || cipher.contains("CHACHA20_POLY1305"),
            "{cipher} has no authenticated encryption"
        );
    }
}

/// Puts a file in place as those do who renew certificates: whole, under another name first.
fn replace(file: &Path, content: &Path) {
    let unfinished = file.with_extension("new");
    fs::copy(content, &unfinished).expect("our own directory");
    fs::rename(&unfinished, file).expect("our own directory");
}

#[test]
fn renewed_certificates_are_taken_up_while_sessions_go_on() {
    let (Some(old), Some(new)) = (Certificate::for_name("old.corp.example"), Certificate::for_name("new.corp.example"))
    else {
        return skip("no openssl");
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (certificate, key): (PathBuf, PathBuf) = (directory.path().join("mx.pem"), directory.path().join("mx.key"));
    replace(&certificate, &old.certificate());
    replace(&key, &old.key());
    let settings = secured(&[pair(&certificate, &key)], "");
    let gateway = Gateway::start(&settings);
    let shown = || shake(&gateway, &["-noservername"]).1;
    assert!(shown().contains("CN = old.corp.example"));
    let mut session = gateway.client("inbound", OTHER);

    // Half of a file: the old one stays, and a reload is refused.
    let half = fs::read(new.certificate()).expect("our own file");
    fs::write(&certificate, &half[..half.len() / 2]).expect("our own directory");
    let _ = gateway.log_with(&["certificate-rejected"]);
    assert!(shown().contains("CN = old.corp.example"));
    gateway.signal("HUP");
    let _ = gateway.log_with(&["reload-refused"]);
    assert!(shown().contains("CN = old.corp.example"));
    assert!(gateway.metrics().sum("bridgehead_tls_certificates_rejected_total", &["server=\"inbound\""]) >= 1.0);

    // The certificate first, its key a moment later.
    replace(&certificate, &new.certificate());
    replace(&key, &new.key());
    let _ = gateway.log_with(&["certificate-changed"]);
    assert!(shown().contains("CN = new.corp.example"));
    let (message, token) = mail::message("renewed");
    session.deliver("x@ext.example", "alice@corp.example", &message);
    let _ = gateway.dropped_with(&token);
    let days = gateway.metrics().sum("bridgehead_tls_certificate_days_left", &["server=\"inbound\""]);
    assert!((28.0..=30.0).contains(&days), "{days}");
}

/// `inbound` behind [`PROXY`], and everything that may relay from its address.
fn proxied() -> String {
    format!(
        "{CORP}\n[virtual_server.inbound]\nlisten = [\"127.0.0.2:0\"]\nproxies = [\"{PROXY}\"]\n\
         relay = {{ mode = \"only\", list = [\"{PROXY}\", \"{LISTED}\"] }}\n"
    )
}

#[test]
fn row28_clients_come_through_haproxy() {
    for words in ["send-proxy", "send-proxy-v2", "send-proxy-v2 check check-send-proxy inter 200"] {
        let gateway = Gateway::start(&proxied());
        let Some(haproxy) = Haproxy::start(PROXY, gateway.address("inbound"), words) else { return skip("no haproxy") };
        let mut client = Client::connect(haproxy.address(), OTHER);
        client.greet();
        client.ask("MAIL FROM:<x@ext.example>", "250");
        client.ask("RCPT TO:<bob@ext.example>", "550 5.7.1");
        client.ask("RSET", "250");
        let (message, token) = mail::message("proxied");
        client.deliver("x@ext.example", "alice@corp.example", &message);
        let dropped = gateway.dropped_with(&token);
        assert!(dropped.contains(&format!("[{OTHER}]")) && !dropped.contains(PROXY), "{words}\n{dropped}");
        let mut listed = Client::connect(haproxy.address(), LISTED);
        listed.greet();
        listed.ask("MAIL FROM:<x@ext.example>", "250");
        listed.ask("RCPT TO:<bob@ext.example>", "250");
        assert!(!haproxy.log().contains("is DOWN"), "{words}\n{}", haproxy.log());
    }
}

#[test]
fn row28_a_proxy_that_does_not_say_is_let_go() {
    let gateway = Gateway::start(&proxied());
    let Some(haproxy) = Haproxy::start(PROXY, gateway.address("inbound"), "") else { return skip("no haproxy") };
    let mut client = Client::connect(haproxy.address(), OTHER);
    client.line("EHLO client.ext.example");
    assert!(client.try_reply().is_none(), "{}", client.transcript());
    let _ = gateway.log_with(&["proxy-refused"]);
    let mut direct = gateway.client("inbound", OTHER);
    direct.ask("PROXY TCP4 127.0.0.5 127.0.0.2 51000 25", "500 5.5.1");
}

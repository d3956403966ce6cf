//! Programs that others wrote: with the right proof a message arrives, with a wrong one nothing is sent.

use e2e::foreign::{Program, Proof, Submission, s_client};
use e2e::{mail, skip, until};

use super::{House, MECHANISMS, PASSWORD};
use crate::OTHER;

/// Tries `right` and `wrong` by this mechanism at this virtual server.
fn try_both(house: &House, program: Program, server: &str, mechanism: &'static str, right: &Proof, wrong: &Proof) {
    let mut failed_before = failures(house, mechanism);
    for (proof, good) in [(wrong, false), (right, true)] {
        let (message, token) = mail::message(mechanism);
        let submission = Submission {
            server: house.gateway.address(server),
            mechanism,
            name: if mechanism == "NTLM" || mechanism == "EXTERNAL" { "alice" } else { "alice@corp.example" }.into(),
            proof: proof.clone(),
            from: "alice@corp.example".into(),
            to: "bob@ext.example".into(),
            message,
        };
        let before = house.hop.count();
        let said = program.submit(&submission).text();
        if good {
            assert!(said.contains("235 2.7.0"), "{program:?} {mechanism}\n{said}");
            if program == Program::Gsasl {
                continue;
            }
            let received = house.hop.received_with(&token);
            assert!(received.from.starts_with("<alice@corp.example>"), "{}", received.from);
            assert!(received.content.contains("with ESMTPSA"), "{}", received.content);
        } else {
            // Told by one more challenge that it has failed, curl hangs up without waiting for 535.
            let refusal = if mechanism == "XOAUTH2" { "334 eyJzdGF0dXMiOiI0MDEi" } else { "535 5.7.8" };
            assert!(said.contains(refusal), "{program:?} {mechanism}\n{said}");
            assert!(!said.contains("235 2.7.0") && !said.contains("250 2.6.0"), "{program:?} {mechanism}\n{said}");
            assert_eq!((house.gateway.queued(), house.hop.count()), (0, before), "{program:?} {mechanism}");
            failed_before += 1;
            until("the failure to be told", || (failures(house, mechanism) >= failed_before).then_some(()));
            let told = failures(house, mechanism);
            assert_eq!(told, failed_before, "each failure is told once\n{}", house.gateway.log());
        }
    }
}

/// A message of alice's with her password, which nothing is wrong with but the mechanism.
fn of_alice(house: &House, server: &str, mechanism: &'static str) -> Submission {
    Submission {
        server: house.gateway.address(server),
        mechanism,
        name: "alice".into(),
        proof: Proof::Password(PASSWORD.into()),
        from: "alice@corp.example".into(),
        to: "bob@ext.example".into(),
        message: mail::message(mechanism).0,
    }
}

/// How often the log tells that somebody has not authenticated by this mechanism.
fn failures(house: &House, mechanism: &str) -> usize {
    let (log, mechanism) = (house.gateway.log(), format!("\"mechanism\":\"{mechanism}\""));
    log.lines().filter(|line| line.contains("\"not-authenticated\"") && line.contains(&mechanism)).count()
}

/// Tries a program with passwords.
fn passwords(program: Program, mechanisms: &[&'static str]) {
    let Some(house) = House::open("") else { return skip("no openssl") };
    if !program.available() {
        return skip(&format!("no {program:?}"));
    }
    let (right, wrong) = (Proof::Password(PASSWORD.into()), Proof::Password("wrong".into()));
    for mechanism in mechanisms {
        try_both(&house, program, "out", mechanism, &right, &wrong);
    }
}

#[test]
fn i06_curl_sends_after_plain_and_login() {
    passwords(Program::Curl, &["PLAIN", "LOGIN"]);
}

#[test]
fn gnu_sasl_proves_passwords_and_proofs() {
    passwords(Program::Gsasl, &["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"]);
}

#[test]
fn cyrus_sasl_sends_after_passwords_and_proofs() {
    passwords(Program::Smtptest, &["PLAIN", "LOGIN", "SCRAM-SHA-256"]);
}

#[test]
fn i06_swaks_sends_after_plain_and_login() {
    passwords(Program::Swaks, &["PLAIN", "LOGIN"]);
}

#[test]
fn i06_smtplib_sends_after_login() {
    passwords(Program::Smtplib, &["PLAIN"]);
}

#[test]
fn e02_samba_sends_after_ntlm() {
    passwords(Program::Samba, &["NTLM"]);
}

/// Neither has an integrity code, so anybody on the way could change what they agree on.
#[test]
fn ntlm_without_its_integrity_code_is_refused() {
    let Some(house) = House::open("") else { return skip("no openssl") };
    for program in [Program::Curl, Program::Swaks] {
        if !program.available() {
            return skip(&format!("no {program:?}"));
        }
        let submission = of_alice(&house, "out", "NTLM");
        let said = program.submit(&submission).text();
        assert!(said.contains("535 5.7.8"), "{program:?}\n{said}");
        assert_eq!((house.gateway.queued(), house.hop.count()), (0, 0));
    }
    let _ = house.gateway.log_with(&["\"why\":\"weak\""]);
}

#[test]
fn curl_sends_after_a_token() {
    let Some(house) = House::open("") else { return skip("no openssl") };
    if !Program::Curl.available() {
        return skip("no curl");
    }
    let right = Proof::Token(house.issuer.token("alice@corp.example", 600));
    let expired = Proof::Token(house.issuer.token("alice@corp.example", -600));
    let other = Proof::Token(house.issuer.token("mallory@corp.example", 600));
    for wrong in [&expired, &other] {
        try_both(&house, Program::Curl, "out", "OAUTHBEARER", &right, wrong);
        // With a token, curl takes the older form only where there is no other.
        try_both(&house, Program::Curl, "old", "XOAUTH2", &right, wrong);
    }
}

#[test]
fn curl_sends_after_a_certificate() {
    let Some(house) = House::open("") else { return skip("no openssl") };
    if !Program::Curl.available() {
        return skip("no curl");
    }
    let (right, wrong) = (Proof::Certificate(house.alice.clone()), Proof::Certificate(house.stranger.clone()));
    try_both(&house, Program::Curl, "out", "EXTERNAL", &right, &wrong);
    // Without any certificate.
    let said = s_client(
        house.gateway.address("out"),
        &["-starttls", "smtp", "-quiet"],
        "EHLO client.ext.example\nAUTH EXTERNAL =\nQUIT\n",
    );
    let said = said.expect("openssl is there").text();
    assert!(said.contains("535 5.7.8") && !said.contains("235 "), "{said}");
}

/// L13: what shows its secret does not exist in the clear; strongest first inside TLS.
#[test]
fn l13_basic_and_tokens_are_for_tls_alone() {
    let Some(house) = House::open("") else { return skip("no openssl") };
    let mut client = house.gateway.connect("out", OTHER);
    let offered = client.greet().keyword("AUTH").map(str::to_owned);
    assert_eq!(offered.as_deref(), Some("SCRAM-SHA-256 NTLM"));
    for mechanism in ["EXTERNAL", "SCRAM-SHA-256-PLUS", "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN"] {
        client.ask(&format!("AUTH {mechanism}"), "538 5.7.11");
    }
    client.ask(&super::plain("alice", PASSWORD), "538 5.7.11");
    client.ask("MAIL FROM:<alice@corp.example>", "530 5.7.3");
    let said = s_client(house.gateway.address("out"), &["-starttls", "smtp", "-quiet"], "EHLO x.ext.example\nQUIT\n");
    let said = said.expect("openssl is there").text();
    assert!(said.contains(&format!("250-AUTH {}", MECHANISMS.join(" "))), "{said}");
}

/// H06, I03: a mechanism that is not ticked is neither shown nor accepted, by no program.
#[test]
fn h06_i03_a_mechanism_that_is_not_offered_is_not_accepted() {
    let Some(house) = House::open("") else { return skip("no openssl") };
    let commands = format!(
        "EHLO client.ext.example\nAUTH LOGIN\n{}\nAUTH SCRAM-SHA-256-PLUS\nMAIL FROM:<alice@corp.example>\nQUIT\n",
        super::plain("alice", PASSWORD)
    );
    let said = s_client(house.gateway.address("strict"), &["-starttls", "smtp", "-quiet"], &commands);
    let said = said.expect("openssl is there").text();
    assert!(said.contains("250-AUTH SCRAM-SHA-256\r\n") || said.contains("250-AUTH SCRAM-SHA-256\n"), "{said}");
    assert_eq!(said.matches("504 5.5.4").count(), 3, "{said}");
    assert!(said.contains("530 5.7.3"), "{said}");
    if !Program::Swaks.available() {
        return skip("no swaks");
    }
    let said = Program::Swaks.submit(&of_alice(&house, "strict", "LOGIN"));
    assert!(said.code != 0 && !said.text().contains("235 "), "{}", said.text());
    assert_eq!((house.gateway.queued(), house.hop.count()), (0, 0));
}

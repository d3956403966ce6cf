//! Dialogs that are written down, in `tests/mechanisms/*.dialog`: what a client says, what is asked of
//! the directories, and how it ends. `UPDATE_DIALOGS=1 cargo test -p identity` writes the answers.
//!
//! `mechanism NAME WORD…` begins one. Words: `plus-offered`; `tls1.3` and `tls1.2` for a link;
//! `certificate=NAME,NAME` for what the client has shown. `C:` is what the client sends, `C-` AUTH without
//! an initial response, `F:` what the directories find. Written by the test: `S:` a challenge, `?:` an
//! inquiry, `=>` the end. Octets are escaped: `\0`, `\r`, `\n`, `\\`, `\xHH`; `{…*N}` repeats.

#![allow(clippy::disallowed_methods, reason = "reads and writes the tests in the tree")]

use crate::{account, certificate, link, scram_keys, setting};
use identity::{Credential, Exchange, Failure, Finding, Inquiry, Mechanism, No, Setting, Step};
use std::fmt::Write as _;
use std::path::Path;

#[test]
fn dialogs_are_as_written() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/mechanisms");
    let mut played = 0;
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let written = play(&text);
        if std::env::var_os("UPDATE_DIALOGS").is_some() {
            std::fs::write(&path, &written).unwrap();
        } else {
            for (at, (found, expected)) in written.lines().zip(text.lines()).enumerate() {
                assert_eq!(found, expected, "{}:{}", path.display(), at + 1);
            }
            assert_eq!(written, text, "{}", path.display());
        }
        played += 1;
    }
    assert!(played >= 6, "only {played} files of dialogs");
}

/// The text with the answers that are given now.
fn play(text: &str) -> String {
    let mut written = String::new();
    let mut exchange = None;
    for line in text.lines() {
        let (mark, rest) = line.split_at_checked(2).unwrap_or((line, ""));
        if matches!(mark, "S:" | "?:" | "=>") {
            continue;
        }
        writeln!(written, "{line}").unwrap();
        if let Some(words) = line.strip_prefix("mechanism ") {
            exchange = Some(begin(words));
        }
        let Some(exchange) = &mut exchange else { continue };
        let step = match mark {
            "C:" => exchange.respond(Some(&octets(rest.strip_prefix(' ').unwrap_or(rest)))),
            "C-" => exchange.respond(None),
            "F:" => exchange.found(finding(rest.trim())),
            _ => continue,
        };
        writeln!(written, "{}", shown(&step)).unwrap();
        if let Some(decided) = exchange.decided() {
            writeln!(written, "=> if it cancels: {}", failed(&decided)).unwrap();
        }
    }
    written
}

fn begin(words: &str) -> Exchange {
    let mut words = words.split(' ');
    let mechanism: Mechanism = words.next().unwrap().parse().expect("a mechanism");
    let (mut tls, mut shown, mut plus_offered) = (None, None, false);
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("plus-offered", _) => plus_offered = true,
            ("tls1.3", _) => tls = Some(true),
            ("tls1.2", _) => tls = Some(false),
            ("certificate", names) => shown = Some(certificate(&names.split(',').collect::<Vec<_>>())),
            _ => panic!("unknown word {word}"),
        }
    }
    let link = tls.and_then(|exporter| link(exporter, shown));
    Exchange::new(mechanism, Setting { link, plus_offered, ..setting() })
}

fn finding(text: &str) -> Finding {
    let words: Vec<&str> = text.split(' ').collect();
    match words[..] {
        ["account", name] => Finding::Account(account(name)),
        ["principal", name] => Finding::Principal(name.into(), None),
        ["keys", name, password] => scram_keys(name, password),
        ["unknown"] => Finding::No(No::Unknown),
        ["wrong"] => Finding::No(No::Wrong),
        ["suspended"] => Finding::No(No::Suspended),
        ["no-secret"] => Finding::No(No::NoSecret),
        ["unavailable"] => Finding::Unavailable,
        _ => panic!("unknown finding {text}"),
    }
}

fn shown(step: &Step) -> String {
    match step {
        Step::Challenge(octets) => format!("S: {}", escaped(octets)).trim_end().to_owned(),
        Step::Inquire(inquiry) => format!("?: {}", asked(inquiry)),
        Step::Proved(proof) => {
            let account = proof.account.as_ref().map_or("nobody", |account| &*account.name);
            let by = match &proof.credential {
                Credential::Account(name) => format!("account {name}"),
                Credential::Principal(name) => format!("principal {name}"),
                Credential::Certificate(certificate) => format!("certificate {}", certificate.names.join(",")),
            };
            format!("=> proved {account} by {by}")
        }
        Step::Failed(failure) => format!("=> {}", failed(failure)),
    }
}

fn asked(inquiry: &Inquiry) -> String {
    let or_nobody = |name: &Option<Box<str>>| name.as_deref().unwrap_or("whoever").to_owned();
    match inquiry {
        Inquiry::Password { name, password } => format!("password {} of {name}", escaped(password.expose())),
        Inquiry::ScramKeys { name } => format!("keys of {name}"),
        Inquiry::Certificate { certificate, name } => {
            format!("certificate {} of {}", certificate.names.join(","), or_nobody(name))
        }
        Inquiry::Token { token, name } => format!("token {} of {}", escaped(token.expose()), or_nobody(name)),
        other => format!("{other:?}"),
    }
}

fn failed(failure: &Failure) -> String {
    match failure {
        Failure::Refused { name, secret, why } => {
            let digest = secret.map_or(String::new(), |digest| format!(" with secret {digest:016x}"));
            format!("refused {}{digest}: {why:?}", name.as_deref().unwrap_or("nobody"))
        }
        Failure::Malformed => "malformed".to_owned(),
        Failure::Unavailable => "unavailable".to_owned(),
    }
}

/// The octets of what is written.
fn octets(text: &str) -> Vec<u8> {
    if let Some((front, rest)) = text.split_once('{') {
        let (repeated, back) = rest.split_once('}').expect("{…*N}");
        let (what, times) = repeated.rsplit_once('*').expect("{…*N}");
        return [octets(front), octets(what).repeat(times.parse().unwrap()), octets(back)].concat();
    }
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'\\' => match rest.next().unwrap() {
                b'0' => 0,
                b'r' => b'\r',
                b'n' => b'\n',
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other,
            },
            plain => plain,
        });
    }
    octets
}

fn escaped(octets: &[u8]) -> String {
    octets.utf8_chunks().fold(String::new(), |mut text, chunk| {
        for sign in chunk.valid().chars() {
            match sign {
                '\0' => text.push_str("\\0"),
                '\\' | '{' => text.extend(['\\', sign]),
                _ if sign.is_ascii_control() => write!(text, "\\x{:02x}", u32::from(sign)).unwrap(),
                _ => text.push(sign),
            }
        }
        chunk.invalid().iter().for_each(|octet| write!(text, "\\x{octet:02x}").unwrap());
        text
    })
}

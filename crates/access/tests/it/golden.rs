//! What audits and plans look like: `tests/audit`. `UPDATE_AUDITS=1 cargo test -p access` writes them anew.
#![expect(clippy::disallowed_methods, reason = "golden files are read and written here")]

use crate::{NOW, config};
use access::{Audit, Plan, Surroundings, html, text};
use config::templates::{Options, Template};
use std::fs;
use std::path::{Path, PathBuf};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/audit")
}

/// The settings files whose names end so.
fn settings(end: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = all.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Compares with the file, or writes it.
fn golden(path: &Path, said: &str) {
    if std::env::var_os("UPDATE_AUDITS").is_some() {
        fs::write(path, said).unwrap();
        return;
    }
    let known = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(said, known, "{} is not what it was", path.display());
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn no_line_is_too_long(text: &str) {
    for line in text.lines() {
        let plain = !line.trim_start().contains(' ');
        assert!(line.chars().count() <= 100 || plain, "{line}");
    }
}

#[test]
fn d23_audits() {
    for path in
        settings(".toml").into_iter().filter(|path| !name(path).contains(".old.") && !name(path).contains(".new."))
    {
        let config = config(&fs::read_to_string(&path).unwrap());
        let audit = Audit::of(&name(&path), &config, &Surroundings::default(), NOW);
        let said = text::audit(&audit);
        no_line_is_too_long(&said);
        golden(&path.with_extension("txt"), &said);
        if name(&path) == "typical-default.toml" {
            golden(&path.with_extension("html"), &html::audit(&audit));
            golden(&path.with_extension("json"), &format!("{}\n", serde_json::to_string_pretty(&audit).unwrap()));
        }
    }
}

#[test]
fn plans() {
    for old in settings(".old.toml") {
        let stem = name(&old).replace(".old.toml", "");
        let new = directory().join(format!("{stem}.new.toml"));
        let read = |path: &Path| config(&fs::read_to_string(path).unwrap());
        let plan = Plan::of((&name(&old), &read(&old)), (&name(&new), &read(&new)), NOW);
        let said = text::plan(&plan);
        no_line_is_too_long(&said);
        golden(&directory().join(format!("{stem}.plan.txt")), &said);
    }
}

/// The identifiers that are found in these settings.
fn found(text: &str) -> Vec<String> {
    let head = "hostname = \"mail.corp.example\"\nstate_dir = \"/var/lib/bridgehead\"\n\
                organization.domains = [\"corp.example\"]\ndirectory.file.people.path = \"/accounts\"\n";
    let config = config(&format!("{head}{text}"));
    let surroundings = Surroundings { gateways: vec!["10.0.0.1".parse().unwrap()] };
    Audit::of("test", &config, &surroundings, NOW).findings.into_iter().map(|finding| finding.id).collect()
}

#[test]
fn h11_servers_that_cannot_talk_are_found() {
    let mailbox = |mechanisms: &str| {
        format!(
            "[peer.ex1]\naccounts = [\"ex1\"]\n[virtual_server.mailbox]\nlisten = [\"10.0.0.9:25\"]\nrole = \"mailbox\"\n\
             authentication.anonymous = false\nauthentication.mechanisms = [{mechanisms}]\n\
             authentication.directories = [\"people\"]\nsubmit.allow = []\n"
        )
    };
    assert_eq!(found(&mailbox("")), ["nobody-can-talk:mailbox", "peer-cannot-talk:ex1", "role:mailbox:integrated"]);
    assert!(found(&mailbox("\"SCRAM-SHA-256\"")).is_empty());
}

#[test]
fn e12_a_relay_list_of_those_who_may_not_is_unsafe() {
    let server = "[virtual_server.corp]\nlisten = [\"10.0.0.9:25\"]\nauthentication.anonymous = false\n\
                  authentication.mechanisms = [\"SCRAM-SHA-256\"]\nauthentication.directories = [\"people\"]\n\
                  relay.mode = \"all-except\"\nrelay.list = []\nsend_as.outside = \"refuse\"\n";
    assert_eq!(found(server), ["unsafe-mode:corp"]);
}

#[test]
fn a_device_that_may_relay_and_cannot_send_is_found() {
    let server = |more: &str| {
        format!(
            "[virtual_server.out]\nlisten = [\"10.0.0.9:25\"]\nauthentication.mechanisms = [\"SCRAM-SHA-256\"]\n\
             authentication.directories = [\"people\"]\nsend_as.outside = \"refuse\"\nrelay.mode = \"only\"\n\
             relay.list = [{{ client = \"10.0.5.5\", owner = \"it\" }}, {{ client = \"10.0.5.6\", owner = \"it\" }}]\n{more}"
        )
    };
    let shut_out = |more: &str| found(&server(more)).contains(&"devices-shut-out:out".to_owned());
    assert!(shut_out("authentication.anonymous = false\n"));
    assert!(shut_out("connection_control = { mode = \"all-except\", list = [\"10.0.5.6\"] }\n"));
    assert!(!shut_out("connection_control = { mode = \"only\", list = [\"10.0.5.0/24\"] }\n"));
}

#[test]
fn i15_an_open_relay_is_found_even_where_somebody_insists() {
    let server = "[virtual_server.in]\nlisten = [\"203.0.113.25:25\"]\nrelay.mode = \"all-except\"\nrelay.list = []\n\
                  relay.open_relay = \"i-know-this-is-an-open-relay\"\n";
    assert_eq!(found(server), ["open-relay:in", "unsafe-mode:in"]);
}

#[test]
fn a_relay_grant_that_covers_who_speaks_for_others_is_found() {
    let server = |entry: &str| {
        format!(
            "[virtual_server.in]\nlisten = [\"10.0.0.9:25\"]\nproxies = [\"10.0.0.5\"]\nrelay.mode = \"only\"\n\
             relay.list = [{{ client = \"{entry}\", owner = \"it\" }}]\n"
        )
    };
    assert_eq!(found(&server("10.0.0.5")), ["relay-covers-proxy:in"]);
    assert_eq!(found(&server("10.0.0.0/30")), ["relay-covers-gateway:in"]);
    assert_eq!(found(&server("10.0.0.8/29")), ["relay-covers-self:in"]);
    assert!(found(&server("10.0.1.5")).is_empty());
}

#[test]
fn h22_what_init_writes_has_no_findings() {
    for template in Template::ALL {
        for realm in [None, Some("CORP.EXAMPLE".parse().unwrap())] {
            let options = Options {
                hostname: None,
                domain: "corp.example".parse().unwrap(),
                more_domains: vec!["corp2.example".parse().unwrap()],
                realm,
            };
            let text = template.text(&options);
            no_line_is_too_long(&text);
            let config = config(&text);
            let audit = Audit::of(template.name(), &config, &Surroundings::default(), NOW);
            assert!(audit.findings.is_empty(), "{}", text::audit(&audit));
            if options.realm.is_none() {
                golden(&directory().join(format!("init-{}.txt", template.name())), &text::audit(&audit));
            }
        }
    }
}

#[test]
fn a_role_is_held_to_each_cell_of_its_row() {
    let server = |role: &str, more: &str| {
        let text = format!(
            "[virtual_server.s]\nlisten = [\"10.0.0.9:25\"]\nrole = \"{role}\"\n\
             tls.certificates = [{{ certificate = \"/c.pem\", key = \"/c.key\" }}]\n\
             authentication.directories = [\"people\"]\n{more}"
        );
        let all = found(&text).into_iter();
        all.filter_map(|id| id.strip_prefix("role:s:").map(str::to_owned)).collect::<Vec<_>>()
    };
    let scram = "authentication.mechanisms = [\"SCRAM-SHA-256\"]\n";
    let plain = "authentication.mechanisms = [\"SCRAM-SHA-256\", \"PLAIN\"]\n";
    let closed = "submit.allow = []\n";
    let off = "authentication.anonymous = false\n";
    for (role, more, expected) in [
        ("smtp-gateway", [scram, closed, ""], &[][..]),
        ("smtp-gateway", [scram, "", ""], &["users"]),
        ("smtp-gateway", [scram, closed, off], &["anonymous"]),
        ("smtp-gateway", [plain, closed, ""], &["basic"]),
        ("smtp-gateway", [plain, "submit.allow = [\"group:workers\"]\n", ""], &[]),
        ("smtp-gateway", [closed, "relay.authenticated = true\n", ""], &["integrated", "relay-authenticated"]),
        ("mailbox", [scram, closed, off], &[]),
        ("mailbox", [scram, "submit.allow = [\"group:workers\"]\n", off], &["users"]),
        ("mailbox", [plain, closed, ""], &["anonymous", "basic"]),
        ("front-end", [closed, off, ""], &[]),
        ("front-end", [scram, closed, off], &[]),
        ("front-end", [plain, closed, off], &["basic"]),
        ("all-in-one", [scram, closed, ""], &[]),
        ("all-in-one", [plain, closed, off], &["anonymous", "basic"]),
    ] {
        assert_eq!(server(role, &more.concat()), expected, "{role} {more:?}");
    }
}

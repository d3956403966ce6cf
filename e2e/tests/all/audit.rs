//! The program says who may do what, and what a change opens: exit codes, and a witness that can be pasted.

use e2e::{Gateway, command};
use std::path::{Path, PathBuf};

use crate::inbound;

/// The settings that the goldens of audits are made of.
fn settings(name: &str) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/audit");
    directory.join(name).display().to_string()
}

#[test]
fn d23_the_typical_default_is_audited() {
    let audit = command(&["audit", &settings("typical-default.toml")]);
    assert_eq!(audit.code, 1, "{}", audit.text());
    for id in [
        "shared-in-out:default",
        "auth-exposed:default",
        "relay-for-authenticated:default",
        "anonymous-inside:default",
        "no-split-metrics:default",
    ] {
        assert!(audit.text().contains(id), "no {id} in\n{}", audit.text());
    }
    assert_eq!(command(&["audit", &settings("mistakes.toml")]).code, 2);
    assert_eq!(command(&["audit", &settings("two-servers.toml")]).code, 0);
    assert_eq!(command(&["audit", "/nowhere/bridgehead.toml"]).code, 2);
}

#[test]
fn a_plan_says_which_way_a_change_goes() {
    let [old, new] = ["remote-workers.old.toml", "remote-workers.new.toml"].map(settings);
    let wider = command(&["plan", &new, "--against", &old]);
    assert_eq!(wider.code, 2, "{}", wider.text());
    assert!(wider.text().contains("account scanner may now relay"), "{}", wider.text());
    let [old, new] = ["reordered.old.toml", "reordered.new.toml"].map(settings);
    assert_eq!(command(&["plan", &new, "--against", &old]).code, 0);
    let json = command(&["plan", &new, "--against", &old, "--json"]);
    assert!(json.text().contains("\"lines\": []"), "{}", json.text());
}

/// What an audit gives as a proof, the functions of the server say as well.
#[test]
fn a_witness_can_be_pasted() {
    let gateway = Gateway::start(&inbound("relay.mode = \"only\"\nrelay.list = [\"127.0.0.5\"]\n"));
    let file: PathBuf = gateway.settings_file();
    let audit = command(&["audit", "--json", &file.display().to_string()]);
    let report: serde_json::Value = serde_json::from_str(&audit.text()).expect("a report for programs");
    let witness = report["servers"][0]["relay"][0]["witness"].as_str().expect("somebody may relay");
    let words: Vec<&str> = witness.split(' ').skip(1).collect();
    let explained = command(&words).success().text();
    assert!(explained.contains("relayed"), "{explained}");
}

//! How long an audit takes: 200 entries of a list and 50 groups.
//!
//! `cargo run --release -p access --example speed`
#![expect(clippy::disallowed_methods, reason = "this measures time")]

use access::{Audit, Plan, Surroundings};
use config::Config;
use mail::Timestamp;
use std::fmt::Write;
use std::time::Instant;

fn settings(groups: u32) -> String {
    let mut text = "hostname = \"mx.corp.example\"\nstate_dir = \"/var/lib/bridgehead\"\n\
        [organization]\ndomains = [\"corp.example\"]\n[directory.file.people]\npath = \"/accounts\"\n"
        .to_owned();
    for server in 0..2 {
        let list = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(", ");
        let entries = list(&mut (0..200).map(|n| format!("\"10.{server}.{n}.0/24\"")));
        let names = list(&mut (0..20).map(|n| format!("\"host-{n}.example\"")));
        let allowed = list(&mut (0..groups).map(|n| format!("\"group:g{n}\"")));
        let denied = list(&mut (groups / 2..groups).map(|n| format!("\"group:g{n}\"")));
        let _ = write!(
            text,
            "[virtual_server.s{server}]\nlisten = [\"10.0.0.1:{}\"]\nrelay.mode = \"only\"\n\
             relay.list = [{entries}, {names}]\nsubmit.allow = [{allowed}]\nrelay.allow = [{allowed}]\n\
             relay.deny = [{denied}]\nauthentication.mechanisms = [\"SCRAM-SHA-256\"]\n\
             authentication.directories = [\"people\"]\n",
            25 + server
        );
    }
    text
}

fn main() {
    let read = |groups| Config::from_text("speed", &settings(groups)).expect("our own settings").0;
    let (one, other, now) = (read(50), read(49), Timestamp::from_millis(1_795_000_000_000));
    let begun = Instant::now();
    let audit = Audit::of("speed", &one, &Surroundings::default(), now);
    println!("audit: {:?}, {} cells, {} findings", begun.elapsed(), audit.cells, audit.findings.len());
    let begun = Instant::now();
    let plan = Plan::of(("one", &one), ("other", &other), now);
    println!("plan: {:?}, {} lines", begun.elapsed(), plan.lines.len());
}

//! Settings drawn by chance: two virtual servers, their rules, a peer, other domains. Nothing in them can be
//! delivered, so that all that is committed stays in the queue, where it can be looked at.

use super::draw::{NETS, PEER, SERVERS};
use crate::dice::Dice;
use std::fmt::Write;

/// Whom rights are given and denied to.
const HOLDERS: [&str; 8] =
    ["account:u1", "account:U2", "account:u3", "account:Μάρκος", "group:a", "group:b", "group:C", "group:ΓΆΤΕΣ"];

/// Entries of lists that are names.
const LISTED_NAMES: [&str; 2] = ["partner.example", "other.example"];

/// The text of a settings file.
pub(super) fn draw(dice: &mut Dice) -> String {
    let mut out = "hostname = \"mx.corp.example\"\nstate_dir = \"/var/lib/bridgehead\"\n[log]\nformat = \"json\"\n\
                   [organization]\ndomains = [\"corp.example\", \"corp2.example\"]\nroute = \"[10.9.9.9]\"\n\
                   alias_domains = { \"old.example\" = \"corp.example\" }\n"
        .to_owned();
    if dice.chance(30) {
        out.push_str("recipients = [\"alice@corp.example\", \"bob@corp2.example\"]\n");
    }
    out.push_str("[directory.file.people]\npath = \"/accounts\"\n");
    let (submit, relay, anybody, speaks) = (dice.chance(70), dice.chance(50), dice.chance(50), dice.chance(80));
    let _ = writeln!(
        out,
        "[peer.{}]\naccounts = [\"{}\"]\naddresses = [\"{}0.0.0/8\"]\nsubmit = {submit}\nrelay = {relay}\n\
         send_as_anybody = {anybody}\nxclient = {speaks}",
        PEER.0, PEER.0, PEER.1
    );
    if dice.chance(30) {
        let null = dice.chance(30);
        let _ =
            writeln!(out, "[sender_filter]\nlist = [\"x@ext.example\", \"@partner.example\"]\nnull_sender = {null}");
    }
    for name in ["partner.example", "*.partner.example"] {
        if dice.chance(50) {
            let _ = writeln!(out, "[remote_domain.\"{name}\"]\nallow_relay = {}", dice.chance(50));
        }
    }
    for (at, name) in SERVERS.into_iter().enumerate() {
        server(dice, name, 25 + at, &mut out);
    }
    out
}

fn server(dice: &mut Dice, name: &str, port: usize, out: &mut String) {
    let applies = if dice.chance(50) { "anonymous" } else { "everyone" };
    let _ = writeln!(
        out,
        "[virtual_server.{name}]\nlisten = [\"[::]:{port}\"]\ndefault_domain = \"bogus1\"\n\
         delivery.smart_hosts = \"[198.51.100.25]\"\n\
         connection_control.mode = \"{}\"\nconnection_control.list = {}\nconnection_control.applies_to = \"{applies}\"",
        if dice.chance(30) { "only" } else { "all-except" },
        clients(dice),
    );
    let tls = dice.chance(60);
    if tls {
        out.push_str("tls.certificates = [{ certificate = \"/c.pem\", key = \"/c.key\" }]\n");
    }
    let required = tls && dice.chance(20);
    let in_the_clear = !required && dice.chance(70);
    if required {
        out.push_str("tls.mode = \"required\"\n");
    }
    if in_the_clear {
        out.push_str("authentication.in_the_clear = \"i-know-passwords-can-be-read-on-the-way\"\n");
    }
    if (tls || in_the_clear) && dice.chance(90) {
        out.push_str("authentication.mechanisms = [\"PLAIN\"]\nauthentication.directories = [\"people\"]\n");
    }
    let _ = writeln!(out, "filters.sender = {}", dice.chance(50));
    let _ = writeln!(out, "authentication.anonymous = {}", dice.chance(70));
    if dice.chance(50) {
        let _ = writeln!(out, "submit.allow = {}", holders(dice));
    }
    let _ = writeln!(
        out,
        "submit.deny = {}\nrelay.mode = \"{}\"\nrelay.list = {}\nrelay.authenticated = {}\nrelay.allow = {}\n\
         relay.deny = {}\nrelay.open_relay = \"i-know-this-is-an-open-relay\"",
        holders(dice),
        if dice.chance(80) { "only" } else { "all-except" },
        clients(dice),
        dice.chance(50),
        holders(dice),
        holders(dice),
    );
    for place in ["envelope", "from", "outside", "null_sender", "anonymous"] {
        let _ = writeln!(out, "send_as.{place} = \"{}\"", dice.pick(&["refuse", "mark", "off", "off"]));
    }
}

fn clients(dice: &mut Dice) -> String {
    let mut entries: Vec<&str> = (0..dice.below(4)).map(|_| *dice.pick(&NETS[..8])).collect();
    if dice.chance(20) {
        entries.push(*dice.pick(&LISTED_NAMES));
    }
    listed(entries)
}

fn holders(dice: &mut Dice) -> String {
    let most = if dice.chance(50) { 1 } else { 4 };
    listed((0..dice.below(most)).map(|_| *dice.pick(&HOLDERS)).collect())
}

fn listed(mut entries: Vec<&str>) -> String {
    entries.sort_unstable();
    entries.dedup();
    format!("{entries:?}")
}

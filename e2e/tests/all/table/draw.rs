//! Settings by chance, from a world so small that rules overlap, repeat and contradict one another.

use e2e::Dice;
use std::fmt::Write;

const ENTRIES: [&str; 7] =
    ["127.0.0.5", "127.0.0.6", "127.0.0.4/30", "127.0.0.0/24", "127.0.0.0/8", "10.0.0.0/8", "::1"];
const FILTERED: [&str; 5] =
    ["alice@corp.example", "Alice@old.example", "@old.example", "x@ext.example", "@ext.example"];
const HOLDERS: [&str; 6] = ["account:u1", "account:U2", "account:u3", "group:staff", "group:Workers", "group:other"];
const ACTIONS: [&str; 3] = ["refuse", "mark", "off"];
/// Long past, and far away.
const DAYS: [&str; 2] = ["1970-01-01", "9999-12-31"];

/// Ten virtual servers and what they have in common. `ACCOUNTS` stands for the path of the account file.
pub(super) fn settings(dice: &mut Dice) -> String {
    let mut out = String::new();
    let recipients = if dice.chance(2) { "recipients = [\"alice@corp.example\"]\n" } else { "" };
    let _ = writeln!(
        out,
        "[organization]\ndomains = [\"corp.example\"]\nalias_domains = {{ \"old.example\" = \"corp.example\" }}\n{recipients}"
    );
    for _ in 0..dice.below(3) {
        let who = *dice.pick(&["account:u1", "group:workers", "peer:ex1", "client:127.0.0.5", "client:127.0.0.0/8"]);
        let addresses = *dice.pick(&["alice@corp.example", "@corp.example", "news@old.example", "@ext.example"]);
        let _ = writeln!(out, "[[organization.send_as]]\nwho = {who:?}\naddresses = [{addresses:?}]\n{}", term(dice));
    }
    for domain in ["partner.example", "*.below.example"] {
        if dice.chance(2) {
            let _ = writeln!(out, "[remote_domain.{domain:?}]\nallow_relay = {}", dice.chance(2));
        }
    }
    let _ = writeln!(
        out,
        "[directory.file.people]\npath = \"ACCOUNTS\"\n[peer.ex1]\naccounts = [\"ex1\"]\nsubmit = {}\nrelay = {}\n\
         send_as_anybody = {}\nbypass_filters = {}\n[guessing]\nexempt = [\"127.0.0.0/8\"]\n[bounds]\nrefused_share = 100\nslow_from = 100",
        !dice.chance(4),
        !dice.chance(3),
        !dice.chance(3),
        dice.chance(2)
    );
    let _ = writeln!(
        out,
        "[sender_filter]\nlist = [{}]\nnull_sender = {}\non_match = {:?}",
        listed(dice, "address", &FILTERED),
        dice.chance(4),
        *dice.pick(&["drop", "refuse"])
    );
    (0..10).for_each(|at| server(dice, at, &mut out));
    out
}

fn server(dice: &mut Dice, at: usize, out: &mut String) {
    let key = format!("virtual_server.s{at}");
    let _ = writeln!(out, "[{key}]\nlisten = [\"127.0.0.2:0\"]\nlimits = {{ errors = 1000000 }}");
    if !dice.chance(4) {
        let applies = *dice.pick(&["everyone", "anonymous"]);
        let (mode, list) = (mode(dice), clients(dice));
        let _ = writeln!(out, "[{key}.connection_control]\nmode = {mode:?}\nlist = [{list}]\napplies_to = {applies:?}");
    }
    let _ = writeln!(
        out,
        "[{key}.authentication]\nanonymous = {}\nmechanisms = [\"PLAIN\"]\ndirectories = [\"people\"]\nfailure_delay = \"0 s\"\n\
         in_the_clear = \"i-know-passwords-can-be-read-on-the-way\"",
        !dice.chance(3)
    );
    let _ = writeln!(out, "[{key}.submit]\ndeny = [{}]", holders(dice, 2));
    if dice.chance(2) {
        let _ = writeln!(out, "allow = [{}]", holders(dice, 4));
    }
    // Nearly all that is drawn could be reached from everywhere.
    let _ = writeln!(
        out,
        "[{key}.relay]\nmode = {:?}\nlist = [{}]\nauthenticated = {}\nallow = [{}]\ndeny = [{}]\n\
         open_relay = \"i-know-this-is-an-open-relay\"",
        mode(dice),
        clients(dice),
        dice.chance(3),
        holders(dice, 3),
        holders(dice, 2)
    );
    let _ = writeln!(out, "[{key}.filters]\nsender = {}", dice.chance(3));
    let _ = writeln!(out, "[{key}.send_as]\nsub_addresses = {}", dice.chance(2));
    for place in ["envelope", "outside", "null_sender", "anonymous"] {
        let _ = writeln!(out, "{place} = {:?}", *dice.pick(&ACTIONS));
    }
}

fn mode(dice: &mut Dice) -> &'static str {
    *dice.pick(&["only", "all-except"])
}

fn clients(dice: &mut Dice) -> String {
    listed(dice, "client", &ENTRIES)
}

/// A list of up to three of these, some with an end.
fn listed(dice: &mut Dice, key: &str, all: &[&str]) -> String {
    let entry = |dice: &mut Dice| {
        let text = *dice.pick(all);
        if dice.chance(3) { format!("{{ {key} = {text:?}, {} }}", term(dice)) } else { format!("{text:?}") }
    };
    (0..dice.below(4)).map(|_| entry(dice)).collect::<Vec<_>>().join(", ")
}

fn holders(dice: &mut Dice, most: u64) -> String {
    let entry = |dice: &mut Dice| {
        let who = *dice.pick(&HOLDERS);
        if dice.chance(3) { format!("{{ who = {who:?}, {} }}", term(dice)) } else { format!("{who:?}") }
    };
    (0..dice.below(most)).map(|_| entry(dice)).collect::<Vec<_>>().join(", ")
}

fn term(dice: &mut Dice) -> String {
    format!("expires = {:?}", *dice.pick(&DAYS))
}

//! A settings file of which only the beginning is there: it is refused, or lets nobody relay who may not
//! relay by the whole ("never open by default"). What it cannot know is that a table is missing behind
//! its end: who may connect, and what is allowed to everyone for a remote domain, may have stood there.

use crate::dump::probe;
use crate::golden::files;
use config::Config;

/// Strangers, neighbours, and those whom the files name.
const CLIENTS: [&str; 7] =
    ["192.0.2.66", "192.0.2.67", "198.51.100.9", "10.168.0.1", "10.168.0.2", "127.0.0.1", "2001:db8::1"];
/// In no domain that a file names.
const OUTSIDE: [&str; 3] = ["bob@ext.example", "x@notcorp.example", "a@ext.example.net"];

/// Who may relay what through which virtual server.
fn relays(config: &Config) -> Vec<(String, &'static str, &'static str)> {
    let mut all = Vec::new();
    for server in &config.servers {
        for client in CLIENTS {
            for recipient in OUTSIDE {
                if probe(server, client, recipient) {
                    all.push((server.name.to_string(), client, recipient));
                }
            }
        }
    }
    all
}

#[test]
fn settings_cut_off_at_any_byte_are_refused_or_no_more_open() {
    let (mut cut, mut accepted) = (0, 0);
    for (name, text) in files("good") {
        let whole = relays(&Config::from_text(&name, &text).unwrap_or_else(|mistakes| panic!("{mistakes}")).0);
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            cut += 1;
            let Ok((config, _)) = Config::from_text(&name, &text[..end]) else { continue };
            accepted += 1;
            let more: Vec<_> = relays(&config).into_iter().filter(|relay| !whole.contains(relay)).collect();
            assert!(more.is_empty(), "{name} cut off at {end} lets through: {more:?}\n{}", &text[..end]);
        }
    }
    println!("{cut} beginnings of settings files, {accepted} of them accepted, none more open");
    assert!(accepted > 100 && accepted < cut, "both kinds: {accepted} of {cut}");
}

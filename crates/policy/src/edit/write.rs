//! Edits as lines of a settings file.

use super::{Edit, Reach};
use crate::filter::FilteredSender;
use crate::list::{Entry, Match};
use crate::rights::Holder;
use crate::send_as::{Addresses, Grant};
use crate::term::Term;
use crate::tested::{borrower, holder};

/// Entries of a list that are shown in full.
const SHOWN: usize = 5;

/// Octets of a list that is shown on one line.
const LINE: usize = 80;

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out += &format!("\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The header of the table that a key is in, and the name of the key there.
pub(super) fn table(key: &str) -> (Option<String>, &str) {
    match key.rsplit_once('.') {
        Some((table, name)) => (Some(format!("[{table}]")), name),
        None => (None, key),
    }
}

/// An entry of a list of clients.
pub(super) fn client(entry: &Entry) -> String {
    let text = match &entry.what {
        Match::Net(net) => net.to_string(),
        Match::Domain(domain) => domain.to_string(),
    };
    with_term("client", &text, &entry.term)
}

/// An entry of a list of accounts and groups.
pub(super) fn who(entry: &Holder) -> String {
    with_term("who", &holder(&entry.who), &entry.term)
}

fn with_term(name: &str, text: &str, term: &Term) -> String {
    let said = said(term);
    if said.is_empty() {
        return quoted(text);
    }
    let all: Vec<String> = [(name, quoted(text))].into_iter().chain(said).map(|(key, text)| pair(key, &text)).collect();
    format!("{{ {} }}", all.join(", "))
}

fn said(term: &Term) -> Vec<(&'static str, String)> {
    let texts = [("owner", term.owner.as_deref()), ("reason", term.reason.as_deref())];
    let texts = texts.into_iter().filter_map(|(key, text)| Some((key, quoted(text?))));
    texts.chain(term.last_day().map(|day| ("expires", quoted(&day)))).collect()
}

fn pair(key: &str, value: &str) -> String {
    format!("{key} = {value}")
}

/// The keys of a loan.
fn loan(grant: &Grant) -> Vec<(&'static str, String)> {
    let addresses: Vec<String> = grant.addresses.iter().map(|one| quoted(&addresses(one))).collect();
    let own = [("who", quoted(&borrower(&grant.to))), ("addresses", format!("[{}]", addresses.join(", ")))];
    own.into_iter().chain(said(&grant.term)).collect()
}

/// An entry of the sender filter.
pub(super) fn filtered(entry: &FilteredSender) -> String {
    with_term("address", &addresses(&entry.addresses), &entry.term)
}

/// Addresses, as the settings write them.
pub(super) fn addresses(addresses: &Addresses) -> String {
    match addresses {
        Addresses::One(mailbox) => mailbox.to_string(),
        Addresses::AllAt(host) => format!("@{host}"),
    }
}

/// A list with one entry more (`true`) or less; `all` are the entries then. `mode` is its mode, if nobody has
/// written that, since a list does not stand without one.
pub(super) fn list_edit(
    key: &str,
    line: Option<u32>,
    (all, changed, adds): (&[String], &str, bool),
    (width, also): Reach,
    mode: Option<&str>,
) -> Edit {
    let what = if adds { format!("add {changed}") } else { format!("take out {changed}") };
    changed_list(key, line, &what, (all, if adds { Some(changed) } else { None }), (width, also), mode)
}

/// A list in which something has changed; of a long one only the new entry is shown.
pub(super) fn changed_list(
    key: &str,
    line: Option<u32>,
    what: &str,
    (all, new): (&[String], Option<&str>),
    (width, also): Reach,
    mode: Option<&str>,
) -> Edit {
    let (header, name) = table(key);
    let whole = format!("[{}]", all.join(", "));
    let mut toml: Vec<String> = header.into_iter().collect();
    let mut settings = Vec::new();
    if let (Some(mode), Some((table, _))) = (mode, key.rsplit_once('.')) {
        toml.push(pair("mode", &quoted(mode)));
        settings.push((format!("{table}.mode"), quoted(mode)));
    }
    match new {
        _ if all.len() <= SHOWN && whole.len() <= LINE => toml.push(pair(name, &whole)),
        _ if all.len() <= SHOWN => {
            toml.push(format!("{name} = ["));
            toml.extend(all.iter().map(|one| format!("    {one},")));
            toml.push("]".to_owned());
        }
        Some(new) => {
            toml.push(format!("{name} = ["));
            toml.push(format!("    # and the {} others", all.len() - 1));
            toml.push(format!("    {new},"));
            toml.push("]".to_owned());
        }
        None => toml.push(format!("# {name} with the {} others", all.len())),
    }
    settings.push((key.to_owned(), whole));
    Edit { key: key.to_owned(), line, what: what.to_owned(), toml, settings, width, also }
}

/// Loans of which one is new, has changed or is gone; `all` are those that there are then.
pub(super) fn loans_edit(
    key: &str,
    line: Option<u32>,
    what: String,
    all: &[Grant],
    new: Option<&Grant>,
    reach: Reach,
) -> Edit {
    const KEY: &str = "organization.send_as";
    let inline = |grant: &Grant| {
        let pairs: Vec<String> = loan(grant).iter().map(|(key, value)| pair(key, value)).collect();
        format!("{{ {} }}", pairs.join(", "))
    };
    let whole: Vec<String> = all.iter().map(inline).collect();
    let toml = match new {
        Some(grant) => {
            let pairs = loan(grant).into_iter().map(|(key, value)| pair(key, &value));
            [format!("[[{KEY}]]")].into_iter().chain(pairs).collect()
        }
        None => vec![format!("# [[{KEY}]] without it")],
    };
    let settings = vec![(KEY.to_owned(), format!("[{}]", whole.join(", ")))];
    Edit { key: key.to_owned(), line, what, toml, settings, width: reach.0, also: reach.1 }
}

//! The file of invariants: read beside the settings, against the virtual servers and peers they name.

use super::{Check, syntax};
use crate::Config;
use crate::file::{self, InvariantFile, NetText, PatternText};
use crate::mistake::{Mistake, Mistakes, Place, Severity};
use crate::places::{Places, below};
use crate::shape::{self, nearest};
use invariant::{Invariant, Never, Pattern, Prefix, Who};
use policy::RuleBook;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::de::DeTable;

/// Each is asked of every message.
const INVARIANTS: usize = 100;
/// Octets of a name.
const NAME_OCTETS: usize = 64;

/// As [`Config::with_invariants`].
pub(crate) fn text(config: &Config, name: &str, text: &str) -> Result<Vec<Invariant>, Mistakes> {
    let (mut table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(Mistakes::new(name, text, syntax(text, &errors)));
    }
    let places = Places::new(text, table.get_ref());
    let shape = shape::check(text, table.get_mut(), shape::invariant_schema());
    let mut check = Check { places, broken: shape.broken, mistakes: shape.mistakes, book: RuleBook::new() };
    let read = match InvariantFile::deserialize(toml::Deserializer::from(table)) {
        Ok(file) => check.invariants(&file, config),
        // As for the settings: the walk has found it already.
        Err(error) => {
            let place = error.span().map(|span| Place::new(text, span));
            check.mistakes.push(Mistake::error("", place, error.message()));
            None
        }
    };
    check.mistakes.sort_by_key(|m| m.place.as_ref().map_or((0, 0), |place| (place.span.start, place.span.end)));
    match read {
        Some(all) if check.mistakes.iter().all(|m| m.severity == Severity::Warning) => Ok(all),
        _ => Err(Mistakes::new(name, text, check.mistakes)),
    }
}

impl Check<'_> {
    fn invariants(&mut self, file: &InvariantFile, config: &Config) -> Option<Vec<Invariant>> {
        const KEY: &str = "invariant";
        if file.invariant.len() > INVARIANTS {
            let expected = format!("expected at most {INVARIANTS}: each is asked of every message");
            self.bad(KEY, format_args!("has {} entries", file.invariant.len()), &expected, None);
            return None;
        }
        let all = self.all(&file.invariant, KEY, |check, key, table| check.invariant(key, table, config))?;
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let mut unique = true;
        for (index, one) in all.iter().enumerate() {
            if let Some(first) = seen.insert(&one.name, index) {
                let name_of = |index| below(&crate::places::entry(KEY, index), "name");
                let (key, first) = (name_of(index), name_of(first));
                let found = format!("`{}` is the name of two invariants", one.name);
                let mistake = Mistake::error(&key, self.places.value_of(&key), found)
                    .related(self.places.value_of(&first), "here it is first");
                self.mistakes.push(mistake);
                unique = false;
            }
        }
        unique.then_some(all)
    }

    fn invariant(&mut self, key: &str, table: &file::Invariant, config: &Config) -> Option<Invariant> {
        let name = match &table.name {
            Some(name) => self.invariant_name(&below(key, "name"), name),
            None => self.missing(&below(key, "name"), "name = \"no-anonymous-relay\""),
        };
        let never = match table.never {
            Some(never) => Some(self::never(never)),
            None => self.missing(&below(key, "never"), "never = \"relay\""),
        };
        let who = match &table.who {
            Some(who) => self.who(&below(key, "who"), &who.0, config),
            None => Some(Who::Anybody),
        };
        let at = match &table.at {
            Some(at) => self.at(&below(key, "at"), at, config).map(Some),
            None => Some(None),
        };
        let from = self.prefixes(key, "from", &table.from);
        let except_from = self.all(&table.except_from, &below(key, "except_from"), Self::prefix);
        let except_to = self.all(&table.except_to, &below(key, "except_to"), Self::pattern);
        if let (Some(never), Some(who)) = (never, &who) {
            self.fits(key, never, who, table)?;
        }
        Some(Invariant {
            name: name?,
            line: self.places.line_of(key).unwrap_or_default(),
            never: never?,
            who: who?,
            at: at?,
            from: from?,
            except_from: except_from?,
            except_to: except_to?,
            waived_at: Vec::new(),
        })
    }

    /// What is said must mean something for what must never be.
    fn fits(&mut self, key: &str, never: Never, who: &Who, table: &file::Invariant) -> Option<()> {
        let before_proof = matches!(never, Never::Connect | Never::AuthOffered | Never::AuthInClear);
        if before_proof && *who != Who::Anybody {
            let why = format_args!("says nothing with `never = \"{never}\"`");
            self.bad(&below(key, "who"), why, "at that time nobody has proved who it is; leave it out", None);
            return None;
        }
        if never != Never::Relay && !table.except_to.is_empty() {
            let why = format_args!("says nothing with `never = \"{never}\"`");
            self.bad(&below(key, "except_to"), why, "only relaying goes to a domain; leave it out", None);
            return None;
        }
        Some(())
    }

    fn invariant_name(&mut self, key: &str, name: &str) -> Option<Box<str>> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if !name.is_empty() && name.len() <= NAME_OCTETS && name.bytes().all(plain) {
            return Some(name.into());
        }
        let near: String = name.split_whitespace().collect::<Vec<_>>().join("-");
        let near = Some(near).filter(|near| !near.is_empty() && near.bytes().all(plain) && near != name);
        let expected =
            "expected up to 64 letters, digits, hyphens, underscores and dots: it is typed on a command line";
        self.bad(key, "is not a name for an invariant", expected, near.map(|near| format!("{near:?}")));
        None
    }

    fn who(&mut self, key: &str, text: &str, config: &Config) -> Option<Who> {
        let words = [
            ("anybody", Who::Anybody),
            ("anonymous", Who::Anonymous),
            ("accounts", Who::Accounts),
            ("peers", Who::Peers),
        ];
        if let Some((_, who)) = words.iter().find(|(word, _)| *word == text) {
            return Some(who.clone());
        }
        match text.split_once(':') {
            Some(("account", name)) if !name.is_empty() => Some(Who::Account(name.into())),
            Some(("group", name)) if !name.is_empty() => Some(Who::Group(name.into())),
            Some(("peer", name)) if config.peers.iter().any(|peer| *peer.name == *name) => Some(Who::Peer(name.into())),
            Some(("peer", name)) => {
                let near = nearest(name, config.peers.iter().map(|peer| &*peer.name));
                let near = near.map(|near| format!("\"peer:{near}\""));
                self.bad(key, "names a peer that does not exist", "expected the name of a [peer.…] table", near);
                None
            }
            _ => {
                let near = nearest(text, words.iter().map(|(word, _)| *word)).map(|near| format!("{near:?}"));
                let expected =
                    "expected anonymous, accounts, peers or anybody, or account:, group: or peer: and a name";
                self.bad(key, "does not say who", expected, near);
                None
            }
        }
    }

    fn at(&mut self, key: &str, name: &str, config: &Config) -> Option<Box<str>> {
        if config.server(name).is_some() {
            return Some(name.into());
        }
        let near = nearest(name, config.servers.iter().map(|server| &*server.name)).map(|near| format!("{near:?}"));
        self.bad(key, "names a virtual server that does not exist", "expected one of the settings file", near);
        None
    }

    /// The clients of which it is said; an empty list would be of nobody and read like everybody.
    fn prefixes(&mut self, key: &str, name: &str, list: &[NetText]) -> Option<Vec<Prefix>> {
        let key = below(key, name);
        if list.is_empty() && self.places.has(&key) && !self.is_broken(&key) {
            self.bad(&key, "is an empty list", "expected at least one network; without the key, all are meant", None);
            return None;
        }
        self.all(list, &key, Self::prefix)
    }

    fn prefix(&mut self, key: &str, text: &NetText) -> Option<Prefix> {
        let Some(net) = self.network(key, &text.0)? else {
            let expected = "expected an address, or a network such as \"10.0.0.0/8\"; names are not looked up here";
            self.bad(key, "is neither an address nor a network", expected, None);
            return None;
        };
        // The gate reads it once more, by its own means; where the two disagree, nobody can know what is meant.
        match net.to_string().parse() {
            Ok(prefix) => Some(prefix),
            Err(_) => {
                self.bad(key, "cannot be compared", "expected an address, or a network such as \"10.0.0.0/8\"", None);
                None
            }
        }
    }

    fn pattern(&mut self, key: &str, text: &PatternText) -> Option<Pattern> {
        let (star, name) = text.0.strip_prefix("*.").map_or(("", &*text.0), |name| ("*.", name));
        let domain = self.domain_text(key, name)?;
        match format!("{star}{domain}").parse() {
            Ok(pattern) => Some(pattern),
            Err(_) => {
                self.bad(key, "cannot be compared", "expected letters, digits and hyphens, with dots between", None);
                None
            }
        }
    }
}

fn never(word: file::Never) -> Never {
    match word {
        file::Never::Connect => Never::Connect,
        file::Never::Submit => Never::Submit,
        file::Never::Relay => Never::Relay,
        file::Never::AuthOffered => Never::AuthOffered,
        file::Never::AuthInClear => Never::AuthInClear,
    }
}

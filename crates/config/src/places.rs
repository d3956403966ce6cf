//! Where every key and value of the file stands, by its path.
//!
//! A path is written as an administrator would look for it: `queue.retry.first`,
//! `virtual_server.inbound.connection_control.list[2]`, `remote_domain."corp2.example".route`.

use crate::mistake::{Lines, Place};
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The path of `key` below `parent`; the parent of the outermost keys is empty.
pub(crate) fn below(parent: &str, key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let dot = if parent.is_empty() { "" } else { "." };
    if bare { format!("{parent}{dot}{key}") } else { format!("{parent}{dot}{key:?}") }
}

/// The path of the entry number `index`, from 0, of the array at `parent`.
pub(crate) fn entry(parent: &str, index: usize) -> String {
    format!("{parent}[{index}]")
}

/// Where one key stands.
#[derive(Clone, Debug)]
struct Spot {
    /// The key, or the value for an entry of an array.
    key: Range<usize>,
    value: Range<usize>,
}

/// Every key and value of a file.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    lines: Lines<'a>,
    spots: BTreeMap<String, Spot>,
}

impl<'a> Places<'a> {
    /// Walks a parsed file.
    pub(crate) fn new(text: &'a str, table: &DeTable<'_>) -> Places<'a> {
        let mut places = Places { lines: Lines::new(text), spots: BTreeMap::new() };
        places.table("", table);
        places
    }

    fn table(&mut self, path: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let path = below(path, key.get_ref());
            self.value(path, key.span(), value);
        }
    }

    fn value(&mut self, path: String, key: Range<usize>, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(table) => self.table(&path, table),
            DeValue::Array(array) => {
                for (index, item) in array.iter().enumerate() {
                    self.value(entry(&path, index), item.span(), item);
                }
            }
            _ => {}
        }
        self.spots.insert(path, Spot { key, value: value.span() });
    }

    /// Whether the file has the key.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.spots.contains_key(path)
    }

    /// Where the value stands.
    pub(crate) fn value_of(&self, path: &str) -> Option<Place> {
        self.spots.get(path).map(|spot| self.lines.place(spot.value.clone()))
    }

    /// Where the key stands.
    pub(crate) fn key_of(&self, path: &str) -> Option<Place> {
        self.spots.get(path).map(|spot| self.lines.place(spot.key.clone()))
    }

    /// The line of the key, from 1; `None` for what is not in the file.
    pub(crate) fn line_of(&self, path: &str) -> Option<u32> {
        let at = self.spots.get(path)?.key.start;
        u32::try_from(self.lines.line(at)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_a_place() {
        let text = "a = 1\n[b.\"x.y\"]\nlist = [\n  \"one\",\n  \"two\",\n]\nc.d = true\n";
        let table = DeTable::parse(text).unwrap();
        let places = Places::new(text, table.get_ref());
        let found = |path: &str| {
            let place = places.value_of(path).unwrap();
            (&text[place.span], place.line, place.column)
        };
        assert_eq!(found("a"), ("1", 1, 5));
        assert_eq!(found("b.\"x.y\".list[1]"), ("\"two\"", 5, 3));
        assert_eq!(found("b.\"x.y\".c.d"), ("true", 7, 7));
        assert_eq!(places.line_of("b.\"x.y\".list[1]"), Some(5));
        assert_eq!(places.line_of("b.\"x.y\".c"), Some(7));
        assert_eq!(places.line_of("nothing"), None);
        assert!(!places.has("b.x"));
    }
}

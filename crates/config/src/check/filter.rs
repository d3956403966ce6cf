//! What is filtered.

use super::Check;
use super::domains::Names;
use crate::file::{self, File};
use crate::mistake::Mistake;
use crate::places::{below, entry};
use policy::{Addresses, FilteredSender, FilteredSenders, OnMatch, SenderList, Term};
use std::sync::Arc;

const KEY: &str = "sender_filter";

impl Check<'_> {
    /// Whose mail is not wanted, at all virtual servers that apply the filter.
    pub(super) fn filtered_senders(&mut self, file: &File, names: Option<&Names>) -> Option<Arc<FilteredSenders>> {
        let table = &file.sender_filter;
        let list_key = below(KEY, "list");
        let null_key = below(KEY, "null_sender");
        self.filter_nobody_applies(file, &list_key, &null_key);
        let read = self.all(&table.list, &list_key, Self::filtered_sender)?;
        let rule = self.rule(&list_key);
        let entries = read.into_iter().enumerate().map(|(index, (addresses, term))| {
            let rule = self.rule(&entry(&list_key, index));
            FilteredSender { rule, addresses, term }
        });
        let entries = entries.collect();
        Some(Arc::new(FilteredSenders {
            list: SenderList::new(rule, entries, &names?.shared.aliases),
            null_sender: table.null_sender,
            null_sender_rule: self.rule(&null_key),
            on_match: match table.on_match {
                file::OnMatch::Drop => OnMatch::Drop,
                file::OnMatch::Refuse => OnMatch::Refuse,
            },
        }))
    }

    /// One entry, with its term.
    fn filtered_sender(&mut self, key: &str, entry: &file::AddressEntry) -> Option<(Addresses, Term)> {
        let (text, name) = entry.text();
        let text_key = name.map_or_else(|| key.to_owned(), |name| below(key, name));
        let addresses = match text {
            Some(text) => self.addresses(&text_key, text),
            None => self.missing(&text_key, "address = \"x@spam.example\""),
        };
        let term = self.term(key, &entry.term());
        Some((addresses?, term?))
    }

    /// Whoever has written a filter expects it to filter.
    fn filter_nobody_applies(&mut self, file: &File, list_key: &str, null_key: &str) {
        let table = &file.sender_filter;
        if file.virtual_server.values().any(|server| server.filters.sender) {
            return;
        }
        let key = match (table.list.is_empty(), table.null_sender) {
            (false, _) => list_key,
            (true, true) => null_key,
            (true, false) => return,
        };
        let mistake = Mistake::warning(key, self.places.key_of(key), "no virtual server applies the sender filter")
            .expected("filters.sender = true in the virtual servers that shall");
        self.mistakes.push(mistake);
    }
}

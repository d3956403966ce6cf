//! The simulated name service: a table, and a memory of what was asked.

use mail::{Domain, Found, Query};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// What the name service knows, and what it was asked.
#[derive(Clone, Debug, Default)]
pub struct Names {
    table: BTreeMap<Query, Found>,
    /// How long an answer takes, where it takes long.
    slow: BTreeMap<Query, Duration>,
    asked: Vec<Query>,
    /// Whoever asks these, panics.
    panics: BTreeSet<Query>,
}

impl Names {
    /// Enters one line of a transcript: `192.0.2.7 = h.partner.example` for the confirmed names of
    /// an address, `mail.example = 10.0.0.5 10.0.0.6` for the addresses of a name, `unavailable`
    /// on the right for a server that does not answer, `absent` for one that knows of none, `panic` for
    /// whoever asks to panic. `slow 2500` in front of the answer makes it take so many milliseconds.
    ///
    /// # Errors
    /// What is wrong with the line, in words.
    pub fn enter(&mut self, line: &str) -> Result<(), String> {
        let (asked, answer) = line.split_once('=').ok_or("a name or address, `=`, and the answer")?;
        let (asked, answer) = (asked.trim(), answer.trim());
        let (span, answer) = match answer.strip_prefix("slow ").and_then(|rest| rest.split_once(' ')) {
            Some((ms, answer)) => (Some(ms.parse().map_err(|_| format!("not a number: {ms}"))?), answer),
            None => (None, answer),
        };
        let domain = |text: &str| text.parse::<Domain>().map_err(|_| format!("not a domain: {text}"));
        let address = |text: &str| text.parse::<IpAddr>().map_err(|_| format!("not an address: {text}"));
        let words = answer.split_whitespace();
        let (query, found) = match asked.parse::<IpAddr>() {
            Ok(client) => {
                (Query::ConfirmedNames(client), words.map(domain).collect::<Result<_, _>>().map(Found::Names))
            }
            Err(_) => {
                (Query::Addresses(domain(asked)?), words.map(address).collect::<Result<_, _>>().map(Found::Addresses))
            }
        };
        self.panics.remove(&query);
        let found = match answer {
            "panic" => {
                self.panics.insert(query);
                return Ok(());
            }
            "unavailable" => Found::Unavailable,
            "absent" => Found::Absent,
            _ => found?,
        };
        match span {
            Some(ms) => self.slow.insert(query.clone(), Duration::from_millis(ms)),
            None => self.slow.remove(&query),
        };
        self.table.insert(query, found);
        Ok(())
    }

    /// Answers a query, and remembers that it was asked. What is not in the table does not exist.
    ///
    /// # Panics
    /// When the answer to it is `panic`.
    pub fn answer(&mut self, query: &Query) -> Found {
        self.asked.push(query.clone());
        assert!(!self.panics.contains(query), "whoever asks for {query:?} is to panic");
        self.table.get(query).cloned().unwrap_or(Found::Absent)
    }

    /// How long the answer takes.
    #[must_use]
    pub fn takes(&self, query: &Query) -> Duration {
        self.slow.get(query).copied().unwrap_or_default()
    }

    /// What was asked since this was last called, one line each, in order.
    pub fn take_asked(&mut self) -> Vec<String> {
        let line = |query: Query| match query {
            Query::ConfirmedNames(address) => format!("names of {address}"),
            Query::Addresses(domain) => format!("addresses of {domain}"),
            Query::Recipient(mailbox) => format!("recipient {mailbox}"),
        };
        self.asked.drain(..).map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_answers_and_remembers() {
        let mut names = Names::default();
        names.enter("192.0.2.7 = h.partner.example").unwrap();
        names.enter("mail.example = 10.0.0.5 10.0.0.6").unwrap();
        names.enter("lost.example = unavailable").unwrap();
        let addresses = |text: &str| Query::Addresses(text.parse().unwrap());
        let client = Query::ConfirmedNames("192.0.2.7".parse().unwrap());
        assert_eq!(names.answer(&client), Found::Names(vec!["h.partner.example".parse().unwrap()]));
        assert!(matches!(names.answer(&addresses("mail.example")), Found::Addresses(found) if found.len() == 2));
        assert_eq!(names.answer(&addresses("lost.example")), Found::Unavailable);
        assert_eq!(names.answer(&addresses("else.example")), Found::Absent);
        assert_eq!(names.take_asked()[0], "names of 192.0.2.7");
        assert!(names.take_asked().is_empty());
        assert!(names.enter("mail.example = nonsense!").is_err());
    }
}

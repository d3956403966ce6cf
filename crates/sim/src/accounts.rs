//! The directories of a simulated world: one list of accounts, whatever the settings call it.

use identity::{Finding, Inquiry, No};
use mail::{Account, Mailbox};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The accounts.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    known: BTreeMap<String, Known>,
    /// What was asked, one line each; passwords are not in it.
    asked: Vec<String>,
    unreachable: bool,
}

#[derive(Debug)]
struct Known {
    password: String,
    addresses: Vec<Mailbox>,
    groups: Vec<Box<str>>,
}

impl Known {
    fn account(&self, name: &str) -> Arc<Account> {
        let (groups, addresses) = (self.groups.clone().into(), self.addresses.clone().into());
        Arc::new(Account { name: name.into(), groups, addresses })
    }
}

impl Accounts {
    /// Reads a line: `u1 pw1 alice@corp.example group:staff`, a name, a password, the addresses that are its own and
    /// the groups it is in;
    /// or `unreachable` and `reachable`.
    ///
    /// # Errors
    /// The line is none of these.
    pub(crate) fn enter(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some(state @ ("unreachable" | "reachable")), None) => self.unreachable = state == "unreachable",
            (Some(name), Some(password)) => {
                let mut known = Known { password: password.to_owned(), addresses: Vec::new(), groups: Vec::new() };
                for word in words {
                    match word.strip_prefix("group:") {
                        Some(group) => known.groups.push(group.into()),
                        None => known.addresses.push(word.parse().map_err(|_| format!("not an address: {word}"))?),
                    }
                }
                self.known.insert(name.to_owned(), known);
            }
            _ => return Err(format!("not an account: {line}")),
        }
        Ok(())
    }

    /// Answers, and remembers that it was asked.
    pub(crate) fn answer(&mut self, inquiry: &Inquiry) -> Finding {
        if let Inquiry::Converse { octets, .. } = inquiry {
            return self.ticket(octets.expose());
        }
        let (asked, found) = match inquiry {
            Inquiry::Password { name, password } => {
                let found = self.known.get_key_value(&**name);
                let good = found.filter(|(_, known)| known.password.as_bytes() == password.expose());
                let no = if found.is_some() { No::Wrong } else { No::Unknown };
                (format!("password of {name}"), good.ok_or(no))
            }
            Inquiry::Account { name } => {
                (format!("account {name}"), self.known.get_key_value(&**name).ok_or(No::Unknown))
            }
            Inquiry::Recipient { mailbox } => {
                let mut all = self.known.iter();
                let found = all.find(|(_, known)| known.addresses.contains(mailbox));
                (format!("recipient {mailbox}"), found.ok_or(No::Unknown))
            }
            // Nothing else is asked where there are only passwords.
            _ => ("something else".to_owned(), Err(No::NoSecret)),
        };
        self.asked.push(asked);
        match found {
            _ if self.unreachable => Finding::Unavailable,
            Ok((name, known)) => Finding::Account(known.account(name)),
            Err(no) => Finding::No(no),
        }
    }

    /// Tickets are good here, and nothing but the principal they are for: `alice@REALM`. It is the account
    /// `alice`, or none if there is none.
    fn ticket(&mut self, octets: &[u8]) -> Finding {
        let Ok(principal) = str::from_utf8(octets) else { return Finding::No(No::Wrong) };
        self.asked.push(format!("ticket of {principal}"));
        if self.unreachable {
            return Finding::Unavailable;
        }
        let name = principal.split_once('@').map_or(principal, |(name, _)| name);
        let account = self.known.get(name).map(|known| known.account(name));
        Finding::Principal(principal.into(), account)
    }

    /// What was asked since this was last called, one line each, in order.
    pub(crate) fn take_asked(&mut self) -> Vec<String> {
        std::mem::take(&mut self.asked)
    }
}

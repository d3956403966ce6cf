//! A session as a command line: what stands behind a line of a report can be pasted and looked at step by step.

use crate::clients::{ClientClass, Names};
use crate::table::{Cell, Link};
use mail::{Account, Identity, Mailbox, ReversePath};
use std::fmt::{self, Write};

/// The arguments of `bridgehead explain` that describe a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Witness(Vec<String>);

impl Witness {
    /// A session of this cell.
    pub(crate) fn of(cell: &Cell<'_>) -> Witness {
        let Witness(mut words) = Witness::arrival(cell.server, cell.client, cell.link);
        match &cell.identity.identity {
            Identity::Anonymous => {}
            Identity::Account(account) => words.extend(account_words(account)),
            Identity::Peer(name) => words.extend(["--peer".to_owned(), name.to_string()]),
        }
        if let ReversePath::Mailbox(mailbox) = cell.reverse_path {
            words.extend(["--mail-from".to_owned(), mailbox.to_string()]);
        }
        words.extend(["--rcpt".to_owned(), cell.recipient.recipient.to_string()]);
        Witness(words)
    }

    /// A session of this cell, but with this sender.
    pub(crate) fn of_sender(cell: &Cell<'_>, sender: &Mailbox) -> Witness {
        let reverse_path = ReversePath::Mailbox(sender.clone());
        Witness::of(&Cell { reverse_path: &reverse_path, ..*cell })
    }

    /// The beginning of a session.
    pub(crate) fn arrival(server: &str, client: &ClientClass, link: Link) -> Witness {
        let mut words = vec!["--server".to_owned(), server.to_owned()];
        words.extend(["--client".to_owned(), client.representative.to_string()]);
        match &client.names {
            Names::Any | Names::Unavailable => {}
            Names::Unlisted => words.push("--no-client-name".to_owned()),
            Names::Confirmed { example, .. } => {
                words.extend(example.iter().flat_map(|name| ["--client-name".to_owned(), name.to_string()]));
            }
        }
        if link == Link::Tls {
            words.push("--tls".to_owned());
        }
        Witness(words)
    }

    /// The arguments.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        &self.0
    }

    /// The whole command line, for the settings in this file.
    #[must_use]
    pub fn command(&self, file: &str) -> String {
        format!("bridgehead explain --config {} {self}", quoted(file))
    }
}

fn account_words(account: &Account) -> Vec<String> {
    let mut words = vec!["--account".to_owned(), account.name.to_string()];
    words.extend(account.groups.iter().flat_map(|group| ["--group".to_owned(), group.to_string()]));
    words.extend(account.addresses.iter().flat_map(|own| ["--address".to_owned(), own.to_string()]));
    words
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_char(' ')?;
            }
            f.write_str(&quoted(word))?;
        }
        Ok(())
    }
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@+,=%".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

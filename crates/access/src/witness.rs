//! A session as a command line: what stands behind a line of a report can be pasted and looked at step by step.
//!
//! Everything that an answer depends on is on it: what look-ups find, what directories say, and the day, where it
//! matters. So it shows the same wherever it is typed, and whatever the directories know there.

use crate::clients::{ClientClass, Names};
use crate::recipients::RecipientClass;
use crate::table::{Cell, Link};
use mail::{Account, Day, Found, Identity, Mailbox, ReversePath, Timestamp};
use policy::AddressPlace;
use std::fmt::{self, Write};
use std::net::IpAddr;

/// A session, as `bridgehead explain` is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The virtual server.
    pub server: Box<str>,
    /// The client's address.
    pub client: IpAddr,
    /// What a look-up of its names would find.
    pub names: Names,
    /// The link.
    pub link: Link,
    /// The mechanism that it asks for.
    pub mechanism: Option<Box<str>>,
    /// Whom it has proved to be.
    pub identity: Identity,
    /// The reverse-path.
    pub reverse_path: ReversePath,
    /// The recipient.
    pub recipient: Option<Mailbox>,
    /// What directories say of the recipient, where they are asked.
    pub found: Option<Found>,
    /// An address in the header of the message, and where it stands.
    pub header: Option<(AddressPlace, Mailbox)>,
    /// The day, where it matters.
    pub day: Option<Day>,
}

impl Witness {
    /// A session of this cell.
    pub(crate) fn of(cell: &Cell<'_>) -> Witness {
        let session = Witness::arrival(cell.server, cell.client, cell.link);
        session.by(&cell.identity.identity).from(cell.reverse_path).to(cell.recipient)
    }

    /// The beginning of a session.
    pub(crate) fn arrival(server: &str, client: &ClientClass, link: Link) -> Witness {
        Witness {
            server: server.into(),
            client: client.representative,
            names: client.names.clone(),
            link,
            mechanism: None,
            identity: Identity::Anonymous,
            reverse_path: ReversePath::Null,
            recipient: None,
            found: None,
            header: None,
            day: None,
        }
    }

    /// The same of somebody who has proved to be this.
    pub(crate) fn by(self, identity: &Identity) -> Witness {
        Witness { identity: identity.clone(), ..self }
    }

    /// The same with this reverse-path.
    pub(crate) fn from(self, reverse_path: &ReversePath) -> Witness {
        Witness { reverse_path: reverse_path.clone(), ..self }
    }

    /// The same with a recipient of this class.
    pub(crate) fn to(self, class: &RecipientClass) -> Witness {
        let found = class.asked.then(|| class.found.clone());
        Witness { recipient: Some(class.recipient.clone()), found, ..self }
    }

    /// The same with this address in the header of the message.
    pub(crate) fn saying(self, place: AddressPlace, author: &Mailbox) -> Witness {
        Witness { header: Some((place, author.clone())), ..self }
    }

    /// The same of somebody who asks for this mechanism.
    pub(crate) fn asking_for(self, mechanism: &str) -> Witness {
        Witness { mechanism: Some(mechanism.into()), ..self }
    }

    /// The same on the day of this moment.
    pub(crate) fn on_day_of(self, moment: Timestamp) -> Witness {
        let day = moment.to_string().get(.."2026-11-21".len()).and_then(|day| day.parse().ok());
        Witness { day, ..self }
    }

    /// The arguments of `bridgehead explain` that describe it.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut words = Words(Vec::new());
        words.option("--server", &self.server);
        words.option("--client", self.client);
        words.names(&self.names);
        if self.link == Link::Tls {
            words.flag("--tls");
        }
        self.mechanism.iter().for_each(|mechanism| words.option("--mechanism", mechanism));
        match &self.identity {
            Identity::Anonymous => {}
            Identity::Account(account) => words.account(account),
            Identity::Peer(name) => words.option("--peer", name),
        }
        if let ReversePath::Mailbox(mailbox) = &self.reverse_path {
            words.option("--mail-from", mailbox);
        }
        self.recipient.iter().for_each(|recipient| words.option("--rcpt", recipient));
        self.found.iter().for_each(|found| words.option("--rcpt-is", said(found)));
        self.header.iter().for_each(|(place, author)| words.option(field(*place), author));
        self.day.iter().for_each(|day| words.option("--at", day));
        words.0
    }

    /// The whole command line, for the settings in this file.
    #[must_use]
    pub fn command(&self, file: &str) -> String {
        format!("bridgehead explain --config {} {self}", quoted(file))
    }
}

/// Arguments.
struct Words(Vec<String>);

impl Words {
    fn flag(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    fn option(&mut self, name: &str, value: impl fmt::Display) {
        match value.to_string() {
            // It would be read as another option.
            value if value.starts_with('-') => self.0.push(format!("{name}={value}")),
            value => self.0.extend([name.to_owned(), value]),
        }
    }

    fn names(&mut self, names: &Names) {
        match names {
            Names::Any => {}
            Names::Unlisted => self.flag("--no-client-name"),
            Names::Unavailable => self.flag("--client-name-unclear"),
            Names::Confirmed { example, .. } => example.iter().for_each(|name| self.option("--client-name", name)),
        }
    }

    fn account(&mut self, account: &Account) {
        self.option("--account", &account.name);
        account.groups.iter().for_each(|group| self.option("--group", group));
        account.addresses.iter().for_each(|own| self.option("--address", own));
    }
}

/// What directories say of a recipient, in a word.
fn said(found: &Found) -> &'static str {
    match found {
        Found::Exists => "known",
        Found::Absent => "unknown",
        Found::Names(_) | Found::Addresses(_) | Found::Unavailable => "unclear",
    }
}

/// The option for an address in a field.
fn field(place: AddressPlace) -> &'static str {
    match place {
        AddressPlace::Envelope => "--mail-from",
        AddressPlace::From => "--header-from",
        AddressPlace::Sender => "--header-sender",
        AddressPlace::ResentFrom => "--header-resent-from",
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.arguments().iter().enumerate() {
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

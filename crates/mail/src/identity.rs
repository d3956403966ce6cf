//! Who a client has proved to be.

use crate::address::Mailbox;
use std::sync::Arc;

/// The answer to "who is this?". Not having proved anything is an answer too.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Identity {
    /// Nobody in particular: no successful authentication on this session.
    #[default]
    Anonymous,
    /// An account of a directory.
    Account(Arc<Account>),
    /// A server of the organization (reference 5), by its name in the settings.
    Peer(Box<str>),
}

/// What a directory says about an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its canonical name, however the client spelt it.
    pub name: Box<str>,
    /// The groups it belongs to, directly or through others.
    pub groups: Box<[Box<str>]>,
    /// The addresses that are its own.
    pub addresses: Box<[Mailbox]>,
}

impl Account {
    /// An account of which nothing but the name is known.
    #[must_use]
    pub fn named(name: &str) -> Account {
        Account { name: name.into(), groups: Box::new([]), addresses: Box::new([]) }
    }
}

impl Identity {
    /// An account of which nothing but the name is known.
    #[must_use]
    pub fn account(name: &str) -> Identity {
        Identity::Account(Arc::new(Account::named(name)))
    }

    /// Whether the client has authenticated.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        !matches!(self, Identity::Anonymous)
    }

    /// The name of the account or peer; `None` for a client that is neither.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Identity::Anonymous => None,
            Identity::Account(account) => Some(&account.name),
            Identity::Peer(name) => Some(name),
        }
    }
}

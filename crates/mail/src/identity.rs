//! Who a client has proved to be.

/// The answer to "who is this?". Not having proved anything is an answer too.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Identity {
    /// Nobody in particular: no successful authentication on this session.
    #[default]
    Anonymous,
    /// An account of a directory, by its canonical name.
    Account(Box<str>),
}

impl Identity {
    /// Whether the client has authenticated.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        !matches!(self, Identity::Anonymous)
    }
}

//! What a session comes to, and at which step of it.

use policy::{Grant, Refusal};

/// Why something is refused: a [`Refusal`] without whom it is about, and what is refused before policy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// The client is on the list of those that may not connect.
    ConnectionListed,
    /// The client is not on the list of those that may.
    ConnectionNotListed,
    /// There are too many sessions.
    TooMany,
    /// It must begin TLS first.
    TlsRequired,
    /// It would have to authenticate.
    NotAuthenticated,
    /// It may not submit.
    MayNotSubmit,
    /// The sender filter has its reverse-path.
    SenderFiltered,
    /// The address is not its own.
    NotOwner,
    /// Nothing lets it relay.
    RelayDenied,
    /// The local part could be read as another address.
    RoutedLocalPart,
    /// The recipient is at an address literal.
    AddressLiteral,
    /// Nobody is called that.
    UserUnknown,
    /// The message goes in circles.
    HopCount,
    /// It could not be found out, later.
    CouldNotFindOut,
}

impl Why {
    /// The same without whom it is about.
    #[must_use]
    pub fn of(refusal: &Refusal) -> Why {
        match refusal {
            Refusal::ConnectionListed => Why::ConnectionListed,
            Refusal::ConnectionNotListed => Why::ConnectionNotListed,
            Refusal::TooManyConnections | Refusal::TooManyFromAddress | Refusal::TooManyFromNetwork => Why::TooMany,
            Refusal::NotAuthenticated { .. } => Why::NotAuthenticated,
            Refusal::MayNotSubmit => Why::MayNotSubmit,
            Refusal::SenderFiltered { .. } => Why::SenderFiltered,
            Refusal::NotOwner => Why::NotOwner,
            Refusal::RelayDenied { .. } => Why::RelayDenied,
            Refusal::RoutedLocalPart { .. } => Why::RoutedLocalPart,
            Refusal::AddressLiteral { .. } => Why::AddressLiteral,
            Refusal::UserUnknown => Why::UserUnknown,
            Refusal::HopCount => Why::HopCount,
            Refusal::CouldNotFindOut => Why::CouldNotFindOut,
        }
    }
}

/// What a session comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Refused, for good.
    Refused(Why),
    /// Refused for now: the same may be granted when more is known.
    Later(Why),
    /// The recipient is inside, and the mail is taken.
    Submitted {
        /// It is marked: the reverse-path is not its sender's own.
        marked: bool,
    },
    /// The recipient is outside, and the mail is taken.
    Relayed {
        /// What allows it.
        by: Grant,
        /// As above.
        marked: bool,
    },
}

impl Verdict {
    pub(crate) fn refused(refusal: &Refusal) -> Verdict {
        let why = Why::of(refusal);
        if refusal.is_later() { Verdict::Later(why) } else { Verdict::Refused(why) }
    }

    /// Whether the mail is taken.
    #[must_use]
    pub fn is_taken(self) -> bool {
        matches!(self, Verdict::Submitted { .. } | Verdict::Relayed { .. })
    }

    /// Whether the mail is taken for a recipient outside.
    #[must_use]
    pub fn is_relayed(self) -> bool {
        matches!(self, Verdict::Relayed { .. })
    }

    /// Whether the mail is taken and marked.
    #[must_use]
    pub fn marked(self) -> bool {
        matches!(self, Verdict::Submitted { marked: true } | Verdict::Relayed { marked: true, .. })
    }
}

/// The step of a session that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asked {
    /// Connecting.
    Connection,
    /// STARTTLS, which the virtual server insists on.
    Link,
    /// MAIL.
    Sender,
    /// RCPT.
    Recipient,
}

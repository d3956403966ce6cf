//! What comes out of a question: a verdict and the trace of every rule that was tried.
//!
//! "Could not find out" is a finding of its own, never a no; a verdict that rests on it is the one
//! refusal that says "later". The last step of a refusal is the rule responsible for it.

use crate::rule_book::RuleId;
use mail::{Mailbox, Query};
use smallvec::SmallVec;
use std::fmt;

/// A verdict, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<V> {
    /// What was granted, or why nothing was.
    pub verdict: Result<V, Refusal>,
    /// Every rule tried, in order, also those that did not match.
    pub trace: Trace,
}

impl<V> Decision<V> {
    pub(crate) fn granted(verdict: V, trace: Trace) -> Decision<V> {
        Decision { verdict: Ok(verdict), trace }
    }

    pub(crate) fn refused(refusal: Refusal, trace: Trace) -> Decision<V> {
        Decision { verdict: Err(refusal), trace }
    }

    /// The rule responsible for a refusal; `None` for a grant.
    #[must_use]
    pub fn responsible(&self) -> Option<RuleId> {
        match self.verdict {
            Ok(_) => None,
            Err(_) => self.trace.steps().last().map(|step| step.rule),
        }
    }
}

/// The question cannot be judged before this look-up is in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(pub Query);

/// What trying one rule showed. A permission that is not given, such as `relay.authenticated = false`,
/// does not match; a switch that speaks about the client either way, such as
/// `authentication.anonymous` about one that has not authenticated, matches and decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    /// What the rule speaks about is the case here.
    Matched,
    /// It is not the case here.
    NoMatch,
    /// Whether it is the case could not be found out.
    Unavailable,
    /// It would be the case, but the rule had an end, and that is past.
    Expired,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Finding::Matched => "match",
            Finding::NoMatch => "no match",
            Finding::Unavailable => "could not find out",
            Finding::Expired => "expired",
        })
    }
}

/// One rule tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step {
    /// The rule.
    pub rule: RuleId,
    /// What trying it showed.
    pub finding: Finding,
}

/// The rules tried for one question, in order. The usual trace needs no allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace(SmallVec<[Step; 8]>);

impl Trace {
    pub(crate) fn new() -> Trace {
        Trace::default()
    }

    pub(crate) fn matched(&mut self, rule: RuleId) {
        self.0.push(Step { rule, finding: Finding::Matched });
    }

    pub(crate) fn no_match(&mut self, rule: RuleId) {
        self.0.push(Step { rule, finding: Finding::NoMatch });
    }

    pub(crate) fn unavailable(&mut self, rule: RuleId) {
        self.0.push(Step { rule, finding: Finding::Unavailable });
    }

    pub(crate) fn expired(&mut self, rule: RuleId) {
        self.0.push(Step { rule, finding: Finding::Expired });
    }

    /// Several steps at once.
    pub(crate) fn all(&mut self, steps: &[Step]) {
        self.0.extend_from_slice(steps);
    }

    /// The steps, in the order in which the rules were tried.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }
}

/// Why something was refused. Closed: `gateway` gives each its reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The client is on the list of those that may not connect (all except the list).
    ConnectionListed,
    /// The client is not on the list of those that may connect (only the list).
    ConnectionNotListed,
    /// The virtual server has as many sessions as it may have.
    TooManyConnections,
    /// The client's address has as many sessions as it may have.
    TooManyFromAddress,
    /// Its network has as many sessions as it may have.
    TooManyFromNetwork,
    /// The client has not authenticated and would have to.
    NotAuthenticated {
        /// The session ends with this reply: connection control would not have let the client in
        /// unauthenticated (SmtpIpRestrictionFlag = 1, reference 4). Otherwise it may still authenticate.
        close: bool,
    },
    /// The client has proved who it is, and may not send mail here (reference 9.2, NOSUBMIT).
    MayNotSubmit,
    /// The sender filter has the reverse-path.
    SenderFiltered {
        /// The session ends with this reply.
        close: bool,
    },
    /// The mail uses an address that is not its sender's own.
    NotOwner,
    /// The recipient is outside the organization, and nothing lets this client relay to it.
    RelayDenied {
        /// As the client gave it.
        recipient: Mailbox,
    },
    /// The local part has a `%`, `!` or `@`, and nobody here is called that.
    RoutedLocalPart {
        /// As the client gave it.
        recipient: Mailbox,
    },
    /// The recipient is at an address literal.
    AddressLiteral {
        /// As the client gave it.
        recipient: Mailbox,
    },
    /// The domain is ours, and nobody there is called that.
    UserUnknown,
    /// The message has been through more servers than a message without a loop.
    HopCount,
    /// The verdict rests on a look-up that did not succeed.
    CouldNotFindOut,
}

impl Refusal {
    /// Whether the same may be granted later, without anybody changing a rule: the reply is a 4yz.
    #[must_use]
    pub fn is_later(&self) -> bool {
        match self {
            Refusal::TooManyConnections
            | Refusal::TooManyFromAddress
            | Refusal::TooManyFromNetwork
            | Refusal::CouldNotFindOut => true,
            Refusal::ConnectionListed
            | Refusal::ConnectionNotListed
            | Refusal::NotAuthenticated { .. }
            | Refusal::MayNotSubmit
            | Refusal::SenderFiltered { .. }
            | Refusal::NotOwner
            | Refusal::RelayDenied { .. }
            | Refusal::RoutedLocalPart { .. }
            | Refusal::AddressLiteral { .. }
            | Refusal::UserUnknown
            | Refusal::HopCount => false,
        }
    }
}

impl fmt::Display for Refusal {
    /// In words, for a person who reads a trace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::ConnectionListed => f.write_str("connection refused: the client is listed"),
            Refusal::ConnectionNotListed => f.write_str("connection refused: the client is not listed"),
            Refusal::TooManyConnections => f.write_str("too many connections to this virtual server"),
            Refusal::TooManyFromAddress => f.write_str("too many connections from this address"),
            Refusal::TooManyFromNetwork => f.write_str("too many connections from this network"),
            Refusal::NotAuthenticated { close: false } => f.write_str("not authenticated"),
            Refusal::NotAuthenticated { close: true } => f.write_str("not authenticated, session ends"),
            Refusal::MayNotSubmit => f.write_str("may not submit"),
            Refusal::SenderFiltered { close: false } => f.write_str("sender filtered"),
            Refusal::SenderFiltered { close: true } => f.write_str("sender filtered, session ends"),
            Refusal::NotOwner => f.write_str("may not send as this sender"),
            Refusal::RelayDenied { recipient } => write!(f, "relay denied for {recipient}"),
            Refusal::RoutedLocalPart { recipient } => write!(f, "routed local part in {recipient}"),
            Refusal::AddressLiteral { recipient } => write!(f, "address literal in {recipient}"),
            Refusal::UserUnknown => f.write_str("user unknown"),
            Refusal::HopCount => f.write_str("hop count exceeded"),
            Refusal::CouldNotFindOut => f.write_str("could not find out, later"),
        }
    }
}

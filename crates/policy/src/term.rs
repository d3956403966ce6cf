//! An exception with an end: who answers for an entry of a list or a grant, why it is there, and when it ends.

use mail::Timestamp;

/// What is said about an entry or a grant beside what it grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Term {
    /// Who answers for it.
    pub owner: Option<Box<str>>,
    /// Why it is there.
    pub reason: Option<Box<str>>,
    /// The first moment at which it does not hold any more; `None`: it has no end.
    pub expires: Option<Timestamp>,
}

impl Term {
    /// Whether it holds no longer.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| now >= end)
    }
}

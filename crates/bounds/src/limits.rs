//! How much is how much.

use crate::{Subject, User};
use std::time::Duration;

/// What the counts are held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// For each account that is in no group with limits of its own.
    pub accounts: Limits,
    /// For each member of a group, by its name in lower case, instead of those of accounts. Whoever is in several
    /// has the widest of them.
    pub groups: Vec<(Box<str>, Limits)>,
    /// For each client that may send because of its address.
    pub devices: Limits,
    /// From how many hundredths of a limit on answers come slowly.
    pub slow_percent: u32,
    /// Beyond how many hundredths of it a sender is suspended.
    pub suspend_percent: u32,
    /// How long an answer waits.
    pub delay: Duration,
    /// How many hundredths of the recipients of an hour may be refused.
    pub refused_percent: u32,
    /// So many must have been before that counts.
    pub refused_at_least: u32,
    /// How those are watched that relay because of their address.
    pub grants: Grants,
    /// Accounts and devices that are remembered.
    pub remembered: usize,
}

/// How much somebody may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// In an hour.
    pub hour: Amounts,
    /// In a day.
    pub day: Amounts,
}

/// How much somebody may send in a span of time; `None`: as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Messages.
    pub messages: Option<u32>,
    /// Recipients of all messages together.
    pub recipients: Option<u32>,
    /// Different ones among them.
    pub distinct: Option<u32>,
}

/// What is suspicious about one address that relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grants {
    /// More names of HELO and EHLO than this in an hour.
    pub hello_names: Option<u32>,
    /// More domains of senders than this in an hour.
    pub sender_domains: Option<u32>,
    /// Whether it may relay no longer then.
    pub suspend: bool,
}

impl Settings {
    /// The limits that somebody has.
    pub(crate) fn of(&self, user: User<'_>) -> Limits {
        if let Subject::Device(_) = user.subject {
            return self.devices;
        }
        let is_in = |name: &str| user.groups.iter().any(|group| group.to_lowercase() == *name);
        let of_groups = self.groups.iter().filter(|(name, _)| is_in(name)).map(|(_, limits)| *limits);
        of_groups.reduce(Limits::widest).unwrap_or(self.accounts)
    }

    /// How many digests are to be kept of somebody with these limits: beyond that it is suspended anyway.
    pub(crate) fn digests_of(&self, limits: &Limits) -> usize {
        let most = limits.day.distinct.max(limits.hour.distinct).unwrap_or(0);
        let most = u64::from(most) * u64::from(self.suspend_percent) / 100 + 1;
        usize::try_from(most).unwrap_or(usize::MAX).min(crate::DIGESTS / 4)
    }
}

impl Limits {
    /// Whether there is none.
    pub(crate) fn is_none(&self) -> bool {
        *self == Limits::default()
    }

    /// Of each limit the higher one.
    fn widest(self, other: Limits) -> Limits {
        Limits { hour: self.hour.widest(other.hour), day: self.day.widest(other.day) }
    }
}

impl Amounts {
    fn widest(self, other: Amounts) -> Amounts {
        Amounts {
            messages: widest(self.messages, other.messages),
            recipients: widest(self.recipients, other.recipients),
            distinct: widest(self.distinct, other.distinct),
        }
    }
}

/// No limit is higher than any.
fn widest(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    one.zip(other).map(|(one, other)| one.max(other))
}

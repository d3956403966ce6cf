//! Retry settings: how long to wait between attempts, when to tell the sender, when to give up.
//!
//! The intervals are counted from the attempt before (reference 1.4). Everything is a plain
//! function of the numbers it is given.

use mail::Timestamp;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// The retry settings of one destination (reference 1.4, Delivery tab).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Between the first attempt and the second.
    pub first: Duration,
    /// Between the second attempt and the third.
    pub second: Duration,
    /// Between the third attempt and the fourth.
    pub third: Duration,
    /// Between all later attempts.
    pub subsequent: Duration,
    /// The age at which the sender is told, once, that a message is late.
    pub delay_notification: Duration,
    /// The age at which a message is given up and its sender told.
    pub expiration: Duration,
}

impl Default for Retry {
    /// 15, 30, 60 and 240 minutes; told after 12 hours, given up after 2 days.
    fn default() -> Retry {
        Retry {
            first: 15 * MINUTE,
            second: 30 * MINUTE,
            third: 60 * MINUTE,
            subsequent: 240 * MINUTE,
            delay_notification: 12 * 60 * MINUTE,
            expiration: 48 * 60 * MINUTE,
        }
    }
}

impl Retry {
    /// How long to wait after the attempt that was number `attempts`, counted from one. Zero counts
    /// as one: nothing is ever tried again at once.
    #[must_use]
    pub fn interval(&self, attempts: u32) -> Duration {
        match attempts {
            0 | 1 => self.first,
            2 => self.second,
            3 => self.third,
            _ => self.subsequent,
        }
    }

    /// The longest of all intervals.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.first.max(self.second).max(self.third).max(self.subsequent)
    }

    /// When to try again after `attempts` attempts, the last of which ended at `now`.
    #[must_use]
    pub fn next_attempt(&self, attempts: u32, now: Timestamp) -> Timestamp {
        now.after(self.interval(attempts))
    }

    /// When the sender of a message is to be told that it is late.
    #[must_use]
    pub fn late_at(&self, received: Timestamp) -> Timestamp {
        received.after(self.delay_notification)
    }

    /// When a message is to be given up.
    #[must_use]
    pub fn expires_at(&self, received: Timestamp) -> Timestamp {
        received.after(self.expiration)
    }

    /// Whether it is time to tell the sender of a message that it is late.
    #[must_use]
    pub fn is_late(&self, received: Timestamp, now: Timestamp) -> bool {
        now >= self.late_at(received)
    }

    /// Whether it is time to give a message up.
    #[must_use]
    pub fn is_expired(&self, received: Timestamp, now: Timestamp) -> bool {
        now >= self.expires_at(received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn minutes(n: u64) -> Timestamp {
        Timestamp::from_millis(n * 60_000)
    }

    #[test]
    fn f07_intervals_follow_the_count_of_attempts() {
        let retry = Retry::default();
        for (attempts, wait) in [(0, 15), (1, 15), (2, 30), (3, 60), (4, 240), (5, 240), (u32::MAX, 240)] {
            assert_eq!(retry.next_attempt(attempts, minutes(1000)), minutes(1000 + wait), "{attempts} attempts");
        }
    }

    #[test]
    fn f07_told_at_twelve_hours_and_given_up_at_two_days() {
        let retry = Retry::default();
        let received = minutes(10);
        for (at, late, expired) in [
            (0, false, false),
            (10 + 12 * 60 - 1, false, false),
            (10 + 12 * 60, true, false),
            (10 + 48 * 60 - 1, true, false),
            (10 + 48 * 60, true, true),
            (u64::MAX / 60_000, true, true),
        ] {
            assert_eq!(retry.is_late(received, minutes(at)), late, "minute {at}");
            assert_eq!(retry.is_expired(received, minutes(at)), expired, "minute {at}");
        }
    }
}

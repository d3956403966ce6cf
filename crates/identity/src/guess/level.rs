//! A count that goes down by itself.

use mail::Timestamp;
use std::time::Duration;

/// Thousandths of one thing that is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Points(pub(super) u32);

impl Points {
    pub(super) const NONE: Points = Points(0);
    pub(super) const THIRD: Points = Points(333);
    pub(super) const ONE: Points = Points(1000);
    /// More is not counted: nothing is worse, and everything is forgotten some day.
    const MOST: Points = Points(1_000_000);

    /// How many are forgotten in a time.
    pub(super) fn forgotten(time: Duration, forget: Duration) -> Points {
        let points = time.as_millis() * 1000 / forget.as_millis().max(1);
        Points(u32::try_from(points).unwrap_or(u32::MAX).min(Points::MOST.0))
    }

    pub(super) fn plus(self, more: Points) -> Points {
        Points(self.0.saturating_add(more.0).min(Points::MOST.0))
    }

    pub(super) fn half(self) -> Points {
        Points(self.0 / 2)
    }

    /// To the nearest: a moment later it is still as many.
    pub(super) fn whole(self) -> u32 {
        (self.0 + 500) / 1000
    }
}

/// The count, and when it was that high.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) points: Points,
    pub(super) at: Timestamp,
}

impl Level {
    pub(super) fn new(at: Timestamp) -> Level {
        Level { points: Points::NONE, at }
    }

    /// How high it is now.
    pub(super) fn points(&self, now: Timestamp, forget: Duration) -> Points {
        Points(self.points.0.saturating_sub(Points::forgotten(now.since(self.at), forget).0))
    }

    pub(super) fn add(&mut self, now: Timestamp, forget: Duration, more: Points) {
        let points = self.points(now, forget);
        *self = Level { points: points.plus(more), at: now };
    }

    pub(super) fn take(&mut self, now: Timestamp, forget: Duration, less: Points) {
        let points = self.points(now, forget);
        *self = Level { points: Points(points.0.saturating_sub(less.0)), at: now };
    }
}

/// A refusal, the last or the one that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) from: Timestamp,
    pub(super) lasts: Duration,
}

impl Refusal {
    /// When it ends, if it lasts.
    pub(super) fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.from.after(self.lasts);
        (now < until).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(minutes: u64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + minutes * 60_000)
    }

    #[test]
    fn one_is_forgotten_in_the_time_for_one() {
        let mut level = Level::new(at(0));
        for _ in 0..3 {
            level.add(at(0), 10 * MINUTE, Points::ONE);
        }
        assert_eq!(level.points(at(10), 10 * MINUTE), Points(2000));
        assert_eq!(level.points(at(25), 10 * MINUTE), Points(500));
        assert_eq!(level.points(at(1_000_000), 10 * MINUTE), Points::NONE);
        // Looking often does not make it slower.
        for minute in 0..30 {
            level.add(at(minute), 10 * MINUTE, Points::NONE);
        }
        assert!(level.points(at(30), 10 * MINUTE) <= Points(1));
    }
}

//! The clock of the schedule: it begins as the wall clock does at the start, and never jumps.
//!
//! Somebody who sets the clock of the host must not make all mail expire at once, or wait for the hour
//! that has gone. So retries and ages are counted by this clock, and the wall clock is for what is
//! shown and for what outlives the process: the spool, and views for administrators. At the border
//! each moment is translated by what the wall clock shows then.

use super::Dispatcher;
use crate::world::World;
use mail::Timestamp;
use queue::MessageId;
use tokio::time::Instant;

/// The clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steady {
    began: Timestamp,
    origin: Instant,
}

impl Steady {
    /// A clock that shows now what the wall clock shows.
    pub(super) fn new(wall: Timestamp) -> Steady {
        Steady { began: wall, origin: Instant::now() }
    }

    /// What it shows.
    pub(super) fn now(self) -> Timestamp {
        self.began.after(self.origin.elapsed())
    }

    /// A moment of the wall clock, which shows `wall` now, by this clock.
    pub(super) fn of_wall(self, at: Timestamp, wall: Timestamp) -> Timestamp {
        moved(at, wall, self.now())
    }

    /// A moment of this clock by the wall clock, which shows `wall` now.
    pub(super) fn to_wall(self, at: Timestamp, wall: Timestamp) -> Timestamp {
        moved(at, self.now(), wall)
    }
}

impl<W: World> Dispatcher<W> {
    /// When a message was received, by the clock of the schedule; what was written down by a clock that
    /// was ahead is not in the future.
    pub(super) fn since(&self, id: MessageId) -> Timestamp {
        let scheduled = self.schedule.items_of(id).map(|item| item.received).min();
        let now = self.clock.now();
        let written = || self.messages.get(&id).map(|message| message.brief.received());
        let wall = self.gateway.world.now();
        scheduled.or_else(|| Some(self.clock.of_wall(written()?, wall).min(now))).unwrap_or(now)
    }

    /// A moment of the schedule by the wall clock, as others want it.
    pub(super) fn shown(&self, at: Timestamp) -> Timestamp {
        self.clock.to_wall(at, self.gateway.world.now())
    }
}

/// As far from `to` as `at` is from `from`.
fn moved(at: Timestamp, from: Timestamp, to: Timestamp) -> Timestamp {
    let (at, from, to) = (at.millis(), from.millis(), to.millis());
    Timestamp::from_millis(if at < from { to.saturating_sub(from - at) } else { to.saturating_add(at - from) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_keep_their_distance_from_now() {
        let at = Timestamp::from_millis;
        assert_eq!(moved(at(90), at(100), at(1000)), at(990));
        assert_eq!(moved(at(130), at(100), at(1000)), at(1030));
        assert_eq!(moved(at(0), at(100), at(50)), at(0));
    }
}

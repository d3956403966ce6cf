//! The clock of the schedule: it only goes forward, and at the pace of time.
//!
//! A wall clock can be set. If the schedule followed it, an hour back would put every retry off by an
//! hour, and a year forward would give up everything that is queued without another attempt. So the
//! schedule has a clock of its own, which starts where the wall clock stood when we started and runs
//! by the timer of the runtime. The wall clock is what is shown and what is recorded.

use mail::Timestamp;
use tokio::time::Instant;

/// The clock of one run of the dispatcher.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: Timestamp,
    started: Instant,
}

impl Clock {
    /// A clock that shows `wall` now.
    pub(super) fn start(wall: Timestamp) -> Clock {
        Clock { origin: wall, started: Instant::now() }
    }

    /// What it shows now.
    pub(super) fn now(&self) -> Timestamp {
        self.origin.after(self.started.elapsed())
    }

    /// What the wall clock, which shows `wall` now, is going to show at this moment of the schedule.
    pub(super) fn on_the_wall(&self, at: Timestamp, wall: Timestamp) -> Timestamp {
        let now = self.now();
        let ago = now.millis().saturating_sub(at.millis());
        Timestamp::from_millis(wall.millis().saturating_sub(ago)).after(at.since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_whatever_the_wall_shows() {
        let wall = Timestamp::from_millis(1_793_620_800_000);
        let clock = Clock::start(wall);
        tokio::time::advance(HOUR).await;
        assert_eq!(clock.now(), wall.after(HOUR));
        // The wall clock has been set back by two hours meanwhile.
        let set = Timestamp::from_millis(wall.millis() - 3_600_000);
        assert_eq!(clock.on_the_wall(wall.after(2 * HOUR), set), set.after(HOUR));
        assert_eq!(clock.on_the_wall(wall, set), Timestamp::from_millis(set.millis() - 3_600_000));
        assert_eq!(clock.on_the_wall(clock.now(), set), set);
    }
}

//! A timer that is asked often and fires seldom.

use std::pin::Pin;
use tokio::time::{Instant, Sleep, sleep_until};

/// Waits until a deadline that may be a different one each time.
///
/// It is re-armed only when a deadline comes nearer, or when it fires too early: whoever waits for a
/// peer that answers at once, again and again, pays for no timer operation.
#[derive(Debug)]
pub(crate) struct Timer(Pin<Box<Sleep>>);

impl Timer {
    /// A timer that is armed for `first`.
    pub(crate) fn new(first: Instant) -> Timer {
        Timer(Box::pin(sleep_until(first)))
    }

    /// Returns at the deadline.
    pub(crate) async fn until(&mut self, deadline: Instant) {
        if self.0.deadline() > deadline {
            self.0.as_mut().reset(deadline);
        }
        loop {
            self.0.as_mut().await;
            if self.0.deadline() >= deadline {
                return;
            }
            self.0.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn deadlines_may_come_nearer_and_go_further() {
        let start = Instant::now();
        let mut timer = Timer::new(start + Duration::from_secs(60));
        for seconds in [5, 90, 90, 7, 600] {
            let deadline = start + Duration::from_secs(seconds);
            timer.until(deadline).await;
            assert_eq!(
                Instant::now(),
                Instant::max(deadline, start + Duration::from_secs(if seconds == 7 { 90 } else { 0 }))
            );
        }
    }
}

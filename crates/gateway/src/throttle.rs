//! How many log lines a flood is worth: so many a second for each reason, and then their number.
//!
//! Whatever is not written is counted here and said in one line when the second is over.

use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Lines of one reason that are written in one second.
const LINES: u32 = 10;
/// How long a reason is watched.
const SECOND: Duration = Duration::from_secs(1);

/// What has been written lately.
#[derive(Debug, Default)]
pub(crate) struct Throttle(BTreeMap<&'static str, Second>);

#[derive(Debug)]
struct Second {
    ends: Instant,
    lines: u32,
    suppressed: u64,
}

impl Throttle {
    /// Whether one line more may be written for this reason.
    pub(crate) fn permits(&mut self, reason: &'static str, now: Instant) -> bool {
        let fresh = || Second { ends: now + SECOND, lines: 0, suppressed: 0 };
        let second = self.0.entry(reason).or_insert_with(fresh);
        if second.ends <= now && second.suppressed == 0 {
            *second = fresh();
        }
        let permitted = second.lines < LINES && second.ends > now;
        if permitted {
            second.lines += 1;
        } else {
            second.suppressed += 1;
        }
        permitted
    }

    /// When a second is over in which something was not written.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.0.values().filter(|second| second.suppressed > 0).map(|second| second.ends).min()
    }

    /// The reasons whose second is over, each with the number of lines that were not written.
    pub(crate) fn take(&mut self, now: Instant) -> Vec<(&'static str, u64)> {
        let over = |second: &Second| second.ends <= now && second.suppressed > 0;
        let said =
            self.0.iter().filter(|(_, second)| over(second)).map(|(reason, second)| (*reason, second.suppressed));
        let said = said.collect();
        self.0.retain(|_, second| second.ends > now);
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ten_lines_a_second_and_then_their_number() {
        let mut throttle = Throttle::default();
        let start = Instant::now();
        let written = (0..500).filter(|_| throttle.permits("flood", start)).count();
        assert_eq!(written, 10);
        assert!(throttle.permits("other", start));
        assert_eq!(throttle.due(), Some(start + SECOND));
        // Late, but before the number was said: still the same flood.
        assert!(!throttle.permits("flood", start + SECOND));
        assert_eq!(throttle.take(start + SECOND), [("flood", 491)]);
        assert_eq!(throttle.due(), None);
        assert!(throttle.permits("flood", start + SECOND));
    }
}

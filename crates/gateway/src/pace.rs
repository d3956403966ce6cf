//! How the content of a message comes along, in either direction.
//!
//! Only the time that the peer was waited for counts: what our own disk takes is not its fault.

use config::Rate;
use std::time::Duration;

/// What has been transferred of a message, and how long the peer was waited for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    pub(crate) octets: u64,
    pub(crate) waited: Duration,
}

impl Pace {
    /// How much longer the peer may be waited for; `None` for as long as it takes.
    pub(crate) fn left(&self, rate: &Rate) -> Option<Duration> {
        Some(rate.allows(self.octets)?.saturating_sub(self.waited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_earn_time_and_waiting_spends_it() {
        let rate = Rate { octets_per_s: 1000, after: Duration::from_secs(30) };
        let mut pace = Pace::default();
        assert_eq!(pace.left(&rate), Some(Duration::from_secs(30)));
        pace.octets = 5000;
        assert_eq!(pace.left(&rate), Some(Duration::from_secs(35)));
        pace.waited = Duration::from_secs(40);
        assert_eq!(pace.left(&rate), Some(Duration::ZERO));
        assert_eq!(pace.left(&Rate { octets_per_s: 0, ..rate }), None);
    }
}

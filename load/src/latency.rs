//! How long things took: every single one is kept, so that percentiles are exact.

use std::time::Duration;

use serde::Serialize;

/// Durations in the order in which they were noted, in nanoseconds.
#[derive(Default)]
pub(crate) struct Latencies(Vec<u64>);

/// What is told of them, in microseconds.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Latencies {
    /// Room for so many, so that noting one allocates nothing.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    pub(crate) fn note(&mut self, took: Duration) {
        self.0.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn summary(mut self) -> Summary {
        self.0.sort_unstable();
        Summary { p50: self.at_most(50), p99: self.at_most(99), max: self.at_most(100) }
    }

    /// The smallest one that at least `percent` of all do not exceed (nearest rank).
    fn at_most(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        let nanoseconds = self.0.get(rank - 1).copied().unwrap_or(0);
        Duration::from_nanos(nanoseconds).as_secs_f64() * 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(microseconds: impl IntoIterator<Item = u64>) -> Summary {
        let mut latencies = Latencies::default();
        microseconds.into_iter().for_each(|each| latencies.note(Duration::from_micros(each)));
        latencies.summary()
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        assert_eq!(summary((1..=100).rev()), Summary { p50: 50.0, p99: 99.0, max: 100.0 });
        assert_eq!(summary((1..=1000).rev()), Summary { p50: 500.0, p99: 990.0, max: 1000.0 });
        // One slow one among fifty shows at 99 %: it is more than 1 % of them.
        assert_eq!(summary((0..49).map(|_| 1).chain([9])), Summary { p50: 1.0, p99: 9.0, max: 9.0 });
        assert_eq!(summary([7]), Summary { p50: 7.0, p99: 7.0, max: 7.0 });
        assert_eq!(summary([]), Summary { p50: 0.0, p99: 0.0, max: 0.0 });
    }
}

//! Chance that can be repeated: a seed is printed, and `E2E_SEED` brings it back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A sequence of numbers drawn from a seed.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Seeded by `E2E_SEED`, or by the clock; says which.
    #[must_use]
    pub fn new() -> Self {
        let given = std::env::var("E2E_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            since.as_micros().try_into().unwrap_or(1)
        });
        println!("E2E_SEED={seed}");
        Self(seed | 1)
    }

    /// Seeded by a number.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        // Small numbers would begin with long rows of zeros.
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// One of these.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = self.below(from.len().try_into().unwrap_or(u64::MAX));
        &from[usize::try_from(at).unwrap_or_default()]
    }

    /// Whether something happens that happens once in `of` times.
    pub fn chance(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }

    /// A number below `end`.
    ///
    /// # Panics
    /// When `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// Lets a random time pass, shorter than `end`: not for something to happen, but for any moment of
    /// what is happening.
    pub fn pause(&mut self, end: Duration) {
        let longest = end.as_micros().try_into().unwrap_or(u64::MAX);
        std::thread::sleep(Duration::from_micros(self.below(longest)));
    }
}

impl Default for Dice {
    fn default() -> Self {
        Self::new()
    }
}

//! Where a body is, as one number: its owner changes it, readers look at it before and after.
//!
//! The owner changes the number first and lets the old place be written over afterwards. Whoever
//! has read octets of the next life therefore sees at the second look that the number has changed,
//! whatever order the processor prefers; `spool/tests/place.rs` tries them all.

use super::atomic::{AtomicU64, Ordering, fence};

/// A number that is believed only if it is the same after reading as it was before.
pub(crate) struct Place(AtomicU64);

impl Place {
    pub(crate) fn new(number: u64) -> Place {
        Place(AtomicU64::new(number))
    }

    /// The number as it is now, or was a moment ago.
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// What is written from here on may lie where the number led to until now.
    pub(crate) fn change(&self, number: u64) {
        self.0.store(number, Ordering::Release);
        // The store may not be seen later than what the caller writes next.
        fence(Ordering::Release);
    }

    /// Reads from where the number leads to, again if it has changed meanwhile.
    pub(crate) fn read<T>(&self, mut from: impl FnMut(u64) -> T) -> T {
        loop {
            let number = self.now();
            let read = from(number);
            // What was read may not be older than the second look.
            fence(Ordering::Acquire);
            if self.0.load(Ordering::Relaxed) == number {
                return read;
            }
        }
    }
}

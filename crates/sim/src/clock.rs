//! The simulated clocks: one that never jumps, by which the simulation itself goes, and the wall
//! clock of the host, which an administrator or a time server may set to anything.
//!
//! The first is the runtime's, which is paused and moves only when nobody has anything to do. A crash
//! ends the runtime; the next one begins where the last one ended.

use mail::Timestamp;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The moment every simulation begins: Monday, 2 November 2026, noon.
pub const BEGINNING: Timestamp = Timestamp::from_millis(1_793_620_800_000);

/// Both clocks. Clones are the same clocks.
#[derive(Clone, Debug)]
pub struct SimClock(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// How long the runtimes before this one lasted.
    before: Duration,
    origin: Instant,
    jumped_ms: i64,
}

impl SimClock {
    /// Clocks at the beginning.
    ///
    /// # Panics
    /// Outside a runtime.
    #[must_use]
    pub fn new() -> SimClock {
        let state = State { before: Duration::ZERO, origin: Instant::now(), jumped_ms: 0 };
        SimClock(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on in another runtime, in which this is called, `pause` after the last one ended.
    pub(crate) fn go_on(&self, lasted: Duration, pause: Duration) {
        let mut state = self.state();
        state.before = lasted + pause;
        state.origin = Instant::now();
    }

    /// How long the simulation has lasted.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        let state = self.state();
        state.before + state.origin.elapsed()
    }

    /// What the wall clock of the host shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let state = self.state();
        let true_time = BEGINNING.after(state.before + state.origin.elapsed());
        Timestamp::from_millis(true_time.millis().saturating_add_signed(state.jumped_ms))
    }

    /// Somebody sets the wall clock forward, or back.
    pub(crate) fn jump(&self, ms: i64) {
        let mut state = self.state();
        state.jumped_ms = state.jumped_ms.saturating_add(ms);
    }
}

impl Default for SimClock {
    fn default() -> SimClock {
        SimClock::new()
    }
}

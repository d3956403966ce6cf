//! The power of the simulated host.
//!
//! It can be made to fail before the n-th thing from now on that anybody outside could notice: an
//! octet on the network, a change on the disk, a line of the log. From then on nothing the host does
//! has an effect, whatever its tasks still believe; the runtime they live in is dropped next.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The switch. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Power(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    failed: Notify,
}

#[derive(Debug, Default)]
struct State {
    off: bool,
    /// Steps until it fails.
    steps: Option<u64>,
}

impl Power {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the power fail before the `n`-th step from now; 0 is the next.
    pub(crate) fn fail_at(&self, n: u64) {
        self.state().steps = Some(n);
    }

    /// The power fails now.
    pub(crate) fn fail(&self) {
        self.state().off = true;
        self.0.failed.notify_one();
    }

    /// The power is back, and nothing is planned.
    pub(crate) fn restore(&self) {
        *self.state() = State::default();
    }

    /// Whether it has failed.
    pub(crate) fn is_off(&self) -> bool {
        self.state().off
    }

    /// Something is about to happen that could be noticed: whether there is still power for it.
    pub(crate) fn step(&self) -> bool {
        let mut state = self.state();
        match state.steps {
            Some(0) => {
                *state = State { off: true, steps: None };
                drop(state);
                self.0.failed.notify_one();
                return false;
            }
            Some(n) => state.steps = Some(n - 1),
            None => {}
        }
        !state.off
    }

    /// Returns when it has failed.
    pub(crate) async fn failed(&self) {
        while !self.is_off() {
            self.0.failed.notified().await;
        }
    }
}

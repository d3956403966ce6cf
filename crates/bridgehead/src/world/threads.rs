//! Who runs where: half of the processors for sessions, half for delivery, and a thread of its own for
//! the spool.
//!
//! One set of threads for everything would share the work as well while there is much of it. But when
//! messages come one at a time, a thread that finds two things to do wakes another to help it, and both
//! go to sleep again in turns: seven thread switches in each message, four without.

use std::num::NonZero;
use tokio::runtime::{Builder, Runtime};

/// Threads for what waits for the disk: more would only wait for one another, and each costs memory.
const DISK_THREADS: usize = 8;

/// The threads of sessions and of administration.
///
/// # Errors
/// The system has no threads or descriptors for them.
pub(crate) fn for_sessions() -> std::io::Result<Runtime> {
    several(processors().div_ceil(2)).build()
}

/// The threads of delivery.
///
/// # Panics
/// The system has no threads or descriptors for them.
pub(super) fn for_delivery() -> Runtime {
    let runtime = match processors() / 2 {
        0 | 1 => Builder::new_current_thread().enable_all().max_blocking_threads(DISK_THREADS).build(),
        half => several(half).build(),
    };
    runtime.expect("the system has threads for delivery")
}

fn several(threads: usize) -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads).enable_all().max_blocking_threads(DISK_THREADS);
    builder
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

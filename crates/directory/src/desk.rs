//! Work that keeps a processor busy: passwords against slow hashes. So many at a time, so many in
//! line, and nobody else waits for them.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use tokio::sync::Semaphore;

/// Who may stand in line for each that is served: at a tenth of a second each, a few seconds.
const LINE: usize = 32;

/// Where such work is done.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    served: Arc<Semaphore>,
    line: Arc<Semaphore>,
}

impl Desk {
    /// With half of the processors: the other half moves mail.
    pub(crate) fn new() -> Desk {
        let processors = available_parallelism().map_or(1, NonZero::get);
        Desk::with(processors.div_ceil(2).max(1))
    }

    fn with(served: usize) -> Desk {
        Desk { served: Arc::new(Semaphore::new(served)), line: Arc::new(Semaphore::new(served * (LINE + 1))) }
    }

    /// Does `work` on a thread that may be kept busy; `None` if too many wait already, or it panics.
    pub(crate) async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let place = self.line.clone().try_acquire_owned().ok()?;
        let permit = self.served.clone().acquire_owned().await.ok()?;
        let done = tokio::task::spawn_blocking(move || {
            // Held to the end of the work, not of the waiting: whoever hangs up does not make it cheaper.
            let _held = (place, permit);
            work()
        });
        done.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{Desk, LINE};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Barrier};

    #[tokio::test]
    async fn there_is_an_end_to_the_line() {
        let desk = Desk::with(1);
        let (begun, end) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let first = tokio::spawn({
            let (desk, begun, end) = (desk.clone(), begun.clone(), end.clone());
            async move { desk.work(move || (begun.wait(), end.wait())).await.is_some() }
        });
        tokio::task::spawn_blocking(move || begun.wait()).await.unwrap();
        let served = Arc::new(AtomicUsize::new(0));
        let wait = |served: Arc<AtomicUsize>| {
            let desk = desk.clone();
            tokio::spawn(async move { desk.work(move || served.fetch_add(1, Ordering::SeqCst)).await.is_some() })
        };
        let line: Vec<_> = (0..LINE).map(|_| wait(served.clone())).collect();
        // Tasks of this runtime run in turn: when this one comes back, all others stand in line.
        tokio::task::yield_now().await;
        assert!(desk.work(|| ()).await.is_none(), "one too many");
        assert_eq!(served.load(Ordering::SeqCst), 0, "one at a time");
        tokio::task::spawn_blocking(move || end.wait()).await.unwrap();
        assert!(first.await.unwrap());
        for waiter in line {
            assert!(waiter.await.unwrap());
        }
        assert!(desk.work(|| ()).await.is_some());
    }

    #[tokio::test]
    async fn whoever_hangs_up_still_takes_the_time() {
        let desk = Desk::with(1);
        let (begun, end) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let task = tokio::spawn({
            let (desk, begun, end) = (desk.clone(), begun.clone(), end.clone());
            async move { desk.work(move || (begun.wait(), end.wait())).await.is_some() }
        });
        tokio::task::spawn_blocking(move || begun.wait()).await.unwrap();
        task.abort();
        assert!(task.await.is_err());
        assert_eq!(desk.served.available_permits(), 0);
        end.wait();
        assert!(desk.work(|| ()).await.is_some());
        assert!(desk.work(|| panic!("on purpose")).await.is_none());
        assert!(desk.work(|| ()).await.is_some());
    }
}

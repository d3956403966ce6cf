//! How everything hears that the gateway is stopping.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture, WaitForCancellationFutureOwned};

/// When to stop, in three steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    /// No new sessions, no new transactions, no new attempts.
    pub soft: Signal,
    /// Open transactions and attempts end too.
    pub hard: Signal,
    /// Nobody has anything to record any more.
    pub last: Signal,
}

/// A signal that is given once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signal {
    given: Arc<AtomicBool>,
    token: CancellationToken,
}

impl Signal {
    /// Gives it.
    pub(crate) fn give(&self) {
        self.given.store(true, Ordering::Release);
        self.token.cancel();
    }

    /// Returns when it is given.
    pub(crate) fn given(&self) -> WaitForCancellationFuture<'_> {
        self.token.cancelled()
    }

    /// An ear for it.
    pub(crate) fn ear(&self) -> Ear {
        Ear { given: self.given.clone(), cancelled: Box::pin(self.token.clone().cancelled_owned()), listening: false }
    }
}

/// Hears a signal, for whoever listens many times a second.
///
/// It registers once for all with what wakes the task, and looks at a flag from then on: registering
/// anew for each wait takes a lock that all sessions share. It must therefore stay in one task.
pub(crate) struct Ear {
    given: Arc<AtomicBool>,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    listening: bool,
}

impl Ear {
    /// Returns when the signal is given.
    pub(crate) async fn heard(&mut self) {
        std::future::poll_fn(|cx| self.poll_heard(cx)).await;
    }

    fn poll_heard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.given.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        if self.listening {
            return Poll::Pending;
        }
        self.listening = true;
        self.cancelled.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_listened_once_is_woken() {
        let signal = Signal::default();
        let mut ear = signal.ear();
        let (waits, mut waiting) = tokio::sync::mpsc::channel(1);
        let task = tokio::spawn(async move {
            for _ in 0..3 {
                tokio::select! {
                    biased;
                    () = ear.heard() => return true,
                    () = tokio::task::yield_now() => {}
                }
            }
            waits.send(()).await.unwrap();
            ear.heard().await;
            true
        });
        waiting.recv().await.unwrap();
        signal.give();
        assert!(task.await.unwrap());
        signal.ear().heard().await;
        signal.given().await;
    }
}

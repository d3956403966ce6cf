//! The keeper as it runs on a real disk: a flush takes time, and errands gather meanwhile.

use crate::dice::Dice;
use crate::power::Power;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// How long a flush of the disk may take.
const FLUSH_MS: u64 = 12;

/// Runs the keeper, whose disk calls take no time in a simulation, and lets it rest now and then, so
/// that what comes meanwhile goes into one flush. Without power nothing goes on.
pub(crate) async fn paced(keeper: impl Future<Output = ()>, power: Power, mut dice: Dice) {
    let mut keeper = pin!(keeper);
    let mut done = false;
    while !done {
        let mut polled = false;
        // One poll; woken for another by whatever the keeper itself waits for.
        done = poll_fn(|cx| {
            if polled {
                return Poll::Ready(false);
            }
            if power.is_off() {
                return Poll::Pending;
            }
            polled = true;
            keeper.as_mut().poll(cx).map(|()| true)
        })
        .await;
        if dice.chance(25) {
            tokio::time::sleep(Duration::from_millis(dice.between(0, FLUSH_MS))).await;
        }
    }
}

//! What lies between the host and everybody else: lines that are slow, fall silent, or break.
//!
//! A line is known by the address of whoever is at its far end, so that trouble can be planned before
//! anybody connects. Both ends of a connection share its line.

use crate::dice::Dice;
use crate::power::Power;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Sleep;

/// All lines of the host. Clones are the same lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    lines: BTreeMap<IpAddr, Line>,
    /// Who waits for a line to change, by connection end.
    waiting: BTreeMap<u64, Waker>,
    ends: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Line {
    /// How long a write may take.
    delay_ms: u64,
    /// Nothing passes.
    silent: bool,
    /// How often it broke; connections from before are gone.
    breaks: u64,
}

impl Links {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, far: IpAddr, change: impl FnOnce(&mut Line)) {
        let mut state = self.state();
        change(state.lines.entry(far).or_default());
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_values().for_each(Waker::wake);
    }

    /// Every write takes up to `ms` from now on.
    pub(crate) fn delay(&self, far: IpAddr, ms: u64) {
        self.change(far, |line| line.delay_ms = ms);
    }

    /// Nothing passes any more, and nobody is told.
    pub(crate) fn silence(&self, far: IpAddr) {
        self.change(far, |line| line.silent = true);
    }

    /// All connections break; new ones can be made.
    pub(crate) fn cut(&self, far: IpAddr) {
        self.change(far, |line| line.breaks += 1);
    }

    /// The line is as good as new.
    pub(crate) fn clear(&self, far: IpAddr) {
        self.change(far, |line| (line.delay_ms, line.silent) = (0, false));
    }

    /// All lines are.
    pub(crate) fn clear_all(&self) {
        let all: Vec<IpAddr> = self.state().lines.keys().copied().collect();
        all.into_iter().for_each(|far| self.clear(far));
    }

    /// Whether a new connection gets through.
    pub(crate) fn is_silent(&self, far: IpAddr) -> bool {
        self.state().lines.get(&far).is_some_and(|line| line.silent)
    }

    /// One end of a new connection over the line to `far`.
    pub(crate) fn end(&self, far: IpAddr, power: &Power, dice: &Dice) -> End {
        let mut state = self.state();
        state.ends += 1;
        let number = state.ends;
        let breaks = state.lines.get(&far).map_or(0, |line| line.breaks);
        let dice = dice.fork(&format!("end {number}"));
        End { links: self.clone(), power: power.clone(), far, number, breaks, dice, pause: None }
    }
}

/// One end of a connection, as far as the line is concerned.
#[derive(Debug)]
pub(crate) struct End {
    links: Links,
    power: Power,
    far: IpAddr,
    number: u64,
    breaks: u64,
    dice: Dice,
    /// The write under way ends then.
    pause: Option<Pin<Box<Sleep>>>,
}

/// What the line has to say.
pub(crate) enum Passage {
    /// Go on.
    Open,
    /// The connection is gone.
    Broken,
}

impl End {
    /// Whether octets may pass now; whoever must wait is woken.
    pub(crate) fn poll_pass(&self, cx: &Context<'_>) -> Poll<Passage> {
        // Whoever has no power never hears of anything again, and is not woken.
        if self.power.is_off() {
            return Poll::Pending;
        }
        let mut state = self.links.state();
        let line = state.lines.get(&self.far).copied().unwrap_or_default();
        if line.breaks != self.breaks {
            return Poll::Ready(Passage::Broken);
        }
        // Also who only waits for octets must hear that the connection has broken.
        state.waiting.insert(self.number, cx.waker().clone());
        if line.silent { Poll::Pending } else { Poll::Ready(Passage::Open) }
    }

    /// As [`End::poll_pass`], for a write, which may take its time.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Passage> {
        match self.poll_pass(cx) {
            Poll::Ready(Passage::Open) => {}
            other => return other,
        }
        if self.pause.is_none() {
            let delay_ms = self.links.state().lines.get(&self.far).map_or(0, |line| line.delay_ms);
            if delay_ms == 0 {
                return Poll::Ready(Passage::Open);
            }
            let pause = Duration::from_millis(self.dice.between(0, delay_ms));
            self.pause = Some(Box::pin(tokio::time::sleep(pause)));
        }
        let paused = self.pause.as_mut().is_none_or(|pause| pause.as_mut().poll(cx).is_ready());
        if paused { Poll::Ready(Passage::Open) } else { Poll::Pending }
    }

    /// A write has come through: the next one takes its own time.
    pub(crate) fn written(&mut self) {
        self.pause = None;
    }

    /// Whether there is power for one step more.
    pub(crate) fn step(&self) -> bool {
        self.power.step()
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.links.state().waiting.remove(&self.number);
    }
}

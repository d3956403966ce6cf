//! The account of memory: what sessions, bodies, connections and the queue hold, against a limit.
//!
//! Whoever holds something says so with a [`Held`], which gives it back when it is dropped. The
//! figures are what a thing costs at the most, as far as we allocate it ourselves; what the process
//! held before the first of them counts from the start. New mail is put off when four fifths are in
//! use, so that what is under way can still be finished.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What an idle session costs.
pub(crate) const SESSION_OCTETS: u64 = 8 * 1024;
/// What a session secured by TLS costs on top.
pub(crate) const TLS_OCTETS: u64 = 40 * 1024;
/// What a message that is arriving costs beside its body.
pub(crate) const ARRIVING_OCTETS: u64 = 32 * 1024;
/// What a connection to a next hop costs.
pub(crate) const LINK_OCTETS: u64 = 192 * 1024;
/// What a queued message costs, its body apart.
pub(crate) const QUEUED_OCTETS: u64 = 1024;

/// The account. Numbers are approximate by nature, so they are read and written without order.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: AtomicU64,
    used: AtomicU64,
}

impl Memory {
    /// An account with a limit, of which `used` is in use already.
    pub(crate) fn new(limit: u64, used: u64) -> Memory {
        Memory { limit: AtomicU64::new(limit), used: AtomicU64::new(used) }
    }

    /// Changes the limit.
    pub(crate) fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// The limit.
    pub(crate) fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Whether four fifths are in use: nothing new is begun.
    pub(crate) fn is_tight(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= self.limit() / 5 * 4
    }

    /// Whether nearly all is in use: what grows is given up.
    pub(crate) fn is_full(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= self.limit() / 20 * 19
    }

    /// Writes down that somebody holds so much.
    pub(crate) fn hold(self: &Arc<Memory>, octets: u64) -> Held {
        self.used.fetch_add(octets, Ordering::Relaxed);
        Held { memory: self.clone(), octets }
    }
}

/// So much of the account is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    memory: Arc<Memory>,
    octets: u64,
}

impl Held {
    /// It is more now, or less.
    pub(crate) fn set(&mut self, octets: u64) {
        if octets > self.octets {
            self.memory.used.fetch_add(octets - self.octets, Ordering::Relaxed);
        } else if octets < self.octets {
            self.memory.used.fetch_sub(self.octets - octets, Ordering::Relaxed);
        }
        self.octets = octets;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_fifths_are_tight_and_what_is_dropped_is_given_back() {
        let memory = Arc::new(Memory::new(1000, 100));
        assert!(!memory.is_tight());
        let mut held = memory.hold(699);
        assert!(!memory.is_tight());
        held.set(700);
        assert!(memory.is_tight() && !memory.is_full());
        held.set(850);
        assert!(memory.is_full());
        held.set(10);
        assert!(!memory.is_tight());
        drop(held);
        assert_eq!(memory.used.load(Ordering::Relaxed), 100);
        memory.set_limit(120);
        assert!(memory.is_tight());
    }
}

//! The real program among real peers: a harness that starts Bridgehead as an operator would, speaks
//! SMTP to it byte by byte, and gives it next hops that behave well or badly.
//!
//! - [`Gateway`] is the program itself, with its own directory and ports chosen by the kernel.
//! - [`Client`] is the sending side of a session, from any address in 127.0.0.0/8.
//! - [`Peer`] is a next hop of our own that can drop, stall, defer and babble on demand.
//! - [`foreign`] starts other people's software: Postfix, Exim, OpenSMTPD, swaks, Python, OpenSSL.
//!
//! Nothing here waits for a fixed time: [`until`] asks again until a condition holds or its deadline
//! has passed. A test whose peer is not installed calls [`skip`], which says so aloud and is a
//! failure in continuous integration.
#![allow(clippy::disallowed_methods, reason = "a harness outside the product: real clocks, threads and sockets")]

use std::fmt::Display;
use std::io::Write;
use std::time::{Duration, Instant};

mod cgroup;
mod client;
mod dice;
mod gateway;
mod inject;
mod peer;
mod process;
mod script;
mod small_disk;
mod start;
mod wall_clock;

pub mod foreign;
pub mod load;
pub mod mail;
pub mod metrics;

pub use cgroup::MemoryLimit;
pub use client::{Client, Reply};
pub use dice::Dice;
pub use gateway::{Gateway, Refused};
pub use inject::{Fault, Injection};
pub use peer::{Peer, Received, Reserved};
pub use process::{Finished, Process, signal};
pub use script::{Act, At, Script};
pub use small_disk::SmallDisk;
pub use start::{Start, command, command_with_input, program};
pub use wall_clock::WallClock;

/// How long a condition may take to become true on a busy machine of two cores.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks `condition` again and again until it yields something.
///
/// # Panics
/// When `patience` has passed; `what` says what was being waited for.
pub fn until_within<T>(patience: Duration, what: impl Display, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < patience, "waited {} s in vain: {what}", patience.as_secs());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// [`until_within`] the usual [`PATIENCE`].
pub fn until<T>(what: impl Display, condition: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, condition)
}

/// Lets time pass: for a load that has a rate, or to see what does not happen meanwhile. What is to
/// happen is waited for with [`until`].
pub fn pass(span: Duration) {
    std::thread::sleep(span);
}

/// Whether the long versions of tests are asked for (`cargo xtask test --long`).
#[must_use]
pub fn long() -> bool {
    std::env::var_os("E2E_LONG").is_some()
}

/// Says aloud that a test does not run, and why.
///
/// # Panics
/// In continuous integration (`CI=true`), where everything is installed and a skipped test is a
/// test that nobody noticed missing.
pub fn skip(why: &str) {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!in_ci, "{test} cannot run: {why}, and in CI it must");
    // Not `eprintln!`: the test runner would swallow it together with the output of passing tests.
    let line = format!("SKIPPED {test}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

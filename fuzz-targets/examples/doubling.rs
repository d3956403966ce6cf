//! What each reader costs while its input is doubled five times: `cargo xtask fuzz --doubling`.
//!
//! The time of the processor that this thread has had is compared, the best of three, so that other
//! programs do not count. Thirty-two times the input may cost thirty-two times as much, and as much
//! again four times over for caches and allocators; a reader that is quadratic costs a thousand times.
#![allow(clippy::cast_precision_loss, reason = "ratios of sizes")]

use fuzz_targets::growth::GROWING;
use std::process::ExitCode;

/// Doublings.
const TIMES: u32 = 5;

fn main() -> ExitCode {
    let mut failed = false;
    println!("{:40} {:>10} {:>12} {:>12} {:>7}", "what", "octets", "smallest, us", "largest, us", "times");
    for growing in GROWING {
        let (small, large) = ((growing.input)(growing.smallest), (growing.input)(growing.smallest << TIMES));
        let cost = |input: &[u8]| (0..3).map(|_| spent(|| (growing.read)(input))).min().unwrap_or(0).max(1);
        let (first, last) = (cost(&small), cost(&large));
        let (grown, times) = (large.len() as f64 / small.len() as f64, last as f64 / first as f64);
        let bad = times > 4.0 * grown;
        failed |= bad;
        let verdict = if bad { "  GROWS TOO FAST" } else { "" };
        println!(
            "{:40} {:>10} {:>12} {:>12} {times:>7.0}{verdict}",
            growing.name,
            large.len(),
            first / 1000,
            last / 1000
        );
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Nanoseconds of the processor that something costs.
fn spent(what: impl FnOnce() -> u64) -> u64 {
    let before = on_processor();
    std::hint::black_box(what());
    on_processor() - before
}

/// Nanoseconds that this thread has been on a processor.
fn on_processor() -> u64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(spent.tv_sec * 1_000_000_000 + spent.tv_nsec).unwrap_or(0)
}

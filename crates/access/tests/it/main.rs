//! The table, the audit and the plan.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may say so by ending")]

mod draw;
mod golden;
mod properties;
mod table;
mod witnesses;

use config::Config;
use mail::Timestamp;

/// The moment of all tests: 18 November 2026.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

/// The settings of a text, which has no mistakes.
pub(crate) fn config(text: &str) -> Config {
    match Config::from_text("test", text) {
        Ok((config, _)) => config,
        Err(mistakes) => panic!("{}\n{text}", mistakes.render(false)),
    }
}

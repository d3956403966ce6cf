//! Judgement from outside: decisions as files a postmaster can read, and properties that hold for
//! all rules.

#![allow(clippy::disallowed_methods, reason = "tests read and rewrite their case files")]
#![allow(clippy::unwrap_used, reason = "a case that cannot be read is a test that fails")]

mod case;
mod decisions;
mod properties;
mod rights;

//! The settings against the files of `tests/settings`, and what is generated from their types.
#![allow(clippy::disallowed_methods)] // These tests read and rewrite the files they are about.

mod acceptance;
mod dump;
mod edits;
mod embedded;
mod exceptions;
mod golden;
mod invariants;
mod properties;
mod reference;
mod templates;
mod truncated;

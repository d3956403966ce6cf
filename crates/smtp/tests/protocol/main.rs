//! The receiving side, tested through its public surface: transcripts, properties, another parser.

// Reads the transcripts from the tree.
#![allow(clippy::disallowed_methods)]

mod differential;
mod other_parser;
mod properties;
mod script;
mod transcripts;

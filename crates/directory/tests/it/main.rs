//! The directories against real servers, broken ones, and hostile ones.
#![allow(clippy::disallowed_methods, reason = "tests make files, servers and threads of their own")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod active_directory;
mod authority;
mod files;
mod posix;
mod slapd;
mod tokens;
mod troubled;
mod world;

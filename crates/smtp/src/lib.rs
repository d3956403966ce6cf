//! SMTP, RFC 5321 and its extensions, both sides, without input or output.
//!
//! A conversation is a value: it is shown the bytes that came in, and says what must happen next.
//! Sockets, clocks, policy and storage belong to whoever drives it.

pub mod body;
pub mod claims;
pub mod client;
pub mod command;
pub mod dots;
pub mod envelope;
pub mod extensions;
pub mod line;
mod lines;
pub mod proxy;
pub mod reply;
pub mod sasl;
pub mod server;

//! RFC 5321 and its extensions, both sides, without I/O.
//!
//! Nothing here owns a socket, a clock or a file: bytes go in, bytes and outputs come out, and a
//! driver performs them. Nothing here knows who may send what to whom.

pub mod client;
pub mod dots;
pub mod reply;

//! What can be set about the spool, and what its owner can be told.

use std::fmt;
use std::io;

/// What can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Octets of a segment; a multiple of 4096, at least 64 KiB.
    pub segment_bytes: u64,
    /// A body larger than this gets a file of its own; at most a quarter of a segment.
    pub body_file_over_bytes: u64,
    /// New mail is refused when the disk has less free than this.
    pub reserve_bytes: u64,
    /// How many empty segments are kept for reuse; at least one.
    pub spare_segments: usize,
    /// A number that strangers cannot guess, drawn anew for each process: it keeps what a sender
    /// writes into a body from being taken for a record when a damaged segment is searched.
    pub salt: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            segment_bytes: 64 << 20,
            body_file_over_bytes: 128 << 10,
            reserve_bytes: 256 << 20,
            spare_segments: 2,
            salt: 0,
        }
    }
}

/// What an operator must mend or wait out.
#[derive(Debug)]
pub enum Error {
    /// The disk refused to do something.
    Disk {
        /// What was to be done.
        during: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The spool was written by a later release, in this version of the format.
    Version(u32),
    /// The settings contradict one another.
    Settings(&'static str),
    /// The reserve has been reached: 452 4.3.1.
    NoRoom,
    /// The message is too large for a segment: 552 5.3.4.
    TooLarge,
    /// An earlier write failed and the spool has not been restored since: 451 4.3.0.
    Broken,
}

impl Error {
    pub(crate) fn disk(during: &'static str) -> impl Fn(io::Error) -> Error {
        move |source| Error::Disk { during, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Disk { during, source } => write!(f, "spool: {during}: {source}"),
            Error::Version(version) => write!(f, "spool: written by a later release (format {version})"),
            Error::Settings(what) => write!(f, "spool: {what}"),
            Error::NoRoom => f.write_str("spool: no room for new mail"),
            Error::TooLarge => f.write_str("spool: the message is larger than a segment"),
            Error::Broken => f.write_str("spool: an earlier write failed"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Disk { source, .. } => Some(source),
            _ => None,
        }
    }
}

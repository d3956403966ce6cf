//! What a start finds: the messages that are still ours, and what is damaged.

use super::{Error, Location};
use crate::brief::{Brief, Diagnoses};
use crate::envelope::MessageId;
use mail::Timestamp;

/// A message found at start. The rest of its envelope can be read where it is
/// ([`super::Reader::envelope`]): many messages may wait, and a start must not need the room for all of them.
#[derive(Clone, Debug)]
pub struct Queued {
    /// The message.
    pub id: MessageId,
    /// What is kept of its envelope, with everything that has become of it.
    pub brief: Brief,
    /// Where it can be read.
    pub location: Location,
    /// When it is due again, as the last attempt said.
    pub retry_at: Option<Timestamp>,
}

/// What was found at start.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Every message that is still ours, in the order of their identifiers.
    pub messages: Vec<Queued>,
    /// What the briefs of them share.
    pub diagnoses: Diagnoses,
    /// Where the disk did not return what it had promised to keep.
    pub damages: Vec<Damage>,
    /// Files that an earlier start has put aside because something in them could not be read.
    pub kept: Vec<String>,
    /// Why nothing can be written yet: the spool [is broken](super::Spool::is_broken).
    pub broken: Option<Error>,
    /// Segments read.
    pub segments: usize,
    /// Octets read.
    pub bytes_read: u64,
}

/// A place where the disk did not return what it had promised to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: String,
    /// Where in it.
    pub offset: u64,
    /// What is wrong.
    pub what: Flaw,
    /// The message that is lost by it, if that could still be read.
    pub message: Option<MessageId>,
}

/// What can be wrong with a place on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// One of the two copies of a segment's header.
    HeaderCopy,
    /// Both copies of a segment's header: nothing in it can be read.
    Header,
    /// Octets that are no record, between records.
    Gap,
    /// A record whose content does not agree with its checksum.
    Record,
    /// A record that agrees with its checksum and makes no sense.
    Meaning,
    /// The file of a large body is missing or has the wrong length.
    BodyFile,
    /// The file is shorter than it was made.
    Short,
    /// The file could not be read.
    Unreadable,
}

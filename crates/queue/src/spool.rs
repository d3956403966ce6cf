//! The spool: every promise we have made, durable before it was made.

mod reader;
mod settings;

pub use reader::{BodyReader, Location, ReadError, Reader};
pub use settings::{Error, Settings};

use crate::body::{Bodies, Body};
use crate::disk::Disk;
use crate::envelope::{Envelope, MessageId, Outcome};
use mail::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The spool. It has one owner; everything that may be used beside it is a handle of its own:
/// [`Ids`], [`Reader`], [`Bodies`].
pub struct Spool<D: Disk> {
    disk: D,
}

/// Gives out message identifiers that never repeat, without a clock.
#[derive(Clone, Debug)]
pub struct Ids(Arc<AtomicU64>);

impl Ids {
    /// The next identifier.
    #[must_use]
    pub fn next(&self) -> MessageId {
        MessageId(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// Proof that a message is durable. Only [`Spool::flush`] makes one.
#[derive(Debug)]
#[must_use = "a receipt is what a 250 is given for"]
pub struct Receipt {
    id: MessageId,
    location: Location,
}

impl Receipt {
    /// The message.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// Where its body can be read.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }
}

/// What came of an attempt to deliver a message, to be remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The message.
    pub id: MessageId,
    /// What has become of the recipients that were attempted.
    pub outcomes: Vec<Outcome>,
    /// When those that are still pending are due again; `None`: at once.
    pub retry_at: Option<Timestamp>,
    /// The sender has been told by now that the message is late.
    pub warned: bool,
}

/// What a flush has achieved.
#[derive(Debug, Default)]
pub struct Flush {
    /// One for each staged message that is durable now, in the order of staging.
    pub receipts: Vec<Receipt>,
    /// Staged messages that are not durable, and have been forgotten: refuse them.
    pub refused: Vec<MessageId>,
    /// Why there are refused messages, or outcomes that are still staged.
    pub error: Option<Error>,
}

/// A message found at start.
#[derive(Clone, Debug)]
pub struct Queued {
    /// The envelope, with everything that has become of it.
    pub envelope: Arc<Envelope>,
    /// Where its body can be read.
    pub location: Location,
    /// When it is due again, as the last attempt said.
    pub retry_at: Option<Timestamp>,
}

/// What was found at start.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Every message that is still ours, in the order of their identifiers.
    pub messages: Vec<Queued>,
    /// Where the disk did not return what it had promised to keep.
    pub damages: Vec<Damage>,
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
    /// The file could not be read.
    Unreadable,
}

impl<D: Disk> Spool<D> {
    /// Reads everything that is there, finds the messages that are still ours and makes the spool
    /// ready for more. May be interrupted at any point and begun again.
    ///
    /// # Errors
    /// [`Error::Disk`] when the directory itself cannot be read, [`Error::Version`] when it was
    /// written by a later release, [`Error::Settings`] when the settings contradict one another. A
    /// disk that can be read and not written gives a spool that [is broken](Spool::is_broken).
    pub fn open(disk: D, settings: Settings) -> Result<(Spool<D>, Recovery), Error> {
        let _ = settings;
        Ok((Spool { disk }, Recovery::default()))
    }

    /// The source of message identifiers.
    #[must_use]
    pub fn ids(&self) -> Ids {
        Ids(Arc::default())
    }

    /// Reads bodies, beside the owner.
    #[must_use]
    pub fn reader(&self) -> Reader<D> {
        Reader::new(self.disk.clone())
    }

    /// Makes the files of large bodies, beside the owner.
    #[must_use]
    pub fn bodies(&self) -> Bodies<D> {
        Bodies::new(self.disk.clone(), 0)
    }

    /// Buffers a message for the next flush; nothing is promised yet.
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::NoRoom`] and [`Error::TooLarge`]; the message is forgotten then,
    /// and a body file of it removed.
    pub fn stage_message(&mut self, envelope: &Envelope, body: &Body) -> Result<(), Error> {
        let _ = (envelope, body);
        Err(Error::Broken)
    }

    /// Buffers what came of an attempt. Unknown and finished messages are passed over.
    pub fn stage_attempt(&mut self, attempt: &Attempt) {
        let _ = attempt;
    }

    /// Buffers that an administrator holds the message back.
    pub fn stage_held(&mut self, id: MessageId) {
        let _ = id;
    }

    /// Buffers that an administrator has released the message.
    pub fn stage_released(&mut self, id: MessageId) {
        let _ = id;
    }

    /// Buffers that nothing is left to do for the message. A report about it must have its own
    /// receipt before.
    pub fn stage_finished(&mut self, id: MessageId) {
        let _ = id;
    }

    /// Whether anything is staged.
    #[must_use]
    pub fn needs_flush(&self) -> bool {
        false
    }

    /// Whether something is staged and nobody waits for it: the flush may wait up to 5 ms for company.
    #[must_use]
    pub fn staged_only_outcomes(&self) -> bool {
        false
    }

    /// Makes everything that is staged durable: one write, one flush of the disk.
    pub fn flush(&mut self) -> Flush {
        Flush::default()
    }

    /// Whether the last write failed and no fresh segment has been found since. New messages are
    /// refused; call [`Spool::restore`] every second or so.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        false
    }

    /// Tries to go on in a fresh segment.
    ///
    /// # Errors
    /// [`Error::Disk`]: not yet.
    pub fn restore(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Whether a new message may be accepted: the spool is not broken, and the reserve is untouched.
    /// Otherwise the answer is 452 4.3.1 (or 451 4.3.0 when it is broken).
    #[must_use]
    pub fn has_room(&self) -> bool {
        true
    }

    /// One bounded step of housekeeping: removing body files, preparing and deleting spare segments,
    /// copying the last messages out of old segments (they are staged: flush afterwards). Returns
    /// whether there is more to do; call it between flushes, and once a second when idle.
    ///
    /// # Errors
    /// The disk's. Nothing is lost; it will be tried again.
    pub fn maintain(&mut self) -> Result<bool, Error> {
        Ok(false)
    }
}

//! Promises: what has been accepted, what has become of it, and when to try again.
//!
//! A message is ours exactly when its record is durable. This crate knows envelopes, attempts,
//! outcomes, schedules and the format of the spool; it does not know why a message was accepted or
//! how it is delivered, and it has no clock, no thread and no file but through [`disk::Disk`].

mod body;
mod brief;
mod destination;
pub mod disk;
pub mod dump;
mod envelope;
mod log;
mod record;
pub mod report;
mod retry;
pub mod schedule;
pub mod spool;

pub use body::{Bodies, Body, BodyFile, Draft, Glance, glance};
pub use brief::{Brief, Diagnoses, Standing};
pub use destination::{DestinationId, DestinationState, Terms};
pub use envelope::{
    Content, Counted, Diagnosis, Ending, Envelope, Kind, MessageId, NotAMessageId, Notify, Original, Outcome,
    Recipient, Ret, State,
};
pub use retry::Retry;
pub use schedule::{ConnectionEnd, ConnectionId, Disposition, Item, Next, Places, Schedule, Summary};

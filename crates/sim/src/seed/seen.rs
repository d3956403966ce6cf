//! What was seen from outside while a plan was played: the only thing oracles may look at.

use crate::peers::{Delivery, Taking};
use crate::world::PlacedFile;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// What became of one message as far as its client could see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The code that MAIL was answered with.
    pub mail: Option<u16>,
    /// The code that each RCPT was answered with.
    pub rcpt: BTreeMap<usize, u16>,
    /// What the end of the content was answered with.
    pub end: Option<(u16, String)>,
    /// In which of the lives of the gateway that was.
    pub life: usize,
    /// The disk had failed then, and failed again when the gateway wanted to write down that what it
    /// had failed to keep does not count.
    pub disk_failed_twice: bool,
    /// All of it was sent, its end included.
    pub complete: bool,
}

/// A time from one start of the gateway to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// When it ended.
    pub ended: Duration,
    /// It was killed.
    pub killed: bool,
    /// Some disk call failed in it, or could have.
    pub disk_failed: bool,
    /// The disk had not been mended when it ended.
    pub disk_failing: bool,
    /// What failed to be written may have been on the disk when it ended, and nothing that says it does
    /// not count.
    pub loose_ends: bool,
    /// The disk said yes to flushes and did nothing.
    pub disk_lied: bool,
    /// The counters and the log of this life so far, whenever they were compared.
    pub counts: Vec<Count>,
}

/// The counters at one moment, and the log up to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// As they are served to monitoring.
    pub metrics: String,
    /// The lines of this life.
    pub log: String,
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// By the number of the message.
    pub heard: BTreeMap<u32, Heard>,
    /// What all next hops have taken.
    pub deliveries: Vec<(SocketAddr, Delivery, Taking)>,
    /// What a strict receiver had to complain of.
    pub complaints: Vec<String>,
    /// Files in directories.
    pub files: Vec<PlacedFile>,
    /// The lives of the gateway.
    pub lives: Vec<Life>,
    /// Messages that an administrator wanted deleted, with how.
    pub deleted: Vec<(u32, String)>,
    /// The queue at the very end.
    pub queue: Vec<String>,
    /// What the queue view and the counters ever said, and clients ever heard.
    pub said: String,
    /// All lines of the log.
    pub log: String,
    /// The counters at the very end, when nobody is left.
    pub last_metrics: String,
    /// Tasks left at the very end.
    pub tasks_left: usize,
    /// What the simulation itself found wrong.
    pub wrong: Vec<String>,
    /// Everything in order, for a person.
    pub story: Vec<u8>,
}

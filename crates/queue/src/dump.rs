//! A spool as a person reads it, and whether the disk has kept it: `spool dump` and `spool verify`.
//!
//! Nothing is changed, so it may be done beside a running program; what that one is just writing
//! then looks like the end of the log. Texts that came from strangers are escaped.

use crate::body::file_name;
use crate::disk::Disk;
use crate::envelope::{MessageId, State};
use crate::log::Header;
use crate::record::{Head, Kind};
use crate::spool::{Alive, Attempt, Damage, Error, Flaw, Reader, Sight, Survey, codec};
use mail::Timestamp;
use std::collections::BTreeSet;
use std::fmt;

/// What a spool holds.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Summary {
    /// The segments in use, newest first.
    pub segments: Vec<SegmentSummary>,
    /// Segments that have never been used.
    pub blank_segments: usize,
    /// The messages that are still to be delivered or reported, in the order of their identifiers.
    pub messages: Vec<MessageSummary>,
    /// Messages that are finished, and whose end is still on record.
    pub finished: usize,
    /// Files of large bodies that no message names; the next start removes them.
    pub unnamed_bodies: Vec<String>,
    /// Files that an earlier start has put aside because something in them could not be read.
    pub kept: Vec<String>,
    /// Where the disk did not return what it had promised to keep.
    pub damages: Vec<Damage>,
    /// Octets read.
    pub bytes_read: u64,
}

impl Summary {
    /// Whether the disk has kept everything.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damages.is_empty()
    }
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSummary {
    /// The file.
    pub file: String,
    /// The number of its present life.
    pub number: u64,
    /// How often the spool had been opened when it was begun.
    pub incarnation: u32,
    /// Octets of the file.
    pub size_bytes: u64,
    /// Octets up to the end of its last batch.
    pub used_bytes: u64,
    /// Messages that live in it.
    pub messages: u32,
    /// Octets of it that are needed.
    pub needed_bytes: u64,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageSummary {
    /// The queue identifier.
    pub id: MessageId,
    /// The number of the segment that holds its record.
    pub segment: u64,
    /// The reverse-path, without angle brackets; empty for the null reverse-path.
    pub reverse_path: String,
    /// When it was received.
    pub received: Timestamp,
    /// Octets of the body.
    pub size_bytes: u64,
    /// The body has a file of its own.
    pub own_file: bool,
    /// Recipients.
    pub recipients: usize,
    /// Recipients that are still to be attempted.
    pub pending: usize,
    /// When it is due again, as the last attempt said.
    pub retry_at: Option<Timestamp>,
    /// An administrator holds it back.
    pub held: bool,
}

impl fmt::Display for MessageSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MessageSummary { id, received, reverse_path, pending, recipients, size_bytes, .. } = self;
        write!(f, "{id} {received} <{reverse_path}> {pending} of {recipients} recipients, {size_bytes} octets")?;
        if let Some(at) = self.retry_at {
            write!(f, ", due {at}")?;
        }
        f.write_str(if self.held { ", held" } else { "" })
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {}", self.file, self.offset, self.what)?;
        self.message.map_or(Ok(()), |id| write!(f, " (message {id})"))
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flaw::HeaderCopy => "one of two copies of the header is bad",
            Flaw::Header => "no copy of the header is good",
            Flaw::Gap => "no record where one should be",
            Flaw::Record => "a record does not agree with its checksum",
            Flaw::Meaning => "a record makes no sense",
            Flaw::BodyFile => "the body is missing or not what it was",
            Flaw::Short => "the file is shorter than it was made",
            Flaw::Unreadable => "cannot be read",
        })
    }
}

/// Reads everything, the bodies with files of their own too, and says what is there and what is not
/// as it should be.
///
/// # Errors
/// As [`crate::spool::Spool::open`], settings apart.
pub fn verify<D: Disk>(disk: &D) -> Result<Summary, Error> {
    let survey = Survey::new(disk, |_| {})?;
    let mut summary = summarise(&survey);
    let reader = Reader::new(disk.clone());
    for message in summary.messages.iter().filter(|message| message.own_file) {
        if reader.verify(&survey.messages[&message.id].entry.location).is_err() {
            let (file, message) = (file_name(message.id), Some(message.id));
            summary.damages.push(Damage { file, offset: 0, what: Flaw::BodyFile, message });
        }
    }
    Ok(summary)
}

/// Shows every segment and record, a line each, newest segment first; then what is alive, and what
/// is damaged.
///
/// # Errors
/// As [`verify`].
pub fn dump<D: Disk>(disk: &D, mut line: impl FnMut(&str)) -> Result<Summary, Error> {
    let survey = Survey::new(disk, |sight| line(&describe(&sight)))?;
    let summary = summarise(&survey);
    line(&format!("alive: {}", summary.messages.len()));
    for message in &summary.messages {
        line(&format!("  {message}"));
        let brief = &survey.messages[&message.id].brief;
        for (place, forward_path) in brief.forward_paths().enumerate() {
            let Some(standing) = brief.standing(place) else { break };
            let state = match standing.state {
                State::Pending => "pending",
                State::Delivered => "delivered",
                State::Failed => "failed",
            };
            line(&format!("    <{forward_path}> {state}, {} attempts", standing.attempts));
        }
    }
    summary.damages.iter().for_each(|damage| line(&format!("damaged: {damage}")));
    summary.kept.iter().for_each(|name| line(&format!("put aside: {}", name.escape_debug())));
    Ok(summary)
}

fn summarise<D: Disk>(survey: &Survey<D>) -> Summary {
    let named: BTreeSet<MessageId> = survey.messages.keys().copied().collect();
    let segments = survey.segments.iter().rev().map(|(number, segment)| SegmentSummary {
        file: crate::log::slot_name(segment.slot),
        number: *number,
        incarnation: survey.incarnations.get(number).copied().unwrap_or_default(),
        size_bytes: segment.length,
        used_bytes: segment.position,
        messages: segment.live,
        needed_bytes: segment.needed_bytes(),
    });
    Summary {
        segments: segments.collect(),
        blank_segments: survey.blanks.len(),
        messages: survey.messages.iter().map(|(id, kept)| message(*id, kept)).collect(),
        finished: survey.dead.len(),
        unnamed_bodies: survey.bodies.iter().filter(|id| !named.contains(id)).map(|id| file_name(*id)).collect(),
        kept: survey.kept.clone(),
        damages: survey.damages.clone(),
        bytes_read: survey.bytes_read,
    }
}

fn message(id: MessageId, kept: &Alive) -> MessageSummary {
    let Alive { entry, brief, retry_at } = kept;
    MessageSummary {
        id,
        segment: entry.home,
        reverse_path: brief.reverse_path().to_string(),
        received: brief.received(),
        size_bytes: entry.location.size_bytes(),
        own_file: entry.location.is_file(),
        recipients: brief.len(),
        pending: brief.pending().count(),
        retry_at: *retry_at,
        held: brief.is_held(),
    }
}

fn describe(sight: &Sight<'_>) -> String {
    match sight {
        Sight::Segment { file, header: Header { number, incarnation, length, .. } } => {
            format!("{file}: number {number}, incarnation {incarnation}, {length} octets")
        }
        Sight::Record { head, offset, meta } => {
            let words = meaning(head, meta).unwrap_or_else(|| "makes no sense".to_owned());
            let Head { id, turn, batch, .. } = head;
            format!("  {offset:>10} block {batch} {} {id} turn {turn}: {words}", head.kind.as_str())
        }
    }
}

/// What a record says, in words; `None` if it makes no sense.
fn meaning(head: &Head, meta: &[u8]) -> Option<String> {
    Some(match head.kind {
        Kind::Message => {
            let (envelope, place) = codec::read_message(head.id, meta)?;
            let size = match place {
                codec::Place::Inline => format!("{} octets", head.body_bytes),
                codec::Place::File { size, .. } => format!("{size} octets in {}", file_name(head.id)),
            };
            let recipients = envelope.recipients.len();
            format!("from <{}>, {recipients} recipients, received {}, {size}", envelope.reverse_path, envelope.received)
        }
        Kind::Attempt => attempt(&codec::read_attempt(head.id, meta)?),
        Kind::Held => "an administrator holds it back".to_owned(),
        Kind::Released => "an administrator has released it".to_owned(),
        Kind::Finished => format!("while one of the segments {:?} is there", codec::read_finished(meta)?),
        Kind::Closed => {
            let codec::Closed { segment, settled, end } = codec::read_closed(meta)?;
            format!("segment {segment} is settled up to {settled} and ends at {end}")
        }
    })
}

fn attempt(attempt: &Attempt) -> String {
    let mut words = attempt.retry_at.map_or_else(|| "due at once".to_owned(), |at| format!("due {at}"));
    if attempt.warned {
        words.push_str(", sender warned");
    }
    for outcome in &attempt.outcomes {
        let text = outcome.diagnosis.text.escape_debug();
        words.push_str(&format!(
            "; recipient {} {:?}: {} {text}",
            outcome.recipient, outcome.result, outcome.diagnosis.status
        ));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Draft;
    use crate::disk::memory::MemoryDisk;
    use crate::envelope::{Content, Diagnosis, Ending, Envelope, Outcome, Recipient};
    use crate::spool::{Settings, Spool};
    use mail::{Class, EnhancedStatus, ReversePath};

    fn envelope(id: MessageId) -> Envelope {
        let recipient = Recipient {
            forward_path: "alice@corp.example".parse().unwrap(),
            original: None,
            notify: None,
            state: State::Pending,
            attempts: 0,
            last: None,
        };
        Envelope {
            id,
            kind: crate::envelope::Kind::Mail,
            received: Timestamp::from_millis(0),
            server: "inbound".into(),
            client: None,
            hello: None,
            reverse_path: ReversePath::Null,
            ret: None,
            envid: None,
            smtputf8: false,
            content: Content::default(),
            trace: Box::default(),
            recipients: vec![recipient],
            warned: false,
            held: false,
            counted: None,
        }
    }

    fn some_spool() -> (MemoryDisk, MessageId) {
        let disk = MemoryDisk::new();
        let settings = Settings { segment_bytes: 64 << 10, body_file_over_bytes: 4 << 10, ..Settings::default() };
        let (mut spool, _) = Spool::open(disk.clone(), settings).unwrap();
        let id = spool.ids().next();
        let mut draft = Draft::new();
        draft.push(b"Subject: x\r\n\r\n.\r\n");
        spool.stage_message(&envelope(id), &draft.finish()).unwrap();
        assert_eq!(spool.flush().receipts.len(), 1);
        let status = EnhancedStatus::new(Class::Transient, 4, 1);
        let diagnosis = Diagnosis { status, text: "421 \u{7}later".into(), host: None };
        let outcomes = vec![Outcome { recipient: 0, result: Ending::Deferred, diagnosis }];
        spool.stage_attempt(&Attempt { id, outcomes, retry_at: Some(Timestamp::from_millis(60_000)), warned: true });
        assert!(spool.flush().error.is_none());
        let large = spool.ids().next();
        let mut file = spool.bodies().create(large).unwrap();
        let mut draft = Draft::new();
        draft.push(&[b'y'; 5000]);
        file.append(&mut draft).unwrap();
        let body = file.finish(draft).unwrap();
        spool.stage_message(&envelope(large), &body).unwrap();
        assert_eq!(spool.flush().receipts.len(), 1);
        (disk, large)
    }

    #[test]
    fn a_spool_as_a_person_reads_it() {
        let (disk, _) = some_spool();
        let mut lines = Vec::new();
        let calls = disk.calls();
        let summary = dump(&disk, |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(disk.calls(), calls, "nothing is changed");
        assert!(summary.is_sound());
        assert_eq!(
            lines,
            [
                "segment-000001: number 1, incarnation 1, 65536 octets",
                "        8192 block 2 message 04000001 turn 0: from <>, 1 recipients, received 1970-01-01T00:00:00.000Z, 17 octets",
                "       12288 block 3 attempt 04000001 turn 1: due 1970-01-01T00:01:00.000Z, sender warned; recipient 0 Deferred: 4.4.1 421 \\u{7}later",
                "       16384 block 4 message 04000002 turn 0: from <>, 1 recipients, received 1970-01-01T00:00:00.000Z, 5000 octets in body-04000002",
                "alive: 2",
                "  04000001 1970-01-01T00:00:00.000Z <> 1 of 1 recipients, 17 octets, due 1970-01-01T00:01:00.000Z",
                "    <alice@corp.example> pending, 1 attempts",
                "  04000002 1970-01-01T00:00:00.000Z <> 1 of 1 recipients, 5000 octets",
                "    <alice@corp.example> pending, 0 attempts",
            ]
        );
    }

    #[test]
    fn verify_reads_large_bodies_too() {
        let (disk, large) = some_spool();
        assert!(verify(&disk).unwrap().is_sound());
        disk.flip(&file_name(large), 100, 1);
        let damages = verify(&disk).unwrap().damages;
        assert_eq!(damages.len(), 1);
        assert_eq!(
            damages[0].to_string(),
            "body-04000002 at 0: the body is missing or not what it was (message 04000002)"
        );
    }
}

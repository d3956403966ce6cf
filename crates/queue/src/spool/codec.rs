//! The meaning of records, as octets and back.
//!
//! Every text and list has its length in front and is bounded by what is there; nothing is found by
//! searching for a line end, so nothing that a client said can begin a field. Reading any octets
//! whatever gives a value or `None`, and never allocates more than they could fill.

use super::Attempt;
use crate::envelope::{
    Content, Counted, Diagnosis, Ending, Envelope, Kind, MessageId, Notify, Original, Outcome, Recipient, Ret, State,
};
use mail::{Class, EnhancedStatus, Host, Mailbox, ReversePath, Timestamp};
use std::net::IpAddr;
use std::str::FromStr;

/// Where the body of a message record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind the envelope, in the record.
    Inline,
    /// In a file of its own, of this length and CRC-32C.
    File { size: u64, checksum: u32 },
}

/// Up to where a segment is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    /// The segment.
    pub(crate) segment: u64,
    /// Everything before this had been flushed.
    pub(crate) settled: u64,
    /// Nothing from here on was ever promised.
    pub(crate) end: u64,
}

pub(crate) fn write_message(envelope: &Envelope, place: Place) -> Vec<u8> {
    let mut to = Vec::with_capacity(256 + envelope.trace.len() + 96 * envelope.recipients.len());
    match place {
        Place::Inline => to.push(0),
        Place::File { size, checksum } => {
            to.push(1);
            put_u64(&mut to, size);
            put_u32(&mut to, checksum);
        }
    }
    put_envelope(&mut to, envelope);
    to
}

/// The identifier stands in the head of the record.
pub(crate) fn read_message(id: MessageId, octets: &[u8]) -> Option<(Envelope, Place)> {
    let mut from = Input(octets);
    let place = match from.octet()? {
        0 => Place::Inline,
        1 => Place::File { size: from.u64()?, checksum: from.u32()? },
        _ => return None,
    };
    let envelope = envelope(&mut from, id)?;
    from.end((envelope, place))
}

fn put_envelope(to: &mut Vec<u8>, envelope: &Envelope) {
    to.push(match envelope.kind {
        Kind::Mail => 0,
        Kind::Report => 1,
    });
    put_u64(to, envelope.received.millis());
    put_bytes(to, envelope.server.as_bytes());
    put_address(to, envelope.client);
    put_text(to, envelope.hello.as_deref());
    match &envelope.reverse_path {
        ReversePath::Null => to.push(0),
        ReversePath::Mailbox(mailbox) => {
            to.push(1);
            put_mailbox(to, mailbox);
        }
    }
    to.push(match envelope.ret {
        None => 0,
        Some(Ret::Full) => 1,
        Some(Ret::Headers) => 2,
    });
    put_text(to, envelope.envid.as_deref());
    put_flags(to, &[envelope.smtputf8, envelope.warned, envelope.held, envelope.counted.is_some()]);
    put_content(to, &envelope.content);
    put_bytes(to, &envelope.trace);
    put_count(to, envelope.recipients.len());
    for recipient in &envelope.recipients {
        put_recipient(to, recipient);
    }
    // Nothing stands here of a message that is not counted: format 1 knows no others.
    match &envelope.counted {
        None => {}
        Some(Counted::Account(name)) => put_text(to, Some(name)),
        Some(Counted::Client) => put_text(to, None),
    }
}

fn envelope(from: &mut Input<'_>, id: MessageId) -> Option<Envelope> {
    let kind = match from.octet()? {
        0 => Kind::Mail,
        1 => Kind::Report,
        _ => return None,
    };
    let received = Timestamp::from_millis(from.u64()?);
    let server = from.text()?;
    let client = from.address()?;
    let hello = from.maybe(Input::text)?;
    let reverse_path = from.maybe(Input::mailbox)?.map_or(ReversePath::Null, ReversePath::Mailbox);
    let ret = match from.octet()? {
        0 => None,
        1 => Some(Ret::Full),
        2 => Some(Ret::Headers),
        _ => return None,
    };
    let envid = from.maybe(Input::text)?;
    let [smtputf8, warned, held, is_counted] = from.flags()?;
    let content = content(from)?;
    let trace = from.bytes()?.into();
    let recipients = from.list(RECIPIENT_OCTETS, recipient)?;
    let counted = if is_counted { Some(counted(from)?) } else { None };
    Some(Envelope {
        id,
        kind,
        received,
        server,
        client,
        hello,
        reverse_path,
        ret,
        envid,
        smtputf8,
        content,
        trace,
        recipients,
        warned,
        held,
        counted,
    })
}

fn counted(from: &mut Input<'_>) -> Option<Counted> {
    Some(from.maybe(Input::text)?.map_or(Counted::Client, Counted::Account))
}

fn put_content(to: &mut Vec<u8>, content: &Content) {
    put_u64(to, content.size_bytes);
    put_flags(to, &[content.eight_bit, content.binary, content.dots, content.long_lines, content.utf8_headers]);
}

fn content(from: &mut Input<'_>) -> Option<Content> {
    let size_bytes = from.u64()?;
    let [eight_bit, binary, dots, long_lines, utf8_headers] = from.flags()?;
    Some(Content { size_bytes, eight_bit, binary, dots, long_lines, utf8_headers })
}

/// The fewest octets a recipient can have.
const RECIPIENT_OCTETS: usize = 8;

fn put_recipient(to: &mut Vec<u8>, recipient: &Recipient) {
    put_mailbox(to, &recipient.forward_path);
    put_maybe(to, recipient.original.as_ref(), |to, original| {
        put_bytes(to, original.kind.as_bytes());
        put_bytes(to, original.address.as_bytes());
    });
    put_maybe(to, recipient.notify.as_ref(), |to, notify| {
        put_flags(to, &[notify.success, notify.failure, notify.delay]);
    });
    to.push(match recipient.state {
        State::Pending => 0,
        State::Delivered => 1,
        State::Failed => 2,
    });
    put_u32(to, recipient.attempts);
    put_maybe(to, recipient.last.as_ref(), put_diagnosis);
}

fn recipient(from: &mut Input<'_>) -> Option<Recipient> {
    let forward_path = from.mailbox()?;
    let original = from.maybe(|from| Some(Original { kind: from.text()?, address: from.text()? }))?;
    let notify = from.maybe(|from| {
        let [success, failure, delay] = from.flags()?;
        Some(Notify { success, failure, delay })
    })?;
    let state = match from.octet()? {
        0 => State::Pending,
        1 => State::Delivered,
        2 => State::Failed,
        _ => return None,
    };
    let attempts = from.u32()?;
    let last = from.maybe(diagnosis)?;
    Some(Recipient { forward_path, original, notify, state, attempts, last })
}

fn put_diagnosis(to: &mut Vec<u8>, diagnosis: &Diagnosis) {
    to.push(diagnosis.status.class.digit());
    to.extend_from_slice(&diagnosis.status.subject.to_le_bytes());
    to.extend_from_slice(&diagnosis.status.detail.to_le_bytes());
    put_bytes(to, diagnosis.text.as_bytes());
    put_text(to, diagnosis.host.as_deref());
}

fn diagnosis(from: &mut Input<'_>) -> Option<Diagnosis> {
    let class = match from.octet()? {
        2 => Class::Success,
        4 => Class::Transient,
        5 => Class::Permanent,
        _ => return None,
    };
    let status = EnhancedStatus::new(class, from.u16()?, from.u16()?);
    Some(Diagnosis { status, text: from.text()?, host: from.maybe(Input::text)? })
}

/// The fewest octets an outcome can have.
const OUTCOME_OCTETS: usize = 15;

pub(crate) fn write_attempt(attempt: &Attempt) -> Vec<u8> {
    let mut to = Vec::with_capacity(64 * (1 + attempt.outcomes.len()));
    put_flags(&mut to, &[attempt.warned]);
    put_maybe(&mut to, attempt.retry_at.as_ref(), |to, at| put_u64(to, at.millis()));
    put_count(&mut to, attempt.outcomes.len());
    for outcome in &attempt.outcomes {
        put_count(&mut to, outcome.recipient);
        to.push(match outcome.result {
            Ending::Delivered => 0,
            Ending::Relayed => 1,
            Ending::Deferred => 2,
            Ending::Failed => 3,
        });
        put_diagnosis(&mut to, &outcome.diagnosis);
    }
    to
}

pub(crate) fn read_attempt(id: MessageId, octets: &[u8]) -> Option<Attempt> {
    let mut from = Input(octets);
    let [warned] = from.flags()?;
    let retry_at = from.maybe(Input::u64)?.map(Timestamp::from_millis);
    let outcomes = from.list(OUTCOME_OCTETS, |from| {
        let recipient = usize::try_from(from.u32()?).ok()?;
        let result = match from.octet()? {
            0 => Ending::Delivered,
            1 => Ending::Relayed,
            2 => Ending::Deferred,
            3 => Ending::Failed,
            _ => return None,
        };
        Some(Outcome { recipient, result, diagnosis: diagnosis(from)? })
    })?;
    from.end(Attempt { id, outcomes, retry_at, warned })
}

/// The segments that hold the message: as long as one of them is there, the record is needed.
pub(crate) fn write_finished(homes: &[u64]) -> Vec<u8> {
    let mut to = Vec::with_capacity(4 + 8 * homes.len());
    put_count(&mut to, homes.len());
    homes.iter().for_each(|home| put_u64(&mut to, *home));
    to
}

pub(crate) fn read_finished(octets: &[u8]) -> Option<Vec<u64>> {
    let mut from = Input(octets);
    let homes = from.list(8, Input::u64)?;
    from.end(homes)
}

pub(crate) fn write_closed(closed: Closed) -> Vec<u8> {
    let mut to = Vec::with_capacity(24);
    put_u64(&mut to, closed.segment);
    put_u64(&mut to, closed.settled);
    put_u64(&mut to, closed.end);
    to
}

pub(crate) fn read_closed(octets: &[u8]) -> Option<Closed> {
    let mut from = Input(octets);
    let closed = Closed { segment: from.u64()?, settled: from.u64()?, end: from.u64()? };
    from.end(closed)
}

fn put_u32(to: &mut Vec<u8>, value: u32) {
    to.extend_from_slice(&value.to_le_bytes());
}

fn put_u64(to: &mut Vec<u8>, value: u64) {
    to.extend_from_slice(&value.to_le_bytes());
}

fn put_count(to: &mut Vec<u8>, count: usize) {
    put_u32(to, u32::try_from(count).expect("invariant: nothing in an envelope has four thousand million parts"));
}

fn put_bytes(to: &mut Vec<u8>, octets: &[u8]) {
    put_count(to, octets.len());
    to.extend_from_slice(octets);
}

fn put_maybe<T>(to: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    match value {
        None => to.push(0),
        Some(value) => {
            to.push(1);
            put(to, value);
        }
    }
}

fn put_text(to: &mut Vec<u8>, text: Option<&str>) {
    put_maybe(to, text, |to, text| put_bytes(to, text.as_bytes()));
}

fn put_flags(to: &mut Vec<u8>, flags: &[bool]) {
    to.push(flags.iter().rev().fold(0, |octet, flag| octet << 1 | u8::from(*flag)));
}

fn put_address(to: &mut Vec<u8>, address: Option<IpAddr>) {
    match address {
        None => to.push(0),
        Some(IpAddr::V4(v4)) => {
            to.push(4);
            to.extend_from_slice(&v4.octets());
        }
        Some(IpAddr::V6(v6)) => {
            to.push(6);
            to.extend_from_slice(&v6.octets());
        }
    }
}

/// Local part and host apart, as they are printed: together they might be longer than a path may
/// be when it is read from a client, because a host is kept as A-labels.
fn put_mailbox(to: &mut Vec<u8>, mailbox: &Mailbox) {
    put_bytes(to, mailbox.local.to_string().as_bytes());
    put_bytes(to, mailbox.host.to_string().as_bytes());
}

/// Octets that have not been read yet.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn octet(&mut self) -> Option<u8> {
        self.array::<1>().map(|[octet]| octet)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.u32()?).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.count()?;
        self.take(count)
    }

    fn str(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn text(&mut self) -> Option<Box<str>> {
        self.str().map(Box::from)
    }

    fn flags<const N: usize>(&mut self) -> Option<[bool; N]> {
        let octet = self.octet()?;
        (u32::from(octet) < 1 << N).then(|| std::array::from_fn(|at| octet >> at & 1 == 1))
    }

    fn maybe<T>(&mut self, read: impl FnOnce(&mut Input<'a>) -> Option<T>) -> Option<Option<T>> {
        match self.octet()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    /// A list whose entries have at least `least` octets each; a count that cannot be true is refused.
    fn list<T>(&mut self, least: usize, read: impl Fn(&mut Input<'a>) -> Option<T>) -> Option<Vec<T>> {
        let count = self.count()?;
        if count > self.0.len() / least {
            return None;
        }
        (0..count).map(|_| read(self)).collect()
    }

    fn address(&mut self) -> Option<Option<IpAddr>> {
        match self.octet()? {
            0 => Some(None),
            4 => Some(Some(IpAddr::from(self.array::<4>()?))),
            6 => Some(Some(IpAddr::from(self.array::<16>()?))),
            _ => None,
        }
    }

    fn mailbox(&mut self) -> Option<Mailbox> {
        let local = self.str()?.parse().ok()?;
        let host = Host::from_str(self.str()?).ok()?;
        Some(Mailbox { local, host })
    }

    /// The value, if nothing is left over.
    fn end<T>(&self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }
}

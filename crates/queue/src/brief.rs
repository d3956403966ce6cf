//! The brief: what is kept in memory of a message that waits.
//!
//! Enough to plan it, to show it in the queue view, and to know what has become of whom; in one
//! allocation, because there may be hundreds of thousands. Everything else of the envelope (the
//! trace, what the sender wants to be told) stays in the spool and is read back when something is
//! done for the message. What was said of a recipient is kept once for all who were told the same.

mod diagnoses;
#[cfg(test)]
mod tests;

pub use diagnoses::Diagnoses;

use crate::envelope::{Content, Diagnosis, Envelope, Kind, MessageId, Outcome, Recipient, State};
use mail::{Mailbox, ReversePath, Timestamp};
use std::fmt;
use std::sync::Arc;

/// A message that waits, in little memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Brief {
    /// Fixed fields, then five octets for each recipient, then the texts.
    octets: Box<[u8]>,
    /// `None` as long as nothing was said of anybody.
    last: Option<Box<Last>>,
}

const _: () = assert!(size_of::<Brief>() == 24);

/// What was last said of each recipient.
type Last = Box<[Option<Arc<Diagnosis>>]>;

/// Where the fixed fields are.
const RECEIVED: usize = 0;
const SIZE: usize = 8;
const COUNT: usize = 16;
const FLAGS: usize = 20;
const STANDINGS: usize = 21;
/// State and attempts of one recipient.
const STANDING_OCTETS: usize = 5;

const WARNED: u8 = 1;
const HELD: u8 = 2;

/// How a recipient stands.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// Where it stands.
    pub state: State,
    /// How often it has been attempted.
    pub attempts: u32,
    /// What the last attempt came to.
    pub last: Option<&'a Diagnosis>,
}

impl Brief {
    /// The brief of an envelope.
    #[must_use]
    pub fn new(envelope: &Envelope, diagnoses: &mut Diagnoses) -> Brief {
        let count = u32::try_from(envelope.recipients.len()).expect("invariant: fewer than 2^32 recipients");
        let mut octets = Vec::with_capacity(64 + 48 * envelope.recipients.len());
        octets.extend_from_slice(&envelope.received.millis().to_le_bytes());
        octets.extend_from_slice(&envelope.content.size_bytes.to_le_bytes());
        octets.extend_from_slice(&count.to_le_bytes());
        octets.push(flag(envelope.warned, WARNED) | flag(envelope.held, HELD));
        for recipient in &envelope.recipients {
            octets.push(code(recipient.state));
            octets.extend_from_slice(&recipient.attempts.to_le_bytes());
        }
        let server = u32::try_from(envelope.server.len()).expect("invariant: a name is shorter than 4 GiB");
        octets.extend_from_slice(&server.to_le_bytes());
        octets.extend_from_slice(envelope.server.as_bytes());
        match &envelope.reverse_path {
            // No mailbox has an empty host.
            ReversePath::Null => octets.extend_from_slice(&[0, 0]),
            ReversePath::Mailbox(mailbox) => put_mailbox(&mut octets, mailbox),
        }
        envelope.recipients.iter().for_each(|recipient| put_mailbox(&mut octets, &recipient.forward_path));
        let mut brief = Brief { octets: octets.into(), last: None };
        for (place, recipient) in envelope.recipients.iter().enumerate() {
            if let Some(last) = &recipient.last {
                brief.set_last(place, diagnoses.keep(last));
            }
        }
        brief
    }

    /// When the message was received.
    #[must_use]
    pub fn received(&self) -> Timestamp {
        Timestamp::from_millis(self.u64_at(RECEIVED))
    }

    /// Octets of its body.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.u64_at(SIZE)
    }

    /// The virtual server that received it.
    #[must_use]
    pub fn server(&self) -> &str {
        self.texts().long()
    }

    /// Who it is from.
    #[must_use]
    pub fn reverse_path(&self) -> ReversePath {
        let mut texts = self.texts();
        texts.long();
        texts.mailbox().map_or(ReversePath::Null, ReversePath::Mailbox)
    }

    /// Whom it is for, in the order of the envelope.
    pub fn forward_paths(&self) -> impl Iterator<Item = Mailbox> + '_ {
        let mut texts = self.texts();
        texts.long();
        texts.mailbox();
        (0..self.len()).filter_map(move |_| texts.mailbox())
    }

    /// The recipients that are still to be attempted, with their places.
    pub fn pending(&self) -> impl Iterator<Item = (usize, Mailbox)> + '_ {
        self.forward_paths().enumerate().filter(|(place, _)| self.state(*place) == State::Pending)
    }

    /// How many recipients there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let count = self.octets[COUNT..COUNT + 4].try_into().expect("invariant: four octets");
        u32::from_le_bytes(count) as usize
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How a recipient stands; `None` if there is no such place.
    #[must_use]
    pub fn standing(&self, place: usize) -> Option<Standing<'_>> {
        (place < self.len()).then(|| Standing {
            state: self.state(place),
            attempts: self.attempts(place),
            last: self.last.as_ref().and_then(|last| last.get(place)?.as_deref()),
        })
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        (0..self.len()).all(|place| self.state(place) != State::Pending)
    }

    /// Whether the sender has been told that it is late.
    #[must_use]
    pub fn is_warned(&self) -> bool {
        self.octets[FLAGS] & WARNED != 0
    }

    /// The sender has been told that it is late.
    pub fn set_warned(&mut self) {
        self.octets[FLAGS] |= WARNED;
    }

    /// Whether an administrator holds it back.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.octets[FLAGS] & HELD != 0
    }

    /// An administrator holds it back, or lets it go.
    pub fn set_held(&mut self, held: bool) {
        self.octets[FLAGS] &= !HELD;
        self.octets[FLAGS] |= flag(held, HELD);
    }

    /// Writes the outcomes of an attempt into the recipients they concern.
    pub fn apply(&mut self, outcomes: &[Outcome], diagnoses: &mut Diagnoses) {
        let count = self.len();
        for outcome in outcomes.iter().filter(|outcome| outcome.recipient < count) {
            let attempts = self.attempts(outcome.recipient).saturating_add(1);
            self.put(outcome.recipient, State::after(outcome.result), attempts, diagnoses.keep(&outcome.diagnosis));
        }
    }

    /// Writes down how a recipient stands.
    pub(crate) fn put(&mut self, place: usize, state: State, attempts: u32, last: Arc<Diagnosis>) {
        let at = STANDINGS + STANDING_OCTETS * place;
        self.octets[at] = code(state);
        self.octets[at + 1..at + STANDING_OCTETS].copy_from_slice(&attempts.to_le_bytes());
        self.set_last(place, last);
    }

    /// The envelope as it stands: what its record says, with what has become of it since.
    #[must_use]
    pub fn complete(&self, mut envelope: Envelope) -> Envelope {
        envelope.warned = self.is_warned();
        envelope.held = self.is_held();
        for (place, recipient) in envelope.recipients.iter_mut().enumerate() {
            let Some(standing) = self.standing(place) else { break };
            recipient.state = standing.state;
            recipient.attempts = standing.attempts;
            recipient.last = standing.last.cloned();
        }
        envelope
    }

    /// All that is known of the envelope without the spool: enough to tell its sender that the rest
    /// is lost.
    #[must_use]
    pub fn outline(&self, id: MessageId) -> Envelope {
        let recipient = |forward_path| Recipient {
            forward_path,
            original: None,
            notify: None,
            state: State::Pending,
            attempts: 0,
            last: None,
        };
        self.complete(Envelope {
            id,
            kind: Kind::Mail,
            received: self.received(),
            server: self.server().into(),
            client: None,
            hello: None,
            reverse_path: self.reverse_path(),
            ret: None,
            envid: None,
            smtputf8: false,
            content: Content { size_bytes: self.size_bytes(), ..Content::default() },
            trace: Box::default(),
            recipients: self.forward_paths().map(recipient).collect(),
            warned: false,
            held: false,
            counted: None,
        })
    }

    fn set_last(&mut self, place: usize, last: Arc<Diagnosis>) {
        let count = self.len();
        self.last.get_or_insert_with(|| Box::new(vec![None; count].into()))[place] = Some(last);
    }

    fn state(&self, place: usize) -> State {
        match self.octets[STANDINGS + STANDING_OCTETS * place] {
            0 => State::Pending,
            1 => State::Delivered,
            _ => State::Failed,
        }
    }

    fn attempts(&self, place: usize) -> u32 {
        let at = STANDINGS + STANDING_OCTETS * place + 1;
        u32::from_le_bytes(self.octets[at..at + 4].try_into().expect("invariant: four octets"))
    }

    fn u64_at(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.octets[at..at + 8].try_into().expect("invariant: eight octets"))
    }

    fn texts(&self) -> Texts<'_> {
        Texts(&self.octets[STANDINGS + STANDING_OCTETS * self.len()..])
    }
}

impl fmt::Debug for Brief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Brief(from <{}> to ", self.reverse_path())?;
        f.debug_list().entries(self.forward_paths()).finish()?;
        f.write_str(")")
    }
}

fn flag(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

fn code(state: State) -> u8 {
    match state {
        State::Pending => 0,
        State::Delivered => 1,
        State::Failed => 2,
    }
}

/// Local part and host apart, as in the spool, each with one octet of length in front.
fn put_mailbox(to: &mut Vec<u8>, mailbox: &Mailbox) {
    for text in [mailbox.local.to_string(), mailbox.host.to_string()] {
        to.push(u8::try_from(text.len()).expect("invariant: RFC 5321 §4.5.3.1 bounds both, quoted or not"));
        to.extend_from_slice(text.as_bytes());
    }
}

/// Texts that have not been read yet.
struct Texts<'a>(&'a [u8]);

impl<'a> Texts<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(count);
        self.0 = rest;
        front
    }

    fn text(&mut self, count: usize) -> &'a str {
        std::str::from_utf8(self.take(count)).expect("invariant: a brief holds what was text")
    }

    fn long(&mut self) -> &'a str {
        let count = u32::from_le_bytes(self.take(4).try_into().expect("invariant: four octets"));
        self.text(count as usize)
    }

    fn short(&mut self) -> &'a str {
        let count = self.take(1)[0];
        self.text(usize::from(count))
    }

    /// The next mailbox; `None` where the null reverse-path stands.
    fn mailbox(&mut self) -> Option<Mailbox> {
        let (local, host) = (self.short(), self.short());
        let read = || Some(Mailbox { local: local.parse().ok()?, host: host.parse().ok()? });
        (!host.is_empty()).then(|| read().expect("invariant: a mailbox reads back"))
    }
}

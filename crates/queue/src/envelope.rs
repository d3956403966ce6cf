//! The envelope: who a message is from, whom it is for, and what has become of each of them.

use mail::{EnhancedStatus, Mailbox, ReversePath, Timestamp};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The queue identifier of a message. It never repeats within one state directory, and needs no
/// clock: the high half counts how often the spool has been opened, the low half the messages since.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u64);

/// A spool is opened less often than this, so the incarnation that follows one can always be counted.
pub(crate) const INCARNATIONS: u32 = 1 << 31;

impl MessageId {
    /// Whether a spool can have given it out.
    pub(crate) fn is_possible(self) -> bool {
        self.0 >> 32 < u64::from(INCARNATIONS)
    }
}

/// Letters and digits that are not mistaken for one another on the telephone (Crockford).
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let significant = (64 - self.0.leading_zeros()).div_ceil(5).max(8) as usize;
        let mut digits = [0; 13];
        for (place, digit) in digits[..significant].iter_mut().rev().enumerate() {
            *digit = DIGITS[(self.0 >> (5 * place) & 31) as usize];
        }
        // One write: an identifier is in the reply, the trace field and every line of the log.
        f.write_str(std::str::from_utf8(&digits[..significant]).expect("invariant: the digits are ASCII"))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MessageId {
    type Err = NotAMessageId;

    fn from_str(text: &str) -> Result<MessageId, NotAMessageId> {
        if !(8..=13).contains(&text.len()) {
            return Err(NotAMessageId);
        }
        let mut value: u128 = 0;
        for b in text.bytes() {
            let digit = DIGITS.iter().position(|d| *d == b.to_ascii_uppercase()).ok_or(NotAMessageId)?;
            value = value << 5 | digit as u128;
        }
        let id = u64::try_from(value).map(MessageId).map_err(|_| NotAMessageId)?;
        if id.to_string().len() == text.len() { Ok(id) } else { Err(NotAMessageId) }
    }
}

/// A text that is not a queue identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAMessageId;

impl fmt::Display for NotAMessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a queue identifier")
    }
}

impl std::error::Error for NotAMessageId {}

/// How much of a message a report about it returns (RFC 3461 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ret {
    /// The whole message.
    Full,
    /// Its header only.
    Headers,
}

/// About which events the sender wants reports (RFC 3461 §4.1); all false is NEVER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notify {
    /// When it has been delivered.
    pub success: bool,
    /// When it has failed.
    pub failure: bool,
    /// When it is late.
    pub delay: bool,
}

impl Notify {
    /// What holds when the sender did not say: failures and delays.
    pub const UNSAID: Notify = Notify { success: false, failure: true, delay: true };
}

/// The original recipient address (RFC 3461 §4.2), decoded; printable characters only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// The address type, usually `rfc822`.
    pub kind: Box<str>,
    /// The address.
    pub address: Box<str>,
}

/// What a body needs of the hop that is to take it; found out once, on receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Content {
    /// Octets of the body as stored, without the header fields we add.
    pub size_bytes: u64,
    /// Some octet is not ASCII.
    pub eight_bit: bool,
    /// It was sent as BINARYMIME: it has no lines.
    pub binary: bool,
    /// Some line begins with a dot.
    pub dots: bool,
    /// Some line is longer than 998 octets.
    pub long_lines: bool,
    /// The header has octets that are not ASCII (RFC 6532).
    pub utf8_headers: bool,
}

/// Why there is a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was received.
    Mail,
    /// We composed it: a delivery status notification.
    Report,
}

/// Whose sending a message was counted as when it was taken. What next hops refuse of it counts for them too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counted {
    /// That of the account of this name.
    Account(Box<str>),
    /// That of its client, which may send because of its address.
    Client,
}

/// Where a recipient stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Still to be attempted, for the first time or again.
    Pending,
    /// The next hop, or the drop directory, has it.
    Delivered,
    /// It has failed for good, and that has been reported if anybody wanted to know.
    Failed,
}

impl State {
    /// Where a recipient stands after an attempt that ended so.
    #[must_use]
    pub fn after(ending: Ending) -> State {
        match ending {
            Ending::Delivered | Ending::Relayed => State::Delivered,
            Ending::Deferred => State::Pending,
            Ending::Failed => State::Failed,
        }
    }
}

/// One recipient of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Where it goes.
    pub forward_path: Mailbox,
    /// What the sender had called it.
    pub original: Option<Original>,
    /// What the sender wants to be told; [`Notify::UNSAID`] when it did not say.
    pub notify: Option<Notify>,
    /// Where it stands.
    pub state: State,
    /// How often it has been attempted.
    pub attempts: u32,
    /// What the last attempt came to, for the queue view and for reports.
    pub last: Option<Diagnosis>,
}

/// What an attempt came to, in the words of whoever said it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnosis {
    /// The status.
    pub status: EnhancedStatus,
    /// The text: a peer's reply with its code, or our own words.
    pub text: Box<str>,
    /// The host that said it; `None` when we did.
    pub host: Option<Box<str>>,
}

/// The envelope of a queued message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The queue identifier.
    pub id: MessageId,
    /// Why there is a message.
    pub kind: Kind,
    /// When it was received.
    pub received: Timestamp,
    /// The virtual server that received it, and whose delivery settings hold for it.
    pub server: Box<str>,
    /// Where it came from; `None` for what we composed.
    pub client: Option<IpAddr>,
    /// What the client called itself.
    pub hello: Option<Box<str>>,
    /// Who it is from.
    pub reverse_path: ReversePath,
    /// How much of it reports return.
    pub ret: Option<Ret>,
    /// The sender's own identifier for the transaction (RFC 3461 §4.4), decoded.
    pub envid: Option<Box<str>>,
    /// The transaction used SMTPUTF8.
    pub smtputf8: bool,
    /// What the body needs of a next hop.
    pub content: Content,
    /// The header fields we add, in front of the body.
    pub trace: Box<[u8]>,
    /// Whom it is for.
    pub recipients: Vec<Recipient>,
    /// The sender has been told that it is late.
    pub warned: bool,
    /// An administrator holds it back.
    pub held: bool,
    /// Whose sending it was counted as, if it was.
    pub counted: Option<Counted>,
}

impl Envelope {
    /// The recipients that are still to be attempted, with their places.
    pub fn pending(&self) -> impl Iterator<Item = (usize, &Recipient)> {
        self.recipients.iter().enumerate().filter(|(_, r)| r.state == State::Pending)
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.pending().next().is_none()
    }

    /// Writes the outcomes of an attempt into the recipients they concern.
    pub fn apply(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            let Some(recipient) = self.recipients.get_mut(outcome.recipient) else { continue };
            recipient.attempts = recipient.attempts.saturating_add(1);
            recipient.state = State::after(outcome.result);
            recipient.last = Some(outcome.diagnosis.clone());
        }
    }
}

/// What has become of one recipient in one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The recipient, by its place in the envelope.
    pub recipient: usize,
    /// How it ended.
    pub result: Ending,
    /// In whose words.
    pub diagnosis: Diagnosis,
}

/// How an attempt for one recipient ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// At its destination, or at a next hop that reports for itself from here on (RFC 3461).
    Delivered,
    /// At a next hop that cannot report: success must be reported as "relayed" if it was asked for.
    Relayed,
    /// Not now.
    Deferred,
    /// Never.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_read_back() {
        for value in [0, 1, 31, 1 << 32 | 7, u64::MAX] {
            let id = MessageId(value);
            assert_eq!(id.to_string().parse(), Ok(id), "{id}");
        }
        for text in ["", "1", "../../etc", "00000000000001", "UUUUUUUU", "ZZZZZZZZZZZZZ", "000000001"] {
            assert!(text.parse::<MessageId>().is_err(), "{text}");
        }
    }
}

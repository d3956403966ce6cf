//! Bad mail: what is left in a directory when there is nobody to report to (reference 1.3).
//!
//! Two files, as values; the gateway writes them. Their names come from the queue identifier alone,
//! so nothing a client said is ever part of a path.

use super::compose::Case;
use super::mime::Field;
use crate::envelope::Envelope;
use mail::Timestamp;

/// The two files of a bad message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadMail {
    /// Name of the file with the message.
    pub message_name: String,
    /// What stands in it in front of the body as stored: the header fields we added.
    pub message_head: Vec<u8>,
    /// Name of the file with the reason.
    pub reason_name: String,
    /// All of it: plain text, a line for each fact.
    pub reason: String,
}

/// The files for the recipients in `cases`, which failed at `now` and of which no sender can be
/// told. `cases` are all recipients of one event; a recipient fails once, so the names never repeat.
#[must_use]
pub fn bad_mail(envelope: &Envelope, cases: &[Case<'_>], now: Timestamp) -> BadMail {
    let first = cases.iter().map(|case| case.recipient).min().unwrap_or(0);
    let name = format!("{}-{}", envelope.id, first + 1);
    BadMail {
        message_name: format!("{name}.eml"),
        message_head: envelope.trace.to_vec(),
        reason_name: format!("{name}.txt"),
        reason: reason(envelope, cases, now),
    }
}

fn reason(envelope: &Envelope, cases: &[Case<'_>], now: Timestamp) -> String {
    let mut out = String::new();
    Field("Failed").write(&mut out, &now.to_string());
    Field("Message").write(&mut out, &envelope.id.to_string());
    Field("Received").write(&mut out, &envelope.received.to_string());
    Field("Server").write(&mut out, &envelope.server);
    if let Some(client) = envelope.client {
        Field("Client").write(&mut out, &client.to_string());
    }
    Field("From").write(&mut out, &format!("<{}>", envelope.reverse_path));
    for case in cases {
        let Some(recipient) = envelope.recipients.get(case.recipient) else { continue };
        out.push_str("\r\n");
        Field("To").write(&mut out, &format!("<{}>", recipient.forward_path));
        Field("Status").write(&mut out, &case.diagnosis.status.to_string());
        if let Some(host) = &case.diagnosis.host {
            Field("Host").write(&mut out, host);
        }
        Field("Text").write(&mut out, &case.diagnosis.text);
        Field("Attempts").write(&mut out, &recipient.attempts.to_string());
    }
    out
}

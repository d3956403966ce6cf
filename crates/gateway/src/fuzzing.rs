//! What the fuzzer needs to see of the log. Only with the feature `fuzzing`, which no program has.

use crate::event::{Asked, Event};
use mail::{EnhancedStatus, Mailbox, Reply, ReversePath, Timestamp};
use queue::{Ending, MessageId};
use std::net::IpAddr;
use std::time::Duration;

/// How many kinds of events [`log_lines`] can write.
pub const EVENTS: usize = 12;

/// The lines of one event, as text and as JSON, with the texts of strangers in every field that can
/// carry one.
#[must_use]
pub fn log_lines(kind: usize, number: u64, texts: &[String; 3]) -> (Vec<u8>, Vec<u8>) {
    let [a, b, c] = texts;
    let client: IpAddr = a.parse().unwrap_or([192, 0, 2, 66].into());
    let mailbox: Mailbox = b.parse().unwrap_or_else(|_| "bob@ext.example".parse().expect("invariant: a mailbox"));
    let sender = c.parse().map_or(ReversePath::Null, ReversePath::Mailbox);
    let reply = Reply::never(50, 7, 1, format!("No {c}"));
    let (id, about) = (MessageId(number), MessageId(number.rotate_left(8)));
    let (server, why, age) = (&**a, std::slice::from_ref(c), Duration::from_millis(number));
    let status = EnhancedStatus::new(mail::Class::Transient, 4, 1);
    let event = match kind {
        0 => Event::ReloadRefused { why: b },
        1 => Event::Refused {
            decision: None,
            server,
            client,
            account: Some(b),
            asked: Asked::Recipient,
            reason: "relay-denied",
            reply: &reply,
            sender: Some(&sender),
            recipient: Some(&mailbox),
            why,
        },
        2 => Event::Secured { server, client, version: b, cipher: c, certificate: Some(b) },
        3 => Event::NotSecured { server, client, why: b },
        4 => Event::Received {
            server,
            id,
            client: Some(client),
            sender: &sender,
            account: Some(b),
            submitter: Some(c),
            recipients: 1,
            submitted: 1,
            bytes: number,
        },
        5 => Event::NotTaken { server, client, why: b },
        6 => Event::HopRefused { server, hop: b, why: c },
        7 => {
            let ending = Ending::Deferred;
            Event::Outcome { server, id, recipient: &mailbox, ending, status, text: c, hop: b, age }
        }
        8 => Event::Reported { server, id, about, kind: crate::event::Reported::Failed },
        9 => Event::BadMail { server, id, why: b },
        10 => Event::Damaged { what: b },
        _ => Event::Fault { place: b, what: c },
    };
    let (mut text, mut json) = (Vec::new(), Vec::new());
    event.write_text(Timestamp::from_millis(number), &mut text);
    event.write_json(Timestamp::from_millis(number), &mut json);
    (text, json)
}

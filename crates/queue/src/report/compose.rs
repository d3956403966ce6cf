//! The report: its envelope, its header and its three parts (RFC 3462 §2).

use super::{Event, ReportSettings, mime, should, words};
use crate::envelope::{Content, Diagnosis, Envelope, Kind, MessageId, Notify, Recipient, State};
use mail::{Class, EnhancedStatus, Mailbox, ReversePath, Timestamp};
use mime::Field;

/// What a report is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The message.
    pub envelope: &'a Envelope,
    /// What happened.
    pub event: Event,
    /// To whom; every recipient of the event, so that one report tells of all of them.
    pub cases: &'a [Case<'a>],
    /// What of the message is at hand; see [`super::extent`].
    pub returned: Returned<'a>,
}

/// One recipient of the event.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The recipient, by its place in the envelope.
    pub recipient: usize,
    /// How it ended, in whose words.
    pub diagnosis: &'a Diagnosis,
    /// When it was last attempted, if ever.
    pub attempted: Option<Timestamp>,
}

/// What there is of the message: octets of the body as stored, without the header fields we added.
#[derive(Clone, Copy, Debug)]
pub enum Returned<'a> {
    /// At least the header; what follows it is ignored.
    Headers(&'a [u8]),
    /// All of it. Where it is too large or cannot stand inside another message unchanged, its header
    /// is returned.
    Full(&'a [u8]),
}

/// Composes a report. Its envelope has the null reverse-path, asks for no reports about itself, and
/// also names the address that gets copies of failures.
///
/// `None` when there is nobody to tell (the message has the null reverse-path: the caller moves it
/// to bad mail) or when no recipient's NOTIFY asks for it.
#[must_use]
pub fn compose(
    subject: &Subject<'_>,
    settings: &ReportSettings,
    id: MessageId,
    now: Timestamp,
) -> Option<(Envelope, Vec<u8>)> {
    let sender = subject.envelope.reverse_path.mailbox()?;
    let told: Vec<Told<'_>> = subject.cases.iter().filter_map(|case| Told::new(subject, case)).collect();
    if told.is_empty() {
        return None;
    }
    // RFC 6533: only whoever speaks UTF-8 is sent parts in it.
    let global = subject.envelope.smtputf8 || !sender.is_ascii();
    let plan = Plan { subject, told, sender, settings, id, now, global };
    let body = plan.message();
    Some((plan.envelope(&body), body))
}

/// Everything a report is made of.
struct Plan<'a> {
    subject: &'a Subject<'a>,
    told: Vec<Told<'a>>,
    sender: &'a Mailbox,
    settings: &'a ReportSettings,
    id: MessageId,
    now: Timestamp,
    /// Parts may be in UTF-8.
    global: bool,
}

/// A recipient that is told of.
pub(super) struct Told<'a> {
    pub(super) recipient: &'a Recipient,
    pub(super) case: &'a Case<'a>,
    /// The status, of a class that agrees with the event.
    pub(super) status: EnhancedStatus,
}

impl<'a> Told<'a> {
    fn new(subject: &Subject<'a>, case: &'a Case<'a>) -> Option<Told<'a>> {
        let recipient = subject.envelope.recipients.get(case.recipient)?;
        let status = agreeing(subject.event, case.diagnosis.status);
        should::wants(recipient, subject.event).then_some(Told { recipient, case, status })
    }
}

/// The status, unless a peer's words do not fit what happened: a delay is never "5", a delivery is never a failure.
fn agreeing(event: Event, status: EnhancedStatus) -> EnhancedStatus {
    let (class, fits) = match event {
        Event::Failed => (Class::Permanent, status.class != Class::Success),
        Event::Delayed { .. } => (Class::Transient, status.class == Class::Transient),
        Event::Relayed | Event::Delivered => (Class::Success, status.class == Class::Success),
    };
    if fits { status } else { EnhancedStatus::new(class, 0, 0) }
}

impl Plan<'_> {
    /// The whole message.
    fn message(&self) -> Vec<u8> {
        let Plan { settings, id, global, .. } = self;
        let mut head = String::with_capacity(1024);
        // Every value is ours or has been through the grammar of its place.
        Field("Date").write(&mut head, &self.now.rfc5322());
        Field("From").write(&mut head, &format!("Mail Delivery System <{}>", settings.postmaster));
        Field("To").write(&mut head, &format!("<{}>", self.sender));
        Field("Subject").write(&mut head, words::title(self.subject.event));
        Field("Message-ID").write(&mut head, &format!("<{id}.report@{}>", settings.hostname));
        Field("Auto-Submitted").write(&mut head, "auto-replied");
        Field("MIME-Version").write(&mut head, "1.0");
        let status = mime::Part {
            kind: if *global { "message/global-delivery-status" } else { "message/delivery-status" },
            encoding: if *global { "8bit" } else { "7bit" },
            content: self.status_part().into_bytes(),
        };
        let text = mime::Part::text(&words::text(self.subject, &self.told, settings), *global);
        mime::report(head, &format!("=_{id}"), [text, status, self.returned_part()])
    }

    /// The envelope: nobody is told what becomes of a report.
    fn envelope(&self, body: &[u8]) -> Envelope {
        let of_failures = self.settings.copies_to.as_ref().filter(|_| self.subject.event == Event::Failed);
        let copy = of_failures.filter(|copy| *copy != self.sender);
        let recipient = |mailbox: &Mailbox| Recipient {
            forward_path: mailbox.clone(),
            original: None,
            notify: Some(Notify { success: false, failure: false, delay: false }),
            state: State::Pending,
            attempts: 0,
            last: None,
        };
        Envelope {
            id: self.id,
            kind: Kind::Report,
            received: self.now,
            server: self.subject.envelope.server.clone(),
            client: None,
            hello: None,
            reverse_path: ReversePath::Null,
            ret: None,
            envid: None,
            smtputf8: self.global,
            content: Content {
                size_bytes: body.len() as u64,
                eight_bit: !body.is_ascii(),
                binary: false,
                dots: mime::has_dots(body),
                long_lines: false,
                utf8_headers: !mime::header_of(body).is_ascii(),
            },
            trace: Box::default(),
            recipients: std::iter::once(self.sender).chain(copy).map(recipient).collect(),
            warned: false,
            held: false,
            counted: None,
        }
    }

    /// message/delivery-status (RFC 3464 §2): fields about the message, then fields about each recipient.
    fn status_part(&self) -> String {
        let Plan { subject, settings, global, .. } = self;
        let global = *global;
        let mut out = String::with_capacity(512);
        let line = |text: &str| if global { text.to_owned() } else { mime::ascii(text) };
        // §2.2.1. The value is ENVID without its xtext encoding (RFC 3461 §6.3).
        if let Some(envid) = &subject.envelope.envid {
            Field("Original-Envelope-Id").write(&mut out, &line(envid));
        }
        Field("Reporting-MTA").write(&mut out, &format!("dns; {}", settings.hostname));
        Field("Arrival-Date").write(&mut out, &subject.envelope.received.rfc5322());
        for Told { recipient, case, status } in &self.told {
            out.push_str("\r\n");
            if let Some(original) = &recipient.original {
                let address = address(&original.kind, &original.address, global);
                Field("Original-Recipient").write(&mut out, &address);
            }
            let to = recipient.forward_path.to_string();
            Field("Final-Recipient").write(&mut out, &address("rfc822", &to, global));
            Field("Action").write(&mut out, words::action(subject.event));
            Field("Status").write(&mut out, &status.to_string());
            let Diagnosis { text, host, .. } = case.diagnosis;
            if let Some(host) = host {
                Field("Remote-MTA").write(&mut out, &format!("dns; {}", line(host)));
            }
            if !text.trim().is_empty() {
                let kind = if host.is_some() { "smtp" } else { "x-bridgehead" };
                Field("Diagnostic-Code").write(&mut out, &format!("{kind}; {}", line(text)));
            }
            if let Some(at) = case.attempted {
                Field("Last-Attempt-Date").write(&mut out, &at.rfc5322());
            }
            if let Event::Delayed { retry_until } = subject.event {
                Field("Will-Retry-Until").write(&mut out, &retry_until.rfc5322());
            }
        }
        out
    }

    /// What is returned of the message.
    fn returned_part(&self) -> mime::Part {
        let Plan { subject, settings, global, .. } = self;
        let global = *global;
        let trace = &subject.envelope.trace;
        let stored = match subject.returned {
            Returned::Full(body) => {
                let whole = [trace, body].concat();
                if body.len() as u64 <= settings.returned_bytes && mime::can_be_enclosed(&whole) {
                    let kind = if global { "message/global" } else { "message/rfc822" };
                    return mime::Part {
                        kind,
                        encoding: if whole.is_ascii() { "7bit" } else { "8bit" },
                        content: whole,
                    };
                }
                body
            }
            Returned::Headers(body) => body,
        };
        let header = [trace, mime::header_of(stored)].concat();
        if global && !header.is_ascii() && std::str::from_utf8(&header).is_ok() && mime::can_be_enclosed(&header) {
            return mime::Part { kind: "message/global-headers", encoding: "8bit", content: header };
        }
        mime::Part::header(&header)
    }
}

/// An address with its type. Addresses that are not ASCII have a type of their own, and a spelling
/// for places where UTF-8 cannot be sent (RFC 6533 §3).
fn address(kind: &str, address: &str, global: bool) -> String {
    let atom = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !atom {
        return format!("unknown; {}", if global { address.to_owned() } else { mime::ascii(address) });
    }
    match (address.is_ascii(), global) {
        (true, _) => format!("{kind}; {address}"),
        (false, true) => format!("utf-8; {address}"),
        (false, false) => format!("utf-8; {}", mime::utf8_address_in_ascii(address)),
    }
}

//! What a report says to people: plain English for somebody who sent a mail and knows nothing of SMTP.

use super::compose::{Subject, Told};
use super::{Event, ReportSettings, mime};
use mail::EnhancedStatus;

/// Columns of the text.
const WIDTH: usize = 72;
/// Octets of what another server said that are shown.
const SAID_OCTETS: usize = 600;

/// The subject of the report.
pub(super) fn title(event: Event) -> &'static str {
    match event {
        Event::Failed => "Your message could not be delivered",
        Event::Delayed { .. } => "Your message has not been delivered yet",
        Event::Relayed => "Your message has been passed on",
        Event::Delivered => "Your message has been delivered",
    }
}

/// The word for it in the Action field (RFC 3464 §2.3.3).
pub(super) fn action(event: Event) -> &'static str {
    match event {
        Event::Failed => "failed",
        Event::Delayed { .. } => "delayed",
        Event::Relayed => "relayed",
        Event::Delivered => "delivered",
    }
}

/// The text part.
pub(super) fn text(subject: &Subject<'_>, told: &[Told<'_>], settings: &ReportSettings) -> String {
    let mut page = Page(String::with_capacity(1024));
    let whom = if told.len() == 1 { "the recipient below" } else { "the recipients below" };
    let date = subject.envelope.received.rfc5322();
    page.paragraph("", &format!("This is the mail server {}.", settings.hostname));
    page.paragraph("", &format!("{} {}", opening(subject.event, whom, &date), consequence(subject.event)));
    for Told { recipient, case, status } in told {
        page.paragraph("  ", &recipient.forward_path.to_string());
        if matches!(subject.event, Event::Failed | Event::Delayed { .. }) {
            let (what, advice) = explain(*status);
            let advice = if subject.event == Event::Failed { advice } else { "" };
            page.paragraph("      ", &format!("{what} {advice}"));
        }
        said(&mut page, case.diagnosis.host.as_deref(), &case.diagnosis.text);
    }
    page.paragraph(
        "",
        &format!(
            "If you need help, forward this whole message to {}. Your message was number {} here.",
            settings.postmaster, subject.envelope.id
        ),
    );
    page.0
}

/// What the other server said, or what we noted ourselves.
fn said(page: &mut Page, host: Option<&str>, text: &str) {
    if text.trim().is_empty() {
        return;
    }
    let who = match host {
        Some(host) => format!("The server {} said:", mime::tame(host, 260)),
        None => "Details:".to_owned(),
    };
    page.lines("      ", &who);
    page.paragraph("          ", &mime::tame(text, SAID_OCTETS));
}

fn opening(event: Event, whom: &str, date: &str) -> String {
    match event {
        Event::Failed => format!("Your message of {date} could not be delivered to {whom}."),
        Event::Delayed { .. } => format!("Your message of {date} has not been delivered yet to {whom}."),
        Event::Relayed => format!("Your message of {date} has been passed on to the mail server of {whom}."),
        Event::Delivered => format!("Your message of {date} has been delivered to {whom}."),
    }
}

fn consequence(event: Event) -> String {
    match event {
        Event::Failed => "It will not be tried again.".to_owned(),
        Event::Delayed { retry_until } => format!(
            "You need not do anything: delivery will be tried until {}. If it does not succeed by then, you will be told.",
            retry_until.rfc5322()
        ),
        Event::Relayed => {
            "That server does not send delivery reports, so this is the last you will hear of it unless it fails."
                .to_owned()
        }
        Event::Delivered => "You had asked to be told.".to_owned(),
    }
}

/// What a status means and what its receiver can do (RFC 3463 §3). The detail first, else the subject.
fn explain(status: EnhancedStatus) -> (&'static str, &'static str) {
    match (status.subject, status.detail) {
        (1, 1 | 6) => ("There is no such mailbox.", "Check the address, and ask the person for the right one."),
        (1, 2) | (4, 0 | 4) => ("No way to the domain behind the @ is known.", "Check the domain for misspellings."),
        (1, 3) => ("The address is not written correctly.", "Check it for misspellings."),
        (1, 7 | 8) => ("Your own address was not accepted.", "Check the sender address of your mail program."),
        (1, 10) => ("The domain takes no mail.", "Ask the person for another address."),
        (2, 1) => ("The mailbox is disabled.", "Ask the person for another address."),
        (2, 2) => ("The mailbox is full.", "Try again later, or reach the person in another way."),
        (2, 3) | (3, 4) => ("The message is too large.", "Send it without large attachments, or in parts."),
        (3, 1) => ("The mail server has no room for more mail.", "Try again later."),
        (3, 2) => ("An administrator has taken the message out of the queue.", "Ask the postmaster below why."),
        (4, 1 | 2) => ("The mail server did not answer.", "Try again later."),
        (4, 6 | 8) => {
            ("The message went round in circles.", "Tell the postmaster below: a mail server is set up wrongly.")
        }
        (4, 7) => (
            "It could not be delivered in the time that is allowed.",
            "Try again later, or reach the person in another way.",
        ),
        (6, 7..=10) => {
            ("The mail server cannot take international addresses.", "Ask the person for an address in plain letters.")
        }
        (7, 1) => ("The mail server does not let you send to this address.", "Ask the person how you can reach them."),
        (1, _) => ("There is something wrong with the address.", "Check it for misspellings."),
        (2, _) => ("The mailbox could not take the message.", "Reach the person in another way."),
        (3, _) => ("The mail server had a problem.", "Try again later."),
        (4, _) => ("The mail server could not be reached.", "Try again later."),
        (5, _) => ("The mail servers did not understand one another.", "Tell the postmaster below."),
        (6, _) => ("The mail server could not take the contents of the message.", "Send it in a simpler form."),
        (7, _) => ("The mail server refused the message by its rules.", "Ask the person how you can reach them."),
        _ => ("The mail server did not say why in a way we know.", "See what it said."),
    }
}

/// Text in lines of limited width.
struct Page(String);

impl Page {
    /// Indented lines, and an empty one behind them.
    fn paragraph(&mut self, indent: &str, text: &str) {
        self.lines(indent, text);
        self.0.push_str("\r\n");
    }

    /// Indented lines. Words that are too long for a line are broken: nothing makes a line longer.
    fn lines(&mut self, indent: &str, text: &str) {
        let room = WIDTH - indent.len();
        let mut line = String::new();
        let tame = mime::tame(text, usize::MAX);
        for word in tame.split(' ').filter(|word| !word.is_empty()).flat_map(|word| pieces(word, room)) {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
                self.line(indent, &line);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            self.line(indent, &line);
        }
    }

    fn line(&mut self, indent: &str, line: &str) {
        self.0.push_str(indent);
        self.0.push_str(line);
        self.0.push_str("\r\n");
    }
}

/// A word in pieces of at most `room` characters.
fn pieces(word: &str, room: usize) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let end = rest.char_indices().nth(room).map_or(rest.len(), |(at, _)| at);
        let (piece, behind) = rest.split_at(end);
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

//! Reports as they are sent, compared with the files in `tests/reports`; `UPDATE_REPORTS=1` rewrites
//! them, and the difference is the review. What must hold of every report is checked on each.

// Golden files are read and written by tests.
#![allow(clippy::disallowed_methods)]

use super::should::{extent, should_report, wants};
use super::*;
use crate::envelope::{Content, Diagnosis, Ending, Envelope, Kind, MessageId, Notify, Original, Recipient, Ret, State};
use mail::{ReversePath, Timestamp};
use proptest::prelude::*;
use std::path::PathBuf;

const RECEIVED: Timestamp = Timestamp::from_millis(1_795_301_320_123);
const NOW: Timestamp = Timestamp::from_millis(1_795_301_320_123 + 3_600_000);
const TRACE: &[u8] = b"Received: from there.test ([192.0.2.66])\r\n\tby mx.test with ESMTP id 00000001;\r\n\tSat, 21 Nov 2026 22:48:40 +0000\r\n";
const BODY: &[u8] = b"From: Ann <ann@there.test>\r\nTo: bob@ext.example\r\nSubject: Lunch?\r\n\r\nAt one?\r\n.\r\n";

fn settings() -> ReportSettings {
    ReportSettings::new("mx.test".parse().unwrap(), "postmaster@mx.test".parse().unwrap())
}

fn recipient(address: &str) -> Recipient {
    Recipient {
        forward_path: address.parse().unwrap(),
        original: None,
        notify: None,
        state: State::Pending,
        attempts: 1,
        last: None,
    }
}

fn envelope(recipients: Vec<Recipient>) -> Envelope {
    Envelope {
        id: MessageId(1 << 32 | 7),
        kind: Kind::Mail,
        received: RECEIVED,
        server: "inbound".into(),
        client: Some("192.0.2.66".parse().unwrap()),
        hello: Some("there.test".into()),
        reverse_path: ReversePath::Mailbox("ann@there.test".parse().unwrap()),
        ret: None,
        envid: None,
        smtputf8: false,
        content: Content { size_bytes: BODY.len() as u64, ..Content::default() },
        trace: TRACE.into(),
        recipients,
        warned: false,
        held: false,
        counted: None,
    }
}

fn diagnosis(status: &str, text: &str, host: Option<&str>) -> Diagnosis {
    Diagnosis { status: status.parse().unwrap(), text: text.into(), host: host.map(Into::into) }
}

fn no_such_user() -> Diagnosis {
    diagnosis("5.1.1", "550 5.1.1 <bob@ext.example>: user unknown", Some("mail.ext.example"))
}

fn cases(diagnoses: &[Diagnosis]) -> Vec<Case<'_>> {
    let case = |(recipient, diagnosis)| Case { recipient, diagnosis, attempted: Some(NOW) };
    diagnoses.iter().enumerate().map(case).collect()
}

fn report(envelope: &Envelope, event: Event, diagnoses: &[Diagnosis], returned: Returned<'_>) -> (Envelope, Vec<u8>) {
    let cases = cases(diagnoses);
    let subject = Subject { envelope, event, cases: &cases, returned };
    let (report, body) = compose(&subject, &settings(), MessageId(1 << 32 | 8), NOW).expect("a report");
    sound(&report, &body);
    (report, body)
}

/// What holds of every report.
fn sound(report: &Envelope, body: &[u8]) {
    assert_eq!((report.kind, &report.reverse_path), (Kind::Report, &ReversePath::Null));
    assert!(report.recipients.iter().all(|r| r.notify.is_some_and(|n| !n.success && !n.failure && !n.delay)));
    assert_eq!(report.content.size_bytes, body.len() as u64);
    assert_eq!(report.content.eight_bit, !body.is_ascii());
    assert!(body.ends_with(b"\r\n"));
    for line in body.strip_suffix(b"\r\n").unwrap().split(|b| *b == b'\n') {
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        assert!(text.len() <= 998, "a line of {} octets", text.len());
        assert!(!text.contains(&b'\r') && !text.contains(&0));
    }
    assert!(report.smtputf8 || mime::header_of(body).is_ascii());
}

fn golden(name: &str, body: &[u8]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reports").join(name).with_extension("eml");
    if std::env::var_os("UPDATE_REPORTS").is_some() {
        std::fs::write(&path, body).unwrap();
    }
    let expected = std::fs::read(&path).unwrap_or_default();
    assert_eq!(String::from_utf8_lossy(body), String::from_utf8_lossy(&expected), "{}", path.display());
}

#[test]
fn f13_a_refused_recipient() {
    let envelope = envelope(vec![recipient("bob@ext.example")]);
    let (report, body) = report(&envelope, Event::Failed, &[no_such_user()], Returned::Headers(BODY));
    assert_eq!(report.recipients[0].forward_path.to_string(), "ann@there.test");
    assert_eq!(report.recipients.len(), 1);
    golden("refused", &body);
}

#[test]
fn f13_everything_the_sender_asked_for() {
    let mut bob = recipient("bob@ext.example");
    bob.notify = Some(Notify { success: true, failure: true, delay: true });
    bob.original = Some(Original { kind: "rfc822".into(), address: "robert+x=y@alias.example".into() });
    let mut envelope = envelope(vec![bob, recipient("carol@ext.example"), recipient("dan@full.example")]);
    envelope.ret = Some(Ret::Full);
    envelope.envid = Some("QQ 314159+x".into());
    let diagnoses = [
        no_such_user(),
        diagnosis("5.2.2", "552 5.2.2 Mailbox full", Some("mail.full.example")),
        diagnosis("5.4.4", "no route to ext.example", None),
    ];
    let (report, body) = report(&envelope, Event::Failed, &diagnoses, Returned::Full(BODY));
    assert!(report.content.dots);
    golden("full", &body);
}

#[test]
fn f07_a_delayed_and_an_expired_message() {
    let envelope = envelope(vec![recipient("bob@ext.example")]);
    let event = Event::Delayed { retry_until: RECEIVED.after(std::time::Duration::from_secs(172_800)) };
    let refused = diagnosis("4.4.1", "connection to [10.0.0.20]:25 refused", None);
    let (_, body) = report(&envelope, event, &[refused], Returned::Headers(BODY));
    golden("delayed", &body);
    let expired = Diagnosis { status: EXPIRED, text: "last error: connection refused".into(), host: None };
    let (_, body) = report(&envelope, Event::Failed, &[expired], Returned::Headers(BODY));
    golden("expired", &body);
}

#[test]
fn n05_a_deleted_message() {
    let envelope = envelope(vec![recipient("bob@ext.example")]);
    let deleted = Diagnosis { status: DELETED, text: "deleted by an administrator".into(), host: None };
    let (_, body) = report(&envelope, Event::Failed, &[deleted], Returned::Headers(BODY));
    golden("deleted", &body);
}

#[test]
fn successes() {
    let mut bob = recipient("bob@ext.example");
    bob.notify = Some(Notify { success: true, failure: false, delay: false });
    let envelope = envelope(vec![bob]);
    let taken = diagnosis("2.6.0", "250 2.6.0 queued as 4711", Some("mail.ext.example"));
    let (_, body) = report(&envelope, Event::Relayed, &[taken], Returned::Headers(BODY));
    golden("relayed", &body);
    let dropped = diagnosis("2.0.0", "", None);
    let (_, body) = report(&envelope, Event::Delivered, &[dropped], Returned::Headers(BODY));
    golden("delivered", &body);
}

#[test]
fn an_international_report() {
    let mut envelope = envelope(vec![recipient("jürgen@ext.example")]);
    envelope.reverse_path = ReversePath::Mailbox("änn@there.test".parse().unwrap());
    envelope.smtputf8 = true;
    envelope.content.utf8_headers = true;
    let refused = diagnosis("5.1.1", "550 5.1.1 jürgen: unbekannt", Some("mail.ext.example"));
    let body = "Subject: Grüße\r\n\r\nHallo\r\n".as_bytes();
    let (report, headers) = report(&envelope, Event::Failed, std::slice::from_ref(&refused), Returned::Headers(body));
    assert!(report.smtputf8 && report.content.utf8_headers && report.content.eight_bit);
    golden("international", &headers);
    let (_, full) = self::report(&envelope, Event::Failed, &[refused], Returned::Full(body));
    golden("international-full", &full);
}

#[test]
fn without_utf8_everything_is_ascii() {
    let mut bob = recipient("bob@ext.example");
    bob.original = Some(Original { kind: "utf-8".into(), address: "jürgen@ext.example".into() });
    let envelope = envelope(vec![bob]);
    let refused = diagnosis("5.1.1", "550 5.1.1 jürgen: unbekannt", Some("mail.ext.example"));
    let odd = format!("Subject: Grüße\r\nX-Long: {}\r\n\r\nHallo\r\n", "x".repeat(2000));
    for returned in [Returned::Headers(odd.as_bytes()), Returned::Full(odd.as_bytes())] {
        let (_, body) = report(&envelope, Event::Failed, std::slice::from_ref(&refused), returned);
        assert!(body.is_ascii());
        golden("ascii", &body);
    }
}

#[test]
fn row_32_never_about_a_report_nor_against_the_senders_wish() {
    let mut envelope = envelope(vec![recipient("bob@ext.example"), recipient("carol@ext.example")]);
    envelope.recipients[0].notify = Some(Notify { success: false, failure: false, delay: false });
    let diagnoses = [no_such_user(), no_such_user()];
    let about = |envelope: &Envelope, cases: &[Case<'_>]| {
        let subject = Subject { envelope, event: Event::Failed, cases, returned: Returned::Headers(BODY) };
        compose(&subject, &settings(), MessageId(9), NOW)
    };
    let both = cases(&diagnoses);
    assert!(about(&envelope, &both[..1]).is_none(), "NOTIFY=NEVER");
    let (_, body) = about(&envelope, &both).expect("carol's");
    let text = String::from_utf8(body).unwrap();
    assert!(text.contains("Final-Recipient: rfc822; carol@") && !text.contains("Final-Recipient: rfc822; bob@"));
    envelope.reverse_path = ReversePath::Null;
    assert!(about(&envelope, &both).is_none(), "the null reverse-path");
}

#[test]
fn copies_of_failures_go_to_the_address_in_the_settings() {
    let envelope = envelope(vec![recipient("bob@ext.example")]);
    let diagnoses = [no_such_user()];
    let whom = |event, copies_to: &str| {
        let settings = ReportSettings { copies_to: Some(copies_to.parse().unwrap()), ..settings() };
        let cases = cases(&diagnoses);
        let subject = Subject { envelope: &envelope, event, cases: &cases, returned: Returned::Headers(BODY) };
        let (report, _) = compose(&subject, &settings, MessageId(9), NOW).unwrap();
        report.recipients.iter().map(|r| r.forward_path.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(whom(Event::Failed, "ndr@corp.test"), ["ann@there.test", "ndr@corp.test"]);
    assert_eq!(whom(Event::Failed, "ann@there.test"), ["ann@there.test"]);
    assert_eq!(whom(Event::Delayed { retry_until: NOW }, "ndr@corp.test"), ["ann@there.test"]);
}

/// RFC 3461 §5.2: what the sender asked for, how it ended, whether the next hop reports for itself.
#[test]
fn what_is_reported() {
    use Ending::{Deferred, Delivered, Failed, Relayed};
    let never = Notify { success: false, failure: false, delay: false };
    let success = Notify { success: true, ..never };
    let failure = Notify { failure: true, ..never };
    let delay = Notify { delay: true, ..never };
    for (notify, ending, hop_reports, expected) in [
        (None, Failed, false, Some(Event::Failed)),
        (None, Failed, true, Some(Event::Failed)),
        (None, Relayed, false, None),
        (None, Delivered, false, None),
        (None, Delivered, true, None),
        (None, Deferred, false, None),
        (Some(never), Failed, false, None),
        (Some(never), Relayed, false, None),
        (Some(never), Delivered, false, None),
        (Some(never), Deferred, true, None),
        (Some(success), Failed, false, None),
        (Some(success), Relayed, false, Some(Event::Relayed)),
        (Some(success), Relayed, true, None),
        (Some(success), Delivered, false, Some(Event::Delivered)),
        (Some(success), Delivered, true, None),
        (Some(success), Deferred, false, None),
        (Some(failure), Failed, true, Some(Event::Failed)),
        (Some(failure), Relayed, false, None),
        (Some(delay), Failed, false, None),
        (Some(delay), Deferred, false, None),
    ] {
        let recipient = Recipient { notify, ..recipient("bob@ext.example") };
        assert_eq!(should_report(&recipient, ending, hop_reports), expected, "{notify:?} {ending:?} {hop_reports}");
    }
    let late = Event::Delayed { retry_until: NOW };
    for (notify, expected) in [(None, true), (Some(never), false), (Some(failure), false), (Some(delay), true)] {
        assert_eq!(wants(&Recipient { notify, ..recipient("bob@ext.example") }, late), expected, "{notify:?}");
    }
}

/// RFC 3461 §4.3.
#[test]
fn how_much_is_returned() {
    let late = Event::Delayed { retry_until: NOW };
    let small = Content { size_bytes: 51_200, ..Content::default() };
    let large = Content { size_bytes: 51_201, ..Content::default() };
    let binary = Content { binary: true, ..small };
    for (ret, event, content, expected) in [
        (None, Event::Failed, small, Extent::Headers),
        (Some(Ret::Headers), Event::Failed, small, Extent::Headers),
        (Some(Ret::Full), Event::Failed, small, Extent::Full),
        (Some(Ret::Full), Event::Failed, large, Extent::Headers),
        (Some(Ret::Full), Event::Failed, binary, Extent::Headers),
        (Some(Ret::Full), late, small, Extent::Headers),
        (Some(Ret::Full), Event::Relayed, small, Extent::Headers),
        (Some(Ret::Full), Event::Delivered, small, Extent::Headers),
    ] {
        let envelope = Envelope { ret, content, ..envelope(vec![]) };
        assert_eq!(extent(&envelope, event, &settings()), expected, "{ret:?} {event:?} {content:?}");
    }
}

#[test]
fn statuses_agree_with_what_happened() {
    let bob = Recipient { notify: Some(Notify { success: true, failure: true, delay: true }), ..recipient("b@x.test") };
    let envelope = envelope(vec![bob]);
    let late = Event::Delayed { retry_until: NOW };
    for (event, status, expected) in [
        (Event::Failed, "5.7.1", "5.7.1"),
        (Event::Failed, "4.4.7", "4.4.7"),
        (Event::Failed, "2.0.0", "5.0.0"),
        (late, "4.4.1", "4.4.1"),
        (late, "5.1.1", "4.0.0"),
        (Event::Relayed, "2.1.5", "2.1.5"),
        (Event::Delivered, "5.1.1", "2.0.0"),
    ] {
        let (_, body) = report(&envelope, event, &[diagnosis(status, "x", None)], Returned::Headers(BODY));
        let text = String::from_utf8(body).unwrap();
        assert!(text.contains(&format!("\r\nStatus: {expected}\r\n")), "{event:?} {status}");
    }
}

#[test]
fn a_large_message_is_not_returned_whole_whoever_hands_it_in() {
    let envelope = envelope(vec![recipient("bob@ext.example")]);
    for (lines, whole) in [(100, true), (2000, false)] {
        let message = format!("Subject: x\r\n\r\n{}", "some words that are said again\r\n".repeat(lines));
        let (_, body) = report(&envelope, Event::Failed, &[no_such_user()], Returned::Full(message.as_bytes()));
        assert_eq!(String::from_utf8(body).unwrap().contains("some words"), whole, "{lines} lines");
    }
}

#[test]
fn the_boundary_is_not_in_what_is_returned() {
    let envelope = envelope(vec![recipient("bob@ext.example")]);
    let id = MessageId(1 << 32 | 8);
    let evil = format!("Subject: x\r\n\r\n--=_{id}--\r\nContent-Type: text/html\r\n\r\nboo\r\n");
    let (_, body) = report(&envelope, Event::Failed, &[no_such_user()], Returned::Full(evil.as_bytes()));
    let text = String::from_utf8(body).unwrap();
    assert!(text.contains(&format!("boundary=\"=_{id}=1\"")), "{text}");
    assert!(text.contains(&format!("\r\n--=_{id}=1--\r\n")));
}

#[test]
fn bad_mail_has_a_safe_name_and_says_why() {
    let mut envelope = envelope(vec![recipient("bob@ext.example"), recipient("carol@ext.example")]);
    envelope.reverse_path = ReversePath::Null;
    let refused = diagnosis("5.1.1", "550 no\r\nTo: forged", Some("evil\r\nhost"));
    let case = Case { recipient: 1, diagnosis: &refused, attempted: None };
    let bad = badmail::bad_mail(&envelope, &[case], NOW);
    assert_eq!((&*bad.message_name, &*bad.reason_name), ("04000007-2.eml", "04000007-2.txt"));
    assert_eq!(bad.message_head, TRACE);
    assert_eq!(
        bad.reason,
        "Failed: 2026-11-21T23:48:40.123Z\r\nMessage: 04000007\r\nReceived: 2026-11-21T22:48:40.123Z\r\n\
         Server: inbound\r\nClient: 192.0.2.66\r\nFrom: <>\r\n\r\nTo: <carol@ext.example>\r\nStatus: 5.1.1\r\n\
         Host: evil??host\r\nText: 550 no??To: forged\r\nAttempts: 1\r\n"
    );
}

/// The names of the fields of every part that has fields, in order.
fn field_names(body: &str) -> Vec<&str> {
    let unfolded = body.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
    unfolded.filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a peer and a client say, the report has the fields it has when they say nothing.
    #[test]
    fn row_16_nothing_an_attacker_says_starts_a_line(
        text in "\\PC{0,30}([\r\n\t\u{0}\u{85}\u{2028} :-]{0,4}[A-Za-z:=]{0,12}){0,20}",
        host in "[ -~\r\n]{1,80}",
        envid in "[ -~]{1,60}[\r\n]{0,2}Status: 2.0.0",
        original in "[ -~ü\r\n]{1,1500}",
        utf8: bool,
    ) {
        let mut bob = recipient("bob@ext.example");
        bob.original = Some(Original { kind: "rfc822".into(), address: original.into() });
        let mut envelope = envelope(vec![bob]);
        envelope.envid = Some(envid.into());
        envelope.smtputf8 = utf8;
        let diagnosis = diagnosis("5.1.1", &format!("550 {text}"), Some(&host));
        let (_, body) = report(&envelope, Event::Failed, &[diagnosis], Returned::Headers(BODY));
        let body = String::from_utf8(body).unwrap();
        let (_, parts) = body.split_once("delivery-status\r\n").expect("the second part");
        let status = parts.split("\r\n--=_").next().unwrap();
        assert_eq!(field_names(status), [
            "Content-Transfer-Encoding", "Original-Envelope-Id", "Reporting-MTA", "Arrival-Date",
            "Original-Recipient", "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code",
            "Last-Attempt-Date",
        ]);
        assert_eq!(body.matches("\r\n--=_").count(), 4);
    }

    /// Whatever the message was, it does not break out of its part.
    #[test]
    fn any_message_can_be_returned(message: Vec<u8>, full: bool, utf8: bool) {
        let mut envelope = envelope(vec![recipient("bob@ext.example")]);
        envelope.smtputf8 = utf8;
        let returned = if full { Returned::Full(&message) } else { Returned::Headers(&message) };
        report(&envelope, Event::Failed, &[no_such_user()], returned);
    }
}

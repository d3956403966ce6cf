//! A notice to the postmaster: something of our own to say, as a message from nobody.

use super::{ReportSettings, mime};
use crate::envelope::{Content, Envelope, Kind, MessageId, Notify, Recipient, State};
use mail::{ReversePath, Timestamp};
use mime::Field;

/// Composes a notice. `server` is the virtual server by whose delivery settings it leaves. Whatever the texts are,
/// it is one message of ASCII, and every line of the text becomes one of the body.
#[must_use]
pub fn notice(
    (title, text): (&str, &str),
    settings: &ReportSettings,
    server: &str,
    (id, now): (MessageId, Timestamp),
) -> (Envelope, Vec<u8>) {
    let postmaster = &settings.postmaster;
    let mut head = String::with_capacity(1024);
    Field("Date").write(&mut head, &now.rfc5322());
    Field("From").write(&mut head, &format!("Bridgehead <{postmaster}>"));
    Field("To").write(&mut head, &format!("<{postmaster}>"));
    Field("Subject").write(&mut head, &mime::ascii(title));
    Field("Message-ID").write(&mut head, &format!("<{id}.notice@{}>", settings.hostname));
    // RFC 3834 §5: made by itself, and not an answer to anything.
    Field("Auto-Submitted").write(&mut head, "auto-generated");
    Field("MIME-Version").write(&mut head, "1.0");
    Field("Content-Type").write(&mut head, "text/plain; charset=us-ascii");
    head.push_str("\r\n");
    for line in text.lines() {
        head.push_str(&mime::ascii(&mime::tame(line, 900)));
        head.push_str("\r\n");
    }
    let body = head.into_bytes();
    let recipient = Recipient {
        forward_path: postmaster.clone(),
        original: None,
        notify: Some(Notify { success: false, failure: false, delay: false }),
        state: State::Pending,
        attempts: 0,
        last: None,
    };
    let content = Content {
        size_bytes: body.len() as u64,
        eight_bit: !body.is_ascii(),
        binary: false,
        dots: mime::has_dots(&body),
        long_lines: false,
        utf8_headers: !mime::header_of(&body).is_ascii(),
    };
    let envelope = Envelope {
        id,
        kind: Kind::Report,
        received: now,
        server: server.into(),
        client: None,
        hello: None,
        reverse_path: ReversePath::Null,
        ret: None,
        envid: None,
        smtputf8: !postmaster.is_ascii(),
        content,
        trace: Box::default(),
        recipients: vec![recipient],
        warned: false,
        held: false,
        counted: None,
    };
    (envelope, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_an_account_is_called_makes_no_field() {
        let settings = ReportSettings::new("mx.corp.example".parse().unwrap(), "pm@corp.example".parse().unwrap());
        let texts = ("Mail of é\r\nBcc: x@ext.example", "one\n.two\u{202e}\n");
        let (envelope, body) = notice(texts, &settings, "inbound", (MessageId(1), Timestamp::from_millis(0)));
        assert_eq!(
            String::from_utf8(body).unwrap(),
            "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n\
             From: Bridgehead <pm@corp.example>\r\n\
             To: <pm@corp.example>\r\n\
             Subject: Mail of ???Bcc: x@ext.example\r\n\
             Message-ID: <00000001.notice@mx.corp.example>\r\n\
             Auto-Submitted: auto-generated\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=us-ascii\r\n\
             \r\n\
             one\r\n\
             .two?\r\n"
        );
        assert_eq!((envelope.reverse_path, envelope.content.dots), (ReversePath::Null, true));
    }
}

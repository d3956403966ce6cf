//! What is found out about a body on the way in, and the field that is put in front of it.

use crate::input::{Input, pieces};
use mail::{Hop, Host, Mailbox, Protocol, Timestamp};
use queue::{Draft, glance};

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input(octets);
    let cuts = input.dice();
    let (hello, recipient) = (input.counted(), input.counted());
    let body = input.0;
    let mut draft = Draft::new();
    pieces(body, cuts).for_each(|piece| draft.push(piece));
    let found = glance(body);
    assert_eq!(draft.finish().glance(), found, "the cut does not show");
    check(body, &found);
    received(hello, recipient, body, &found);
}

fn check(body: &[u8], found: &queue::Glance) {
    assert_eq!(found.content.size_bytes, body.len() as u64);
    assert_eq!(found.content.eight_bit, !body.is_ascii());
    let header = &body[..usize::try_from(found.header_bytes).unwrap()];
    let named = |line: &&[u8]| line.get(..9).is_some_and(|name| name.eq_ignore_ascii_case(b"received:"));
    let hops = header.split(|b| *b == b'\n').filter(named).count();
    assert_eq!(found.hops as usize, hops, "hops are what ends loops");
    assert_eq!(found.content.utf8_headers, !header.is_ascii());
    let dots = body.split(|b| *b == b'\n').any(|line| line.starts_with(b"."));
    assert_eq!(found.content.dots, dots);
}

/// Our own field is one field, counts as one hop and ends where it says.
fn received(hello: &[u8], recipient: &[u8], body: &[u8], found: &queue::Glance) {
    let text = |octets| std::str::from_utf8(octets).unwrap_or_default();
    let (hello, recipient) = (text(hello).parse::<Host>().ok(), text(recipient).parse::<Mailbox>().ok());
    let by = "mx.test".parse().unwrap();
    let hop = Hop {
        hello: hello.as_ref(),
        client: "2001:db8::1".parse().unwrap(),
        by: &by,
        with: Protocol { extended: true, utf8: true, secured: true, authenticated: true },
        id: "04000001",
        recipient: recipient.as_ref(),
        at: Timestamp::from_millis(0),
    };
    let field = mail::received(&hop);
    let lines: Vec<&str> = field.split_inclusive("\r\n").collect();
    assert!(lines.iter().all(|line| line.ends_with("\r\n") && !line.trim_end().contains(char::is_control) || line.starts_with('\t')));
    assert!(lines[0].starts_with("Received: ") && lines[1..].iter().all(|line| line.starts_with('\t')));
    let whole = [field.as_bytes(), body].concat();
    assert_eq!(glance(&whole).hops, found.hops + 1);
}

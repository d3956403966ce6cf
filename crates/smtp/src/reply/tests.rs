use super::*;
use proptest::prelude::*;

/// Reads everything; the replies as `code status text`, and what ended it if anything did.
fn read(bytes: &[u8]) -> (Vec<String>, Option<Malformed>) {
    let mut reader = Reader::new();
    let mut replies = Vec::new();
    let mut rest = bytes;
    loop {
        let (taken, read) = reader.line(rest);
        rest = &rest[taken..];
        match read {
            Read::More => return (replies, None),
            Read::Malformed(why) => return (replies, Some(why)),
            Read::Line(line) => {
                if let Some(heard) = line.complete {
                    let status = heard.status.map_or("-".to_owned(), |s| s.to_string());
                    replies.push(format!("{} {status} {}", heard.code, reader.text()));
                }
            }
        }
    }
}

fn one(bytes: &[u8]) -> String {
    let (replies, malformed) = read(bytes);
    assert_eq!((replies.len(), malformed), (1, None));
    replies[0].clone()
}

#[test]
fn row29_replies_as_servers_send_them() {
    for (bytes, reply) in [
        ("250 ok\r\n", "250 - ok"),
        ("250\r\n", "250 - "),
        ("250 \r\n", "250 - "),
        ("250-\r\n250\r\n", "250 - "),
        ("250 2.1.5\r\n", "250 2.1.5 "),
        ("250 2.1.5  spaced\r\n", "250 2.1.5 spaced"),
        ("550-5.1.1 no\r\n550-5.1.1 such\r\n550 5.1.1 user\r\n", "550 5.1.1 no such user"),
        ("550-no\r\n550 5.1.1 user\r\n", "550 5.1.1 no user"),
        ("550 4.7.1 class\r\n", "550 5.7.1 class"),
        ("354 2.0.0 go\r\n", "354 - go"),
        ("250 mx.example\n", "250 - mx.example"),
        ("250 5.7\r\n", "250 - 5.7"),
        ("250 2.1.5.9 x\r\n", "250 - 2.1.5.9 x"),
        ("250 a\tb\u{202e}c\u{200b}\r\n", "250 - a?b?c?"),
    ] {
        assert_eq!(one(bytes.as_bytes()), reply, "{bytes:?}");
    }
    assert_eq!(one(b"250 a\xffb\r\n"), "250 - a?b");
}

#[test]
fn row29_what_is_not_a_reply() {
    for (bytes, why) in [
        ("\r\n", Malformed::NotAReply),
        ("25\r\n", Malformed::NotAReply),
        ("2500 ok\r\n", Malformed::NotAReply),
        ("250\tok\r\n", Malformed::NotAReply),
        ("+50 ok\r\n", Malformed::NotAReply),
        (" 250 ok\r\n", Malformed::NotAReply),
        ("150 ok\r\n", Malformed::UnknownSeverity),
        ("600 ok\r\n", Malformed::UnknownSeverity),
        ("000 ok\r\n", Malformed::UnknownSeverity),
        ("250-a\r\n251 b\r\n", Malformed::CodesDiffer),
        ("250-a\r\n550 b\r\n", Malformed::CodesDiffer),
    ] {
        assert_eq!(read(bytes.as_bytes()), (Vec::new(), Some(why)), "{bytes:?}");
    }
}

#[test]
fn row29_bounds_are_where_they_are_said_to_be() {
    let line = |octets: usize| format!("250 {}\r\n", "x".repeat(octets - 6)).into_bytes();
    assert_eq!(read(&line(LINE_OCTETS)).1, None);
    assert_eq!(read(&line(LINE_OCTETS + 1)).1, Some(Malformed::LineTooLong));
    assert_eq!(read(&vec![b'2'; LINE_OCTETS - 1]).1, None);
    assert_eq!(read(&vec![b'2'; LINE_OCTETS]).1, Some(Malformed::LineTooLong));

    let reply = |lines: usize| format!("{}250 z\r\n", "250-a\r\n".repeat(lines - 1)).into_bytes();
    assert_eq!(read(&reply(LINES)).0.len(), 1);
    assert_eq!(read(&reply(LINES + 1)).1, Some(Malformed::ReplyTooLong));

    let big = format!("250-{}\r\n", "x".repeat(LINE_OCTETS - 6)).repeat(REPLY_OCTETS / LINE_OCTETS);
    assert_eq!(read(big.as_bytes()).1, None);
    assert_eq!(read(format!("{big}250 z\r\n").as_bytes()).1, Some(Malformed::ReplyTooLong));
}

#[test]
fn a_reply_after_a_reply_starts_anew() {
    let (replies, _) = read(b"550-5.1.1 a\r\n550 b\r\n250 c\r\n421 4.3.2\r\n");
    assert_eq!(replies, ["550 5.1.1 a b", "250 - c", "421 4.3.2 "]);
}

/// Bytes that look like replies often enough to get anywhere.
fn babble() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"250-".to_vec()),
        Just(b"250 ".to_vec()),
        Just(b"550 5.1.1 ".to_vec()),
        Just("\u{20ac}".as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
        Just(vec![b'x'; 700]),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn row29_reader_is_bounded_whatever_comes(bytes in babble()) {
        let mut reader = Reader::new();
        let mut rest = &bytes[..];
        loop {
            let (taken, read) = reader.line(rest);
            prop_assert!(taken <= rest.len() && taken <= bytes.len());
            prop_assert!(reader.text().len() <= TEXT_OCTETS && reader.text().chars().all(is_printable));
            prop_assert!(reader.octets <= REPLY_OCTETS + LINE_OCTETS && reader.lines <= LINES + 1);
            match read {
                Read::More => {
                    prop_assert!(taken == 0 && rest.len() < LINE_OCTETS);
                    break;
                }
                Read::Malformed(_) => break,
                Read::Line(line) => {
                    prop_assert!(taken > 0);
                    if let Some(heard) = line.complete {
                        prop_assert!((200..600).contains(&heard.code));
                        let class = heard.status.map(|s| u16::from(s.class.digit()));
                        prop_assert!(class.is_none_or(|class| class == heard.code / 100));
                    }
                }
            }
            rest = &rest[taken..];
        }
    }

    #[test]
    fn what_reply_prints_is_read_back(
        severity in 0..3, code in 0_u16..60, subject in 0_u16..8, detail in 0_u16..100, text in "[a-zA-Z<>@. ]{0,60}"
    ) {
        let reply = match severity {
            0 => mail::Reply::done(code, subject, detail, text.clone()),
            1 => mail::Reply::later(code, subject, detail, text.clone()),
            _ => mail::Reply::never(code, subject, detail, text.clone()),
        };
        let mut bytes = Vec::new();
        reply.write_to(&mut bytes);
        let expected = format!("{} {} {}", reply.code(), reply.status().unwrap(), text.trim_start());
        prop_assert_eq!(one(&bytes), expected);
    }
}

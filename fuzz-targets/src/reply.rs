//! What a server says, read line by line: the same however it is cut, bounded in memory, one
//! printable line kept.

use crate::input::{Input, has_control, pieces};
use smtp::reply::{LINE_OCTETS, LINES, Malformed, Read, Reader, TEXT_OCTETS};

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input(octets);
    let cuts = input.dice();
    let whole = read([input.0].into_iter());
    assert_eq!(whole, read(pieces(input.0, cuts)));
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Reply(String),
    Malformed(Malformed),
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Seen> {
    let mut reader = Reader::new();
    let (mut unread, mut seen, mut lines) = (Vec::new(), Vec::new(), 0);
    for piece in pieces {
        unread.extend_from_slice(piece);
        loop {
            let (count, found) = reader.line(&unread);
            assert!(count <= unread.len());
            assert!(reader.text().len() <= TEXT_OCTETS && !has_control(reader.text()));
            match found {
                Read::More => {
                    assert!(count == 0 && unread.len() < LINE_OCTETS);
                    break;
                }
                Read::Malformed(why) => {
                    seen.push(Seen::Malformed(why));
                    return seen;
                }
                Read::Line(line) => {
                    lines = if line.first { 1 } else { lines + 1 };
                    assert!(lines <= LINES && line.text.len() < LINE_OCTETS);
                    assert_eq!(reader.is_midway(), line.complete.is_none());
                    if let Some(heard) = line.complete {
                        assert!((200..600).contains(&heard.code));
                        let class = heard.status.map(|status| u16::from(status.class.digit()));
                        assert!(class.is_none_or(|class| class == heard.code / 100), "the class is that of the code");
                        seen.push(Seen::Reply(format!("{heard:?} {}", reader.text())));
                    }
                }
            }
            unread.drain(..count);
        }
    }
    seen
}

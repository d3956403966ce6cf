//! Content on its way out: whatever it is, what leaves is ended once, at its end, and the receiving
//! side takes from it what was stored.

use crate::input::{Input, has_bare_newline, pieces};
use smtp::body::{Data, Limits, Piece};
use smtp::dots::{Dots, LINE_OCTETS};

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input(octets);
    let cuts = input.dice();
    let content = input.0;
    let (whole, repaired) = encode([content].into_iter());
    let (cut, _) = encode(pieces(content, cuts));
    assert_eq!(whole, cut);
    let end = whole.windows(5).position(|five| five == b"\r\n.\r\n").map_or(whole.len(), |at| at + 5);
    assert_eq!(end, whole.len(), "the end stands at the end only");
    assert!(!has_bare_newline(&whole));
    assert!(whole.split(|b| *b == b'\n').all(|line| line.len() <= LINE_OCTETS + 2));
    assert_eq!(repaired, has_bare_newline(content), "a repair is worth an alarm, nothing else is");
    let folded = content.split(|b| *b == b'\n').any(|line| line.len() > LINE_OCTETS - 3);
    if !repaired && !folded && !content.contains(&0) {
        let mut stored = content.to_vec();
        if !stored.is_empty() && !stored.ends_with(b"\r\n") {
            stored.extend_from_slice(b"\r\n");
        }
        assert_eq!(decode(&whole), stored);
    }
}

fn encode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, bool) {
    let (mut dots, mut out) = (Dots::new(), Vec::new());
    for piece in pieces {
        let passed = dots.pass(piece);
        out.extend_from_slice(&piece[..passed]);
        dots.encode(&piece[passed..], &mut out);
    }
    dots.finish(&mut out);
    (out, dots.repaired())
}

fn decode(wire: &[u8]) -> Vec<u8> {
    let limits = Limits { size_bytes: 1 << 30, line_octets: 1 << 30, header_bytes: 1 << 30, normalise: false };
    let (mut data, mut content, mut rest) = (Data::new(limits), Vec::new(), wire);
    loop {
        let (count, found) = data.take(rest);
        match found {
            Piece::Content(range) => content.extend_from_slice(&rest[range]),
            Piece::End => return content,
            other => panic!("{other:?}"),
        }
        rest = &rest[count..];
    }
}

//! The content behind DATA and BDAT: the same however it is cut, ended where it must be and nowhere
//! else, and within its limits.

use crate::input::{Dice, Input, has_bare_newline, pieces};
use smtp::body::{Chunks, Data, Fault, Limits, Piece};

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input(octets);
    let flags = input.octet();
    let small = flags & 2 == 2;
    let limits = Limits {
        size_bytes: if small { 60 } else { 1 << 20 },
        line_octets: if small { 20 } else { 1 << 20 },
        header_bytes: if small { 40 } else { 1 << 20 },
        normalise: flags & 1 == 1,
    };
    let cuts = input.dice();
    if flags & 4 == 4 {
        let binary = flags & 8 == 8;
        let whole = chunks(input, limits, binary, None);
        assert_eq!(whole, chunks(input, limits, binary, Some(cuts)));
        whole.check(limits, binary);
    } else {
        let whole = data([input.0].into_iter(), limits);
        assert_eq!(whole, data(pieces(input.0, cuts), limits));
        whole.check(limits, false);
        whole.check_end(input.0);
    }
}

/// What came of a content.
#[derive(Debug, Default, PartialEq, Eq)]
struct Taken {
    content: Vec<u8>,
    fault: Option<Fault>,
    ended: bool,
    /// Octets that belonged to it.
    octets: usize,
}

impl Taken {
    fn check(&self, limits: Limits, binary: bool) {
        assert!(self.content.len() as u64 <= limits.size_bytes);
        if !binary {
            assert!(!self.content.contains(&0));
            // The last octet may be a CR whose LF has not come.
            let whole = if self.ended { &self.content[..] } else { self.content.trim_ascii_end() };
            assert!(!has_bare_newline(whole), "{whole:?}");
            let longest = self.content.split(|b| *b == b'\n').map(|line| line.trim_ascii_end().len()).max();
            assert!(longest.unwrap_or(0) <= limits.line_octets);
        }
    }

    /// The oracle: content begins behind a CR LF and ends at the first CR LF `.` CR LF.
    fn check_end(&self, wire: &[u8]) {
        let framed = [b"\r\n", wire].concat();
        let end = framed.windows(5).position(|five| five == b"\r\n.\r\n").map(|at| at + 3);
        assert_eq!(self.ended.then_some(self.octets), end);
    }
}

fn data<'a>(pieces: impl Iterator<Item = &'a [u8]>, limits: Limits) -> Taken {
    let mut data = Data::new(limits);
    let mut taken = Taken::default();
    let mut unread = Vec::new();
    for piece in pieces {
        unread.extend_from_slice(piece);
        while !taken.ended {
            let (count, found) = match taken.fault {
                None => data.take(&unread),
                Some(_) => match data.skip(&unread) {
                    (count, true) => (count, Piece::End),
                    (count, false) => (count, Piece::More),
                },
            };
            assert!(count <= unread.len());
            let more = found == Piece::More;
            taken.note(&unread, found);
            unread.drain(..count);
            taken.octets += count;
            if more {
                break;
            }
        }
    }
    if taken.fault.is_none() {
        assert_eq!(data.size(), taken.content.len() as u64);
    } else {
        taken.content.clear();
    }
    taken
}

impl Taken {
    fn note(&mut self, unread: &[u8], found: Piece) {
        match found {
            Piece::Content(range) => {
                self.content.extend_from_slice(&unread[range]);
            }
            Piece::Newline => self.content.extend_from_slice(b"\r\n"),
            Piece::Fault(fault) => self.fault = Some(fault),
            Piece::End => self.ended = true,
            Piece::More => {}
        }
    }
}

/// The input is chunks, each with its length in front and whether it is the last.
fn chunks(mut input: Input<'_>, limits: Limits, binary: bool, cuts: Option<Dice>) -> Taken {
    let mut chunks = Chunks::new(limits, binary);
    let mut taken = Taken::default();
    while !input.is_empty() && taken.fault.is_none() {
        let last = input.octet() & 3 == 3;
        let chunk = input.counted();
        chunks.begin(chunk.len() as u64, last);
        match cuts {
            None => chunk_of(&mut chunks, [chunk].into_iter(), &mut taken),
            Some(cuts) => chunk_of(&mut chunks, pieces(chunk, cuts), &mut taken),
        }
        taken.ended = last && taken.fault.is_none();
        if last {
            break;
        }
    }
    if taken.fault.is_some() {
        taken.content.clear();
        taken.octets = 0;
    }
    taken
}

fn chunk_of<'a>(chunks: &mut Chunks, pieces: impl Iterator<Item = &'a [u8]>, taken: &mut Taken) {
    let mut unread = Vec::new();
    // An empty chunk must be asked about too.
    for piece in pieces.chain([&[][..]]) {
        unread.extend_from_slice(piece);
        loop {
            let (count, found) = chunks.take(&unread);
            assert!(count <= unread.len());
            let over = matches!(found, Piece::More | Piece::End | Piece::Fault(_));
            if found != Piece::End {
                taken.note(&unread, found);
            }
            unread.drain(..count);
            taken.octets += count;
            if over {
                break;
            }
        }
        if taken.fault.is_some() {
            return;
        }
    }
    assert!(unread.is_empty() && chunks.left() == 0, "a chunk is taken whole");
    assert_eq!(chunks.size(), taken.content.len() as u64);
}

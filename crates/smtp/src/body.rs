//! The content of a message, from the wire to what is stored.
//!
//! Two framings: DATA, which ends at CR LF `.` CR LF and nowhere else, and BDAT, which counts. Both
//! give out slices of what came in, as large as they can be, in one pass. An octet that cannot be
//! judged yet (a CR at the end of what has arrived, a dot at the start of a line) is left unread, so
//! there is nothing to carry over and nothing to copy.

use crate::lines;
use memchr::{memchr3, memmem};
use std::ops::Range;

const CRLF: &[u8] = b"\r\n";

/// What content must keep to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Octets of content.
    pub size_bytes: u64,
    /// Octets of a line, without its CR LF.
    pub line_octets: usize,
    /// Octets of the header section, its closing empty line included.
    pub header_bytes: usize,
    /// Replace a bare CR or LF by CR LF, instead of refusing the message.
    pub normalise: bool,
}

/// Why content cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Larger than allowed.
    TooBig,
    /// The header section is larger than allowed.
    HeaderTooBig,
    /// A line is longer than allowed.
    LineTooLong,
    /// A CR or LF on its own.
    BareNewline,
    /// A NUL in content that is not binary.
    Nul,
}

/// What was found at the front of the unread octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These of the unread octets are content, as it must be stored.
    Content(Range<usize>),
    /// A CR LF of content that the unread octets do not hold in one piece.
    Newline,
    /// The content is lost; [`Data::skip`] or [`Chunks::skip`] finds its end.
    Fault(Fault),
    /// The end.
    End,
    /// Not enough yet.
    More,
}

/// The content behind DATA (RFC 5321 §4.5.2).
#[derive(Debug)]
pub struct Data {
    gauge: Gauge,
    /// Whether the octets before were CR LF, or nothing: only then a dot means something.
    at_line_start: bool,
}

impl Data {
    /// Content that starts with the next octet.
    #[must_use]
    pub fn new(limits: Limits) -> Data {
        Data { gauge: Gauge::new(limits), at_line_start: true }
    }

    /// Octets of content so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.gauge.size
    }

    /// Takes what it can from the front of `input`.
    pub fn take(&mut self, input: &[u8]) -> (usize, Piece) {
        let mut from = 0;
        if self.at_line_start {
            match input {
                [] | [b'.'] | [b'.', b'\r'] => return (0, Piece::More),
                [b'.', b'\r', b'\n', ..] => return (3, Piece::End),
                // One dot is removed, one only (conformance row 5).
                [b'.', ..] => from = 1,
                _ => {}
            }
        }
        let (end, at_line_start) = match self.gauge.scan(input, from, true) {
            // Nothing is taken, not even the dot: `skip` reads the line from its start.
            Err(fault) => return (0, Piece::Fault(fault)),
            Ok(Stop::Clean) => (input.len(), false),
            Ok(Stop::LineStart(at)) => (at, true),
            Ok(Stop::TrailingCr(at) | Stop::Bare(at)) if at > from => (at, false),
            Ok(Stop::TrailingCr(_)) => return (0, Piece::More),
            Ok(Stop::Bare(at)) => {
                self.at_line_start = false;
                return (at + 1, self.gauge.bare_newline());
            }
        };
        if end == from {
            return (0, Piece::More);
        }
        self.at_line_start = at_line_start;
        (end, Piece::Content(from..end))
    }

    /// Looks only for the end: how many octets it took, and whether that was all.
    pub fn skip(&mut self, input: &[u8]) -> (usize, bool) {
        let mut at = 0;
        loop {
            if self.at_line_start {
                match &input[at..] {
                    [] | [b'.'] | [b'.', b'\r'] => return (at, false),
                    [b'.', b'\r', b'\n', ..] => return (at + 3, true),
                    _ => self.at_line_start = false,
                }
            }
            match memmem::find(&input[at..], CRLF) {
                Some(found) => at += found + 2,
                None => return (input.len() - usize::from(input[at..].ends_with(b"\r")), false),
            }
            self.at_line_start = true;
        }
    }
}

/// The content behind BDAT (RFC 3030): chunks, each counted, together one content.
#[derive(Debug)]
pub struct Chunks {
    gauge: Gauge,
    binary: bool,
    /// Octets of the present chunk still to come.
    left: u64,
    last: bool,
    /// The chunk before ended with a CR, whose LF must open this one.
    held_cr: bool,
    /// How much of CR LF CR LF the octets before were; binary content has no lines to look at.
    header_end: usize,
}

impl Chunks {
    /// Content that starts with the first chunk. Binary content may hold anything.
    #[must_use]
    pub fn new(limits: Limits, binary: bool) -> Chunks {
        Chunks { gauge: Gauge::new(limits), binary, left: 0, last: false, held_cr: false, header_end: 2 }
    }

    /// Octets of content so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.gauge.size
    }

    /// Octets of the present chunk still to come.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Whether the present chunk is the last.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// Whether a chunk of so many octets is within the limit of size.
    #[must_use]
    pub fn has_room(&self, octets: u64) -> bool {
        octets <= self.gauge.size_left
    }

    /// The next chunk begins.
    pub fn begin(&mut self, octets: u64, last: bool) {
        self.left = octets;
        self.last = last;
    }

    /// Takes what it can of the present chunk from the front of `input`; [`Piece::End`] is its end.
    pub fn take(&mut self, input: &[u8]) -> (usize, Piece) {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX);
        let window = &input[..input.len().min(room)];
        if self.held_cr && (!window.is_empty() || self.left == 0 && self.last) {
            return self.release_cr(window);
        }
        if self.left == 0 {
            return (0, Piece::End);
        }
        if window.is_empty() {
            return (0, Piece::More);
        }
        let (taken, piece) = if self.binary { self.take_binary(window) } else { self.take_text(window) };
        self.left -= taken as u64;
        (taken, piece)
    }

    /// How many octets at the front of `input` belong to a chunk of which `left` are still to come.
    #[must_use]
    pub fn skip(left: u64, input: &[u8]) -> usize {
        input.len().min(usize::try_from(left).unwrap_or(usize::MAX))
    }

    fn release_cr(&mut self, window: &[u8]) -> (usize, Piece) {
        self.held_cr = false;
        if window.first() == Some(&b'\n') {
            self.left -= 1;
            return (1, self.gauge.newline());
        }
        (0, self.gauge.bare_newline())
    }

    fn take_text(&mut self, window: &[u8]) -> (usize, Piece) {
        let end = match self.gauge.scan(window, 0, false) {
            Err(fault) => return (0, Piece::Fault(fault)),
            Ok(Stop::Clean) => window.len(),
            Ok(Stop::LineStart(at)) => at,
            Ok(Stop::TrailingCr(at)) if window.len() as u64 == self.left => {
                self.held_cr = true;
                return (at + 1, Piece::Content(0..at));
            }
            Ok(Stop::TrailingCr(0)) => return (0, Piece::More),
            Ok(Stop::Bare(0)) => return (1, self.gauge.bare_newline()),
            Ok(Stop::TrailingCr(at) | Stop::Bare(at)) => at,
        };
        (end, Piece::Content(0..end))
    }

    fn take_binary(&mut self, window: &[u8]) -> (usize, Piece) {
        // The header is looked at octet by octet: it is small, and ends once.
        let mut header = 0;
        while self.header_end < 4 && header < window.len() {
            self.header_end = match (window[header], self.header_end) {
                (b'\r', 2) => 3,
                (b'\r', _) => 1,
                (b'\n', matched @ (1 | 3)) => matched + 1,
                _ => 0,
            };
            header += 1;
        }
        let counted = self.gauge.binary(header).and_then(|()| {
            if self.header_end == 4 {
                self.gauge.header_left = u64::MAX;
            }
            self.gauge.binary(window.len() - header)
        });
        match counted {
            Ok(()) => (window.len(), Piece::Content(0..window.len())),
            Err(fault) => (0, Piece::Fault(fault)),
        }
    }
}

/// Where a scan came to rest.
enum Stop {
    /// At the end of what has arrived.
    Clean,
    /// Behind a CR LF: at the end of what has arrived, or before a dot.
    LineStart(usize),
    /// Before a CR that is the last octet.
    TrailingCr(usize),
    /// Before a CR or LF on its own.
    Bare(usize),
}

/// Counts octets against the limits. The limit that is passed first is the one that is reported,
/// however the octets arrived.
#[derive(Debug)]
struct Gauge {
    limits: Limits,
    size: u64,
    size_left: u64,
    line_left: u64,
    /// Unbounded once the header section is over.
    header_left: u64,
    line_is_empty: bool,
}

impl Gauge {
    fn new(limits: Limits) -> Gauge {
        Gauge {
            limits,
            size: 0,
            size_left: limits.size_bytes,
            line_left: limits.line_octets as u64 + 2,
            header_left: limits.header_bytes as u64,
            line_is_empty: true,
        }
    }

    /// Looks at `bytes[from..]` up to the first octet that needs a decision, and counts what it
    /// passes. With `dots`, a dot at the start of a line is such an octet.
    fn scan(&mut self, bytes: &[u8], from: usize, dots: bool) -> Result<Stop, Fault> {
        let mut mark = from + self.pass_plain_lines(&bytes[from..]);
        while let Some(found) = memchr3(b'\r', b'\n', 0, &bytes[mark..]) {
            let at = mark + found;
            if bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n') {
                self.count(at + 2 - mark, at > mark)?;
                self.end_line();
                mark = at + 2;
                if dots && matches!(bytes.get(mark), None | Some(b'.')) {
                    return Ok(Stop::LineStart(mark));
                }
                // What follows them is no dot either.
                mark += self.pass_plain_lines(&bytes[mark..]);
                continue;
            }
            self.count_text(at - mark)?;
            return match (bytes[at], bytes.get(at + 1)) {
                (0, _) => Err(Fault::Nul),
                (b'\r', None) => Ok(Stop::TrailingCr(at)),
                _ => Ok(Stop::Bare(at)),
            };
        }
        self.count_text(bytes.len() - mark)?;
        Ok(Stop::Clean)
    }

    /// Passes lines about which there is nothing to decide, many at once. Behind the header only: where
    /// that ends is found line by line.
    fn pass_plain_lines(&mut self, bytes: &[u8]) -> usize {
        let octets = self.limits.line_octets;
        if self.header_left != u64::MAX || !self.line_is_empty || self.line_left != octets as u64 + 2 {
            return 0;
        }
        // Where there is no room for all of them, the rest is counted line by line: it decides which
        // limit is passed first.
        let room = usize::try_from(self.size_left).unwrap_or(usize::MAX);
        let passed = lines::plain(&bytes[..bytes.len().min(room)], octets);
        self.pass(passed as u64);
        passed
    }

    /// Passes octets of one line that are not its CR LF: for that there must be room left, also
    /// where a last line has none.
    fn count_text(&mut self, octets: usize) -> Result<(), Fault> {
        if octets > 0 && (octets as u64).saturating_add(2) > self.line_left {
            return Err(self.passed_first());
        }
        self.count(octets, octets > 0)
    }

    /// Passes octets of one line, `text` if some are not its CR LF.
    fn count(&mut self, octets: usize, text: bool) -> Result<(), Fault> {
        let octets = octets as u64;
        if octets > self.size_left.min(self.line_left).min(self.header_left) {
            return Err(self.passed_first());
        }
        self.line_left -= octets;
        self.line_is_empty &= !text;
        self.pass(octets);
        Ok(())
    }

    /// Passes octets that have no lines.
    fn binary(&mut self, octets: usize) -> Result<(), Fault> {
        self.line_left = u64::MAX;
        self.count(octets, true)
    }

    fn pass(&mut self, octets: u64) {
        self.size += octets;
        self.size_left -= octets;
        if self.header_left != u64::MAX {
            self.header_left -= octets;
        }
    }

    fn passed_first(&self) -> Fault {
        let lefts = [
            (self.size_left, Fault::TooBig),
            (self.header_left, Fault::HeaderTooBig),
            (self.line_left, Fault::LineTooLong),
        ];
        lefts.into_iter().min_by_key(|(left, _)| *left).map_or(Fault::TooBig, |(_, fault)| fault)
    }

    fn end_line(&mut self) {
        if self.line_is_empty {
            self.header_left = u64::MAX;
        }
        self.line_left = self.limits.line_octets as u64 + 2;
        self.line_is_empty = true;
    }

    /// A CR LF that no slice of the input holds in one piece.
    fn newline(&mut self) -> Piece {
        match self.count(2, false) {
            Err(fault) => Piece::Fault(fault),
            Ok(()) => {
                self.end_line();
                Piece::Newline
            }
        }
    }

    /// A CR or LF on its own.
    fn bare_newline(&mut self) -> Piece {
        if self.limits.normalise { self.newline() } else { Piece::Fault(Fault::BareNewline) }
    }
}

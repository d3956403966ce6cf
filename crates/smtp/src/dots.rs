//! The content of DATA on its way out: dots doubled, long lines folded, the end marked.
//!
//! [`Dots`] reads the content chunk by chunk and tells which part may leave as it is ([`Dots::pass`],
//! which copies nothing), and writes the rest in the form that may ([`Dots::encode`]). Whatever it
//! is given, no CR without LF and no LF without CR leaves, and CR LF `.` CR LF stands only at the
//! end: a content cannot end its own transaction and go on as commands.

use crate::client::ContentFacts;
use crate::lines;

/// Octets a line may have without its line end (RFC 5321 §4.5.3.1.6, which does not count the dot
/// added for transparency).
pub const LINE_OCTETS: usize = 998;

/// Whether content with these facts must be looked at by [`Dots`] before it leaves. If not, it may
/// be written as it is stored, followed by `.` CR LF, provided that it ends with CR LF.
#[must_use]
pub fn needs_encoding(content: &ContentFacts) -> bool {
    content.dots || content.long_lines || content.binary
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    LineStart,
    /// So many octets of the line have left, the doubled dot not counted.
    Inside(usize),
    /// A CR has left; an LF must follow it, and if the content has none, we write it.
    AfterCr,
}

/// The encoder; one for each message.
#[derive(Clone, Debug)]
pub struct Dots {
    place: Place,
    repaired: bool,
}

impl Default for Dots {
    fn default() -> Dots {
        Dots::new()
    }
}

impl Dots {
    /// At the beginning of a content.
    #[must_use]
    pub fn new() -> Dots {
        Dots { place: Place::LineStart, repaired: false }
    }

    /// Whether a bare CR or LF has been replaced by CR LF so far. Stored content has none, so this
    /// is worth an alarm.
    #[must_use]
    pub fn repaired(&self) -> bool {
        self.repaired
    }

    /// How many octets at the front of `chunk` may leave exactly as they are, next. They count as
    /// sent; give the rest to [`Dots::encode`]. One pass over the octets and no copy.
    #[must_use = "these octets count as sent"]
    pub fn pass(&mut self, chunk: &[u8]) -> usize {
        let mut at = 0;
        while let Some(&next) = chunk.get(at) {
            let taken = match self.place {
                Place::LineStart if next == b'.' => break,
                Place::LineStart => match lines::plain(&chunk[at..], LINE_OCTETS) {
                    0 => self.pass_line(&chunk[at..], 0),
                    passed => passed,
                },
                Place::Inside(column) => self.pass_line(&chunk[at..], column),
                Place::AfterCr if next == b'\n' => {
                    self.place = Place::LineStart;
                    1
                }
                Place::AfterCr => break,
            };
            if taken == 0 {
                break;
            }
            at += taken;
        }
        at
    }

    /// Takes what may leave of one line, whose first `column` octets have left: up to and with its
    /// CR, or up to a bare LF, a fold or the end of the chunk.
    fn pass_line(&mut self, rest: &[u8], column: usize) -> usize {
        let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let fits = fitting(&rest[..end], column);
        if fits == end && rest.get(end) == Some(&b'\r') {
            self.place = Place::AfterCr;
            return end + 1;
        }
        if column + fits > 0 {
            self.place = Place::Inside(column + fits);
        }
        fits
    }

    /// Appends `chunk` to `out` as it must leave.
    pub fn encode(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let mut rest = chunk;
        loop {
            let passed = self.pass(rest);
            out.extend_from_slice(&rest[..passed]);
            rest = &rest[passed..];
            let Some(&next) = rest.first() else { return };
            match (self.place, next) {
                (Place::AfterCr, _) => {
                    self.repaired = true;
                    self.place = Place::LineStart;
                    out.push(b'\n');
                }
                (_, b'\n') => {
                    self.repaired = true;
                    self.place = Place::LineStart;
                    out.extend_from_slice(b"\r\n");
                    rest = &rest[1..];
                }
                // RFC 5321 §4.5.2: one more dot; the first is then an octet like any other.
                (Place::LineStart, _) => {
                    self.place = Place::Inside(0);
                    out.push(b'.');
                }
                // A fold as in a header (RFC 5322 §2.2.3): unfolding gives the line back but for a space.
                (Place::Inside(_), _) => {
                    self.place = Place::Inside(1);
                    out.extend_from_slice(b"\r\n ");
                }
            }
        }
    }

    /// Appends the end of the content: its last line end, if it has none, and `.` CR LF. The encoder
    /// is then at the beginning of another content.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(match self.place {
            Place::LineStart => b".\r\n",
            Place::Inside(_) => b"\r\n.\r\n",
            Place::AfterCr => b"\n.\r\n",
        });
        self.repaired |= self.place == Place::AfterCr;
        self.place = Place::LineStart;
    }
}

/// How many octets of `text` (without line ends) may follow `column` octets of a line before it
/// must be folded. A UTF-8 sequence that would pass the limit is not begun: its first octet says how
/// long it is, so this holds wherever a chunk is cut.
fn fitting(text: &[u8], column: usize) -> usize {
    let room = LINE_OCTETS - column;
    let safe = room.saturating_sub(3);
    for (at, &b) in text.iter().enumerate().skip(safe) {
        let width = match b {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => 1,
        };
        if at + width > room {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
#[path = "dots/tests.rs"]
mod tests;

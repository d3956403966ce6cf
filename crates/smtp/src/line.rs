//! Bytes to command lines, with a limit and strict line ends.
//!
//! A line ends with CR LF and nothing else. A line that breaks a rule is refused once, and what is
//! left of it, up to its CR LF, is never looked at as a command (conformance rows 4 and 25). Nothing
//! is copied: a line that is not complete stays in the reader's buffer.

use memchr::{memchr, memchr2};

/// What was found at the front of the unread bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line, without its CR LF.
    Complete(&'a [u8]),
    /// A CR or LF on its own: the line is refused; what is left of it will be skipped.
    Bare,
    /// A line over the limit has come to its end.
    TooLong,
    /// Not enough yet.
    More,
}

/// The place in a stream of lines.
#[derive(Debug, Default)]
pub struct Lines {
    skipping: Option<Skipping>,
}

/// Skipping to the end of a line that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skipping {
    /// The refusal is said when the end is found.
    Owed,
    /// It has been said already.
    Said,
}

impl Lines {
    /// Takes the next line from the front of `input`; the number is how many octets it took.
    /// `limit` counts the CR LF.
    pub fn take<'a>(&mut self, input: &'a [u8], limit: usize) -> (usize, Line<'a>) {
        if self.skipping.is_some() {
            return self.skip(input, limit);
        }
        let window = &input[..input.len().min(limit)];
        match find_end(window) {
            Some(End::Proper(at)) => (at + 2, Line::Complete(&window[..at])),
            Some(End::Bare(at)) => {
                self.skipping = Some(Skipping::Said);
                (at + 1, Line::Bare)
            }
            Some(End::Undecided(_)) | None if window.len() < limit => (0, Line::More),
            Some(End::Undecided(_)) | None => {
                self.skipping = Some(Skipping::Owed);
                self.skip(input, limit)
            }
        }
    }

    fn skip<'a>(&mut self, input: &'a [u8], limit: usize) -> (usize, Line<'a>) {
        match find_end(input) {
            None => (input.len(), Line::More),
            Some(End::Undecided(at)) => (at, Line::More),
            Some(End::Bare(at)) => {
                self.skipping = Some(Skipping::Said);
                (at + 1, Line::Bare)
            }
            Some(End::Proper(at)) => match self.skipping.take() {
                Some(Skipping::Owed) => (at + 2, Line::TooLong),
                Some(Skipping::Said) | None => {
                    let (taken, line) = self.take(&input[at + 2..], limit);
                    (at + 2 + taken, line)
                }
            },
        }
    }
}

enum End {
    /// CR LF here.
    Proper(usize),
    /// A CR or an LF here that is not part of a CR LF.
    Bare(usize),
    /// A CR is the last octet.
    Undecided(usize),
}

fn find_end(bytes: &[u8]) -> Option<End> {
    let at = memchr2(b'\r', b'\n', bytes)?;
    Some(match (bytes[at], bytes.get(at + 1)) {
        (b'\r', Some(b'\n')) => End::Proper(at),
        (b'\r', None) => End::Undecided(at),
        _ => End::Bare(at),
    })
}

/// The text of a line, if it is text: UTF-8 without control characters.
///
/// # Errors
/// Says whether a NUL was the reason.
pub fn text(line: &[u8]) -> Result<&str, NotText> {
    if line.iter().any(|&b| b < 0x20 || b == 0x7f) {
        return Err(if memchr(0, line).is_some() { NotText::Nul } else { NotText::Other });
    }
    std::str::from_utf8(line).map_err(|_| NotText::Other)
}

/// Why a line is not text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotText {
    /// There is a NUL in it (conformance row 24).
    Nul,
    /// Another control character, or no UTF-8.
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything `Lines` finds in `input` when it arrives in pieces cut at `cuts`.
    fn read(input: &[u8], cuts: &[usize], limit: usize) -> Vec<String> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        let (mut unread, mut arrived) = (0, 0);
        for cut in cuts.iter().copied().chain([input.len()]) {
            arrived = arrived.max(cut.min(input.len()));
            loop {
                let (taken, line) = lines.take(&input[unread..arrived], limit);
                let last = line == Line::More;
                if !last {
                    found.push(match line {
                        Line::Complete(text) => String::from_utf8_lossy(text).into_owned(),
                        other => format!("{other:?}"),
                    });
                }
                unread += taken;
                if last {
                    break;
                }
            }
        }
        found
    }

    #[test]
    fn row04_nothing_behind_a_bare_newline_is_a_command() {
        assert_eq!(read(b"EHLO x\nMAIL FROM:<>\r\nNOOP\r\n", &[], 99), ["Bare", "NOOP"]);
        assert_eq!(read(b"EHLO x\rMAIL\nRCPT\r\nNOOP\r\n", &[], 99), ["Bare", "Bare", "NOOP"]);
        assert_eq!(read(b"NOOP\r\r\nNOOP\r\n", &[], 99), ["Bare", "NOOP"]);
    }

    #[test]
    fn row25_a_line_at_the_limit_and_one_over_it() {
        assert_eq!(read(b"12345678\r\n", &[], 10), ["12345678"]);
        assert_eq!(read(b"123456789\r\nNOOP\r\n", &[], 10), ["TooLong", "NOOP"]);
        assert_eq!(read(b"123456789012345\r\nNOOP\r\n", &[], 10), ["TooLong", "NOOP"]);
    }

    proptest! {
        #[test]
        fn any_chunking_same_lines(
            input in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'a')], 0..60),
            mut cuts in proptest::collection::vec(0usize..60, 0..60),
        ) {
            cuts.sort_unstable();
            prop_assert_eq!(read(&input, &cuts, 8), read(&input, &[], 8));
        }
    }
}

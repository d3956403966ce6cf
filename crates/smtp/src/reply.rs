//! The reply reader: what a server says, line by line, within bounds.
//!
//! It takes whole lines from the front of the caller's buffer, joins the lines of one reply and
//! says when the reply is complete. A server may say anything; whatever it says costs a bounded
//! amount of memory, and what is kept of it is one printable line. It gives no reply a meaning
//! beyond its severity: what follows from a reply is the client's business.

use mail::{Class, EnhancedStatus};
use std::fmt;

/// Octets one line may have, with its line end. RFC 5321 §4.5.3.1.5 says 512; real servers say more.
pub const LINE_OCTETS: usize = 4096;
/// Lines one reply may have.
pub const LINES: usize = 100;
/// Octets one reply may have in all its lines.
pub const REPLY_OCTETS: usize = 32 * 1024;
/// Octets of text that are kept of a reply.
pub const TEXT_OCTETS: usize = 512;

/// What the first digit of a reply says (RFC 5321 §4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// 2yz: done.
    Done,
    /// 3yz: go on.
    More,
    /// 4yz: not now.
    Later,
    /// 5yz: no.
    Never,
}

/// A complete reply, but for its text, which stays in the [`Reader`] until the next reply begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The three-digit code, 200 to 599.
    pub code: u16,
    /// The enhanced status (RFC 2034), if there was one. Its class is always that of the code.
    pub status: Option<EnhancedStatus>,
}

impl Heard {
    /// What the first digit says.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self.code / 100 {
            2 => Severity::Done,
            3 => Severity::More,
            4 => Severity::Later,
            _ => Severity::Never,
        }
    }
}

/// Why something is not a reply. The peer then does not speak SMTP, and nothing it says later can
/// be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A line does not begin with three digits and a space, a hyphen or nothing.
    NotAReply,
    /// The first digit is not 2, 3, 4 or 5.
    UnknownSeverity,
    /// The lines of one reply have different codes.
    CodesDiffer,
    /// A line is longer than [`LINE_OCTETS`].
    LineTooLong,
    /// A reply has more lines than [`LINES`] or more octets than [`REPLY_OCTETS`].
    ReplyTooLong,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::NotAReply => "a line that is not a reply",
            Malformed::UnknownSeverity => "a reply code of no known severity",
            Malformed::CodesDiffer => "different codes in one reply",
            Malformed::LineTooLong => "a reply line too long",
            Malformed::ReplyTooLong => "a reply too long",
        })
    }
}

/// One line of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// What the first digit says; the same for all lines of a reply.
    pub severity: Severity,
    /// Whether this is the first line of its reply.
    pub first: bool,
    /// What follows the code, as the server sent it.
    pub text: &'a [u8],
    /// The reply, if this is its last line.
    pub complete: Option<Heard>,
}

/// What [`Reader::line`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read<'a> {
    /// No whole line yet: nothing was taken.
    More,
    /// A line.
    Line(Line<'a>),
    /// No line can be made of this, now or later.
    Malformed(Malformed),
}

/// The reader. It holds no bytes of an unfinished line: those stay with the caller.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    /// The code of the reply whose first line has been read and whose last has not.
    code: Option<u16>,
    status: Option<EnhancedStatus>,
    lines: usize,
    octets: usize,
    text: String,
}

impl Reader {
    /// A reader at the beginning of a reply.
    #[must_use]
    pub fn new() -> Reader {
        Reader::default()
    }

    /// Whether some, but not all, lines of a reply have been read.
    #[must_use]
    pub fn is_midway(&self) -> bool {
        self.code.is_some()
    }

    /// The text of the reply read last (or as far as it has been read): one printable line of at
    /// most [`TEXT_OCTETS`], without code and enhanced status.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Takes one line from the front of `input`; returns how many octets it took with it.
    ///
    /// Departs from RFC 5321 §2.3.8 by taking LF alone for a line end too: some servers send it, and
    /// as nothing we send can make a server repeat an LF, nobody can use it to forge a reply.
    pub fn line<'a>(&mut self, input: &'a [u8]) -> (usize, Read<'a>) {
        let window = &input[..input.len().min(LINE_OCTETS)];
        let Some(end) = memchr::memchr(b'\n', window) else {
            return if input.len() < LINE_OCTETS {
                (0, Read::More)
            } else {
                (input.len(), Read::Malformed(Malformed::LineTooLong))
            };
        };
        let line = &window[..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let found = match self.accept(line, end + 1) {
            Ok(line) => Read::Line(line),
            Err(why) => Read::Malformed(why),
        };
        (end + 1, found)
    }

    fn accept<'a>(&mut self, line: &'a [u8], octets: usize) -> Result<Line<'a>, Malformed> {
        let (code, last, text) = split(line)?;
        let first = self.code.is_none();
        if first {
            self.status = None;
            self.lines = 0;
            self.octets = 0;
            self.text.clear();
        } else if self.code != Some(code) {
            return Err(Malformed::CodesDiffer);
        }
        self.lines += 1;
        self.octets += octets;
        if self.lines > LINES || self.octets > REPLY_OCTETS {
            return Err(Malformed::ReplyTooLong);
        }
        self.keep(code, text);
        self.code = if last { None } else { Some(code) };
        let heard = Heard { code, status: self.status };
        Ok(Line { severity: heard.severity(), first, text, complete: last.then_some(heard) })
    }

    /// Keeps what is worth keeping of a line: its status, and its text made printable.
    fn keep(&mut self, code: u16, text: &[u8]) {
        let (status, text) = split_status(text);
        if self.status.is_none() {
            // RFC 2034 §4: the class must be that of the code. Where it is not, the code decides:
            // it is what every server has to get right.
            self.status = status.and_then(|s| class_of(code).map(|class| EnhancedStatus { class, ..s }));
        }
        if !self.text.is_empty() && !text.is_empty() {
            self.push(' ');
        }
        for part in text.utf8_chunks() {
            part.valid().chars().for_each(|c| self.push(if is_printable(c) { c } else { '?' }));
            if !part.invalid().is_empty() {
                self.push('?');
            }
        }
    }

    fn push(&mut self, c: char) {
        if self.text.len() + c.len_utf8() <= TEXT_OCTETS {
            self.text.push(c);
        }
    }
}

/// The class an enhanced status must have beside `code`; 3yz has none (RFC 2034 §4).
fn class_of(code: u16) -> Option<Class> {
    match code / 100 {
        2 => Some(Class::Success),
        4 => Some(Class::Transient),
        5 => Some(Class::Permanent),
        _ => None,
    }
}

/// The code, whether this is the last line, and the text. RFC 5321 §4.2.1 wants a space even where
/// there is no text, and asks clients to do without it.
fn split(line: &[u8]) -> Result<(u16, bool, &[u8]), Malformed> {
    let (code, rest) = line.split_at_checked(3).ok_or(Malformed::NotAReply)?;
    if !code.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::NotAReply);
    }
    let (last, text) = match rest.split_first() {
        None => (true, rest),
        Some((b' ', text)) => (true, text),
        Some((b'-', text)) => (false, text),
        Some(_) => return Err(Malformed::NotAReply),
    };
    if !(b'2'..=b'5').contains(&code[0]) {
        return Err(Malformed::UnknownSeverity);
    }
    let code = code.iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0'));
    Ok((code, last, text))
}

/// Takes an enhanced status from the front of the text, if there is one.
fn split_status(text: &[u8]) -> (Option<EnhancedStatus>, &[u8]) {
    let end = text.iter().take(12).position(|b| *b == b' ').unwrap_or(text.len());
    let status = std::str::from_utf8(&text[..end]).ok().and_then(|word| word.parse().ok());
    match status {
        None => (None, text),
        Some(status) => (Some(status), text[end..].trim_ascii_start()),
    }
}

/// Neither a control character nor one that changes how its neighbours are shown.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
#[path = "reply/tests.rs"]
mod tests;

//! Replies: values until their bytes leave.
//!
//! A reply is built by severity, and from that one word both the first digit of its code and the
//! class of its enhanced status follow, so the two cannot disagree. Bytes are made in one function.

use crate::status::{Class, EnhancedStatus};
use std::borrow::Cow;

/// The text of a reply: one line, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// The usual case.
    Line(Cow<'static, str>),
    /// EHLO and HELP; never empty.
    Lines(Vec<Cow<'static, str>>),
}

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    status: Option<EnhancedStatus>,
    text: Text,
}

impl Reply {
    /// 2yz: done. `code` is the last two digits.
    #[must_use]
    pub fn done(code: u16, subject: u16, detail: u16, text: impl Into<Cow<'static, str>>) -> Reply {
        Reply::with_status(200 + code, EnhancedStatus::new(Class::Success, subject, detail), text.into())
    }

    /// 4yz: not now; the same may succeed later. `code` is the last two digits.
    #[must_use]
    pub fn later(code: u16, subject: u16, detail: u16, text: impl Into<Cow<'static, str>>) -> Reply {
        Reply::with_status(400 + code, EnhancedStatus::new(Class::Transient, subject, detail), text.into())
    }

    /// 5yz: no, and the same will not succeed later. `code` is the last two digits.
    #[must_use]
    pub fn never(code: u16, subject: u16, detail: u16, text: impl Into<Cow<'static, str>>) -> Reply {
        Reply::with_status(500 + code, EnhancedStatus::new(Class::Permanent, subject, detail), text.into())
    }

    /// 3yz: more is wanted. These carry no enhanced status (RFC 2034 §4).
    #[must_use]
    pub fn more(code: u16, text: impl Into<Cow<'static, str>>) -> Reply {
        Reply { code: 300 + code, status: None, text: Text::Line(text.into()) }
    }

    /// 2yz without an enhanced status: the greeting and the answers to EHLO and HELO (RFC 2034 §4).
    /// `lines` must not be empty.
    #[must_use]
    pub fn bare(code: u16, mut lines: Vec<Cow<'static, str>>) -> Reply {
        assert!(!lines.is_empty(), "a reply has at least one line");
        let text = if lines.len() == 1 { Text::Line(lines.remove(0)) } else { Text::Lines(lines) };
        Reply { code: 200 + code, status: None, text }
    }

    fn with_status(code: u16, status: EnhancedStatus, text: Cow<'static, str>) -> Reply {
        assert!(code / 100 == u16::from(status.class.digit()) && code % 100 < 60, "reply code {code}");
        Reply { code, status: Some(status), text: Text::Line(text) }
    }

    /// The same reply with another basic code of the same severity; for administrators who must
    /// keep the numbers of an older system (reference 9.2, legacy 454). `None` if `code` is not 4yz or 5yz.
    #[must_use]
    pub fn with_code(self, code: u16) -> Option<Reply> {
        let class = match code {
            400..=459 => Class::Transient,
            500..=559 => Class::Permanent,
            _ => return None,
        };
        let status = self.status.map(|s| EnhancedStatus { class, ..s });
        Some(Reply { code, status, ..self })
    }

    /// The same reply with another text, of one line.
    #[must_use]
    pub fn with_text(self, text: impl Into<Cow<'static, str>>) -> Reply {
        Reply { text: Text::Line(text.into()), ..self }
    }

    /// The three-digit code.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status, where the reply has one.
    #[must_use]
    pub fn status(&self) -> Option<EnhancedStatus> {
        self.status
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &Text {
        &self.text
    }

    /// Appends the bytes of the reply, the only function that makes them. Octets that could end a
    /// line or confuse a log are replaced by `?`; UTF-8 stays. A line is cut so that it does not
    /// pass 510 octets (RFC 5321 §4.5.3.1.5).
    pub fn write_to(&self, out: &mut Vec<u8>) {
        match &self.text {
            Text::Line(line) => self.write_line(out, b' ', line),
            Text::Lines(lines) => {
                let last = lines.len() - 1;
                for (at, line) in lines.iter().enumerate() {
                    self.write_line(out, if at == last { b' ' } else { b'-' }, line);
                }
            }
        }
    }

    fn write_line(&self, out: &mut Vec<u8>, separator: u8, line: &str) {
        let start = out.len();
        let digit = |n: u16| b'0' + u8::try_from(n % 10).unwrap_or(0);
        out.extend_from_slice(&[digit(self.code / 100), digit(self.code / 10), digit(self.code), separator]);
        if let Some(status) = self.status {
            use std::io::Write;
            // Writing to a vector cannot fail.
            let _ = write!(out, "{status} ");
        }
        let room = 510 - (out.len() - start);
        let mut end = line.len().min(room);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        out.extend(line.as_bytes()[..end].iter().map(|&b| if b < 0x20 || b == 0x7f { b'?' } else { b }));
        out.extend_from_slice(b"\r\n");
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = Vec::new();
        self.write_to(&mut bytes);
        f.write_str(String::from_utf8_lossy(&bytes).trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_gives_both_numbers() {
        assert_eq!(Reply::done(50, 1, 0, "Sender OK").to_string(), "250 2.1.0 Sender OK");
        assert_eq!(
            Reply::never(50, 7, 1, "Unable to relay for bob@ext.example").to_string(),
            "550 5.7.1 Unable to relay for bob@ext.example"
        );
        assert_eq!(Reply::more(54, "go on").to_string(), "354 go on");
        assert_eq!(Reply::never(30, 7, 3, "x").with_code(454).unwrap().to_string(), "454 4.7.3 x");
    }

    #[test]
    fn lines_are_joined_with_hyphens() {
        assert_eq!(Reply::bare(50, vec!["a".into(), "b".into()]).to_string(), "250-a\r\n250 b");
    }

    #[test]
    fn nothing_in_the_text_can_end_the_line() {
        let reply = Reply::never(50, 1, 1, "a\r\n250 ok\0b".to_owned());
        assert_eq!(reply.to_string(), "550 5.1.1 a??250 ok?b");
        let mut bytes = Vec::new();
        Reply::never(50, 1, 1, "ü".repeat(900)).write_to(&mut bytes);
        assert!(bytes.len() <= 512 && String::from_utf8(bytes).is_ok());
    }
}

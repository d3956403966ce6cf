//! An event as one line, for machines or for people. Nothing a client said can begin a line of its own.

use super::{Event, Fields};
use mail::Timestamp;
use std::fmt::{Display, Write};

impl Event<'_> {
    /// Appends the event as one line of JSON.
    pub(crate) fn write_json(&self, at: Timestamp, out: &mut Vec<u8>) {
        let mut line = JsonLine(out);
        line.0.extend_from_slice(b"{");
        line.put("time", &at);
        line.text("event", self.name());
        self.visit(&mut line);
        out.extend_from_slice(b"}\n");
    }

    /// Appends the event as one line of text.
    pub(crate) fn write_text(&self, at: Timestamp, out: &mut Vec<u8>) {
        let mut line = TextLine(String::with_capacity(160));
        // Writing to a string cannot fail.
        let _ = write!(line.0, "{at} {}", self.name());
        self.visit(&mut line);
        line.0.push('\n');
        out.extend_from_slice(line.0.as_bytes());
    }
}

/// A line of JSON.
struct JsonLine<'a>(&'a mut Vec<u8>);

impl JsonLine<'_> {
    fn put(&mut self, name: &str, value: &dyn Display) {
        self.name(name);
        self.string(value);
    }

    /// Names are ours and need no escape.
    fn name(&mut self, name: &str) {
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn string(&mut self, value: &dyn Display) {
        self.0.push(b'"');
        // Writing to a vector cannot fail.
        let _ = write!(Escaped(self.0), "{value}");
        self.0.push(b'"');
    }
}

/// Writes through [`escape`] as it comes, without a copy of the value.
struct Escaped<'a>(&'a mut Vec<u8>);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        escape(text, self.0);
        Ok(())
    }
}

/// Appends the inside of a JSON string (RFC 8259 §7).
fn escape(text: &str, out: &mut Vec<u8>) {
    let plain = |b: &u8| *b >= 0x20 && !matches!(b, b'"' | b'\\');
    let mut rest = text.as_bytes();
    // Nearly always; without an early end the compiler looks at 32 octets at once.
    if rest.iter().fold(true, |all, b| all & plain(b)) {
        return out.extend_from_slice(rest);
    }
    while let Some(at) = rest.iter().position(|b| !plain(b)) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', b]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b => {
                let digit = |n: u8| b"0123456789abcdef"[usize::from(n)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(b >> 4), digit(b & 15)]);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

impl Fields for JsonLine<'_> {
    fn field(&mut self, name: &'static str, value: &dyn Display) {
        self.0.push(b',');
        self.put(name, value);
    }

    fn text(&mut self, name: &'static str, value: &str) {
        self.0.push(b',');
        self.name(name);
        self.0.push(b'"');
        escape(value, self.0);
        self.0.push(b'"');
    }

    fn list(&mut self, name: &'static str, values: &[String]) {
        self.0.push(b',');
        self.name(name);
        self.0.push(b'[');
        for (at, value) in values.iter().enumerate() {
            if at > 0 {
                self.0.push(b',');
            }
            self.string(value);
        }
        self.0.push(b']');
    }

    fn number(&mut self, name: &'static str, value: u64) {
        self.0.push(b',');
        self.name(name);
        // Writing to a vector cannot fail.
        let _ = std::io::Write::write_fmt(self.0, format_args!("{value}"));
    }
}

/// A line of text.
struct TextLine(String);

impl TextLine {
    /// Values with blanks are quoted; what could start a new line or move a terminal is escaped.
    fn value(&mut self, value: &dyn Display) {
        let text = value.to_string();
        let plain = !text.is_empty() && text.chars().all(|c| !c.is_whitespace() && !c.is_control() && c != '"');
        if plain {
            self.0.push_str(&text);
        } else {
            // Debug form escapes exactly what must not reach a terminal.
            let _ = write!(self.0, "{text:?}");
        }
    }
}

impl Fields for TextLine {
    fn field(&mut self, name: &'static str, value: &dyn Display) {
        let _ = write!(self.0, " {name}=");
        self.value(value);
    }

    fn text(&mut self, name: &'static str, value: &str) {
        self.field(name, &value);
    }

    fn list(&mut self, name: &'static str, values: &[String]) {
        for value in values {
            self.field(name, value);
        }
    }

    fn number(&mut self, name: &'static str, value: u64) {
        let _ = write!(self.0, " {name}={value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_serde_escapes_them() {
        let all: String = (0..=0x2fff).filter_map(char::from_u32).collect();
        let mut ours = Vec::new();
        JsonLine(&mut ours).string(&all);
        assert_eq!(String::from_utf8(ours).unwrap(), serde_json::to_string(&all).unwrap());
    }

    #[test]
    fn a_client_cannot_write_a_line_of_its_own() {
        let event =
            Event::NotTaken { server: "inbound", client: "192.0.2.66".parse().unwrap(), why: "a\r\n\"b\"\u{1b}[2J" };
        let (mut text, mut json) = (Vec::new(), Vec::new());
        event.write_text(Timestamp::from_millis(0), &mut text);
        event.write_json(Timestamp::from_millis(0), &mut json);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "1970-01-01T00:00:00.000Z not-taken server=inbound client=192.0.2.66 why=\"a\\r\\n\\\"b\\\"\\u{1b}[2J\"\n"
        );
        let parsed: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(parsed["why"], "a\r\n\"b\"\u{1b}[2J");
        assert_eq!(parsed["event"], "not-taken");
    }
}

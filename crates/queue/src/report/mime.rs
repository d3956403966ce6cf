//! Octets of a report that are safe whatever an attacker said: fields, parts, encodings.
//!
//! The parts are put together by `mail-builder`. The encodings are chosen here, because those of
//! message/… parts are prescribed (RFC 3462, RFC 3464); the boundary is given, because ours must not
//! depend on a clock and must not occur in what is returned.

use mail_builder::encoders::QuotedPrintableEncoder;
use mail_builder::headers::content_type::ContentType;
use mail_builder::mime::{BodyPart, MimePart};

/// Octets a line may have (RFC 5322 §2.1.1).
const LINE_OCTETS: usize = 998;
/// Octets of a value; with its name it fits one line even where it cannot be folded.
const VALUE_OCTETS: usize = 900;
/// Where lines are folded, if they can be.
const FOLD_AT: usize = 76;
/// Octets of a returned header; what is over is cut off at a line.
const HEADER_OCTETS: usize = 64 * 1024;

/// A field by its name.
pub(super) struct Field(pub(super) &'static str);

impl Field {
    /// Writes the field. Whatever the value is, it makes this one field: control characters become
    /// question marks, runs of blanks one blank, and every continued line starts with one.
    pub(super) fn write(&self, out: &mut String, value: &str) {
        out.push_str(self.0);
        out.push(':');
        let mut column = self.0.len() + 1;
        for word in tame(value, VALUE_OCTETS).split(' ').filter(|word| !word.is_empty()) {
            if column + 1 + word.len() > FOLD_AT && column > self.0.len() + 1 {
                out.push_str("\r\n");
                column = 0;
            }
            out.push(' ');
            out.push_str(word);
            column += 1 + word.len();
        }
        out.push_str("\r\n");
    }
}

/// The text on one line: what is not printable becomes a question mark, and what is over `octets` is
/// cut off.
pub(super) fn tame(text: &str, octets: usize) -> String {
    let cut = &text[..text.floor_char_boundary(octets)];
    cut.chars().map(|c| if is_printable(c) { c } else { '?' }).collect()
}

/// No control characters, and none of the invisible ones that turn text around or end a line elsewhere.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The text with a question mark for whatever is not ASCII.
pub(super) fn ascii(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

/// RFC 6533 §3, utf-8-addr-xtext: `\x{F6}` for what is not ASCII or would be mistaken for it.
pub(super) fn utf8_address_in_ascii(address: &str) -> String {
    let mut out = String::with_capacity(address.len() * 2);
    for c in address.chars() {
        if c.is_ascii_graphic() && !matches!(c, '\\' | '+' | '=') {
            out.push(c);
        } else {
            out.push_str(&format!("\\x{{{:X}}}", u32::from(c)));
        }
    }
    out
}

/// A part of the report.
pub(super) struct Part {
    /// Its media type.
    pub(super) kind: &'static str,
    /// Its content transfer encoding; the content is encoded already.
    pub(super) encoding: &'static str,
    /// Its octets.
    pub(super) content: Vec<u8>,
}

impl Part {
    /// Text for people.
    pub(super) fn text(text: &str, eight_bit: bool) -> Part {
        let kind = "text/plain";
        if text.is_ascii() {
            return Part { kind, encoding: "7bit", content: text.into() };
        }
        if eight_bit {
            return Part { kind, encoding: "8bit", content: text.into() };
        }
        Part { kind, encoding: "quoted-printable", content: quoted_printable(text.as_bytes()) }
    }

    /// A header of a message. RFC 3462 §3 allows quoted-printable where it cannot stand as it is.
    pub(super) fn header(header: &[u8]) -> Part {
        let (kind, header) = ("text/rfc822-headers", clean(header));
        if header.is_ascii() && can_be_enclosed(&header) {
            return Part { kind, encoding: "7bit", content: header };
        }
        Part { kind, encoding: "quoted-printable", content: quoted_printable(&header) }
    }
}

/// The same lines, all of which end in CRLF, with a question mark for each control character.
fn clean(header: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.len() + 2);
    for line in header.split_inclusive(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        out.extend(line.iter().map(|&b| if b.is_ascii_control() && b != b'\t' { b'?' } else { b }));
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn quoted_printable(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() * 2);
    QuotedPrintableEncoder::new().preserve_line_breaks().encode_into(content, &mut out);
    out
}

/// A multipart/report of these parts, behind the header fields in `head`.
pub(super) fn report(head: String, boundary: &str, parts: [Part; 3]) -> Vec<u8> {
    let boundary = unused(boundary, &parts);
    let eight_bit = parts.iter().any(|part| part.encoding == "8bit");
    let parts: Vec<MimePart<'_>> = parts.into_iter().map(part).collect();
    let kind = ContentType::new("multipart/report")
        .attribute("report-type", "delivery-status")
        .attribute("boundary", boundary);
    let mut whole = MimePart::new(kind, BodyPart::Multipart(parts));
    if eight_bit {
        whole = whole.transfer_encoding("8bit");
    }
    let mut out = head.into_bytes();
    whole.write_part(&mut out);
    out
}

fn part<'a>(Part { kind, encoding, content }: Part) -> MimePart<'a> {
    let mut content_type = ContentType::new(kind);
    if kind == "text/plain" {
        content_type = content_type.attribute("charset", if encoding == "7bit" { "us-ascii" } else { "utf-8" });
    }
    MimePart::new(content_type, BodyPart::Binary(content.into())).transfer_encoding(encoding)
}

/// A boundary that begins no line of any part: `wanted`, or `wanted` with the first number that will do.
fn unused(wanted: &str, parts: &[Part]) -> String {
    let occurs = |boundary: &str| {
        let needle = format!("--{boundary}");
        parts.iter().any(|part| lines(&part.content).any(|line| line.starts_with(needle.as_bytes())))
    };
    let mut candidates = std::iter::once(wanted.to_owned()).chain((1u64..).map(|n| format!("{wanted}={n}")));
    candidates.find(|boundary| !occurs(boundary)).expect("invariant: the parts are finite")
}

/// The header of a message with its line ends, without the empty line behind it.
pub(super) fn header_of(message: &[u8]) -> &[u8] {
    let mut end = 0;
    for line in message.split_inclusive(|b| *b == b'\n') {
        if line == b"\r\n" || line == b"\n" || end + line.len() > HEADER_OCTETS || !line.ends_with(b"\n") {
            break;
        }
        end += line.len();
    }
    &message[..end]
}

/// Whether octets can stand as a part unchanged: lines that end in CRLF and are not too long, no NUL.
pub(super) fn can_be_enclosed(content: &[u8]) -> bool {
    content.split_inclusive(|b| *b == b'\n').all(|line| {
        let text = line.strip_suffix(b"\r\n").unwrap_or(line);
        text.len() <= LINE_OCTETS && !text.iter().any(|b| matches!(b, 0 | b'\r' | b'\n'))
    })
}

/// Whether a line begins with a dot.
pub(super) fn has_dots(content: &[u8]) -> bool {
    lines(content).any(|line| line.starts_with(b"."))
}

fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split(|b| *b == b'\n')
}

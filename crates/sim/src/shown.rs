//! What has been delivered, as a transcript shows it.

use crate::world::PlacedFile;

/// A file in a drop directory begins with its envelope, which is shown as that of a delivery; any
/// other file is shown by its name. And the rest of the content.
pub(crate) fn summary_of(file: &PlacedFile) -> (String, Vec<u8>) {
    let (mut from, mut to, mut rest) = (None, Vec::new(), &file.content[..]);
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        match line.split_once(": ") {
            Some(("X-Sender", path)) => from = Some(path.to_owned()),
            Some(("X-Receiver", path)) => to.push(path.to_owned()),
            _ => break,
        }
        rest = &rest[end + 2..];
    }
    let summary = from.map(|from| format!("from {from} to {}", to.join(" ")));
    (summary.unwrap_or_else(|| format!("file {}", file.name)), rest.to_vec())
}

/// The lines of a message as a transcript shows them: a bar in front, odd octets escaped.
pub(crate) fn shown_lines(content: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        let end = rest.windows(2).position(|pair| pair == b"\r\n");
        let line = &rest[..end.unwrap_or(rest.len())];
        lines.push(format!("| {}", escaped(line)).trim_end().to_owned());
        rest = end.map_or(&[], |end| &rest[end + 2..]);
    }
    lines
}

fn escaped(line: &[u8]) -> String {
    let mut text = String::new();
    for chunk in line.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\r' => text.push_str("\\r"),
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                '\0' => text.push_str("\\0"),
                c if c.is_control() => text.push_str(&format!("\\x{:02x}", u32::from(c))),
                c => text.push(c),
            }
        }
        for octet in chunk.invalid() {
            text.push_str(&format!("\\x{octet:02x}"));
        }
    }
    text
}

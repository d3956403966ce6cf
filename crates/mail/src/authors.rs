//! Who a message says it is from: the mailboxes in From, Sender and Resent-From.
//!
//! Strict on purpose. What one program reads as one author and another as somebody else is how a
//! check of the author is passed by (conformance row 17): so what does not follow RFC 5322 §3.4, and a
//! field that may stand once and stands twice, is [`Author::Unreadable`] and nobody's own.

use crate::address::Mailbox;

/// Mailboxes of one kind of field that are read; one more, and the field is unreadable.
const MAILBOXES: usize = 1000;
/// How deep comments may lie in one another.
const COMMENT_DEPTH: u32 = 16;

/// Whom a field names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author {
    /// One mailbox of it.
    Mailbox(Mailbox),
    /// It could be read in more than one way, or in none.
    Unreadable,
}

/// Who a message says it is from.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Authors {
    /// In From (RFC 5322 §3.6.2): who wrote it.
    pub from: Vec<Author>,
    /// In Sender: who sent it on their behalf.
    pub sender: Vec<Author>,
    /// In Resent-From (§3.6.6): who sent it once more; a message may have several such fields.
    pub resent_from: Vec<Author>,
}

impl Authors {
    /// Reads a header; an empty line ends it.
    #[must_use]
    pub fn of(header: &[u8]) -> Authors {
        let mut authors = Authors::default();
        let mut seen = [0_u32; 2];
        for field in (Fields { rest: header }) {
            let Some(colon) = field.iter().position(|octet| *octet == b':') else { continue };
            let (name, body) = (field[..colon].trim_ascii_end(), &field[colon + 1..]);
            let (list, once) = if name.eq_ignore_ascii_case(b"from") {
                (&mut authors.from, Some(&mut seen[0]))
            } else if name.eq_ignore_ascii_case(b"sender") {
                (&mut authors.sender, Some(&mut seen[1]))
            } else if name.eq_ignore_ascii_case(b"resent-from") {
                (&mut authors.resent_from, None)
            } else {
                continue;
            };
            // A blank before the colon hides a field from some readers and from others not.
            let mut is_plain = name.len() == colon;
            if let Some(seen) = once {
                *seen += 1;
                is_plain &= *seen == 1;
            }
            match mailboxes(body).filter(|found| is_plain && list.len() + found.len() <= MAILBOXES) {
                Some(found) => list.extend(found.into_iter().map(Author::Mailbox)),
                None if list.last() == Some(&Author::Unreadable) => {}
                None => list.push(Author::Unreadable),
            }
        }
        authors
    }
}

/// The fields of a header, each with its folded lines and without its last line end.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let all = self.rest;
        let mut end = 0;
        loop {
            let line = all[end..].iter().position(|octet| *octet == b'\n').map_or(all.len(), |at| end + at + 1);
            if all[end..line].trim_ascii_end().is_empty() && end == 0 {
                return None;
            }
            end = line;
            if !matches!(all.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        self.rest = &all[end..];
        Some(all[..end].trim_ascii_end())
    }
}

/// The mailboxes of an address list (RFC 5322 §3.4), groups opened; `None` if it is anything else.
fn mailboxes(body: &[u8]) -> Option<Vec<Mailbox>> {
    let text = std::str::from_utf8(body).ok()?;
    let mut scan = Scan { rest: text.chars(), element: Element::default(), found: Vec::new(), in_group: false };
    while let Some(c) = scan.rest.next() {
        scan.take(c)?;
    }
    if scan.in_group {
        return None;
    }
    scan.end_of_list()?;
    Some(scan.found)
}

struct Scan<'a> {
    rest: std::str::Chars<'a>,
    element: Element,
    found: Vec<Mailbox>,
    in_group: bool,
}

/// What has been read since the last comma.
#[derive(Default)]
struct Element {
    /// Words outside angle brackets, without blanks and comments.
    text: String,
    /// A blank or comment came behind a word.
    gap: bool,
    /// Two words with only a gap between them: a phrase, which is no address.
    is_phrase: bool,
    /// What stood in angle brackets.
    angle: Option<Mailbox>,
    /// Nothing may come before the next comma.
    closed: bool,
}

impl Scan<'_> {
    fn take(&mut self, c: char) -> Option<()> {
        match c {
            ' ' | '\t' | '\r' | '\n' => self.element.gap = true,
            '(' => {
                comment(&mut self.rest)?;
                self.element.gap = true;
            }
            _ if self.element.closed && !matches!(c, ',' | ';') => return None,
            '"' => {
                let quoted = quoted(&mut self.rest)?;
                self.element.word(&quoted);
            }
            '<' if self.element.angle.is_none() => {
                self.element.angle = Some(angle(&mut self.rest)?);
                self.element.closed = true;
            }
            ',' => self.end_of_mailbox()?,
            ':' if !self.in_group && self.element.angle.is_none() && !self.element.text.is_empty() => {
                self.element = Element::default();
                self.in_group = true;
            }
            ';' if self.in_group => {
                if !self.element.is_empty() {
                    self.end_of_mailbox()?;
                }
                self.element = Element { closed: true, ..Element::default() };
                self.in_group = false;
            }
            '[' => {
                let literal = until(&mut self.rest, ']')?;
                self.element.word(&format!("[{literal}]"));
            }
            _ if c.is_control() || matches!(c, '<' | '>' | '[' | ']' | ')' | ':' | ';' | '\\') => return None,
            _ => self.element.word(c.encode_utf8(&mut [0; 4])),
        }
        Some(())
    }

    fn end_of_mailbox(&mut self) -> Option<()> {
        let element = std::mem::take(&mut self.element);
        // What follows the end of a group.
        if element.closed && element.angle.is_none() {
            return Some(());
        }
        let mailbox = match element.angle {
            Some(mailbox) => mailbox,
            None if element.is_phrase => return None,
            None => element.text.parse().ok()?,
        };
        self.found.push(mailbox);
        Some(())
    }

    fn end_of_list(&mut self) -> Option<()> {
        let was_group = self.element.closed && self.element.angle.is_none();
        if self.element.is_empty() && was_group {
            return Some(());
        }
        self.end_of_mailbox()
    }
}

impl Element {
    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.angle.is_none()
    }

    fn word(&mut self, word: &str) {
        // RFC 5322 §4.4 lets blanks stand around the dots and the at sign of an address; no program
        // writes them there, so a gap between any two words makes a phrase.
        self.is_phrase |= self.gap && !self.text.is_empty();
        self.gap = false;
        self.text.push_str(word);
    }
}

/// Behind the `(` of a comment up to its end.
fn comment(rest: &mut std::str::Chars<'_>) -> Option<()> {
    let mut depth = 1;
    while depth > 0 {
        match rest.next()? {
            '\\' => drop(rest.next()?),
            '(' if depth == COMMENT_DEPTH => return None,
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
    }
    Some(())
}

/// A quoted string as it stands, quotes included, from behind its first.
fn quoted(rest: &mut std::str::Chars<'_>) -> Option<String> {
    let mut text = String::from('"');
    loop {
        let c = rest.next()?;
        text.push(c);
        match c {
            '\\' => text.push(rest.next()?),
            '"' => return Some(text),
            _ => {}
        }
    }
}

/// Up to `end`, which is not part of it.
fn until(rest: &mut std::str::Chars<'_>, end: char) -> Option<String> {
    let mut text = String::new();
    loop {
        match rest.next()? {
            c if c == end => return Some(text),
            '[' | '\\' => return None,
            c => text.push(c),
        }
    }
}

/// The address in angle brackets, from behind the first.
fn angle(rest: &mut std::str::Chars<'_>) -> Option<Mailbox> {
    let mut text = String::new();
    loop {
        match rest.next()? {
            // A source route, which RFC 5322 calls obsolete, names more than one.
            '>' if text.starts_with('@') => return None,
            '>' => return text.parse().ok(),
            '"' => text.push_str(&quoted(rest)?),
            '(' => comment(rest)?,
            ' ' | '\t' | '\r' | '\n' => {}
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> Option<Vec<String>> {
        mailboxes(body.as_bytes()).map(|found| found.iter().map(Mailbox::to_string).collect())
    }

    #[test]
    fn row17_mailboxes_as_people_write_them() {
        for (body, expected) in [
            (" alice@corp.example", &["alice@corp.example"][..]),
            (" Alice <alice@corp.example>", &["alice@corp.example"]),
            (" \"Smith, Alice\" <alice@corp.example>", &["alice@corp.example"]),
            (" =?UTF-8?Q?Al=C3=ADce?= <alice@corp.example> (work)", &["alice@corp.example"]),
            (" alice@corp.example (Alice (at work))", &["alice@corp.example"]),
            (" Alice\r\n <alice@corp.example>,\r\n\tbob@ext.example", &["alice@corp.example", "bob@ext.example"]),
            (" \"a b\"@corp.example", &["\"a b\"@corp.example"]),
            (" <alice@[192.0.2.1]>", &["alice@[192.0.2.1]"]),
            (" Team: alice@corp.example, Bob <bob@ext.example>;", &["alice@corp.example", "bob@ext.example"]),
            (" Undisclosed:;", &[]),
            (" alice@corp.example <alice@corp.example>", &["alice@corp.example"]),
            (" Álvaro <alvaro@corp.example>", &["alvaro@corp.example"]),
        ] {
            assert_eq!(
                read(body).as_deref(),
                Some(&expected.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()[..]),
                "{body:?}"
            );
        }
    }

    #[test]
    fn row17_what_two_programs_could_read_in_two_ways() {
        for body in [
            "",
            " ",
            " Alice",
            " alice @corp.example extra",
            " <alice@corp.example> <bob@ext.example>",
            " <alice@corp.example> bob@ext.example",
            " alice@corp.example bob@ext.example",
            " alice@corp.example,",
            " ,alice@corp.example",
            " <@relay.example:alice@corp.example>",
            " <alice@corp.example",
            " \"alice@corp.example",
            " alice@corp.example (",
            " a: b: c@corp.example;;",
            " a: alice@corp.example",
            " alice@corp.example;",
            " \\alice@corp.example",
            " <>",
        ] {
            assert_eq!(read(body), None, "{body:?}");
        }
        assert_eq!(mailboxes(b" alice\0@corp.example"), None);
        assert_eq!(mailboxes(b" \xff@corp.example"), None);
        assert_eq!(mailboxes(&[b'('; 100_000]), None);
    }

    fn authors(header: &str) -> (Vec<Author>, Vec<Author>, Vec<Author>) {
        let Authors { from, sender, resent_from } = Authors::of(header.as_bytes());
        (from, sender, resent_from)
    }

    fn mailbox(text: &str) -> Author {
        Author::Mailbox(text.parse().unwrap())
    }

    #[test]
    fn fields_are_found_whatever_stands_around_them() {
        let header = "Received: from x\r\n\tby y\r\nfrom: a@x.example\r\nSubject: From: z@x.example\r\n From: q@x.example\r\n\
                      SENDER:\r\n b@x.example\r\nResent-From: c@x.example\r\nResent-From: d@x.example\r\n\r\nFrom: body@x.example\r\n";
        let (from, sender, resent) = authors(header);
        assert_eq!(from, [mailbox("a@x.example")]);
        assert_eq!(sender, [mailbox("b@x.example")]);
        assert_eq!(resent, [mailbox("c@x.example"), mailbox("d@x.example")]);
    }

    #[test]
    fn row17_a_field_that_stands_twice_is_nobodys() {
        let (from, ..) = authors("From: a@x.example\r\nFrom: b@x.example\r\nFrom: c@x.example\r\n");
        assert_eq!(from, [mailbox("a@x.example"), Author::Unreadable]);
        let (from, ..) = authors("From : a@x.example\r\n");
        assert_eq!(from, [Author::Unreadable]);
    }

    proptest! {
        #[test]
        fn anything_is_read_to_its_end(header in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Authors::of(&header);
        }

        #[test]
        fn what_was_read_is_in_the_text(body in "[a-c@.<>\",:; ()\\[\\]\r\n]{0,40}") {
            for found in mailboxes(body.as_bytes()).unwrap_or_default() {
                let plain: String = body.chars().filter(|c| !c.is_whitespace()).collect();
                prop_assert!(plain.contains(found.local.as_str()) || body.contains('('), "{found} in {body:?}");
            }
        }
    }
}

//! What is in a message. It follows from the seed, the number and the size, so that whoever judges
//! knows it without having seen it sent.

use super::plan::Letter;
use crate::dice::Dice;
use crate::plant::CONTENT;

/// The content of a message, exactly as large as the plan says. Every line ends with CR LF, if it is
/// large enough for one.
#[must_use]
pub(super) fn content(seed: u64, letter: &Letter) -> Vec<u8> {
    let mut dice = Dice::new(seed).fork(&format!("letter {}", letter.number));
    let mut content = Vec::with_capacity(letter.size + 1024);
    if letter.size >= 200 {
        let from = letter.sender();
        let head = format!("From: <{from}>\r\nSubject: letter {}\r\nX-Marker: {CONTENT}\r\n\r\n", letter.number);
        content.extend_from_slice(head.as_bytes());
    }
    while content.len() < letter.size {
        line(&mut dice, letter.size - content.len(), &mut content);
    }
    content
}

/// One line, which with its end is at most `room` octets long.
fn line(dice: &mut Dice, room: usize, content: &mut Vec<u8>) {
    let Some(room) = room.checked_sub(2) else {
        return content.resize(content.len() + room, b'x');
    };
    let longest = if dice.chance(3) { 998 } else { 76 };
    let mut length = usize::try_from(dice.between(0, longest)).unwrap_or(0).min(room);
    // What is left must be room enough for another line end, or nothing.
    if room - length < 2 {
        length = room;
    }
    let begin = content.len();
    for _ in 0..length {
        content.push(b' ' + u8::try_from(dice.below(95)).unwrap_or(0));
    }
    if length > 0 && dice.chance(10) {
        content[begin] = b'.';
    }
    content.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::super::plan::Notify;
    use super::*;

    #[test]
    fn content_is_as_large_as_it_should_be_and_ends_its_lines() {
        for size in (0..1200).chain([4096, 70_000]) {
            let letter = Letter { number: 3, from: None, to: Vec::new(), size, notify: Notify::Unsaid };
            let content = content(9, &letter);
            assert_eq!(content.len(), size);
            assert!(size < 2 || content.ends_with(b"\r\n"), "{size}");
            for line in content.split(|octet| *octet == b'\n') {
                assert!(line.len() <= 999 && !line[..line.len().saturating_sub(1)].contains(&b'\r'), "{size}");
            }
        }
    }
}

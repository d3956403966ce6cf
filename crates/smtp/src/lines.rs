//! Whole lines of content that need no decision, found many at a time.
//!
//! Almost all content is lines that end with CR LF, none too long and none beginning with a dot. That
//! much can be seen without looking at each line on its own; whatever cannot is left to who asks, and so
//! is what a limit makes of it.

/// Octets that are judged together.
const BLOCK: usize = 64;
/// Octets that are looked at before asking again where a line ends.
const WINDOW: usize = 4096;

/// How many octets at the front of `text`, which begins a line, are lines that are complete with their
/// CR LF, begin with no dot, hold no other CR or LF and no NUL, have at most `octets` without their CR LF,
/// and are followed by something that is no dot. Not all such lines are found: those near the end of `text` are not, nor
/// those near one that is different.
#[must_use]
pub(crate) fn plain(text: &[u8], octets: usize) -> usize {
    if let Some(b'\n' | b'.') = text.first() {
        return 0;
    }
    let mut passed = 0;
    loop {
        // Every line that ends within as many octets as one line may have is short enough.
        let window = &text[passed..];
        let window = &window[..window.len().min(octets.saturating_add(2)).min(WINDOW)];
        match memchr::memrchr(b'\n', &window[..undecided(window)]) {
            Some(end) => passed += end + 1,
            None => return passed,
        }
    }
}

/// Where the first block begins that has something special in it, or is not whole.
fn undecided(window: &[u8]) -> usize {
    let mut at = 0;
    while let Some(block) = window.get(at..).and_then(<[u8]>::first_chunk::<{ BLOCK + 1 }>) {
        if is_special(block) {
            break;
        }
        at += BLOCK;
    }
    at
}

/// Whether a CR or LF stands alone, a dot follows an LF, or there is a NUL; the last octet is only seen as
/// what follows. Without a branch for each octet, so that many are compared at once.
fn is_special(block: &[u8; BLOCK + 1]) -> bool {
    let pairs = block.iter().zip(&block[1..]);
    pairs.fold(false, |special, (&octet, &next)| {
        special | ((octet == b'\r') ^ (next == b'\n')) | ((octet == b'\n') & (next == b'.')) | (octet == 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same line by line: how many octets may be passed at most, and all places between lines.
    fn slowly(text: &[u8], octets: usize) -> Vec<usize> {
        let mut places = vec![0];
        let mut at = 0;
        if text.first() == Some(&b'.') {
            return places;
        }
        for line in text.split_inclusive(|octet| *octet == b'\n') {
            let Some(content) = line.strip_suffix(b"\r\n") else { break };
            at += line.len();
            let ends_here = text.get(at) == Some(&b'.') || content.len() > octets;
            if ends_here || content.iter().any(|octet| matches!(octet, b'\r' | 0)) {
                break;
            }
            places.push(at);
        }
        places
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            20 => (0..100_usize).prop_map(|octets| [vec![b'x'; octets], b"\r\n".to_vec()].concat()),
            2 => (0..2_500_usize).prop_map(|octets| vec![b'y'; octets]),
            1 => "\r|\n|\0|\\.|\r\r\n|\n\r".prop_map(String::into_bytes),
        ];
        proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn only_whole_plain_lines_are_passed(text in text(), octets in prop_oneof![Just(10), Just(998), Just(2_000)]) {
            let passed = plain(&text, octets);
            prop_assert!(slowly(&text, octets).contains(&passed), "{passed}");
        }
    }

    #[test]
    fn most_of_plain_content_is_passed() {
        let text = b"A line like any other.\r\n".repeat(1_000);
        assert!(plain(&text, 998) > text.len() - 2 * BLOCK);
    }

    #[test]
    fn what_stands_in_the_way_is_never_passed() {
        let before = b"A line like any other.\r\n".repeat(10);
        for special in [&b"\n"[..], b"\r", b"\r\r\n", b".\r\n", b"..\r\n", b"a\0b\r\n", b"a\rb\r\n", b"a\nb\r\n"] {
            let text = [&before, special, &before].concat();
            assert!(plain(&text, 998) <= before.len(), "{special:?}");
            assert_eq!(plain(&text[before.len()..], 998), 0, "{special:?}");
        }
    }
}

use super::*;
use proptest::prelude::*;

fn encoded<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut dots = Dots::new();
    let mut out = Vec::new();
    chunks.into_iter().for_each(|chunk| dots.encode(chunk, &mut out));
    dots.finish(&mut out);
    out
}

fn whole(content: &[u8]) -> Vec<u8> {
    encoded([content])
}

/// The lines of a DATA stream as RFC 5321 §4.5.2 reads them; knows nothing of the encoder.
fn decoded(stream: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut content = Vec::new();
    let mut rest = stream;
    loop {
        let end = rest.iter().position(|b| matches!(b, b'\r' | b'\n')).ok_or("no end of data")?;
        if !rest[end..].starts_with(b"\r\n") {
            return Err("a bare CR or LF");
        }
        let line = &rest[..end];
        rest = &rest[end + 2..];
        if line == b"." {
            return if rest.is_empty() { Ok(content) } else { Err("octets after the end of data") };
        }
        if line.len() > LINE_OCTETS + usize::from(line.starts_with(b".")) {
            return Err("a line too long");
        }
        content.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        content.extend_from_slice(b"\r\n");
    }
}

/// What a content means: lines that end with CR LF, whatever they ended with before.
fn canonical(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut octets = content.iter().copied().peekable();
    while let Some(b) = octets.next() {
        match b {
            b'\r' => {
                octets.next_if_eq(&b'\n');
                out.extend_from_slice(b"\r\n");
            }
            b'\n' => out.extend_from_slice(b"\r\n"),
            b => out.push(b),
        }
    }
    if !out.is_empty() && !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[test]
fn row05_every_place_a_dot_can_stand() {
    for (content, stream) in [
        ("", ".\r\n"),
        ("a\r\n", "a\r\n.\r\n"),
        ("a", "a\r\n.\r\n"),
        (".", "..\r\n.\r\n"),
        (".\r\n", "..\r\n.\r\n"),
        ("..\r\n", "...\r\n.\r\n"),
        ("a.b\r\n.c\r\n", "a.b\r\n..c\r\n.\r\n"),
        ("\r\n.\r\n", "\r\n..\r\n.\r\n"),
        ("a\r\n\r\n.\r\n.\r\nQUIT\r\n", "a\r\n\r\n..\r\n..\r\nQUIT\r\n.\r\n"),
    ] {
        assert_eq!(String::from_utf8(whole(content.as_bytes())).unwrap(), stream, "{content:?}");
        let octets = encoded(content.as_bytes().chunks(1));
        assert_eq!(String::from_utf8(octets).unwrap(), stream, "{content:?}, octet by octet");
    }
}

#[test]
fn row03_bare_line_ends_are_replaced_and_counted() {
    for (content, stream) in [
        ("a\nb", "a\r\nb\r\n.\r\n"),
        ("a\rb", "a\r\nb\r\n.\r\n"),
        ("a\r", "a\r\n.\r\n"),
        ("\n.\n", "\r\n..\r\n.\r\n"),
        ("\r.\r", "\r\n..\r\n.\r\n"),
        ("a\r\r\nb", "a\r\n\r\nb\r\n.\r\n"),
        ("a\n\r\nb", "a\r\n\r\nb\r\n.\r\n"),
        ("a\r\n.\rMAIL", "a\r\n..\r\nMAIL\r\n.\r\n"),
    ] {
        let mut dots = Dots::new();
        let mut out = Vec::new();
        dots.encode(content.as_bytes(), &mut out);
        dots.finish(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), stream, "{content:?}");
        assert!(dots.repaired(), "{content:?}");
    }
    let mut clean = Dots::new();
    clean.encode(b"a\r\n.b\r\n", &mut Vec::new());
    assert!(!clean.repaired());
}

#[test]
fn row25_lines_are_folded_at_the_limit_and_not_before() {
    let line = "x".repeat(998);
    assert_eq!(whole(line.as_bytes()), format!("{line}\r\n.\r\n").into_bytes());
    assert_eq!(whole(format!("{line}y\r\n").as_bytes()), format!("{line}\r\n y\r\n.\r\n").into_bytes());
    // The doubled dot does not count.
    let dotted = format!(".{}", "x".repeat(997));
    assert_eq!(whole(dotted.as_bytes()), format!(".{dotted}\r\n.\r\n").into_bytes());
}

#[test]
fn row25_folds_never_cut_a_character() {
    for shift in 0..4 {
        let text = format!("{}{}", "x".repeat(shift), "\u{20ac}\u{fc}\u{1f600}".repeat(700));
        let out = whole(text.as_bytes());
        assert!(out.split(|b| *b == b'\n').all(|line| std::str::from_utf8(line).is_ok()), "shift {shift}");
        let unfolded = String::from_utf8(decoded(&out).unwrap()).unwrap().replace("\r\n ", "");
        assert_eq!(unfolded, format!("{text}\r\n"));
        assert_eq!(encoded(text.as_bytes().chunks(1)), out);
    }
}

#[test]
fn stored_content_passes_without_a_copy() {
    let content = "Subject: x\r\n\r\nhello. \u{fc}\r\n".repeat(100);
    let mut dots = Dots::new();
    for chunk in content.as_bytes().chunks(13) {
        assert_eq!(dots.pass(chunk), chunk.len());
    }
    let mut end = Vec::new();
    dots.finish(&mut end);
    assert_eq!(end, b".\r\n");
    assert!(!needs_encoding(&ContentFacts { eight_bit: true, utf8_headers: true, ..ContentFacts::default() }));
    assert!(needs_encoding(&ContentFacts { dots: true, ..ContentFacts::default() }));
    assert!(needs_encoding(&ContentFacts { long_lines: true, ..ContentFacts::default() }));
}

/// Content made of what is dangerous.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(b"\r\n".to_vec()),
        2 => Just(b".".to_vec()),
        1 => Just(b"\r".to_vec()),
        1 => Just(b"\n".to_vec()),
        1 => Just(b"\r\n.\r\n".to_vec()),
        2 => "[a-z]{0,9}".prop_map(String::into_bytes),
        1 => (900_usize..1100).prop_map(|n| vec![b'x'; n]),
        1 => (290_usize..360).prop_map(|n| "\u{20ac}".repeat(n).into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..5).prop_map(|v| v.into_iter().filter(|b| *b != b' ').collect()),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn chunked<'a>(content: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (content.len() + 1)).collect();
    places.extend([0, content.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &content[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn row03_row05_any_content_in_any_chunks_comes_back(content in content(), cuts in prop::collection::vec(any::<usize>(), 0..12)) {
        let out = whole(&content);
        let lines = decoded(&out).map_err(TestCaseError::fail)?;
        // No line of these contents begins with a space, so every fold can be told.
        let mut unfolded = Vec::new();
        let mut rest = &lines[..];
        while let Some(at) = memchr::memmem::find(rest, b"\r\n ") {
            unfolded.extend_from_slice(&rest[..at]);
            rest = &rest[at + 3..];
        }
        unfolded.extend_from_slice(rest);
        prop_assert_eq!(unfolded, canonical(&content));

        let chunks = chunked(&content, &cuts);
        prop_assert_eq!(&encoded(chunks.iter().copied()), &out);

        // The way of a driver that writes from the stored slices.
        let (mut dots, mut written) = (Dots::new(), Vec::new());
        for chunk in chunks {
            let passed = dots.pass(chunk);
            written.extend_from_slice(&chunk[..passed]);
            dots.encode(&chunk[passed..], &mut written);
        }
        dots.finish(&mut written);
        prop_assert_eq!(written, out);
    }
}

//! Expected lines against actual ones.
//!
//! A line may hold two wildcards: `<id>` is any run of characters without a space, `...` is any
//! text at all. A line that is only `...` stands for any number of whole lines, also none.

/// A line that stands for any number of lines.
const ANY_LINES: &str = "...";

/// Whether all of `actual` is what `expected` says.
#[must_use]
pub fn lines_match<E: AsRef<str>, A: AsRef<str>>(expected: &[E], actual: &[A]) -> bool {
    match (expected.split_first(), actual.split_first()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some((first, rest)), _) if first.as_ref().trim() == ANY_LINES => {
            (0..=actual.len()).any(|skipped| lines_match(rest, &actual[skipped..]))
        }
        (Some(_), None) => false,
        (Some((first, rest)), Some((line, further))) => {
            line_matches(first.as_ref(), line.as_ref()) && lines_match(rest, further)
        }
    }
}

/// Whether one line is what `pattern` says.
#[must_use]
pub fn line_matches(pattern: &str, line: &str) -> bool {
    let text = pattern.find(ANY_LINES);
    let word = pattern.find("<id>");
    match (text, word) {
        (None, None) => pattern == line,
        (Some(at), word) if word.is_none_or(|word| at < word) => {
            let Some(rest) = line.strip_prefix(&pattern[..at]) else { return false };
            let behind = &pattern[at + ANY_LINES.len()..];
            ends(rest, |_| true).any(|end| line_matches(behind, &rest[end..]))
        }
        (_, Some(at)) => {
            let Some(rest) = line.strip_prefix(&pattern[..at]) else { return false };
            let behind = &pattern[at + "<id>".len()..];
            ends(rest, |c| c != ' ').skip(1).any(|end| line_matches(behind, &rest[end..]))
        }
        (Some(_), None) => unreachable!("text without a word is the second arm"),
    }
}

/// Where a wildcard that covers only characters of a kind may end.
fn ends(text: &str, covers: impl Fn(char) -> bool) -> impl Iterator<Item = usize> {
    let stop = text.find(|c| !covers(c)).unwrap_or(text.len());
    text.char_indices().map(|(at, _)| at).chain([text.len()]).take_while(move |at| *at <= stop)
}

/// Expected and actual lines one above the other, for a person.
#[must_use]
pub fn show(expected: &[String], actual: &[String]) -> String {
    let mut text = String::new();
    for (sign, lines) in [('-', expected), ('+', actual)] {
        for line in lines {
            text.push_str(&format!("  {sign} {line}\n"));
        }
        if lines.is_empty() {
            text.push_str(&format!("  {sign} (nothing)\n"));
        }
    }
    text
}

/// What to write in place of `expected` after a deliberate change: the actual lines, but those that
/// still say the truth as they are.
#[must_use]
pub fn rewritten(expected: &[String], actual: &[String]) -> Vec<String> {
    if expected.len() != actual.len() || expected.iter().any(|line| line.trim() == ANY_LINES) {
        return actual.to_vec();
    }
    let kept = |(old, new): (&String, &String)| if line_matches(old, new) { old.clone() } else { new.clone() };
    expected.iter().zip(actual).map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, line, expected) in [
            ("250 OK", "250 OK", true),
            ("250 OK", "250 OK!", false),
            ("250 2.6.0 <id> queued", "250 2.6.0 0A7 queued", true),
            ("250 2.6.0 <id> queued", "250 2.6.0 0 7 queued", false),
            ("250 2.6.0 <id> queued", "250 2.6.0  queued", false),
            ("250 ...", "250 anything at all", true),
            ("250 ... done", "250 anything done", true),
            ("250 ... done", "250 anything", false),
            ("...<id>...", "x", true),
        ] {
            assert_eq!(line_matches(pattern, line), expected, "{pattern} / {line}");
        }
    }

    #[test]
    fn any_number_of_lines() {
        assert!(lines_match(&["a", "...", "d"], &["a", "b", "c", "d"]));
        assert!(lines_match(&["a", "...", "d"], &["a", "d"]));
        assert!(!lines_match(&["a", "...", "d"], &["a", "b"]));
        assert!(!lines_match::<&str, &str>(&[], &["a"]));
    }

    #[test]
    fn rewriting_keeps_what_is_still_true() {
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            rewritten(&lines(&["220 ...", "250 old"]), &lines(&["220 mx", "250 new"])),
            lines(&["220 ...", "250 new"])
        );
    }
}

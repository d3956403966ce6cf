//! The acceptance table: every scenario of the specification is either proved by a file that names
//! it, or listed as waiting.
//!
//! `tests/acceptance.md` has one row per id: the id in the first column, and in the last either the
//! files that prove it, in backquotes, or the word *waiting* and what for. A file proves an id by
//! mentioning it, in upper or lower case (`fn a05_unlisted_is_refused`, `# A05: …`).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::Finding;

const TABLE: &str = "tests/acceptance.md";

/// The scenarios of the specification, section 9: each letter and its last number.
const SCENARIOS: [(&str, u32); 15] = [
    ("A", 12),
    ("B", 21),
    ("C", 10),
    ("D", 23),
    ("E", 13),
    ("F", 13),
    ("RT", 7),
    ("G", 10),
    ("H", 22),
    ("I", 18),
    ("K", 26),
    ("L", 21),
    ("M", 10),
    ("N", 6),
    ("P", 8),
];

struct Row<'a> {
    line: usize,
    id: &'a str,
    proof: &'a str,
}

/// Reads the table and looks into every file it names.
pub(crate) fn findings(root: &Path) -> Vec<Finding> {
    let Ok(table) = fs::read_to_string(root.join(TABLE)) else {
        return vec![Finding::new(TABLE, "there is none")];
    };
    let read = |path: &str| fs::read_to_string(root.join(path)).ok();
    faults(&table, &read).into_iter().map(|(line, text)| Finding::new(format!("{TABLE}:{line}"), text)).collect()
}

fn faults(table: &str, read: &dyn Fn(&str) -> Option<String>) -> Vec<(usize, String)> {
    let rows: Vec<Row<'_>> = rows(table).collect();
    let mut faults: Vec<(usize, String)> =
        rows.iter().flat_map(|row| row_faults(row, read).into_iter().map(|text| (row.line, text))).collect();
    let mut seen = BTreeSet::new();
    for row in &rows {
        if !seen.insert(row.id) {
            faults.push((row.line, format!("{} stands here a second time", row.id)));
        }
    }
    let missing = scenarios().filter(|id| !seen.contains(id.as_str()));
    faults.extend(missing.map(|id| (1, format!("{id} is neither proved nor waiting"))));
    faults
}

fn row_faults(row: &Row<'_>, read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let files: Vec<&str> = row.proof.split('`').skip(1).step_by(2).collect();
    if files.is_empty() {
        let waiting = row.proof.to_lowercase().contains("waiting");
        return if waiting { Vec::new() } else { vec![format!("{} names no proof and is not waiting", row.id)] };
    }
    let fault = |file: &&str| match read(file) {
        None => Some(format!("{}: there is no {file}", row.id)),
        Some(text) => (!mentions(&text, row.id)).then(|| format!("{}: {file} does not mention it", row.id)),
    };
    files.iter().filter_map(fault).collect()
}

fn rows(table: &str) -> impl Iterator<Item = Row<'_>> {
    table.lines().enumerate().filter_map(|(number, line)| {
        let cells: Vec<&str> =
            line.strip_prefix('|')?.trim_end().strip_suffix('|')?.split('|').map(str::trim).collect();
        let id = *cells.first()?;
        let (letters, digits) = id.split_at(id.find(|c: char| c.is_ascii_digit())?);
        let is_id = letters.chars().all(|c| c.is_ascii_uppercase()) && digits.chars().all(|c| c.is_ascii_digit());
        is_id.then(|| Row { line: number + 1, id, proof: cells.last().copied().unwrap_or_default() })
    })
}

fn scenarios() -> impl Iterator<Item = String> {
    SCENARIOS.iter().flat_map(|&(letters, last)| {
        let width = if letters.len() == 1 { 2 } else { 1 };
        (1..=last).map(move |number| format!("{letters}{number:0width$}"))
    })
}

/// Whether the id stands in the text as a word of its own, whatever its case; an underscore ends a
/// word, as in the names of tests.
fn mentions(text: &str, id: &str) -> bool {
    let (text, id) = (text.to_ascii_lowercase(), id.to_ascii_lowercase());
    let bytes = text.as_bytes();
    text.match_indices(&id).any(|(start, _)| {
        let before = start.checked_sub(1).is_none_or(|at| !bytes[at].is_ascii_alphanumeric());
        let after = bytes.get(start + id.len()).is_none_or(|byte| !byte.is_ascii_alphanumeric());
        before && after
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_word_of_its_own() {
        assert!(mentions("fn a05_unlisted_is_refused()", "A05"));
        assert!(mentions("# A04, A05", "A05"));
        assert!(!mentions("fn da05()", "A05"));
        assert!(!mentions("rt12", "RT1"));
    }

    #[test]
    fn rows_are_held_to_their_proofs() {
        let table = "| id | what | proof |\n|---|---|---|\n| A01 | x | `a.smtp` |\n| A02 | x | `gone.rs` |\n\
                     | A03 | x | waiting: accounts |\n| A04 | x | |\n| A05 | x | `a.smtp` |\n| A01 | x | `a.smtp` |\n";
        let read = |path: &str| (path == "a.smtp").then(|| "# A01".to_owned());
        let found: Vec<(usize, String)> = faults(table, &read).into_iter().filter(|(line, _)| *line > 1).collect();
        let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [4, 6, 7, 8], "{found:?}");
    }

    #[test]
    fn every_scenario_must_be_there() {
        let found = faults("", &|_| None);
        assert!(found.iter().any(|(_, text)| text == "RT7 is neither proved nor waiting"));
        assert!(found.iter().any(|(_, text)| text == "K26 is neither proved nor waiting"));
        assert_eq!(found.len(), 220);
    }
}

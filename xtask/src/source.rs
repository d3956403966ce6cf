//! The source files of the workspace, read once: what both `tidy` and `sizes` look at.

use std::fs;
use std::path::{Path, PathBuf};

/// One file, with its path from the root.
pub(crate) struct Source {
    /// Path from the root of the workspace, with `/`.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

/// A function, as rustfmt has laid it out.
pub(crate) struct Function<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// The number of its first line, counted from 1.
    pub(crate) line: usize,
    /// How many lines it has, from its signature to its closing brace.
    pub(crate) length: usize,
}

impl Source {
    /// The part that ships: everything before the tests at the end of the file.
    pub(crate) fn product(&self) -> &str {
        let end = self.text.find("\n#[cfg(test)]").unwrap_or(self.text.len());
        if self.is_test_file() { "" } else { &self.text[..end] }
    }

    /// The part that is only tests.
    pub(crate) fn tests(&self) -> &str {
        &self.text[self.product().len()..]
    }

    /// Whether the whole file is tests.
    pub(crate) fn is_test_file(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs") || self.path.ends_with("_tests.rs")
    }

    /// How many lines it has.
    pub(crate) fn lines(&self) -> usize {
        self.text.lines().count()
    }

    /// Its functions that ship.
    pub(crate) fn functions(&self) -> Vec<Function<'_>> {
        let lines: Vec<&str> = self.product().lines().collect();
        let found = lines.iter().enumerate().filter_map(|(start, line)| {
            let name = function_name(line)?;
            let length = length_of_function(&lines[start..])?;
            Some(Function { name, line: start + 1, length })
        });
        found.collect()
    }
}

/// Every file under `root` whose name ends so, without what git ignores.
pub(crate) fn files(root: &Path, extension: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(root, extension, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).ok()?;
        let path = path.strip_prefix(root).ok()?.to_string_lossy().into_owned();
        Some(Source { path, text })
    };
    paths.into_iter().filter_map(read).collect()
}

fn collect(directory: &Path, extension: &str, paths: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(directory).map(Iterator::flatten).into_iter().flatten();
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let ignored = ["target", ".git", "bridgehead-data", "corpus"].iter().any(|ignored| name == *ignored);
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_directory && !ignored {
            collect(&path, extension, paths);
        } else if path.extension().is_some_and(|found| found == extension) {
            paths.push(path);
        }
    }
}

fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    loop {
        let word = rest.split([' ', '(']).next()?;
        match word {
            "fn" => break,
            "pub" | "const" | "async" | "unsafe" => {}
            _ => return None,
        }
        rest = rest[word.len()..].trim_start();
        if word == "pub" && rest.starts_with('(') {
            rest = rest.split_once(')')?.1.trim_start();
        }
    }
    let name = rest.strip_prefix("fn ")?;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    Some(&name[..end])
}

/// The lines from the signature to the closing brace at the same depth; nothing for a declaration.
fn length_of_function(lines: &[&str]) -> Option<usize> {
    let first = lines.first()?;
    if first.ends_with('}') {
        return Some(1);
    }
    let depth = first.len() - first.trim_start().len();
    for (count, line) in lines.iter().enumerate() {
        let at_depth = line.len() - line.trim_start().len() == depth;
        if at_depth && line.ends_with(';') {
            return None;
        }
        if count > 0 && at_depth && line.trim() == "}" {
            return Some(count + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "\
pub(crate) fn one() {}

trait T {
    fn declared(&self);
    fn long_declared(
        &self,
    ) -> u8;
}

impl T for U {
    pub(crate) async fn three(&self) {
        if x {
        }
    }
}

fn wrapped(
    a: u8,
) -> u8 {
    a
}

#[cfg(test)]
mod tests {
    fn not_counted() {
    }
}
";

    #[test]
    fn functions_are_found_with_their_lengths() {
        let source = Source { path: "crates/x/src/lib.rs".into(), text: SAMPLE.into() };
        let found: Vec<_> = source.functions().iter().map(|f| (f.name.to_owned(), f.line, f.length)).collect();
        let expected = [("one", 1, 1), ("three", 11, 4), ("wrapped", 17, 5)];
        assert_eq!(found, expected.map(|(name, line, length)| (name.to_owned(), line, length)));
    }

    #[test]
    fn a_test_file_has_no_product() {
        let source = Source { path: "crates/x/tests/all.rs".into(), text: SAMPLE.into() };
        assert!(source.functions().is_empty());
        assert_eq!(source.tests(), SAMPLE);
    }
}

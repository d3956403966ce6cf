//! Documents that tell the truth about the tree: paths that exist and links that lead somewhere.

use std::path::Path;

use super::Finding;
use crate::source::Source;

/// Every page's links and the tests it names, and the paths that ARCHITECTURE.md names.
pub(crate) fn findings(root: &Path, pages: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for page in pages {
        let directory = Path::new(&page.path).parent().unwrap_or(Path::new(""));
        for (number, line) in lines_outside_code(&page.text) {
            let dead = links(line).filter(|link| !root.join(directory).join(link).exists());
            let place = format!("{}:{number}", page.path);
            findings.extend(dead.map(|link| Finding::new(&place, format!("dead link: {link}"))));
            let tests = tests(line).flat_map(|test| alternatives(&test)).filter(|test| !is_there(root, test));
            findings.extend(tests.map(|test| Finding::new(&place, format!("there is no test {test}"))));
        }
    }
    match pages.iter().find(|page| page.path == "ARCHITECTURE.md") {
        Some(page) => findings.extend(missing_paths(root, page)),
        None => findings.push(Finding::new("ARCHITECTURE.md", "there is none")),
    }
    findings
}

fn missing_paths(root: &Path, page: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in lines_outside_code(&page.text) {
        for path in paths(line).flat_map(|path| alternatives(&path)).filter(|path| !root.join(path).exists()) {
            findings.push(Finding::new(format!("{}:{number}", page.path), format!("there is no {path}")));
        }
    }
    findings
}

fn lines_outside_code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    let numbered = text.lines().enumerate().map(|(number, line)| (number + 1, line));
    numbered.filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The targets of relative links, without what follows `#`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let relative = targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    relative.map(|target| target.split('#').next().unwrap_or_default()).filter(|target| !target.is_empty())
}

/// What stands in backquotes and looks like a path of this repository: it has a slash, starts with
/// a name, and is made of nothing else. `crates/*/src` stands for its part before the star.
fn paths(line: &str) -> impl Iterator<Item = String> {
    const PLACES: [&str; 8] = ["crates/", "tests/", "docs/", "xtask/", "e2e/", "fuzz/", ".ci/", ".cargo/"];
    let quoted = line.split('`').skip(1).step_by(2);
    let local = quoted.filter(|text| PLACES.iter().any(|place| text.starts_with(place)));
    let plain = local.filter(|text| text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-*{},".contains(c)));
    plain.map(|text| text.split('*').next().unwrap_or_default().to_owned())
}

/// What stands in backquotes and looks like a test of this repository: `crates/x/src/y.rs::its_name`.
fn tests(line: &str) -> impl Iterator<Item = String> {
    line.split('`').skip(1).step_by(2).filter(|text| text.contains(".rs::")).map(str::to_owned)
}

fn is_there(root: &Path, test: &str) -> bool {
    let Some((path, name)) = test.split_once("::") else { return false };
    let text = std::fs::read_to_string(root.join(path)).unwrap_or_default();
    text.contains(&format!("fn {name}("))
}

/// `a/{b,c}.rs` is `a/b.rs` and `a/c.rs`.
fn alternatives(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let Some((inside, after)) = rest.split_once('}') else { return vec![path.to_owned()] };
    inside.split(',').flat_map(|word| alternatives(&format!("{before}{word}{after}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_and_the_others_left_alone() {
        let line = "see [a](docs/a.md#b), [b](https://x.test/y), [c](#here) and [d](../d.md \"title\")";
        assert_eq!(links(line).collect::<Vec<_>>(), ["docs/a.md", "../d.md"]);
    }

    #[test]
    fn paths_are_found_and_braces_opened() {
        let line = "the `crates/smtp/src/{line,body}.rs` files, `crates/*/Cargo.toml` and `a/b`";
        let found: Vec<String> = paths(line).flat_map(|path| alternatives(&path)).collect();
        assert_eq!(found, ["crates/smtp/src/line.rs", "crates/smtp/src/body.rs", "crates/"]);
    }

    #[test]
    fn tests_are_found_and_looked_for() {
        let line = "shown by `xtask/src/tidy/documents.rs::{tests_are_found_and_looked_for,nobody}`, `a.rs` and `b::c`";
        let found: Vec<String> = tests(line).flat_map(|test| alternatives(&test)).collect();
        assert_eq!(found.len(), 2);
        assert!(is_there(&crate::root(), &found[0]) && !is_there(&crate::root(), &found[1]), "{found:?}");
    }

    #[test]
    fn code_blocks_are_not_read() {
        let text = "[a](x)\n```\n[b](y)\n```\n[c](z)";
        let numbers: Vec<usize> = lines_outside_code(text).map(|(number, _)| number).collect();
        assert_eq!(numbers, [1, 5]);
    }
}

//! What must hold of the tree and what no compiler checks. Runs by hand and as a test of xtask.

use std::path::Path;

use anyhow::{Result, bail};

mod acceptance;
mod documents;
mod files;
mod floors;

/// Something that does not hold, and where.
pub(crate) struct Finding {
    place: String,
    text: String,
}

impl Finding {
    fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), text: text.into() }
    }
}

/// Prints every finding and fails if there is one.
pub(crate) fn run() -> Result<()> {
    let findings = findings(&crate::root());
    for Finding { place, text } in &findings {
        println!("{place}: {text}");
    }
    if findings.is_empty() {
        println!("tidy");
        return Ok(());
    }
    bail!("{} findings", findings.len());
}

fn findings(root: &Path) -> Vec<Finding> {
    let sources = crate::source::files(root, "rs");
    let pages = crate::source::files(root, "md");
    let mut findings = floors::findings(root);
    findings.extend(sources.iter().flat_map(files::findings));
    findings.extend(documents::findings(root, &pages));
    findings.extend(acceptance::findings(root));
    findings
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_is_tidy() {
        let findings = super::findings(&crate::root());
        let lines: Vec<String> =
            findings.iter().map(|finding| format!("{}: {}", finding.place, finding.text)).collect();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }
}

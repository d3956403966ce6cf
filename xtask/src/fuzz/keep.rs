//! The kept corpora: what covers something, as few and as small inputs as libFuzzer finds, and never
//! so many that the normal tests, which run them all, are held up.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{Fuzzer, inputs};

/// Inputs that are kept for a target.
const COUNT: usize = 300;
/// Octets that are kept for a target.
const OCTETS: u64 = 128 << 10;
/// What the name of an input begins with that once broke a promise: it is kept whatever it covers.
const REGRESSION: &str = "regression-";

/// Merges what was found into what is kept.
pub(super) fn keep(fuzzer: &Fuzzer) -> Result<()> {
    let merged = fuzzer.found.with_extension("merged");
    if merged.exists() {
        fs::remove_dir_all(&merged)?;
    }
    fs::create_dir_all(&merged)?;
    let output = fuzzer.command().arg("-merge=1").args([&merged, &fuzzer.corpus, &fuzzer.found]).output()?;
    ensure!(output.status.success(), "the corpora of {} cannot be merged", fuzzer.name);
    for (_, path) in inputs(&fuzzer.corpus)? {
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(REGRESSION)) {
            fs::remove_file(path)?;
        }
    }
    let (mut count, mut octets) = (0, 0);
    for (size, path) in inputs(&merged)? {
        if count == COUNT || octets + size > OCTETS {
            break;
        }
        let name = path.file_name().context("an input has a name")?;
        fs::copy(&path, fuzzer.corpus.join(name))?;
        (count, octets) = (count + 1, octets + size);
    }
    fs::remove_dir_all(merged)?;
    println!("{:14} {count} inputs kept, {octets} octets", fuzzer.name);
    Ok(())
}

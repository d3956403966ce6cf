//! What a client says and what must come back: `tests/protocol/*.smtp`, in the format of `script`.
//! `UPDATE_TRANSCRIPTS=1` rewrites what is expected; the difference is for a person to read.

use crate::script::Script;
use std::path::{Path, PathBuf};

#[test]
fn every_transcript_and_every_chunking_of_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/protocol");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("the folder is there").map(|entry| entry.expect("readable").path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "smtp"));
    files.sort();
    let failures: Vec<String> = files.iter().filter_map(|file| check(file).err()).collect();
    assert!(files.len() >= 60, "only {} transcripts were found", files.len());
    assert!(failures.is_empty(), "{} of {} fail:\n{}", failures.len(), files.len(), failures.join("\n"));
}

fn check(file: &Path) -> Result<(), String> {
    let expected = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let script = Script::read(&expected);
    let whole = script.play(|rest| rest);
    if let Some(line) = whole.lines().find(|line| line.starts_with("nobody asked for")) {
        return Err(format!("{}: {line}", file.display()));
    }
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        std::fs::write(file, &whole).map_err(|e| format!("{}: {e}", file.display()))?;
    } else {
        same(file, "in whole segments", &expected, &whole)?;
    }
    if !script.any_chunking {
        return Ok(());
    }
    same(file, "octet by octet", &whole, &script.play(|_| 1))?;
    for seed in 1..=8u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let cut = |_| {
            // Xorshift: any cuts will do, as long as they are the same every time.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % 17).unwrap_or(1)
        };
        same(file, "cut at random", &whole, &script.play(cut))?;
    }
    Ok(())
}

fn same(file: &Path, how: &str, expected: &str, found: &str) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    let at = expected.lines().zip(found.lines()).take_while(|(a, b)| a == b).count();
    let line = |text: &str| text.lines().nth(at).unwrap_or("(the end)").to_owned();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Err(format!("{name}:{} {how}\n  expected {}\n  found    {}", at + 1, line(expected), line(found)))
}

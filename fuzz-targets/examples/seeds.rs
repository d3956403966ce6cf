//! Writes the seeds of every target into directories below the one that is named:
//! `cargo run -p fuzz-targets --example seeds -- fuzz/found`.
#![allow(clippy::disallowed_methods, reason = "a tool outside the product: real files")]

use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    let into = PathBuf::from(std::env::args_os().nth(1).expect("a directory to write into"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("invariant: the crate is in the workspace");
    for target in fuzz_targets::TARGETS {
        let directory = into.join(target.name);
        std::fs::create_dir_all(&directory)?;
        for (place, octets) in fuzz_targets::seeds::of(target.name, root).into_iter().enumerate() {
            std::fs::write(directory.join(format!("seed-{place:03}")), octets)?;
        }
    }
    Ok(())
}

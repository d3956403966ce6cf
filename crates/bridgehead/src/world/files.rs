//! Files that are put into a directory whole or not at all.

use gateway::world::Pieces;
use rustix::fs::{self, Mode, OFlags};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Writes the pieces under a name of their own, flushes, renames, and flushes the directory.
///
/// # Errors
/// What the system said; the unfinished file is removed.
pub fn place(directory: &Path, name: &str, mut pieces: Pieces) -> io::Result<()> {
    let at = fs::open(directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let unfinished = format!(".{name}.part");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut file = File::from(fs::openat(&at, &unfinished, flags, Mode::RUSR | Mode::WUSR | Mode::RGRP)?);
    let written = write_all(&mut file, &mut pieces)
        .and_then(|()| Ok(fs::renameat(&at, &unfinished, &at, name)?))
        .and_then(|()| Ok(fs::fsync(&at)?));
    if written.is_err() {
        // Already in trouble; what matters is the first error.
        let _ = fs::unlinkat(&at, &unfinished, fs::AtFlags::empty());
    }
    written
}

fn write_all(file: &mut File, pieces: &mut Pieces) -> io::Result<()> {
    while let Some(piece) = pieces()? {
        file.write_all(&piece)?;
    }
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let mut left = vec!["b", "a"];
        place(directory.path(), "m.eml", Box::new(move || Ok(left.pop().map(|p| p.as_bytes().into())))).unwrap();
        assert_eq!(std::fs::read(directory.path().join("m.eml")).unwrap(), b"ab");
        let failing = place(directory.path(), "n.eml", Box::new(|| Err(io::ErrorKind::InvalidData.into())));
        assert_eq!(failing.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

//! Files that are put into a directory whole or not at all.

use bytes::Bytes;
use gateway::world::Pieces;
use identity::Secret;
use rustix::fs::{self, Mode, OFlags};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// What other files may be read by: the group of the process, too.
pub(super) const FOR_THE_GROUP: Mode = Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP);

/// What nobody else may read.
const FOR_THE_OWNER: Mode = Mode::RUSR.union(Mode::WUSR);

/// The file with the secret that lasts.
const LASTING_SECRET: &str = "decoy-secret";

/// Writes the pieces under a name of their own, flushes, renames, and flushes the directory.
///
/// # Errors
/// What the system said; the unfinished file is removed.
pub(super) fn place(directory: &Path, name: &str, mode: Mode, mut pieces: Pieces) -> io::Result<()> {
    let at = fs::open(directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let unfinished = format!(".{name}.part");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut file = File::from(fs::openat(&at, &unfinished, flags, mode)?);
    let written = write_all(&mut file, &mut pieces)
        .and_then(|()| Ok(fs::renameat(&at, &unfinished, &at, name)?))
        .and_then(|()| Ok(fs::fsync(&at)?));
    if written.is_err() {
        // Already in trouble; what matters is the first error.
        let _ = fs::unlinkat(&at, &unfinished, fs::AtFlags::empty());
    }
    written
}

/// The content of a file; `None` when there is none.
///
/// # Errors
/// It is there and cannot be read.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(octets) => Ok(Some(octets)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file that only the owner may read, whole or not at all.
///
/// # Errors
/// What the system said; the file is what it was.
pub(super) fn write(path: &Path, content: Vec<u8>) -> io::Result<()> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str)) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut once = Some(Bytes::from(content));
    place(directory, name, FOR_THE_OWNER, Box::new(move || Ok(once.take())))
}

/// The secret of this server that lasts: read, or made of `fresh` when there is none yet.
///
/// # Errors
/// It can be neither read nor made; one that is not whole is made anew.
pub(super) fn lasting_secret(state_dir: &Path, fresh: &[u8; 32]) -> io::Result<Secret> {
    match read(&state_dir.join(LASTING_SECRET))? {
        Some(octets) if octets.len() == fresh.len() => return Ok(Secret::new(octets)),
        _ => {}
    }
    write(&state_dir.join(LASTING_SECRET), fresh.to_vec())?;
    Ok(Secret::from(&fresh[..]))
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
        place(directory.path(), "m.eml", FOR_THE_GROUP, Box::new(move || Ok(left.pop().map(|p| p.as_bytes().into()))))
            .unwrap();
        assert_eq!(std::fs::read(directory.path().join("m.eml")).unwrap(), b"ab");
        let failing =
            place(directory.path(), "n.eml", FOR_THE_GROUP, Box::new(|| Err(io::ErrorKind::InvalidData.into())));
        assert_eq!(failing.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

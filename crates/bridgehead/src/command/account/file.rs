//! The account file on disk: one editor at a time, and each change whole or not at all.

use anyhow::{Context, Result, bail};
use identity::accounts::ACCOUNT_FILE_OCTETS;
use rustix::fs::{self, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// How often the file is opened again because another editor has just replaced it.
const ROUNDS: usize = 100;

/// The file, locked against a second editor until this is dropped.
pub(super) struct AccountFile {
    path: PathBuf,
    file: File,
}

impl AccountFile {
    /// The file at `path`, or where a link there leads.
    pub(super) fn open(path: &Path) -> Result<AccountFile> {
        AccountFile::locked(path, OFlags::empty())
    }

    /// The same; an empty one is made if there is none, which only its owner may read.
    pub(super) fn open_or_make(path: &Path) -> Result<AccountFile> {
        AccountFile::locked(path, OFlags::CREATE)
    }

    fn locked(path: &Path, make: OFlags) -> Result<AccountFile> {
        let cannot = || format!("cannot open the account file {}", path.display());
        for _ in 0..ROUNDS {
            let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK | make;
            let file = fs::open(path, flags, Mode::RUSR | Mode::WUSR).with_context(cannot)?;
            let real = path.canonicalize().with_context(cannot)?;
            match fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => bail!("{} is being changed by somebody else", path.display()),
                Err(error) => return Err(error).with_context(cannot),
            }
            // Another editor may have put a new file into its place before the lock was ours.
            if is_at(&file, &real)? {
                let file = File::from(file);
                if !file.metadata().with_context(cannot)?.is_file() {
                    bail!("{} is not a file", path.display());
                }
                return Ok(AccountFile { path: real, file });
            }
        }
        bail!("{} is being changed by somebody else", path.display())
    }

    /// What is in it.
    pub(super) fn text(&mut self) -> Result<Zeroizing<String>> {
        let mut octets = Zeroizing::new(Vec::new());
        let bound = u64::try_from(ACCOUNT_FILE_OCTETS).unwrap_or(u64::MAX).saturating_add(1);
        let cannot = || format!("cannot read the account file {}", self.path.display());
        (&self.file).take(bound).read_to_end(&mut octets).with_context(cannot)?;
        if octets.len() > ACCOUNT_FILE_OCTETS {
            bail!("{} is too large for an account file", self.path.display());
        }
        let text = str::from_utf8(&octets).with_context(|| format!("{}: not UTF-8", self.path.display()))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// Puts a file with these octets into its place: whoever reads finds the old or the new one, also
    /// after the power has failed. Owner and group stay, others get no access.
    pub(super) fn replace(&mut self, octets: &[u8]) -> Result<()> {
        let (Some(directory), Some(name)) = (self.path.parent(), self.path.file_name()) else {
            bail!("{} is not a file", self.path.display());
        };
        let cannot = || format!("cannot write the account file {}", self.path.display());
        let directory = fs::open(directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .with_context(cannot)?;
        let unfinished = format!(".{}.part", name.to_string_lossy());
        // Nobody else writes it: the lock is ours. What a crash has left there goes first.
        match fs::unlinkat(&directory, &*unfinished, fs::AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error).with_context(cannot),
        }
        let written = self.write(&directory, &unfinished, octets).and_then(|()| {
            fs::renameat(&directory, &*unfinished, &directory, name)?;
            Ok(fs::fsync(&directory)?)
        });
        if written.is_err() {
            // What matters is the first error.
            let _ = fs::unlinkat(&directory, &*unfinished, fs::AtFlags::empty());
        }
        written.with_context(cannot)
    }

    fn write(&self, directory: &OwnedFd, name: &str, octets: &[u8]) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut file = File::from(fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR)?);
        let old = fs::fstat(&self.file)?;
        let new = fs::fstat(&file)?;
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid) {
            let (user, group) = (fs::Uid::from_raw(old.st_uid), fs::Gid::from_raw(old.st_gid));
            fs::fchown(&file, Some(user), Some(group)).context("its owner would change")?;
        }
        fs::fchmod(&file, Mode::from_raw_mode(old.st_mode) & (Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP))?;
        file.write_all(octets)?;
        Ok(file.sync_all()?)
    }
}

/// Whether an open file is the one at `path`.
fn is_at(file: &OwnedFd, path: &Path) -> Result<bool> {
    let open = fs::fstat(file)?;
    match fs::stat(path) {
        Ok(there) => Ok((there.st_dev, there.st_ino) == (open.st_dev, open.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look at what is on the disk")]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_file_is_its_owners_only_and_a_change_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("accounts");
        assert!(AccountFile::open(&path).is_err());
        let mut file = AccountFile::open_or_make(&path).unwrap();
        assert_eq!(*file.text().unwrap(), "");
        // What a crash has left.
        std::fs::write(directory.path().join(".accounts.part"), "half").unwrap();
        file.replace(b"account a\n").unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), mode(&path)), (b"account a\n".to_vec(), 0o600));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn one_editor_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("accounts");
        let mut first = AccountFile::open_or_make(&path).unwrap();
        assert!(AccountFile::open(&path).err().unwrap().to_string().contains("somebody else"));
        first.replace(b"account a\n").unwrap();
        drop(first);
        assert_eq!(*AccountFile::open(&path).unwrap().text().unwrap(), "account a\n");
    }

    #[test]
    fn group_and_links_stay_and_others_get_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("real"), directory.path().join("link"));
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        AccountFile::open(&link).unwrap().replace(b"# x\n").unwrap();
        assert!(link.is_symlink());
        assert_eq!((std::fs::read(&path).unwrap(), mode(&path)), (b"# x\n".to_vec(), 0o640));
    }

    #[test]
    fn what_is_not_a_file() {
        let directory = tempfile::tempdir().unwrap();
        assert!(AccountFile::open(directory.path()).is_err());
        assert!(AccountFile::open_or_make(&directory.path().join("no/such")).is_err());
        let large = directory.path().join("large");
        std::fs::File::create(&large).unwrap().set_len(64 * 1024 * 1024).unwrap();
        assert!(AccountFile::open(&large).unwrap().text().unwrap_err().to_string().contains("too large"));
    }
}

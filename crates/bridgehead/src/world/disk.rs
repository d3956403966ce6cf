//! The real disk: one directory, locked against a second process.

use super::resources::shortage;
use queue::disk::{Disk, DiskFile};
use rustix::fs::{self, FlockOperation, Mode, OFlags};
use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The most parts one call may write (Linux `IOV_MAX`).
const PARTS: usize = 1024;

/// A directory; names are resolved below its descriptor, never along a path again.
///
/// A file that is open already is not opened a second time: a body can be read from its segment when
/// the process has no descriptor left.
#[derive(Clone, Debug)]
pub(crate) struct RealDisk {
    directory: Arc<OwnedFd>,
    open: Arc<Mutex<BTreeMap<String, Weak<OwnedFd>>>>,
}

impl RealDisk {
    /// Opens the directory, making it if it is not there, and locks it for this process.
    ///
    /// # Errors
    /// It cannot be made or opened, or another process has it.
    pub(crate) fn lock(path: &Path) -> io::Result<RealDisk> {
        std::fs::create_dir_all(path)?;
        let disk = RealDisk::open_directory(path)?;
        fs::flock(&*disk.directory, FlockOperation::NonBlockingLockExclusive).map_err(|error| {
            if error == rustix::io::Errno::WOULDBLOCK {
                io::Error::new(io::ErrorKind::ResourceBusy, "another process is using it")
            } else {
                error.into()
            }
        })?;
        Ok(disk)
    }

    /// Opens the directory for looking only; nobody is locked out.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn open_directory(path: &Path) -> io::Result<RealDisk> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = fs::open(path, flags, Mode::empty())?;
        Ok(RealDisk { directory: Arc::new(directory), open: Arc::default() })
    }

    fn open_file(&self, name: &str, flags: OFlags) -> io::Result<RealFile> {
        let flags = flags | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let opened = fs::openat(&*self.directory, name, flags, Mode::RUSR | Mode::WUSR);
        let file = opened.map_err(|error| shortage(error.into()))?;
        let file = Arc::new(file);
        let mut open = self.open_files();
        open.retain(|_, file| file.strong_count() > 0);
        open.insert(name.to_owned(), Arc::downgrade(&file));
        Ok(RealFile(file))
    }

    fn open_files(&self) -> MutexGuard<'_, BTreeMap<String, Weak<OwnedFd>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for RealDisk {
    type File = RealFile;

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&*self.directory)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<RealFile> {
        self.open_file(name, OFlags::CREATE | OFlags::TRUNC)
    }

    fn open(&self, name: &str) -> io::Result<RealFile> {
        if let Some(file) = self.open_files().get(name).and_then(Weak::upgrade) {
            return Ok(RealFile(file));
        }
        self.open_file(name, OFlags::empty())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.open_files().remove(name);
        Ok(fs::unlinkat(&*self.directory, name, fs::AtFlags::empty())?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut open = self.open_files();
        open.remove(from);
        open.remove(to);
        drop(open);
        Ok(fs::renameat(&*self.directory, from, &*self.directory, to)?)
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(fs::fsync(&*self.directory)?)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let space = fs::fstatvfs(&*self.directory)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }
}

/// An open file.
#[derive(Clone, Debug)]
pub(crate) struct RealFile(Arc<OwnedFd>);

impl DiskFile for RealFile {
    fn write_at(&self, mut offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let mut copies: Vec<IoSlice<'_>> = parts.to_vec();
        let mut rest = &mut copies[..];
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let now = rest.len().min(PARTS);
            match rustix::io::pwritev(&*self.0, &rest[..now], offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    IoSlice::advance_slices(&mut rest, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < into.len() {
            match rustix::io::pread(&*self.0, &mut into[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(done)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(fs::fdatasync(&*self.0)?)
    }

    fn length(&self) -> io::Result<u64> {
        u64::try_from(fs::fstat(&*self.0)?.st_size).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_second_lock_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let disk = RealDisk::lock(directory.path()).unwrap();
        let file = disk.create("a").unwrap();
        file.write_at(3, &[IoSlice::new(b"de"), IoSlice::new(b""), IoSlice::new(b"f")]).unwrap();
        file.sync_data().unwrap();
        let mut bytes = [1; 8];
        assert_eq!(disk.open("a").unwrap().read_at(0, &mut bytes).unwrap(), 6);
        assert_eq!(&bytes[..6], b"\0\0\0def");
        assert_eq!(disk.list().unwrap(), ["a"]);
        assert_eq!(file.length().unwrap(), 6);
        assert!(disk.free_bytes().unwrap() > 0);
        assert_eq!(RealDisk::lock(directory.path()).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
    }

    #[test]
    fn a_file_that_is_open_is_not_opened_again_and_one_that_is_gone_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let disk = RealDisk::lock(directory.path()).unwrap();
        let first = disk.create("a").unwrap();
        let second = disk.clone().open("a").unwrap();
        assert!(Arc::ptr_eq(&first.0, &second.0));
        drop((first, second));
        let third = disk.open("a").unwrap();
        assert_eq!(Arc::strong_count(&third.0), 1);
        disk.rename("a", "b").unwrap();
        assert_eq!(disk.open("a").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!Arc::ptr_eq(&disk.open("b").unwrap().0, &third.0));
        disk.remove("b").unwrap();
        assert_eq!(disk.open("b").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}

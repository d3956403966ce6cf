//! A file system of its own, small enough to be filled.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::foreign::is_root;
use crate::process::run;

const MEBIBYTE: usize = 1 << 20;

/// A mounted file system, unmounted when dropped. Whoever uses it must be dropped first.
#[derive(Debug)]
pub struct SmallDisk {
    directory: TempDir,
    /// Its type, as `mount` names it.
    kind: &'static str,
}

impl SmallDisk {
    /// Makes one: ext4 in a file where there are loop devices, otherwise tmpfs. Or says why there is none.
    pub fn of(mebibytes: usize) -> Result<Self, String> {
        if !is_root() {
            return Err("only root may mount a file system".to_owned());
        }
        let directory = tempfile::Builder::new().prefix("bridgehead-disk-").tempdir().expect("a temporary directory");
        let (image, mount) = (directory.path().join("image"), directory.path().join("mount"));
        fs::create_dir(&mount).expect("our own directory");
        let disk = |kind| Self { directory, kind };
        match ext4(&image, &mount, mebibytes) {
            Ok(()) => Ok(disk("ext4")),
            Err(no_ext4) => match tmpfs(&mount, mebibytes) {
                Ok(()) => Ok(disk("tmpfs")),
                Err(no_tmpfs) => Err(format!("no ext4: {no_ext4}; no tmpfs: {no_tmpfs}")),
            },
        }
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("mount")
    }

    /// `ext4` or `tmpfs`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Fills it to the last octet with a file that is of no use.
    ///
    /// # Panics
    /// When something else than a full disk stops it.
    pub fn fill(&self) {
        let mut filler = File::options().create(true).append(true).open(self.filler()).expect("room for a name");
        for size in [MEBIBYTE, 4096, 1] {
            let block = vec![b'x'; size];
            loop {
                match filler.write(&block) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("cannot fill the disk: {error}"),
                }
            }
        }
        // Without this the kernel may find later that it had room after all.
        let _ = filler.sync_all();
    }

    /// Makes room again.
    pub fn make_room(&self) {
        fs::remove_file(self.filler()).expect("it was filled");
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that a failed test leaves behind must not keep it.
        let _ = run(Command::new("umount").arg("-l").arg(self.path()));
    }
}

fn ext4(image: &Path, mount: &Path, mebibytes: usize) -> Result<(), String> {
    let file = File::create(image).map_err(|error| error.to_string())?;
    file.set_len((mebibytes * MEBIBYTE) as u64).map_err(|error| error.to_string())?;
    attempt(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(image))?;
    attempt(Command::new("mount").args(["-o", "loop"]).arg(image).arg(mount))
}

fn tmpfs(mount: &Path, mebibytes: usize) -> Result<(), String> {
    attempt(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "none"]).arg(mount))
}

fn attempt(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

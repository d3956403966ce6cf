//! The disk of the simulated host: a [`MemoryDisk`] that also loses its power, and can lie.
//!
//! Which call fails and what a power cut leaves is the business of [`MemoryDisk`]. Here is what it
//! cannot know: that the whole host stops at once, and a disk that says yes to a flush and keeps
//! nothing.

use crate::power::Power;
use queue::disk::memory::{MemoryDisk, MemoryFile};
use queue::disk::{Disk, DiskFile};
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How the disk betrays those who trust it. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Betrayal(Arc<Lies>);

#[derive(Debug, Default)]
struct Lies {
    /// A flush says yes and does nothing.
    flushes: AtomicBool,
    /// A write that holds a record of this kind says yes and does nothing; 0: none.
    forgotten: AtomicU64,
}

impl Betrayal {
    /// From now on a flush does nothing, or what it should.
    pub(crate) fn lie(&self, lies: bool) {
        self.0.flushes.store(lies, Ordering::Relaxed);
    }

    /// From now on writes of records of this kind are lost.
    pub(crate) fn forget(&self, kind: u64) {
        self.0.forgotten.store(kind, Ordering::Relaxed);
    }

    /// Whether a flush does nothing.
    pub(crate) fn lies(&self) -> bool {
        self.0.flushes.load(Ordering::Relaxed)
    }

    /// Whether a batch begins with a record of the kind that is lost (docs/spool.md: the kind stands
    /// behind the four octets that begin a record).
    fn forgets(&self, parts: &[IoSlice<'_>]) -> bool {
        let kind = self.0.forgotten.load(Ordering::Relaxed);
        let first: Vec<u8> = parts.iter().flat_map(|part| part.iter()).take(8).copied().collect();
        kind != 0 && first.starts_with(b"BHr1") && u64::from(first[4]) == kind
    }
}

/// The disk. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    inner: MemoryDisk,
    power: Power,
    betrayal: Betrayal,
}

/// A file of a [`SimDisk`].
#[derive(Clone)]
pub struct SimFile {
    inner: MemoryFile,
    power: Power,
    betrayal: Betrayal,
}

impl SimDisk {
    pub(crate) fn new(inner: MemoryDisk, power: Power, betrayal: Betrayal) -> SimDisk {
        SimDisk { inner, power, betrayal }
    }

    fn file(&self, inner: MemoryFile) -> SimFile {
        SimFile { inner, power: self.power.clone(), betrayal: self.betrayal.clone() }
    }

    fn step(&self) -> io::Result<&MemoryDisk> {
        if self.power.step() { Ok(&self.inner) } else { Err(no_power()) }
    }
}

fn no_power() -> io::Error {
    io::Error::other("the power is gone")
}

impl Disk for SimDisk {
    type File = SimFile;

    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn create(&self, name: &str) -> io::Result<SimFile> {
        Ok(self.file(self.step()?.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<SimFile> {
        Ok(self.file(self.inner.open(name)?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.step()?.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.step()?.rename(from, to)
    }

    fn sync_directory(&self) -> io::Result<()> {
        let disk = self.step()?;
        if self.betrayal.lies() { Ok(()) } else { disk.sync_directory() }
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.inner.free_bytes()
    }
}

impl SimFile {
    fn step(&self) -> io::Result<&MemoryFile> {
        if self.power.step() { Ok(&self.inner) } else { Err(no_power()) }
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let file = self.step()?;
        if self.betrayal.forgets(parts) { Ok(()) } else { file.write_at(offset, parts) }
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, into)
    }

    fn sync_data(&self) -> io::Result<()> {
        let file = self.step()?;
        if self.betrayal.lies() { Ok(()) } else { file.sync_data() }
    }

    fn length(&self) -> io::Result<u64> {
        self.inner.length()
    }
}

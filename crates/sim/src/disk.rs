//! The disk of the simulated host: a [`MemoryDisk`] that also loses its power, and can lie.
//!
//! Which call fails and what a power cut leaves is the business of [`MemoryDisk`]. Here is what it
//! cannot know: that the whole host stops at once, and a disk that says yes to a flush and keeps
//! nothing.

use crate::power::Power;
use queue::disk::memory::{MemoryDisk, MemoryFile};
use queue::disk::{Disk, DiskFile};
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

    /// Whether a batch begins with a record of the kind that is lost.
    fn forgets(&self, parts: &[IoSlice<'_>]) -> bool {
        let kind = self.0.forgotten.load(Ordering::Relaxed);
        first_kind(parts).is_some_and(|first| u64::from(first) == kind)
    }
}

/// The kind of record that a batch begins with, if it is a batch (docs/spool.md: it stands behind the
/// four octets that begin a record).
fn first_kind(parts: &[IoSlice<'_>]) -> Option<u8> {
    let first: Vec<u8> = parts.iter().flat_map(|part| part.iter()).take(8).copied().collect();
    first.starts_with(b"BHr1").then(|| first[4])
}

/// The kind of a record that says where another segment ends (docs/spool.md).
const CLOSED: u8 = 6;

/// Whether the log has loose ends: a batch that failed may be on the disk all the same, and nothing
/// durable says yet that it does not count. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct LooseEnds(Arc<Mutex<Ends>>);

#[derive(Debug, Default)]
struct Ends {
    /// A batch has failed.
    loose: bool,
    /// So has the attempt to tie it up: a call that a fresh segment needs.
    in_vain: bool,
    /// The kind of record that the batch begins with which has been written and not flushed.
    written: Option<u8>,
}

impl LooseEnds {
    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there are any.
    pub(crate) fn are_there(&self) -> bool {
        self.ends().loose
    }

    /// Whether there are any, and the disk has not let them be tied up.
    pub(crate) fn cannot_be_tied(&self) -> bool {
        self.ends().in_vain
    }

    /// The program that left them has ended; the next one leaves its own.
    pub(crate) fn forget(&self) {
        *self.ends() = Ends::default();
    }

    /// The disk has answered to a write to the log: of a batch that begins with this kind of record, or
    /// of something else.
    fn written<T>(&self, kind: Option<u8>, answer: &io::Result<T>) {
        let mut ends = self.ends();
        ends.in_vain |= ends.loose && answer.is_err();
        ends.loose |= kind.is_some() && answer.is_err();
        ends.written = kind.filter(|_| answer.is_ok());
    }

    /// The disk has answered to the flush of a segment.
    fn flushed(&self, answer: &io::Result<()>) {
        let mut ends = self.ends();
        let written = ends.written.take();
        if answer.is_ok() && written == Some(CLOSED) {
            *ends = Ends::default();
        }
        ends.in_vain |= ends.loose && answer.is_err();
        ends.loose |= written.is_some() && answer.is_err();
    }
}

/// The disk. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    inner: MemoryDisk,
    power: Power,
    betrayal: Betrayal,
    loose_ends: LooseEnds,
}

/// A file of a [`SimDisk`].
#[derive(Clone)]
pub struct SimFile {
    inner: MemoryFile,
    power: Power,
    betrayal: Betrayal,
    /// Where it is a segment of the log.
    loose_ends: Option<LooseEnds>,
}

impl SimDisk {
    pub(crate) fn new(inner: MemoryDisk, power: Power, betrayal: Betrayal, loose_ends: LooseEnds) -> SimDisk {
        SimDisk { inner, power, betrayal, loose_ends }
    }

    fn file(&self, name: &str, inner: MemoryFile) -> SimFile {
        let loose_ends = is_segment(name).then(|| self.loose_ends.clone());
        SimFile { inner, power: self.power.clone(), betrayal: self.betrayal.clone(), loose_ends }
    }

    fn step(&self) -> io::Result<&MemoryDisk> {
        if self.power.step() { Ok(&self.inner) } else { Err(no_power()) }
    }
}

fn is_segment(name: &str) -> bool {
    name.starts_with("segment-")
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
        let answer = self.step()?.create(name);
        if is_segment(name) {
            self.loose_ends.written(None, &answer);
        }
        Ok(self.file(name, answer?))
    }

    fn open(&self, name: &str) -> io::Result<SimFile> {
        Ok(self.file(name, self.inner.open(name)?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.step()?.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.step()?.rename(from, to)
    }

    fn sync_directory(&self) -> io::Result<()> {
        let disk = self.step()?;
        let answer = if self.betrayal.lies() { Ok(()) } else { disk.sync_directory() };
        self.loose_ends.written(None, &answer);
        answer
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
        let answer = if self.betrayal.forgets(parts) { Ok(()) } else { file.write_at(offset, parts) };
        if let Some(ends) = &self.loose_ends {
            ends.written(first_kind(parts), &answer);
        }
        answer
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, into)
    }

    fn sync_data(&self) -> io::Result<()> {
        let file = self.step()?;
        let answer = if self.betrayal.lies() { Ok(()) } else { file.sync_data() };
        if let Some(ends) = &self.loose_ends {
            ends.flushed(&answer);
        }
        answer
    }

    fn length(&self) -> io::Result<u64> {
        self.inner.length()
    }
}

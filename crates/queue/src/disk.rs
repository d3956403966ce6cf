//! What the spool asks of a disk, and nothing more.
//!
//! A flat directory of files that are written and read at places. The real one is in the program,
//! the one that lies, fills up and loses power is in [`memory`]. An error is returned as it came:
//! what it means for a message is decided by the spool.

pub mod memory;

use std::io::{self, IoSlice};

/// A directory of files, known by flat names. A handle: clones speak of the same directory.
pub trait Disk: Clone + Send + Sync + 'static {
    /// A file of it.
    type File: DiskFile;

    /// The names of all files, in no particular order.
    ///
    /// # Errors
    /// What the operating system said.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes an empty file, for reading and writing; a file that had the name is emptied.
    ///
    /// # Errors
    /// What the operating system said.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file that is there, for reading and writing.
    ///
    /// # Errors
    /// `NotFound` if it is not there; otherwise what the operating system said.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Removes a file. It may come back after a power cut until [`Disk::sync_directory`] has returned.
    ///
    /// # Errors
    /// `NotFound` if it is not there; otherwise what the operating system said.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Renames a file, in one step; durable after [`Disk::sync_directory`].
    ///
    /// # Errors
    /// What the operating system said.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes the names durable: what has been created, removed and renamed until now.
    ///
    /// # Errors
    /// What the operating system said.
    fn sync_directory(&self) -> io::Result<()>;

    /// Octets that may still be written here.
    ///
    /// # Errors
    /// What the operating system said.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// An open file. A handle: clones speak of the same file.
pub trait DiskFile: Clone + Send + Sync + 'static {
    /// Writes all the parts one behind the other, beginning at `offset`; the file grows if need be.
    ///
    /// # Errors
    /// What the operating system said; some octets may have been written then.
    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()>;

    /// Reads from `offset` on; as much as fits, less only at the end of the file.
    ///
    /// # Errors
    /// What the operating system said.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Makes the content durable, and the length if it has grown (`fdatasync`). After an error
    /// nothing is known about what was written before; asking again proves nothing.
    ///
    /// # Errors
    /// What the operating system said.
    fn sync_data(&self) -> io::Result<()>;

    /// How many octets the file has.
    ///
    /// # Errors
    /// What the operating system said.
    fn length(&self) -> io::Result<u64>;
}

//! A file that is read again when it has changed. A new one that is bad changes nothing: what was
//! read before stays, and somebody is told, once.

#![expect(clippy::disallowed_methods, reason = "account files and keys are read here, on blocking threads")]

use crate::notice::{Happening, Teller};
use arc_swap::ArcSwap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// How often somebody looks whether a file has changed.
const EVERY: Duration = Duration::from_secs(1);

/// Reads a file that has no more than `limit` octets.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_and_mark(path, limit).map(|(octets, _)| octets)
}

/// Reads a file with a secret: nobody but its owner and group may be able to.
pub(crate) fn read_secret(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    if std::fs::metadata(path).map_err(named)?.mode() & 0o004 != 0 {
        let error = io::Error::new(io::ErrorKind::PermissionDenied, "everybody may read it, and it holds a secret");
        return Err(named(error));
    }
    read(path, limit)
}

fn read_and_mark(path: &Path, limit: u64) -> io::Result<(Vec<u8>, Mark)> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(named)?;
    // Of the open file: a new one in its place between two looks must not pass for this one.
    let mark = Mark::of(&file.metadata().map_err(named)?);
    let mut octets = Vec::new();
    file.take(limit + 1).read_to_end(&mut octets).map_err(named)?;
    if u64::try_from(octets.len()).unwrap_or(u64::MAX) > limit {
        return Err(named(io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {limit} octets"))));
    }
    Ok((octets, mark))
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Mark {
    fn of(metadata: &std::fs::Metadata) -> Mark {
        Mark {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// What a file says, as of its last good state.
pub(crate) struct Watched<T> {
    path: PathBuf,
    limit: u64,
    meaning: fn(&[u8]) -> Result<T, String>,
    current: ArcSwap<T>,
    look: Mutex<Look>,
    teller: Teller,
}

/// When somebody looked, and what was there, good or bad.
struct Look {
    at: Instant,
    mark: Option<Mark>,
}

impl<T: Send + Sync + 'static> Watched<T> {
    /// Reads the file for the first time.
    pub(crate) fn open(
        path: &Path,
        limit: u64,
        meaning: fn(&[u8]) -> Result<T, String>,
        teller: Teller,
    ) -> io::Result<Watched<T>> {
        let (octets, mark) = read_and_mark(path, limit)?;
        let wrong = |why| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()));
        let current = ArcSwap::from_pointee(meaning(&octets).map_err(wrong)?);
        let look = Mutex::new(Look { at: Instant::now(), mark: Some(mark) });
        Ok(Watched { path: path.to_owned(), limit, meaning, current, look, teller })
    }

    /// What it says now. Looks at the file if nobody has in the last second.
    pub(crate) async fn current(self: &Arc<Self>) -> Arc<T> {
        if self.is_due() {
            let watched = self.clone();
            // A panic would be in reading the file; what was read before is still good.
            let _ = tokio::task::spawn_blocking(move || watched.look()).await;
        }
        self.current.load_full()
    }

    /// Whether it is time to look; whoever is told so is the one to do it.
    fn is_due(&self) -> bool {
        let now = Instant::now();
        let Ok(mut look) = self.look.try_lock() else { return false };
        let due = now.duration_since(look.at) >= EVERY;
        if due {
            look.at = now;
        }
        due
    }

    fn look(&self) {
        let Ok(mut look) = self.look.lock() else { return };
        let there = std::fs::metadata(&self.path).ok().map(|metadata| Mark::of(&metadata));
        if there == look.mark {
            return;
        }
        let read = read_and_mark(&self.path, self.limit);
        look.mark = read.as_ref().ok().map(|(_, mark)| *mark);
        let meaning = read
            .map_err(|error| error.to_string())
            .and_then(|(octets, _)| (self.meaning)(&octets).map_err(|why| format!("{}: {why}", self.path.display())));
        match meaning {
            Ok(meaning) => {
                self.current.store(Arc::new(meaning));
                self.teller.tell(Happening::Read);
            }
            Err(why) => self.teller.tell(Happening::NotRead(why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{EVERY, Watched, read, read_secret};
    use crate::notice::{Happening, Teller};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::{Arc, Mutex};
    use tokio::time::advance;

    fn number(octets: &[u8]) -> Result<u32, String> {
        str::from_utf8(octets).unwrap().trim().parse().map_err(|_| "no number".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_file_is_read_and_a_bad_one_is_not() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("number");
        fs::write(&path, "1").unwrap();
        let told: Arc<Mutex<Vec<Happening>>> = Arc::default();
        let hear = told.clone();
        let teller = Teller::new("n", Arc::new(move |notice| hear.lock().unwrap().push(notice.what.clone())));
        let watched = Arc::new(Watched::open(&path, 100, number, teller).unwrap());
        assert_eq!(*watched.current().await, 1);
        let renew = |text: &str| {
            fs::write(place.path().join("new"), text).unwrap();
            fs::rename(place.path().join("new"), &path).unwrap();
        };
        renew("2");
        assert_eq!(*watched.current().await, 1, "nobody looks twice in a second");
        advance(EVERY).await;
        assert_eq!(*watched.current().await, 2);
        renew("two");
        for _ in 0..3 {
            advance(EVERY).await;
            assert_eq!(*watched.current().await, 2);
        }
        fs::remove_file(&path).unwrap();
        for _ in 0..3 {
            advance(EVERY).await;
            assert_eq!(*watched.current().await, 2);
        }
        renew("3");
        advance(EVERY).await;
        assert_eq!(*watched.current().await, 3);
        let told = told.lock().unwrap();
        let [Happening::Read, Happening::NotRead(bad), Happening::NotRead(gone), Happening::Read] = &told[..] else {
            panic!("{told:?}");
        };
        assert!(bad.ends_with("number: no number") && gone.contains("No such file"), "{told:?}");
    }

    #[test]
    fn files_are_bounded_and_secrets_are_kept() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("secret");
        fs::write(&path, "12345").unwrap();
        assert!(read(&path, 4).is_err() && read(&path, 5).is_ok());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read_secret(&path, 5).unwrap_err().to_string().contains("everybody may read"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read_secret(&path, 5).unwrap(), b"12345");
        assert!(Watched::open(&path.join("x"), 100, number, Teller::silent()).is_err());
    }
}

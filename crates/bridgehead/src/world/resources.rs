//! What this machine gives the process: memory and descriptors, and what to do when there are none left.

use gateway::world::Resources;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use std::fs::{self, File};
use std::io;
use std::sync::{Mutex, PoisonError};
use tokio::net::TcpListener;

/// The memory we allow ourselves where nobody says otherwise.
const MEMORY_BYTES: u64 = 512 << 20;
/// Clients that are told in one go that there is no descriptor for them.
const TURNED_AWAY: usize = 64;
/// What they are told.
const NO_DESCRIPTOR: &[u8] = b"421 4.3.2 Insufficient system resources, try again later\r\n";

/// What the system gives us now.
pub(super) fn now() -> Resources {
    let limits = [cgroup_memory(), limit(Resource::As), limit(Resource::Data), half_of_the_machine()];
    Resources {
        memory_bytes: limits.into_iter().flatten().fold(MEMORY_BYTES, u64::min),
        resident_bytes: resident().unwrap_or(0),
        descriptors: limit(Resource::Nofile),
    }
}

fn limit(resource: Resource) -> Option<u64> {
    getrlimit(resource).current
}

/// The least memory limit of our control group and those around it.
fn cgroup_memory() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mut least: Option<u64> = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            controllers if controllers.split(',').any(|one| one == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // Within a container the path may be that of the host; the root is ours then.
        for group in std::path::Path::new(path).ancestors() {
            let group = group.strip_prefix("/").unwrap_or(group);
            let said = fs::read_to_string(std::path::Path::new(root).join(group).join(file)).ok();
            let octets = said.and_then(|said| said.trim().parse().ok());
            least = [least, octets].into_iter().flatten().min();
        }
    }
    least
}

fn half_of_the_machine() -> Option<u64> {
    kib_of("/proc/meminfo", "MemTotal:").map(|kib| kib * 1024 / 2)
}

fn resident() -> Option<u64> {
    kib_of("/proc/self/status", "VmRSS:").map(|kib| kib * 1024)
}

fn kib_of(file: &str, field: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(field))?;
    value.split_whitespace().next()?.parse().ok()
}

/// Gives an error of the system its kind if it is that something has run out here: descriptors of the
/// process or the system, buffers, memory.
pub(super) fn shortage(error: io::Error) -> io::Error {
    let short = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    match error.raw_os_error() {
        Some(code) if short.iter().any(|errno| errno.raw_os_error() == code) => {
            io::Error::new(io::ErrorKind::OutOfMemory, error)
        }
        _ => error,
    }
}

/// A descriptor that is given up for a moment when there is no other, so that clients can be told.
pub(super) struct Reserve(Mutex<Option<File>>);

impl Reserve {
    pub(super) fn new() -> Reserve {
        Reserve(Mutex::new(open()))
    }

    /// Accepts those who wait, tells them to come again, and lets them go.
    pub(super) async fn turn_away(&self, listener: &TcpListener) {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).take().is_none() {
            // Another socket is at it, or even this one could not be had again.
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = open();
            return;
        }
        for _ in 0..TURNED_AWAY {
            let accepted = std::future::poll_fn(|cx| match listener.poll_accept(cx) {
                std::task::Poll::Ready(accepted) => std::task::Poll::Ready(accepted.ok()),
                std::task::Poll::Pending => std::task::Poll::Ready(None),
            });
            let Some((stream, _)) = accepted.await else { break };
            // A fresh socket takes a line at once; whoever has gone needs none.
            let told = stream.into_std().and_then(|mut stream| io::Write::write_all(&mut stream, NO_DESCRIPTOR));
            drop(told);
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = open();
    }
}

fn open() -> Option<File> {
    File::open("/dev/null").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_memory_and_there_are_descriptors() {
        let resources = now();
        assert!((1 << 20..=MEMORY_BYTES).contains(&resources.memory_bytes), "{resources:?}");
        assert!(resources.resident_bytes > 1 << 20 && resources.descriptors != Some(0), "{resources:?}");
    }

    #[test]
    fn what_has_run_out_here_is_told_from_what_a_peer_does() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS] {
            assert_eq!(shortage(errno.into()).kind(), io::ErrorKind::OutOfMemory);
        }
        assert_eq!(shortage(Errno::CONNREFUSED.into()).kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn whoever_waits_is_told_when_there_is_no_descriptor() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = std::thread::spawn(move || {
            let mut said = String::new();
            io::Read::read_to_string(&mut std::net::TcpStream::connect(address).unwrap(), &mut said).unwrap();
            said
        });
        let reserve = Reserve::new();
        while !client.is_finished() {
            reserve.turn_away(&listener).await;
            tokio::task::yield_now().await;
        }
        assert!(client.join().unwrap().starts_with("421 4.3.2 "));
        assert!(reserve.0.lock().unwrap().is_some());
    }
}

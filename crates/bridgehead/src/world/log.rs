//! The log: a thread that writes lines to standard error, so that nobody who has something to say
//! waits for a terminal or a pipe.

use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Lines that may wait for the thread; more than these are dropped and counted.
const LINES: usize = 16 * 1024;
/// Octets that are written at once.
const CHUNK_OCTETS: usize = 64 * 1024;

/// The end that lines are given to.
#[derive(Debug)]
pub struct Log(SyncSender<Vec<u8>>);

impl Log {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn start() -> std::io::Result<Log> {
        let (sender, lines) = sync_channel(LINES);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || write(&lines))?;
        Ok(Log(sender))
    }

    /// Gives a line to the thread; `false` when it is too far behind.
    pub fn line(&self, line: Vec<u8>) -> bool {
        self.0.try_send(line).is_ok()
    }
}

fn write(lines: &Receiver<Vec<u8>>) {
    let mut chunk = Vec::with_capacity(CHUNK_OCTETS);
    while let Ok(line) = lines.recv() {
        chunk.extend_from_slice(&line);
        while chunk.len() < CHUNK_OCTETS
            && let Ok(line) = lines.try_recv()
        {
            chunk.extend_from_slice(&line);
        }
        // A log that cannot be written must not stop the mail.
        let _ = std::io::stderr().lock().write_all(&chunk);
        chunk.clear();
    }
}

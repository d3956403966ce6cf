//! The log: a thread that writes lines to standard error, so that nobody who has something to say
//! waits for a terminal or a pipe.
//!
//! Lines are gathered in one buffer that the thread takes as a whole. After each write it rests for
//! a moment: under load a line costs a copy, and not a wake-up. (The thread took 7 % of the processor when
//! each line went through a channel of its own.)

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Octets that may wait for the thread; lines beyond are dropped and counted.
const WAITING_OCTETS: usize = 4 * 1024 * 1024;
/// Space that is kept for the next lines; more is given back after a burst.
const KEPT_OCTETS: usize = 64 * 1024;
/// How long the thread gathers lines after a write.
const REST: Duration = Duration::from_millis(2);
/// How long the end of the program waits for the last lines: nobody may be reading them.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The end that lines are given to. Dropping it writes what still waits.
#[derive(Debug)]
pub(super) struct Log(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<Lines>,
    /// There is something to write, or nothing will be any more.
    come: Condvar,
    /// The thread has written everything and ended.
    gone: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    waiting: Vec<u8>,
    thread: Thread,
}

/// What the thread is at.
#[derive(Debug, Default, PartialEq, Eq)]
enum Thread {
    #[default]
    Busy,
    /// It waits for [`Shared::come`].
    Asleep,
    /// It is to write what waits and end.
    Ending,
    Ended,
}

impl Log {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub(super) fn start() -> std::io::Result<Log> {
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        std::thread::Builder::new().name("log".to_owned()).spawn(move || theirs.write())?;
        Ok(Log(shared))
    }

    /// Gives lines to the thread; `false` when it is too far behind.
    pub(super) fn lines(&self, lines: &[u8]) -> bool {
        let mut held = self.0.lock();
        if held.waiting.len() + lines.len() > WAITING_OCTETS {
            return false;
        }
        held.waiting.extend_from_slice(lines);
        if held.thread == Thread::Asleep {
            held.thread = Thread::Busy;
            self.0.come.notify_one();
        }
        true
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let mut held = self.0.lock();
        held.thread = Thread::Ending;
        self.0.come.notify_one();
        // Whether the last lines were written or nobody reads them: the program ends.
        let _ = self.0.gone.wait_timeout_while(held, LAST_WORDS, |lines| lines.thread != Thread::Ended);
    }
}

impl Shared {
    /// A thread that panicked while it held the lines left them whole: they are only appended to.
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) {
        let mut chunk = Vec::with_capacity(KEPT_OCTETS);
        while self.take(&mut chunk) {
            // A log that cannot be written must not stop the mail.
            let _ = std::io::stderr().lock().write_all(&chunk);
            chunk.clear();
            chunk.shrink_to(KEPT_OCTETS);
            std::thread::sleep(REST);
        }
    }

    /// Waits for lines and takes them; `false` when there will be no more.
    fn take(&self, chunk: &mut Vec<u8>) -> bool {
        let mut held = self.lock();
        while held.waiting.is_empty() {
            if held.thread == Thread::Ending {
                held.thread = Thread::Ended;
                self.gone.notify_all();
                return false;
            }
            held.thread = Thread::Asleep;
            held = self.come.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(chunk, &mut held.waiting);
        true
    }
}

//! Processes that are asked what only others can find out: how many there are, who has one, and when the
//! next may be started. One that dies, hangs or answers what it never should is ended.

use identity::Secret;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// The rest after the first of several failures; it doubles with each.
const REST: Duration = Duration::from_millis(250);
/// The longest rest.
const LONGEST_REST: Duration = Duration::from_secs(30);
/// How many may wait for each helper.
const WAITING: usize = 32;

/// What is started, and how it is spoken to.
#[derive(Debug)]
pub(crate) struct Program {
    /// Its path.
    pub(crate) path: PathBuf,
    /// What stands behind it on its command line: nothing that must stay among us.
    pub(crate) arguments: Vec<OsString>,
    /// How it answers.
    pub(crate) answers: Answers,
    /// How many requests one process is for.
    pub(crate) serves: Serves,
}

/// Where an answer ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answers {
    /// At the end of a line, of so many octets at the most.
    Line(u64),
    /// Its length stands before it, in two octets; so many octets at the most.
    Counted(u16),
}

/// How many requests one process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serves {
    /// One: nothing of it is there when the next comes.
    One,
    /// Any number, and those of one exchange go to the same.
    Many,
}

/// The helpers of one kind.
#[derive(Debug)]
pub(crate) struct Pool {
    program: Program,
    patience: Duration,
    places: Arc<Semaphore>,
    waiting: Semaphore,
    shelf: Mutex<Shelf>,
}

/// What the pool knows of its helpers.
#[derive(Debug, Default)]
struct Shelf {
    /// Those that nobody uses.
    idle: Vec<Helper>,
    /// Failures since the last answer.
    failures: u32,
    /// When a helper may be started again.
    rests_until: Option<Instant>,
}

/// A running helper.
#[derive(Debug)]
struct Helper {
    /// It is killed when it is dropped.
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// A helper, lent to one exchange. When it is dropped, the helper goes back, unless it is condemned or
/// still owes an answer: then it is ended.
pub(crate) struct Lease {
    pool: Arc<Pool>,
    helper: Option<Helper>,
    owes: bool,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    /// So many helpers at the most, none of which may take longer than this to answer.
    pub(crate) fn new(program: Program, helpers: usize, patience: Duration) -> Arc<Pool> {
        let helpers = helpers.max(1);
        Arc::new(Pool {
            program,
            patience,
            places: Arc::new(Semaphore::new(helpers)),
            waiting: Semaphore::new(helpers.saturating_mul(WAITING).min(Semaphore::MAX_PERMITS)),
            shelf: Mutex::default(),
        })
    }

    /// A helper for an exchange; `None` if all are lent and stay so, too many wait already, or none can be
    /// started now.
    pub(crate) async fn lease(self: Arc<Self>) -> Option<Lease> {
        let place = {
            let _waits = self.waiting.try_acquire().ok()?;
            timeout(self.patience, Arc::clone(&self.places).acquire_owned()).await.ok()?.ok()?
        };
        let helper = self.take()?;
        Some(Lease { pool: self, helper: Some(helper), owes: false, _place: place })
    }

    fn take(&self) -> Option<Helper> {
        let mut shelf = self.shelf();
        while let Some(mut helper) = shelf.idle.pop() {
            // One that somebody has ended while nobody used it is no failure.
            if matches!(helper.process.try_wait(), Ok(None)) {
                return Some(helper);
            }
        }
        if shelf.rests_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let helper = self.start();
        if helper.is_none() {
            shelf.failed();
        }
        helper
    }

    fn start(&self) -> Option<Helper> {
        let mut process = Command::new(&self.program.path)
            .args(&self.program.arguments)
            // Nothing of what the gateway was started with is the helper's business.
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        let (stdin, stdout) = (process.stdin.take()?, process.stdout.take()?);
        Some(Helper { process, stdin, stdout: BufReader::new(stdout) })
    }

    fn shelf(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    /// One failure alone may be chance, and the next helper may start at once; more of them are not.
    fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        // Those that wait are as old as the one that failed: what they talk to may have been restarted.
        self.idle.clear();
        if self.failures > 1 {
            let rest = REST.saturating_mul(1 << (self.failures - 2).min(10)).min(LONGEST_REST);
            self.rests_until = Some(Instant::now() + rest);
        }
    }
}

impl Lease {
    /// Sends one request and waits for its answer, which comes without what tells its end. `None`: the
    /// helper died, hung or talked without end, and is gone.
    pub(crate) async fn ask(&mut self, request: &Secret) -> Option<Vec<u8>> {
        let answers = self.pool.program.answers;
        let helper = self.helper.as_mut()?;
        self.owes = true;
        match timeout(self.pool.patience, helper.exchange(request, answers)).await.ok().flatten() {
            Some(answer) => {
                self.owes = false;
                Some(answer)
            }
            None => {
                self.condemn();
                None
            }
        }
    }

    /// The answer made sense.
    pub(crate) fn answered(&self) {
        let mut shelf = self.pool.shelf();
        shelf.failures = 0;
        shelf.rests_until = None;
    }

    /// This helper is not asked again.
    pub(crate) fn condemn(&mut self) {
        if self.helper.take().is_some() {
            self.pool.shelf().failed();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Who left while an answer was due would leave it to the next exchange.
        let stays = !self.owes && self.pool.program.serves == Serves::Many;
        if let Some(helper) = self.helper.take().filter(|_| stays) {
            self.pool.shelf().idle.push(helper);
        }
    }
}

impl Helper {
    async fn exchange(&mut self, request: &Secret, answers: Answers) -> Option<Vec<u8>> {
        // What is on the pipe before anything was asked answers nothing.
        if !self.stdout.buffer().is_empty() {
            return None;
        }
        self.stdin.write_all(request.expose()).await.ok()?;
        self.stdin.flush().await.ok()?;
        match answers {
            Answers::Line(limit) => self.line(limit).await,
            Answers::Counted(limit) => self.counted(limit).await,
        }
    }

    async fn line(&mut self, limit: u64) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        (&mut self.stdout).take(limit).read_until(b'\n', &mut line).await.ok()?;
        // Without its end, it is cut off or too long.
        line.pop_if(|last| *last == b'\n').map(|_| line)
    }

    async fn counted(&mut self, limit: u16) -> Option<Vec<u8>> {
        let length = self.stdout.read_u16().await.ok().filter(|length| *length <= limit)?;
        let mut answer = vec![0; usize::from(length)];
        self.stdout.read_exact(&mut answer).await.ok()?;
        // Whoever says more than it was asked says nothing that can be believed.
        self.stdout.buffer().is_empty().then_some(answer)
    }
}

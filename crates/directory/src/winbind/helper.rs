//! Processes of `ntlm_auth`: how many there are, who has one, and when the next may be started.

use base64ct::{Base64, Encoding};
use identity::{Secret, settings};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// Octets of a line of the helper: what fits into an SMTP line (RFC 4954 §4), a name, and some more.
const LINE_OCTETS: u64 = 16_384;
/// The rest after the first of several failures; it doubles with each.
const REST: Duration = Duration::from_millis(250);
/// The longest rest.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// The helpers that speak one protocol.
#[derive(Debug)]
pub(super) struct Pool {
    program: PathBuf,
    protocol: &'static str,
    patience: Duration,
    places: Arc<Semaphore>,
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
    _process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

/// A helper, lent to one exchange. When it is dropped, the helper goes back, unless it is condemned or
/// still owes an answer: then it is ended.
pub(super) struct Lease {
    pool: Arc<Pool>,
    helper: Option<Helper>,
    owes: bool,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(settings: &settings::Winbind, protocol: &'static str) -> Arc<Pool> {
        Arc::new(Pool {
            program: settings.helper.clone(),
            protocol,
            patience: settings.timeout,
            places: Arc::new(Semaphore::new(settings.helpers.max(1))),
            shelf: Mutex::default(),
        })
    }

    /// A helper for an exchange; `None` if all are lent and stay so, or none can be started now.
    pub(super) async fn lease(self: Arc<Self>) -> Option<Lease> {
        let place = timeout(self.patience, Arc::clone(&self.places).acquire_owned()).await.ok()?.ok()?;
        let helper = self.take()?;
        Some(Lease { pool: self, helper: Some(helper), owes: false, _place: place })
    }

    fn take(&self) -> Option<Helper> {
        let mut shelf = self.shelf();
        if let Some(helper) = shelf.idle.pop() {
            return Some(helper);
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
        let mut process = Command::new(&self.program)
            .arg(format!("--helper-protocol={}", self.protocol))
            // Nothing of what the gateway was started with is the helper's business.
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        let (stdin, stdout) = (process.stdin.take()?, process.stdout.take()?);
        Some(Helper { _process: process, stdin, stdout: BufReader::new(stdout) })
    }

    fn shelf(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    /// One failure alone may be chance, and the next helper may start at once; more of them are not.
    fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        // Those that wait are as old as the one that failed: winbind may have been restarted.
        self.idle.clear();
        if self.failures > 1 {
            let rest = REST.saturating_mul(1 << (self.failures - 2).min(10)).min(LONGEST_REST);
            self.rests_until = Some(Instant::now() + rest);
        }
    }
}

impl Lease {
    /// Sends one request and waits for its line, which comes without its end. `None`: the helper died, hung or
    /// talked without end, and is gone.
    pub(super) async fn ask(&mut self, verb: &str, octets: &Secret) -> Option<Vec<u8>> {
        let helper = self.helper.as_mut()?;
        self.owes = true;
        let line = timeout(self.pool.patience, helper.exchange(verb, octets)).await.ok().flatten();
        match line {
            Some(line) => {
                self.owes = false;
                Some(line)
            }
            None => {
                self.condemn();
                None
            }
        }
    }

    /// The answer made sense.
    pub(super) fn answered(&self) {
        let mut shelf = self.pool.shelf();
        shelf.failures = 0;
        shelf.rests_until = None;
    }

    /// This helper is not asked again.
    pub(super) fn condemn(&mut self) {
        if self.helper.take().is_some() {
            self.pool.shelf().failed();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Who left while an answer was due would leave it to the next exchange.
        if let Some(helper) = self.helper.take().filter(|_| !self.owes) {
            self.pool.shelf().idle.push(helper);
        }
    }
}

impl Helper {
    async fn exchange(&mut self, verb: &str, octets: &Secret) -> Option<Vec<u8>> {
        // What is on the pipe before anything was asked answers nothing.
        if !self.stdout.buffer().is_empty() {
            return None;
        }
        let request = format!("{verb} {}\n", Base64::encode_string(octets.expose()));
        self.stdin.write_all(request.as_bytes()).await.ok()?;
        self.stdin.flush().await.ok()?;
        let mut line = Vec::new();
        (&mut self.stdout).take(LINE_OCTETS).read_until(b'\n', &mut line).await.ok()?;
        // Without its end, it is cut off or too long.
        line.pop_if(|last| *last == b'\n').map(|_| line)
    }
}

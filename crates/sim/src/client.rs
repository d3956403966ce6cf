//! A client's end of a session: what it says in one segment, and what it has been told.

use crate::net::Stream;
use crate::play::MOMENT;
use std::future::Future;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// How long a reply or the end of a connection is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client's end of a session.
#[derive(Default)]
pub(crate) struct Session {
    /// `None` when the connection was refused or closed by the client.
    pub(crate) stream: Option<Stream>,
    /// What came in and has not been expected yet.
    pub(crate) unread: Vec<u8>,
    /// What waits to be sent in one segment with what follows.
    pub(crate) waiting: Vec<u8>,
    /// Whether the last thing that happened was that the client sent a segment.
    has_just_spoken: bool,
    pub(crate) ended: bool,
}

impl Session {
    /// A session over `stream`; `None` when the connection was refused.
    pub(crate) fn new(stream: Option<Stream>) -> Session {
        Session { stream, ..Session::default() }
    }

    pub(crate) async fn send(&mut self) -> Result<(), String> {
        if self.has_just_spoken {
            // Two segments are two only if the first has been read.
            sleep(MOMENT).await;
        }
        let segment = std::mem::take(&mut self.waiting);
        let stream = self.stream.as_mut().ok_or("not connected")?;
        let sent = within(stream.write_all(&segment)).await.ok_or("the server does not read")?;
        self.has_just_spoken = true;
        sent.map_err(|error| format!("the client cannot write: {error}"))
    }

    /// Writes octet by octet, until the server hangs up.
    pub(crate) async fn trickle(&mut self, pause: Duration, octets: &[u8]) {
        let Some(stream) = &mut self.stream else { return };
        for octet in octets {
            sleep(pause).await;
            if stream.write_all(&[*octet]).await.is_err() {
                return;
            }
        }
    }

    /// The lines of the next reply, without line ends.
    pub(crate) async fn reply(&mut self) -> Result<Vec<String>, String> {
        self.has_just_spoken = false;
        let mut lines = Vec::new();
        loop {
            let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") else {
                if self.ended {
                    return Ok(vec!["(the connection has ended)".to_owned()]);
                }
                if within(self.more()).await.is_none() {
                    return Ok(vec!["(nothing)".to_owned()]);
                }
                continue;
            };
            let line: Vec<u8> = self.unread.drain(..end + 2).collect();
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            let last = line.as_bytes().get(3) != Some(&b'-');
            lines.push(line);
            if last {
                return Ok(lines);
            }
        }
    }

    pub(crate) async fn more(&mut self) {
        let count = match &mut self.stream {
            // A connection that breaks has ended as far as a transcript is concerned.
            Some(stream) => stream.read_buf(&mut self.unread).await.unwrap_or(0),
            None => 0,
        };
        self.ended |= count == 0;
    }

    /// Takes in what has come, without waiting for more.
    pub(crate) async fn take_in(&mut self) {
        while !self.ended && timeout(MOMENT, self.more()).await.is_ok() {}
    }
}

/// What comes of something, if it comes at all.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> Option<T> {
    timeout(PATIENCE, what).await.ok()
}

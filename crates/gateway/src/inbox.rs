//! The unread bytes of one connection, and the only place where they are read.
//!
//! An idle connection holds no buffer: bytes arrive in a scratch area that belongs to the thread
//! and only what a poll could not use up is kept. With 10,000 idle sessions this is the difference
//! between 160 MiB and nothing.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};

/// Octets one read may bring.
const SCRATCH_OCTETS: usize = 32 * 1024;
/// Octets one read of commands may bring: they wait here while a client does not take its replies.
const COMMANDS_OCTETS: usize = 16 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_OCTETS]);
}

/// Bytes that have arrived and have not been used yet.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    used: usize,
}

impl Inbox {
    /// What has not been used yet.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    /// Whether everything has been used.
    pub(crate) fn is_empty(&self) -> bool {
        self.used == self.bytes.len()
    }

    /// Marks bytes as used; the buffer is given back when nothing is left.
    pub(crate) fn consume(&mut self, count: usize) {
        self.used += count;
        debug_assert!(self.used <= self.bytes.len(), "a session used bytes it was not given");
        if self.is_empty() {
            self.used = 0;
            if self.bytes.capacity() > 4 * 1024 {
                self.bytes = Vec::new();
            } else {
                self.bytes.clear();
            }
        }
    }

    /// Forgets everything: what came in the clear is not read after a handshake.
    pub(crate) fn clear(&mut self) {
        *self = Inbox::default();
    }

    /// Reads once, appending to what is unread. 0 octets: the peer has closed.
    ///
    /// # Errors
    /// The connection is broken.
    pub(crate) async fn fill<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_fill(Pin::new(&mut *stream), cx, SCRATCH_OCTETS)).await
    }

    /// As [`Inbox::fill`], for a peer that is expected to send commands.
    ///
    /// # Errors
    /// The connection is broken.
    pub(crate) async fn fill_commands<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_fill(Pin::new(&mut *stream), cx, COMMANDS_OCTETS)).await
    }

    fn poll_fill<S: AsyncRead>(
        &mut self,
        stream: Pin<&mut S>,
        cx: &mut Context<'_>,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut read = ReadBuf::new(&mut scratch[..most]);
            std::task::ready!(stream.poll_read(cx, &mut read))?;
            if self.used > 0 {
                self.bytes.drain(..self.used);
                self.used = 0;
            }
            self.bytes.extend_from_slice(read.filled());
            Poll::Ready(Ok(read.filled().len()))
        })
    }

    /// Reads what is there already, without waiting.
    ///
    /// # Errors
    /// The connection is broken.
    pub(crate) async fn glance<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> io::Result<usize> {
        std::future::poll_fn(|cx| match self.poll_fill(Pin::new(&mut *stream), cx, COMMANDS_OCTETS) {
            Poll::Pending => Poll::Ready(Ok(0)),
            ready @ Poll::Ready(_) => ready,
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn what_is_left_is_kept_and_what_is_used_is_given_back() {
        let (mut near, mut far) = tokio::io::duplex(64);
        let mut inbox = Inbox::default();
        assert_eq!(inbox.glance(&mut near).await.unwrap(), 0);
        far.write_all(b"EHLO a\r\nMAI").await.unwrap();
        inbox.fill(&mut near).await.unwrap();
        inbox.consume(8);
        far.write_all(b"L").await.unwrap();
        inbox.fill(&mut near).await.unwrap();
        assert_eq!(inbox.unread(), b"MAIL");
        inbox.consume(4);
        assert!(inbox.is_empty());
        drop(far);
        assert_eq!(inbox.fill(&mut near).await.unwrap(), 0);
    }
}

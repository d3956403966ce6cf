//! One connection, in the clear or secured.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection. The secured forms are boxed: most sessions of a large server idle in the clear or
/// in TLS, and a session should not pay for the larger of the two.
#[derive(Debug)]
pub enum Stream {
    /// In the clear.
    Clear(TcpStream),
    /// Secured, as the server.
    Server(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    /// Secured, as the client.
    Client(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl Stream {
    /// The connection under a TLS session cannot be taken out again; only a clear one is given back.
    ///
    /// # Errors
    /// The stream is secured already.
    pub fn into_clear(self) -> io::Result<TcpStream> {
        match self {
            Stream::Clear(stream) => Ok(stream),
            Stream::Server(_) | Stream::Client(_) => {
                Err(io::Error::new(io::ErrorKind::AlreadyExists, "the connection is secured already"))
            }
        }
    }
}

/// The same call on whichever stream it is.
macro_rules! forward {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Clear(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Stream::Server(stream) => {
                let $stream = Pin::new(&mut **stream);
                $call
            }
            Stream::Client(stream) => {
                let $stream = Pin::new(&mut **stream);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        forward!(self, stream => stream.poll_read(cx, into))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        forward!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward!(self, stream => stream.poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Clear(stream) => stream.is_write_vectored(),
            Stream::Server(stream) => stream.is_write_vectored(),
            Stream::Client(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, stream => stream.poll_shutdown(cx))
    }
}

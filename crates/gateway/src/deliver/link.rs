//! One open connection to a next hop, and one transaction over it. Drives `smtp::client`; knows no
//! protocol itself.

use super::Source;
use super::open::{Fault, Refused};
use crate::inbox::Inbox;
use crate::memory::Held;
use crate::pace::Pace;
use crate::timer::Timer;
use crate::world::{Verify, World};
use bytes::Bytes;
use config::Rate;
use queue::spool::ReadError;
use smtp::client::{Client, Encoding, Finished, Mail, Output};
use smtp::dots::Dots;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

/// What waits to be written is written at the latest when it is so much.
const OUT_OCTETS: usize = 64 * 1024;

/// How long closing a connection may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// An open connection.
pub(super) struct Link<W: World> {
    /// The next hop as it is written in the settings.
    pub(super) hop: Box<str>,
    stream: Option<W::Stream>,
    client: Client,
    inbox: Inbox,
    out: Vec<u8>,
    timer: Timer,
    /// When the peer last did something useful, and the client's count of such things then.
    since: (Instant, u64),
    /// How slowly the peer may take a message.
    rate: Rate,
    /// What the connection costs.
    _held: Option<Held>,
}

/// What came of a transaction.
pub(super) enum Transferred {
    /// It came to an end.
    Finished(Finished),
    /// The content could not be read; the connection was cut before its end.
    Unreadable(ReadError),
}

impl<W: World> Link<W> {
    pub(super) fn new(stream: W::Stream, client: Client, hop: String, rate: Rate, held: Option<Held>) -> Link<W> {
        let since = (Instant::now(), client.progress());
        let timer = Timer::new(since.0 + client.patience());
        let (hop, stream) = (hop.into(), Some(stream));
        let (inbox, out) = (Inbox::default(), Vec::new());
        Link { hop, stream, client, inbox, out, timer, since, rate, _held: held }
    }

    /// Speaks until a transaction may begin.
    pub(super) async fn ready(&mut self, world: &W, name: &str, verify: Verify) -> Result<(), Refused> {
        loop {
            match self.step().await {
                Output::Ready => return Ok(()),
                Output::Secure => self.secure(world, name, verify).await?,
                Output::Refused(response) => {
                    // The client has taken its leave, if the peer is still there to hear it.
                    let _ = self.flush(None).await;
                    return Err(Refused::plain(format!("{}: {response}", self.hop)));
                }
                Output::Close | Output::Done(_) | Output::SendBody(_) | Output::Wait => {
                    return Err(Refused::plain(format!("{}: the connection was closed", self.hop)));
                }
            }
        }
    }

    async fn secure(&mut self, world: &W, name: &str, verify: Verify) -> Result<(), Refused> {
        let handshake_failed =
            |why: String| Refused { why: format!("{name}: TLS handshake: {why}").into(), fault: Fault::Handshake };
        // Bytes that came in the clear behind the answer to STARTTLS are nobody's words.
        if !self.inbox.is_empty() {
            self.client.secure_failed();
            return Err(handshake_failed("the next hop spoke before it".to_owned()));
        }
        let Some(stream) = self.stream.take() else { return Err(handshake_failed("no connection".to_owned())) };
        let deadline = Instant::now() + self.client.patience();
        match timeout_at(deadline, world.secure_client(stream, name, verify)).await {
            Ok(Ok(stream)) => {
                self.stream = Some(stream);
                self.client.secured();
                Ok(())
            }
            Ok(Err(error)) => Err(handshake_failed(error.to_string())),
            Err(_) => Err(handshake_failed("it took too long".to_owned())),
        }
    }

    /// One transaction, from MAIL to the verdict on each recipient.
    pub(super) async fn transfer(&mut self, world: &W, mail: Mail, mut content: Source<W>) -> Transferred {
        self.client.begin(mail);
        loop {
            match self.step().await {
                Output::SendBody(encoding) => {
                    if let Err(error) = self.send_body(world, &mut content, encoding).await {
                        // Cut, so that the peer never sees an end that is not the end.
                        self.stream = None;
                        return Transferred::Unreadable(error);
                    }
                }
                Output::Done(mut finished) => {
                    finished.usable = finished.usable && matches!(self.step().await, Output::Ready);
                    return Transferred::Finished(finished);
                }
                Output::Ready | Output::Secure | Output::Wait => {}
                Output::Refused(_) | Output::Close => unreachable!("a transaction ends with Done"),
            }
        }
    }

    /// Whether the peer reports for itself from here on (RFC 3461).
    pub(super) fn reports(&self) -> bool {
        self.client.offers().dsn
    }

    /// Runs the client until it wants something only we can do.
    async fn step(&mut self) -> Output {
        loop {
            let (used, output) = self.client.poll(self.inbox.unread(), &mut self.out);
            self.inbox.consume(used);
            if output != Output::Wait {
                return output;
            }
            if self.flush(None).await.is_ok() {
                self.wait().await;
            }
        }
    }

    async fn wait(&mut self) {
        let progress = self.client.progress();
        if self.since.1 != progress {
            self.since = (Instant::now(), progress);
        }
        let Some(stream) = &mut self.stream else { return self.client.closed() };
        tokio::select! {
            biased;
            filled = self.inbox.fill(stream) => match filled {
                Ok(0) | Err(_) => self.client.closed(),
                Ok(_) => {}
            },
            () = self.timer.until(self.since.0 + self.client.patience()) => self.client.expired(),
        }
    }

    /// Writes what waits, each piece in the time that the state of the conversation gives, and all of it
    /// in no more than `most`.
    async fn flush(&mut self, most: Option<Duration>) -> io::Result<()> {
        let written = match &mut self.stream {
            None => Err(io::ErrorKind::NotConnected.into()),
            Some(_) if self.out.is_empty() => return Ok(()),
            Some(stream) => {
                let end = most.map(|most| Instant::now() + most);
                write(stream, &self.out, &mut self.timer, self.client.patience(), end).await
            }
        };
        self.out.clear();
        self.out.shrink_to(OUT_OCTETS);
        if let Err(error) = &written {
            // A peer that did not want the rest has often said why: a refusal is no lost connection.
            if let Some(stream) = &mut self.stream {
                let _ = self.inbox.glance(stream).await;
            }
            if error.kind() == io::ErrorKind::TimedOut {
                self.client.stalled();
            } else {
                self.client.closed();
            }
        }
        written
    }

    async fn send_body(&mut self, world: &W, content: &mut Source<W>, encoding: Encoding) -> Result<(), ReadError> {
        let mut dots = Dots::new();
        let mut pace = Pace::default();
        while let Some(chunk) = content.next(world).await? {
            self.put(&chunk, encoding, &mut dots);
            if self.out.len() >= OUT_OCTETS && self.flush_at(&mut pace).await.is_err() {
                // The client knows; it will say what became of the recipients.
                return Ok(());
            }
        }
        if encoding == Encoding::Dots {
            dots.finish(&mut self.out);
        }
        self.client.body_sent();
        Ok(())
    }

    /// Writes what waits, with what the least rate leaves of the time for the whole content.
    async fn flush_at(&mut self, pace: &mut Pace) -> io::Result<()> {
        pace.octets += self.out.len() as u64;
        let most = pace.left(&self.rate);
        let began = Instant::now();
        let written = self.flush(most).await;
        pace.waited += began.elapsed();
        written
    }

    fn put(&mut self, chunk: &Bytes, encoding: Encoding, dots: &mut Dots) {
        match encoding {
            Encoding::Dots => dots.encode(chunk, &mut self.out),
            Encoding::Chunk => self.out.extend_from_slice(chunk),
        }
    }

    /// Says goodbye, if there is still anybody to say it to.
    pub(super) async fn quit(&mut self) {
        if self.stream.is_none() {
            return;
        }
        self.client.quit();
        while !matches!(self.step().await, Output::Close | Output::Refused(_)) {}
        if let Some(stream) = &mut self.stream {
            // The peer may be gone already, or not read any more.
            let _ = tokio::time::timeout(CLOSE_LIMIT, stream.shutdown()).await;
        }
    }
}

/// Writes octets piece by piece, each in the time that RFC 5321 §4.5.3.2.5 gives one call to send.
async fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    octets: &[u8],
    timer: &mut Timer,
    patience: Duration,
    end: Option<Instant>,
) -> io::Result<()> {
    for piece in octets.chunks(OUT_OCTETS) {
        let deadline = Instant::now() + patience;
        let deadline = end.map_or(deadline, |end| end.min(deadline));
        tokio::select! {
            biased;
            written = async {
                stream.write_all(piece).await?;
                stream.flush().await
            } => written?,
            () = timer.until(deadline) => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
    Ok(())
}

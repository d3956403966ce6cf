//! One open connection to a next hop, and one attempt over it. Drives `smtp::client`; knows no
//! protocol itself.

use super::open::Refused;
use super::{Job, Source, unreadable};
use crate::Gateway;
use crate::inbox::Inbox;
use crate::translate;
use crate::world::{Verify, World};
use bytes::Bytes;
use queue::spool::ReadError;
use queue::{Diagnosis, Ending, Outcome};
use smtp::client::{Client, Encoding, Mail, Output, Verdict};
use smtp::dots::Dots;
use std::io;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};

/// What waits to be written is written at the latest when it is so much.
const OUT_OCTETS: usize = 64 * 1024;

/// An open connection.
pub(super) struct Link<W: World> {
    /// The next hop as it is written in the settings.
    pub(super) hop: Box<str>,
    stream: Option<W::Stream>,
    client: Client,
    inbox: Inbox,
    out: Vec<u8>,
    /// When the peer last did something useful, and the client's count of such things then.
    since: (Instant, u64),
}

/// What came of an attempt.
pub(super) struct Attempted {
    pub(super) outcomes: Vec<Outcome>,
    /// The connection may carry another message.
    pub(super) usable: bool,
    /// The connection had died while it was idle; a fresh one may try at once.
    pub(super) stale: bool,
    /// The next hop reports for itself from here on.
    pub(super) reports: bool,
}

impl<W: World> Link<W> {
    pub(super) fn new(stream: W::Stream, client: Client, hop: String) -> Link<W> {
        let since = (Instant::now(), client.progress());
        Link { hop: hop.into(), stream: Some(stream), client, inbox: Inbox::default(), out: Vec::new(), since }
    }

    /// Speaks until a transaction may begin.
    pub(super) async fn ready(&mut self, gateway: &Gateway<W>, name: &str, verify: Verify) -> Result<(), Refused> {
        loop {
            match self.step().await {
                Output::Ready => return Ok(()),
                Output::Secure => self.secure(gateway, name, verify).await?,
                Output::Refused(response) => return Err(Refused::plain(format!("{}: {response}", self.hop))),
                Output::Close | Output::Done(_) | Output::SendBody(_) | Output::Wait => {
                    return Err(Refused::plain(format!("{}: the connection was closed", self.hop)));
                }
            }
        }
    }

    async fn secure(&mut self, gateway: &Gateway<W>, name: &str, verify: Verify) -> Result<(), Refused> {
        let handshake_failed =
            |why: String| Refused { why: format!("{name}: TLS handshake: {why}").into(), handshake: true };
        // Bytes that came in the clear behind the answer to STARTTLS are nobody's words.
        if !self.inbox.is_empty() {
            self.client.secure_failed();
            return Err(handshake_failed("the next hop spoke before it".to_owned()));
        }
        let Some(stream) = self.stream.take() else { return Err(handshake_failed("no connection".to_owned())) };
        let deadline = Instant::now() + self.client.patience();
        match timeout_at(deadline, gateway.world.secure_client(stream, name, verify)).await {
            Ok(Ok(stream)) => {
                self.stream = Some(stream);
                self.client.secured();
                Ok(())
            }
            Ok(Err(error)) => Err(handshake_failed(error.to_string())),
            Err(_) => Err(handshake_failed("it took too long".to_owned())),
        }
    }

    /// One message, from MAIL to the outcome of each recipient.
    pub(super) async fn attempt(&mut self, gateway: &Gateway<W>, job: &Job) -> Attempted {
        self.client.begin(mail(job));
        loop {
            match self.step().await {
                Output::SendBody(encoding) => {
                    if let Err(error) = self.send_body(gateway, job, encoding).await {
                        return self.abandon(job, &error);
                    }
                }
                Output::Done(finished) => {
                    let reports = self.client.offers().dsn;
                    let verdicts = job.item.recipients.iter().zip(finished.recipients);
                    return Attempted {
                        outcomes: verdicts.map(|(place, verdict)| self.outcome(place, verdict, reports)).collect(),
                        usable: finished.usable && matches!(self.step().await, Output::Ready),
                        stale: finished.stale,
                        reports,
                    };
                }
                Output::Ready | Output::Secure | Output::Wait => {}
                Output::Refused(_) | Output::Close => unreachable!("a transaction ends with Done"),
            }
        }
    }

    /// The stored body failed under us: the connection is cut, so that the peer never sees an end.
    fn abandon(&mut self, job: &Job, error: &ReadError) -> Attempted {
        self.stream = None;
        let stale = matches!(error, ReadError::Gone);
        Attempted { outcomes: unreadable(job, error), usable: false, stale, reports: false }
    }

    fn outcome(&self, place: usize, verdict: Verdict, reports: bool) -> Outcome {
        let result = match &verdict {
            Verdict::Delivered(_) if reports => Ending::Delivered,
            Verdict::Delivered(_) => Ending::Relayed,
            Verdict::Deferred(_) => Ending::Deferred,
            Verdict::Failed(_) => Ending::Failed,
        };
        let response = verdict.response();
        let diagnosis = Diagnosis {
            status: response.status,
            text: if response.local { response.text.clone() } else { response.to_string().into() },
            host: (!response.local).then(|| self.hop.clone()),
        };
        Outcome { recipient: place, result, diagnosis }
    }

    /// Runs the client until it wants something only we can do.
    async fn step(&mut self) -> Output {
        loop {
            let (used, output) = self.client.poll(self.inbox.unread(), &mut self.out);
            self.inbox.consume(used);
            if output != Output::Wait {
                return output;
            }
            if self.flush().await.is_ok() {
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
        match timeout_at(self.since.0 + self.client.patience(), self.inbox.fill(stream)).await {
            Ok(Ok(0) | Err(_)) => self.client.closed(),
            Ok(Ok(_)) => {}
            Err(_) => self.client.expired(),
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        let written = match &mut self.stream {
            None => Err(io::ErrorKind::NotConnected.into()),
            Some(_) if self.out.is_empty() => return Ok(()),
            Some(stream) => {
                let deadline = Instant::now() + self.client.patience();
                let writing = async {
                    stream.write_all(&self.out).await?;
                    stream.flush().await
                };
                timeout_at(deadline, writing).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            }
        };
        self.out.clear();
        self.out.shrink_to(OUT_OCTETS);
        if written.is_err() {
            self.client.closed();
        }
        written
    }

    async fn send_body(&mut self, gateway: &Gateway<W>, job: &Job, encoding: Encoding) -> Result<(), ReadError> {
        let mut source = Source::new(gateway, job.envelope.trace.to_vec(), &job.content);
        let mut dots = Dots::new();
        while let Some(chunk) = source.next(&gateway.world).await? {
            self.put(&chunk, encoding, &mut dots);
            if self.out.len() >= OUT_OCTETS && self.flush().await.is_err() {
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
            // The peer may be gone already.
            let _ = stream.shutdown().await;
        }
    }
}

/// The part of a message that goes this way, as the client sends it.
fn mail(job: &Job) -> Mail {
    let envelope = &job.envelope;
    let recipients = job.item.recipients.iter().filter_map(|place| envelope.recipients.get(place));
    Mail {
        reverse_path: envelope.reverse_path.clone(),
        recipients: recipients.map(translate::client_recipient).collect(),
        size: envelope.content.size_bytes + envelope.trace.len() as u64,
        content: translate::client_content(&envelope.content),
        smtputf8: envelope.smtputf8,
        ret: envelope.ret.map(translate::client_ret),
        envid: envelope.envid.clone(),
    }
}

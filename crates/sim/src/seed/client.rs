//! A client as the plan wants it: what it says, what it hears, and how it stops.
//!
//! It speaks SMTP without the product's own parser. What it was told about each message is noted as
//! soon as it has heard it; from then on the gateway is bound by it.

use super::letter;
use super::plan::{Ending, Letter, Notify, Session};
use super::seen::{Heard, Seen};
use crate::net::Stream;
use crate::plant::PASSWORD;
use crate::world::SimWorld;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Longer than any session may last.
const PATIENCE: Duration = Duration::from_secs(super::law::SESSION_S + 120);
/// Octets of a piece that a slow client sends.
const PIECE: usize = 64;
/// Commands of a client that never reads, so that the replies must fill every buffer on the way.
const DEAF_COMMANDS: usize = 4000;

/// Where a client's session takes place.
#[derive(Clone)]
pub(super) struct Stage {
    pub(super) seed: u64,
    pub(super) world: Arc<SimWorld>,
    pub(super) seen: Arc<Mutex<Seen>>,
    /// Becomes true when those who hang may go.
    pub(super) released: watch::Receiver<bool>,
}

impl Stage {
    /// Which of the lives of the gateway this is.
    fn life(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).lives.len() - 1
    }
}

/// The session is over, however it ended.
struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Over {
        Over
    }
}

/// One session from the first octet to the last.
pub(super) async fn call(stage: Stage, session: Session) {
    let door = super::law::door(&session.server);
    let Ok(stream) = stage.world.connect_from(session.client, door) else {
        return stage.world.tell(&format!("{} is not let in", session.client));
    };
    let left = session.manner.ends;
    let mut caller = Caller { stage, session: &session, stream, unread: Vec::new(), left };
    // However it ends, what was heard has been noted.
    let _over = caller.converse().await;
}

struct Caller<'a> {
    stage: Stage,
    session: &'a Session,
    stream: Stream,
    unread: Vec<u8>,
    /// Octets until it ends, and how.
    left: Option<(usize, Ending)>,
}

impl Caller<'_> {
    async fn converse(&mut self) -> Result<(), Over> {
        if self.session.manner.deaf {
            return self.shout().await;
        }
        if self.reply().await?.0 != 220 {
            return Ok(());
        }
        self.hello().await?;
        if self.session.manner.tls && !self.session.manner.helo && self.ask("STARTTLS\r\n").await?.0 == 220 {
            self.stream.secure_as_client("mx.corp.example").await?;
            self.hello().await?;
        }
        if self.session.manner.password {
            self.ask(&format!("AUTH PLAIN {PASSWORD}\r\n")).await?;
        }
        for letter in &self.session.letters {
            self.send(letter).await?;
        }
        self.ask("QUIT\r\n").await?;
        Ok(())
    }

    async fn hello(&mut self) -> Result<(), Over> {
        let verb = if self.session.manner.helo { "HELO" } else { "EHLO" };
        let code = self.ask(&format!("{verb} client.example\r\n")).await?.0;
        if code == 250 { Ok(()) } else { Err(Over) }
    }

    /// One message.
    async fn send(&mut self, letter: &Letter) -> Result<(), Over> {
        let manner = &self.session.manner;
        let (mail, rcpts) = commands(letter, manner.helo);
        let chunked = manner.chunk.filter(|_| !manner.helo);
        if manner.pipelined && !manner.helo {
            let data = if chunked.is_some() { "" } else { "DATA\r\n" };
            self.write(format!("{mail}{}{data}", rcpts.concat()).as_bytes()).await?;
        } else {
            self.write(mail.as_bytes()).await?;
        }
        let code = self.reply().await?.0;
        self.note(letter, |heard| heard.mail = Some(code));
        let mut accepted = 0;
        for (place, rcpt) in rcpts.iter().enumerate() {
            if !manner.pipelined || manner.helo {
                self.write(rcpt.as_bytes()).await?;
            }
            let code = self.reply().await?.0;
            accepted += usize::from(code == 250);
            self.note(letter, |heard| _ = heard.rcpt.insert(place, code));
        }
        match chunked {
            Some(octets) if accepted > 0 => self.chunks(letter, octets).await,
            Some(_) => self.ask("RSET\r\n").await.map(|_| ()),
            None => self.data(letter, manner.pipelined && !manner.helo).await,
        }
    }

    /// DATA; the command may have been sent already.
    async fn data(&mut self, letter: &Letter, sent: bool) -> Result<(), Over> {
        if !sent {
            self.write(b"DATA\r\n").await?;
        }
        if self.reply().await?.0 != 354 {
            return self.ask("RSET\r\n").await.map(|_| ());
        }
        self.write(&dotted(&letter::content(self.stage.seed, letter))).await?;
        self.end(letter).await
    }

    async fn chunks(&mut self, letter: &Letter, octets: usize) -> Result<(), Over> {
        let content = letter::content(self.stage.seed, letter);
        let mut chunks: Vec<&[u8]> = content.chunks(octets.max(content.len() / 20)).collect();
        let last = chunks.pop().unwrap_or_default();
        let mut unanswered = 0;
        for chunk in chunks {
            self.write(format!("BDAT {}\r\n", chunk.len()).as_bytes()).await?;
            self.write(chunk).await?;
            if self.session.manner.pipelined {
                unanswered += 1;
            } else if self.reply().await?.0 != 250 {
                return self.ask("RSET\r\n").await.map(|_| ());
            }
        }
        self.write(format!("BDAT {} LAST\r\n", last.len()).as_bytes()).await?;
        self.write(last).await?;
        self.note(letter, |heard| heard.complete = true);
        for _ in 0..unanswered {
            self.reply().await?;
        }
        self.end(letter).await
    }

    /// The content is complete: now the gateway says whether it takes it.
    async fn end(&mut self, letter: &Letter) -> Result<(), Over> {
        self.note(letter, |heard| heard.complete = true);
        let end = self.reply().await?;
        let (life, failed_twice) = (self.stage.life(), self.stage.world.loose_ends().cannot_be_tied());
        self.note(letter, |heard| {
            (heard.end, heard.life, heard.disk_failed_twice) = (Some(end), life, failed_twice);
        });
        Ok(())
    }

    /// Everything at once, and never a look at what comes back.
    async fn shout(&mut self) -> Result<(), Over> {
        let mut all = b"EHLO deaf.example\r\n".to_vec();
        for letter in &self.session.letters {
            let (mail, rcpts) = commands(letter, false);
            let content = letter::content(self.stage.seed, letter);
            all.extend_from_slice(format!("{mail}{}BDAT {} LAST\r\n", rcpts.concat(), content.len()).as_bytes());
            all.extend_from_slice(&content);
        }
        // How much of it arrives cannot be told.
        for letter in &self.session.letters {
            self.note(letter, |heard| heard.complete = true);
        }
        self.write(&all).await?;
        for _ in 0..DEAF_COMMANDS {
            self.write(b"NOOP\r\n").await?;
        }
        self.hang().await
    }

    async fn ask(&mut self, command: &str) -> Result<(u16, String), Over> {
        self.write(command.as_bytes()).await?;
        self.reply().await
    }

    async fn write(&mut self, mut octets: &[u8]) -> Result<(), Over> {
        let room = self.left.map_or(usize::MAX, |(left, _)| left);
        let cut = octets.len() > room;
        octets = &octets[..octets.len().min(room)];
        if let Some((left, _)) = &mut self.left {
            *left -= octets.len();
        }
        match self.session.manner.slow_ms {
            None => self.stream.write_all(octets).await?,
            Some(ms) => {
                for piece in octets.chunks(PIECE) {
                    sleep(Duration::from_millis(ms)).await;
                    self.stream.write_all(piece).await?;
                }
            }
        }
        match self.left {
            Some((_, Ending::Drops)) if cut => Err(Over),
            Some((_, Ending::Hangs)) if cut => self.hang().await,
            _ => Ok(()),
        }
    }

    /// Neither speaks nor listens any more, and keeps the connection.
    async fn hang(&mut self) -> Result<(), Over> {
        let _ = self.stage.released.wait_for(|released| *released).await;
        Err(Over)
    }

    /// The code and the words of the next reply.
    async fn reply(&mut self) -> Result<(u16, String), Over> {
        let mut words = String::new();
        loop {
            while let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..end + 2).collect();
                let line = String::from_utf8_lossy(&line[..end]).into_owned();
                words.push_str(&line);
                words.push('\n');
                if line.as_bytes().get(3) != Some(&b'-') {
                    return Ok(self.heard(words));
                }
            }
            let more = timeout(PATIENCE, self.stream.read_buf(&mut self.unread)).await;
            if more.unwrap_or(Ok(0))? == 0 {
                return Err(Over);
            }
        }
    }

    fn heard(&self, words: String) -> (u16, String) {
        self.stage.world.tell(&format!("{} < {}", self.session.client, words.trim_end().replace('\n', " / ")));
        let mut seen = self.stage.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.said.push_str(&words);
        let code = words.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0);
        (code, words)
    }

    fn note(&self, letter: &Letter, note: impl FnOnce(&mut Heard)) {
        let mut seen = self.stage.seen.lock().unwrap_or_else(PoisonError::into_inner);
        note(seen.heard.entry(letter.number).or_default());
    }
}

/// MAIL, and a RCPT for each recipient.
fn commands(letter: &Letter, helo: bool) -> (String, Vec<String>) {
    let size = if helo || letter.number.is_multiple_of(2) { String::new() } else { format!(" SIZE={}", letter.size) };
    let notify = match letter.notify {
        Notify::Unsaid => "",
        _ if helo => "",
        Notify::Never => " NOTIFY=NEVER",
        Notify::All => " NOTIFY=SUCCESS,FAILURE,DELAY",
    };
    let rcpt = |place| format!("RCPT TO:<{}>{notify}\r\n", letter.recipient(place));
    (format!("MAIL FROM:<{}>{size}\r\n", letter.sender()), (0..letter.to.len()).map(rcpt).collect())
}

/// Content as DATA wants it (RFC 5321 §4.5.2), its end included.
fn dotted(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 64);
    for line in content.split_inclusive(|octet| *octet == b'\n') {
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !content.is_empty() && !content.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

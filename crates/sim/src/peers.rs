//! Simulated SMTP servers: the next hops that the gateway delivers to.
//!
//! A polite one takes what it is given and keeps it; others have a mood. All of them are strict
//! readers written without the product's own parser, and note a complaint for every octet that a
//! strict receiver would object to, so that each transcript also tests what goes out.

use crate::clock::SimClock;
use crate::mood::{Mood, Reach, Stage, Trouble};
use crate::net::Stream;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

/// A message that a peer has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The argument of MAIL behind `FROM:`, without SIZE.
    pub from: String,
    /// The arguments of RCPT behind `TO:`, of the accepted recipients.
    pub to: Vec<String>,
    /// The content, dots removed.
    pub content: Vec<u8>,
    /// Whether the handshake had been performed.
    pub secured: bool,
}

impl Delivery {
    /// `from <a@b> to <c@d> <e@f>`, with ` secured` behind it where that is so.
    #[must_use]
    pub fn summary(&self) -> String {
        let secured = if self.secured { " secured" } else { "" };
        format!("from {} to {}{secured}", self.from, self.to.join(" "))
    }
}

/// What is known about a delivery beyond what was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taking {
    /// When the content was complete.
    pub at: Duration,
    /// The sender has been heard of since it was told: it knows that the message was taken.
    pub known: bool,
}

/// How long a peer that never says another word keeps the connection: longer than anybody waits.
const STALLED: Duration = Duration::from_secs(30 * 60);

/// A connection that a peer has seen, also one that it refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Where it came from.
    pub from: IpAddr,
    /// Messages taken over it.
    pub deliveries: usize,
}

#[derive(Debug, Default)]
struct Peer {
    mood: Mood,
    deliveries: Vec<Delivery>,
    /// One for each delivery.
    takings: Vec<Taking>,
    taken: usize,
    connections: Vec<Seen>,
    complaints: Vec<String>,
}

/// All peers of a world, by address.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    peers: Arc<Mutex<BTreeMap<SocketAddr, Peer>>>,
    clock: SimClock,
}

impl Peers {
    /// Nobody yet; deliveries will be dated by this clock.
    #[must_use]
    pub fn new(clock: SimClock) -> Peers {
        Peers { peers: Arc::default(), clock }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Peer>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at<T>(&self, address: SocketAddr, see: impl FnOnce(&mut Peer) -> T) -> T {
        see(self.lock().entry(address).or_default())
    }

    /// Puts a peer at `address`, or changes the mood of the one that is there; conversations under
    /// way keep the mood they began with.
    pub fn set(&self, address: SocketAddr, mood: Mood) {
        self.at(address, |peer| peer.mood = mood);
    }

    /// The oldest delivery to `address` that has not been asked for yet.
    #[must_use]
    pub fn next_delivery(&self, address: SocketAddr) -> Option<Delivery> {
        let mut peers = self.lock();
        let peer = peers.get_mut(&address)?;
        let next = peer.deliveries.get(peer.taken).cloned()?;
        peer.taken += 1;
        Some(next)
    }

    /// Deliveries that nobody has asked for.
    #[must_use]
    pub fn unread(&self) -> Vec<(SocketAddr, Delivery)> {
        let peers = self.lock();
        let of = |(at, peer): (&SocketAddr, &Peer)| -> Vec<(SocketAddr, Delivery)> {
            peer.deliveries[peer.taken..].iter().map(|delivery| (*at, delivery.clone())).collect()
        };
        peers.iter().flat_map(of).collect()
    }

    /// Every delivery to anybody, with what is known about it.
    #[must_use]
    pub fn all(&self) -> Vec<(SocketAddr, Delivery, Taking)> {
        let peers = self.lock();
        let of = |(at, peer): (&SocketAddr, &Peer)| -> Vec<(SocketAddr, Delivery, Taking)> {
            let each = peer.deliveries.iter().zip(&peer.takings);
            each.map(|(delivery, taking)| (*at, delivery.clone(), *taking)).collect()
        };
        peers.iter().flat_map(of).collect()
    }

    /// Makes everybody polite.
    pub(crate) fn appease(&self) {
        self.lock().values_mut().for_each(|peer| peer.mood = Mood::default());
    }

    /// What a strict receiver would object to in what was sent to any peer.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let peers = self.lock();
        peers.iter().flat_map(|(at, peer)| peer.complaints.iter().map(move |text| format!("{at}: {text}"))).collect()
    }

    /// The connections to `address`, in order; refused ones are among them.
    #[must_use]
    pub fn connections(&self, address: SocketAddr) -> Vec<Seen> {
        self.lock().get(&address).map(|peer| peer.connections.clone()).unwrap_or_default()
    }

    /// Connects to the peer at `to`; `None` when there is none. Both ends are made ready by `prepare`,
    /// the caller's first.
    ///
    /// # Errors
    /// What the peer's mood makes of connections.
    pub async fn connect(
        &self,
        from: SocketAddr,
        to: SocketAddr,
        prepare: impl FnOnce(&mut Stream, &mut Stream),
    ) -> Option<io::Result<Stream>> {
        let (mood, number) = {
            let mut peers = self.lock();
            let peer = peers.get_mut(&to)?;
            peer.connections.push(Seen { from: from.ip(), deliveries: 0 });
            (peer.mood.clone(), peer.connections.len() - 1)
        };
        match mood.reach {
            Reach::Down => return Some(Err(io::ErrorKind::ConnectionRefused.into())),
            Reach::Short => return Some(Err(io::ErrorKind::OutOfMemory.into())),
            Reach::Void => std::future::pending().await,
            Reach::Open => {}
        }
        let (mut near, mut far) = Stream::pair(from, to);
        prepare(&mut near, &mut far);
        let peers = self.clone();
        let talk = Conversation { at: to, number, mood, peers, stream: far, unread: Vec::new(), told: None, spoken: 0 };
        tokio::spawn(talk.hold());
        Some(Ok(near))
    }
}

/// A name in the greeting and the certificate of the peer at `address`.
#[must_use]
pub fn name_of(address: SocketAddr) -> String {
    let ip = address.ip().to_string().replace([':', '.'], "-");
    format!("peer-{ip}.test")
}

/// How long a slow peer takes for an octet.
const MINUTE: Duration = Duration::from_secs(60);

/// A command may be 512 octets, and an ESMTP parameter or two longer (RFC 5321 §4.5.3.1.4).
const COMMAND_OCTETS: usize = 1024;

/// A line of text, with its CR LF (RFC 5321 §4.5.3.1.6).
const TEXT_LINE_OCTETS: usize = 1000;

/// One connection to a peer.
struct Conversation {
    at: SocketAddr,
    /// Its place among the connections of the peer.
    number: usize,
    mood: Mood,
    peers: Peers,
    stream: Stream,
    unread: Vec<u8>,
    /// The delivery whose sender has been told of it and not been heard of since.
    told: Option<usize>,
    /// Replies given.
    spoken: u64,
}

/// The transaction a conversation is in.
#[derive(Default)]
struct Transaction {
    from: Option<String>,
    to: Vec<String>,
    content: Vec<u8>,
}

/// Why a conversation ended; not an error of the peer.
struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Over {
        Over
    }
}

impl Conversation {
    async fn hold(mut self) {
        // However it ends, the peer has kept what it took.
        let _over = self.converse().await;
    }

    async fn converse(&mut self) -> Result<(), Over> {
        if !self.troubled(Stage::Connect, "").await? {
            self.say(&format!("220 {} ESMTP", name_of(self.at))).await?;
        }
        let mut transaction = Transaction::default();
        loop {
            let line = self.line().await?;
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" if !self.mood.extensions => self.say("502 5.5.1 Not here").await?,
                verb @ ("EHLO" | "HELO") => {
                    transaction = Transaction::default();
                    self.hello(verb == "EHLO").await?;
                }
                "STARTTLS" if self.mood.tls && !self.stream.is_secured() => self.start_tls().await?,
                "MAIL" => self.mail(&mut transaction, argument).await?,
                "RCPT" => self.rcpt(&mut transaction, argument).await?,
                "DATA" => self.data(std::mem::take(&mut transaction)).await?,
                "BDAT" => self.bdat(&mut transaction, argument).await?,
                "RSET" => {
                    transaction = Transaction::default();
                    self.say("250 2.0.0 Flushed").await?;
                }
                "NOOP" => self.say("250 2.0.0 OK").await?,
                "QUIT" => return self.say("221 2.0.0 Goodbye").await,
                _ => {
                    self.complain(format!("unknown command {line:?}"));
                    self.say("500 5.5.1 What?").await?;
                }
            }
        }
    }

    async fn hello(&mut self, extended: bool) -> Result<(), Over> {
        if self.troubled(Stage::Hello, "").await? {
            return Ok(());
        }
        let name = name_of(self.at);
        if !extended {
            return self.say(&format!("250 {name}")).await;
        }
        let starttls = if self.mood.tls && !self.stream.is_secured() { "250-STARTTLS\r\n" } else { "" };
        self.say(&format!(
            "250-{name}\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n{starttls}250-8BITMIME\r\n250-BINARYMIME\r\n\
             250-CHUNKING\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n250 SMTPUTF8"
        ))
        .await
    }

    async fn start_tls(&mut self) -> Result<(), Over> {
        if self.troubled(Stage::StartTls, "").await? {
            return Ok(());
        }
        if !self.unread.is_empty() {
            self.complain("octets behind STARTTLS".to_owned());
        }
        self.say("220 2.0.0 Go ahead").await?;
        let certificate = self.mood.certificate.clone().unwrap_or_else(|| name_of(self.at));
        self.stream.secure_as_server(&certificate).await?;
        Ok(())
    }

    async fn mail(&mut self, transaction: &mut Transaction, argument: &str) -> Result<(), Over> {
        let Some(from) = strip_word(argument, "FROM:") else {
            self.complain(format!("MAIL {argument}"));
            return self.say("501 5.5.4 FROM:").await;
        };
        if transaction.from.is_some() {
            self.complain("MAIL within a transaction".to_owned());
            return self.say("503 5.5.1 Nested MAIL").await;
        }
        if self.troubled(Stage::Mail, from).await? {
            return Ok(());
        }
        transaction.from =
            Some(from.split(' ').filter(|word| !word.starts_with("SIZE=")).collect::<Vec<_>>().join(" "));
        self.say("250 2.1.0 Sender taken").await
    }

    async fn rcpt(&mut self, transaction: &mut Transaction, argument: &str) -> Result<(), Over> {
        let Some(to) = strip_word(argument, "TO:") else {
            self.complain(format!("RCPT {argument}"));
            return self.say("501 5.5.4 TO:").await;
        };
        if transaction.from.is_none() {
            return self.say("503 5.5.1 MAIL first").await;
        }
        if self.troubled(Stage::Rcpt, to).await? {
            return Ok(());
        }
        transaction.to.push(to.to_owned());
        self.say("250 2.1.5 Recipient taken").await
    }

    async fn data(&mut self, mut transaction: Transaction) -> Result<(), Over> {
        if transaction.to.is_empty() {
            return self.say("554 5.5.1 No recipients").await;
        }
        if self.troubled(Stage::Data, "").await? {
            return Ok(());
        }
        self.say("354 Go on").await?;
        self.troubled(Stage::Content, "").await?;
        loop {
            let mut line = self.octets_of_line(usize::MAX).await?;
            if line == b".\r\n" {
                break;
            }
            if line[..line.len() - 2].iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
                self.complain("a bare CR, LF or NUL in DATA".to_owned());
            }
            if line.first() == Some(&b'.') {
                line.remove(0);
            }
            // RFC 5321 §4.5.3.1.6: the dot that was added does not count.
            if line.len() > TEXT_LINE_OCTETS {
                self.complain(format!("a text line of {} octets", line.len()));
            }
            transaction.content.extend_from_slice(&line);
        }
        self.finish(transaction).await
    }

    async fn bdat(&mut self, transaction: &mut Transaction, argument: &str) -> Result<(), Over> {
        let (size, last) = argument.split_once(' ').unwrap_or((argument, ""));
        let Ok(size) = size.parse::<usize>() else {
            self.complain(format!("BDAT {argument}"));
            return Err(Over);
        };
        self.troubled(Stage::Content, "").await?;
        while self.unread.len() < size {
            self.more().await?;
        }
        transaction.content.extend(self.unread.drain(..size));
        if self.troubled(Stage::Data, "").await? {
            *transaction = Transaction::default();
            return Ok(());
        }
        if transaction.to.is_empty() {
            return self.say("554 5.5.1 No recipients").await;
        }
        match last.to_ascii_uppercase().as_str() {
            "" => self.say("250 2.0.0 Chunk taken").await,
            "LAST" => self.finish(std::mem::take(transaction)).await,
            _ => {
                self.complain(format!("BDAT {argument}"));
                Err(Over)
            }
        }
    }

    async fn finish(&mut self, transaction: Transaction) -> Result<(), Over> {
        let loses = self.mood.trouble_at(Stage::Dot, "") == Some(Trouble::Lose);
        if !loses && self.troubled(Stage::Dot, "").await? {
            return Ok(());
        }
        let Transaction { from, to, content } = transaction;
        let secured = self.stream.is_secured();
        let delivery = Delivery { from: from.unwrap_or_default(), to, content, secured };
        let taking = Taking { at: self.peers.clock.elapsed(), known: false };
        let place = self.peers.at(self.at, |peer| {
            peer.deliveries.push(delivery);
            peer.takings.push(taking);
            peer.connections[self.number].deliveries += 1;
            peer.takings.len() - 1
        });
        if loses {
            return Err(Over);
        }
        self.told = Some(place);
        self.say("250 2.0.0 Taken").await
    }

    /// Does what the mood says at this stage; `true` when the stage is dealt with thereby.
    async fn troubled(&mut self, stage: Stage, subject: &str) -> Result<bool, Over> {
        match self.mood.trouble_at(stage, subject) {
            None => Ok(false),
            Some(Trouble::Drop | Trouble::Lose) => Err(Over),
            Some(Trouble::Stall) => {
                tokio::time::sleep(STALLED).await;
                Err(Over)
            }
            Some(Trouble::Garble) => {
                self.say("\u{1b}[2J*** 99 bottles\r\n250").await?;
                Err(Over)
            }
            Some(Trouble::Trickle) => loop {
                for octet in b"250-2.0.0 Wait\r\n" {
                    self.stream.write_all(&[*octet]).await?;
                    sleep(MINUTE).await;
                }
            },
            Some(Trouble::Babble) => loop {
                self.say("250-2.0.0 And so on").await?;
            },
            Some(Trouble::Sip) => {
                for _ in 0..STALLED.as_secs() / MINUTE.as_secs() {
                    self.stream.read_u8().await?;
                    sleep(MINUTE).await;
                }
                Err(Over)
            }
            Some(Trouble::Refuse) => self.say(stage.refusal()).await.map(|()| true),
            Some(Trouble::Defer) => self.say(stage.deferral()).await.map(|()| true),
        }
    }

    fn complain(&self, text: String) {
        self.peers.at(self.at, |peer| peer.complaints.push(text));
    }

    async fn say(&mut self, reply: &str) -> Result<(), Over> {
        if self.mood.slow_ms > 0 {
            // Not always as slow; which reply takes how long must be the same every time.
            self.spoken += 1;
            let ms = (self.spoken * 37 + self.number as u64 * 101) % (self.mood.slow_ms + 1);
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        self.stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        Ok(())
    }

    async fn line(&mut self) -> Result<String, Over> {
        let mut line = self.octets_of_line(COMMAND_OCTETS).await?;
        line.truncate(line.len() - 2);
        if line.iter().any(u8::is_ascii_control) {
            self.complain(format!("control octets in {:?}", String::from_utf8_lossy(&line)));
        }
        String::from_utf8(line).map_err(|_| {
            self.complain("a command that is not UTF-8".to_owned());
            Over
        })
    }

    /// One line with its CR LF, which alone ends it.
    async fn octets_of_line(&mut self, limit: usize) -> Result<Vec<u8>, Over> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.unread[searched..].windows(2).position(|pair| pair == b"\r\n") {
                return Ok(self.unread.drain(..searched + end + 2).collect());
            }
            searched = self.unread.len().saturating_sub(1);
            if searched > limit {
                self.complain(format!("a command of more than {limit} octets"));
                return Err(Over);
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<(), Over> {
        if self.stream.read_buf(&mut self.unread).await? == 0 {
            if !self.unread.is_empty() {
                self.complain("the connection ended within a line".to_owned());
            }
            return Err(Over);
        }
        if let Some(place) = self.told.take() {
            self.peers.at(self.at, |peer| peer.takings[place].known = true);
        }
        Ok(())
    }
}

/// What stands behind `word`, which is matched whatever its case.
fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let head = text.get(..word.len())?;
    head.eq_ignore_ascii_case(word).then(|| &text[word.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "10.0.0.20:25";

    /// Says each line, reads one reply line for each, and gives these with what the peer kept.
    fn talk(mood: &str, lines: &[&str]) -> (Vec<String>, Peers) {
        let peers = Peers::default();
        let at = PEER.parse().unwrap();
        peers.set(at, mood.parse().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let said = runtime.block_on(async {
            let mut stream = peers.connect("10.0.0.1:4000".parse().unwrap(), at, |_, _| {}).await.unwrap().unwrap();
            let mut said = Vec::new();
            for line in std::iter::once(&"").chain(lines) {
                stream.write_all(line.as_bytes()).await.unwrap();
                let mut buffer = [0; 1024];
                let count = stream.read(&mut buffer).await.unwrap();
                said.push(String::from_utf8_lossy(&buffer[..count]).chars().take(3).collect());
            }
            said
        });
        (said, peers)
    }

    #[test]
    fn a_polite_peer_keeps_what_it_takes() {
        let story =
            ["EHLO x\r\n", "MAIL FROM:<a@b> SIZE=9 BODY=8BITMIME\r\n", "RCPT TO:<c@d>\r\n", "DATA\r\n", "..x\r\n.\r\n"];
        let (said, peers) = talk("polite", &story);
        assert_eq!(said, ["220", "250", "250", "250", "354", "250"]);
        let kept = peers.next_delivery(PEER.parse().unwrap()).unwrap();
        assert_eq!(kept.summary(), "from <a@b> BODY=8BITMIME to <c@d>");
        assert_eq!(kept.content, b".x\r\n");
        assert!(peers.complaints().is_empty() && peers.unread().is_empty());
    }

    #[test]
    fn moods_show_where_they_say() {
        let story = ["EHLO x\r\n", "MAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\n", "RCPT TO:<e@f>\r\n"];
        assert_eq!(talk("refuse-rcpt:<c@d>", &story).0, ["220", "250", "250", "550", "250"]);
        assert_eq!(talk("defer-mail", &story).0, ["220", "250", "451", "503", "503"]);
        assert_eq!(talk("plain", &story).0, ["220", "502", "250", "250", "250"]);
        assert_eq!(talk("refuse-connect", &[]).0, ["554"]);
    }

    #[test]
    fn a_strict_reader_complains() {
        let story = ["EHLO x\r\n", "MAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\n", "DATA\r\n", "a\nb\r\n.\r\n"];
        assert_eq!(talk("polite", &story).1.complaints(), ["10.0.0.20:25: a bare CR, LF or NUL in DATA"]);
    }
}

//! A next hop that accepts everything. `XCOUNT` tells how many messages and recipients it has had.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::Result;
use memchr::{memchr, memmem};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where to listen; printed when it does
    #[arg(long)]
    listen: SocketAddr,
}

#[derive(Default)]
struct Count {
    messages: Cell<u64>,
    recipients: Cell<u64>,
}

const INBOX: usize = 64 * 1024;
const END: &[u8; 5] = b"\r\n.\r\n";

pub(crate) async fn run(options: &Options) -> Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(options.listen)?;
    let listener = socket.listen(4096)?;
    println!("{}", listener.local_addr()?);
    let count = Rc::new(Count::default());
    loop {
        let (stream, _) = listener.accept().await?;
        let count = Rc::clone(&count);
        // Whoever breaks off has no message counted; the client of the measurement notices.
        tokio::task::spawn_local(async move { serve(stream, &count).await.unwrap_or_default() });
    }
}

async fn serve(mut stream: TcpStream, count: &Count) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(b"220 sink.example ESMTP\r\n").await?;
    let (mut inbox, mut replies) = (vec![0; INBOX], Vec::with_capacity(1024));
    let mut session = Session { content: Content::None, kept: Vec::new(), recipients: 0, ended: false };
    while !session.ended {
        let read = stream.read(&mut inbox).await?;
        if read == 0 {
            break;
        }
        session.take(&inbox[..read], count, &mut replies);
        if !replies.is_empty() {
            stream.write_all(&replies).await?;
            replies.clear();
        }
    }
    Ok(())
}

/// What of a message is still to come.
enum Content {
    /// Nothing: commands follow.
    None,
    /// Lines up to a dot alone; how much of that end has been seen.
    Lines(usize),
    /// So many octets of a chunk (RFC 3030).
    Chunk { left: usize, last: bool },
}

/// A session between two reads.
struct Session {
    content: Content,
    /// The beginning of a command line.
    kept: Vec<u8>,
    recipients: u64,
    ended: bool,
}

impl Session {
    fn take(&mut self, mut octets: &[u8], count: &Count, replies: &mut Vec<u8>) {
        while !octets.is_empty() {
            match self.content {
                Content::None => {}
                Content::Lines(seen) => {
                    let (read, seen) = end_of_content(seen, octets);
                    octets = &octets[read..];
                    self.content = Content::Lines(seen);
                    if seen == END.len() {
                        self.end_content(count, replies);
                    }
                    continue;
                }
                Content::Chunk { left, last } => {
                    let read = left.min(octets.len());
                    octets = &octets[read..];
                    self.content = Content::Chunk { left: left - read, last };
                    self.end_chunk(count, replies);
                    continue;
                }
            }
            let Some(length) = memchr(b'\n', octets) else {
                self.kept.extend(octets);
                return;
            };
            let (line, rest) = octets.split_at(length + 1);
            octets = rest;
            if self.kept.is_empty() {
                self.command(line, count, replies);
            } else {
                let mut whole = std::mem::take(&mut self.kept);
                whole.extend(line);
                self.command(&whole, count, replies);
            }
        }
    }

    fn end_content(&mut self, count: &Count, replies: &mut Vec<u8>) {
        self.content = Content::None;
        count.messages.set(count.messages.get() + 1);
        count.recipients.set(count.recipients.get() + std::mem::take(&mut self.recipients));
        replies.extend(b"250 2.0.0 Ok\r\n");
    }

    fn end_chunk(&mut self, count: &Count, replies: &mut Vec<u8>) {
        match self.content {
            Content::Chunk { left: 0, last: true } => self.end_content(count, replies),
            Content::Chunk { left: 0, last: false } => {
                self.content = Content::None;
                replies.extend(b"250 2.0.0 Ok\r\n");
            }
            Content::Chunk { .. } | Content::Lines(_) | Content::None => {}
        }
    }

    /// BDAT: its size and whether it is the last.
    fn chunk(&mut self, line: &[u8], count: &Count, replies: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(line);
        let mut words = text.split_ascii_whitespace().skip(1);
        let Some(left) = words.next().and_then(|size| size.parse().ok()) else {
            return replies.extend(b"501 5.5.4 How much?\r\n");
        };
        let last = words.next().is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
        self.content = Content::Chunk { left, last };
        self.end_chunk(count, replies);
    }

    fn command(&mut self, line: &[u8], count: &Count, replies: &mut Vec<u8>) {
        let verb = line.get(..4).unwrap_or(line).to_ascii_uppercase();
        let reply: &[u8] = match verb.as_slice() {
            b"RCPT" => {
                self.recipients += 1;
                b"250 2.1.5 Ok\r\n"
            }
            b"MAIL" | b"RSET" => {
                self.recipients = 0;
                b"250 2.1.0 Ok\r\n"
            }
            b"DATA" => {
                // As behind the end of a line: the content may be a dot alone.
                self.content = Content::Lines(2);
                b"354 Go on\r\n"
            }
            b"BDAT" => return self.chunk(line, count, replies),
            b"EHLO" => b"250-sink.example\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 8BITMIME\r\n",
            b"HELO" | b"NOOP" => b"250 2.0.0 Ok\r\n",
            b"XCOU" => {
                let told = format!("250 {} {}\r\n", count.messages.get(), count.recipients.get());
                replies.extend(told.into_bytes());
                return;
            }
            b"QUIT" => {
                self.ended = true;
                b"221 2.0.0 Bye\r\n"
            }
            _ => b"502 5.5.1 Not here\r\n",
        };
        replies.extend(reply);
    }
}

/// Looks for the end of content when `seen` octets of it have been seen. Returns how many octets it
/// read, and how many of the end have been seen now: all five when it was found.
fn end_of_content(mut seen: usize, octets: &[u8]) -> (usize, usize) {
    let mut read = 0;
    while seen > 0 && read < octets.len() {
        seen = step(seen, octets[read]);
        read += 1;
        if seen == END.len() {
            return (read, seen);
        }
    }
    if let Some(place) = memmem::find(&octets[read..], END) {
        return (read + place + END.len(), END.len());
    }
    let tail = octets.len().saturating_sub(END.len() - 1).max(read);
    (octets.len(), octets[tail..].iter().fold(seen, |seen, &octet| step(seen, octet)))
}

fn step(seen: usize, octet: u8) -> usize {
    if octet == END[seen] { seen + 1 } else { usize::from(octet == b'\r') }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the sink says and counts when a conversation arrives in pieces of this size.
    fn said(conversation: &str, size: usize) -> (String, u64, u64) {
        let (count, mut replies) = (Count::default(), Vec::new());
        let mut session = Session { content: Content::None, kept: Vec::new(), recipients: 0, ended: false };
        for piece in conversation.as_bytes().chunks(size) {
            session.take(piece, &count, &mut replies);
        }
        (String::from_utf8(replies).unwrap(), count.messages.get(), count.recipients.get())
    }

    #[test]
    fn messages_are_counted_however_they_arrive() {
        let transaction = "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n";
        let contents =
            ["x\r\n.\r\n", ".\r\n", "\r\n\r\r\n.\r\n", "\r\n..\r\n.x\r\n\r\n.\r\n", "x\r.\r\n\r\n.\r\r\n.\r\n"];
        for content in contents {
            let conversation = format!("EHLO x\r\n{transaction}{content}{transaction}{content}XCOUNT\r\nQUIT\r\n");
            for size in 1..=conversation.len() {
                let (replies, messages, recipients) = said(&conversation, size);
                assert_eq!((messages, recipients), (2, 4), "{content:?} in pieces of {size}: {replies}");
                assert_eq!(replies.lines().count(), 4 + 2 * 5 + 2, "{replies}");
                assert!(replies.contains("\r\n250 2 4\r\n221 "), "{replies}");
            }
        }
    }

    #[test]
    fn chunks_are_counted_however_they_arrive() {
        let transaction = "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 5\r\n\r\n.\r\nBDAT 0\r\nBDAT 3 LAST\r\nabc";
        let conversation = format!("{transaction}{transaction}QUIT\r\n");
        for size in 1..=conversation.len() {
            let (replies, messages, recipients) = said(&conversation, size);
            assert_eq!((messages, recipients), (2, 2), "in pieces of {size}: {replies}");
            assert_eq!(replies.lines().count(), 2 * 5 + 1, "{replies}");
        }
    }
}

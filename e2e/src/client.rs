//! The sending side of a session, spoken by hand: each test says exactly which bytes go out.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::PATIENCE;

/// One connection to an SMTP server, with everything said on it.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
    transcript: String,
}

/// One reply, possibly of several lines.
#[derive(Clone, Debug)]
pub struct Reply {
    lines: Vec<String>,
}

impl Reply {
    /// Its code, three digits.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.lines.last().and_then(|line| line.get(..3)).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    /// Its last line as sent, without the line end.
    #[must_use]
    pub fn last(&self) -> &str {
        self.lines.last().map_or("", String::as_str)
    }

    /// Whether any of its lines says this keyword (an EHLO keyword, with or without parameters).
    #[must_use]
    pub fn offers(&self, keyword: &str) -> bool {
        self.keyword(keyword).is_some()
    }

    /// The parameters behind an EHLO keyword.
    #[must_use]
    pub fn keyword(&self, keyword: &str) -> Option<&str> {
        self.lines.iter().skip(1).find_map(|line| {
            let line = line.get(4..)?;
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            word.eq_ignore_ascii_case(keyword).then_some(rest)
        })
    }
}

impl Client {
    /// Connects from `source` (any address of 127.0.0.0/8, or any address of the machine).
    ///
    /// # Panics
    /// When the connection is refused.
    #[must_use]
    pub fn connect(server: SocketAddr, source: &str) -> Self {
        match Self::try_connect(server, source) {
            Ok(client) => client,
            Err(error) => panic!("{source} cannot connect to {server}: {error}"),
        }
    }

    /// [`Client::connect`] that may fail.
    pub fn try_connect(server: SocketAddr, source: &str) -> std::io::Result<Self> {
        let source: IpAddr = source.parse().expect("a source address");
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
        socket.connect_timeout(&server.into(), PATIENCE)?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let transcript = format!("   {source} connects to {server}\n");
        Ok(Self { stream, unread: Vec::new(), transcript })
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// When the connection is gone.
    pub fn send(&mut self, bytes: &[u8]) {
        if let Err(error) = self.try_send(bytes) {
            panic!("cannot send: {error}\n{}", self.transcript);
        }
    }

    /// Sends bytes as they are; the server may have hung up.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        let _ = writeln!(self.transcript, "C: {}", shown.trim_end().replace("\r\n", "\nC: "));
        self.stream.write_all(bytes)
    }

    /// Sends one line.
    pub fn line(&mut self, line: &str) {
        self.send(format!("{line}\r\n").as_bytes());
    }

    /// The next reply, whatever it is; `None` when the connection has ended, be it in the middle of a line.
    ///
    /// # Panics
    /// When nothing comes in [`PATIENCE`].
    pub fn try_reply(&mut self) -> Option<Reply> {
        match self.read_reply() {
            Ok(reply) => reply,
            Err(error) => panic!("no reply: {error}\n{}", self.transcript),
        }
    }

    /// [`Client::try_reply`] that takes silence for the end, too: a connection to a process that is being
    /// killed may hang half-open.
    pub fn reply_within(&mut self, patience: Duration) -> Option<Reply> {
        self.stream.set_read_timeout(Some(patience)).ok()?;
        let reply = self.read_reply().ok()?;
        self.stream.set_read_timeout(Some(PATIENCE)).ok()?;
        reply
    }

    fn read_reply(&mut self) -> std::io::Result<Option<Reply>> {
        let mut lines = Vec::new();
        loop {
            let Some(line) = self.read_line()? else { return Ok(None) };
            let _ = writeln!(self.transcript, "S: {line}");
            let more = line.as_bytes().get(3) == Some(&b'-');
            lines.push(line);
            if !more {
                return Ok(Some(Reply { lines }));
            }
        }
    }

    /// The next reply, whatever it is.
    ///
    /// # Panics
    /// When the connection ends before a whole reply has come.
    pub fn reply(&mut self) -> Reply {
        match self.try_reply() {
            Some(reply) => reply,
            None => panic!("the connection ended where a reply was due\n{}", self.transcript),
        }
    }

    /// The next reply, which must start like `expected` (a code, or a code, an enhanced code and the
    /// beginning of the text; the last line counts).
    ///
    /// # Panics
    /// When it does not.
    pub fn expect(&mut self, expected: &str) -> Reply {
        let reply = self.reply();
        assert!(reply.last().starts_with(expected), "expected {expected}\n{}", self.transcript);
        reply
    }

    /// Sends a line and expects a reply.
    pub fn ask(&mut self, line: &str, expected: &str) -> Reply {
        self.line(line);
        self.expect(expected)
    }

    /// Reads the greeting and says EHLO.
    pub fn greet(&mut self) -> Reply {
        self.expect("220 ");
        self.ask("EHLO client.ext.example", "250")
    }

    /// Sends one message from MAIL to the final dot and expects it to be accepted.
    pub fn deliver(&mut self, from: &str, to: &str, message: &str) -> Reply {
        self.ask(&format!("MAIL FROM:<{from}>"), "250");
        self.ask(&format!("RCPT TO:<{to}>"), "250");
        self.ask("DATA", "354");
        self.send(&crate::mail::stuffed(message));
        self.expect("250")
    }

    /// Says QUIT and expects the connection to end.
    pub fn quit(mut self) {
        self.ask("QUIT", "221");
        self.expect_closed();
    }

    /// Asserts that the server has nothing more to say and closes the connection.
    ///
    /// # Panics
    /// When something else comes first.
    pub fn expect_closed(&mut self) {
        if let Some(reply) = self.try_reply() {
            panic!("expected the end of the connection, not {:?}\n{}", reply.last(), self.transcript);
        }
        assert!(self.unread.is_empty(), "half a line: {:?}\n{}", self.unread, self.transcript);
    }

    /// Everything said so far.
    #[must_use]
    pub fn transcript(&self) -> &str {
        &self.transcript
    }

    /// The address this client speaks from.
    #[must_use]
    pub fn source(&self) -> SocketAddr {
        self.stream.local_addr().expect("a connected socket has an address")
    }

    fn read_line(&mut self) -> std::io::Result<Option<String>> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..end + 2).take(end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(count) => self.unread.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}

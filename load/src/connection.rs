//! One connection to a server: opened, greeted, taken through TLS, and read reply by reply.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, bail, ensure};
use memchr::memchr;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::content::Transaction;

/// Longer than all replies to the commands of one message.
const INBOX: usize = 4096;

/// A connection behind its greeting.
pub(crate) struct Connection {
    stream: Stream,
    inbox: Box<[u8; INBOX]>,
    start: usize,
    end: usize,
    /// Whether the server takes a group of commands at once, and we want it to.
    pipelining: bool,
}

enum Stream {
    Clear(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
    /// Between the two.
    Handshaking,
}

/// How connections are made.
#[derive(Clone)]
pub(crate) struct Opening {
    pub(crate) server: SocketAddr,
    /// From how many addresses, the first being 127.0.0.1.
    pub(crate) sources: u32,
    pub(crate) pipelining: bool,
    pub(crate) tls: Option<TlsConnector>,
}

impl Opening {
    /// Opens the connection with this number and waits for the greeting.
    pub(crate) async fn greeted(&self, number: u32) -> Result<Connection> {
        let stream = self.connect(number).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        let inbox = Box::new([0; INBOX]);
        let mut connection =
            Connection { stream: Stream::Clear(stream), inbox, start: 0, end: 0, pipelining: self.pipelining };
        connection.expect(b"220").await.context("greeting")?;
        Ok(connection)
    }

    /// The same, then EHLO and, if so wanted, STARTTLS and EHLO again.
    pub(crate) async fn ready(&self, number: u32) -> Result<Connection> {
        let mut connection = self.greeted(number).await?;
        connection.hello().await?;
        if let Some(tls) = &self.tls {
            connection.write(b"STARTTLS\r\n").await?;
            connection.expect(b"220").await.context("STARTTLS")?;
            connection.encrypt(tls).await?;
            connection.hello().await?;
        }
        connection.pipelining &= self.pipelining;
        Ok(connection)
    }

    async fn connect(&self, number: u32) -> std::io::Result<TcpStream> {
        if self.sources < 2 {
            return TcpStream::connect(self.server).await;
        }
        let first = u32::from(Ipv4Addr::LOCALHOST);
        let source = IpAddr::V4(Ipv4Addr::from(first + number % self.sources));
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(source, 0))?;
        socket.connect(self.server).await
    }
}

impl Connection {
    /// Sends a message up to the invitation to send its content.
    pub(crate) async fn envelope(&mut self, transaction: &Transaction) -> Result<()> {
        if self.pipelining {
            self.write(&transaction.envelope).await?;
            for _ in 0..=transaction.recipients {
                self.expect(b"250").await.context("MAIL or RCPT")?;
            }
        } else {
            let mut commands = transaction.commands().peekable();
            while let Some(command) = commands.next() {
                self.write(command).await?;
                if commands.peek().is_some() {
                    self.expect(b"250").await.context("MAIL or RCPT")?;
                }
            }
        }
        self.expect(b"354").await.context("DATA")
    }

    /// Sends its content and waits until it is taken.
    pub(crate) async fn content(&mut self, transaction: &Transaction) -> Result<()> {
        self.write(&transaction.content).await?;
        self.expect(b"250").await.context("the end of the content")
    }

    pub(crate) async fn quit(&mut self) -> Result<()> {
        self.write(b"QUIT\r\n").await?;
        self.expect(b"221").await.context("QUIT")
    }

    /// Fails if the server has closed the connection or said something nobody asked for.
    pub(crate) fn still_silent(&self) -> Result<()> {
        let Stream::Clear(stream) = &self.stream else { bail!("only asked of connections in the clear") };
        let mut octet = [0];
        match stream.try_read(&mut octet) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
            Ok(0) => bail!("the server has closed it"),
            Ok(_) => bail!("the server has said something"),
        }
    }

    async fn hello(&mut self) -> Result<()> {
        self.write(b"EHLO load.example\r\n").await?;
        self.pipelining = self.reply(b"250").await.context("EHLO")?;
        Ok(())
    }

    async fn encrypt(&mut self, tls: &TlsConnector) -> Result<()> {
        ensure!(self.start == self.end, "the server went on in the clear behind STARTTLS");
        let Stream::Clear(stream) = std::mem::replace(&mut self.stream, Stream::Handshaking) else {
            bail!("TLS within TLS")
        };
        let name = ServerName::try_from("server.example")?;
        let stream = tls.connect(name, stream).await.context("TLS handshake")?;
        self.stream = Stream::Encrypted(Box::new(stream));
        Ok(())
    }

    async fn write(&mut self, octets: &[u8]) -> Result<()> {
        match &mut self.stream {
            Stream::Clear(stream) => stream.write_all(octets).await?,
            Stream::Encrypted(stream) => {
                stream.write_all(octets).await?;
                stream.flush().await?;
            }
            Stream::Handshaking => bail!("the handshake failed"),
        }
        Ok(())
    }

    async fn expect(&mut self, code: &[u8; 3]) -> Result<()> {
        self.reply(code).await.map(|_| ())
    }

    /// Reads one reply, which must have this code. Tells whether a line of it offers PIPELINING.
    async fn reply(&mut self, code: &[u8; 3]) -> Result<bool> {
        let mut pipelining = false;
        loop {
            let unread = &self.inbox[self.start..self.end];
            let Some(length) = memchr(b'\n', unread) else {
                self.read().await?;
                continue;
            };
            let line = &unread[..length];
            let said = || String::from_utf8_lossy(line).trim_end().to_owned();
            ensure!(line.len() > 3 && line.starts_with(code), "{}", said());
            pipelining |= line[4..].starts_with(b"PIPELINING");
            let last = line[3] != b'-';
            self.start += length + 1;
            if last {
                return Ok(pipelining);
            }
        }
    }

    async fn read(&mut self) -> Result<()> {
        self.inbox.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let room = &mut self.inbox[self.end..];
        ensure!(!room.is_empty(), "a reply line without end");
        let count = match &mut self.stream {
            Stream::Clear(stream) => stream.read(room).await?,
            Stream::Encrypted(stream) => stream.read(room).await?,
            Stream::Handshaking => bail!("the handshake failed"),
        };
        ensure!(count > 0, "the server closed the connection");
        self.end += count;
        Ok(())
    }
}

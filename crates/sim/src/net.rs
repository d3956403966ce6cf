//! The simulated network: byte streams in memory whose ends have addresses, and listening sockets
//! found by address.
//!
//! A stream behaves as a TCP connection does as far as a mail server can see: bytes in order, a
//! bounded window, an orderly close, and an error for whoever writes to an end that is gone. TLS is
//! an agreed exchange of two lines: both ends must perform it or neither is secured, and afterwards
//! the bytes flow as before.

use crate::link::{End, Passage};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::sync::{Mutex, mpsc};

/// Octets that may be under way in one direction before the writer waits.
const WINDOW_OCTETS: usize = 64 * 1024;

/// Connections that wait to be accepted before further ones are refused.
const BACKLOG: usize = 1024;

/// The first line of the simulated handshake, said by the client; the name it wants follows.
const CLIENT_MAGIC: &str = "SIMULATED-TLS hello ";

/// The second line, said by the server; the name in its certificate follows.
const SERVER_MAGIC: &str = "SIMULATED-TLS certificate ";

/// One end of a connection.
#[derive(Debug)]
pub struct Stream {
    pipe: DuplexStream,
    local: SocketAddr,
    remote: SocketAddr,
    secured: bool,
    /// The line it runs over, where lines are not perfect.
    end: Option<End>,
    /// What is written is changed on its way; only a world that is broken on purpose does that.
    alter: Option<Alter>,
}

/// Octets that are exchanged for others, as many, in whatever is written in one piece.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alter {
    pub(crate) find: &'static [u8],
    pub(crate) instead: &'static [u8],
}

impl Alter {
    fn apply(&self, octets: &[u8]) -> Vec<u8> {
        let mut octets = octets.to_vec();
        if let Some(at) = octets.windows(self.find.len()).position(|window| window == self.find) {
            octets[at..at + self.find.len()].copy_from_slice(self.instead);
        }
        octets
    }
}

impl Stream {
    /// A new connection: the end at `one`, then the end at `other`.
    #[must_use]
    pub fn pair(one: SocketAddr, other: SocketAddr) -> (Stream, Stream) {
        let (left, right) = tokio::io::duplex(WINDOW_OCTETS);
        let end = |pipe, local, remote| Stream { pipe, local, remote, secured: false, end: None, alter: None };
        (end(left, one, other), end(right, other, one))
    }

    /// Lets this end run over a line that is not perfect.
    pub(crate) fn over(&mut self, end: End) {
        self.end = Some(end);
    }

    /// Makes this end believe that the far one is somebody else.
    pub(crate) fn disguise(&mut self, remote: IpAddr) {
        self.remote.set_ip(remote);
    }

    /// Changes what this end writes.
    pub(crate) fn altered(&mut self, alter: Option<Alter>) {
        self.alter = alter;
    }

    /// The address of this end.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The address of the far end, as this end sees it.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Whether the handshake has been performed.
    #[must_use]
    pub fn is_secured(&self) -> bool {
        self.secured
    }

    /// The handshake as a client that wants `name`. Gives the name in the server's certificate.
    ///
    /// # Errors
    /// The server said something else or went away.
    pub async fn secure_as_client(&mut self, name: &str) -> io::Result<String> {
        self.write_all(format!("{CLIENT_MAGIC}{name}\n").as_bytes()).await?;
        let certificate = self.handshake_line(SERVER_MAGIC).await?;
        self.secured = true;
        Ok(certificate)
    }

    /// The handshake as a server whose certificate says `name`. Gives the name the client wanted.
    ///
    /// # Errors
    /// The client said something else (bytes in the clear, say) or went away.
    pub async fn secure_as_server(&mut self, name: &str) -> io::Result<String> {
        let wanted = self.handshake_line(CLIENT_MAGIC).await?;
        self.write_all(format!("{SERVER_MAGIC}{name}\n").as_bytes()).await?;
        self.secured = true;
        Ok(wanted)
    }

    /// Reads one line octet by octet, so that nothing behind it is taken.
    async fn handshake_line(&mut self, magic: &str) -> io::Result<String> {
        let mut line = Vec::new();
        while line.len() < 512 {
            match self.read_u8().await? {
                b'\n' => break,
                octet => line.push(octet),
            }
            if !magic.as_bytes().starts_with(&line[..line.len().min(magic.len())]) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "not a handshake"));
            }
        }
        let line = String::from_utf8(line).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        line.strip_prefix(magic).map(str::to_owned).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(end) = &self.end {
            match ready!(end.poll_pass(cx)) {
                Passage::Open => {}
                Passage::Broken => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            }
        }
        Pin::new(&mut self.pipe).poll_read(cx, into)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(end) = &mut self.end {
            match ready!(end.poll_write(cx)) {
                Passage::Open if end.step() => {}
                Passage::Open => return Poll::Pending,
                Passage::Broken => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            }
        }
        let changed = self.alter.map(|alter| alter.apply(from));
        let written = ready!(Pin::new(&mut self.pipe).poll_write(cx, changed.as_deref().unwrap_or(from)))?;
        if let Some(end) = &mut self.end {
            end.written();
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(end) = &self.end {
            match ready!(end.poll_pass(cx)) {
                Passage::Open => {}
                Passage::Broken => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            }
        }
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

/// An open listening socket. Dropping it closes it; connections not yet accepted see their end.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    arriving: Mutex<mpsc::Receiver<Stream>>,
}

impl Listener {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next connection.
    pub async fn accept(&self) -> (Stream, SocketAddr) {
        match self.arriving.lock().await.recv().await {
            Some(stream) => {
                let remote = stream.remote();
                (stream, remote)
            }
            // The network has gone and took the sending half with it: nobody will ever connect.
            None => std::future::pending().await,
        }
    }
}

/// All listening sockets of the simulated host, and the numbers not yet used.
#[derive(Debug)]
pub struct Sockets {
    /// Addresses of this host; empty when the script named none, which makes every one ours.
    own: Vec<IpAddr>,
    listening: BTreeMap<SocketAddr, mpsc::Sender<Stream>>,
    next_port: u16,
}

impl Default for Sockets {
    fn default() -> Sockets {
        Sockets { own: Vec::new(), listening: BTreeMap::new(), next_port: 40_000 }
    }
}

impl Sockets {
    /// Says that `address` belongs to this host.
    pub fn add_own(&mut self, address: IpAddr) {
        self.own.push(address.to_canonical());
    }

    /// Whether connecting to `address` would reach this host.
    #[must_use]
    pub fn is_own(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let listens_there = || self.listening.iter().any(|(at, door)| at.ip() == address && !door.is_closed());
        address.is_loopback() || address.is_unspecified() || self.own.contains(&address) || listens_there()
    }

    /// A port nobody has used yet; numbers are handed out in order so that two runs agree.
    pub fn fresh_port(&mut self) -> u16 {
        self.next_port = self.next_port.checked_add(1).unwrap_or(40_001);
        self.next_port
    }

    /// Opens a listening socket.
    ///
    /// # Errors
    /// `AddrInUse` when an open one overlaps (a wildcard overlaps every address of its family, and
    /// `[::]` both families); `AddrNotAvailable` when the address is not this host's.
    pub fn listen(&mut self, mut address: SocketAddr) -> io::Result<Listener> {
        let ip = address.ip();
        if !self.own.is_empty() && !ip.is_unspecified() && !ip.is_loopback() && !self.own.contains(&ip) {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        if address.port() == 0 {
            address.set_port(self.fresh_port());
        }
        self.listening.retain(|_, door| !door.is_closed());
        if self.listening.keys().any(|open| overlap(*open, address)) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (door, arriving) = mpsc::channel(BACKLOG);
        self.listening.insert(address, door);
        Ok(Listener { address, arriving: Mutex::new(arriving) })
    }

    /// Connects to a socket of this host. The far end is told `from`.
    ///
    /// # Errors
    /// `ConnectionRefused` when nobody listens there or nobody accepts.
    pub fn connect(&self, from: SocketAddr, to: SocketAddr) -> io::Result<Stream> {
        self.connect_with(from, to, |_, _| {})
    }

    /// As [`Sockets::connect`]; the end of whoever connects and the end that will be accepted are made
    /// ready by `prepare`.
    pub(crate) fn connect_with(
        &self,
        from: SocketAddr,
        to: SocketAddr,
        prepare: impl FnOnce(&mut Stream, &mut Stream),
    ) -> io::Result<Stream> {
        let door = self.door(to).ok_or(io::ErrorKind::ConnectionRefused)?;
        let seen_as = if door.0.is_ipv6() { mapped(from) } else { from };
        let (mut near, mut far) = Stream::pair(from, to);
        far.remote = seen_as;
        near.remote = to;
        prepare(&mut near, &mut far);
        door.1.try_send(far).map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
        Ok(near)
    }

    /// The socket that would get a connection to `to`: the exact one before the wildcards.
    fn door(&self, to: SocketAddr) -> Option<(SocketAddr, &mpsc::Sender<Stream>)> {
        let v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), to.port());
        let v6 = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), to.port());
        let candidates = if to.ip().to_canonical().is_ipv4() { [to, v4, v6] } else { [to, v6, v6] };
        candidates.iter().find_map(|at| {
            let door = self.listening.get(at).filter(|door| !door.is_closed())?;
            Some((*at, door))
        })
    }

    /// The address this host would use to reach `to`: its own address that shares the longest
    /// prefix, as a routing table of connected networks would choose.
    #[must_use]
    pub fn source_for(&self, to: IpAddr) -> IpAddr {
        let shared = |own: &IpAddr| match (own, to.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => Some((u32::from(*a) ^ u32::from(b)).leading_zeros()),
            (IpAddr::V6(a), IpAddr::V6(b)) => Some((u128::from(*a) ^ u128::from(b)).leading_zeros()),
            _ => None,
        };
        let listening = self.listening.keys().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified());
        let best = self.own.iter().copied().chain(listening).filter_map(|own| Some((shared(&own)?, own))).max();
        best.map_or(Ipv4Addr::LOCALHOST.into(), |(_, own)| own)
    }
}

/// Whether two sockets cannot be open at once.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |wide: IpAddr, narrow: IpAddr| {
        wide == narrow || (wide.is_unspecified() && (wide.is_ipv6() || narrow.is_ipv4()))
    };
    one.port() == other.port() && (covers(one.ip(), other.ip()) || covers(other.ip(), one.ip()))
}

/// How a dual-stack socket shows an IPv4 client.
fn mapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(v4) => SocketAddr::new(v4.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn run<T>(story: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(story)
    }

    #[test]
    fn wildcards_overlap_as_they_do_on_a_real_host() {
        for (first, second, clash) in [
            ("0.0.0.0:25", "10.0.0.1:25", true),
            ("10.0.0.1:25", "0.0.0.0:25", true),
            ("[::]:25", "10.0.0.1:25", true),
            ("0.0.0.0:25", "[2001:db8::1]:25", false),
            ("10.0.0.1:25", "10.0.0.2:25", false),
            ("10.0.0.1:25", "10.0.0.1:26", false),
        ] {
            let mut sockets = Sockets::default();
            let _open = sockets.listen(at(first)).unwrap();
            assert_eq!(sockets.listen(at(second)).is_err(), clash, "{first} then {second}");
        }
    }

    #[test]
    fn a_closed_socket_refuses_and_may_be_opened_again() {
        let mut sockets = Sockets::default();
        let open = sockets.listen(at("10.0.0.1:25")).unwrap();
        assert!(sockets.connect(at("192.0.2.1:4000"), at("10.0.0.1:25")).is_ok());
        drop(open);
        let refused = sockets.connect(at("192.0.2.1:4000"), at("10.0.0.1:25")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(sockets.listen(at("10.0.0.1:25")).is_ok());
    }

    #[test]
    fn a_dual_stack_socket_shows_mapped_clients() {
        run(async {
            let mut sockets = Sockets::default();
            let open = sockets.listen(at("[::]:25")).unwrap();
            let _near = sockets.connect(at("10.168.0.1:4000"), at("10.0.0.1:25")).unwrap();
            assert_eq!(open.accept().await.1.to_string(), "[::ffff:10.168.0.1]:4000");
        });
    }

    #[test]
    fn both_ends_must_perform_the_handshake() {
        run(async {
            let (mut client, mut server) = Stream::pair(at("192.0.2.1:4000"), at("10.0.0.1:25"));
            let (seen, wanted) =
                tokio::join!(client.secure_as_client("mx.example"), server.secure_as_server("cert.example"));
            assert_eq!((seen.unwrap().as_str(), wanted.unwrap().as_str()), ("cert.example", "mx.example"));
            assert!(client.is_secured() && server.is_secured());

            let (mut client, mut server) = Stream::pair(at("192.0.2.1:4000"), at("10.0.0.1:25"));
            client.write_all(b"MAIL FROM:<a@b>\r\n").await.unwrap();
            assert!(server.secure_as_server("cert.example").await.is_err());
            assert!(!server.is_secured());
        });
    }

    #[test]
    fn the_source_address_is_the_nearest_one() {
        let mut sockets = Sockets::default();
        sockets.add_own("172.16.0.1".parse().unwrap());
        sockets.add_own("10.0.0.1".parse().unwrap());
        assert_eq!(sockets.source_for("10.0.0.99".parse().unwrap()).to_string(), "10.0.0.1");
        assert_eq!(sockets.source_for("172.16.4.4".parse().unwrap()).to_string(), "172.16.0.1");
        assert!(sockets.listen(at("192.0.2.1:25")).is_err());
    }
}

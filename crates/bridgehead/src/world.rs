//! This machine, as the gateway sees it. The only place where clocks are read and sockets, files
//! and threads are made.
#![allow(clippy::disallowed_methods, reason = "this is the world that the bans point to")]

pub(crate) mod disk;
mod dns;
mod files;
mod log;
mod resources;
mod routes;
mod stream;
pub(crate) mod threads;
mod tls;
mod webhook;

use directory::Directories;
use disk::RealDisk;
use gateway::Keeper;
use gateway::world::{Hear, Inspection, Pieces, Resources, Secured, Verify, World};
use identity::settings::Directory;
use identity::{Finding, Inquiry, Secret};
use mail::{Found, Query, Timestamp};
use resources::{Reserve, shortage};
pub(crate) use routes::default_gateways;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IsTerminal};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use stream::Stream;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Connections the system may keep waiting at a listening socket.
const BACKLOG: i32 = 1024;

/// This machine.
pub(crate) struct Machine {
    dns: dns::Dns,
    clients: tls::Clients,
    log: log::Log,
    reserve: Reserve,
    webhooks: webhook::Webhooks,
}

impl Machine {
    /// Makes ready what is shared: resolver, certificate authorities, log thread.
    ///
    /// # Errors
    /// The system has no thread for the log.
    pub(crate) fn new() -> io::Result<Machine> {
        Ok(Machine {
            dns: dns::Dns::new(),
            clients: tls::Clients::new(),
            log: log::Log::start()?,
            reserve: Reserve::new(),
            webhooks: webhook::Webhooks::default(),
        })
    }
}

impl World for Machine {
    type Stream = Stream;
    type Listener = TcpListener;
    type Certificates = tls::Certificates;
    type Disk = RealDisk;
    type Directories = Directories;

    async fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            // "[::]" is every address of this host, also the IPv4 ones, whatever the system's default is (B20).
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    }

    fn bound(&self, listener: &TcpListener) -> SocketAddr {
        listener.local_addr().expect("a listening socket has an address")
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<(Stream, SocketAddr)> {
        match listener.accept().await {
            Ok((stream, peer)) => {
                stream.set_nodelay(true)?;
                Ok((Stream::Clear(stream), peer))
            }
            Err(error) => {
                let error = shortage(error);
                if error.kind() == io::ErrorKind::OutOfMemory {
                    self.reserve.turn_away(listener).await;
                }
                Err(error)
            }
        }
    }

    async fn connect(&self, to: SocketAddr, source: Option<IpAddr>) -> io::Result<Stream> {
        let stream = match source {
            None => TcpStream::connect(to).await.map_err(shortage)?,
            Some(source) => {
                let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
                let socket = socket.map_err(shortage)?;
                socket.bind(SocketAddr::new(source, 0))?;
                socket.connect(to).await.map_err(shortage)?
            }
        };
        stream.set_nodelay(true)?;
        Ok(Stream::Clear(stream))
    }

    fn is_own_address(&self, address: IpAddr) -> bool {
        // Only an address of this host can be bound.
        UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
    }

    fn certificates(&self, tls: &config::Tls) -> io::Result<tls::Certificates> {
        tls::Certificates::read(tls)
    }

    async fn watch(&self, certificates: &[Arc<tls::Certificates>]) -> Vec<(usize, Inspection)> {
        tls::watch(certificates, || self.now()).await
    }

    fn directories(&self, settings: &[Directory], hear: &Hear) -> io::Result<Directories> {
        let clock: directory::Clock = Arc::new(wall_clock);
        let hear = hear.clone();
        let hear: directory::Hear = Arc::new(move |notice| hear(&notice.directory, notice.what.to_string()));
        Directories::open(settings, &clock, &hear)
    }

    async fn inquire(&self, directories: &Directories, names: &[Box<str>], inquiry: Inquiry) -> Finding {
        directories.inquire(names, inquiry).await
    }

    async fn post(&self, url: &str, body: Vec<u8>) -> io::Result<()> {
        self.webhooks.post(&self.clients.for_verify(Verify::Name), url, body).await
    }

    fn entropy(&self) -> [u8; 32] {
        tls::entropy()
    }

    fn lasting_secret(&self, state_dir: &Path) -> io::Result<Secret> {
        files::lasting_secret(state_dir, &self.entropy())
    }

    async fn write_file(&self, path: &Path, content: Vec<u8>) -> io::Result<()> {
        let path = path.to_owned();
        self.blocking(move || files::write(&path, content).map_err(shortage)).await
    }

    fn read_file(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        files::read(path)
    }

    async fn secure_server(
        &self,
        stream: Stream,
        certificates: &Arc<tls::Certificates>,
    ) -> io::Result<Secured<Stream>> {
        tls::accept(stream.into_clear()?, certificates).await
    }

    async fn secure_client(&self, stream: Stream, name: &str, verify: Verify) -> io::Result<Stream> {
        let connector = tokio_rustls::TlsConnector::from(self.clients.for_verify(verify));
        let secured = connector.connect(tls::server_name(name)?, stream.into_clear()?).await?;
        Ok(Stream::Client(Box::new(secured)))
    }

    async fn look_up(&self, query: &Query) -> Found {
        self.dns.look_up(query).await
    }

    fn spool_disk(&self, state_dir: &Path) -> io::Result<RealDisk> {
        RealDisk::lock(&state_dir.join("spool"))
    }

    async fn place_file(&self, directory: &Path, name: &str, pieces: Pieces) -> io::Result<()> {
        let (directory, name) = (directory.to_owned(), name.to_owned());
        self.blocking(move || files::place(&directory, &name, files::FOR_THE_GROUP, pieces).map_err(shortage)).await
    }

    async fn blocking<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> R {
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    fn run_dispatcher(&self, dispatcher: impl Future<Output = ()> + Send + 'static) {
        let runtime = threads::for_delivery();
        let spawned = std::thread::Builder::new().name("delivery".to_owned()).spawn(move || {
            runtime.block_on(dispatcher);
            runtime.shutdown_background();
        });
        spawned.expect("the system has a thread for delivery");
    }

    fn run_keeper(&self, keeper: Keeper<RealDisk>) {
        let runtime = tokio::runtime::Handle::current();
        let spawned =
            std::thread::Builder::new().name("spool".to_owned()).spawn(move || runtime.block_on(keeper.run()));
        spawned.expect("the system has a thread for the spool");
    }

    fn resources(&self) -> Resources {
        resources::now()
    }

    fn has_terminal(&self) -> bool {
        std::io::stderr().is_terminal()
    }

    fn write_log(&self, lines: &[u8]) -> bool {
        self.log.lines(lines)
    }

    fn now(&self) -> Timestamp {
        wall_clock()
    }
}

/// The wall clock.
pub(crate) fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

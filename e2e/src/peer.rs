//! A next hop of our own that does as it is told: polite by default, and at any step able to defer,
//! refuse, babble, hang or hang up.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::PATIENCE;
use crate::mail::unstuffed;
use crate::script::{Act, At, Script};

/// One message that the peer has answered with 250.
#[derive(Clone, Debug)]
pub struct Received {
    /// Where the client spoke from.
    pub client: SocketAddr,
    /// Which connection, counted from 0, brought it.
    pub connection: usize,
    /// The reverse-path and parameters, as in `<a@x.example> SIZE=20`.
    pub from: String,
    /// The accepted forward-paths, with brackets.
    pub to: Vec<String>,
    /// The content, dots undone.
    pub content: String,
    /// When it was answered with 250.
    pub at: Instant,
}

/// A running scripted peer; its threads end when it is dropped.
#[derive(Debug)]
pub struct Peer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    script: Script,
    received: Vec<Received>,
    commands: Vec<String>,
    connections: usize,
    open: usize,
    most_open: usize,
    /// Connections with a lower number are to be closed.
    unwelcome: usize,
    stopped: bool,
}

/// An address that is taken but answers nobody yet: connections to it are refused.
#[derive(Debug)]
pub struct Reserved {
    socket: Socket,
    address: SocketAddr,
}

impl Reserved {
    /// Takes a port on `ip`, chosen by the kernel.
    ///
    /// # Panics
    /// When the machine has no such address.
    #[must_use]
    pub fn on(ip: &str) -> Self {
        let ip: IpAddr = ip.parse().expect("an address");
        let wanted = SocketAddr::new(ip, 0);
        let socket = Socket::new(Domain::for_address(wanted), Type::STREAM, None).expect("a socket");
        socket.bind(&wanted.into()).expect("a free port");
        let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
        Self { socket, address }
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// As a smart host is written in settings: `[127.0.0.9]:2526`.
    #[must_use]
    pub fn route(&self) -> String {
        format!("[{}]:{}", self.address.ip(), self.address.port())
    }

    /// Starts to listen there.
    ///
    /// # Panics
    /// When the socket cannot listen.
    #[must_use]
    pub fn open(self, script: Script) -> Peer {
        let address = self.address;
        Peer::over(self.listen(), address, script)
    }

    /// Starts to listen there, for whatever protocol.
    ///
    /// # Panics
    /// When the socket cannot listen.
    #[must_use]
    pub fn listen(self) -> TcpListener {
        self.socket.listen(1024).expect("a bound socket can listen");
        TcpListener::from(self.socket)
    }
}

impl Peer {
    /// Starts a peer on `ip`, at a port chosen by the kernel.
    #[must_use]
    pub fn start(ip: &str, script: Script) -> Self {
        Reserved::on(ip).open(script)
    }

    fn over(listener: TcpListener, address: SocketAddr, script: Script) -> Self {
        let state = State {
            script,
            received: Vec::new(),
            commands: Vec::new(),
            connections: 0,
            open: 0,
            most_open: 0,
            unwelcome: 0,
            stopped: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &accepting));
        Self { address, shared }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// As a smart host is written in settings: `[127.0.0.9]:2526`.
    #[must_use]
    pub fn route(&self) -> String {
        format!("[{}]:{}", self.address.ip(), self.address.port())
    }

    /// From now on it behaves like this.
    pub fn behave(&self, script: Script) {
        self.shared.lock().script = script;
    }

    /// Hangs up on everybody who is connected.
    pub fn hang_up(&self) {
        self.shared.change(|state| state.unwelcome = state.connections);
    }

    /// Every message accepted so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.lock().received.clone()
    }

    /// How many messages were accepted so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.lock().received.len()
    }

    /// How many connections there were.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// How many connections are open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.shared.lock().open
    }

    /// How many connections were open at the same time, at most.
    #[must_use]
    pub fn most_open(&self) -> usize {
        self.shared.lock().most_open
    }

    /// Every command line heard, in order.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        self.shared.lock().commands.clone()
    }

    /// Waits until `count` messages were accepted.
    #[must_use]
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        self.wait(&format!("{count} messages"), |state| state.received.len() >= count);
        self.received()
    }

    /// Waits until a message with `token` in it was accepted.
    ///
    /// # Panics
    /// When none comes.
    #[must_use]
    pub fn received_with(&self, token: &str) -> Received {
        let has = |received: &Received| received.content.contains(token);
        self.wait(&format!("a message with {token}"), |state| state.received.iter().any(has));
        self.received().into_iter().find(has).expect("it was just there")
    }

    /// Waits until a command that contains `words` was heard.
    pub fn wait_for_command(&self, words: &str) {
        self.wait(&format!("the command {words}"), |state| state.commands.iter().any(|line| line.contains(words)));
    }

    /// Waits until there were `count` connections.
    pub fn wait_for_connections(&self, count: usize) {
        self.wait(&format!("{count} connections"), |state| state.connections >= count);
    }

    fn wait(&self, what: &str, ready: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shared.lock();
        while !ready(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            let seen = (state.received.len(), state.connections, state.commands.last().cloned());
            assert!(!left.is_zero(), "peer {} waited in vain for {what}; seen: {seen:?}", self.address);
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        // Wakes the accepting thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let value = change(&mut self.lock());
        self.changed.notify_all();
        value
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.lock().stopped {
            return;
        }
        let Ok(stream) = stream else { continue };
        let number = shared.change(|state| {
            state.connections += 1;
            state.open += 1;
            state.most_open = state.most_open.max(state.open);
            state.connections - 1
        });
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // An error here is the other side hanging up, which is its right.
            let _ = Session::new(stream, number, Arc::clone(&shared)).and_then(Session::run);
            shared.change(|state| state.open -= 1);
        });
    }
}

struct Session {
    reader: BufReader<TcpStream>,
    stream: TcpStream,
    client: SocketAddr,
    number: usize,
    shared: Arc<Shared>,
    from: Option<String>,
    to: Vec<String>,
    chunks: Vec<u8>,
}

/// Whether a session goes on after what was just said.
type GoesOn = std::io::Result<bool>;

impl Session {
    fn new(stream: TcpStream, number: usize, shared: Arc<Shared>) -> std::io::Result<Self> {
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.set_nodelay(true)?;
        let client = stream.peer_addr()?;
        let reader = BufReader::new(stream.try_clone()?);
        Ok(Self { reader, stream, client, number, shared, from: None, to: Vec::new(), chunks: Vec::new() })
    }

    fn run(mut self) -> std::io::Result<()> {
        if !self.answer(At::Connect, "", "220 peer.test ESMTP")? {
            return Ok(());
        }
        while let Some(line) = self.read_line()? {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            self.shared.change(|state| state.commands.push(line.clone()));
            if !self.command(&line)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn command(&mut self, line: &str) -> GoesOn {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => self.hello(line),
            "HELO" => self.answer(At::Hello, line, "250 peer.test"),
            "STARTTLS" => self.answer(At::StartTls, line, "454 4.7.0 not now"),
            "MAIL" => self.mail(line),
            "RCPT" => self.recipient(line),
            "DATA" => self.data(line),
            "BDAT" => self.chunk(line),
            "RSET" => {
                self.forget();
                self.answer(At::Reset, line, "250 2.0.0 ok")
            }
            "QUIT" => {
                self.answer(At::Quit, line, "221 2.0.0 bye")?;
                Ok(false)
            }
            "NOOP" => self.say("250 2.0.0 ok").map(|()| true),
            _ => self.say("500 5.5.1 what?").map(|()| true),
        }
    }

    fn hello(&mut self, line: &str) -> GoesOn {
        let (knows, extensions) = {
            let state = self.shared.lock();
            (state.script.knows_ehlo(), state.script.extensions())
        };
        if !knows {
            return self.say("502 5.5.1 what is EHLO?").map(|()| true);
        }
        let mut lines = vec!["peer.test".to_owned()];
        lines.extend(extensions);
        let last = lines.len() - 1;
        let reply: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(n, line)| format!("250{}{line}", if n == last { ' ' } else { '-' }))
            .collect();
        self.answer(At::Hello, line, &reply.join("\r\n"))
    }

    fn mail(&mut self, line: &str) -> GoesOn {
        self.forget();
        let act = self.take(At::Mail, line);
        if act.is_none() {
            self.from = Some(line.get(10..).unwrap_or_default().to_owned());
        }
        self.perform(act, "250 2.1.0 ok")
    }

    fn recipient(&mut self, line: &str) -> GoesOn {
        if self.from.is_none() {
            return self.say("503 5.5.1 MAIL first").map(|()| true);
        }
        let act = self.take(At::Rcpt, line);
        if act.is_none() {
            let path = line.get(8..).unwrap_or_default();
            self.to.push(path.split(' ').next().unwrap_or_default().to_owned());
        }
        self.perform(act, "250 2.1.5 ok")
    }

    fn data(&mut self, line: &str) -> GoesOn {
        if self.to.is_empty() {
            return self.say("554 5.5.1 no valid recipients").map(|()| true);
        }
        let act = self.take(At::Data, line);
        let refused = act.is_some();
        if !self.perform(act, "354 go ahead")? {
            return Ok(false);
        }
        if refused {
            return Ok(true);
        }
        let mut content = Vec::new();
        while let Some(line) = self.read_line()? {
            if line == b".\r\n" {
                return self.accept_message(At::Dot, &unstuffed(&content));
            }
            content.extend_from_slice(&line);
            if let Some(act) = self.take(At::Content, "") {
                return self.perform(Some(act), "");
            }
        }
        Ok(false)
    }

    fn chunk(&mut self, line: &str) -> GoesOn {
        let mut words = line.split(' ').skip(1);
        let size: usize = words.next().and_then(|size| size.parse().ok()).unwrap_or(0);
        let last = words.next().is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
        let mut chunk = vec![0; size];
        let mut filled = 0;
        while filled < size {
            match self.reader.read(&mut chunk[filled..]) {
                Ok(0) => return Ok(false),
                Ok(count) => filled += count,
                Err(error) => self.pause(error)?,
            }
        }
        self.chunks.extend_from_slice(&chunk);
        if last {
            let content = String::from_utf8_lossy(&std::mem::take(&mut self.chunks)).into_owned();
            return self.accept_message(At::Bdat, &content);
        }
        self.answer(At::Bdat, line, "250 2.0.0 ok")
    }

    fn accept_message(&mut self, at: At, content: &str) -> GoesOn {
        let act = self.take(at, content);
        if act.is_none() {
            let received = Received {
                client: self.client,
                connection: self.number,
                from: self.from.clone().unwrap_or_default(),
                to: self.to.clone(),
                content: content.to_owned(),
                at: Instant::now(),
            };
            self.shared.change(|state| state.received.push(received));
        }
        self.forget();
        self.perform(act, "250 2.0.0 accepted")
    }

    fn forget(&mut self) {
        self.from = None;
        self.to.clear();
        self.chunks.clear();
    }

    fn take(&self, at: At, line: &str) -> Option<Act> {
        match self.shared.change(|state| state.script.take(at, line)) {
            Some(Act::Late(wait)) => {
                std::thread::sleep(wait);
                None
            }
            act => act,
        }
    }

    fn answer(&mut self, at: At, line: &str, polite: &str) -> GoesOn {
        let act = self.take(at, line);
        self.perform(act, polite)
    }

    fn perform(&mut self, act: Option<Act>, polite: &str) -> GoesOn {
        match act {
            None => self.say(polite).map(|()| true),
            Some(Act::Say(reply)) => self.say(&reply).map(|()| true),
            Some(Act::SayAndDrop(reply)) => self.say(&reply).map(|()| false),
            Some(Act::Drop) => Ok(false),
            Some(Act::Bytes(bytes)) => self.stream.write_all(&bytes).map(|()| true),
            Some(Act::Drip(bytes)) => self.drip(&bytes),
            Some(Act::Repeat(bytes)) => loop {
                self.stream.write_all(&bytes)?;
            },
            Some(Act::Late(_)) => unreachable!("taken for what is polite"),
            Some(Act::Stall) => {
                while self.read_line()?.is_some() {}
                Ok(false)
            }
        }
    }

    fn drip(&mut self, bytes: &[u8]) -> GoesOn {
        for byte in bytes {
            if self.is_unwelcome() {
                return Ok(false);
            }
            self.stream.write_all(&[*byte])?;
            std::thread::sleep(Duration::from_secs(1));
        }
        Ok(true)
    }

    fn is_unwelcome(&self) -> bool {
        let state = self.shared.lock();
        state.stopped || self.number < state.unwelcome
    }

    fn say(&mut self, reply: &str) -> std::io::Result<()> {
        self.stream.write_all(format!("{reply}\r\n").as_bytes())
    }

    fn read_line(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        loop {
            match self.reader.read_until(b'\n', &mut line) {
                Ok(0) => return Ok(None),
                Ok(_) if line.ends_with(b"\n") => return Ok(Some(line)),
                Ok(_) => return Ok(None),
                Err(error) => self.pause(error)?,
            }
        }
    }

    /// The read timed out: goes on reading unless the peer has been dropped or hangs up.
    fn pause(&self, error: std::io::Error) -> std::io::Result<()> {
        let waiting = matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
        if waiting && !self.is_unwelcome() { Ok(()) } else { Err(error) }
    }
}

//! Load that keeps books: many clients at once, every promise noted, every arrival compared octet for
//! octet with what was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{Client, Peer, mail};

/// How long a client waits for one reply before it holds the connection for dead.
const REPLY: Duration = Duration::from_secs(10);

/// What the clients send.
#[derive(Clone, Debug)]
pub struct Mix {
    /// Where they speak from: one address for all, or each from a network of its own.
    pub source: Option<&'static str>,
    /// Octets of the body of most messages.
    pub small: usize,
    /// Octets of the body of every tenth.
    pub large: usize,
    /// To whom, in turn: each message goes to one of these lists.
    pub recipients: Vec<Vec<&'static str>>,
}

impl Default for Mix {
    /// Small messages and some with a file of their own in the spool; a next hop, the drop directory, both.
    fn default() -> Self {
        let recipients = vec![
            vec!["bob@ext.example"],
            vec!["alice@corp.example"],
            vec!["bob@ext.example", "carol@ext.example", "alice@corp.example"],
        ];
        Self { source: Some("127.0.0.5"), small: 900, large: 400_000, recipients }
    }
}

/// Clients that send until they are stopped.
#[derive(Debug)]
pub struct Load {
    books: Arc<Books>,
    senders: Vec<JoinHandle<()>>,
}

/// What the clients and the test share.
#[derive(Debug)]
struct Books {
    mix: Mix,
    address: RwLock<SocketAddr>,
    promised: Mutex<Vec<Promise>>,
    refused: Mutex<BTreeMap<u16, usize>>,
    lost: AtomicUsize,
    over: AtomicBool,
}

/// A message that was answered with 250.
#[derive(Clone, Debug)]
pub struct Promise {
    /// Its token.
    pub token: String,
    /// For whom.
    pub recipients: Vec<&'static str>,
}

impl Load {
    /// Starts `senders` clients against `address`.
    #[must_use]
    pub fn start(address: SocketAddr, senders: usize, mix: Mix) -> Self {
        let books = Arc::new(Books {
            mix,
            address: RwLock::new(address),
            promised: Mutex::default(),
            refused: Mutex::default(),
            lost: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        });
        let senders = (0..senders).map(|sender| {
            let books = Arc::clone(&books);
            std::thread::spawn(move || books.send(sender))
        });
        let senders = senders.collect();
        Self { books, senders }
    }

    /// The gateway has moved.
    ///
    /// # Panics
    /// When a sender has panicked.
    pub fn turn_to(&self, address: SocketAddr) {
        *self.books.address.write().expect("the address is only replaced") = address;
    }

    /// How many messages were promised so far.
    #[must_use]
    pub fn promised(&self) -> usize {
        lock(&self.books.promised).len()
    }

    /// How often each reply code stood where another was wanted.
    #[must_use]
    pub fn refused(&self) -> BTreeMap<u16, usize> {
        lock(&self.books.refused).clone()
    }

    /// How often a connection was refused, or broke where a reply was due.
    #[must_use]
    pub fn lost_connections(&self) -> usize {
        self.books.lost.load(Ordering::Relaxed)
    }

    /// Stops the clients; whoever is in the middle of a message finishes it.
    ///
    /// # Panics
    /// When a sender has panicked.
    #[must_use]
    pub fn stop(self) -> Vec<Promise> {
        self.books.over.store(true, Ordering::Relaxed);
        self.senders.into_iter().for_each(|sender| sender.join().expect("a sender only sends"));
        lock(&self.books.promised).clone()
    }
}

impl Books {
    fn send(&self, sender: usize) {
        let mut count = 0;
        while !self.over.load(Ordering::Relaxed) {
            let address = *self.address.read().expect("the address is only replaced");
            if self.session(address, sender, &mut count).is_none() && !self.over.load(Ordering::Relaxed) {
                // Refused or cut off: like any client, this one does not come back at once.
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    /// One connection with up to five messages; `None` when it ended before they were sent.
    fn session(&self, address: SocketAddr, sender: usize, count: &mut usize) -> Option<()> {
        let own = own_network(sender);
        let Ok(mut client) = Client::try_connect(address, self.mix.source.unwrap_or(&own)) else {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        self.expect(&mut client, 220)?;
        self.say(&mut client, "EHLO client.ext.example", 250)?;
        for _ in 0..5 {
            self.message(&mut client, sender, *count)?;
            *count += 1;
            if self.over.load(Ordering::Relaxed) {
                break;
            }
        }
        self.say(&mut client, "QUIT", 221)
    }

    /// One message. Only a 250 to the dot is a promise.
    fn message(&self, client: &mut Client, sender: usize, count: usize) -> Option<()> {
        let token = mail::token();
        let size = if count % 10 == 9 { self.mix.large } else { self.mix.small };
        let recipients = &self.mix.recipients[(sender + count) % self.mix.recipients.len()];
        self.say(client, "MAIL FROM:<x@ext.example>", 250)?;
        for recipient in recipients {
            self.say(client, &format!("RCPT TO:<{recipient}>"), 250)?;
        }
        self.say(client, "DATA", 354)?;
        client.try_send(&mail::stuffed(&message(&token, size))).ok()?;
        self.expect(client, 250)?;
        lock(&self.promised).push(Promise { token, recipients: recipients.clone() });
        Some(())
    }

    fn say(&self, client: &mut Client, line: &str, code: u16) -> Option<()> {
        if client.try_send(format!("{line}\r\n").as_bytes()).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.expect(client, code)
    }

    fn expect(&self, client: &mut Client, code: u16) -> Option<()> {
        let Some(reply) = client.reply_within(REPLY) else {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        if reply.code() != code {
            *lock(&self.refused).entry(reply.code()).or_insert(0) += 1;
            return None;
        }
        Some(())
    }
}

/// An address of this machine in a network that no other sender speaks from.
#[must_use]
pub fn own_network(sender: usize) -> String {
    format!("127.{}.{}.1", 1 + sender / 250, 1 + sender % 250)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no sender panics while it holds the lock")
}

/// A message that says its own token and size, so that whoever receives it can make it again. Its lines
/// differ, and some begin with a dot.
#[must_use]
pub fn message(token: &str, size: usize) -> String {
    let mut text = format!(
        "From: x@ext.example\r\nTo: alice@corp.example\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <{token}@ext.example>\r\nSubject: load\r\nX-Load: {token} {size}\r\n\r\n"
    );
    let end = text.len() + size;
    let mut state = token.bytes().fold(size as u64 | 1, |state, byte| state.wrapping_mul(31) + u64::from(byte));
    while text.len() < end {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let dot = if state.is_multiple_of(7) { "." } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{dot}{state:016x}{:016x}{state:032b}\r\n", state.rotate_left(17));
    }
    text
}

/// What came of promises.
#[derive(Debug, Default)]
pub struct Tally {
    /// Messages answered with 250.
    pub promised: usize,
    /// Copies that arrived, whether promised or not.
    pub arrived: usize,
    /// Promised to somebody and not arrived there.
    pub lost: Vec<String>,
    /// Arrived otherwise than they were sent.
    pub damaged: Vec<String>,
    /// Arrived more than once for the same recipient: when the copies but the last came.
    pub duplicates: Vec<Instant>,
}

impl Tally {
    /// Compares what was promised with what a next hop and the drop directory have.
    #[must_use]
    pub fn of(promised: &[Promise], hop: &Peer, dropped: &[String]) -> Self {
        let mut tally = Self { promised: promised.len(), ..Self::default() };
        let mut copies: BTreeMap<(String, String), Vec<Instant>> = BTreeMap::new();
        for received in hop.received() {
            let token = tally.look_at(&received.content);
            for recipient in &received.to {
                let key = (token.clone(), recipient.trim_matches(['<', '>']).to_owned());
                copies.entry(key).or_default().push(received.at);
            }
        }
        let tokens: BTreeSet<String> = dropped.iter().map(|content| tally.look_at(content)).collect();
        for Promise { token, recipients } in promised {
            for &recipient in recipients {
                let at_hop = copies.contains_key(&(token.clone(), recipient.to_owned()));
                let in_directory = recipient.ends_with("@corp.example") && tokens.contains(token);
                if !at_hop && !in_directory {
                    tally.lost.push(format!("{token} to {recipient}"));
                }
            }
        }
        // Recipients of one transaction came together: one copy too many is one duplicate.
        let twice: BTreeSet<(String, Instant)> = copies
            .into_iter()
            .flat_map(|((token, _), at)| {
                at[..at.len() - 1].iter().map(move |at| (token.clone(), *at)).collect::<Vec<_>>()
            })
            .collect();
        tally.duplicates = twice.into_iter().map(|(_, at)| at).collect();
        tally
    }

    fn look_at(&mut self, content: &str) -> String {
        self.arrived += 1;
        let line = content.lines().find_map(|line| line.strip_prefix("X-Load: ")).unwrap_or_default();
        let (token, size) = line.split_once(' ').unwrap_or_default();
        let whole = size.parse().is_ok_and(|size| content.ends_with(&message(token, size)));
        if !whole {
            self.damaged.push(token.to_owned());
        }
        token.to_owned()
    }

    /// Asserts that nothing is lost and nothing is damaged.
    ///
    /// # Panics
    /// When it is not so.
    pub fn assert_whole(&self) {
        assert!(self.lost.is_empty(), "{} of {} are lost: {:?}", self.lost.len(), self.promised, self.lost);
        assert!(self.damaged.is_empty(), "{} are damaged: {:?}", self.damaged.len(), self.damaged);
    }
}

//! A server of LDAP that knows alice, as far as it is asked, and behaves as it is told.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};

use e2e::{PATIENCE, Reserved, until};

use super::PASSWORD;

/// How a server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// It answers.
    Sound,
    /// It says nothing, until it behaves otherwise.
    Silent,
    /// It says half of an answer, and then nothing, until it behaves otherwise.
    HalfAnAnswer,
    /// It says half of an answer and hangs up.
    DiesInAnAnswer,
    /// It takes a bind, and dies when it is asked.
    DiesInTheSearch,
}

/// A server.
pub(super) struct LdapServer {
    state: Arc<(Mutex<State>, Condvar)>,
}

struct State {
    manner: Manner,
    asked: usize,
    open: Vec<TcpStream>,
}

/// Where alice is.
const ALICE: &[u8] = b"uid=alice,dc=corp";

impl LdapServer {
    /// Begins to listen.
    pub(super) fn over(reserved: Reserved) -> LdapServer {
        let listener = reserved.listen();
        let state = State { manner: Manner::Sound, asked: 0, open: Vec::new() };
        let state = Arc::new((Mutex::new(state), Condvar::new()));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = shared.clone();
                state.0.lock().unwrap().open.extend(stream.try_clone());
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        LdapServer { state }
    }

    /// Behaves like this from now on.
    pub(super) fn behaves(&self, manner: Manner) {
        self.state.0.lock().unwrap().manner = manner;
        self.state.1.notify_all();
    }

    /// Ends all connections.
    pub(super) fn hangs_up(&self) {
        for stream in self.state.0.lock().unwrap().open.drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Waits until something has been asked.
    pub(super) fn wait_until_asked(&self) {
        until("a request", || (self.state.0.lock().unwrap().asked > 0).then_some(()));
    }
}

fn serve(mut stream: TcpStream, (state, changed): &(Mutex<State>, Condvar)) -> Option<()> {
    loop {
        let (id, tag, body) = request(&mut stream)?;
        let mut now = state.lock().unwrap();
        now.asked += 1;
        let answer = answer(&id, tag, &body);
        let (half, _) = answer.split_at(answer.len() / 2);
        match now.manner {
            Manner::Sound => {}
            Manner::DiesInAnAnswer => return stream.write_all(half).ok(),
            Manner::DiesInTheSearch if tag == 0x63 => return None,
            Manner::DiesInTheSearch => {}
            manner @ (Manner::Silent | Manner::HalfAnAnswer) => {
                if manner == Manner::HalfAnAnswer {
                    stream.write_all(half).ok()?;
                }
                now = changed.wait_timeout_while(now, PATIENCE, |now| now.manner == manner).unwrap().0;
                if manner == Manner::HalfAnAnswer {
                    return None;
                }
            }
        }
        drop(now);
        stream.write_all(&answer).ok()?;
    }
}

/// The next request: its number, what it is, and what is in it.
fn request(stream: &mut TcpStream) -> Option<(Vec<u8>, u8, Vec<u8>)> {
    let (_, message) = element(stream)?;
    let mut message = &message[..];
    let (_, id) = element(&mut message)?;
    let (tag, body) = element(&mut message)?;
    Some((id, tag, body))
}

fn element(from: &mut impl Read) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    from.read_exact(&mut head).ok()?;
    let length = if head[1] < 0x80 {
        usize::from(head[1])
    } else {
        let mut digits = vec![0; usize::from(head[1] & 0x7f)];
        from.read_exact(&mut digits).ok()?;
        digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit))
    };
    let mut inside = vec![0; length];
    from.read_exact(&mut inside).ok()?;
    Some((head[0], inside))
}

/// What is said to a request: alice is found by any search, and binds with her password; so does nobody.
fn answer(id: &[u8], tag: u8, body: &[u8]) -> Vec<u8> {
    let done = |tag, code| message(id, &write(tag, &[b"\x0a\x01", &[code][..], b"\x04\x00\x04\x00"].concat()));
    match tag {
        0x60 => {
            let mut bind = body;
            let parts: Vec<Vec<u8>> = std::iter::from_fn(|| element(&mut bind)).map(|(_, inside)| inside).collect();
            let nobody = parts[1].is_empty() && parts[2].is_empty();
            let good = nobody || parts[1] == ALICE && parts[2] == PASSWORD.as_bytes();
            done(0x61, if good { 0 } else { 49 })
        }
        0x63 => {
            let attribute = |name: &[u8], value: &[u8]| {
                write(0x30, &[write(0x04, name), write(0x31, &write(0x04, value))].concat())
            };
            let attributes = [attribute(b"uid", b"alice"), attribute(b"mail", b"alice@corp.example")].concat();
            let entry = [write(0x04, ALICE), write(0x30, &attributes)].concat();
            // The first search is for her, and any other for her groups.
            let is_hers = !body.windows(8).any(|window| window == b"\x04\x06member");
            let found = if is_hers { message(id, &write(0x64, &entry)) } else { Vec::new() };
            [found, done(0x65, 0)].concat()
        }
        _ => Vec::new(),
    }
}

fn message(id: &[u8], operation: &[u8]) -> Vec<u8> {
    write(0x30, &[&write(0x02, id), operation].concat())
}

fn write(tag: u8, inside: &[u8]) -> Vec<u8> {
    let length = u8::try_from(inside.len()).ok().filter(|length| *length < 0x80).expect("answers here are short");
    [&[tag, length], inside].concat()
}

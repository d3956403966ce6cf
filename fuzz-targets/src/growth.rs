//! Inputs that can be made larger, for each reader of what strangers write. What reading one costs
//! must grow as the input does: a reader that costs four times as much for twice the input is a way
//! to stop the server with one message.

use smtp::body::{Data, Limits, Piece};
use smtp::dots::Dots;
use smtp::reply::{Read, Reader};
use smtp::server::{Answer, BareNewline, Output, Session, Settings};
use std::sync::Arc;

/// A reader and an input for it that grows.
#[derive(Clone, Copy, Debug)]
pub struct Growing {
    /// What is read, and what makes the input hard.
    pub name: &'static str,
    /// The smallest input; it is doubled from there.
    pub smallest: usize,
    /// An input of about so many octets.
    pub input: fn(usize) -> Vec<u8>,
    /// Reads it; the number is of the steps that can be counted from outside: calls, and octets
    /// shown to them. For a reader that takes everything in one call that is only its octets, and
    /// what it costs must be measured.
    pub read: fn(&[u8]) -> u64,
}

/// All of them.
pub const GROWING: [Growing; 17] = [
    growing("content with dots on every line", 1 << 16, |n| repeat(b"..\r\n", n), content),
    growing("content with bare newlines, normalised", 1 << 16, |n| repeat(b"a\n\r", n), content),
    growing("content of one line", 1 << 16, |n| repeat(b"a", n), content),
    growing("commands that nobody knows", 1 << 14, |n| repeat(b"X\r\n", n), session),
    growing("a command line without an end", 1 << 16, |n| repeat(b"NOOP ", n), session),
    growing("recipients", 1 << 14, |n| [HELLO, &repeat(b"RCPT TO:<a@b.example>\r\n", n)].concat(), session),
    growing("chunks of one octet", 1 << 14, |n| [HELLO, TO, &repeat(b"BDAT 1\r\na", n)].concat(), session),
    growing("lines of a reply", 1 << 14, |n| repeat(b"250-x\r\n250 x\r\n", n), replies),
    growing("content to be doubled and folded", 1 << 16, |n| repeat(b".\n\r", n), outgoing),
    growing("a header of Received fields", 1 << 16, |n| repeat(b"Received: x\r\n", n), glance),
    growing("a path with quotes", 1 << 14, |n| [b"<\"", &repeat(b"\\\"", n)[..], b"\"@a.b>"].concat(), path),
    growing("a source route", 1 << 14, |n| [b"<", &repeat(b"@a.b,", n)[..], b"@a.b:c@d.e>"].concat(), path),
    growing("parameters of MAIL", 1 << 14, |n| [b"MAIL FROM:<> ", &repeat(b"A=b ", n)[..]].concat(), command),
    growing("settings: a long list", 1 << 13, addresses, settings),
    growing("settings: many mistakes", 1 << 11, mistakes, settings),
    growing(
        "a control command",
        1 << 15,
        |n| [b"{\"List\":{\"ids\":[", &repeat(b"\"a\",", n)[..], b"\"\"]}}"].concat(),
        control,
    ),
    growing("a log line", 1 << 12, |n| repeat(b"\"\x1b", n), log),
];

const HELLO: &[u8] = b"EHLO there.test\r\nMAIL FROM:<a@there.test>\r\n";
const TO: &[u8] = b"RCPT TO:<b@corp.example>\r\n";

const fn growing(name: &'static str, smallest: usize, input: fn(usize) -> Vec<u8>, read: fn(&[u8]) -> u64) -> Growing {
    Growing { name, smallest, input, read }
}

fn repeat(piece: &[u8], octets: usize) -> Vec<u8> {
    piece.repeat(octets.div_ceil(piece.len()))
}

/// Octets that arrive together.
const ARRIVAL: usize = 4096;

/// Shows `octets` to a reader as they would arrive, until it takes no more; counts what that is.
/// `read` says how many octets it took and whether it waits for more.
fn arriving(octets: &[u8], mut read: impl FnMut(&[u8]) -> (usize, bool)) -> u64 {
    let (mut steps, mut unread) = (0, 0);
    for end in (ARRIVAL..octets.len() + ARRIVAL).step_by(ARRIVAL) {
        let arrived = end.min(octets.len());
        loop {
            let shown = &octets[unread..arrived];
            let (taken, waits) = read(shown);
            // A call that takes nothing may look at everything; one that takes looks at what it takes.
            steps += 1 + if taken == 0 { shown.len() } else { taken } as u64;
            unread += taken;
            if waits {
                break;
            }
        }
    }
    steps
}

fn content(octets: &[u8]) -> u64 {
    let limits = Limits { size_bytes: 1 << 40, line_octets: 1 << 40, header_bytes: 1 << 40, normalise: true };
    let mut data = Data::new(limits);
    arriving(octets, |shown| {
        let (taken, piece) = data.take(shown);
        (taken, matches!(piece, Piece::More | Piece::End | Piece::Fault(_)))
    })
}

fn session(octets: &[u8]) -> u64 {
    let mut settings = Settings::new("mx.test".parse().unwrap());
    settings.errors_limit = u32::MAX;
    settings.recipients_per_message = usize::MAX;
    settings.bare_newline = BareNewline::Normalise;
    let mut session = Session::new(Arc::new(settings));
    arriving(octets, |shown| {
        let (taken, output) = session.poll(shown);
        match output {
            Output::Ask(_) => session.answer(Answer::Proceed),
            Output::Wait => return (taken, true),
            Output::Close => panic!("the session was to go on"),
            _ => {}
        }
        (taken, false)
    })
}

fn replies(octets: &[u8]) -> u64 {
    let mut reader = Reader::new();
    arriving(octets, |shown| {
        let (taken, read) = reader.line(shown);
        (taken, matches!(read, Read::More | Read::Malformed(_)))
    })
}

fn outgoing(octets: &[u8]) -> u64 {
    let (mut dots, mut out) = (Dots::new(), Vec::new());
    let steps = arriving(octets, |shown| {
        let passed = dots.pass(shown);
        dots.encode(&shown[passed..], &mut out);
        (shown.len(), true)
    });
    dots.finish(&mut out);
    steps + out.len() as u64
}

fn glance(octets: &[u8]) -> u64 {
    assert!(queue::glance(octets).hops > 0);
    octets.len() as u64
}

fn path(octets: &[u8]) -> u64 {
    let _ = mail::Path::take(std::str::from_utf8(octets).unwrap());
    octets.len() as u64
}

fn command(octets: &[u8]) -> u64 {
    crate::command::run(octets);
    octets.len() as u64
}

/// Settings with a list of so many octets of addresses.
fn addresses(octets: usize) -> Vec<u8> {
    let list: String = (0..octets / 22).map(|n| format!("\"user{n:06}@corp.example\",\n")).collect();
    let text = format!(
        "hostname = \"mx.corp.example\"\n[organization]\ndomains = [\"corp.example\"]\nrecipients = [\n{list}]\n\
         [virtual_server.inbound]\nlisten = [\"127.0.0.1:25\"]\n"
    );
    text.into_bytes()
}

/// Settings with so many octets of keys that there are not.
fn mistakes(octets: usize) -> Vec<u8> {
    (0..octets / 12).map(|n| format!("key{n:05} = 1\n")).collect::<String>().into_bytes()
}

fn settings(octets: &[u8]) -> u64 {
    crate::settings::run(octets);
    octets.len() as u64
}

fn control(octets: &[u8]) -> u64 {
    crate::control::run(octets);
    octets.len() as u64
}

fn log(octets: &[u8]) -> u64 {
    let text = String::from_utf8(octets.to_vec()).unwrap();
    let (text, json) = gateway::fuzzing::log_lines(6, 0, &["inbound".into(), "hop".into(), text]);
    (text.len() + json.len()) as u64
}

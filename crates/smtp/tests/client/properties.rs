//! Peers that say anything, at any time, in any pieces; and what no transcript can show.

use super::{mail, recipient};
use proptest::prelude::*;
use smtp::client::{Client, Encoding, Finished, Mail, Output, Settings, StartTls, Verdict};
use std::time::Duration;

fn settings(pipelining: bool, chunking: bool) -> Settings {
    let hello = "gw.example".parse().unwrap();
    Settings { starttls: StartTls::Opportunistic, pipelining, chunking, ..Settings::new(hello) }
}

fn letter(recipients: usize, size: u64) -> Mail {
    let to = (0..recipients).map(|n| recipient(&format!("u{n}@there.example"))).collect();
    Mail { recipients: to, size, ..mail("a@here.example") }
}

/// The replies in a stream of octets, by their first digit; written without looking at the reader.
fn severities(said: &[u8]) -> Vec<u8> {
    let lines = said.split_inclusive(|b| *b == b'\n').filter(|line| line.ends_with(b"\n"));
    lines.filter(|line| line.get(3) != Some(&b'-')).map(|line| line[0]).collect()
}

/// A driver that keeps its own books: how many replies must have come, and what they were.
struct Books {
    client: Client,
    said: Vec<u8>,
    unread: Vec<u8>,
    /// Commands written, and contents of DATA: each has one reply. The greeting is one more.
    owed: usize,
    mails: Vec<Mail>,
    under_way: Option<usize>,
    body_left: bool,
    finished: Vec<Finished>,
    over: bool,
}

impl Books {
    fn new(settings: Settings, mails: Vec<Mail>) -> Books {
        let client = Client::new(settings);
        let (said, unread, finished) = (Vec::new(), Vec::new(), Vec::new());
        Books { client, said, unread, owed: 0, mails, under_way: None, body_left: false, finished, over: false }
    }

    /// Polls until the client waits.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut out = Vec::new();
            let (taken, output) = self.client.poll(&self.unread, &mut out);
            self.unread.drain(..taken);
            assert!(out.is_empty() || out.ends_with(b"\r\n"));
            self.owed += out.iter().filter(|b| **b == b'\n').count();
            match output {
                Output::Wait => return,
                Output::Secure => self.client.secured(),
                Output::Ready => match self.mails.pop() {
                    Some(mail) => {
                        assert_eq!(self.under_way.replace(mail.recipients.len()), None);
                        self.body_left = false;
                        self.client.begin(mail);
                    }
                    None => self.client.quit(),
                },
                Output::SendBody(encoding) => {
                    self.body_left = true;
                    self.owed += usize::from(encoding == Encoding::Dots);
                    self.client.body_sent();
                }
                Output::Done(finished) => self.done(finished),
                Output::Refused(_) => assert!(self.finished.is_empty() && self.under_way.is_none()),
                Output::Close => {
                    self.over = true;
                    return;
                }
            }
        }
        panic!("the client never waits");
    }

    fn done(&mut self, finished: Finished) {
        assert_eq!(self.under_way.take(), Some(finished.recipients.len()), "each recipient has a verdict");
        for verdict in &finished.recipients {
            match verdict {
                Verdict::Delivered(response) => {
                    assert!(self.body_left && !response.local && response.code / 100 == 2, "{response}");
                    assert_eq!(severities(&self.said).get(self.owed), Some(&b'2'), "{response}");
                }
                // A refusal may keep the peer's words when there is no final verdict.
                Verdict::Deferred(_) => {}
                Verdict::Failed(response) => assert_eq!(response.status.class.digit(), 5, "{response}"),
            }
        }
        self.finished.push(finished);
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.said.extend_from_slice(bytes);
        self.unread.extend_from_slice(bytes);
        self.settle();
    }
}

/// What peers say, good and bad.
fn speech() -> impl Strategy<Value = Vec<u8>> {
    let fixed = |text: &'static str| Just(text.as_bytes().to_vec());
    let ehlo = "250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-SIZE 1000\r\n250 DSN\r\n";
    let piece = prop_oneof![
        12 => fixed("250 2.0.0 ok\r\n"),
        4 => fixed("354 go\r\n"),
        3 => fixed(ehlo),
        1 => fixed("250-mx\r\n250 STARTTLS\r\n"),
        3 => fixed("220 mx\r\n"),
        2 => fixed("550 5.1.1 no\r\n"),
        2 => fixed("450 4.2.0 later\r\n"),
        1 => fixed("552 too many\r\n"),
        1 => fixed("421 4.3.2 bye\r\n"),
        1 => fixed("250-half\r\n"),
        1 => fixed("250"),
        1 => fixed("999 what\r\n"),
        1 => prop::collection::vec(any::<u8>(), 0..30),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// A good beginning, so that most cases get as far as a transaction.
fn beginning() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        Just(b"220 mx\r\n250 mx\r\n".to_vec()),
        Just(b"220 mx\r\n250-mx\r\n250 PIPELINING\r\n".to_vec()),
        Just(b"220 mx\r\n250-mx\r\n250-CHUNKING\r\n250 PIPELINING\r\n".to_vec()),
    ]
}

#[derive(Clone, Copy, Debug)]
enum End {
    Closed,
    Expired,
    Quit,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// A peer that answers line by line: what is said comes one line at a time, so that nothing is early.
    #[test]
    fn row29_no_delivery_without_a_last_2yz_line_by_line(
        start in beginning(), speech in speech(), wishes in any::<(bool, bool)>(), recipients in 0_usize..5,
        end in prop_oneof![Just(End::Closed), Just(End::Expired), Just(End::Quit)],
    ) {
        let mails = vec![letter(recipients, 20), letter(1, 900), letter(3, 2000)];
        let mut books = Books::new(settings(wishes.0, wishes.1), mails);
        books.settle();
        for line in [start, speech].concat().split_inclusive(|b| *b == b'\n') {
            books.hear(line);
        }
        finish(books, end);
    }

    /// A peer whose octets come in any pieces, early or late.
    #[test]
    fn row29_no_delivery_without_a_last_2yz_in_any_pieces(
        start in beginning(), speech in speech(), sizes in prop::collection::vec(1_usize..60, 1..60),
        recipients in 0_usize..5, end in prop_oneof![Just(End::Closed), Just(End::Expired), Just(End::Quit)],
    ) {
        let mut books = Books::new(settings(true, true), vec![letter(recipients, 20), letter(2, 20)]);
        books.settle();
        let bytes = [start, speech].concat();
        let mut rest = &bytes[..];
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            books.hear(piece);
            rest = after;
        }
        finish(books, end);
    }
}

/// However it ends, it ends: with a verdict for everything begun.
fn finish(mut books: Books, end: End) {
    match end {
        End::Closed => books.client.closed(),
        End::Expired => books.client.expired(),
        End::Quit => {
            books.client.quit();
            books.settle();
            books.client.closed();
        }
    }
    books.settle();
    assert!(books.over && books.under_way.is_none());
}

/// Feeds a dialogue and returns all that was written, up to the wait after each turn.
fn written(client: &mut Client, turns: &[&str], mail: &Mail) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    for turn in turns {
        let (mut input, mut out) = (turn.as_bytes().to_vec(), Vec::new());
        loop {
            let (taken, output) = client.poll(&input, &mut out);
            input.drain(..taken);
            match output {
                Output::Wait => break,
                Output::Ready => client.begin(mail.clone()),
                Output::SendBody(_) => break,
                other => panic!("{other:?}"),
            }
        }
        pieces.push(out);
    }
    pieces
}

#[test]
fn pipelining_of_very_many_recipients_goes_by_windows() {
    let mut client = Client::new(settings(true, true));
    let replies = "250 ok\r\n".repeat(500);
    let turns = ["220 mx\r\n", "250-mx\r\n250 PIPELINING\r\n", &replies, &replies, "250 ok\r\n"];
    let pieces = written(&mut client, &turns, &letter(1000, 10));
    let lines = |piece: &[u8]| piece.iter().filter(|b| **b == b'\n').count();
    assert_eq!(pieces.iter().map(|p| lines(p)).collect::<Vec<_>>(), [1, 500, 500, 2, 0]);
    assert!(pieces[3].ends_with(b"RCPT TO:<u999@there.example>\r\nDATA\r\n"));
}

#[test]
fn patience_is_that_of_rfc_5321() {
    let minutes = |client: &Client| client.patience().as_secs() / 60;
    let mut client = Client::new(settings(true, false));
    let mail = letter(1, 10);
    assert_eq!(minutes(&client), 5);
    written(&mut client, &["220 mx\r\n"], &mail);
    assert_eq!(minutes(&client), 5);
    written(&mut client, &["250-mx\r\n250 PIPELINING\r\n"], &mail);
    assert_eq!(minutes(&client), 5, "MAIL");
    written(&mut client, &["250 ok\r\n"], &mail);
    assert_eq!(minutes(&client), 5, "RCPT");
    written(&mut client, &["250 ok\r\n"], &mail);
    assert_eq!(minutes(&client), 2, "DATA");
    written(&mut client, &["354 go\r\n"], &mail);
    assert_eq!(minutes(&client), 3, "a block of the content");
    client.body_sent();
    assert_eq!(minutes(&client), 10, "the end of the content");
    client.expired();
    assert_eq!(client.patience(), Duration::ZERO);
}

#[test]
fn a_peer_that_trickles_makes_no_progress() {
    let mut client = Client::new(settings(true, true));
    let mut out = Vec::new();
    let before = client.progress();
    for octets in 1..30 {
        let said = &b"220-mx\r\n220-mx\r\n220-mx\r\n220 mx\r\n"[..octets];
        let mut fresh = client.clone();
        assert_eq!(fresh.poll(said, &mut out).1, Output::Wait);
        assert_eq!(fresh.progress(), before, "{octets}");
    }
    assert_eq!(client.poll(b"220 mx\r\n", &mut out).1, Output::Wait);
    assert!(client.progress() > before);
}

#[test]
fn row07_a_connection_that_begins_secured_needs_no_starttls() {
    let settings = Settings { starttls: StartTls::Required, ..settings(true, true) };
    let mut client = Client::new(settings);
    client.secured();
    let pieces = written(&mut client, &["220 mx\r\n", "250-mx\r\n250 STARTTLS\r\n"], &letter(1, 10));
    assert!(client.is_secured() && pieces[1].starts_with(b"MAIL FROM"));
}

#[test]
fn row07_octets_that_come_while_securing_are_fatal() {
    let mut client = Client::new(settings(true, true));
    let mut out = Vec::new();
    client.poll(b"220 mx\r\n", &mut out);
    client.poll(b"250-mx\r\n250 STARTTLS\r\n", &mut out);
    assert_eq!(client.poll(b"220 go\r\n", &mut out).1, Output::Secure);
    assert!(matches!(client.poll(b"2", &mut out).1, Output::Refused(_)));
    assert_eq!(client.poll(b"", &mut out).1, Output::Close);
}

#[test]
fn a_mail_begun_on_a_dead_connection_is_deferred() {
    let mut client = Client::new(settings(true, true));
    let mut out = Vec::new();
    client.poll(b"220 mx\r\n", &mut out);
    assert_eq!(client.poll(b"250 mx\r\n", &mut out).1, Output::Ready);
    client.expired();
    client.begin(letter(2, 10));
    let (_, Output::Done(finished)) = client.poll(b"", &mut out) else { panic!("no verdicts") };
    assert!(!finished.usable && finished.recipients.iter().all(|v| matches!(v, Verdict::Deferred(r) if r.local)));
    assert_eq!(client.poll(b"", &mut out).1, Output::Close);
}

#[test]
fn row10_what_the_server_offers_can_be_asked() {
    let mut client = Client::new(settings(true, false));
    let turns = ["220 mx\r\n", "250-mx\r\n250-CHUNKING\r\n250-DSN\r\n250-LIMITS RCPTMAX=50\r\n250 SIZE 0\r\n"];
    written(&mut client, &turns, &letter(1, 10));
    let offers = client.offers();
    assert!(offers.dsn && offers.chunking && offers.size && !offers.binary);
    assert_eq!((offers.size_limit, offers.recipients_limit), (None, Some(50)));
}

#[test]
fn a_connection_that_ends_between_mails_is_closed_and_not_refused() {
    let mut client = Client::new(settings(true, true));
    let turns = ["220 mx\r\n", "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n"];
    written(&mut client, &turns, &letter(1, 10));
    client.body_sent();
    let mut out = Vec::new();
    let said = b"250 ok\r\n250 ok\r\n250 ok\r\n";
    let (taken, output) = client.poll(said, &mut out);
    assert!(taken == said.len() && matches!(output, Output::Done(finished) if finished.usable));
    assert_eq!(client.poll(b"421 4.4.2 bye\r\n", &mut out).1, Output::Close);
}

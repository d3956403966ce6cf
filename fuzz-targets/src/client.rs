//! A whole session of the client with a server that says anything, early or late.
//!
//! The input is a head of four octets (settings, cuts, mails, end) and turns, ended by 0xFF. The
//! books kept here count the replies that are owed on their own: a delivery needs a 2yz in the place
//! of the last one.

use crate::input::{Input, has_control, pieces};
use mail::ReversePath;
use smtp::client::{
    Client, ContentFacts, Encoding, Finished, Mail, MailRecipient, Output, Settings, StartTls, Verdict,
};

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input(octets);
    let flags = input.octet();
    let cuts = input.dice();
    let mails = mails(input.octet());
    let end = input.octet();
    let mut books = Books::new(settings(flags), mails);
    books.settle();
    for turn in input.0.split(|b| *b == 0xff) {
        if flags & 16 == 16 {
            pieces(turn, cuts).for_each(|piece| books.hear(piece));
        } else {
            books.hear(turn);
        }
    }
    books.end(end);
}

fn settings(flags: u8) -> Settings {
    let starttls = match flags & 3 {
        0 | 1 => StartTls::Opportunistic,
        2 => StartTls::Never,
        _ => StartTls::Required,
    };
    let (pipelining, chunking) = (flags & 4 == 0, flags & 8 == 0);
    Settings { starttls, pipelining, chunking, ..Settings::new("gw.example".parse().unwrap()) }
}

fn mails(kinds: u8) -> Vec<Mail> {
    let mail = |kind: u8| Mail {
        reverse_path: if kind == 3 {
            ReversePath::Null
        } else {
            ReversePath::Mailbox("a@here.example".parse().unwrap())
        },
        recipients: (0..kind).map(recipient).collect(),
        size: 20 << (4 * kind),
        content: ContentFacts { eight_bit: kind == 2, binary: kind == 3, dots: true, ..ContentFacts::default() },
        smtputf8: false,
        ret: None,
        envid: (kind == 1).then(|| "q+1".into()),
    };
    (0..4).map(|place| mail(kinds >> (2 * place) & 3)).collect()
}

fn recipient(number: u8) -> MailRecipient {
    let forward_path = format!("u{number}@there.example").parse().unwrap();
    MailRecipient { forward_path, notify: None, original: None }
}

/// The first digits of the replies in a stream of octets; written without looking at the reader.
fn severities(said: &[u8]) -> Vec<u8> {
    let lines = said.split_inclusive(|b| *b == b'\n').filter(|line| line.ends_with(b"\n"));
    lines.filter(|line| line.get(3) != Some(&b'-')).map(|line| line[0]).collect()
}

struct Books {
    client: Client,
    said: Vec<u8>,
    unread: Vec<u8>,
    /// Commands written, and contents of DATA: each has one reply. The greeting is one more.
    owed: usize,
    mails: Vec<Mail>,
    under_way: Option<usize>,
    content_sent: bool,
    finished: usize,
    over: bool,
}

impl Books {
    fn new(settings: Settings, mails: Vec<Mail>) -> Books {
        let client = Client::new(settings);
        let (said, unread) = (Vec::new(), Vec::new());
        Books { client, said, unread, owed: 0, mails, under_way: None, content_sent: false, finished: 0, over: false }
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.said.extend_from_slice(bytes);
        self.unread.extend_from_slice(bytes);
        self.settle();
    }

    /// Polls until the client waits.
    fn settle(&mut self) {
        let mut fuel = 8 * self.unread.len() + 64;
        while !self.over {
            fuel = fuel.checked_sub(1).expect("the client never waits");
            let mut out = Vec::new();
            let (taken, output) = self.client.poll(&self.unread, &mut out);
            assert!(taken <= self.unread.len());
            self.unread.drain(..taken);
            self.written(&out);
            match output {
                Output::Wait => break,
                Output::Secure => self.client.secured(),
                Output::Ready => match self.mails.pop() {
                    Some(mail) => {
                        assert_eq!(self.under_way.replace(mail.recipients.len()), None);
                        self.content_sent = false;
                        self.client.begin(mail);
                    }
                    None => self.client.quit(),
                },
                Output::SendBody(encoding) => {
                    self.content_sent = true;
                    self.owed += usize::from(encoding == Encoding::Dots);
                    self.client.body_sent();
                }
                Output::Done(finished) => self.done(&finished),
                Output::Refused(response) => {
                    assert!(self.finished == 0 && self.under_way.is_none());
                    assert!(!has_control(&response.text));
                }
                Output::Close => self.over = true,
            }
        }
        assert!(self.over || self.unread.len() <= smtp::reply::LINE_OCTETS, "octets that are never taken");
    }

    /// Commands are whole lines, and nothing a server said is among them.
    fn written(&mut self, out: &[u8]) {
        assert!(out.is_empty() || out.ends_with(b"\r\n"));
        assert!(!crate::input::has_bare_newline(out));
        // A dot alone is the empty content after DATA that was taken although no recipient was.
        let known: [&[u8]; 10] = [
            b"EHLO ",
            b"HELO ",
            b"STARTTLS\r\n",
            b"MAIL FROM:<",
            b"RCPT TO:<",
            b"DATA\r\n",
            b"BDAT ",
            b"RSET\r\n",
            b"QUIT\r\n",
            b".\r\n",
        ];
        for line in out.split_inclusive(|b| *b == b'\n') {
            assert!(known.iter().any(|verb| line.starts_with(verb)), "{:?}", String::from_utf8_lossy(line));
            self.owed += 1;
        }
    }

    fn done(&mut self, finished: &Finished) {
        assert_eq!(self.under_way.take(), Some(finished.recipients.len()), "each recipient has a verdict");
        self.finished += 1;
        for verdict in &finished.recipients {
            let response = verdict.response();
            assert!(!has_control(&response.text));
            match verdict {
                Verdict::Delivered(_) => {
                    assert!(self.content_sent && !response.local && response.code / 100 == 2, "{response}");
                    assert_eq!(severities(&self.said).get(self.owed), Some(&b'2'), "{response}");
                }
                Verdict::Deferred(_) => {}
                Verdict::Failed(_) => assert_eq!(response.status.class.digit(), 5, "{response}"),
            }
        }
    }

    /// However it ends, it ends: with a verdict for everything begun.
    fn end(mut self, how: u8) {
        match how % 3 {
            0 => self.client.closed(),
            1 => self.client.expired(),
            _ => {
                self.client.quit();
                self.settle();
                self.client.closed();
            }
        }
        self.settle();
        assert!(self.over && self.under_way.is_none());
    }
}

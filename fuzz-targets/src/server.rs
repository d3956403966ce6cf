//! A whole session of the server, with any bytes in any pieces and any answers.
//!
//! The input is a head of four octets (settings, cuts, answers) and turns, ended by 0xFF, which no
//! text contains: each is shown to the session when it waits for more.

use crate::input::{Dice, Input, has_bare_newline, pieces};
use mail::{Identity, Reply};
use smtp::server::{Answer, BareNewline, Body, EarlyTalk, Note, Output, Question, Session, Settings, TlsFacts, Trust};
use std::sync::Arc;

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input(octets);
    let settings = Arc::new(settings(input.octet()));
    let (events, cuts, answers) = (input.octet(), input.dice(), input.dice());
    let turns = || input.0.split(|b| *b == 0xff);
    let mut whole = Driver::new(&settings, answers);
    for turn in turns() {
        whole.send(turn);
    }
    whole.end(events);
    whole.check(input.0);
    let mut cut = Driver::new(&settings, answers);
    for turn in turns() {
        pieces(turn, cuts).for_each(|piece| cut.send(piece));
    }
    cut.end(events);
    // Who talks early, and only who does, makes the arrival of bytes matter.
    if !whole.seen.contains(&Seen::Note(Note::EarlyTalk)) {
        assert_eq!(whole.seen, cut.seen);
    }
}

fn settings(flags: u8) -> Settings {
    let mut settings = Settings::new("mx.test".parse().unwrap());
    settings.default_domain = "corp.example".parse().unwrap();
    let on = |bit: u8| flags >> bit & 1 == 1;
    settings.bare_newline = if on(0) { BareNewline::Normalise } else { BareNewline::Reject };
    settings.early_talk = if on(1) { EarlyTalk::Close } else { EarlyTalk::Count };
    settings.offers.starttls = on(2);
    settings.tls_required = on(3) && on(2);
    settings.mechanisms = if on(4) { vec!["PLAIN".into(), "LOGIN".into()] } else { Vec::new() };
    settings.mechanisms_when_secured = if on(5) { vec!["EXTERNAL".into()] } else { Vec::new() };
    if on(6) {
        settings.message_size_bytes = Some(200);
        settings.session_size_bytes = Some(300);
        settings.text_line_octets = 60;
        settings.header_size_bytes = 100;
        settings.command_line_octets = 80;
        settings.recipients_per_message = 3;
        settings.errors_limit = 5;
    }
    settings
}

/// What came out of a session, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Reply(Vec<u8>),
    Note(Note),
    Message { content: Vec<u8>, recipients: usize },
    Secure,
    Abandon,
    Close,
}

/// Drives a session as its contract says, and holds it to its side of it.
struct Driver {
    settings: Arc<Settings>,
    session: Session,
    unread: Vec<u8>,
    body: Vec<u8>,
    seen: Vec<Seen>,
    dice: Dice,
    kept_bytes: u64,
    over: bool,
}

impl Driver {
    fn new(settings: &Arc<Settings>, dice: Dice) -> Driver {
        let mut driver = Driver {
            settings: Arc::clone(settings),
            session: Session::new(Arc::clone(settings)),
            unread: Vec::new(),
            body: Vec::new(),
            seen: Vec::new(),
            dice,
            kept_bytes: 0,
            over: false,
        };
        driver.run();
        driver
    }

    fn send(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        self.run();
        // Nothing is left unread but a line that may still be finished.
        let line = self.settings.command_line_octets.max(smtp::sasl::AUTH_LINE_OCTETS);
        assert!(self.over || self.unread.len() <= line, "{} octets are never taken", self.unread.len());
    }

    /// How it ends, if the client has not ended it.
    fn end(&mut self, how: u8) {
        match how % 4 {
            0 => return,
            1 => self.session.expired(),
            _ => self.session.shut(),
        }
        self.run();
        assert!(self.over, "a session that is told to end ends");
    }

    fn run(&mut self) {
        // Each octet may lead to a few outputs and no more.
        let mut fuel = 8 * self.unread.len() + 32;
        while !self.over {
            fuel = fuel.checked_sub(1).expect("polled without end");
            let (taken, next) = match self.session.poll(&self.unread) {
                (taken, Output::Ask(question)) => {
                    (taken, Next::Answer(choose(&mut self.dice, &question), judged(&question)))
                }
                (taken, Output::Body(octets)) => {
                    assert!(!octets.is_empty());
                    self.body.extend_from_slice(octets);
                    (taken, Next::Poll)
                }
                (taken, Output::Wait) => (taken, Next::Wait),
                (taken, Output::Secure) => (taken, Next::Secure),
                (taken, Output::Pause(_) | Output::Forwarded(_)) => (taken, Next::Poll),
                (taken, Output::Reply(reply)) => {
                    let mut bytes = Vec::new();
                    reply.write_to(&mut bytes);
                    (taken, Next::Say(Seen::Reply(bytes)))
                }
                (taken, Output::Note(note)) => (taken, Next::Say(Seen::Note(note))),
                (taken, Output::Abandon) => (taken, Next::Say(Seen::Abandon)),
                (taken, Output::Close) => (taken, Next::Say(Seen::Close)),
            };
            assert!(taken <= self.unread.len(), "took more than there was");
            self.unread.drain(..taken);
            if self.perform(next) {
                return;
            }
        }
    }

    /// Performs an output; whether more input is needed first.
    fn perform(&mut self, next: Next) -> bool {
        match next {
            Next::Wait => return true,
            Next::Poll => {}
            Next::Answer(answer, asked) => {
                if let Some(asked) = asked {
                    self.message(&asked);
                }
                self.session.answer(answer);
            }
            Next::Secure => {
                self.seen.push(Seen::Secure);
                self.session.secured(TlsFacts { version: "TLSv1.3".into(), cipher: "x".into(), server_name: None });
                assert!(self.session.hello().is_none() && !self.session.in_transaction(), "all is forgotten");
            }
            Next::Say(seen) => {
                if seen == Seen::Abandon {
                    self.body.clear();
                }
                self.over |= seen == Seen::Close;
                self.seen.push(seen);
            }
        }
        false
    }

    fn message(&mut self, asked: &Asked) {
        let content = std::mem::take(&mut self.body);
        assert_eq!(asked.size, content.len() as u64);
        assert!((1..=self.settings.recipients_per_message).contains(&asked.recipients));
        assert!(self.settings.message_size_bytes.is_none_or(|limit| asked.size <= limit));
        self.kept_bytes += asked.size;
        assert!(self.settings.session_size_bytes.is_none_or(|limit| self.kept_bytes <= limit));
        if !asked.binary {
            assert!(!has_bare_newline(&content) && !content.contains(&0), "{content:?}");
        }
        self.seen.push(Seen::Message { content, recipients: asked.recipients });
    }

    /// What was said is made of replies, and not of too many.
    fn check(&self, input: &[u8]) {
        let replies =
            self.seen.iter().filter_map(|seen| if let Seen::Reply(bytes) = seen { Some(bytes) } else { None });
        let lines = input.iter().filter(|b| matches!(b, b'\r' | b'\n')).count();
        let mut count = 0;
        for bytes in replies {
            count += 1;
            is_reply(bytes);
        }
        // A chunk of no octets has a reply of its own; every other reply answers a line or an end.
        assert!(count <= 2 * lines + 6, "{count} replies to {lines} lines");
        let closes = self.seen.iter().filter(|seen| **seen == Seen::Close).count();
        assert!(closes == usize::from(self.over));
        let errors = self.seen.iter().filter(|seen| matches!(seen, Seen::Note(Note::UnknownCommand))).count();
        assert!(errors <= self.settings.errors_limit as usize, "errors are counted");
    }
}

/// CR LF lines of at most 512 octets with one code, hyphens on all but the last.
fn is_reply(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).unwrap();
    let lines: Vec<&str> = text.strip_suffix("\r\n").unwrap().split("\r\n").collect();
    assert!(lines.len() <= 20, "{text}");
    for (at, line) in lines.iter().enumerate() {
        let separator = if at + 1 == lines.len() { ' ' } else { '-' };
        assert!(line.len() <= 510 && !line.contains(char::is_control) && line.is_char_boundary(4), "{text:?}");
        assert!(line[..3] == lines[0][..3] && line[3..].starts_with(separator), "{text:?}");
        let code: u16 = line[..3].parse().unwrap();
        assert!((200..560).contains(&code), "{text:?}");
    }
}

enum Next {
    Wait,
    Poll,
    Secure,
    Answer(Answer, Option<Asked>),
    Say(Seen),
}

/// What was asked about a message.
struct Asked {
    size: u64,
    recipients: usize,
    binary: bool,
}

fn judged(question: &Question<'_>) -> Option<Asked> {
    let Question::Message(transaction) = question else { return None };
    let binary = transaction.sender.body == Body::Binary;
    Some(Asked { size: transaction.size, recipients: transaction.recipients.len(), binary })
}

fn choose(dice: &mut Dice, question: &Question<'_>) -> Answer {
    // A reply may repeat what the client said.
    let said = match question {
        Question::Recipient(recipient) => recipient.forward_path.to_string(),
        Question::Sender(sender) => sender.reverse_path.to_string(),
        _ => String::new(),
    };
    let refusal = || Reply::never(50, 7, 1, format!("Not for {said}"));
    match (question, dice.roll(16)) {
        (Question::Credentials(_), 0..8) => Answer::Challenge(vec![1, 2, 3]),
        (Question::Credentials(_), 8..12) => Answer::Known(Identity::account("u1")),
        (Question::Credentials(_), 12..14) => Answer::Peer("ex1".into(), Trust { xclient: true, xforward: true }),
        (_, 0) => Answer::Refuse(refusal()),
        (Question::Connection, _) => Answer::Proceed,
        (_, 1) => Answer::Dismiss(refusal()),
        (Question::Message(_), _) => Answer::Taken("Q".into()),
        _ => Answer::Proceed,
    }
}

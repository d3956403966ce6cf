//! The transcript format, read and played.
//!
//! A transcript is a head and a number of blocks. The head holds comments, `settings:` (words, or
//! `key=value`), `chunking: off` where the arrival of bytes is the point, and `show: questions` to see
//! what is asked. A block is what goes in and what comes out:
//!
//! ```text
//! C: a line of the client, CR LF is added     C+ a further line in the same segment
//! E: secured | expired | shut                 something that happens instead
//! A: the answer to the next question: proceed, must-authenticate, refuse 550 5.7.1 text, dismiss …, taken ID, known NAME,
//!    challenge TEXT. A question without one is answered by proceed, taken Q1, or refuse 535 5.7.8
//! S: a reply line     N: a note     B: a line of a message, before it is asked about
//! O: secure | pause 2s | abandon | close     Q: a question
//! ```
//!
//! In `C` and `A: challenge` lines `\r \n \0 \\ \xHH` are octets, `\(N*text)` repeats, and a `\` at the
//! end of a line means that no CR LF follows. `B` lines are written in the same way.

use mail::{EnhancedStatus, Identity, Reply, Text};
use smtp::server::{Answer, BareNewline, EarlyTalk, Output, Question, Session, Settings, TlsFacts, Trust};
use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;

pub(crate) struct Script {
    pub(crate) settings: Arc<Settings>,
    /// Whether any chunking of the client's bytes must give the same transcript.
    pub(crate) any_chunking: bool,
    show_questions: bool,
    head: String,
    blocks: Vec<Block>,
}

#[derive(Default)]
struct Block {
    /// Comments, empty lines, `C`, `C+` and `E` lines, as they stand.
    input: String,
    bytes: Vec<u8>,
    event: Option<String>,
    answers: VecDeque<String>,
}

impl Script {
    pub(crate) fn read(text: &str) -> Script {
        let mut script = Script {
            settings: Arc::new(settings("")),
            any_chunking: true,
            show_questions: false,
            head: String::new(),
            blocks: vec![Block::default()],
        };
        let mut in_head = true;
        for line in text.lines() {
            let (mark, rest) = line.split_at_checked(2).unwrap_or((line, ""));
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            let opens = matches!(mark, "C:" | "E:") || (!in_head && (mark.is_empty() || mark.starts_with('#')));
            let goes_on = script.blocks.last().is_some_and(|block| block.bytes.is_empty() && block.event.is_none())
                && script.blocks.last().is_some_and(|block| !block.input.is_empty());
            if opens && !goes_on {
                script.blocks.push(Block::default());
            }
            let block = script.blocks.last_mut().expect("there is a first block");
            match mark {
                "C:" | "C+" => block.bytes.extend(octets(rest)),
                "E:" => block.event = Some(rest.to_owned()),
                "A:" => block.answers.push_back(rest.to_owned()),
                _ => {}
            }
            match mark {
                "S:" | "N:" | "B:" | "O:" | "Q:" | "A:" => in_head = false,
                "C:" | "C+" | "E:" => {
                    in_head = false;
                    block.input += &format!("{line}\n");
                }
                _ if in_head => {
                    script.head += &format!("{line}\n");
                    if let Some(words) = line.strip_prefix("settings:") {
                        script.settings = Arc::new(settings(words));
                    }
                    script.any_chunking &= line != "chunking: off";
                    script.show_questions |= line == "show: questions";
                }
                _ => block.input += &format!("{line}\n"),
            }
        }
        script
    }

    /// Plays it, with the client's bytes cut by `cut`: given how many have not been sent, how many
    /// arrive next. The result is the transcript as it should stand in the file.
    pub(crate) fn play(&self, mut cut: impl FnMut(usize) -> usize) -> String {
        let mut player = Player {
            session: Session::new(Arc::clone(&self.settings)),
            buffer: Vec::new(),
            answers: VecDeque::new(),
            body: Vec::new(),
            seen: self.head.clone(),
            show_questions: self.show_questions,
        };
        for block in &self.blocks {
            player.seen += &block.input;
            player.answers.clone_from(&block.answers);
            player.happen(block.event.as_deref());
            let mut rest = &block.bytes[..];
            player.run();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(cut(rest.len()).clamp(1, rest.len()));
                player.buffer.extend_from_slice(now);
                rest = later;
                player.run();
            }
            // A line that is not in the file cannot be expected: an answer nobody asked for fails.
            for unused in std::mem::take(&mut player.answers) {
                let _ = writeln!(player.seen, "nobody asked for: {unused}");
            }
        }
        player.seen
    }
}

struct Player {
    session: Session,
    buffer: Vec<u8>,
    answers: VecDeque<String>,
    body: Vec<u8>,
    seen: String,
    show_questions: bool,
}

impl Player {
    fn happen(&mut self, event: Option<&str>) {
        match event {
            None => {}
            Some("secured") => {
                self.session.secured(TlsFacts { version: "TLSv1.3".into(), cipher: "test".into(), server_name: None });
            }
            Some("expired") => self.session.expired(),
            Some("shut") => self.session.shut(),
            Some(other) => panic!("no such event: {other}"),
        }
    }

    /// One round of the contract: poll, drop, perform, until the session waits.
    fn run(&mut self) {
        loop {
            let (taken, output) = self.session.poll(&self.buffer);
            let mut given = None;
            let line = match output {
                Output::Wait => {
                    self.buffer.drain(..taken);
                    return;
                }
                Output::Close => {
                    if !self.seen.ends_with("O: close\n") {
                        self.seen += "O: close\n";
                    }
                    self.buffer.clear();
                    return;
                }
                Output::Reply(reply) => said(&reply),
                Output::Note(note) => format!("N: {note:?}\n"),
                Output::Body(octets) => {
                    assert!(!octets.is_empty(), "a slice of nothing");
                    self.body.extend_from_slice(octets);
                    String::new()
                }
                Output::Abandon => {
                    self.body.clear();
                    "O: abandon\n".to_owned()
                }
                Output::Forwarded(claims) => format!("O: forwarded {claims:?}\n"),
                Output::Secure => "O: secure\n".to_owned(),
                Output::Pause(span) => format!("O: pause {span:?}\n"),
                Output::Ask(question) => {
                    let mut line = String::new();
                    if let Question::Message(_) = question {
                        line = lines_of(&std::mem::take(&mut self.body));
                    }
                    if self.show_questions {
                        let _ = writeln!(line, "Q: {question:?}");
                    }
                    let usual = usual_answer(&question);
                    let answer = self.answers.pop_front();
                    if let Some(answer) = &answer {
                        let _ = writeln!(line, "A: {answer}");
                    }
                    given = Some(answer.map_or(usual, |text| answer_of(&text)));
                    line
                }
            };
            self.seen += &line;
            self.buffer.drain(..taken);
            if let Some(answer) = given {
                self.session.answer(answer);
            }
        }
    }
}

fn said(reply: &Reply) -> String {
    let mut bytes = Vec::new();
    reply.write_to(&mut bytes);
    let text = String::from_utf8(bytes).expect("replies are UTF-8");
    if let Text::Lines(lines) = reply.text() {
        assert_eq!(lines.len(), text.lines().count());
    }
    text.lines().map(|line| format!("{}\n", format!("S: {line}").trim_end())).collect()
}

fn usual_answer(question: &Question<'_>) -> Answer {
    match question {
        Question::Connection | Question::Claims(_) | Question::Sender(_) | Question::Recipient(_) => Answer::Proceed,
        Question::Credentials(_) => answer_of("refuse 535 5.7.8 Authentication credentials invalid"),
        Question::Message(_) => Answer::Taken("Q1".into()),
    }
}

fn answer_of(text: &str) -> Answer {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "proceed" => Answer::Proceed,
        "must-authenticate" => Answer::MustAuthenticate,
        "refuse" => Answer::Refuse(reply(rest)),
        "dismiss" => Answer::Dismiss(reply(rest)),
        "taken" => Answer::Taken(rest.into()),
        "known" => Answer::Known(Identity::account(rest)),
        "peer" => {
            let (name, rights) = rest.split_once(' ').unwrap_or((rest, ""));
            let trust = Trust { xclient: rights.contains("xclient"), xforward: rights.contains("xforward") };
            Answer::Peer(name.into(), trust)
        }
        "challenge" => Answer::Challenge(octets(&format!("{rest}\\"))),
        _ => panic!("no such answer: {text}"),
    }
}

fn reply(text: &str) -> Reply {
    let mut words = text.splitn(3, ' ');
    let code: u16 = words.next().and_then(|word| word.parse().ok()).expect("a code");
    let status: EnhancedStatus = words.next().and_then(|word| word.parse().ok()).expect("a status");
    let text = words.next().unwrap_or("").to_owned();
    match code / 100 {
        4 => Reply::later(code % 100, status.subject, status.detail, text),
        _ => Reply::never(code % 100, status.subject, status.detail, text),
    }
}

/// The octets of a `C` line.
fn octets(text: &str) -> Vec<u8> {
    let (text, end) = match text.strip_suffix('\\') {
        Some(front) if !front.ends_with('\\') => (front, ""),
        _ => (text, "\r\n"),
    };
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        octets.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        let mut skip = 1;
        match rest.as_bytes().first() {
            Some(b'r') => octets.push(b'\r'),
            Some(b'n') => octets.push(b'\n'),
            Some(b'0') => octets.push(0),
            Some(b'\\') => octets.push(b'\\'),
            Some(b'x') => {
                octets.push(u8::from_str_radix(&rest[1..3], 16).expect("two hexadecimal digits"));
                skip = 3;
            }
            Some(b'(') => {
                let (count, what) =
                    rest[1..].split_once(')').and_then(|(in_it, _)| in_it.split_once('*')).expect("(N*text)");
                octets.extend(what.repeat(count.parse().expect("a count")).into_bytes());
                skip = rest.find(')').expect("found above") + 1;
            }
            _ => panic!("no such escape: {text}"),
        }
        rest = &rest[skip..];
    }
    octets.extend_from_slice(rest.as_bytes());
    octets.extend_from_slice(end.as_bytes());
    octets
}

/// The `B` lines of content.
fn lines_of(body: &[u8]) -> String {
    let mut lines = String::new();
    for line in body.split_inclusive(|&b| b == b'\n') {
        let (line, end) = line.strip_suffix(b"\r\n").map_or((line, "\\"), |front| (front, ""));
        let mut text = String::new();
        for &b in line {
            match b {
                b'\r' => text += "\\r",
                b'\n' => text += "\\n",
                0 => text += "\\0",
                b'\\' => text += "\\\\",
                0x20..0x7f => text.push(char::from(b)),
                _ => text += &format!("\\x{b:02x}"),
            }
        }
        lines += format!("B: {text}{end}").trim_end();
        lines.push('\n');
    }
    lines
}

fn settings(words: &str) -> Settings {
    let mut settings = Settings::new("mx.test".parse().expect("a domain"));
    settings.default_domain = "corp.example".parse().expect("a domain");
    for word in words.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let number = || value.parse::<usize>().unwrap_or_else(|_| panic!("{key} needs a number"));
        let names = || value.split(',').map(Into::into).collect();
        match key {
            "starttls" => settings.offers.starttls = true,
            "no-pipelining" => settings.offers.pipelining = false,
            "no-eight-bit" => settings.offers.eight_bit = false,
            "no-chunking" => settings.offers.chunking = false,
            "no-dsn" => settings.offers.dsn = false,
            "no-smtputf8" => settings.offers.smtputf8 = false,
            "no-limits" => settings.offers.limits = false,
            "auth" => (settings.mechanisms, settings.mechanisms_when_secured) = (names(), names()),
            // All that there are under TLS; it follows `auth`.
            "auth-under-tls" => settings.mechanisms_when_secured = names(),
            "tls-required" => settings.tls_required = true,
            "failures" => settings.failures_limit = u32::try_from(number()).expect("a small number"),
            "message-size" => settings.message_size_bytes = Some(number() as u64),
            "session-size" => settings.session_size_bytes = Some(number() as u64),
            "recipients" => settings.recipients_per_message = number(),
            "command-line" => settings.command_line_octets = number(),
            "text-line" => settings.text_line_octets = number(),
            "header-size" => settings.header_size_bytes = number(),
            "door-commands" => settings.door.commands = u32::try_from(number()).expect("a small number"),
            "door-code" => settings.door.code = u16::try_from(number()).expect("a reply code"),
            "errors" => settings.errors_limit = u32::try_from(number()).expect("a small number"),
            "normalise" => settings.bare_newline = BareNewline::Normalise,
            "close-early-talk" => settings.early_talk = EarlyTalk::Close,
            _ => panic!("no such setting: {key}"),
        }
    }
    settings
}

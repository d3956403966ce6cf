//! The client against peers written down as transcripts, and against peers that say anything.
//!
//! A transcript (`tests/client/*.smtp`) has settings and mails first, then the dialogue:
//! `S:` what the peer says, `C:` what must have been written when the client next waits (`C-`: without
//! line end), `X:` what happens to the connection, `O:` outputs, `V:` the verdict on each recipient.
//! `{x*998}` is a run of 998 x. The peer's bytes are fed whole, octet by octet and cut in two at every
//! place: the dialogue must be the same. `BLESS=1` rewrites the dialogues; the diff is the review.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests read files and may fail")]

use smtp::client::{
    Client, ContentFacts, Encoding, Mail, MailRecipient, Notify, Original, Output, Ret, Settings, StartTls, Verdict,
};
use smtp::dots::{Dots, needs_encoding};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

#[path = "client/properties.rs"]
mod properties;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client")
}

/// A transcript, taken apart.
struct Script {
    settings: Settings,
    mails: Vec<(Mail, Vec<u8>)>,
    /// Runs of `S:` lines, perhaps with one `X:` line in front.
    turns: VecDeque<Vec<String>>,
    /// How `input` is cut depends on nothing, unless the transcript is about bytes that come early.
    whole: bool,
    interrupted: bool,
    stay: bool,
    header: String,
    dialogue: Vec<String>,
}

fn parse(text: &str) -> Script {
    let mut script = Script {
        settings: Settings::new("gw.example".parse().unwrap()),
        mails: Vec::new(),
        turns: VecDeque::new(),
        whole: false,
        interrupted: false,
        stay: false,
        header: String::new(),
        dialogue: Vec::new(),
    };
    let mut run: Vec<String> = Vec::new();
    for line in text.lines() {
        let kind = line.get(..2).unwrap_or("");
        if matches!(kind, "S:" | "S-" | "C:" | "C-" | "X:" | "O:" | "V:") {
            script.dialogue.push(line.to_owned());
        }
        let same_run = matches!(kind, "S:" | "S-");
        if !same_run && !run.is_empty() {
            script.turns.push_back(std::mem::take(&mut run));
        }
        match kind {
            "S:" | "S-" | "X:" => run.push(line.to_owned()),
            "C:" | "C-" | "O:" | "V:" | "" => {}
            _ => {
                script.header.push_str(line);
                script.header.push('\n');
                head(&mut script, line);
            }
        }
    }
    if !run.is_empty() {
        script.turns.push_back(run);
    }
    for (mail, content) in &mut script.mails {
        mail.content = facts(content, mail.content);
        if mail.size == 0 {
            mail.size = content.len() as u64;
        }
    }
    script
}

fn facts(content: &[u8], declared: ContentFacts) -> ContentFacts {
    let lines = || content.split(|b| *b == b'\n');
    ContentFacts {
        eight_bit: !content.is_ascii(),
        dots: lines().any(|line| line.starts_with(b".")),
        long_lines: lines().any(|line| line.len() > 999),
        ..declared
    }
}

fn head(script: &mut Script, line: &str) {
    let (key, value) = line.split_once(':').unwrap_or((line, ""));
    let value = value.trim();
    match key {
        "starttls" => {
            script.settings.starttls = match value {
                "never" => StartTls::Never,
                "required" => StartTls::Required,
                _ => StartTls::Opportunistic,
            }
        }
        "pipelining" => script.settings.pipelining = value != "no",
        "chunking" => script.settings.chunking = value != "no",
        "cuts" => script.whole = value == "none",
        "body" => script.interrupted = value == "interrupted",
        "stay" => script.stay = value == "yes",
        "mail" => script.mails.push((mail(value), Vec::new())),
        "rcpt" => script.mails.last_mut().unwrap().0.recipients.push(recipient(value)),
        "text" => script.mails.last_mut().unwrap().1.extend(unescape(&format!("{value}\\r\\n"))),
        "raw" => script.mails.last_mut().unwrap().1.extend(unescape(value)),
        _ => assert!(key.starts_with('#'), "what is {line:?}?"),
    }
}

fn mail(line: &str) -> Mail {
    let mut words = line.split(' ');
    let from = words.next().unwrap();
    let mut mail = Mail {
        reverse_path: match from {
            "<>" => mail::ReversePath::Null,
            from => mail::ReversePath::Mailbox(from.parse().unwrap()),
        },
        recipients: Vec::new(),
        size: 0,
        content: ContentFacts::default(),
        smtputf8: false,
        ret: None,
        envid: None,
    };
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("binary", _) => mail.content.binary = true,
            ("utf8_headers", _) => mail.content.utf8_headers = true,
            ("smtputf8", _) => mail.smtputf8 = true,
            ("size", n) => mail.size = n.parse().unwrap(),
            ("ret", "full") => mail.ret = Some(Ret::Full),
            ("ret", _) => mail.ret = Some(Ret::Headers),
            ("envid", id) => mail.envid = Some(id.into()),
            _ => panic!("what is {word:?}?"),
        }
    }
    mail
}

fn recipient(line: &str) -> MailRecipient {
    let mut words = line.split(' ');
    let forward_path = words.next().unwrap().parse().unwrap();
    let mut recipient = MailRecipient { forward_path, notify: None, original: None };
    for word in words {
        match word.split_once('=').unwrap() {
            ("notify", what) => {
                recipient.notify = Some(Notify {
                    success: what.contains("success"),
                    failure: what.contains("failure"),
                    delay: what.contains("delay"),
                });
            }
            ("orcpt", what) => {
                let (kind, address) = what.split_once(';').unwrap();
                recipient.original = Some(Original { kind: kind.into(), address: address.into() });
            }
            _ => panic!("what is {word:?}?"),
        }
    }
    recipient
}

/// `\r`, `\n`, `\xNN` and `{c*n}`.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let run = rest.strip_prefix('{').and_then(|r| r.split_once('}')).and_then(|(run, after)| {
            let (what, n) = run.split_once('*')?;
            Some((what.repeat(n.parse().ok()?), after))
        });
        if let Some((run, after)) = run {
            bytes.extend_from_slice(run.as_bytes());
            rest = after;
        } else if let Some(hex) = rest.strip_prefix("\\x") {
            bytes.push(u8::from_str_radix(&hex[..2], 16).unwrap());
            rest = &hex[2..];
        } else if let Some(after) = rest.strip_prefix("\\r") {
            bytes.push(b'\r');
            rest = after;
        } else if let Some(after) = rest.strip_prefix("\\n") {
            bytes.push(b'\n');
            rest = after;
        } else {
            bytes.extend_from_slice(c.to_string().as_bytes());
            rest = &rest[c.len_utf8()..];
        }
    }
    bytes
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for part in bytes.utf8_chunks() {
        for c in part.valid().chars() {
            match c {
                '\r' => text.push_str("\\r"),
                '\n' => text.push_str("\\n"),
                c if c.is_control() => text.push_str(&format!("\\x{:02x}", u32::from(c))),
                c => text.push(c),
            }
        }
        part.invalid().iter().for_each(|b| text.push_str(&format!("\\x{b:02x}")));
    }
    let mut short = String::new();
    let chars: Vec<char> = text.chars().collect();
    for run in chars.chunk_by(|a, b| a == b) {
        if run.len() > 16 {
            short.push_str(&format!("{{{}*{}}}", run[0], run.len()));
        } else {
            short.extend(run);
        }
    }
    short
}

/// How the peer's bytes arrive.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Whole,
    Octets,
    At(usize),
}

impl Cut {
    fn pieces(self, bytes: &[u8]) -> Vec<Vec<u8>> {
        match self {
            Cut::Whole => vec![bytes.to_vec()],
            Cut::Octets => bytes.iter().map(|b| vec![*b]).collect(),
            Cut::At(place) => {
                let (front, back) = bytes.split_at(place.min(bytes.len()));
                vec![front.to_vec(), back.to_vec()]
            }
        }
    }
}

/// Drives one client through a transcript and writes down what it does.
struct Stage<'a> {
    client: Client,
    script: &'a Script,
    next_mail: usize,
    turns: VecDeque<Vec<String>>,
    arriving: VecDeque<Vec<u8>>,
    input: Vec<u8>,
    written: Vec<u8>,
    seen: Vec<String>,
}

fn play(script: &Script, cut: Cut) -> Vec<String> {
    let mut stage = Stage {
        client: Client::new(script.settings.clone()),
        script,
        next_mail: 0,
        turns: script.turns.clone(),
        arriving: VecDeque::new(),
        input: Vec::new(),
        written: Vec::new(),
        seen: Vec::new(),
    };
    for _ in 0..100_000 {
        let (taken, output) = stage.client.poll(&stage.input, &mut stage.written);
        stage.input.drain(..taken);
        if !stage.perform(output, cut) {
            return stage.seen;
        }
    }
    panic!("the dialogue never ends");
}

impl Stage<'_> {
    fn say(&mut self, line: String) {
        self.flush();
        self.seen.push(line);
    }

    fn flush(&mut self) {
        let written = std::mem::take(&mut self.written);
        let mut rest = &written[..];
        while let Some(end) = rest.windows(2).position(|w| w == b"\r\n") {
            self.seen.push(format!("C: {}", escape(&rest[..end])).trim_end().to_owned());
            rest = &rest[end + 2..];
        }
        if !rest.is_empty() {
            self.seen.push(format!("C- {}", escape(rest)));
        }
    }

    fn perform(&mut self, output: Output, cut: Cut) -> bool {
        match output {
            Output::Wait => return self.turn(cut),
            Output::Secure => self.say("O: Secure".to_owned()),
            Output::Ready => match self.script.mails.get(self.next_mail) {
                Some((mail, _)) => {
                    self.next_mail += 1;
                    self.client.begin(mail.clone());
                }
                None if self.script.stay => {}
                None => self.client.quit(),
            },
            Output::SendBody(_) if self.script.interrupted => self.say("O: SendBody".to_owned()),
            Output::SendBody(encoding) => self.send_body(encoding),
            Output::Done(finished) => {
                let usable = if finished.usable { "usable" } else { "unusable" };
                self.say(format!("O: Done {usable}{}", if finished.stale { " stale" } else { "" }));
                for verdict in finished.recipients {
                    let word = match &verdict {
                        Verdict::Delivered(_) => "Delivered",
                        Verdict::Deferred(_) => "Deferred",
                        Verdict::Failed(_) => "Failed",
                    };
                    let response = verdict.response();
                    let who = if response.local { "we" } else { "peer" };
                    let about = if response.refuses_recipient() { " about the recipient" } else { "" };
                    self.say(format!("V: {word} {who}{about}: {response}"));
                }
            }
            Output::Refused(response) => {
                let who = if response.local { "we" } else { "peer" };
                self.say(format!("O: Refused {who}: {response}"));
            }
            Output::Close => {
                self.say("O: Close".to_owned());
                return false;
            }
        }
        // Handshakes end without the peer's saying anything the client would see.
        if self.seen.last().is_some_and(|l| l == "O: Secure") { self.turn(cut) } else { true }
    }

    fn send_body(&mut self, encoding: Encoding) {
        let (mail, content) = &self.script.mails[self.next_mail - 1];
        match encoding {
            Encoding::Chunk => self.written.extend_from_slice(content),
            Encoding::Dots => {
                let mut dots = Dots::new();
                if !needs_encoding(&mail.content) {
                    assert_eq!(dots.pass(content), content.len(), "stored content passes as it is");
                    self.written.extend_from_slice(content);
                } else {
                    content.chunks(7).for_each(|chunk| dots.encode(chunk, &mut self.written));
                }
                dots.finish(&mut self.written);
            }
        }
        self.client.body_sent();
    }

    /// The next piece of the turn under way, or the next turn.
    fn turn(&mut self, cut: Cut) -> bool {
        if let Some(piece) = self.arriving.pop_front() {
            self.input.extend(piece);
            return true;
        }
        let Some(turn) = self.turns.pop_front() else {
            self.flush();
            return false;
        };
        let mut bytes = Vec::new();
        for line in &turn {
            self.say(line.clone());
            let text = line[2..].strip_prefix(' ').unwrap_or(&line[2..]);
            match (&line[..2], text) {
                ("S:", text) => bytes.extend(unescape(&format!("{text}\\r\\n"))),
                ("S-", text) => bytes.extend(unescape(text)),
                (_, "secured") => self.client.secured(),
                (_, "secure failed") => self.client.secure_failed(),
                (_, "expired") => self.client.expired(),
                (_, "closed") => self.client.closed(),
                (_, "quit") => self.client.quit(),
                _ => panic!("what is {line:?}?"),
            }
        }
        if turn[0].starts_with('X') {
            // What was read before the connection was closed is there at once.
            self.input.extend(bytes);
        } else {
            self.arriving = cut.pieces(&bytes).into();
        }
        true
    }
}

/// The one check: the dialogue is as written down, however the peer's bytes are cut.
fn check(name: &str) {
    let path = folder().join(format!("{name}.smtp"));
    let script = parse(&std::fs::read_to_string(&path).unwrap());
    let seen = play(&script, Cut::Whole);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, format!("{}\n{}\n", script.header, seen.join("\n"))).unwrap();
        return;
    }
    assert_eq!(seen.join("\n"), script.dialogue.join("\n"), "{name}");
    if script.whole {
        return;
    }
    assert_eq!(play(&script, Cut::Octets).join("\n"), seen.join("\n"), "{name}, octet by octet");
    let longest = script.turns.iter().map(|turn| turn.iter().map(|line| unescape(line).len()).sum()).max().unwrap_or(0);
    for place in (1..longest).step_by(longest / 200 + 1) {
        assert_eq!(play(&script, Cut::At(place)).join("\n"), seen.join("\n"), "{name}, cut at {place}");
    }
}

macro_rules! transcripts {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*
        const TRANSCRIPTS: &[&str] = &[$(stringify!($name)),*];
    };
}

include!("client/list.rs");

#[test]
fn every_transcript_is_played() {
    let mut files: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".smtp").map(str::to_owned))
        .collect();
    files.sort();
    let mut listed: Vec<String> = TRANSCRIPTS.iter().map(|name| (*name).to_owned()).collect();
    listed.sort();
    assert_eq!(files, listed);
}

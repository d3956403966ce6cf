//! What holds for any bytes at all.

use mail::Identity;
use proptest::prelude::*;
use smtp::body::{Chunks, Data, Fault, Limits, Piece};
use smtp::server::{
    Answer, BareNewline, EarlyTalk, Exchange, Note, Output, Question, Session, Settings, TlsFacts, Trust,
};
use std::sync::Arc;
use std::time::Duration;

/// What came out of a session, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Reply(String),
    Note(Note),
    /// A message was asked about, with this content.
    Message(Vec<u8>, bool),
    Abandon,
    Close,
}

/// Drives a session as the contract says, holding it to its side of it.
struct Driver {
    session: Session,
    buffer: Vec<u8>,
    body: Vec<u8>,
    seen: Vec<Seen>,
    /// Decides the answers.
    dice: u64,
    over: bool,
}

impl Driver {
    fn new(settings: Settings, dice: u64) -> Driver {
        let mut driver = Driver {
            session: Session::new(Arc::new(settings)),
            buffer: Vec::new(),
            body: Vec::new(),
            seen: Vec::new(),
            dice,
            over: false,
        };
        driver.run();
        driver
    }

    fn send(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        self.run();
    }

    fn run(&mut self) {
        // Each octet may lead to a few outputs and no more: no poll without end.
        let mut fuel = 8 * self.buffer.len() + 16;
        while !self.over {
            fuel -= 1;
            assert!(fuel > 0, "polled without end");
            let (taken, output) = self.session.poll(&self.buffer);
            assert!(taken <= self.buffer.len(), "took more than there was");
            let mut answer = None;
            let mut secured = false;
            match output {
                Output::Wait => {
                    self.buffer.drain(..taken);
                    return;
                }
                Output::Reply(reply) => self.seen.push(Seen::Reply(reply.to_string())),
                Output::Note(note) => self.seen.push(Seen::Note(note)),
                Output::Body(octets) => {
                    assert!(!octets.is_empty());
                    self.body.extend_from_slice(octets);
                }
                Output::Abandon => {
                    self.body.clear();
                    self.seen.push(Seen::Abandon);
                }
                Output::Forwarded(_) => {}
                Output::Secure => secured = true,
                Output::Pause(_) => {}
                Output::Close => {
                    self.seen.push(Seen::Close);
                    self.over = true;
                }
                Output::Ask(question) => {
                    if let Question::Message(transaction) = &question {
                        assert!(!transaction.recipients.is_empty(), "a message for nobody");
                        assert_eq!(transaction.size, self.body.len() as u64);
                        let binary = transaction.sender.body == smtp::server::Body::Binary;
                        self.seen.push(Seen::Message(std::mem::take(&mut self.body), binary));
                    }
                    answer = Some(choose(&mut self.dice, &question));
                }
            }
            self.buffer.drain(..taken);
            if let Some(answer) = answer {
                self.session.answer(answer);
            }
            if secured {
                self.session.secured(TlsFacts { version: "TLSv1.3".into(), cipher: "x".into(), server_name: None });
            }
        }
    }
}

fn choose(dice: &mut u64, question: &Question<'_>) -> Answer {
    *dice = dice.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
    let refusal = || mail::Reply::never(50, 7, 1, "No");
    match (question, *dice >> 60) {
        (Question::Credentials(_), 0..8) => Answer::Challenge(vec![1, 2, 3]),
        (Question::Credentials(_), 8..12) => Answer::Known(Identity::account("u1")),
        (Question::Credentials(_), 12..14) => Answer::Peer("ex1".into(), Trust { xclient: true, xforward: true }),
        (Question::Connection, 0..4) => Answer::MustAuthenticate,
        (Question::Connection, _) => Answer::Proceed,
        (_, 0) => Answer::Refuse(refusal()),
        (Question::Message(_), _) => Answer::Taken("Q".into()),
        _ => Answer::Proceed,
    }
}

fn settings(normalise: bool) -> Settings {
    let mut settings = Settings::new("mx.test".parse().expect("a domain"));
    settings.mechanisms = vec!["PLAIN".into()];
    settings.offers.starttls = true;
    settings.message_size_bytes = Some(400);
    settings.session_size_bytes = Some(900);
    settings.text_line_octets = 60;
    settings.header_size_bytes = 200;
    settings.command_line_octets = 60;
    settings.recipients_per_message = 3;
    settings.errors_limit = 12;
    settings.bare_newline = if normalise { BareNewline::Normalise } else { BareNewline::Reject };
    settings
}

/// Pieces of conversations, sensible and not, and bytes.
fn segment() -> impl Strategy<Value = Vec<u8>> {
    let words: &[&[u8]] = &[
        b"EHLO there.test\r\n",
        b"HELO there.test\r\n",
        b"MAIL FROM:<a@there.test>\r\n",
        b"MAIL FROM:<> BODY=BINARYMIME SIZE=40\r\n",
        b"RCPT TO:<alice@corp.example>\r\n",
        b"RCPT TO:<bob@corp.example> NOTIFY=NEVER\r\n",
        b"DATA\r\n",
        b"text\r\n.\r\n",
        b".\r\n",
        b"..two\r\n",
        b"a: b\r\n\r\n",
        b"one\ntwo\rthree\r\r\n",
        b"\n.\n",
        b"\n.\r\n",
        b".\r\r\n",
        b"\0",
        b"BDAT 6\r\ntext\r\n",
        b"BDAT 4 LAST\r\nabc\r",
        b"BDAT 4\r\nabc\r",
        b"BDAT 1 LAST\r\n\n",
        b"BDAT 0 LAST\r\n",
        b"BDAT 500\r\n",
        b"BDAT x\r\n",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"QUIT\r\n",
        b"STARTTLS\r\n",
        b"AUTH PLAIN AGEAYg==\r\n",
        b"AUTH PLAIN\r\n",
        b"AAAA\r\n",
        b"*\r\n",
        b"XEXCH50 99999999 2\r\n",
        b"NOOP 1234567890123456789012345678901234567890123456789012345678901234567890\r\n",
        b"1234567890123456789012345678901234567890123456789012345678901234567890",
        b"\r",
        b"\n",
        b".",
    ];
    let words: Vec<Vec<u8>> = words.iter().map(|word| word.to_vec()).collect();
    prop_oneof![
        12 => proptest::sample::select(words),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

/// Conversations that often reach content.
fn segments() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let usual: [&[u8]; 3] =
        [b"EHLO there.test\r\n", b"MAIL FROM:<a@there.test>\r\n", b"RCPT TO:<alice@corp.example>\r\n"];
    let usual: Vec<Vec<u8>> = usual.iter().map(|line| line.to_vec()).collect();
    (0usize..=3, any::<bool>(), proptest::collection::vec(segment(), 0..25)).prop_map(move |(count, data, mut rest)| {
        let mut all = usual[..count].to_vec();
        if data {
            all.push(b"DATA\r\n".to_vec());
        }
        all.append(&mut rest);
        all
    })
}

fn has_bare_newline(content: &[u8]) -> bool {
    (0..content.len()).any(|at| match content[at] {
        b'\r' => content.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || content[at - 1] != b'\r',
        _ => false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_borne_and_nothing_unclean_is_kept(
        segments in segments(), normalise: bool, strict: bool, dice: u64,
    ) {
        let mut settings = settings(normalise);
        settings.early_talk = if strict { EarlyTalk::Close } else { EarlyTalk::Count };
        let mut driver = Driver::new(settings, dice);
        for segment in &segments {
            driver.send(segment);
        }
        for seen in &driver.seen {
            if let Seen::Message(content, false) = seen {
                prop_assert!(!has_bare_newline(content), "{content:?}");
                prop_assert!(!content.contains(&0));
            }
        }
    }

    #[test]
    fn any_chunking_same_outputs(
        segments in segments(), normalise: bool, dice: u64,
        cuts in proptest::collection::vec(1usize..9, 1..9),
    ) {
        let mut whole = Driver::new(settings(normalise), dice);
        let mut cut = Driver::new(settings(normalise), dice);
        for segment in &segments {
            whole.send(segment);
            let mut rest = &segment[..];
            for size in cuts.iter().cycle() {
                let (now, later) = rest.split_at((*size).min(rest.len()));
                cut.send(now);
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
        }
        // Who talks early, and only who does, makes segments matter.
        prop_assume!(!whole.seen.contains(&Seen::Note(Note::EarlyTalk)));
        prop_assert_eq!(whole.seen, cut.seen);
    }

    #[test]
    fn row01_only_one_sequence_ends_content(
        content in proptest::collection::vec(
            prop_oneof![3 => Just(b'\r'), 3 => Just(b'\n'), 3 => Just(b'.'), 1 => Just(0), 2 => Just(b'a')], 0..60),
        normalise: bool,
        cut in 0usize..60,
    ) {
        let mut wire = content.clone();
        wire.extend_from_slice(b"\r\n.\r\nQUIT\r\n");
        // The oracle: content starts behind a CR LF, and ends at the first CR LF . CR LF.
        let framed = [b"\r\n", &wire[..]].concat();
        let end = framed.windows(5).position(|five| five == b"\r\n.\r\n").unwrap() + 3;
        prop_assert_eq!(taken_by_data(&wire, cut, normalise), end);
    }

    #[test]
    fn row05_dots_survive(
        lines in proptest::collection::vec("[.a]{0,5}", 0..12),
        cut in 0usize..60,
    ) {
        let mut content = Vec::new();
        let mut wire = Vec::new();
        for line in &lines {
            if line.starts_with('.') {
                wire.push(b'.');
            }
            for bytes in [&mut content, &mut wire] {
                bytes.extend_from_slice(line.as_bytes());
                bytes.extend_from_slice(b"\r\n");
            }
        }
        wire.extend_from_slice(b".\r\n");
        prop_assert_eq!(decode(&wire, cut), content);
    }
}

fn limits(normalise: bool) -> Limits {
    Limits { size_bytes: 10_000, line_octets: 10_000, header_bytes: 10_000, normalise }
}

/// How many octets DATA takes, faults or not, when the wire is cut once.
fn taken_by_data(wire: &[u8], cut: usize, normalise: bool) -> usize {
    let mut data = Data::new(limits(normalise));
    let (mut at, mut lost) = (0, false);
    for arrived in [cut.min(wire.len()), wire.len()] {
        loop {
            let rest = &wire[at..arrived];
            let (taken, piece) = match lost {
                true => match data.skip(rest) {
                    (taken, true) => (taken, Piece::End),
                    (taken, false) => (taken, Piece::More),
                },
                false => data.take(rest),
            };
            at += taken;
            match piece {
                Piece::End => return at,
                Piece::More => break,
                Piece::Fault(_) => lost = true,
                Piece::Content(_) | Piece::Newline => {}
            }
        }
    }
    panic!("no end in {wire:?}");
}

fn decode(wire: &[u8], cut: usize) -> Vec<u8> {
    let mut data = Data::new(limits(false));
    let mut content = Vec::new();
    let mut at = 0;
    for arrived in [cut.min(wire.len()), wire.len()] {
        loop {
            let rest = &wire[at..arrived.max(at)];
            let (taken, piece) = data.take(rest);
            match piece {
                Piece::Content(range) => content.extend_from_slice(&rest[range]),
                Piece::End => return content,
                Piece::More => break,
                other => panic!("{other:?}"),
            }
            at += taken;
        }
    }
    panic!("no end in {wire:?}");
}

#[test]
fn row11_talk_before_the_greeting() {
    for (early_talk, expected) in
        [(EarlyTalk::Count, "220 mx.test ESMTP"), (EarlyTalk::Close, "554 5.5.1 Wait for the reply")]
    {
        let mut session = Session::new(Arc::new(Settings { early_talk, ..settings(false) }));
        let input = b"EHLO there.test\r\n";
        assert!(matches!(session.poll(input), (0, Output::Ask(Question::Connection))));
        session.answer(Answer::Proceed);
        assert!(matches!(session.poll(input), (0, Output::Note(Note::EarlyTalk))));
        assert!(matches!(session.poll(input), (0, Output::Reply(reply)) if reply.to_string() == expected));
    }
}

#[test]
fn row06_bytes_that_arrive_before_the_handshake_end_everything() {
    let mut session = Session::new(Arc::new(settings(false)));
    let _ = session.poll(b"");
    session.answer(Answer::Proceed);
    let _ = session.poll(b"");
    assert!(matches!(session.poll(b"STARTTLS\r\n"), (10, Output::Reply(_))));
    assert!(matches!(session.poll(b"NOOP\r\n"), (6, Output::Note(Note::EarlyTalk))));
    assert!(matches!(session.poll(b"NOOP\r\n"), (0, Output::Close)));
}

#[test]
fn l08_patience_depends_on_what_is_under_way() {
    let mut driver = Driver::new(Settings { data_limit: Duration::from_secs(1), ..settings(false) }, 1);
    let (idle, command, data) = (Duration::from_secs(600), Duration::from_secs(300), Duration::from_secs(1));
    let line = Duration::from_secs(60);
    assert_eq!(driver.session.patience(), idle);
    driver.send(b"EHLO the");
    assert_eq!(driver.session.patience(), line, "half a line");
    driver.send(b"re.test\r\n");
    assert_eq!(driver.session.patience(), idle);
    driver.send(b"MAIL FROM:<>\r\nRCPT TO:<a@corp.example>\r\n");
    assert_eq!(driver.session.patience(), command);
    assert!(driver.session.in_transaction() && !driver.session.in_body());
    driver.send(b"DATA\r\n");
    assert_eq!(driver.session.patience(), data);
    assert!(driver.session.in_transaction() && driver.session.in_body());
    driver.send(b"text\r\n.\r\n");
    assert_eq!(driver.session.patience(), idle);
    assert!(!driver.session.in_transaction());
}

#[test]
fn octets_of_a_line_are_no_progress_and_its_beginning_and_end_are() {
    let mut driver = Driver::new(Settings { command_line_octets: 512, ..settings(false) }, 1);
    let mut before = driver.session.progress();
    let mut moved =
        |driver: &Driver| std::mem::replace(&mut before, driver.session.progress()) != driver.session.progress();
    driver.send(b"N");
    assert!(moved(&driver));
    driver.send(b"O");
    driver.send(b"OP");
    assert!(!moved(&driver), "in the middle of a line");
    // Over the limit octets are taken, and still nothing has come of them.
    driver.send(&[b'x'; 600]);
    driver.send(&[b'x'; 600]);
    assert!(!moved(&driver), "in the middle of a line too long");
    driver.send(b"\r\n");
    assert!(moved(&driver));
    driver.send(b"NOOP\r\n");
    assert!(moved(&driver));
}

#[test]
fn row12_what_the_session_knows_of_its_client() {
    let mut driver = Driver::new(settings(false), 3);
    driver.send(b"EHLO There.Test\r\n");
    let hello = driver.session.hello().unwrap();
    assert_eq!((hello.name.as_ref().unwrap().to_string().as_str(), hello.extended), ("there.test", true));
    driver.send(b"HELO bare\x80name\r\n");
    assert!(driver.session.hello().unwrap().extended, "a line that is refused changes nothing");
    driver.send(b"HELO two words\r\n");
    assert_eq!(driver.session.hello().unwrap().name, None);
    driver.send(b"STARTTLS\r\n");
    assert_eq!(driver.session.hello(), None);
    assert_eq!(&*driver.session.tls().unwrap().version, "TLSv1.3");
    assert_eq!(driver.session.identity(), &Identity::Anonymous);
}

#[test]
fn a_stop_waits_for_the_answer_about_a_message() {
    let mut session = Session::new(Arc::new(settings(false)));
    let mut input: &[u8] = b"";
    let mut said = Vec::new();
    let lines: [&[u8]; 5] =
        [b"EHLO there.test\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<a@corp.example>\r\n", b"DATA\r\n", b"text\r\n.\r\n"];
    let mut lines = lines.into_iter();
    loop {
        let (taken, output) = session.poll(input);
        input = &input[taken..];
        match output {
            Output::Wait => input = lines.next().unwrap(),
            Output::Reply(reply) => said.push(reply.to_string()),
            Output::Ask(Question::Message(_)) => {
                session.shut();
                session.answer(Answer::Taken("Q1".into()));
            }
            Output::Ask(_) => session.answer(Answer::Proceed),
            Output::Close => break,
            _ => {}
        }
    }
    assert_eq!(said[said.len() - 2..], ["250 2.6.0 Q1 queued", "421 4.3.2 Service shutting down"]);
}

#[test]
fn credentials_are_never_printed() {
    let exchange = Exchange { mechanism: "PLAIN", begins: true, response: Some(b"secret") };
    assert_eq!(format!("{exchange:?}"), "Exchange(PLAIN, …)");
    let mut session = Session::new(Arc::new(settings(false)));
    let _ = session.poll(b"");
    session.answer(Answer::Proceed);
    let _ = session.poll(b"");
    let _ = session.poll(b"EHLO there.test\r\n");
    // "secret" as base64 and as the octets of a derived Debug.
    let (_, output) = session.poll(b"AUTH PLAIN c2VjcmV0\r\n");
    let output = format!("{output:?}");
    let printed = format!("{output} {session:?} {:?}", Answer::Challenge(b"secret".to_vec()));
    for secret in ["secret", "c2VjcmV0", "115, 101, 99", "[115"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn row09_a_chunk_is_measured_before_it_is_read() {
    let mut driver = Driver::new(settings(false), 1);
    driver.send(b"EHLO there.test\r\nMAIL FROM:<>\r\nRCPT TO:<a@corp.example>\r\nBDAT 401 LAST\r\n");
    assert_eq!(driver.seen[driver.seen.len() - 2..], [Seen::Abandon, Seen::Note(Note::TooBig { declared: false })]);
    driver.send(&[b'a'; 401]);
    assert_eq!(driver.seen.last(), Some(&Seen::Reply("552 5.3.4 Message size exceeds limit".to_owned())));
}

/// Content that is mostly plain lines, with whatever needs a decision in between; longer than what is
/// looked at in one piece.
fn long_content() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        30 => (0..90_usize).prop_map(|octets| [vec![b'x'; octets], b"\r\n".to_vec()].concat()),
        2 => (90..1_200_usize).prop_map(|octets| [vec![b'y'; octets], b"\r\n".to_vec()].concat()),
        2 => "\r\n\r\n|\\.x\r\n|\\.\\.\r\n".prop_map(String::into_bytes),
        1 => prop_oneof![Just("\r"), Just("\n"), Just("\0"), Just("\r\r\n")].prop_map(|odd| odd.as_bytes().to_vec()),
    ];
    proptest::collection::vec(piece, 0..80).prop_map(|pieces| [b"A: b\r\n\r\n".to_vec(), pieces.concat()].concat())
}

/// What comes of a content of which `cut` octets arrive at a time: itself, or why it is lost.
fn outcome(wire: &[u8], cut: usize, mut take: impl FnMut(&[u8]) -> (usize, Piece)) -> Result<Vec<u8>, Fault> {
    let (mut content, mut at, mut have) = (Vec::new(), 0, 0);
    loop {
        let (taken, piece) = take(&wire[at..have]);
        match piece {
            Piece::Content(range) => content.extend_from_slice(&wire[at..have][range]),
            Piece::Newline => content.extend_from_slice(b"\r\n"),
            Piece::Fault(fault) => return Err(fault),
            Piece::End => return Ok(content),
            Piece::More if have == wire.len() => panic!("the end has arrived"),
            Piece::More => have = wire.len().min(have + cut),
        }
        at += taken;
    }
}

proptest! {
    /// Octet by octet, nothing can be passed in one piece.
    #[test]
    fn rows01_to_05_16_24_25_what_comes_at_once_means_what_comes_octet_by_octet(
        content in long_content(), normalise: bool, cut in 1..3_000_usize,
        size_bytes in prop_oneof![Just(1_000_u64), Just(100_000)],
        line_octets in prop_oneof![Just(100_usize), Just(998)],
    ) {
        let limits = Limits { size_bytes, line_octets, header_bytes: 200, normalise };
        let data = |cut| {
            let (wire, mut data) = ([&content[..], b"\r\n.\r\n"].concat(), Data::new(limits));
            outcome(&wire, cut, |input| data.take(input))
        };
        prop_assert_eq!(data(cut), data(1));
        let chunks = |cut| {
            let mut chunks = Chunks::new(limits, false);
            chunks.begin(content.len() as u64, true);
            outcome(&content, cut, |input| chunks.take(input))
        };
        prop_assert_eq!(chunks(cut), chunks(1));
    }
}

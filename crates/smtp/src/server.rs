//! The receiving side of a conversation.
//!
//! [`Session`] holds no socket, no clock and no buffer. It is shown the unread bytes, takes some of
//! them and gives out one thing to do at a time; what it cannot decide, it asks. The contract:
//!
//! 1. Call [`poll`](Session::poll) again and again, dropping from the buffer what it took each time
//!    and performing each output, until it gives [`Output::Wait`]; only then read more, and poll with
//!    the old rest and the new bytes.
//! 2. After [`Output::Ask`], call [`answer`](Session::answer) before the next poll; after
//!    [`Output::Secure`], call [`secured`](Session::secured) or close.
//! 3. After [`Output::Close`] the session is over; nothing it is given matters.

mod auth;
mod body;
mod commands;
mod door;
mod question;
mod say;
mod settings;
mod state;
mod transaction;

pub use crate::envelope::{Body, Notify, Original, Recipient, Ret, Sender};
pub use crate::extensions::Offers;
pub use door::Door;
pub use question::{Answer, Exchange, Framing, Hello, Note, Output, Question, TlsFacts, Transaction, Trust};
pub use settings::{BareNewline, EarlyTalk, Settings};

use crate::line::{Line, Lines};
use crate::{command, sasl};
use mail::{Identity, Reply};
use state::{About, Asking, Mechanism, State};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// One conversation, seen by the server.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    hello: Option<Hello>,
    identity: Identity,
    /// Connection control has not let it in: it may only authenticate.
    must_authenticate: bool,
    /// Commands it has said at the door.
    door_commands: u32,
    /// AUTH has succeeded; a certificate alone may have said who it is without it.
    authenticated: bool,
    /// What the client may claim about others.
    trust: Trust,
    /// Failed attempts to authenticate.
    failures: u32,
    tls: Option<TlsFacts>,
    state: State,
    lines: Lines,
    /// What is to be given out before anything more is read.
    said: VecDeque<Output<'static>>,
    errors: u32,
    bare_newlines: u32,
    /// Octets of content this session has brought.
    spent_bytes: u64,
    /// MAIL was refused: what was pipelined behind it is out of order without being a mistake.
    mail_refused: bool,
    /// A line has begun and not ended.
    halfway: bool,
    /// See [`Session::progress`].
    progress: u64,
    /// The session ends once the question that is out is answered.
    stopping: bool,
}

impl Session {
    /// A session that has not been greeted yet. Where TLS comes before everything else, call
    /// [`secured`](Session::secured) at once.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Session {
        Session {
            settings,
            hello: None,
            identity: Identity::Anonymous,
            must_authenticate: false,
            door_commands: 0,
            authenticated: false,
            trust: Trust::default(),
            failures: 0,
            tls: None,
            state: State::Connecting,
            lines: Lines::default(),
            said: VecDeque::new(),
            errors: 0,
            bare_newlines: 0,
            spent_bytes: 0,
            mail_refused: false,
            halfway: false,
            progress: 0,
            stopping: false,
        }
    }

    /// Looks at the unread bytes, takes some of them (the number) and says what is to be done next.
    pub fn poll<'a>(&'a mut self, input: &'a [u8]) -> (usize, Output<'a>) {
        let (taken, next) = self.step(input);
        let output = match next {
            Next::Said(output) => output,
            Next::Body(range) => Output::Body(&input[range]),
            Next::Newline => Output::Body(b"\r\n"),
            Next::Ask => Output::Ask(self.question()),
        };
        (taken, output)
    }

    /// Gives the decision that was asked for. Without a question it has no effect.
    pub fn answer(&mut self, answer: Answer) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Asking(Asking { about, put: true }) => {
                self.state = self.decided(about, answer);
                if self.stopping {
                    self.end(None, say::shutting_down());
                }
            }
            other => self.state = other,
        }
    }

    /// The handshake is done. Everything learnt in the clear is forgotten (RFC 3207 §4.2).
    pub fn secured(&mut self, tls: TlsFacts) {
        self.tls = Some(tls);
        if let State::Securing { .. } = self.state {
            self.hello = None;
            self.identity = Identity::Anonymous;
            self.trust = Trust::default();
            self.lines = Lines::default();
            self.mail_refused = false;
            self.state = State::Ready;
        }
    }

    /// The certificate of the handshake has said which server of the organization this is. AUTH is still
    /// possible.
    pub fn recognised(&mut self, name: Box<str>, trust: Trust) {
        self.identity = Identity::Peer(name);
        self.trust = trust;
    }

    /// Patience with the client is over: 421 4.4.2, then close (L08). Not for questions: they are the
    /// driver's to answer.
    pub fn expired(&mut self) {
        self.end(Some(Note::Expired), say::expired());
    }

    /// The client sends its message more slowly than is borne: 421 4.4.2, then close.
    pub fn dragged(&mut self) {
        self.end(Some(Note::TooSlow), say::too_slow());
    }

    /// The service is stopping: 421 4.3.2, then close. A question that is out is answered and its
    /// reply said first, so that nothing that was kept is denied. Content under way is abandoned; the
    /// driver decides whether to let it finish before.
    pub fn shut(&mut self) {
        match self.state {
            State::Asking(Asking { put: true, .. }) => self.stopping = true,
            _ => self.end(None, say::shutting_down()),
        }
    }

    /// How long to wait for input now, counted from when [`Session::progress`] last changed: a client
    /// that trickles the octets of a command earns no time with them.
    #[must_use]
    pub fn patience(&self) -> Duration {
        match &self.state {
            state if state.in_body() => self.settings.data_limit,
            State::Securing { .. } => self.settings.line_limit,
            _ if self.halfway => self.settings.line_limit,
            State::Ready | State::Greeting | State::Connecting => self.settings.idle_limit,
            _ => self.settings.command_limit,
        }
    }

    /// Changes when a line begins, when it has ended, and with every octet of content.
    #[must_use]
    pub fn progress(&self) -> u64 {
        self.progress
    }

    /// Whether a transaction is open.
    #[must_use]
    pub fn in_transaction(&self) -> bool {
        self.state.in_transaction()
    }

    /// Whether content is being received.
    #[must_use]
    pub fn in_body(&self) -> bool {
        self.state.in_body()
    }

    /// What the client called itself.
    #[must_use]
    pub fn hello(&self) -> Option<&Hello> {
        self.hello.as_ref()
    }

    /// Who the client has proved to be.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What is known about the secured link.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_ref()
    }

    fn step(&mut self, input: &[u8]) -> (usize, Next) {
        let mut taken = 0;
        loop {
            if let Some(output) = self.said.pop_front() {
                if matches!(output, Output::Close) {
                    self.state = State::Closed;
                    self.said.clear();
                }
                return (taken, Next::Said(output));
            }
            let unread = &input[taken..];
            let (more, next) = match &self.state {
                State::Connecting | State::Asking(Asking { put: false, .. }) => return (taken, Next::Ask),
                State::Asking(_) | State::Securing { asked: true } => return (taken, Next::Said(Output::Wait)),
                State::Closed => return (taken, Next::Said(Output::Close)),
                State::Greeting => (0, self.greet(unread)),
                State::Securing { asked: false } => self.hand_over(unread),
                state if state.in_body() => self.receive(unread, taken),
                _ => self.read_line(unread),
            };
            taken += more;
            if let Some(next) = next {
                return (taken, next);
            }
        }
    }

    /// The question that is out, from what the state holds.
    fn question(&mut self) -> Question<'_> {
        if let State::Connecting = self.state {
            self.state = State::asking(About::Connection);
        }
        let State::Asking(asking) = &mut self.state else { unreachable!("only asked for in this state") };
        asking.put = true;
        match &mut asking.about {
            About::Connection => Question::Connection,
            About::Credentials(progress, secret) => {
                let mechanism = match progress.mechanism {
                    Mechanism::InTheClear(at) => &self.settings.mechanisms[at],
                    Mechanism::WhenSecured(at) => &self.settings.mechanisms_when_secured[at],
                };
                Question::Credentials(Exchange {
                    mechanism,
                    begins: progress.round == 0,
                    response: secret.0.as_deref(),
                })
            }
            About::Claims(claims) => Question::Claims(claims),
            About::Sender(transaction) => Question::Sender(&transaction.sender),
            About::Recipient(_, recipient) => Question::Recipient(recipient),
            About::Message(transaction) => {
                Question::Message(transaction.take().expect("a message is asked about once, before `put` is set"))
            }
        }
    }

    fn decided(&mut self, about: About, answer: Answer) -> State {
        match (about, answer) {
            (about, Answer::Dismiss(reply)) => {
                if let About::Credentials(..) = about {
                    self.delay_guessing();
                }
                self.close(reply)
            }
            (About::Connection | About::Claims(_), Answer::Refuse(reply)) => self.close(reply),
            (About::Connection | About::Claims(_), Answer::Known(identity)) => self.admitted(identity),
            (About::Connection | About::Claims(_), Answer::Proceed) => self.admitted(Identity::Anonymous),
            (About::Connection | About::Claims(_), Answer::MustAuthenticate) => {
                let state = self.admitted(Identity::Anonymous);
                (self.must_authenticate, self.door_commands) = (true, 0);
                state
            }
            (About::Connection | About::Claims(_), Answer::Challenge(_) | Answer::Taken(_) | Answer::Peer(..)) => {
                self.close(say::local_error())
            }
            (About::Credentials(progress, _), answer) => self.authenticated(progress, answer),
            (About::Sender(transaction), answer) => self.sender_decided(transaction, answer),
            (About::Recipient(transaction, recipient), answer) => {
                self.recipient_decided(transaction, recipient, answer)
            }
            (About::Message(_), answer) => self.message_decided(answer),
        }
    }

    /// Somebody is let in: at the beginning, or as the client of a peer. From then on it may be the client
    /// that speaks, through a peer that hands on what it hears; so the peer's trust ends there.
    fn admitted(&mut self, identity: Identity) -> State {
        self.trust = Trust::default();
        self.must_authenticate = false;
        self.authenticated = identity.is_authenticated();
        self.identity = identity;
        State::Greeting
    }

    fn read_line(&mut self, input: &[u8]) -> (usize, Option<Next>) {
        let challenged = matches!(self.state, State::Challenged(_));
        let long = challenged || self.settings.has_auth() && command::starts_auth(input);
        let limit = if long { sasl::AUTH_LINE_OCTETS } else { self.settings.command_line_octets };
        let (taken, line) = self.lines.take(input, limit);
        let early = taken < input.len();
        let halfway = line == Line::More && !input.is_empty();
        self.progress += u64::from(line != Line::More || halfway != self.halfway);
        self.halfway = halfway;
        match line {
            Line::More => return (taken, Some(Next::Said(Output::Wait))),
            Line::Complete(line) => self.line(line, early),
            Line::TooLong => self.refused_line(Note::LineTooLong),
            Line::Bare => self.refused_line(Note::BareNewline),
        }
        (taken, None)
    }

    fn greet(&mut self, input: &[u8]) -> Option<Next> {
        if self.talked_early(!input.is_empty()) {
            self.state = self.close(say::early_talk());
        } else {
            self.say(say::greeting(&self.settings.hostname));
            self.state = State::Ready;
        }
        None
    }

    fn say(&mut self, reply: Reply) {
        self.said.push_back(Output::Reply(reply));
    }

    fn note(&mut self, note: Note) {
        self.said.push_back(Output::Note(note));
    }

    fn close(&mut self, reply: Reply) -> State {
        self.say(reply);
        State::Closed
    }

    fn end(&mut self, note: Option<Note>, reply: Reply) {
        if let State::Closed = self.state {
            return;
        }
        if self.state.has_content() {
            self.said.push_back(Output::Abandon);
        }
        self.said.extend(note.map(Output::Note));
        self.state = match self.state {
            // Nothing in the clear may stand between the go-ahead and the handshake.
            State::Securing { .. } => State::Closed,
            _ => self.close(reply),
        };
    }

    /// Says what was wrong, and counts it. The error that reaches the limit ends the session.
    fn fault(&mut self, note: Note, reply: Reply) {
        self.note(note);
        self.say_mistake(reply);
    }

    /// A failed attempt to authenticate, which is also a mistake. The one that reaches its limit ends the
    /// session (faults page, figure 6).
    fn failed(&mut self, reply: Reply) -> State {
        self.delay_guessing();
        self.failures += 1;
        if self.failures < self.settings.failures_limit {
            return self.mistaken(State::Ready, reply);
        }
        self.note(Note::TooManyFailures);
        self.close(say::too_many_failures())
    }

    fn count(&mut self, note: Note) {
        self.note(note);
        self.errors += 1;
    }

    fn say_mistake(&mut self, reply: Reply) {
        self.errors += 1;
        if self.errors < self.settings.errors_limit {
            self.say(reply);
        } else {
            self.note(Note::TooManyErrors);
            self.say(say::too_many_errors());
            self.said.push_back(Output::Close);
        }
    }

    /// Whether a client that did not wait for its reply must go (conformance row 11).
    fn talked_early(&mut self, early: bool) -> bool {
        if early {
            self.note(Note::EarlyTalk);
        }
        early && self.settings.early_talk == EarlyTalk::Close
    }
}

/// What a step leads to; [`Session::poll`] makes the output of it.
enum Next {
    Said(Output<'static>),
    /// These octets of the input are content.
    Body(Range<usize>),
    /// A CR LF of content that the input does not hold in one piece.
    Newline,
    Ask,
}

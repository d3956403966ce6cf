//! Which command is legal in which state, in one table.

use super::state::{About, State};
use super::{Hello, Next, Note, Output, Session, say};
use crate::claims::{Claims, Verb};
use crate::command::{self, Command, Mistake};
use crate::extensions::ehlo_lines;
use crate::line::{self, NotText};

impl Session {
    /// A line has come; `early` says that there was something behind it.
    pub(super) fn line(&mut self, line: &[u8], early: bool) {
        let state = std::mem::replace(&mut self.state, State::Closed);
        self.state = match state {
            State::Challenged(progress) => self.response(progress, line, early),
            state if self.wears_out_the_door() => self.turned_away(&state),
            state => match line::text(line) {
                Ok(text) => match command::parse(text) {
                    Ok(command) => self.in_turn(state, command, early),
                    Err(mistake) => self.mistake(state, mistake),
                },
                Err(_) if command::announces_chunk(line) => self.mistake(state, Mistake::ChunkSize),
                Err(NotText::Nul) => self.refuse(state, Note::NulOctet, say::not_text()),
                Err(NotText::Other) => self.mistake(state, Mistake::NotText),
            },
        };
    }

    /// A line that broke a rule of lines. The rest of it is skipped by `Lines`.
    pub(super) fn refused_line(&mut self, note: Note) {
        let reply = match (&self.state, note) {
            (State::Challenged(_), Note::LineTooLong) => say::exchange_line_too_long(),
            (_, Note::LineTooLong) => say::line_too_long(),
            _ => say::bare_newline(),
        };
        if let State::Challenged(_) = self.state {
            self.state = State::Ready;
        }
        self.fault(note, reply);
        self.bare_newlines += u32::from(note == Note::BareNewline);
        if self.bare_newlines > 1 {
            self.said.push_back(Output::Close);
        }
    }

    /// Judges the order in time, then the order of commands.
    fn in_turn(&mut self, state: State, command: Command<'_>, early: bool) -> State {
        match command {
            // What stands behind STARTTLS may be another's words: nothing more is said in the clear
            // (CVE-2011-0411; conformance row 6; L15).
            Command::StartTls if early => {
                self.abandon(&state);
                self.note(Note::EarlyTalk);
                State::Closed
            }
            // What stands behind DATA would be content if DATA is accepted and commands if not.
            Command::Data if early => {
                self.abandon(&state);
                self.note(Note::EarlyTalk);
                self.close(say::early_talk())
            }
            _ if self.must_be_last(&command) && self.talked_early(early) => {
                self.abandon(&state);
                self.close(say::early_talk())
            }
            command => self.obey(state, command),
        }
    }

    /// RFC 2920 §3.1: which commands may only be the last of a group. Without PIPELINING all are,
    /// save BDAT, whose octets follow at once.
    fn must_be_last(&self, command: &Command<'_>) -> bool {
        match command {
            Command::Bdat(_) | Command::Unknown | Command::Foreign => false,
            Command::Mail(_) | Command::Rcpt(_) | Command::Rset => !self.offers().pipelining,
            _ => true,
        }
    }

    fn obey(&mut self, state: State, command: Command<'_>) -> State {
        match (state, command) {
            (state, Command::Ehlo(name)) => self.greeted(&state, name, true),
            (state, Command::Helo(name)) => self.greeted(&state, name, false),
            (state, Command::Noop) => self.plainly(state, say::noop()),
            (state, Command::Help) => self.plainly(state, say::help()),
            (state, Command::Quit) => {
                self.abandon(&state);
                self.close(say::goodbye())
            }
            (state, Command::Rset) => {
                self.abandon(&state);
                self.plainly(State::Ready, say::reset())
            }
            (state, Command::Unknown) => self.refuse(state, Note::UnknownCommand, say::unknown_command()),
            (state, Command::Xclient(attributes)) => self.xclient(state, attributes),
            (state, Command::Xforward(attributes)) => self.xforward(state, attributes),
            (state, Command::Foreign) => self.refuse(state, Note::ForeignVerb, say::unknown_command()),
            (State::Ready, Command::StartTls) => self.start_tls(),
            (state, Command::StartTls) => self.disorder(state, "Not in a transaction"),
            (state, command) if self.settings.tls_required && self.tls.is_none() => self.needs_tls(state, command),
            (state, Command::Vrfy | Command::Expn | Command::Etrn) if self.at_door() => self.not_at_the_door(state),
            (state, Command::Vrfy) => self.plainly(state, say::cannot_verify()),
            (state, Command::Expn) => self.refuse(state, Note::UnknownCommand, say::not_implemented()),
            (state, Command::Turn) => self.turn(state),
            (State::Ready, Command::Etrn) => self.plainly(State::Ready, say::node_not_allowed()),
            (state, Command::Etrn) => self.disorder(state, "Not in a transaction"),
            (state, Command::Auth(auth)) => self.auth(state, auth),
            (State::Ready, Command::Mail(text)) => self.mail(text),
            (state, Command::Mail(_)) => self.disorder(state, "A transaction is open already"),
            (State::Mail(transaction), Command::Rcpt(text)) => self.rcpt(transaction, text),
            (State::Ready, Command::Rcpt(_)) => self.no_mail(),
            (state, Command::Rcpt(_)) => self.disorder(state, "Content has begun"),
            (State::Mail(transaction), Command::Data) => self.data(transaction),
            (State::Ready, Command::Data) => self.no_mail(),
            (state, Command::Data) => self.disorder(state, "DATA and BDAT do not mix"),
            (state, Command::Bdat(chunk)) => self.bdat(state, chunk),
        }
    }

    /// EHLO and HELO begin anew; authentication and TLS stay (conformance row 12). A name that is no
    /// host is taken for none: it could only do harm later.
    fn greeted(&mut self, state: &State, name: &str, extended: bool) -> State {
        self.abandon(state);
        self.hello = Some(Hello { name: name.parse().ok(), extended });
        let reply = if extended {
            mail::Reply::bare(50, ehlo_lines(&self.settings, self.tls.is_some(), self.trust))
        } else {
            say::hello(&self.settings.hostname)
        };
        self.plainly(State::Ready, reply)
    }

    fn start_tls(&mut self) -> State {
        if !self.settings.offers.starttls {
            return self.refuse(State::Ready, Note::UnknownCommand, say::not_implemented());
        }
        if self.tls.is_some() {
            return self.disorder(State::Ready, "TLS is on already");
        }
        if self.identity.is_authenticated() {
            return self.disorder(State::Ready, "Not after AUTH");
        }
        self.plainly(State::Securing { asked: false }, say::ready_for_tls())
    }

    /// The go-ahead has been said; bytes that came before the handshake end everything.
    pub(super) fn hand_over(&mut self, input: &[u8]) -> (usize, Option<Next>) {
        if input.is_empty() {
            self.state = State::Securing { asked: true };
            return (0, Some(Next::Said(Output::Secure)));
        }
        self.note(Note::EarlyTalk);
        self.state = State::Closed;
        (input.len(), None)
    }

    fn needs_tls(&mut self, state: State, command: Command<'_>) -> State {
        match command {
            Command::Bdat(chunk) => {
                self.count(Note::TlsNeeded);
                self.drop_chunk(state, chunk, say::tls_needed())
            }
            _ => self.refuse(state, Note::TlsNeeded, say::tls_needed()),
        }
    }

    /// A peer speaks for a client of its own: the session begins anew as that client's. To everybody
    /// else this is a verb nobody knows (D22).
    fn xclient(&mut self, state: State, attributes: &str) -> State {
        match state {
            state if !self.trust.xclient => self.refuse(state, Note::ForeignVerb, say::unknown_command()),
            State::Ready => match Claims::parse(Verb::Xclient, attributes) {
                Some(claims) => {
                    self.hello = None;
                    self.mail_refused = false;
                    State::asking(About::Claims(Box::new(claims)))
                }
                None => self.refuse(State::Ready, Note::SyntaxError, say::not_claims()),
            },
            state => self.disorder(state, "Not in a transaction"),
        }
    }

    fn xforward(&mut self, state: State, attributes: &str) -> State {
        match state {
            state if !self.trust.xforward => self.refuse(state, Note::ForeignVerb, say::unknown_command()),
            State::Ready => match Claims::parse(Verb::Xforward, attributes) {
                Some(claims) => {
                    self.said.push_back(Output::Forwarded(Box::new(claims)));
                    self.plainly(State::Ready, say::forwarded())
                }
                None => self.refuse(State::Ready, Note::SyntaxError, say::not_claims()),
            },
            state => self.disorder(state, "Not in a transaction"),
        }
    }

    /// TURN and ATRN give away mail, so they want to know to whom; nobody is listed (L19).
    fn turn(&mut self, state: State) -> State {
        if !self.settings.has_auth() {
            self.refuse(state, Note::UnknownCommand, say::not_implemented())
        } else if self.identity.is_authenticated() {
            self.plainly(state, say::turn_refused())
        } else {
            self.refuse(state, Note::BadSequence, say::turn_needs_auth())
        }
    }

    fn mistake(&mut self, state: State, mistake: Mistake) -> State {
        if mistake == Mistake::ChunkSize {
            // Octets follow, and nobody can say how many: none of them may become a command.
            self.abandon(&state);
            self.note(Note::SyntaxError);
            return self.close(mistake.reply());
        }
        self.refuse(state, Note::SyntaxError, mistake.reply())
    }

    pub(super) fn plainly(&mut self, state: State, reply: mail::Reply) -> State {
        self.say(reply);
        state
    }

    pub(super) fn refuse(&mut self, state: State, note: Note, reply: mail::Reply) -> State {
        self.fault(note, reply);
        state
    }

    /// A mistake that is no fact for the log by itself.
    pub(super) fn mistaken(&mut self, state: State, reply: mail::Reply) -> State {
        self.say_mistake(reply);
        state
    }

    pub(super) fn disorder(&mut self, state: State, text: &'static str) -> State {
        self.refuse(state, Note::BadSequence, say::out_of_order(text))
    }

    pub(super) fn abandon(&mut self, state: &State) {
        self.mail_refused = false;
        if state.has_content() {
            self.said.push_back(Output::Abandon);
        }
    }
}

//! DATA, BDAT and the content behind them.
//!
//! Content that is lost is still read to its true end, and refused there: no octet of it can ever be
//! taken for a command.

use super::state::{About, State, Unwanted};
use super::{BareNewline, Body, Framing, Next, Note, Output, Session, Transaction, say};
use crate::body::{Chunks, Data, Fault, Limits, Piece};
use crate::command::{Chunk, Mistake};
use mail::Reply;

impl Session {
    pub(super) fn data(&mut self, transaction: Transaction) -> State {
        // RFC 3030 §3: binary content cannot travel by DATA.
        if transaction.sender.body == Body::Binary {
            return self.disorder(State::Mail(transaction), "BINARYMIME needs BDAT");
        }
        if transaction.recipients.is_empty() {
            return self.plainly(State::Mail(transaction), say::no_recipients());
        }
        self.say(say::go_on());
        State::Content(transaction, Data::new(self.limits()))
    }

    /// However it is answered, the octets of a chunk follow: the framing is settled first
    /// (conformance row 9).
    pub(super) fn bdat(&mut self, state: State, chunk: Chunk) -> State {
        let Some(last) = chunk.last else {
            self.count(Note::SyntaxError);
            return self.drop_chunk(state, chunk, Mistake::Argument.reply());
        };
        match state {
            state if !self.offers().chunking => {
                self.count(Note::UnknownCommand);
                self.drop_chunk(state, chunk, say::not_implemented())
            }
            State::Mail(transaction) if transaction.recipients.is_empty() => {
                self.drop_chunk(State::Mail(transaction), chunk, say::no_recipients())
            }
            State::Mail(transaction) => {
                let chunks = Chunks::new(self.limits(), transaction.sender.body == Body::Binary);
                self.chunk(transaction, chunks, chunk.octets, last)
            }
            State::BetweenChunks(transaction, chunks) => self.chunk(transaction, chunks, chunk.octets, last),
            state => {
                if !self.mail_refused {
                    self.count(Note::BadSequence);
                }
                self.drop_chunk(state, chunk, say::out_of_order("No transaction takes this chunk"))
            }
        }
    }

    fn chunk(&mut self, transaction: Transaction, mut chunks: Chunks, octets: u64, last: bool) -> State {
        let room = chunks.has_room(octets);
        chunks.begin(octets, last);
        let state = State::Chunk(transaction, chunks);
        if room { state } else { self.lose(state, Fault::TooBig) }
    }

    /// Reads the octets of a chunk that is not wanted, then says why. In a transaction all later
    /// chunks are refused too, up to the last (RFC 3030 §2).
    pub(super) fn drop_chunk(&mut self, state: State, chunk: Chunk, reply: Reply) -> State {
        let then = match state {
            State::Ready => State::Ready,
            state => {
                if state.has_content() {
                    self.said.push_back(Output::Abandon);
                }
                if chunk.last == Some(true) { State::Ready } else { State::Spoiled }
            }
        };
        self.dropping(chunk.octets, reply, then)
    }

    fn dropping(&mut self, left: u64, reply: Reply, then: State) -> State {
        self.spend(left);
        State::Dropping(Box::new(Unwanted { left, reply, then }))
    }

    fn spend(&mut self, octets: u64) {
        self.spent_bytes = self.spent_bytes.saturating_add(octets);
    }

    fn note_lost(&mut self, fault: Fault) {
        match fault {
            // Noted when the session ends for it.
            Fault::TooBig if self.session_is_tighter() => {}
            Fault::TooBig => self.note(Note::TooBig { declared: false }),
            Fault::HeaderTooBig => self.note(Note::HeaderTooBig),
            Fault::LineTooLong => self.note(Note::LineTooLong),
            Fault::BareNewline => self.note(Note::BareNewline),
            Fault::Nul => self.note(Note::NulOctet),
        }
    }

    /// Whether the session may bring less than a message may have.
    fn session_is_tighter(&self) -> bool {
        let message = self.settings.message_size_bytes.unwrap_or(u64::MAX);
        self.session_left() < message
    }

    pub(super) fn session_left(&self) -> u64 {
        self.settings.session_size_bytes.map_or(u64::MAX, |limit| limit.saturating_sub(self.spent_bytes))
    }

    /// Takes what it can of the content. `offset` is where `input` stands in what was polled.
    pub(super) fn receive(&mut self, input: &[u8], offset: usize) -> (usize, Option<Next>) {
        let (taken, piece) = match &mut self.state {
            State::Content(_, data) => data.take(input),
            State::Chunk(_, chunks) => chunks.take(input),
            State::Lost(data, _) => {
                let (taken, over) = data.skip(input);
                self.spent_bytes = self.spent_bytes.saturating_add(taken as u64);
                (taken, if over { Piece::End } else { Piece::More })
            }
            State::Dropping(unwanted) => {
                let taken = Chunks::skip(unwanted.left, input);
                unwanted.left -= taken as u64;
                (taken, if unwanted.left == 0 { Piece::End } else { Piece::More })
            }
            _ => unreachable!("content is only received in these states"),
        };
        self.progress += u64::from(taken > 0);
        let next = match piece {
            Piece::Content(range) if range.is_empty() => None,
            Piece::Content(range) => Some(Next::Body(range.start + offset..range.end + offset)),
            Piece::Newline => Some(Next::Newline),
            Piece::More => Some(Next::Said(Output::Wait)),
            Piece::Fault(fault) => {
                let state = std::mem::replace(&mut self.state, State::Closed);
                self.state = self.lose(state, fault);
                None
            }
            Piece::End => {
                let state = std::mem::replace(&mut self.state, State::Closed);
                self.state = self.complete(state);
                None
            }
        };
        (taken, next)
    }

    /// Content has turned out not to be kept. What was given out is abandoned; the rest is skipped.
    fn lose(&mut self, state: State, fault: Fault) -> State {
        self.said.push_back(Output::Abandon);
        self.note_lost(fault);
        match state {
            State::Content(_, data) => {
                self.spend(data.size());
                State::Lost(data, fault)
            }
            State::Chunk(_, chunks) => {
                self.spend(chunks.size());
                let then = match fault {
                    Fault::BareNewline | Fault::Nul => State::Closed,
                    Fault::TooBig | Fault::HeaderTooBig | Fault::LineTooLong if chunks.is_last() => State::Ready,
                    Fault::TooBig | Fault::HeaderTooBig | Fault::LineTooLong => State::Spoiled,
                };
                self.dropping(chunks.left(), say::lost(fault), then)
            }
            _ => unreachable!("only content that is being received can be lost"),
        }
    }

    /// The end of content, of a chunk, or of what was skipped.
    fn complete(&mut self, state: State) -> State {
        match state {
            State::Content(transaction, data) => self.message(transaction, Framing::Data, data.size()),
            State::Chunk(transaction, chunks) if chunks.is_last() => {
                self.message(transaction, Framing::Chunks, chunks.size())
            }
            State::Chunk(transaction, chunks) => {
                self.plainly(State::BetweenChunks(transaction, chunks), say::chunk_ok())
            }
            State::Lost(_, fault @ (Fault::BareNewline | Fault::Nul)) => self.close(say::lost(fault)),
            State::Lost(_, fault) => self.unless_full(State::Ready, say::lost(fault)),
            State::Dropping(unwanted) => self.unless_full(unwanted.then, unwanted.reply),
            _ => unreachable!("only content that is being received can end"),
        }
    }

    fn message(&mut self, transaction: Transaction, framing: Framing, size: u64) -> State {
        self.spend(size);
        State::asking(About::Message(Some(Transaction { framing, size, ..transaction })))
    }

    /// Says `reply`, or ends a session that has brought too much (L04) or made too many mistakes.
    fn unless_full(&mut self, then: State, reply: Reply) -> State {
        if let State::Closed = then {
            return self.close(reply);
        }
        if self.settings.session_size_bytes.is_some_and(|limit| self.spent_bytes > limit) {
            self.note(Note::SessionSizeReached);
            return self.close(say::session_full());
        }
        if self.errors >= self.settings.errors_limit {
            self.note(Note::TooManyErrors);
            return self.close(say::too_many_errors());
        }
        self.plainly(then, reply)
    }

    fn limits(&self) -> Limits {
        let settings = &self.settings;
        Limits {
            size_bytes: settings.message_size_bytes.unwrap_or(u64::MAX).min(self.session_left()),
            line_octets: settings.text_line_octets,
            header_bytes: settings.header_size_bytes,
            normalise: settings.bare_newline == BareNewline::Normalise,
        }
    }
}

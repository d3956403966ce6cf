//! The sending side of SMTP: one connection, one transaction after another.
//!
//! [`Client`] is fed what the peer said and tells what to write and what to do. It owns no socket and
//! no clock, and the content of a message never passes through it: it says when the content is to be
//! sent and how. What it promises: a recipient is [`Verdict::Delivered`] only if the peer said 2yz
//! after the whole content had left; whatever else happens, every recipient gets a verdict.
//!
//! How to drive it:
//! 1. Call [`Client::poll`] again and again. Each time drop the input it took, write what it
//!    appended to `out`, and perform the output; only at [`Output::Wait`] read more from the peer,
//!    and poll with the old rest and the new bytes.
//! 2. After [`Output::Ready`] call [`Client::begin`] or [`Client::quit`]; after
//!    [`Output::SendBody`] send the content and call [`Client::body_sent`]; after [`Output::Secure`]
//!    call [`Client::secured`] or [`Client::secure_failed`].
//! 3. If nothing came for [`Client::patience`] call [`Client::expired`]; if the peer closed, or
//!    writing failed, call [`Client::closed`]. Then poll on: what was heard before still counts.
//! 4. After [`Output::Close`] the connection is over.

mod command;
mod mail;
mod offers;
mod outcome;
mod transfer;

pub use crate::envelope::{Notify, Original, Ret};
pub use mail::{ContentFacts, Mail, MailRecipient};
pub use offers::Offers;
pub use outcome::{Finished, Response, Verdict};

use crate::reply::{Heard, Read, Reader, Severity};
use ::mail::Host;
use std::time::Duration;
use transfer::{Transfer, Trouble};

/// Whether the connection is to be secured by STARTTLS (RFC 3207).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum StartTls {
    /// Not even if it is offered.
    Never,
    /// If it is offered and the peer does not refuse it then.
    #[default]
    Opportunistic,
    /// Nothing is sent in clear.
    Required,
}

/// How to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name to say in EHLO.
    pub hello: Host,
    /// Whether to secure the connection.
    pub starttls: StartTls,
    /// Use PIPELINING where it is offered.
    pub pipelining: bool,
    /// Use CHUNKING where it is offered.
    pub chunking: bool,
}

impl Settings {
    /// STARTTLS, PIPELINING and CHUNKING wherever they are offered.
    #[must_use]
    pub fn new(hello: Host) -> Settings {
        Settings { hello, starttls: StartTls::default(), pipelining: true, chunking: true }
    }
}

/// How the content is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// For DATA: through [`Dots`](crate::dots::Dots).
    Dots,
    /// For BDAT: exactly the octets announced in [`Mail::size`], unchanged.
    Chunk,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Wait until the peer says more.
    Wait,
    /// Perform the TLS handshake. If a byte has been received behind what `poll` took, do not:
    /// call [`Client::secure_failed`].
    Secure,
    /// A transaction may begin.
    Ready,
    /// Write the content.
    SendBody(Encoding),
    /// The transaction is over.
    Done(Finished),
    /// The connection cannot be used, now, for reasons that are nobody's mail's: always "try later".
    Refused(Response),
    /// Close the connection.
    Close,
}

/// What the connection is at. The states named `…Due` have something to say.
#[derive(Clone, Debug)]
enum State {
    Greeting,
    HelloDue { extended: bool },
    Hello { extended: bool },
    StartTlsDue,
    StartTls,
    SecureDue,
    Securing,
    ReadyDue,
    Idle,
    Mail(Transfer),
    QuitDue,
    Quitting,
    Over,
}

/// The client's side of one connection.
#[derive(Clone, Debug)]
pub struct Client {
    settings: Settings,
    state: State,
    reader: Reader,
    offers: Offers,
    secured: bool,
    peer_closed: bool,
    /// It is not closed, but of no more use than if it were.
    peer_stalled: bool,
    /// The peer may still hold some of the last transaction.
    reset_owed: bool,
    /// Transactions so far, the one under way included.
    begun: u64,
    progress: u64,
    /// The last word, before `Close`.
    last: Option<Output>,
}

impl Client {
    /// A client whose connection has just been opened.
    #[must_use]
    pub fn new(settings: Settings) -> Client {
        Client {
            settings,
            state: State::Greeting,
            reader: Reader::new(),
            offers: Offers::default(),
            secured: false,
            peer_closed: false,
            peer_stalled: false,
            reset_owed: false,
            begun: 0,
            progress: 0,
            last: None,
        }
    }

    /// Takes bytes from the front of `input`, appends what must be written to `out`, and says what to
    /// do; the first value is how many octets it took. A reply line that is not complete is not
    /// taken; it cannot be longer than [`LINE_OCTETS`](crate::reply::LINE_OCTETS).
    pub fn poll(&mut self, input: &[u8], out: &mut Vec<u8>) -> (usize, Output) {
        let mut taken = 0;
        loop {
            let rest = &input[taken..];
            match &self.state {
                State::Over => return (input.len(), self.last.take().unwrap_or(Output::Close)),
                State::Mail(transfer) if transfer.is_sending_body() && !self.peer_closed => {
                    return (taken, Output::Wait);
                }
                // A verdict does not wait for whatever else the peer may be saying.
                State::Mail(transfer) if transfer.is_over() => {
                    let tidy = rest.is_empty() && !self.reader.is_midway() && !self.peer_closed;
                    return (taken, Output::Done(self.finish(tidy)));
                }
                // CVE-2021-38371: what was said in clear must not be believed after the handshake.
                State::SecureDue | State::Securing if !rest.is_empty() => {
                    self.conclude(protocol_error("input behind the answer to STARTTLS"));
                    continue;
                }
                _ => {}
            }
            // What we have not asked for is heard before we say anything more.
            let unasked = !self.is_awaiting() && (!rest.is_empty() || self.reader.is_midway());
            if !unasked && let Some(output) = self.speak(out) {
                return (taken, output);
            }
            let (octets, all_read) = self.listen(rest, unasked, out);
            taken += octets;
            if all_read {
                return (taken, Output::Wait);
            }
        }
    }

    /// Takes one line and acts on it. The second value says that there was none and more may come.
    fn listen(&mut self, rest: &[u8], unasked: bool, out: &mut Vec<u8>) -> (usize, bool) {
        let (octets, read) = self.reader.line(rest);
        match read {
            Read::More if self.peer_closed => {
                let how = if self.peer_stalled { "timed out" } else { "closed by the peer" };
                self.conclude(self.lost(how));
            }
            Read::More => return (octets, true),
            Read::Malformed(why) => self.conclude(protocol_error(&why.to_string())),
            Read::Line(line) => {
                if matches!(self.state, State::Hello { extended: true }) && !line.first {
                    self.offers.learn(line.text);
                }
                match line.complete {
                    None => {}
                    Some(heard) if unasked => self.hear_unasked(heard),
                    Some(heard) => self.hear(heard, out),
                }
            }
        }
        (octets, false)
    }

    /// Begins a transaction. Legal after [`Output::Ready`].
    ///
    /// # Panics
    /// If a transaction is under way, or the connection is not ready for one yet.
    pub fn begin(&mut self, mail: Mail) {
        let usable = self.usable_offers();
        let transfer = Transfer::new(mail, &usable, self.reset_owed);
        self.begun += 1;
        match self.state {
            State::Idle => self.state = State::Mail(transfer),
            // The peer has gone since; the driver could not know.
            State::Over => self.last = Some(Output::Done(transfer.cut(&self.lost("closed"), self.begun > 1))),
            _ => panic!("a transaction begins after Ready"),
        }
    }

    /// The content has been written completely, as [`Output::SendBody`] asked.
    ///
    /// # Panics
    /// If it had not been asked for.
    pub fn body_sent(&mut self) {
        match &mut self.state {
            State::Mail(transfer) => transfer.body_sent(),
            // Time was over meanwhile.
            State::Over => {}
            _ => panic!("the content is sent when the client asks for it"),
        }
        self.progress += 1;
    }

    /// The TLS handshake has succeeded. Legal after [`Output::Secure`]; before the first poll, for a
    /// connection that begins with the handshake.
    pub fn secured(&mut self) {
        self.secured = true;
        self.progress += 1;
        // RFC 3207 §4.2: what was learnt in clear is forgotten.
        self.offers = Offers::default();
        if matches!(self.state, State::Securing) {
            self.state = State::HelloDue { extended: true };
        }
    }

    /// The TLS handshake has failed. The connection is over; where security was opportunistic, the
    /// caller may connect anew, with [`StartTls::Never`].
    pub fn secure_failed(&mut self) {
        self.conclude(Response::later(454, 7, 5, "The TLS handshake with the next hop failed"));
    }

    /// Says goodbye. Legal after [`Output::Ready`]; elsewhere, it gives up what is under way.
    pub fn quit(&mut self) {
        match self.state {
            State::ReadyDue | State::Idle => self.state = State::QuitDue,
            State::QuitDue | State::Quitting | State::Over => {}
            _ => self.conclude(self.lost("given up")),
        }
    }

    /// The peer took longer than [`Client::patience`]: what was under way is deferred.
    pub fn expired(&mut self) {
        self.conclude(self.lost("timed out"));
    }

    /// The peer closed the connection, or writing to it failed. Poll once more with what could be read
    /// before: replies in it still count.
    pub fn closed(&mut self) {
        self.peer_closed = true;
    }

    /// The peer does not take what is written to it; as [`Client::closed`], and said to have timed out.
    pub fn stalled(&mut self) {
        (self.peer_closed, self.peer_stalled) = (true, true);
    }

    /// How long to wait for the peer now (RFC 5321 §4.5.3.2), counted from when [`Client::progress`]
    /// last changed: a peer that trickles octets earns no time with them. While the content is being
    /// written, the time one write may take. After [`Output::Ready`] and with nothing to send, the
    /// longest that a server must be expected to wait for us.
    #[must_use]
    pub fn patience(&self) -> Duration {
        match &self.state {
            State::Mail(transfer) => transfer.patience(),
            State::Greeting | State::HelloDue { .. } | State::Hello { .. } | State::ReadyDue | State::Idle => {
                Duration::from_mins(5)
            }
            State::StartTlsDue | State::StartTls | State::SecureDue | State::Securing => Duration::from_mins(2),
            // Nothing depends on the answer.
            State::QuitDue | State::Quitting => Duration::from_secs(10),
            State::Over => Duration::ZERO,
        }
    }

    /// Changes with every step: something was written, or a whole reply was heard.
    #[must_use]
    pub fn progress(&self) -> u64 {
        self.progress
    }

    /// What the server offered in its last answer to EHLO.
    #[must_use]
    pub fn offers(&self) -> &Offers {
        &self.offers
    }

    /// Whether the connection is secured.
    #[must_use]
    pub fn is_secured(&self) -> bool {
        self.secured
    }

    /// What the server offers and we want.
    fn usable_offers(&self) -> Offers {
        Offers {
            pipelining: self.offers.pipelining && self.settings.pipelining,
            chunking: self.offers.chunking && self.settings.chunking,
            ..self.offers
        }
    }

    fn is_awaiting(&self) -> bool {
        match &self.state {
            State::Greeting | State::Hello { .. } | State::StartTls | State::Quitting => true,
            State::Mail(transfer) => transfer.is_awaiting(),
            _ => false,
        }
    }

    /// Says what is due, if anything is.
    fn speak(&mut self, out: &mut Vec<u8>) -> Option<Output> {
        let before = out.len();
        let usable = self.usable_offers();
        let mut output = None;
        match &mut self.state {
            State::HelloDue { extended } => {
                let extended = *extended;
                self.offers = Offers::default();
                command::hello(out, if extended { "EHLO" } else { "HELO" }, &self.settings.hello);
                self.state = State::Hello { extended };
            }
            State::StartTlsDue => {
                out.extend_from_slice(b"STARTTLS\r\n");
                self.state = State::StartTls;
            }
            State::SecureDue => {
                output = Some(Output::Secure);
                self.state = State::Securing;
            }
            State::ReadyDue => {
                output = Some(Output::Ready);
                self.state = State::Idle;
            }
            State::Mail(transfer) => output = transfer.advance(&usable, out).map(Output::SendBody),
            State::QuitDue => {
                out.extend_from_slice(b"QUIT\r\n");
                self.state = State::Quitting;
            }
            _ => {}
        }
        self.progress += u64::from(out.len() > before);
        output
    }

    /// Ends the transaction, which is over. `tidy`: the peer is still there, and silent.
    fn finish(&mut self, tidy: bool) -> Finished {
        let next = if tidy { State::ReadyDue } else { State::Over };
        let State::Mail(transfer) = std::mem::replace(&mut self.state, next) else {
            unreachable!("only a transaction is finished");
        };
        self.reset_owed = transfer.owes_reset();
        transfer.finish(tidy)
    }

    /// Takes a reply that was waited for.
    fn hear(&mut self, heard: Heard, out: &mut Vec<u8>) {
        self.progress += 1;
        if let State::Mail(transfer) = &mut self.state {
            return match transfer.hear(heard, self.reader.text()) {
                Ok(()) => {}
                Err(Trouble::Said(response)) => self.conclude(response),
                Err(Trouble::Protocol(why)) => self.conclude(protocol_error(why)),
            };
        }
        let must_secure = self.must_secure();
        match (&self.state, heard.severity()) {
            (State::Greeting, Severity::Done) => self.state = State::HelloDue { extended: true },
            (State::Hello { .. }, Severity::Done) => self.greeted(out),
            // RFC 5321 §3.2: a server of the time before EHLO. It cannot do STARTTLS either.
            (State::Hello { extended: true }, Severity::Never) if !must_secure => {
                self.state = State::HelloDue { extended: false };
            }
            (State::StartTls, _) if heard.code == 220 => self.state = State::SecureDue,
            (State::StartTls, Severity::Later | Severity::Never) if !must_secure && heard.code != 421 => {
                self.state = State::ReadyDue;
            }
            (State::Quitting, _) => self.state = State::Over,
            _ => self.refuse(heard, out),
        }
    }

    /// The answer to EHLO or HELO was 2yz.
    fn greeted(&mut self, out: &mut Vec<u8>) {
        self.state = if self.secured || self.settings.starttls == StartTls::Never {
            State::ReadyDue
        } else if self.offers.starttls {
            State::StartTlsDue
        } else if self.must_secure() {
            out.extend_from_slice(b"QUIT\r\n");
            return self.conclude(Response::later(
                454,
                7,
                4,
                "The next hop does not offer STARTTLS, which is required",
            ));
        } else {
            State::ReadyDue
        };
    }

    fn must_secure(&self) -> bool {
        !self.secured && self.settings.starttls == StartTls::Required
    }

    /// The peer does not want this connection.
    fn refuse(&mut self, heard: Heard, out: &mut Vec<u8>) {
        if !matches!(heard.severity(), Severity::Later | Severity::Never) {
            return self.conclude(protocol_error(&format!("{} {}", heard.code, self.scene())));
        }
        // RFC 5321 §3.1: also then we take our leave; but 421 has taken it already.
        if heard.code != 421 {
            out.extend_from_slice(b"QUIT\r\n");
        }
        self.conclude(Response::heard(heard, self.reader.text()));
    }

    /// Takes a reply that nothing was asked for: 421 before the peer leaves, or nonsense. Whatever it
    /// is, no later reply can be assigned to its command with certainty.
    fn hear_unasked(&mut self, heard: Heard) {
        let response = match heard.severity() {
            Severity::Later | Severity::Never => Response::heard(heard, self.reader.text()),
            Severity::Done | Severity::More => protocol_error("a reply that was not asked for"),
        };
        if let State::Mail(transfer) = &mut self.state {
            transfer.interrupted(response.clone());
        }
        self.conclude(response);
    }

    /// Ends the connection; what is under way is given up for the reason stated.
    fn conclude(&mut self, why: Response) {
        self.last = match std::mem::replace(&mut self.state, State::Over) {
            State::Over => self.last.take(),
            State::Idle | State::QuitDue | State::Quitting => None,
            State::ReadyDue if self.begun > 0 => None,
            State::Mail(transfer) => Some(Output::Done(transfer.cut(&why, self.begun > 1))),
            _ => Some(Output::Refused(why)),
        };
    }

    fn lost(&self, how: &str) -> Response {
        Response::later(421, 4, 2, format!("Connection {how} {}", self.scene()))
    }

    /// What is waited for, as it is put into words.
    fn scene(&self) -> &'static str {
        match &self.state {
            State::Greeting => "while waiting for the greeting",
            State::HelloDue { extended: true } | State::Hello { extended: true } => {
                "while waiting for the answer to EHLO"
            }
            State::HelloDue { .. } | State::Hello { .. } => "while waiting for the answer to HELO",
            State::StartTlsDue | State::StartTls => "while waiting for the answer to STARTTLS",
            State::SecureDue | State::Securing => "during the TLS handshake",
            State::Mail(transfer) => transfer.scene(),
            State::ReadyDue | State::Idle | State::QuitDue | State::Quitting | State::Over => "between transactions",
        }
    }
}

/// The peer does not speak SMTP as we know it; nothing that it says later can be believed.
fn protocol_error(what: &str) -> Response {
    Response::later(451, 5, 0, format!("Protocol error of the next hop: {what}"))
}

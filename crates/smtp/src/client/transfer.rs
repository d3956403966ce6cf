//! One transaction, from MAIL to the last reply.
//!
//! The commands of a transaction are a row of steps: RSET if one is owed, MAIL, each RCPT, DATA or
//! BDAT, the end of the content. Two numbers say all about progress: how many steps have been sent,
//! how many have been answered. With PIPELINING the first runs ahead of the second, without it by
//! one at most; nothing else differs.

use super::command;
use super::mail::Mail;
use super::offers::{Offers, unfit};
use super::outcome::{Finished, Response, Verdict};
use super::{Encoding, protocol_error};
use crate::reply::{Heard, Severity};
use std::time::Duration;

/// Commands that may be without an answer. Enough for every usual transaction to be one piece, and
/// few enough that their replies fit into the buffers between two hosts: beyond that, a peer that
/// answers as it reads and we, who first write, would wait for each other (RFC 2920 §3.1).
const WINDOW: usize = 500;
/// Content up to this size follows BDAT before anything has been answered, which saves a round trip;
/// with more it is worth knowing first that somebody wants it.
const EAGER_CHUNK_OCTETS: u64 = 256 * 1024;

/// Why the connection cannot go on.
pub(super) enum Trouble {
    /// The peer is leaving, or is in a state we do not know; in its words.
    Said(Response),
    /// The peer broke the protocol.
    Protocol(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Reset,
    Mail,
    Recipient(usize),
    Body,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Body {
    Unsent,
    /// DATA was answered with 354.
    Due,
    /// The driver is at it.
    Sending,
    Sent,
}

#[derive(Clone, Debug)]
enum Fate {
    Open,
    /// The peer took the recipient and decides with the content.
    Accepted,
    Settled(Verdict),
}

#[derive(Clone, Debug)]
pub(super) struct Transfer {
    mail: Mail,
    fates: Vec<Fate>,
    accepted: usize,
    /// Steps start at this one: 0 if RSET is owed, 1 if not.
    start: usize,
    sent: usize,
    answered: usize,
    window: usize,
    encoding: Encoding,
    body: Body,
    /// MAIL was refused; what is still unanswered decides nothing.
    refused: bool,
    ended: bool,
    /// The peer holds nothing of this transaction any more.
    clean: bool,
}

impl Transfer {
    /// `offers` are those that may be used; `reset`: RSET must go before MAIL.
    pub(super) fn new(mail: Mail, offers: &Offers, reset: bool) -> Transfer {
        let start = usize::from(!reset);
        // Long lines must be folded, which BDAT does not allow; binary content has no lines.
        let chunk = mail.content.binary || (offers.chunking && !mail.content.long_lines);
        let mut transfer = Transfer {
            fates: vec![Fate::Open; mail.recipients.len()],
            accepted: 0,
            start,
            sent: start,
            answered: start,
            window: if offers.pipelining { WINDOW } else { 1 },
            encoding: if chunk { Encoding::Chunk } else { Encoding::Dots },
            body: Body::Unsent,
            refused: false,
            ended: mail.recipients.is_empty(),
            clean: !reset,
            mail,
        };
        if let Some(response) = unfit(&transfer.mail, offers) {
            transfer.settle_open(&Verdict::Failed(response));
            transfer.ended = true;
        }
        transfer
    }

    /// Writes all that may be written now; says how the content is to be sent when it is due.
    pub(super) fn advance(&mut self, offers: &Offers, out: &mut Vec<u8>) -> Option<Encoding> {
        match self.body {
            Body::Sending => return None,
            Body::Due if self.accepted > 0 => {
                self.body = Body::Sending;
                return Some(Encoding::Dots);
            }
            // DATA went out before the last recipient was refused. RFC 2920 §3.1: the dot alone.
            Body::Due => {
                out.extend_from_slice(b".\r\n");
                self.body = Body::Sent;
                self.sent += 1;
            }
            Body::Unsent | Body::Sent => {}
        }
        while self.may_send() {
            let step = self.step(self.sent);
            self.write(step, offers, out);
            self.sent += 1;
            self.clean = false;
            if step == Step::Body && self.encoding == Encoding::Chunk {
                self.body = Body::Sending;
                return Some(Encoding::Chunk);
            }
        }
        None
    }

    fn step(&self, index: usize) -> Step {
        match index {
            0 => Step::Reset,
            1 => Step::Mail,
            _ if index - 2 < self.fates.len() => Step::Recipient(index - 2),
            _ if index - 2 == self.fates.len() => Step::Body,
            _ => Step::End,
        }
    }

    fn may_send(&self) -> bool {
        let all_answered = self.sent == self.answered;
        if self.ended || self.refused || self.sent - self.answered >= self.window {
            return false;
        }
        match self.step(self.sent) {
            Step::End => false,
            Step::Body if all_answered => self.accepted > 0,
            Step::Body => self.encoding == Encoding::Dots || self.mail.size <= EAGER_CHUNK_OCTETS,
            Step::Reset | Step::Mail | Step::Recipient(_) => true,
        }
    }

    /// Whether everything is decided and nothing is left to be said or heard.
    pub(super) fn is_over(&self) -> bool {
        let nobody = self.refused || (self.accepted == 0 && self.answered >= self.fates.len() + 2);
        self.ended || (nobody && !self.is_awaiting() && self.body != Body::Due)
    }

    fn write(&self, step: Step, offers: &Offers, out: &mut Vec<u8>) {
        match step {
            Step::Reset => out.extend_from_slice(b"RSET\r\n"),
            Step::Mail => command::mail_from(out, &self.mail, offers),
            Step::Recipient(at) => command::rcpt_to(out, &self.mail.recipients[at], offers),
            Step::Body if self.encoding == Encoding::Chunk => command::last_chunk(out, self.mail.size),
            Step::Body => out.extend_from_slice(b"DATA\r\n"),
            Step::End => {}
        }
    }

    /// Whether a reply is outstanding. What comes when none is has not been asked for.
    pub(super) fn is_awaiting(&self) -> bool {
        self.sent > self.answered
    }

    pub(super) fn is_sending_body(&self) -> bool {
        self.body == Body::Sending
    }

    /// The driver has written the whole content.
    pub(super) fn body_sent(&mut self) {
        assert!(self.body == Body::Sending, "the content is sent when the client asks for it");
        self.body = Body::Sent;
        if self.encoding == Encoding::Dots {
            self.sent += 1;
        }
    }

    /// Takes the reply to the oldest unanswered step.
    pub(super) fn hear(&mut self, heard: Heard, text: &str) -> Result<(), Trouble> {
        let severity = heard.severity();
        let step = self.step(self.answered);
        let response = || Response::heard(heard, text);
        // RFC 5321 §3.8: 421 may answer anything, and the peer closes after it.
        if heard.code == 421 {
            return Err(Trouble::Said(response()));
        }
        if severity == Severity::More && (step != Step::Body || self.encoding != Encoding::Dots) {
            return Err(Trouble::Protocol("3yz where nothing more was to come"));
        }
        match step {
            Step::Reset if severity == Severity::Done => {}
            Step::Reset => return Err(Trouble::Said(response())),
            Step::Mail if severity == Severity::Done => {}
            Step::Mail => {
                self.refused = true;
                self.settle_open(&Verdict::refusal(response()));
            }
            Step::Recipient(_) if self.refused => {}
            Step::Recipient(at) if severity == Severity::Done => {
                self.fates[at] = Fate::Accepted;
                self.accepted += 1;
            }
            Step::Recipient(at) => self.fates[at] = Fate::Settled(refused_recipient(response())),
            Step::Body if self.encoding == Encoding::Dots => self.heard_data(severity, response)?,
            Step::Body | Step::End => self.heard_end(severity, response)?,
        }
        self.answered += 1;
        Ok(())
    }

    /// The answer to DATA.
    fn heard_data(&mut self, severity: Severity, response: impl FnOnce() -> Response) -> Result<(), Trouble> {
        match severity {
            Severity::More => self.body = Body::Due,
            Severity::Done => return Err(Trouble::Protocol("2yz in answer to DATA")),
            Severity::Later | Severity::Never => {
                self.ended = true;
                self.settle_accepted(|| Verdict::refusal(response()));
            }
        }
        Ok(())
    }

    /// The last reply: the only one that makes a delivery.
    fn heard_end(&mut self, severity: Severity, response: impl FnOnce() -> Response) -> Result<(), Trouble> {
        if severity == Severity::Done {
            if self.body != Body::Sent {
                return Err(Trouble::Protocol("2yz before the whole content was sent"));
            }
            self.clean = self.accepted > 0;
            self.settle_accepted(|| Verdict::Delivered(response()));
        } else {
            self.settle_accepted(|| Verdict::refusal(response()));
        }
        self.ended = true;
        Ok(())
    }

    /// A reply that came while the content was on its way, from a peer that has gone since: what it
    /// did not want, and why. It cannot have taken the content.
    pub(super) fn interrupted(&mut self, response: Response) {
        if self.body == Body::Sending {
            self.settle_accepted(|| Verdict::refusal(response));
        }
    }

    fn settle_open(&mut self, verdict: &Verdict) {
        self.fates.fill(Fate::Settled(verdict.clone()));
        self.accepted = 0;
    }

    fn settle_accepted(&mut self, verdict: impl FnOnce() -> Verdict) {
        if self.accepted == 0 {
            return;
        }
        let verdict = verdict();
        for fate in self.fates.iter_mut().filter(|fate| matches!(fate, Fate::Accepted)) {
            *fate = Fate::Settled(verdict.clone());
        }
        self.accepted = 0;
    }

    /// Whether the peer may still hold some of it, so that RSET must go before the next MAIL.
    pub(super) fn owes_reset(&self) -> bool {
        !self.clean
    }

    /// The end of a transaction that is over.
    pub(super) fn finish(self, usable: bool) -> Finished {
        let finished = self.cut(&protocol_error("the transaction ended without an answer"), false);
        Finished { usable, ..finished }
    }

    /// The end of a transaction that cannot go on: who has no verdict is deferred. `reused`: the
    /// connection had carried another transaction before.
    pub(super) fn cut(self, why: &Response, reused: bool) -> Finished {
        let gone = why.local || why.code == 421;
        let stale = reused && gone && self.answered == self.start && !self.ended;
        let verdict = |fate| match fate {
            Fate::Settled(verdict) => verdict,
            Fate::Open | Fate::Accepted => Verdict::Deferred(why.clone()),
        };
        Finished { recipients: self.fates.into_iter().map(verdict).collect(), usable: false, stale }
    }

    /// What is waited for, as it is put into words.
    pub(super) fn scene(&self) -> &'static str {
        if self.body == Body::Sending {
            return "while sending the message";
        }
        match self.step(self.answered) {
            Step::Reset => "while waiting for the answer to RSET",
            Step::Mail => "while waiting for the answer to MAIL",
            Step::Recipient(_) => "while waiting for the answer to RCPT",
            Step::Body if self.encoding == Encoding::Dots => "while waiting for the answer to DATA",
            Step::Body | Step::End => "while waiting for the answer to the message",
        }
    }

    /// RFC 5321 §4.5.3.2.
    pub(super) fn patience(&self) -> Duration {
        if self.body == Body::Sending {
            return Duration::from_mins(3);
        }
        Duration::from_mins(match self.step(self.answered) {
            Step::Reset | Step::Mail | Step::Recipient(_) => 5,
            Step::Body if self.encoding == Encoding::Dots => 2,
            Step::Body | Step::End => 10,
        })
    }
}

/// The verdict on a recipient that RCPT was refused for. RFC 5321 §4.5.3.1.10: 552 may mean that
/// there were too many of them, and is then to be read as 452; an enhanced status tells.
fn refused_recipient(mut response: Response) -> Verdict {
    response.to_rcpt = true;
    if response.code == 552 && response.is_too_many_recipients() {
        response.status.class = mail::Class::Transient;
    }
    Verdict::refusal(response)
}

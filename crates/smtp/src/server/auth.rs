//! AUTH: carrying an exchange between the client and a mechanism that lives elsewhere (RFC 4954).

use super::state::{About, Mechanism, Progress, Secret, State};
use super::{Answer, Note, Output, Session, Trust, say};
use crate::command::Auth;
use crate::sasl::{self, Response};
use mail::{Identity, Reply};

/// How many challenges an exchange may have; no mechanism in use needs half of them.
const ROUNDS: u32 = 8;
/// Octets of base64 that fit into a reply line.
const CHALLENGE_OCTETS: usize = 506;

impl Session {
    pub(super) fn auth(&mut self, state: State, auth: Auth<'_>) -> State {
        let State::Ready = state else { return self.disorder(state, "Not in a transaction") };
        if !self.settings.has_auth() {
            return self.refuse(state, Note::AuthNotOffered, say::not_implemented());
        }
        if !self.hello.as_ref().is_some_and(|hello| hello.extended) {
            return self.disorder(state, "Send EHLO first");
        }
        if self.authenticated {
            return self.disorder(state, "Already authenticated");
        }
        let mechanism = match self.mechanism(auth.mechanism) {
            Ok(mechanism) => mechanism,
            Err((note, reply)) => return self.refuse(state, note, reply),
        };
        let response = match auth.initial {
            None => None,
            Some(text) => match sasl::initial_response(text.as_bytes()) {
                None => return self.refuse(state, Note::SyntaxError, say::not_base64()),
                octets => octets,
            },
        };
        State::asking(About::Credentials(Progress { mechanism, round: 0 }, Secret(response)))
    }

    fn mechanism(&self, name: &str) -> Result<Mechanism, (Note, Reply)> {
        let place = |list: &[Box<str>]| list.iter().position(|known| known.eq_ignore_ascii_case(name));
        let (clear, secured) = (place(&self.settings.mechanisms), place(&self.settings.mechanisms_when_secured));
        match (clear, secured) {
            (_, Some(at)) if self.tls.is_some() => Ok(Mechanism::WhenSecured(at)),
            (Some(at), _) if self.tls.is_none() => Ok(Mechanism::InTheClear(at)),
            (_, Some(_)) => Err((Note::TlsNeeded, say::mechanism_needs_tls())),
            _ => Err((Note::UnknownMechanism, say::unknown_mechanism())),
        }
    }

    /// A line that answers a challenge.
    pub(super) fn response(&mut self, progress: Progress, line: &[u8], early: bool) -> State {
        if self.talked_early(early) {
            return self.close(say::early_talk());
        }
        match Response::read(line) {
            Response::Octets(octets) => State::asking(About::Credentials(progress, Secret(Some(octets)))),
            Response::Cancel => self.mistaken(State::Ready, say::cancelled()),
            Response::Malformed => self.refuse(State::Ready, Note::SyntaxError, say::not_base64()),
        }
    }

    pub(super) fn authenticated(&mut self, progress: Progress, answer: Answer) -> State {
        match answer {
            Answer::Known(identity) => self.proved(identity, Trust::default()),
            Answer::Peer(name, trust) => self.proved(Identity::Peer(name), trust),
            Answer::Challenge(octets) => self.challenge(progress, &octets),
            Answer::Refuse(reply) | Answer::Dismiss(reply) => {
                // 535 is the word for "you are not who you say"; the others blame nobody.
                if reply.code() == 535 { self.failed(reply) } else { self.mistaken(State::Ready, reply) }
            }
            // Neither says who it is.
            Answer::Proceed | Answer::MustAuthenticate | Answer::Taken(_) => {
                self.plainly(State::Ready, say::cannot_authenticate())
            }
        }
    }

    fn proved(&mut self, identity: Identity, trust: Trust) -> State {
        (self.identity, self.trust, self.authenticated) = (identity, trust, true);
        self.plainly(State::Ready, say::authenticated())
    }

    fn challenge(&mut self, progress: Progress, octets: &[u8]) -> State {
        let text = sasl::encode(octets);
        // A challenge that would be cut is worse than none.
        if progress.round == ROUNDS || text.len() > CHALLENGE_OCTETS {
            return self.plainly(State::Ready, say::cannot_authenticate());
        }
        self.say(Reply::more(34, text));
        State::Challenged(Progress { round: progress.round + 1, ..progress })
    }

    /// A refused secret waits for its reply.
    pub(super) fn delay_guessing(&mut self) {
        if !self.settings.failed_auth_delay.is_zero() {
            self.said.push_back(Output::Pause(self.settings.failed_auth_delay));
        }
    }
}

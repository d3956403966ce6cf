//! A question together with what it is asked about, for whoever explains an answer or looks for another.
//!
//! A session calls the function of each question itself; here they are behind one door.

use crate::connection::{Admission, connection};
use crate::decision::{Decision, Missing, Refusal};
use crate::facts::{ConnectionFacts, MessageFacts, RecipientFacts, SenderFacts};
use crate::message::{Taken, message};
use crate::recipient::{Acceptance, recipient};
use crate::rules::Rules;
use crate::sender::{Submission, sender};
use mail::{Identity, Ledger, Timestamp};
use std::net::IpAddr;

/// A question, and what it is asked about.
#[derive(Clone, Copy, Debug)]
pub enum Question<'a> {
    /// May this client connect?
    Connection(ConnectionFacts),
    /// May it submit, and as this sender?
    Sender(SenderFacts<'a>),
    /// May it send to this recipient?
    Recipient(RecipientFacts<'a>),
    /// May this message be taken?
    Message(MessageFacts<'a>),
}

/// What was granted, whichever question was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The client is in.
    Admitted(Admission),
    /// It may submit.
    Submits(Submission),
    /// The recipient is accepted.
    Accepted(Acceptance),
    /// The message is taken.
    Taken(Taken),
}

impl Question<'_> {
    /// Judges it, with the function that the server runs.
    ///
    /// # Errors
    /// [`Missing`], as that function says.
    pub fn ask(&self, rules: &Rules, ledger: &Ledger) -> Result<Decision<Verdict>, Missing> {
        Ok(match self {
            Question::Connection(facts) => connection(rules, facts, ledger)?.map(Verdict::Admitted),
            Question::Sender(facts) => sender(rules, facts, ledger)?.map(Verdict::Submits),
            Question::Recipient(facts) => recipient(rules, facts, ledger)?.map(Verdict::Accepted),
            Question::Message(facts) => message(rules, facts, ledger)?.map(Verdict::Taken),
        })
    }

    /// The client it is about.
    #[must_use]
    pub fn client(&self) -> IpAddr {
        match self {
            Question::Connection(facts) => facts.client,
            Question::Sender(facts) => facts.client,
            Question::Recipient(facts) => facts.client,
            Question::Message(facts) => facts.client,
        }
    }

    /// When it is asked.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Question::Connection(facts) => facts.now,
            Question::Sender(facts) => facts.now,
            Question::Recipient(facts) => facts.now,
            Question::Message(facts) => facts.now,
        }
    }

    /// Who the client has proved to be. Whoever connects has proved nothing yet.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        match self {
            Question::Connection(_) => &Identity::Anonymous,
            Question::Sender(facts) => facts.identity,
            Question::Recipient(facts) => facts.identity,
            Question::Message(facts) => facts.identity,
        }
    }

    /// Whether a client that begins anew would be granted it; `None` if that takes a look-up. Who may not
    /// even connect is granted nothing, and on what terms it is in is judged anew for MAIL.
    pub(crate) fn is_granted(&self, rules: &Rules, ledger: &Ledger) -> Option<bool> {
        let Question::Sender(facts) = self else {
            return self.ask(rules, ledger).ok().map(|decision| decision.verdict.is_ok());
        };
        match connection(rules, &alone(facts.client, facts.now), ledger).ok()?.verdict {
            Err(_) => Some(false),
            Ok(admission) => {
                let facts = SenderFacts { admission, ..*facts };
                sender(rules, &facts, ledger).ok().map(|decision| decision.verdict.is_ok())
            }
        }
    }
}

/// A client that finds nobody else inside.
fn alone(client: IpAddr, now: Timestamp) -> ConnectionFacts {
    ConnectionFacts { client, now, open_in_all: 0, open: 0, open_from_client: 0, open_from_network: 0 }
}

impl<V> Decision<V> {
    /// The same decision with another word for what was granted.
    #[must_use]
    pub fn map<W>(self, word: impl FnOnce(V) -> W) -> Decision<W> {
        let verdict: Result<W, Refusal> = self.verdict.map(word);
        Decision { verdict, trace: self.trace }
    }
}

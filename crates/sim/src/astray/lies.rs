//! What the rules answer instead of what they would: anything that a mutant of them could.

use crate::dice::Dice;
use mail::Mailbox;
use policy::{Acceptance, AddressPlace, Admission, Decision, Grant, Refusal, Submission, Taken};
use std::any::Any;

/// How the answers to one question are wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// They are not.
    Truth,
    /// Always yes, without any condition.
    Widest,
    /// By chance, anything that the question can be answered with.
    Chance,
}

/// The wrong answers of one life of the gateway.
#[derive(Clone, Debug)]
pub struct Lies {
    connection: Lie,
    sender: Lie,
    recipient: Lie,
    message: Lie,
    dice: Dice,
}

/// Recipients that the rules may take for the one they were asked about.
const RECIPIENTS: [&str; 8] = [
    "alice@corp.example",
    "alice@old.example",
    "bob@corp2.example",
    "carol@bogus1",
    "dave@ext.example",
    "erin@partner.example",
    "frank@sub.corp.example",
    "grace@[192.0.2.25]",
];

impl Lies {
    /// The rules answer as they are.
    #[must_use]
    pub fn none() -> Lies {
        Lies::all(Lie::Truth, Dice::new(0))
    }

    /// Always yes, whatever is asked.
    #[must_use]
    pub fn widest() -> Lies {
        Lies::all(Lie::Widest, Dice::new(0))
    }

    /// Each question is answered in its own way, drawn by chance.
    #[must_use]
    pub fn drawn(mut dice: Dice) -> Lies {
        let mut lie = || *dice.pick(&[Lie::Truth, Lie::Widest, Lie::Chance, Lie::Chance]);
        let (connection, sender, recipient, message) = (lie(), lie(), lie(), lie());
        Lies { connection, sender, recipient, message, dice }
    }

    fn all(lie: Lie, dice: Dice) -> Lies {
        Lies { connection: lie, sender: lie, recipient: lie, message: lie, dice }
    }

    /// Makes another decision of one.
    pub(crate) fn mislead(&mut self, decision: &mut dyn Any) {
        if let Some(decision) = decision.downcast_mut::<Decision<Admission>>() {
            let widest = || Ok(Admission::Admitted);
            self.exchange(self.connection, decision, widest, Lies::connection);
        } else if let Some(decision) = decision.downcast_mut::<Decision<Submission>>() {
            let widest = || Ok(Submission { marked: false });
            self.exchange(self.sender, decision, widest, Lies::sender);
        } else if let Some(decision) = decision.downcast_mut::<Decision<Acceptance>>() {
            let widest = || Ok(Acceptance::Relayed { by: Grant::Authenticated });
            self.exchange(self.recipient, decision, widest, Lies::recipient);
        } else if let Some(decision) = decision.downcast_mut::<Decision<Taken>>() {
            let widest = || Ok(Taken { marks: Vec::new() });
            self.exchange(self.message, decision, widest, Lies::message);
        } else {
            panic!("a question of which nobody knows how it could be answered wrongly");
        }
    }

    fn exchange<V>(
        &mut self,
        lie: Lie,
        decision: &mut Decision<V>,
        widest: impl FnOnce() -> Result<V, Refusal>,
        chance: impl FnOnce(&mut Lies) -> Result<V, Refusal>,
    ) {
        match lie {
            Lie::Truth => {}
            Lie::Widest => decision.verdict = widest(),
            // Mostly yes: who is refused at once shows nothing of what comes later.
            Lie::Chance => match self.dice.below(3) {
                0 => {}
                1 => decision.verdict = widest(),
                _ => decision.verdict = chance(self),
            },
        }
    }

    fn connection(&mut self) -> Result<Admission, Refusal> {
        match self.dice.below(8) {
            0..4 => Ok(Admission::MustAuthenticate),
            4 => Err(Refusal::ConnectionListed),
            5 => Err(Refusal::ConnectionNotListed),
            6 => Err(Refusal::TooManyConnections),
            _ => Err(Refusal::CouldNotFindOut),
        }
    }

    fn sender(&mut self) -> Result<Submission, Refusal> {
        match self.dice.below(9) {
            0..4 => Ok(Submission { marked: true }),
            4 => Err(Refusal::NotAuthenticated { close: self.dice.chance(50) }),
            8 => Err(Refusal::SenderFiltered { close: self.dice.chance(50) }),
            5 => Err(Refusal::MayNotSubmit),
            6 => Err(Refusal::NotOwner),
            _ => Err(Refusal::CouldNotFindOut),
        }
    }

    fn recipient(&mut self) -> Result<Acceptance, Refusal> {
        let recipient: Mailbox = self.dice.pick(&RECIPIENTS).parse().expect("addresses written above");
        let by = *self.dice.pick(&[Grant::RemoteDomain, Grant::Authenticated, Grant::Right, Grant::List, Grant::Peer]);
        match self.dice.below(8) {
            0..3 => Ok(Acceptance::Submitted { to: recipient }),
            3..5 => Ok(Acceptance::Relayed { by }),
            5 => Err(Refusal::RelayDenied { recipient }),
            6 => Err(Refusal::UserUnknown),
            _ => Err(Refusal::CouldNotFindOut),
        }
    }

    fn message(&mut self) -> Result<Taken, Refusal> {
        match self.dice.below(8) {
            0..4 => Ok(Taken { marks: vec![AddressPlace::From, AddressPlace::Sender] }),
            4..6 => Ok(Taken { marks: vec![AddressPlace::ResentFrom] }),
            6 => Err(Refusal::NotOwner),
            _ => Err(Refusal::HopCount),
        }
    }
}

//! The door: what a client may do that is here only because it may still authenticate.
//!
//! Where everybody may connect so that the listed and the authenticated can be told apart at MAIL (reference 4,
//! SmtpIpRestrictionFlag = 1), everybody has a foot inside. Until such a client has said who it is, it has few
//! commands and little time, and learns nothing about anybody: VRFY, EXPN and ETRN are answered as MAIL is.

use super::state::State;
use super::{Note, Session, say};
use std::time::Duration;

/// What a client at the door may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    /// How many commands it may say. One more is answered 421 4.7.0 and ends the session.
    pub commands: u32,
    /// How long it may stay. Whoever drives the session holds it to that.
    pub time: Duration,
    /// The reply code to what only others may say: 530, or 454 for clients that give up for good at 530.
    pub code: u16,
}

impl Default for Door {
    /// Enough for EHLO, STARTTLS, EHLO again and as many tries of AUTH as anybody has; half a minute (reference 4).
    fn default() -> Door {
        Door { commands: 20, time: Duration::from_secs(30), code: 530 }
    }
}

impl Session {
    /// Whether the client must authenticate before it may do anything else, and has not.
    #[must_use]
    pub fn at_door(&self) -> bool {
        self.must_authenticate && !self.identity.is_authenticated()
    }

    /// Counts a command of a client at the door; whether it is one too many.
    pub(super) fn wears_out_the_door(&mut self) -> bool {
        if !self.at_door() {
            return false;
        }
        self.door_commands += 1;
        self.door_commands > self.settings.door.commands
    }

    /// It has said enough without saying who it is.
    pub(super) fn turned_away(&mut self, state: &State) -> State {
        self.abandon(state);
        self.note(Note::TooManyCommands);
        self.close(say::too_many_commands())
    }

    /// What others may ask, it may not: about whom we know it learns nothing.
    pub(super) fn not_at_the_door(&mut self, state: State) -> State {
        let reply = say::not_authenticated(self.settings.door.code);
        self.refuse(state, Note::MustAuthenticate, reply)
    }
}

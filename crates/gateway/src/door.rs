//! Who is let in, and on what ground: each client of a virtual server is counted once.
//!
//! A client that connection control does not let in may still be here, where it restricts only those who have
//! not authenticated (reference 4). Whether it was turned away is known only when it has gone.

use crate::event::Event;
use crate::session::Context;
use crate::world::World;

/// What became of a client, as it stands in the counters.
pub(crate) const OUTCOMES: [&str; 3] = ["listed", "authenticated", "turned-away"];

/// What became of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// Connection control let it in.
    Listed,
    /// It would not have, but the client has authenticated.
    Authenticated,
    /// It had to go, or went.
    TurnedAway,
}

impl Passage {
    /// The word in counters.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Passage::Listed => OUTCOMES[0],
            Passage::Authenticated => OUTCOMES[1],
            Passage::TurnedAway => OUTCOMES[2],
        }
    }
}

impl<W: World> Context<W> {
    /// The client is at the door: what becomes of it is not known yet.
    pub(crate) fn waits(&mut self) {
        self.waiting = true;
    }

    /// It is known what becomes of a client that has just come.
    pub(crate) fn passes(&mut self, passage: Passage) {
        self.waiting = true;
        self.passed(passage);
    }

    /// It is known what becomes of the client, if that was not known before.
    pub(crate) fn passed(&mut self, passage: Passage) {
        if std::mem::take(&mut self.waiting) {
            let server = &*self.server.config.name;
            self.gateway.recorder.record(&Event::Passed { server, passage });
        }
    }
}

//! Recall: the envelope of a queued message, when something is to be done for it.
//!
//! A message that has just come is carried to its first attempt as it is. One that waits is kept in
//! memory as a brief alone, and read back from the spool by whoever attempts or concludes it.

use crate::Gateway;
use crate::deliver::Stored;
use crate::world::World;
use queue::spool::ReadError;
use queue::{Brief, Envelope};
use std::sync::Arc;

/// What is at hand of a message.
#[derive(Clone, Debug)]
pub(crate) enum AtHand {
    /// All of its envelope.
    Envelope(Arc<Envelope>),
    /// As much as the dispatcher keeps.
    Brief(Brief),
}

/// A message on its way to whoever does something for it.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    /// What is known already.
    pub at_hand: AtHand,
    /// The body.
    pub content: Stored,
}

/// An envelope, or what is left of it.
pub(crate) struct Recalled {
    /// The envelope; an outline, if it could not be read.
    pub envelope: Arc<Envelope>,
    /// Why it could not.
    pub error: Option<ReadError>,
}

/// The envelope of a message.
pub(crate) async fn recall<W: World>(gateway: &Gateway<W>, letter: &Letter) -> Recalled {
    let brief = match &letter.at_hand {
        AtHand::Envelope(envelope) => return Recalled { envelope: envelope.clone(), error: None },
        AtHand::Brief(brief) => brief,
    };
    let (reader, location) = (gateway.reader.clone(), letter.content.location.clone());
    let read = gateway.world.blocking(move || reader.envelope(&location)).await;
    let (envelope, error) = match read {
        Ok(envelope) => (brief.complete(envelope), None),
        Err(error) => (brief.outline(letter.content.location.id()), Some(error)),
    };
    Recalled { envelope: Arc::new(envelope), error }
}

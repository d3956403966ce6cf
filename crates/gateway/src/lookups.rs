//! Ask policy; fetch what it is missing; ask again.

use crate::Law;
use crate::world::World;
use identity::{Finding, Inquiry, No};
use mail::{Found, Ledger, Mailbox, Query};
use policy::{Decision, Missing};

/// Judges with as many look-ups as the rules need. Each restart has one more answer in the ledger,
/// so there are at most as many as there are look-ups the rules can name.
pub(crate) async fn decide<W: World, V: 'static>(
    world: &W,
    law: &Law<W>,
    ledger: &mut Ledger,
    mut judge: impl FnMut(&Ledger) -> Result<Decision<V>, Missing>,
) -> Decision<V> {
    loop {
        match judge(ledger) {
            #[cfg(not(feature = "astray"))]
            Ok(decision) => return decision,
            #[cfg(feature = "astray")]
            Ok(mut decision) => {
                world.mislead(&mut decision);
                return decision;
            }
            Err(Missing(query)) => {
                // Boxed: what a look-up takes would stand empty in every task that may need one.
                let found = Box::pin(find(world, law, &query)).await;
                ledger.enter(query, found);
            }
        }
    }
}

async fn find<W: World>(world: &W, law: &Law<W>, query: &Query) -> Found {
    match query {
        Query::Recipient(mailbox) => recipient(world, law, mailbox.clone()).await,
        query => world.look_up(query).await,
    }
}

/// Whether a mailbox exists, as the directories say that know the recipients.
async fn recipient<W: World>(world: &W, law: &Law<W>, mailbox: Mailbox) -> Found {
    recipient_found(&world.inquire(&law.directories, &law.config.recipients_in, Inquiry::Recipient { mailbox }).await)
}

/// What the answer of the directories about a recipient means to a rule.
#[must_use]
pub fn recipient_found(finding: &Finding) -> Found {
    match finding {
        Finding::Account(_) | Finding::Principal(..) => Found::Exists,
        // A mailbox of somebody who may not log in is a mailbox all the same.
        Finding::No(No::Suspended | No::NoSecret | No::Wrong) => Found::Exists,
        Finding::No(No::Unknown) => Found::Absent,
        _ => Found::Unavailable,
    }
}

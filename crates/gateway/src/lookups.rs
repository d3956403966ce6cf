//! Ask policy; fetch what it is missing; ask again.

use crate::world::World;
use mail::Ledger;
use policy::{Decision, Missing};

/// Judges with as many look-ups as the rules need. Each restart has one more answer in the ledger,
/// so there are at most as many as there are look-ups the rules can name.
pub(crate) async fn decide<W: World, V>(
    world: &W,
    ledger: &mut Ledger,
    mut judge: impl FnMut(&Ledger) -> Result<Decision<V>, Missing>,
) -> Decision<V> {
    loop {
        match judge(ledger) {
            Ok(decision) => return decision,
            Err(Missing(query)) => {
                // Boxed: what a look-up takes would stand empty in every task that may need one.
                let found = Box::pin(world.look_up(&query)).await;
                ledger.enter(query, found);
            }
        }
    }
}

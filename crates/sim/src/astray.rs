//! Rules that have gone astray: whatever they answer, what must never be is never committed.
//!
//! A case is settings, sentences of what must never be, and sessions, all drawn from one number. It is played
//! with the whole gateway, whose rules answer what [`lies::Lies`] make of their answers: anything that a mutant
//! of them could answer. Then [`oracle`] holds what has been committed against the sentences. It has its own
//! idea of what they mean, taken from `docs/manual/invariants.md`, and shares no code with the gate or the rules.

mod caller;
pub mod draw;
pub mod lies;
pub mod oracle;
mod settings;

use crate::running::Running;
use crate::world::SimWorld;
use caller::Heard;
use config::Config;
use draw::Case;
use gateway::{Filter, QueueAnswer, QueueCommand};
use lies::Lies;
use oracle::{Committed, Deed};
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// How long whatever is still going on is given to come to rest, by the simulated clock: nobody waits for it.
const REST: Duration = Duration::from_secs(5);

/// What was seen of a case.
#[derive(Debug, Default)]
pub struct Seen {
    /// What was committed, with what its client has done.
    pub committed: Vec<Committed>,
    /// What clients have come to without mail: a greeting, an offer of AUTH.
    pub deeds: Vec<Deed>,
    /// Messages that the gate has stopped, as the counter says.
    pub stopped: u64,
    /// What should not have happened whatever the sentences are.
    pub faults: Vec<String>,
    /// What clients and the gateway have said.
    pub dialog: String,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}stopped: {}", self.dialog, self.stopped)
    }
}

/// Plays a case under settings that have been made of it.
///
/// # Panics
/// If the runtime cannot be built, which needs nothing of the machine; if the gateway does not start.
#[must_use]
pub fn play(case: &Case, config: Config, lies: Lies) -> Seen {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime without a driver is only memory");
    runtime.block_on(async {
        let world = Arc::new(SimWorld::new());
        for account in &case.accounts {
            world.with_accounts(|accounts| accounts.enter(account)).expect("drawn accounts are accounts");
        }
        for names in draw::NAMES {
            world.with_names(|known| known.enter(names)).expect("drawn names are names");
        }
        world.tell_lies(lies);
        let running = Box::pin(Running::begin(world.clone(), config)).await.expect("drawn settings can be had");
        let mut seen = Seen::default();
        for visit in &case.visits {
            let heard = Box::pin(caller::call(&world, &running, visit)).await;
            seen.add(heard);
        }
        sleep(REST).await;
        Box::pin(seen.look(&running)).await;
        running.stop().await;
        seen
    })
}

impl Seen {
    fn add(&mut self, heard: Heard) {
        self.committed.extend(heard.taken);
        self.deeds.extend(heard.deeds);
        self.dialog.push_str(&heard.dialog);
    }

    /// Looks at what has really been committed: nothing here can be delivered, so all of it is in the queue.
    async fn look(&mut self, running: &Running) {
        let Some(QueueAnswer::View(view)) = running.control().queue(QueueCommand::List(Filter::default())).await else {
            return self.faults.push("the queue cannot be seen".to_owned());
        };
        for message in &view.messages {
            let _ = writeln!(self.dialog, "queued {} for {:?}", message.id, message.recipients);
            match self.committed.iter_mut().find(|one| one.id == message.id) {
                Some(one) => one.recipients = message.recipients.iter().map(|each| each.to.clone()).collect(),
                None => self.faults.push(format!("{} is queued, and no client was told so", message.id)),
            }
        }
        for one in self.committed.iter().filter(|one| one.recipients.is_empty()) {
            self.faults.push(format!("{} was promised and is not queued", one.id));
        }
        let metrics = running.metrics().await;
        let counted = metrics.lines().filter(|line| line.starts_with("bridgehead_gate_stopped_total{"));
        let counts = counted.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
        self.stopped = counts.sum();
    }
}

//! Simulations from a seed: one number decides who sends what, what goes wrong, and when; oracles say
//! whether the gateway kept its promises all the same.
//!
//! [`draw::plan`] makes a plan of a seed, [`run::run`] plays it, [`oracles::judge`] looks at what was
//! seen, and [`shrink::shrink`] cuts a plan that fails to what matters. The same plan gives the same
//! story, octet for octet.

mod client;
mod counters;
pub mod draw;
mod law;
mod letter;
pub mod oracles;
pub mod plan;
pub mod run;
pub mod seen;
pub mod shrink;
mod text;

use crate::plant::Plant;
use oracles::Finding;
use plan::Plan;

/// Plays a plan and judges it; gives what was found, and the story.
#[must_use]
pub fn try_plan(plan: &Plan, plant: Option<Plant>) -> (Vec<Finding>, seen::Seen) {
    let seen = run::run(plan, plant);
    (oracles::judge(plan, &seen), seen)
}

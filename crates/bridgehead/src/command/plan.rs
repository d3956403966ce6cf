//! `bridgehead plan NEW --against OLD`

use super::{UNREADABLE, load};
use crate::cli;
use access::{Direction, Plan, text};
use std::process::ExitCode;

/// Says what the new settings open and close; ends with 2 if they open anything.
pub(super) fn run(plan: &cli::Plan) -> ExitCode {
    let (old, new) = match (load(&plan.against), load(&plan.new)) {
        (Ok(old), Ok(new)) => (old, new),
        (old, new) => {
            [old, new].into_iter().filter_map(Result::err).for_each(|error| eprintln!("{error:#}"));
            return ExitCode::from(UNREADABLE);
        }
    };
    let now = crate::world::wall_clock();
    let found = Plan::of((&old.name, &old.config), (&new.name, &new.config), now);
    if plan.json {
        super::print_json(&found);
    } else {
        print!("{}", text::plan(&found));
    }
    match found.direction() {
        None => ExitCode::SUCCESS,
        Some(Direction::Narrower | Direction::Sideways) => ExitCode::from(1),
        Some(Direction::Wider) => ExitCode::from(2),
    }
}

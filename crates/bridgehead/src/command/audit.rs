//! `bridgehead audit FILE`

use super::{UNREADABLE, load};
use crate::cli;
use access::{Audit, Severity, Surroundings, html, text};
use std::process::ExitCode;

/// Says who may do what, and what is wrong with that; ends by the worst of it.
pub(super) fn run(audit: &cli::Audit) -> ExitCode {
    let loaded = match load(&audit.file) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::from(UNREADABLE);
        }
    };
    let found = Audit::of(&loaded.name, &loaded.config, &surroundings(), crate::world::wall_clock());
    if audit.json {
        super::print_json(&found);
    } else if audit.html {
        print!("{}", html::audit(&found));
    } else {
        print!("{}", text::audit(&found));
    }
    match found.severity() {
        None | Some(Severity::Notice) => ExitCode::SUCCESS,
        Some(Severity::Warning) => ExitCode::from(1),
        Some(Severity::Critical) => ExitCode::from(2),
    }
}

/// What is known of this host.
pub(crate) fn surroundings() -> Surroundings {
    Surroundings { gateways: crate::world::default_gateways() }
}

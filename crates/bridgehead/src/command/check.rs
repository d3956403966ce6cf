//! `bridgehead check FILE`

use crate::cli::{Check, SettingsFrom};
use crate::objections;
use crate::settings::{self, Loaded};
use crate::world::wall_clock;
use access::Outcome;
use anyhow::{Result, bail};
use config::Severity;
use invariant::Invariant;
use std::fmt::Write;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Checks a settings file; says what it would open, which exceptions have ended or are about to, and of each
/// invariant whether it holds. With `--strict`, every exception must say who answers for it, why it is there, and
/// when it ends.
///
/// # Errors
/// All mistakes of the file, or of the file of invariants.
pub(super) fn run(check: Check) -> Result<ExitCode> {
    let from = SettingsFrom { config: Some(check.file), smart_host: None, state_dir: None };
    let loaded = settings::load_with_invariants(&from)?;
    let mut mistakes = loaded.config.ending(&loaded.text, wall_clock());
    if check.strict {
        mistakes.extend(loaded.config.strict(&loaded.text));
    }
    eprint!("{}", config::render(&loaded.name, &loaded.text, &mistakes, std::io::stderr().is_terminal()));
    let errors = mistakes.iter().filter(|mistake| mistake.severity == Severity::Error).count();
    if errors > 0 {
        let plural = if errors == 1 { "" } else { "s" };
        bail!("{}: {errors} exception{plural} without an owner, a reason or an end", loaded.name);
    }
    println!("{}: no mistakes", loaded.name);
    for server in &loaded.config.servers {
        let clear = server.listen.iter().map(ToString::to_string);
        let tls = server.listen_tls.iter().map(|address| format!("{address} (TLS)"));
        let addresses: Vec<String> = clear.chain(tls).collect();
        println!("  {} listens on {}", server.name, addresses.join(", "));
    }
    let (text, hold) = invariants(&loaded);
    print!("{text}");
    Ok(if hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What became of each invariant, in words, and whether all hold.
fn invariants(loaded: &Loaded) -> (String, bool) {
    let (mut text, mut hold) = (String::new(), true);
    let Some(file) = &loaded.config.invariants_file else { return (text, hold) };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}:", file.display());
    for proof in access::prove(&loaded.config, wall_clock()) {
        let invariant = &loaded.config.invariants[proof.invariant];
        hold &= matches!(proof.outcome, Outcome::Holds { .. });
        say(&mut text, loaded, invariant, &proof.outcome);
    }
    (text, hold)
}

fn say(text: &mut String, loaded: &Loaded, invariant: &Invariant, outcome: &Outcome) {
    let name = &invariant.name;
    let _ = match outcome {
        Outcome::Holds { classes } => writeln!(text, "  {name} holds, proved over {classes} classes of session"),
        Outcome::Unproved(why) => writeln!(text, "  {name} COULD NOT BE PROVED: {why}"),
        Outcome::Broken(_) => writeln!(text, "  {name} IS BROKEN"),
    };
    let Outcome::Broken(all) = outcome else { return };
    let _ = writeln!(text, "    {invariant}");
    for broken in all {
        let sentence = objections::sentence(&loaded.config, broken);
        let _ = writeln!(text, "    at {}: {sentence}", broken.server);
        let _ = writeln!(text, "      from {}", broken.addresses);
        let _ = writeln!(text, "      {}", broken.witness.command(&loaded.name));
    }
}

//! `bridgehead check FILE`

use crate::cli::{Check, SettingsFrom};
use crate::settings::{self, Loaded};
use crate::world::wall_clock;
use access::{Audit, Outcome, text};
use anyhow::{Result, bail};
use config::Severity;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Checks a settings file; says what it would open, which exceptions have ended or are about to, which relay lists
/// name addresses that stand for others, and of each invariant whether it holds. With `--strict`, every exception must say who answers for it, why it is there, and
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
    covered(&loaded)?;
    println!("{}: no mistakes", loaded.name);
    for server in &loaded.config.servers {
        let clear = server.listen.iter().map(ToString::to_string);
        let tls = server.listen_tls.iter().map(|address| format!("{address} (TLS)"));
        let addresses: Vec<String> = clear.chain(tls).collect();
        println!("  {} listens on {}", server.name, addresses.join(", "));
    }
    let proofs = access::prove(&loaded.config, wall_clock());
    if let Some(file) = &loaded.config.invariants_file {
        print!("{}:\n{}", file.display(), text::invariants(&loaded.name, &loaded.config, &proofs));
    }
    let hold = proofs.iter().all(|proof| matches!(proof.outcome, Outcome::Holds { .. }));
    Ok(if hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Refuses relay lists with the address of a proxy or of the default gateway, behind which anybody may be; warns of one
/// with this host's own. All else that is wrong with who may do what is for `audit` to say: it does not depend on a slip.
fn covered(loaded: &Loaded) -> Result<()> {
    let audit = Audit::of(&loaded.name, &loaded.config, &super::audit::surroundings(), wall_clock());
    let mut mistakes = 0;
    for finding in audit.findings.iter().filter(|finding| finding.id.starts_with("relay-covers-")) {
        let severe = finding.severity == access::Severity::Critical;
        mistakes += usize::from(severe);
        let word = if severe { "error" } else { "warning" };
        let line = finding.rule.line.map(|line| format!(" (line {line})")).unwrap_or_default();
        eprintln!("{word}: {}\n  {}\n  {}{line}", finding.what, finding.why, finding.mend);
    }
    if mistakes > 0 {
        bail!(
            "{}: {mistakes} relay grant{} to whoever comes through",
            loaded.name,
            if mistakes == 1 { "" } else { "s" }
        );
    }
    Ok(())
}

//! `bridgehead check FILE`

use crate::cli::SettingsFrom;
use crate::settings;
use anyhow::Result;
use std::path::PathBuf;
use std::process::ExitCode;

/// Checks a settings file; says what it would open.
///
/// # Errors
/// All mistakes of the file.
pub(super) fn run(file: PathBuf) -> Result<ExitCode> {
    let loaded = settings::load(&SettingsFrom { config: Some(file), smart_host: None, state_dir: None })?;
    println!("{}: no mistakes", loaded.name);
    for server in &loaded.config.servers {
        let clear = server.listen.iter().map(ToString::to_string);
        let tls = server.listen_tls.iter().map(|address| format!("{address} (TLS)"));
        let addresses: Vec<String> = clear.chain(tls).collect();
        println!("  {} listens on {}", server.name, addresses.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

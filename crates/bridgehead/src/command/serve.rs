//! `bridgehead serve`: start, tell where, wait for signals, stop.

mod reload;

use crate::cli;
use crate::control::{Reload, Socket};
use crate::objections::{self, Accepted, Against, Judged};
use crate::self_signed;
use crate::settings::{self, Loaded};
use crate::world::{Machine, threads, wall_clock};
use anyhow::{Context, Result, bail};
use config::Config;
use directory::Kerberos;
use directory::kerberos::KEYTAB_VARIABLE;
use gateway::Handle;
use identity::settings::Kind;
use policy::Route;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use sd_notify::NotifyState;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// Runs the gateway until it is told to stop.
///
/// # Errors
/// One clear message why it did not start; nothing is listening then and no mail was taken.
pub(super) fn run(serve: &cli::Serve) -> Result<ExitCode> {
    let Loaded { config, name, .. } = settings::load_with_invariants(&serve.settings)?;
    let against = Against {
        running: None,
        insisted: serve.accept.clone(),
        surroundings: super::audit::surroundings(),
        now: wall_clock(),
    };
    let judged = match objections::judge(config, &name, &against)? {
        Ok(judged) => judged,
        Err(objections) => bail!(
            "the settings break what must never be\n{}{}",
            super::reload::said(&objections),
            super::reload::insist(&objections, "serve", serve.settings.config.as_deref()).trim_end()
        ),
    };
    with_keytab(&judged.config)?;
    make_directories(&judged.config)?;
    if serve.settings.config.is_none() {
        self_signed::ensure(&judged.config)?;
        first_account(&judged.config)?;
    }
    raise_descriptor_limit();
    let runtime = threads::for_sessions().context("cannot start")?;
    let ended = runtime.block_on(gateway(serve, judged, &name));
    // A disk call that hangs must not keep the process: nobody waits for its result any more.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended.map(|()| ExitCode::SUCCESS)
}

/// Commands to load settings that may wait for one another.
const RELOADS: usize = 8;

/// The account that a server without settings begins with.
const FIRST_ACCOUNT: &str = "you";

/// Makes the first account of a server without settings, and shows its password: this once.
fn first_account(config: &Config) -> Result<()> {
    let (Some(domain), Some(Kind::File(path))) =
        (config.organization.domains.first(), config.directories.first().map(|directory| &directory.kind))
    else {
        return Ok(());
    };
    let address = format!("{FIRST_ACCOUNT}@{domain}");
    if let Some(password) = super::account::first(path, FIRST_ACCOUNT, &address)? {
        let mut text = Zeroizing::new(format!("the first account is `{FIRST_ACCOUNT}`, its password ").into_bytes());
        text.extend_from_slice(password.expose());
        text.extend_from_slice(b"\n  (it is shown only now; `bridgehead account password` makes another)\n");
        let _ = std::io::stdout().write_all(&text);
    }
    Ok(())
}

/// The Kerberos library is told of its keytab by the environment, and a program cannot change its own
/// soundly: it begins again with another, as the same process.
fn with_keytab(config: &Config) -> Result<()> {
    let mut kinds = config.directories.iter().map(|directory| &directory.kind);
    let keytab = kinds.find_map(|kind| if let Kind::Kerberos(kerberos) = kind { Some(&kerberos.keytab) } else { None });
    let Some(keytab) = keytab.filter(|keytab| !Kerberos::reads(keytab)) else { return Ok(()) };
    let mut name = OsString::from("FILE:");
    name.push(keytab);
    let program = std::env::current_exe().context("cannot find this program to begin again with the keytab")?;
    let error = Command::new(program).args(std::env::args_os().skip(1)).env(KEYTAB_VARIABLE, name).exec();
    Err(error).context("cannot begin again with the keytab")
}

async fn gateway(serve: &cli::Serve, judged: Judged, name: &str) -> Result<()> {
    let Judged { mut config, accepted, .. } = judged;
    let mut reloads = signal(SignalKind::hangup()).context("cannot listen for signals")?;
    let mut stops = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let mut interrupts = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    // A file that may not grow is an error to whoever writes it; unheard, this signal would end us.
    let _heard = signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).context("cannot listen for signals")?;
    let metrics = bind_metrics(&config).await?;
    let world = Arc::new(Machine::new().context("cannot start")?);
    let mut handle = Handle::start(world, config.clone(), salt()).await?;
    // Whoever reads the log of this start sees what is not as it should be.
    accepted.ids().for_each(|id| handle.accepted(id));
    record(&accepted, &config.state_dir);
    let socket = Socket::open(&config.control_socket)?;
    let (wanted, mut commands) = mpsc::channel(RELOADS);

    let stop = CancellationToken::new();
    let pages: Vec<SocketAddr> = metrics.iter().map(|(address, _)| *address).collect();
    let where_ = addresses(&handle, &pages);
    tokio::spawn(socket.serve(handle.control(), wanted, stop.clone()));
    for (_, listener) in metrics {
        tokio::spawn(console::serve(listener, handle.control(), stop.clone()));
    }
    tell_listeners(&config, &where_);
    say(&mut std::io::stdout(), &greeting(&config, name, &where_));
    tell_systemd(&[NotifyState::Ready]);
    let watchdog = watchdog();
    let lost = loop {
        tokio::select! {
            biased;
            _ = stops.recv() => break false,
            _ = interrupts.recv() => break false,
            () = handle.owner_lost() => break true,
            _ = reloads.recv() => {
                let _ = reload::reload(serve, &mut handle, &mut config, Vec::new()).await;
                tell_listeners(&config, &addresses(&handle, &pages));
            }
            Some(Reload { insisted, answer }) = commands.recv() => {
                let reloaded = reload::reload(serve, &mut handle, &mut config, insisted).await;
                tell_listeners(&config, &addresses(&handle, &pages));
                // Whoever has gone meanwhile finds it in the log.
                let _ = answer.send(reloaded);
            }
            () = pulse(watchdog) => tell_systemd(&[NotifyState::Watchdog]),
        }
    };
    tell_systemd(&[NotifyState::Stopping]);
    stop.cancel();
    handle.stop().await;
    if lost {
        bail!("the part that owns the queue has failed; the next start goes on with what is in the spool");
    }
    Ok(())
}

/// Which virtual server listens where, and the pages.
fn addresses(handle: &Handle<Machine>, pages: &[SocketAddr]) -> Vec<(String, SocketAddr)> {
    let mut all = handle.listening();
    all.extend(pages.iter().map(|address| ("metrics".to_owned(), *address)));
    all
}

/// As many descriptors as the system allows us: each session and each connection to a next hop is one.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // If it cannot be raised, the listeners wait when it is reached.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// A number that strangers cannot guess, drawn for this process.
fn salt() -> u64 {
    RandomState::new().hash_one(0_u8)
}

/// Directories that we write into are made at the start, and only then: one that vanishes later was
/// taken away by somebody, and mail for it waits.
#[expect(clippy::disallowed_methods, reason = "directories are made before the world begins")]
fn make_directories(config: &Config) -> Result<()> {
    let mut directories = BTreeSet::from([config.state_dir.clone(), config.queue.bad_mail_directory.clone()]);
    directories.extend(config.control_socket.parent().map(PathBuf::from));
    for route in config.routing.organization.iter().chain(&config.routing.drop_directory) {
        if let Route::Drop(drop) = route {
            directories.insert(drop.directory.clone());
        }
    }
    for directory in directories {
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make the directory {}", directory.display()))?;
        let probe = directory.join(".bridgehead-probe");
        std::fs::write(&probe, b"")
            .and_then(|()| std::fs::remove_file(&probe))
            .with_context(|| format!("cannot write into the directory {}", directory.display()))?;
    }
    Ok(())
}

async fn bind_metrics(config: &Config) -> Result<Vec<(SocketAddr, TcpListener)>> {
    let mut bound = Vec::new();
    for address in &config.metrics {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("cannot serve /metrics on {address}"))?;
        bound.push((listener.local_addr()?, listener));
    }
    Ok(bound)
}

/// Which virtual server listens where, for scripts. That there is no room for it must not keep what is
/// queued from being delivered; but what an earlier start wrote is not true any more.
fn tell_listeners(config: &Config, where_: &[(String, SocketAddr)]) {
    let path: PathBuf = config.state_dir.join("listeners");
    if let Err(error) = write_listeners(&path, where_) {
        let _ = std::fs::remove_file(&path);
        say(&mut std::io::stderr(), &format!("bridgehead: cannot write {}: {error}\n", path.display()));
    }
}

/// Port 0 in the settings becomes a number here.
#[expect(clippy::disallowed_methods, reason = "a file for others, not part of the world")]
fn write_listeners(path: &Path, where_: &[(String, SocketAddr)]) -> io::Result<()> {
    let mut text = String::new();
    for (name, address) in where_ {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name} {address}");
    }
    let unfinished = path.with_extension("part");
    let written = std::fs::write(&unfinished, text).and_then(|()| std::fs::rename(&unfinished, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    written
}

/// Says something where the log goes. `println!` would panic on a full disk, and end the service.
fn say(to: &mut impl io::Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}

/// What a person wants to know first.
fn greeting(config: &Config, name: &str, where_: &[(String, SocketAddr)]) -> String {
    let mut text = format!("bridgehead runs on {name}; state in {}\n", config.state_dir.display());
    // Writing to a string cannot fail.
    for (server, address) in where_ {
        let _ = match server.as_str() {
            "metrics" => writeln!(text, "  metrics at http://{address}/metrics"),
            server => writeln!(text, "  virtual server {server} listens on {address}"),
        };
    }
    let inside = config.organization.domains.first();
    let first = where_.iter().find(|(server, _)| server != "metrics");
    if let (Some(domain), Some((_, address))) = (inside, first) {
        let from = "--from me@example.org";
        let _ = writeln!(text, "try: echo hello | bridgehead send --server {address} {from} --to you@{domain}");
    }
    if let Some(Route::Drop(drop)) = &config.routing.drop_directory {
        let _ = writeln!(text, "     and look into {}", drop.directory.display());
    }
    text
}

/// Writes down what is accepted. That there is no room for it must not keep mail from being taken; but then
/// the next start does not know of it.
fn record(accepted: &Accepted, state_dir: &Path) {
    if let Err(error) = accepted.write(state_dir) {
        say(&mut std::io::stderr(), &format!("bridgehead: {error:#}\n"));
    }
}

/// Half of the time systemd waits for a sign of life, if it does.
fn watchdog() -> Option<std::time::Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

async fn pulse(every: Option<std::time::Duration>) {
    match every {
        Some(every) => tokio::time::sleep(every).await,
        None => std::future::pending().await,
    }
}

fn tell_systemd(states: &[NotifyState<'_>]) {
    // Without systemd there is nobody to tell.
    let _ = sd_notify::notify(states);
}

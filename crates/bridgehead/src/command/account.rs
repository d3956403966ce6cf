//! `bridgehead account`: looks at the account file and changes it; a gateway that runs reads it again by
//! itself. What accounts have sent it asks the running gateway.

mod ask;
mod file;
mod limits;

use crate::{cli, settings};
use anyhow::{Context, Result, anyhow, bail};
use file::AccountFile;
use identity::accounts::{Accounts, Change, Entry, Secrets, edit, read_fingerprint};
use identity::settings::Kind;
use identity::{AccountName, Secret, generated_password};
use mail::Day;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

/// Looks or changes.
///
/// # Errors
/// What kept it from being done; the file is then as it was.
pub(super) fn run(account: &cli::Account) -> Result<ExitCode> {
    match &account.action {
        cli::AccountAction::Limits { json } => limits::list(account, *json)?,
        cli::AccountAction::Resume { name } if account.file.is_none() => resume(account, name)?,
        _ => return in_file(account),
    }
    Ok(ExitCode::SUCCESS)
}

/// What is done with the account file alone.
fn in_file(account: &cli::Account) -> Result<ExitCode> {
    let path = &match &account.file {
        Some(path) => path.clone(),
        None => of_settings(account)?,
    };
    match &account.action {
        cli::AccountAction::List => return list(path),
        cli::AccountAction::Add { name, password, no_password, group, address } => {
            let mut changes = vec![Change::Add];
            changes.extend(all(group, Change::Join)?);
            changes.extend(all(address, Change::Own)?);
            let password = if *no_password { None } else { Some(*password) };
            set(path, name, changes, password)?;
        }
        cli::AccountAction::Password { name, password } => set(path, name, Vec::new(), Some(*password))?,
        cli::AccountAction::Group(lists) => both(path, lists, parsed, Change::Join, Change::Leave)?,
        cli::AccountAction::Address(lists) => both(path, lists, parsed, Change::Own, Change::Disown)?,
        cli::AccountAction::Certificate(lists) => {
            let read = |text: &str| read_fingerprint(text).map_err(|error| anyhow!("{text}: {error}"));
            both(path, lists, read, Change::Trust, Change::Distrust)?;
        }
        cli::AccountAction::Suspend { name } => change(path, name, &[Change::Suspend])?,
        cli::AccountAction::Resume { name } => change(path, name, &[Change::Resume])?,
        cli::AccountAction::Limits { .. } => unreachable!("it is no matter of the file"),
        cli::AccountAction::Remove { name } => change(path, name, &[Change::Remove])?,
        cli::AccountAction::Expire { name, day } => {
            let day: Option<Day> = day.as_deref().map(parsed).transpose()?;
            change(path, name, &[Change::Expire(day)])?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Lets an account log in again by its file, and send again at the running gateway. One of both must know of it.
fn resume(account: &cli::Account, name: &str) -> Result<()> {
    let sends = limits::resume(account, name);
    if let Ok(true) = sends {
        println!("{name} may send again");
    }
    let logs_in = of_settings(account).and_then(|path| change(&path, name, &[Change::Resume]));
    match sends {
        // An address, or an account of another directory.
        Ok(true) => Ok(()),
        Ok(false) => logs_in.with_context(|| format!("{name} was not suspended at the running gateway")),
        Err(_) => logs_in,
    }
}

/// The account file that the settings name, if they name just one.
fn of_settings(account: &cli::Account) -> Result<PathBuf> {
    let from =
        cli::SettingsFrom { config: account.config.clone(), smart_host: None, state_dir: account.state_dir.clone() };
    let loaded = settings::load(&from)?;
    let mut files = loaded.config.directories.iter().filter_map(|directory| match &directory.kind {
        Kind::File(path) => Some(path.clone()),
        _ => None,
    });
    match (files.next(), files.next()) {
        (Some(path), None) => Ok(path),
        (None, _) => bail!("{} names no account file; name one with --file", loaded.name),
        (Some(_), Some(_)) => bail!("{} names several account files; choose one with --file", loaded.name),
    }
}

/// Makes the account file of a server that was started without settings, with a first account in it.
/// Its password, if it was made now.
///
/// # Errors
/// The file cannot be made.
pub(super) fn first(path: &Path, name: &str, address: &str) -> Result<Option<Secret>> {
    if path.try_exists().with_context(|| format!("cannot look for {}", path.display()))? {
        return Ok(None);
    }
    let password = generated_password(ask::entropy()?);
    let secrets = Secrets::new(&password, false, ask::entropy()?)?;
    change(path, name, &[Change::Add, Change::Own(parsed(address)?), Change::Secrets(secrets)])?;
    Ok(Some(password))
}

fn parsed<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(text: &str) -> Result<T> {
    text.parse().with_context(|| format!("`{}`", text.escape_debug()))
}

fn all<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    texts: &[String],
    change: fn(T) -> Change,
) -> Result<Vec<Change>> {
    texts.iter().map(|text| parsed(text).map(change)).collect()
}

fn both<T>(
    path: &Path,
    lists: &cli::Lists,
    read: impl Fn(&str) -> Result<T>,
    add: fn(T) -> Change,
    remove: fn(T) -> Change,
) -> Result<()> {
    let removed = lists.remove.iter().map(|text| read(text).map(remove));
    let added = lists.add.iter().map(|text| read(text).map(add));
    let changes: Vec<Change> = removed.chain(added).collect::<Result<_>>()?;
    change(path, &lists.name, &changes)
}

/// Makes the changes, with a new password if one is wanted, and says the one it has made up.
fn set(path: &Path, name: &str, mut changes: Vec<Change>, wanted: Option<cli::NewPassword>) -> Result<()> {
    let mut generated = None;
    if let Some(wanted) = wanted {
        let password = if wanted.generate { generated_password(ask::entropy()?) } else { ask::password()? };
        changes.push(Change::Secrets(Secrets::new(&password, wanted.ntlm, ask::entropy()?)?));
        generated = wanted.generate.then_some(password);
    }
    change(path, name, &changes)?;
    generated.map_or(Ok(()), |password| say(&password))
}

/// Prints the password straight to standard output, with no copy left in a buffer that nobody wipes.
fn say(password: &Secret) -> Result<()> {
    let mut line = zeroize::Zeroizing::new(password.expose().to_vec());
    line.push(b'\n');
    let mut output = std::io::stdout().lock();
    output
        .write_all(&line)
        .and_then(|()| output.flush())
        .context("the account is made, but its password was not printed")
}

fn change(path: &Path, name: &str, changes: &[Change]) -> Result<()> {
    let name: AccountName = parsed(name)?;
    let adds = matches!(changes.first(), Some(Change::Add));
    let mut file = if adds { AccountFile::open_or_make(path) } else { AccountFile::open(path) }?;
    let text = file.text()?;
    let changed = edit(&text, &name, changes).with_context(|| format!("{}: account {name}", path.display()))?;
    if *changed != *text {
        file.replace(changed.as_bytes())?;
    }
    Ok(())
}

fn list(path: &Path) -> Result<ExitCode> {
    let text = AccountFile::open(path)?.text()?;
    match Accounts::read(text.as_bytes()) {
        Ok(accounts) => accounts.entries().iter().for_each(|entry| println!("{}", line(entry))),
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| eprintln!("{}: {mistake}", path.display()));
            bail!("mistakes in {}: {}", path.display(), mistakes.len());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One account: its name, what it can log in by, whether it may, groups, addresses.
fn line(entry: &Entry) -> String {
    let account = entry.account();
    let mut words = vec![account.name.to_string()];
    words.extend(entry.scheme().map(str::to_owned));
    words.extend(entry.has_scram().then(|| "scram".to_owned()));
    words.extend(entry.has_nt_hash().then(|| "nt-hash".to_owned()));
    words.extend((!entry.certificates().is_empty()).then(|| format!("certificates={}", entry.certificates().len())));
    words.extend(entry.is_suspended().then(|| "suspended".to_owned()));
    words.extend(entry.expires().map(|day| format!("expires={day}")));
    words.extend(account.groups.iter().map(|group| format!("group={group}")));
    words.extend(account.addresses.iter().map(|address| format!("<{address}>")));
    words.join(" ")
}

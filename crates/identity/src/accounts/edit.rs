//! Changes to the account file: text to text. Lines that a change is not about stay as they are.

use super::line::{Line, Word};
use super::read::read_fingerprint;
use super::{Accounts, Mistake, folded, scram};
use crate::keys::ScramKeys;
use crate::name::AccountName;
use crate::nt_hash::{nt_hash, nt_hash_text};
use crate::password::{PasswordError, PasswordHash};
use crate::secret::Secret;
use mail::{Day, Mailbox};
use std::fmt;
use std::ops::Range;
use zeroize::Zeroizing;

/// A change to one account.
#[derive(Debug)]
pub enum Change {
    /// There is such an account.
    Add,
    /// There is no such account any more: its lines go, and the comments between them.
    Remove,
    /// It has these secrets, and no others.
    Secrets(Secrets),
    /// It is in this group.
    Join(AccountName),
    /// It is not.
    Leave(AccountName),
    /// This address is its own.
    Own(Mailbox),
    /// It is not.
    Disown(Mailbox),
    /// It may not log in.
    Suspend,
    /// It may.
    Resume,
    /// It may until this day begins; `None` for ever.
    Expire(Option<Day>),
    /// The certificate with this SHA-256 is its own.
    Trust([u8; 32]),
    /// It is not.
    Distrust([u8; 32]),
}

/// What is kept of a password.
#[derive(Debug)]
pub struct Secrets {
    password: PasswordHash,
    scram: ScramKeys,
    nt_hash: Option<Secret>,
}

impl Secrets {
    /// What is kept of `password`: its hash, the keys of SCRAM, and the NT hash only if asked for.
    /// `entropy` are octets that nobody can guess.
    ///
    /// # Errors
    /// If it cannot be a password.
    pub fn new(password: &Secret, ntlm: bool, entropy: [u8; 32]) -> Result<Secrets, PasswordError> {
        let text = str::from_utf8(password.expose()).map_err(|_| PasswordError::Prohibited)?;
        let [mut salt, mut scram_salt] = [[0; 16]; 2];
        salt.copy_from_slice(&entropy[..16]);
        scram_salt.copy_from_slice(&entropy[16..]);
        Ok(Secrets {
            password: PasswordHash::new(password, salt)?,
            scram: ScramKeys::from_password(text, &scram_salt, ScramKeys::ITERATIONS)
                .map_err(|_| PasswordError::Prohibited)?,
            nt_hash: if ntlm { nt_hash(password) } else { None },
        })
    }

    fn lines(&self) -> Vec<Zeroizing<String>> {
        let mut lines =
            vec![field(Word::Password, self.password.text()), field(Word::Scram, &scram::written(&self.scram))];
        lines.extend(self.nt_hash.as_ref().map(|hash| field(Word::NtHash, &nt_hash_text(hash))));
        lines
    }
}

/// Why a change is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditError {
    /// The file has mistakes as it is.
    Damaged(Vec<Mistake>),
    /// There is no such account.
    Unknown,
    /// There is such an account already.
    Exists,
    /// The file would have these mistakes afterwards: the address is somebody else's, or it is too much.
    Refused(Vec<Mistake>),
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (said, mistakes) = match self {
            EditError::Damaged(mistakes) => ("the account file has mistakes", mistakes),
            EditError::Refused(mistakes) => ("this cannot be in the account file", mistakes),
            EditError::Unknown => return f.write_str("there is no such account"),
            EditError::Exists => return f.write_str("there is such an account already"),
        };
        f.write_str(said)?;
        mistakes.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl std::error::Error for EditError {}

/// The text of the file after `changes` to the account `name`, one after the other: all of them, or an
/// error. What is so already is not changed.
///
/// # Errors
/// [`EditError`].
pub fn edit(text: &str, name: &AccountName, changes: &[Change]) -> Result<Zeroizing<String>, EditError> {
    Accounts::read(text.as_bytes()).map_err(EditError::Damaged)?;
    let mut lines = Lines(text.split_inclusive('\n').map(|line| Zeroizing::new(line.to_owned())).collect());
    for change in changes {
        lines.change(name, change)?;
    }
    let text = Zeroizing::new(lines.0.iter().map(|line| line.as_str()).collect::<String>());
    Accounts::read(text.as_bytes()).map_err(EditError::Refused)?;
    Ok(text)
}

/// The lines of the file, with their ends.
struct Lines(Vec<Zeroizing<String>>);

impl Lines {
    fn change(&mut self, name: &AccountName, change: &Change) -> Result<(), EditError> {
        let block = match (self.block(name), change) {
            (None, Change::Add) => {
                self.begin(name);
                return Ok(());
            }
            (Some(_), Change::Add) => return Err(EditError::Exists),
            (None, _) => return Err(EditError::Unknown),
            (Some(block), _) => block,
        };
        match change {
            Change::Add => {}
            Change::Remove => drop(self.0.drain(block)),
            Change::Secrets(secrets) => self.replace(block, Word::is_secret, secrets.lines()),
            Change::Suspend => self.put(block, Word::Suspended, "", |_| true),
            Change::Resume => self.take(block, Word::Suspended, |_| true),
            Change::Expire(None) => self.take(block, Word::Expires, |_| true),
            Change::Expire(Some(day)) => {
                let line = field(Word::Expires, &day.to_string());
                self.replace(block, |word| word == Word::Expires, vec![line]);
            }
            Change::Join(group) => self.put(block, Word::Group, group.as_str(), |value| is_group(value, group)),
            Change::Leave(group) => self.take(block, Word::Group, |value| is_group(value, group)),
            Change::Own(mailbox) => {
                self.put(block, Word::Address, &mailbox.to_string(), |value| is_mailbox(value, mailbox));
            }
            Change::Disown(mailbox) => self.take(block, Word::Address, |value| is_mailbox(value, mailbox)),
            Change::Trust(octets) => {
                self.put(block, Word::Certificate, &crate::hex::written(octets), |value| is_print(value, octets));
            }
            Change::Distrust(octets) => self.take(block, Word::Certificate, |value| is_print(value, octets)),
        }
        Ok(())
    }

    /// From the line that names the account to its last field.
    fn block(&self, name: &AccountName) -> Option<Range<usize>> {
        let named = |line: &str| matches!(Line::of(line), Line::Account(other) if other.parse().as_ref() == Ok(name));
        let begin = self.0.iter().position(|line| named(line))?;
        let own = self.0[begin + 1..].iter().take_while(|line| !matches!(Line::of(line), Line::Account(_)));
        let last = own.enumerate().filter(|(_, line)| matches!(Line::of(line), Line::Field(..))).last();
        Some(begin..begin + 1 + last.map_or(0, |(at, _)| at + 1))
    }

    fn begin(&mut self, name: &AccountName) {
        self.end_last_line();
        if self.0.last().is_some_and(|line| !line.trim().is_empty()) {
            self.0.push(Zeroizing::new("\n".to_owned()));
        }
        self.0.push(Zeroizing::new(format!("account {name}\n")));
    }

    /// Puts lines where the first of those is that `which` means, and takes all of those out.
    fn replace(&mut self, block: Range<usize>, which: impl Fn(Word) -> bool, lines: Vec<Zeroizing<String>>) {
        self.end_last_line();
        let meant = |line: &str| matches!(Line::of(line), Line::Field(word, _) if which(word));
        let old: Vec<usize> = block.clone().filter(|&at| meant(&self.0[at])).collect();
        let at = old.first().copied().unwrap_or(if which(Word::Password) { block.start + 1 } else { block.end });
        for &at in old.iter().rev() {
            self.0.remove(at);
        }
        self.0.splice(at..at, lines);
    }

    /// Adds a line behind the last of its kind, or at the end of the block; not if it is there already.
    fn put(&mut self, block: Range<usize>, word: Word, value: &str, same: impl Fn(&str) -> bool) {
        self.end_last_line();
        let values = || block.clone().filter_map(|at| value_of(&self.0[at], word).map(|value| (at, value)));
        if values().any(|(_, value)| same(value)) {
            return;
        }
        let at = values().next_back().map_or(block.end, |(at, _)| at + 1);
        self.0.insert(at, field(word, value));
    }

    fn take(&mut self, block: Range<usize>, word: Word, same: impl Fn(&str) -> bool) {
        for at in block.rev() {
            if value_of(&self.0[at], word).is_some_and(&same) {
                self.0.remove(at);
            }
        }
    }

    fn end_last_line(&mut self) {
        if let Some(last) = self.0.last_mut().filter(|line| !line.ends_with('\n')) {
            last.push('\n');
        }
    }
}

fn value_of(line: &str, wanted: Word) -> Option<&str> {
    match Line::of(line) {
        Line::Field(word, value) if word == wanted => Some(value),
        _ => None,
    }
}

fn field(word: Word, value: &str) -> Zeroizing<String> {
    let space = if value.is_empty() { "" } else { " " };
    Zeroizing::new(format!("  {}{space}{value}\n", word.text()))
}

fn is_group(value: &str, group: &AccountName) -> bool {
    value.parse().as_ref() == Ok(group)
}

fn is_mailbox(value: &str, mailbox: &Mailbox) -> bool {
    value.parse().is_ok_and(|other: Mailbox| folded(&other) == folded(mailbox))
}

fn is_print(value: &str, octets: &[u8; 32]) -> bool {
    read_fingerprint(value).as_ref() == Ok(octets)
}

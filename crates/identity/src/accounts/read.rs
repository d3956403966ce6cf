//! The account file is read: every line is checked, and every mistake is said with its line.
//!
//! A mistake never shows what stands in the line: it may be somebody's password.

use super::line::{LINE_OCTETS, Line, WORDS, Word};
use super::{Accounts, Entry, decoy, folded, scram};
use crate::name::AccountName;
use crate::nt_hash::nt_hash_read;
use crate::password::PasswordHash;
use mail::{Account, Mailbox};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Octets of the file.
pub const ACCOUNT_FILE_OCTETS: usize = 32 * 1024 * 1024;
/// Accounts in it.
const ACCOUNTS: usize = 100_000;
/// Groups of one account.
const GROUPS: usize = 64;
/// Addresses of one account.
const ADDRESSES: usize = 256;
/// Certificates of one account.
const CERTIFICATES: usize = 16;
/// Mistakes that are said at one time.
const MISTAKES: usize = 100;

/// Something wrong in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub text: Box<str>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.text),
            line => write!(f, "line {line}: {}", self.text),
        }
    }
}

pub(super) fn read(octets: &[u8]) -> Result<Accounts, Vec<Mistake>> {
    let mut reader = Reader::default();
    if octets.len() > ACCOUNT_FILE_OCTETS {
        return Err(vec![Mistake { line: 0, text: "the file has more than 32 MiB".into() }]);
    }
    for (at, line) in octets.split(|&octet| octet == b'\n').enumerate() {
        reader.line = at + 1;
        if let Err(text) = reader.line(line) {
            reader.mistakes.push(Mistake { line: at + 1, text: text.into() });
        }
        if reader.mistakes.len() == MISTAKES {
            break;
        }
    }
    reader.finish()
}

/// What has been read so far.
#[derive(Default)]
struct Reader {
    line: usize,
    drafts: Vec<Draft>,
    // Each with its line and the number of its account.
    names: BTreeMap<AccountName, (usize, usize)>,
    addresses: BTreeMap<Box<str>, (usize, usize)>,
    fingerprints: BTreeMap<[u8; 32], (usize, usize)>,
    mistakes: Vec<Mistake>,
}

/// An account whose lines are being read.
struct Draft {
    /// `None` if its name is a mistake; its lines are checked all the same.
    name: Option<AccountName>,
    groups: Vec<Box<str>>,
    addresses: Vec<Mailbox>,
    entry: Entry,
}

impl Reader {
    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        if line.len() > LINE_OCTETS {
            return Err(format!("longer than {LINE_OCTETS} octets"));
        }
        let line = str::from_utf8(line).map_err(|_| "not UTF-8".to_owned())?;
        match Line::of(line) {
            Line::Nothing => Ok(()),
            Line::Account(name) => {
                let name = self.new_name(name);
                self.drafts.push(Draft::new(name.as_ref().ok().cloned()));
                name.map(drop)
            }
            Line::Unknown => Err(format!("does not begin with one of {WORDS}")),
            Line::Field(word, value) => self.field(word, value),
        }
    }

    fn new_name(&mut self, name: &str) -> Result<AccountName, String> {
        let name: AccountName = name.parse().map_err(text_of)?;
        if let Some((line, _)) = self.names.get(&name) {
            return Err(format!("the account of line {line} has this name, too"));
        }
        if self.drafts.len() >= ACCOUNTS {
            return Err(format!("more than {ACCOUNTS} accounts"));
        }
        self.names.insert(name.clone(), (self.line, self.drafts.len()));
        Ok(name)
    }

    fn field(&mut self, word: Word, value: &str) -> Result<(), String> {
        let place = (self.line, self.drafts.len().wrapping_sub(1));
        let Some(draft) = self.drafts.last_mut() else { return Err("stands before the first account".to_owned()) };
        let entry = &mut draft.entry;
        match word {
            Word::Password => once(&mut entry.password, word, PasswordHash::read(value).map_err(text_of)),
            Word::Scram => once(&mut entry.scram, word, scram::read(value).ok_or_else(not_scram)),
            Word::NtHash => once(&mut entry.nt_hash, word, nt_hash_read(value).ok_or_else(not_nt)),
            Word::Expires => once(&mut entry.expires, word, value.parse().map_err(text_of)),
            Word::Suspended if !value.is_empty() => Err("nothing may follow `suspended`".to_owned()),
            Word::Suspended if entry.suspended => Err("the account has `suspended` already".to_owned()),
            Word::Suspended => {
                entry.suspended = true;
                Ok(())
            }
            Word::Group => {
                let group = value.parse::<AccountName>().map_err(|error| format!("of this group, {error}"))?;
                add(&mut draft.groups, group.as_str().into(), GROUPS, "group")
            }
            Word::Address => {
                let mailbox: Mailbox = value.parse().map_err(text_of)?;
                claim(&mut self.addresses, folded(&mailbox), place, "address")?;
                add(&mut draft.addresses, mailbox, ADDRESSES, "address")
            }
            Word::Certificate => {
                let fingerprint = read_fingerprint(value)?;
                claim(&mut self.fingerprints, fingerprint, place, "certificate")?;
                add(&mut entry.certificates, fingerprint, CERTIFICATES, "certificate")
            }
        }
    }

    fn finish(mut self) -> Result<Accounts, Vec<Mistake>> {
        // Who logs in by an address must be one account.
        for (address, &(line, owner)) in &self.addresses {
            if let Some(&(other, named)) = self.names.get(&**address)
                && named != owner
                && self.mistakes.len() < MISTAKES
            {
                let text = format!("this address is the name of the account of line {other}").into();
                self.mistakes.push(Mistake { line, text });
            }
        }
        if !self.mistakes.is_empty() {
            self.mistakes.sort_by_key(|mistake| mistake.line);
            return Err(self.mistakes);
        }
        let entries: Vec<Entry> = self.drafts.into_iter().map(Draft::finished).collect();
        let decoy = decoy(&entries);
        Ok(Accounts {
            entries,
            by_name: self.names.into_iter().map(|(name, (_, at))| (name, at)).collect(),
            by_address: self.addresses.into_iter().map(|(address, (_, at))| (address, at)).collect(),
            by_fingerprint: self.fingerprints.into_iter().map(|(octets, (_, at))| (octets, at)).collect(),
            decoy,
        })
    }
}

impl Draft {
    fn new(name: Option<AccountName>) -> Draft {
        let entry = Entry {
            account: Arc::new(Account::named("")),
            password: None,
            scram: None,
            nt_hash: None,
            certificates: Vec::new(),
            suspended: false,
            expires: None,
        };
        Draft { name, groups: Vec::new(), addresses: Vec::new(), entry }
    }

    fn finished(self) -> Entry {
        let account = Account {
            name: self.name.as_ref().map_or("", AccountName::as_str).into(),
            groups: self.groups.into_boxed_slice(),
            addresses: self.addresses.into_boxed_slice(),
        };
        Entry { account: Arc::new(account), ..self.entry }
    }
}

/// The SHA-256 of a certificate, with or without colons, as openssl prints it.
///
/// # Errors
/// What is wrong with it.
pub fn read_fingerprint(text: &str) -> Result<[u8; 32], String> {
    crate::hex::read(&text.replace(':', "")).ok_or_else(|| "not the SHA-256 of a certificate in hexadecimal".to_owned())
}

fn once<T>(place: &mut Option<T>, word: Word, read: Result<T, String>) -> Result<(), String> {
    let value = read?;
    if place.is_some() {
        return Err(format!("the account has `{}` already", word.text()));
    }
    *place = Some(value);
    Ok(())
}

fn add<T: PartialEq>(list: &mut Vec<T>, value: T, most: usize, what: &str) -> Result<(), String> {
    if list.contains(&value) {
        return Err(format!("the account has this {what} already"));
    }
    if list.len() == most {
        return Err(format!("more than {most} times `{what}` for one account"));
    }
    list.push(value);
    Ok(())
}

/// Notes what can be one account's only.
fn claim<K: Ord>(
    taken: &mut BTreeMap<K, (usize, usize)>,
    key: K,
    place: (usize, usize),
    what: &str,
) -> Result<(), String> {
    if let Some((line, _)) = taken.get(&key) {
        return Err(format!("this {what} has an account already, in line {line}"));
    }
    taken.insert(key, place);
    Ok(())
}

fn text_of(error: impl fmt::Display) -> String {
    error.to_string()
}

fn not_scram() -> String {
    "not SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey, with 4096 to 1000000 iterations".to_owned()
}

fn not_nt() -> String {
    "not an NT hash: 32 hexadecimal digits".to_owned()
}

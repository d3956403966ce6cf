//! The account file: who may log in here, by what, and which addresses are theirs.
//!
//! A text that a person reads and edits (`docs/manual/accounts.md`). It is read whole, with all its
//! mistakes, or not at all; a program changes it line by line and leaves the rest, comments too, as it
//! was. Whether there is an account shows neither in what is answered about a password nor in how much
//! work that took.

mod edit;
mod line;
mod read;
mod scram;

pub use edit::{Change, EditError, Secrets, edit};
pub use read::{ACCOUNT_FILE_OCTETS, Mistake, read_fingerprint};

use crate::exchange::ClientCertificate;
use crate::inquiry::{Finding, Inquiry, No};
use crate::keys::ScramKeys;
use crate::name::AccountName;
use crate::password::PasswordHash;
use crate::secret::Secret;
use mail::{Account, Day, Mailbox, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// A hash that nobody knows the password of, at the cost of new ones.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$Zm9yIG5vIGFjY291bnQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// All accounts of one file.
pub struct Accounts {
    entries: Vec<Entry>,
    by_name: BTreeMap<AccountName, usize>,
    by_address: BTreeMap<Box<str>, usize>,
    by_fingerprint: BTreeMap<[u8; 32], usize>,
    decoy: PasswordHash,
}

/// One account, as the file has it.
pub struct Entry {
    account: Arc<Account>,
    password: Option<PasswordHash>,
    scram: Option<ScramKeys>,
    nt_hash: Option<Secret>,
    certificates: Vec<[u8; 32]>,
    suspended: bool,
    expires: Option<Day>,
}

impl Accounts {
    /// Reads the file.
    ///
    /// # Errors
    /// All its mistakes, in the order of the file, up to a bound.
    pub fn read(octets: &[u8]) -> Result<Accounts, Vec<Mistake>> {
        read::read(octets)
    }

    /// All accounts, in the order of the file.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What the file says to an inquiry. It knows nothing about tokens, Kerberos or domains.
    ///
    /// One about a password takes as long as the hash of the account takes, and the hash that most
    /// accounts have when there is no such account; the others take no time.
    #[must_use]
    pub fn answer(&self, inquiry: &Inquiry, now: Timestamp) -> Finding {
        match inquiry {
            Inquiry::Password { name, password } => self.verify(name, password, now),
            Inquiry::ScramKeys { name } => self.with_secret(name, now, |entry| {
                entry.scram.clone().map(|keys| Finding::ScramKeys(keys, Arc::clone(&entry.account)))
            }),
            Inquiry::NtHash { name, domain: _ } => self.with_secret(name, now, |entry| {
                entry.nt_hash.clone().map(|hash| Finding::NtHash(hash, Arc::clone(&entry.account)))
            }),
            Inquiry::Certificate { certificate, name } => self.holder(certificate, name.as_deref(), now),
            Inquiry::Account { name } => self.account(name, now),
            Inquiry::Recipient { mailbox } => self.owner(mailbox),
            Inquiry::Token { .. } | Inquiry::Converse { .. } => Finding::No(No::NoSecret),
        }
    }

    /// The account of this name, for whoever has proved elsewhere that it is theirs.
    #[must_use]
    pub fn account(&self, name: &str, now: Timestamp) -> Finding {
        self.find(name).map_or(Finding::No(No::Unknown), |entry| entry.admitted(now))
    }

    /// By its name, or by an address of its own, as phones like to ask for.
    fn find(&self, name: &str) -> Option<&Entry> {
        self.position(name).map(|at| &self.entries[at])
    }

    fn position(&self, name: &str) -> Option<usize> {
        let by_name = name.parse::<AccountName>().ok().and_then(|name| self.by_name.get(&name));
        let by_address = || name.parse::<Mailbox>().ok().and_then(|mailbox| self.by_address.get(&*folded(&mailbox)));
        by_name.or_else(by_address).copied()
    }

    fn verify(&self, name: &str, password: &Secret, now: Timestamp) -> Finding {
        let entry = self.find(name);
        let kept = entry.and_then(|entry| entry.password.as_ref());
        // The work is done whoever is asked for; of the decoy's result nothing is ever looked at.
        let verified = kept.unwrap_or(&self.decoy).verify(password);
        match (entry, kept) {
            (None, _) => Finding::No(No::Unknown),
            (Some(_), None) => Finding::No(No::NoSecret),
            (Some(_), Some(_)) if !verified => Finding::No(No::Wrong),
            (Some(entry), Some(_)) => entry.admitted(now),
        }
    }

    fn with_secret(&self, name: &str, now: Timestamp, secret: impl Fn(&Entry) -> Option<Finding>) -> Finding {
        match self.find(name) {
            None => Finding::No(No::Unknown),
            Some(entry) if !entry.may_log_in(now) => Finding::No(No::Suspended),
            Some(entry) => secret(entry).unwrap_or(Finding::No(No::NoSecret)),
        }
    }

    /// Whose a certificate is: of whom its fingerprint is listed, or else of whom it has the name or an
    /// address. If that is more than one, the client must say which it means.
    fn holder(&self, certificate: &ClientCertificate, name: Option<&str>, now: Timestamp) -> Finding {
        let holders: BTreeSet<usize> = match self.by_fingerprint.get(&certificate.fingerprint) {
            Some(&at) => BTreeSet::from([at]),
            None => certificate.names.iter().filter_map(|name| self.position(name)).collect(),
        };
        let wanted = name.map(|name| self.position(name));
        let holder = match (wanted, holders.len()) {
            (_, 0) => return Finding::No(No::Unknown),
            (None, 1) => holders.first().copied(),
            (None, _) => None,
            (Some(wanted), _) => wanted.filter(|at| holders.contains(at)),
        };
        holder.map_or(Finding::No(No::Wrong), |at| self.entries[at].admitted(now))
    }

    /// Mail still comes for an account that may not log in.
    fn owner(&self, mailbox: &Mailbox) -> Finding {
        let at = self.by_address.get(&*folded(mailbox));
        at.map_or(Finding::No(No::Unknown), |&at| Finding::Account(Arc::clone(&self.entries[at].account)))
    }
}

impl Entry {
    /// Name, groups and addresses.
    #[must_use]
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// What kind of hash its password has, if it has one.
    #[must_use]
    pub fn scheme(&self) -> Option<&'static str> {
        self.password.as_ref().map(PasswordHash::scheme)
    }

    /// Whether SCRAM can be checked.
    #[must_use]
    pub fn has_scram(&self) -> bool {
        self.scram.is_some()
    }

    /// Whether it has been opted in to NTLM.
    #[must_use]
    pub fn has_nt_hash(&self) -> bool {
        self.nt_hash.is_some()
    }

    /// Whether it has been suspended.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// The first day on which it may not log in any more.
    #[must_use]
    pub fn expires(&self) -> Option<Day> {
        self.expires
    }

    /// Fingerprints of certificates, SHA-256.
    #[must_use]
    pub fn certificates(&self) -> &[[u8; 32]] {
        &self.certificates
    }

    fn may_log_in(&self, now: Timestamp) -> bool {
        !self.suspended && self.expires.is_none_or(|day| now < day.ends())
    }

    fn admitted(&self, now: Timestamp) -> Finding {
        if self.may_log_in(now) { Finding::Account(Arc::clone(&self.account)) } else { Finding::No(No::Suspended) }
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Accounts({})", self.entries.len())
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({:?}, …)", self.account.name)
    }
}

/// An address as it is compared: RFC 5321 §2.4 leaves the local part to us, and nobody owns `Alice@`
/// who does not own `alice@`.
fn folded(mailbox: &Mailbox) -> Box<str> {
    mailbox.to_string().to_lowercase().into()
}

/// What unknown accounts are verified by: a hash at the cost that most accounts have.
fn decoy(entries: &[Entry]) -> PasswordHash {
    let mut costs = BTreeMap::new();
    for hash in entries.iter().filter_map(|entry| entry.password.as_ref()) {
        costs.entry(hash.cost()).or_insert((0, hash)).0 += 1;
    }
    let most = costs.into_values().max_by_key(|(number, _)| *number);
    let new = || PasswordHash::read(DECOY).expect("invariant: the decoy is a hash");
    most.map_or_else(new, |(_, hash)| hash.clone())
}

#[cfg(test)]
mod tests;

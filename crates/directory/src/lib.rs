//! The directories that know accounts, asked over files, sockets and helpers.
//!
//! [`Directories`] answers an [`identity::Inquiry`] by asking those that a virtual server names, in
//! their order. What cannot be found out is [`Finding::Unavailable`], never a yes and never a no.

mod cache;
mod desk;
mod file;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod helper;
pub mod kerberos;
mod ldap;
mod notice;
pub mod pam;
mod tokens;
mod trust;
mod watched;
mod winbind;

pub use kerberos::Kerberos;
pub use notice::{Happening, Hear, Notice};
pub use pam::Pam;
pub use winbind::Winbind;

use desk::Desk;
use file::AccountFile;
use identity::settings::{Directory, Kind};
use identity::{Finding, Inquiry, No, Package};
use ldap::Ldap;
use mail::{Account, Timestamp};
use notice::Teller;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokens::Tokens;
use tokio::time::timeout;

/// How long an inquiry may take, however many directories are asked.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The wall clock: tokens and accounts expire.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The open directories of the settings.
pub struct Directories {
    directories: Vec<(Box<str>, Open)>,
}

enum Open {
    File(AccountFile),
    Ldap(Box<Ldap>),
    Tokens(Box<Tokens>),
    Kerberos(Box<Kerberos>),
    Winbind(Winbind),
    Pam(Pam),
}

impl fmt::Debug for Directories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Their names, and nothing of what they hold.
        f.debug_list().entries(self.directories.iter().map(|(name, _)| name)).finish()
    }
}

impl Directories {
    /// Opens the directories of the settings. What is elsewhere (LDAP, keys at a URL) need not answer
    /// yet; files must be there and sound.
    ///
    /// # Errors
    /// Names the directory, the file and what is wrong with it.
    pub fn open(settings: &[Directory], clock: &Clock, hear: &Hear) -> io::Result<Directories> {
        let desk = Desk::new();
        let open = |directory: &Directory| {
            let teller = Teller::new(&directory.name, hear.clone());
            let named =
                |error: io::Error| io::Error::new(error.kind(), format!("directory {}: {error}", directory.name));
            open(&directory.kind, clock, &desk, teller).map(|open| (directory.name.clone(), open)).map_err(named)
        };
        let opened = Directories { directories: settings.iter().map(open).collect::<io::Result<_>>()? };
        for (name, open) in &opened.directories {
            if let Open::Tokens(tokens) = open
                && let Some(accounts) = tokens.accounts()
                && !matches!(opened.named(accounts), Some(Open::File(_) | Open::Ldap(_)))
            {
                let why = format!("directory {name}: {accounts} is no directory that knows accounts");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
        }
        Ok(opened)
    }

    fn named(&self, name: &str) -> Option<&Open> {
        self.directories.iter().find(|(known, _)| **known == *name).map(|(_, open)| open)
    }

    /// Asks the directories of these names, in this order: the first that knows the account answers.
    /// One that cannot say ends it: a later one might know somebody else of that name.
    pub async fn inquire(&self, names: &[Box<str>], inquiry: Inquiry) -> Finding {
        let answer = async {
            match inquiry {
                Inquiry::Converse { package, .. } => self.converse(names, package, inquiry).await,
                inquiry => self.ask_in_turn(names, inquiry).await,
            }
        };
        timeout(TIMEOUT, answer).await.unwrap_or(Finding::Unavailable)
    }

    /// The next step of an exchange that is held by the first of these directories that can. Of the account
    /// that proves itself there, the others may know more.
    async fn converse(&self, names: &[Box<str>], package: Package, inquiry: Inquiry) -> Finding {
        let holder = names.iter().filter_map(|name| self.named(name)).find(|directory| directory.holds(package));
        let finding = match holder {
            Some(Open::Kerberos(kerberos)) => kerberos.converse(inquiry).await,
            Some(Open::Winbind(winbind)) => winbind.converse(inquiry).await,
            _ => return Finding::Unavailable,
        };
        match finding {
            Finding::Principal(principal, Some(account)) => match self.described(names, account).await {
                Finding::Account(account) => Finding::Principal(principal, Some(account)),
                other => other,
            },
            finding => finding,
        }
    }

    /// What the first directory that knows groups and addresses says of an account that has proved itself
    /// elsewhere; if none knows it, what it is already.
    async fn described(&self, names: &[Box<str>], account: Arc<Account>) -> Finding {
        for name in names {
            if !matches!(self.named(name), Some(Open::File(_) | Open::Ldap(_))) {
                continue;
            }
            match self.account(name, &account.name).await {
                Finding::No(No::Unknown) => {}
                finding => return finding,
            }
        }
        Finding::Account(account)
    }

    async fn ask_in_turn(&self, names: &[Box<str>], mut inquiry: Inquiry) -> Finding {
        for name in names {
            let Some(directory) = self.named(name) else { return Finding::Unavailable };
            if !directory.is_asked(&inquiry) {
                continue;
            }
            match self.ask(directory, &mut inquiry).await {
                Finding::No(No::Unknown) => {}
                Finding::Account(account) if matches!(directory, Open::Pam(_)) => {
                    return self.described(names, account).await;
                }
                finding => return finding,
            }
        }
        Finding::No(No::Unknown)
    }

    /// Asks one directory. Nobody changes the inquiry; it is lent like this because what an exchange
    /// keeps in it may be moved between threads, but not be looked at by two.
    async fn ask(&self, directory: &Open, inquiry: &mut Inquiry) -> Finding {
        match (directory, inquiry) {
            (Open::File(file), inquiry) => file.answer(inquiry).await,
            (Open::Ldap(ldap), inquiry) => ldap.answer(inquiry).await,
            (Open::Tokens(tokens), Inquiry::Token { token, name }) => match tokens.name(token.expose()).await {
                Ok(vouched) => self.known(tokens, &vouched, name.as_deref()).await,
                Err(finding) => finding,
            },
            (Open::Pam(pam), Inquiry::Password { name, password }) => pam.password(name, password).await,
            (Open::Tokens(_) | Open::Kerberos(_) | Open::Winbind(_) | Open::Pam(_), _) => Finding::No(No::Unknown),
        }
    }

    /// The account that a token vouches for, which must be the one that the client has named.
    async fn known(&self, tokens: &Tokens, vouched: &str, named: Option<&str>) -> Finding {
        let same = named.is_none_or(|named| named.eq_ignore_ascii_case(vouched));
        let Some(accounts) = tokens.accounts() else {
            return if same { Finding::Account(Arc::new(Account::named(vouched))) } else { Finding::No(No::Wrong) };
        };
        let vouched = match self.account(accounts, vouched).await {
            Finding::Account(account) => account,
            // The issuer is ours: it is for nobody else to know somebody of that name.
            Finding::No(No::Unknown) => return Finding::No(No::Wrong),
            other => return other,
        };
        match named {
            Some(named) if !same => match self.account(accounts, named).await {
                Finding::Account(account) if account.name == vouched.name => Finding::Account(vouched),
                Finding::Unavailable => Finding::Unavailable,
                _ => Finding::No(No::Wrong),
            },
            _ => Finding::Account(vouched),
        }
    }

    async fn account(&self, directory: &str, name: &str) -> Finding {
        match self.named(directory) {
            Some(Open::File(file)) => file.account(name).await,
            Some(Open::Ldap(ldap)) => ldap.account(name).await,
            Some(Open::Tokens(_) | Open::Kerberos(_) | Open::Winbind(_) | Open::Pam(_)) | None => Finding::Unavailable,
        }
    }
}

impl Open {
    /// Whether it could know: accounts are known by files and LDAP, tokens by their issuers. PAM can be asked
    /// for nothing but whether a password is good.
    fn is_asked(&self, inquiry: &Inquiry) -> bool {
        match inquiry {
            Inquiry::Token { .. } => matches!(self, Open::Tokens(_)),
            Inquiry::Converse { .. } => false,
            Inquiry::Password { .. } => matches!(self, Open::File(_) | Open::Ldap(_) | Open::Pam(_)),
            // The others know an account only while it proves itself, and then nothing but its name.
            Inquiry::Account { .. } => matches!(self, Open::File(_) | Open::Ldap(_)),
            Inquiry::ScramKeys { .. }
            | Inquiry::NtHash { .. }
            | Inquiry::Certificate { .. }
            | Inquiry::Recipient { .. } => matches!(self, Open::File(_) | Open::Ldap(_)),
        }
    }

    /// Whether it holds exchanges of this kind.
    fn holds(&self, package: Package) -> bool {
        match self {
            Open::Kerberos(_) => kerberos::takes(package),
            Open::Winbind(_) => Winbind::takes(package),
            Open::File(_) | Open::Ldap(_) | Open::Tokens(_) | Open::Pam(_) => false,
        }
    }
}

fn open(kind: &Kind, clock: &Clock, desk: &Desk, teller: Teller) -> io::Result<Open> {
    match kind {
        Kind::File(path) => Ok(Open::File(AccountFile::open(path, clock.clone(), desk.clone(), teller)?)),
        Kind::Ldap(settings) => Ok(Open::Ldap(Box::new(Ldap::open(settings, clock.clone(), teller)?))),
        Kind::Tokens(settings) => Ok(Open::Tokens(Box::new(Tokens::open(settings, clock.clone(), teller)?))),
        Kind::Kerberos(settings) => Ok(Open::Kerberos(Box::new(Kerberos::open(settings)?))),
        Kind::Winbind(settings) => Ok(Open::Winbind(Winbind::open(settings)?)),
        Kind::Pam(settings) => Ok(Open::Pam(Pam::open(settings)?)),
    }
}

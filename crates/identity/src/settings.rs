//! What the settings say about directories: plain values, made by `config` and checked there.

use mail::Domain;
use std::path::PathBuf;
use std::time::Duration;

/// One directory, by its name in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Its name.
    pub name: Box<str>,
    /// What it is.
    pub kind: Kind,
}

/// The kinds of directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The account file.
    File(PathBuf),
    /// LDAP or Active Directory.
    Ldap(Ldap),
    /// Those who issue tokens.
    Tokens(Tokens),
    /// Kerberos: which accounts there are is said by tickets.
    Kerberos(Kerberos),
    /// A Windows domain, by the helper of winbind.
    Winbind(Winbind),
    /// PAM, by a process of its own.
    Pam(Pam),
}

/// An LDAP directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ldap {
    /// `ldaps://host[:port]` or `ldap://host[:port]`; a later one is asked when those before it do not
    /// answer. In the clear only with StartTLS, or on this host.
    pub servers: Vec<Box<str>>,
    /// StartTLS on `ldap://`.
    pub start_tls: bool,
    /// PEM of the authorities to believe; `None` for those of the host.
    pub authorities: Option<PathBuf>,
    /// Whom to search as; `None` searches anonymously.
    pub bind_dn: Option<Box<str>>,
    /// The file with the password of `bind_dn`.
    pub password_file: Option<PathBuf>,
    /// The DN of an account, `%u` its name: bind as user, without searching first. `None`: search, then bind.
    pub user_dn: Option<Box<str>>,
    /// Where to search.
    pub base: Box<str>,
    /// Where groups are searched; `None`: at `base`. Whoever may make groups below it may make one of
    /// any name, so where not all of them are trusted it should be narrow.
    pub group_base: Option<Box<str>>,
    /// What finds an account by its name, `%u`.
    pub user_filter: Box<str>,
    /// What finds an account by one of its addresses, `%m`.
    pub mail_filter: Box<str>,
    /// What kind of directory it is.
    pub schema: Schema,
    /// How long an answer may take, the connection included.
    pub timeout: Duration,
    /// How long answers about accounts and recipients are believed. Passwords are never cached.
    pub cache: Duration,
    /// Connections at one time.
    pub connections: usize,
}

/// Where a directory keeps what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// `uid`, `mail`, `memberOf`, and groups that name their members.
    Posix,
    /// `sAMAccountName`, `userPrincipalName`, `proxyAddresses`, `userAccountControl`, nested groups by rule.
    ActiveDirectory,
}

/// Issuers of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// `iss` of the tokens.
    pub issuer: Box<str>,
    /// What `aud` must contain.
    pub audience: Box<str>,
    /// Where the keys are.
    pub keys: Keys,
    /// The claim that names the account.
    pub claim: Box<str>,
    /// What `scope` must contain, if anything.
    pub scope: Option<Box<str>>,
    /// The directories that know more about the account; none: the claim is enough.
    pub accounts: Option<Box<str>>,
}

/// Where the keys of an issuer are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// A JWKS file.
    File(PathBuf),
    /// A JWKS at an HTTPS URL; fetched again when a key is not in it.
    Url {
        /// Where.
        url: Box<str>,
        /// PEM of the authorities to believe; `None` for those of the host.
        authorities: Option<PathBuf>,
    },
}

/// Kerberos.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kerberos {
    /// The keytab with the key of the service.
    pub keytab: PathBuf,
    /// The realm whose principals are accounts, without it in their names.
    pub realm: Box<str>,
    /// The host of the service principal `smtp/host@REALM`.
    pub host: Domain,
}

/// Winbind's helper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Winbind {
    /// The path of `ntlm_auth`.
    pub helper: PathBuf,
    /// How many helpers run.
    pub helpers: usize,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// PAM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pam {
    /// The PAM service.
    pub service: Box<str>,
    /// How many helpers run: so many can log in at one time.
    pub helpers: usize,
    /// How long an answer may take.
    pub timeout: Duration,
}

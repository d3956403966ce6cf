//! What the tests ask, and how.

use crate::slapd::Slapd;
use directory::{Directories, Happening, Hear};
use identity::settings::{Directory, Kind, Ldap, Schema};
use identity::{Finding, Inquiry, No, Secret};
use mail::{Account, Timestamp};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// 2026-01-01.
pub(crate) const NOW_S: u64 = 1_767_225_600;

/// Directories, and what they have told.
pub(crate) struct World {
    pub(crate) directories: Directories,
    told: Arc<Mutex<Vec<Happening>>>,
    names: Vec<Box<str>>,
}

impl World {
    /// Opens these directories; they are asked in this order.
    pub(crate) fn of(kinds: Vec<(&str, Kind)>) -> World {
        World::try_of(kinds).unwrap()
    }

    pub(crate) fn try_of(kinds: Vec<(&str, Kind)>) -> std::io::Result<World> {
        let settings: Vec<Directory> =
            kinds.into_iter().map(|(name, kind)| Directory { name: name.into(), kind }).collect();
        let told: Arc<Mutex<Vec<Happening>>> = Arc::default();
        let ear = told.clone();
        let hear: Hear = Arc::new(move |notice| ear.lock().unwrap().push(notice.what.clone()));
        let clock: directory::Clock = Arc::new(|| Timestamp::from_millis(NOW_S * 1000));
        let directories = Directories::open(&settings, &clock, &hear)?;
        Ok(World { directories, told, names: settings.into_iter().map(|directory| directory.name).collect() })
    }

    pub(crate) fn ldap(settings: Ldap) -> World {
        World::of(vec![("people", Kind::Ldap(settings))])
    }

    pub(crate) async fn ask(&self, inquiry: Inquiry) -> Finding {
        self.directories.inquire(&self.names, inquiry).await
    }

    pub(crate) async fn password(&self, name: &str, password: &str) -> Told {
        told(self.ask(Inquiry::Password { name: name.into(), password: Secret::from(password) }).await)
    }

    pub(crate) async fn token(&self, token: &str, name: Option<&str>) -> Told {
        told(self.ask(Inquiry::Token { token: Secret::from(token), name: name.map(Into::into) }).await)
    }

    pub(crate) async fn recipient(&self, mailbox: &str) -> Told {
        told(self.ask(Inquiry::Recipient { mailbox: mailbox.parse().unwrap() }).await)
    }

    pub(crate) async fn account(&self, name: &str) -> Told {
        told(self.ask(Inquiry::Account { name: name.into() }).await)
    }

    /// What has been told since the last time.
    pub(crate) fn heard(&self) -> Vec<Happening> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }
}

/// A finding that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Account(Arc<Account>),
    No(No),
    Unavailable,
}

impl Told {
    pub(crate) fn account(self) -> Arc<Account> {
        match self {
            Told::Account(account) => account,
            other => panic!("no account: {other:?}"),
        }
    }
}

pub(crate) const UNKNOWN: Told = Told::No(No::Unknown);
pub(crate) const WRONG: Told = Told::No(No::Wrong);
pub(crate) const SUSPENDED: Told = Told::No(No::Suspended);

pub(crate) fn told(finding: Finding) -> Told {
    match finding {
        Finding::Account(account) => Told::Account(account),
        Finding::No(no) => Told::No(no),
        Finding::Unavailable => Told::Unavailable,
        other => panic!("not asked for: {other:?}"),
    }
}

pub(crate) fn named(account: &Account) -> (&str, Vec<&str>, Vec<String>) {
    let groups = account.groups.iter().map(|group| &**group).collect();
    (&account.name, groups, account.addresses.iter().map(ToString::to_string).collect())
}

/// A file that only we may read.
pub(crate) fn secret_file(place: &Path, name: &str, text: &str) -> PathBuf {
    let path = place.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// Settings for this server over TLS, as the gateway's own account, nothing remembered.
pub(crate) fn settings(slapd: &Slapd) -> Ldap {
    Ldap {
        servers: vec![format!("ldaps://127.0.0.1:{}", slapd.tls).into()],
        start_tls: false,
        authorities: Some(slapd.authority.authority.clone()),
        bind_dn: Some("cn=bridgehead,ou=services,dc=corp,dc=example".into()),
        password_file: Some(secret_file(slapd.place.path(), "password", "service-password\n")),
        user_dn: None,
        base: "dc=corp,dc=example".into(),
        group_base: Some("ou=groups,dc=corp,dc=example".into()),
        user_filter: "(uid=%u)".into(),
        mail_filter: "(|(mail=%m)(proxyAddresses=smtp:%m))".into(),
        schema: Schema::Posix,
        timeout: Duration::from_secs(20),
        cache: Duration::ZERO,
        connections: 4,
    }
}

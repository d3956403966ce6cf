//! Directories and peers: who knows the accounts, and which of them are servers of the organization.

use super::Check;
use crate::Guessing;
use crate::file::{self, File};
use crate::mistake::Mistake;
use crate::places::below;
use identity::settings::{Directory, Kerberos, Keys, Kind, Ldap, Pam, Schema, Tokens, Winbind};
use identity::{CertificateName, Peer, Trust};
use mail::{Domain, Net};
use policy::Match;
use std::path::PathBuf;
use std::time::Duration;

/// Octets of the name of a PAM service.
const SERVICE_OCTETS: usize = 64;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

impl Check<'_> {
    /// All directories; their names are one space, whatever kind they are.
    pub(super) fn directories(&mut self, file: &File, hostname: Option<&Domain>) -> Option<Vec<Directory>> {
        let table = &file.directory;
        let mut complete = true;
        let mut all: Vec<(String, Directory)> = Vec::new();
        let mut add = |check: &mut Self, key: String, name: &str, kind: Option<Kind>| {
            if let Some((other, _)) = all.iter().find(|(_, known)| *known.name == *name) {
                let mistake =
                    Mistake::error(&key, check.places.key_of(&key), format!("{name:?} is another directory, too"))
                        .related(check.places.key_of(other), "this one");
                check.mistakes.push(mistake);
                complete = false;
            }
            match kind {
                Some(kind) => all.push((key, Directory { name: name.into(), kind })),
                None => complete = false,
            }
        };
        for (name, one) in &table.file {
            let key = below("directory.file", name);
            let kind = self.account_file(&key, one);
            add(self, key, name, kind);
        }
        for (name, one) in &table.ldap {
            let key = below("directory.ldap", name);
            let kind = self.ldap(&key, one).map(Kind::Ldap);
            add(self, key, name, kind);
        }
        for (name, one) in &table.tokens {
            let key = below("directory.tokens", name);
            let kind = self.tokens(&key, one).map(Kind::Tokens);
            add(self, key, name, kind);
        }
        for (name, one) in &table.kerberos {
            let key = below("directory.kerberos", name);
            let kind = self.kerberos(&key, one, hostname).map(Kind::Kerberos);
            add(self, key, name, kind);
        }
        for (name, one) in &table.winbind {
            let key = below("directory.winbind", name);
            let kind = self.winbind(&key, one).map(Kind::Winbind);
            add(self, key, name, kind);
        }
        for (name, one) in &table.pam {
            let key = below("directory.pam", name);
            let kind = self.pam(&key, one).map(Kind::Pam);
            add(self, key, name, kind);
        }
        let all: Vec<Directory> = all.into_iter().map(|(_, directory)| directory).collect();
        complete &= self.token_accounts(file, &all);
        (complete && !self.is_broken("directory")).then_some(all)
    }

    fn account_file(&mut self, key: &str, table: &file::AccountFile) -> Option<Kind> {
        let key = below(key, "path");
        match &table.path {
            Some(path) => self.path(&key, path).map(Kind::File),
            None => self.missing(&key, "path = \"/etc/bridgehead/accounts\""),
        }
    }

    fn optional_path(&mut self, key: &str, path: Option<&file::PathText>) -> Option<Option<PathBuf>> {
        match path {
            Some(path) => self.path(key, path).map(Some),
            None => Some(None),
        }
    }

    fn ldap(&mut self, key: &str, table: &file::Ldap) -> Option<Ldap> {
        let at = |name: &str| below(key, name);
        let servers_key = at("servers");
        let servers = if table.servers.is_empty() {
            self.missing(&servers_key, "servers = [\"ldaps://dc1.corp.example\"]")
        } else {
            self.all(&table.servers, &servers_key, |check, key, url| check.ldap_url(key, url, table.start_tls))
        };
        let authorities = self.optional_path(&at("authorities"), table.authorities.as_ref());
        let password_file = self.optional_path(&at("password_file"), table.password_file.as_ref());
        let base = match &table.base {
            Some(base) => Some(base.as_str().into()),
            None => self.missing(&at("base"), "base = \"dc=corp,dc=example\""),
        };
        if table.bind_dn.is_some() != table.password_file.is_some() {
            let (half, other) =
                if table.bind_dn.is_some() { ("bind_dn", "password_file") } else { ("password_file", "bind_dn") };
            let half = at(half);
            let mistake = Mistake::error(&half, self.places.key_of(&half), "`bind_dn` and `password_file` go together")
                .expected(format!("expected `{other}` beside it"));
            self.mistakes.push(mistake);
            return None;
        }
        for (name, text, mark) in [
            ("user_dn", &table.user_dn, "%u"),
            ("user_filter", &table.user_filter, "%u"),
            ("mail_filter", &table.mail_filter, "%m"),
        ] {
            if text.as_ref().is_some_and(|text| !text.contains(mark)) {
                self.bad(
                    &at(name),
                    format_args!("does not contain {mark}"),
                    "expected a place for what is looked for",
                    None,
                );
                return None;
            }
        }
        let (schema, user_filter, mail_filter) = match table.schema {
            file::Schema::Posix => (Schema::Posix, "(&(objectClass=person)(uid=%u))", "(mail=%m)"),
            file::Schema::ActiveDirectory => (
                Schema::ActiveDirectory,
                "(&(objectCategory=person)(|(sAMAccountName=%u)(userPrincipalName=%u)))",
                "(|(mail=%m)(proxyAddresses=smtp:%m))",
            ),
        };
        let timeout = self.duration(&at("timeout"), &table.timeout, SECOND..=MINUTE);
        let cache = self.duration(&at("cache"), &table.cache, Duration::ZERO..=60 * MINUTE);
        Some(Ldap {
            servers: servers?,
            start_tls: table.start_tls,
            authorities: authorities?,
            bind_dn: table.bind_dn.as_deref().map(Into::into),
            password_file: password_file?,
            user_dn: table.user_dn.as_deref().map(Into::into),
            base: base?,
            group_base: table.group_base.as_deref().map(Into::into),
            user_filter: table.user_filter.as_deref().unwrap_or(user_filter).into(),
            mail_filter: table.mail_filter.as_deref().unwrap_or(mail_filter).into(),
            schema,
            timeout: timeout?,
            cache: cache?,
            connections: usize::try_from(table.connections).ok()?,
        })
    }

    /// The URL of a server. Passwords go there, so the clear is only for this host.
    fn ldap_url(&mut self, key: &str, url: &str, start_tls: bool) -> Option<Box<str>> {
        let (host, secured) = match (url.strip_prefix("ldaps://"), url.strip_prefix("ldap://")) {
            (Some(host), _) => (host, true),
            (None, Some(host)) => (host, start_tls),
            (None, None) => {
                self.bad(key, "is not the URL of a directory", "expected ldaps://host or ldap://host", None);
                return None;
            }
        };
        if host.is_empty() || host.contains(['/', '?', ' ', '@']) {
            self.bad(key, "does not name one host", "expected ldaps://host or ldaps://host:port", None);
            return None;
        }
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let is_here =
            ["localhost", "[::1]"].contains(&name) || name.parse::<std::net::Ipv4Addr>().is_ok_and(|a| a.is_loopback());
        if !secured && !is_here {
            self.bad(
                key,
                "would send passwords in the clear",
                "expected ldaps://, or start_tls = true",
                Some(format!("\"ldaps://{host}\"")),
            );
            return None;
        }
        Some(url.into())
    }

    fn tokens(&mut self, key: &str, table: &file::Tokens) -> Option<Tokens> {
        let at = |name: &str| below(key, name);
        let mut needed = |name: &str, value: &Option<String>, example: &str| -> Option<Box<str>> {
            match value {
                Some(text) if !text.is_empty() => Some(text.as_str().into()),
                Some(_) => {
                    self.bad(&at(name), "is empty", "expected a text", None);
                    None
                }
                None => self.missing(&at(name), example),
            }
        };
        let issuer = needed("issuer", &table.issuer, "issuer = \"https://login.corp.example\"");
        let audience = needed("audience", &table.audience, "audience = \"smtp.corp.example\"");
        let keys = needed("keys", &table.keys, "keys = \"https://login.corp.example/jwks.json\"")?;
        let authorities = self.optional_path(&at("authorities"), table.authorities.as_ref());
        let keys = match keys.split_once("://") {
            Some(("https", _)) => Keys::Url { url: keys, authorities: authorities? },
            Some(_) => {
                self.bad(
                    &at("keys"),
                    "is not an https:// URL",
                    "expected the path of a file, or an https:// URL",
                    None,
                );
                return None;
            }
            None => Keys::File(PathBuf::from(&*keys)),
        };
        Some(Tokens {
            issuer: issuer?,
            audience: audience?,
            keys,
            claim: table.claim.as_str().into(),
            scope: table.scope.as_deref().map(Into::into),
            accounts: table.accounts.as_deref().map(Into::into),
        })
    }

    /// The directories that issuers of tokens refer to; `false` when one is not there.
    fn token_accounts(&mut self, file: &File, known: &[Directory]) -> bool {
        let mut sound = true;
        for (name, table) in &file.directory.tokens {
            let Some(accounts) = &table.accounts else { continue };
            let key = below(&below("directory.tokens", name), "accounts");
            let holds = |one: &&Directory| matches!(one.kind, Kind::File(_) | Kind::Ldap(_));
            if !known.iter().filter(holds).any(|one| *one.name == **accounts) {
                self.bad(&key, "names no directory of kind `file` or `ldap`", "expected the name of one", None);
                sound = false;
            }
        }
        sound
    }

    fn kerberos(&mut self, key: &str, table: &file::Kerberos, hostname: Option<&Domain>) -> Option<Kerberos> {
        let at = |name: &str| below(key, name);
        let keytab = match &table.keytab {
            Some(path) => self.path(&at("keytab"), path),
            None => self.missing(&at("keytab"), "keytab = \"/etc/bridgehead/smtp.keytab\""),
        };
        let realm = match &table.realm {
            Some(realm) => Some(realm.as_str().into()),
            None => self.missing(&at("realm"), "realm = \"CORP.EXAMPLE\""),
        };
        let host = match &table.host {
            Some(host) => self.domain(&at("host"), host),
            None => hostname.cloned(),
        };
        Some(Kerberos { keytab: keytab?, realm: realm?, host: host? })
    }

    fn winbind(&mut self, key: &str, table: &file::Winbind) -> Option<Winbind> {
        let helper = self.path(&below(key, "helper"), &table.helper);
        let timeout = self.duration(&below(key, "timeout"), &table.timeout, SECOND..=MINUTE);
        Some(Winbind { helper: helper?, helpers: usize::try_from(table.helpers).ok()?, timeout: timeout? })
    }

    fn pam(&mut self, key: &str, table: &file::Pam) -> Option<Pam> {
        let timeout = self.duration(&below(key, "timeout"), &table.timeout, SECOND..=MINUTE);
        let service = &table.service;
        let named = service.starts_with(|c: char| c.is_ascii_alphanumeric()) && service.len() <= SERVICE_OCTETS;
        if !named || !service.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            self.bad(&below(key, "service"), "is not the name of a PAM service", "expected a file in /etc/pam.d", None);
            return None;
        }
        let helpers = usize::try_from(table.helpers).ok()?;
        Some(Pam { service: service.as_str().into(), helpers, timeout: timeout? })
    }

    /// The servers of the organization.
    pub(super) fn peers(&mut self, file: &File) -> Option<Vec<Peer>> {
        let mut peers = Vec::new();
        let mut complete = !self.is_broken("peer");
        for (name, table) in &file.peer {
            match self.peer(name, table) {
                Some(peer) => peers.push(peer),
                None => complete = false,
            }
        }
        complete.then_some(peers)
    }

    fn peer(&mut self, name: &str, table: &file::Peer) -> Option<Peer> {
        let key = below("peer", name);
        self.rule(&key);
        let certificates = self.all(&table.certificates, &below(&key, "certificates"), Self::certificate_name);
        let addresses = self.networks(&below(&key, "addresses"), &table.addresses);
        if table.accounts.is_empty() && table.principals.is_empty() && table.certificates.is_empty() {
            let mistake =
                Mistake::error(&key, self.places.key_of(&key), format!("nothing proves that somebody is `{name}`"))
                    .expected("expected accounts, principals or certificates; an address is no proof");
            self.mistakes.push(mistake);
            return None;
        }
        let texts = |list: &[String]| list.iter().map(|text| text.as_str().into()).collect();
        Some(Peer {
            name: name.into(),
            accounts: texts(&table.accounts),
            principals: texts(&table.principals),
            certificates: certificates?,
            addresses: addresses?,
            trust: Trust { xclient: table.xclient, xforward: table.xforward },
        })
    }

    #[expect(clippy::ptr_arg, reason = "an entry of a list of texts")]
    fn certificate_name(&mut self, key: &str, text: &String) -> Option<CertificateName> {
        let Some(digits) = text.strip_prefix("sha256:") else {
            if text.is_empty() || text.contains(['*', ' ']) {
                self.bad(key, "is not a name in a certificate", "expected a whole name, or sha256: and a digest", None);
                return None;
            }
            return Some(CertificateName::Name(text.as_str().into()));
        };
        let digits: String = digits.chars().filter(|&c| c != ':').collect();
        let mut digest = [0; 32];
        let pair = |at: usize| u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok();
        for (at, octet) in digest.iter_mut().enumerate() {
            match pair(at) {
                Some(value) if digits.len() == 64 => *octet = value,
                _ => {
                    self.bad(key, "is not a SHA-256 digest", "expected 64 hexadecimal digits", None);
                    return None;
                }
            }
        }
        Some(CertificateName::Sha256(digest))
    }

    pub(super) fn guessing(&mut self, table: &file::Guessing) -> Option<Guessing> {
        let forget = self.duration("guessing.forget", &table.forget, MINUTE..=24 * 60 * MINUTE);
        let refuse = self.duration("guessing.refuse", &table.refuse, SECOND..=24 * 60 * MINUTE);
        let exempt = self.networks("guessing.exempt", &table.exempt);
        Some(Guessing {
            accounts_per_network: table.accounts_per_network,
            secrets_per_account: table.secrets_per_account,
            forget: forget?,
            refuse: refuse?,
            exempt: exempt?,
        })
    }

    /// A list of clients in which names have no place.
    pub(super) fn networks(&mut self, key: &str, list: &[file::ClientText]) -> Option<Vec<Net>> {
        self.all(list, key, |check, key, text| match check.client(key, text)? {
            Match::Net(net) => Some(net),
            Match::Domain(_) => {
                check.bad(key, "is a name", "expected an address or a network", None);
                None
            }
        })
    }
}

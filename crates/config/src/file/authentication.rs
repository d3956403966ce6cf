//! The tables that say who clients are: mechanisms, directories, peers.

use super::value::{ClientText, DomainText, DurationText, PathText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A mechanism of SASL, by its registered name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum MechanismName {
    /// By client certificate; needs `tls.client_certificates`.
    #[serde(rename = "EXTERNAL")]
    External,
    /// A password that never crosses the line, bound to the TLS connection.
    #[serde(rename = "SCRAM-SHA-256-PLUS")]
    ScramSha256Plus,
    /// A password that never crosses the line.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// Kerberos.
    #[serde(rename = "GSSAPI")]
    Gssapi,
    /// Kerberos, or NTLM where there is no ticket, as Windows clients agree on it.
    #[serde(rename = "GSS-SPNEGO")]
    GssSpnego,
    /// A token of an issuer (RFC 7628).
    #[serde(rename = "OAUTHBEARER")]
    OauthBearer,
    /// A token of an issuer, in the older form.
    #[serde(rename = "XOAUTH2")]
    Xoauth2,
    /// NTLMv2, for Windows clients that know nothing better.
    #[serde(rename = "NTLM")]
    Ntlm,
    /// Name and password; only inside TLS.
    #[serde(rename = "PLAIN")]
    Plain,
    /// Name and password, asked for one after the other; only inside TLS.
    #[serde(rename = "LOGIN")]
    Login,
}

/// Whether NTLM and GSS-SPNEGO must be bound to the TLS connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum ExtendedProtection {
    /// A binding that the client gives must be right.
    #[default]
    WhenGiven,
    /// The client must give one.
    Required,
}

/// Who may send mail after having connected, and how clients prove who they are.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Authentication {
    /// Whether a client may send mail without having authenticated.
    pub anonymous: bool,
    /// The mechanisms that are offered, and the only ones that are accepted. Empty: AUTH does not
    /// exist on this virtual server, and whoever tries it is counted as guessing.
    #[schemars(extend("examples" = [["SCRAM-SHA-256", "PLAIN"]]))]
    pub mechanisms: Vec<MechanismName>,
    /// The directories that know the accounts, by their names. The first that knows an account
    /// decides.
    #[schemars(extend("examples" = [["people"]]))]
    pub directories: Vec<String>,
    /// Whether NTLM and GSS-SPNEGO must be bound to the TLS connection (extended protection).
    pub extended_protection: ExtendedProtection,
    /// Failed attempts in one session before it is ended.
    #[schemars(range(min = 1, max = 100))]
    pub failures: u32,
    /// How long the reply to a failed attempt is held back; a guesser waits, and nothing else does.
    pub failure_delay: DurationText,
    /// Needed to offer PLAIN, LOGIN and tokens outside TLS, where everyone on the way can read them:
    /// `"i-know-passwords-can-be-read-on-the-way"`.
    #[schemars(example = "i-know-passwords-can-be-read-on-the-way")]
    pub in_the_clear: Option<String>,
}

impl Default for Authentication {
    fn default() -> Authentication {
        Authentication {
            anonymous: true,
            mechanisms: Vec::new(),
            directories: Vec::new(),
            extended_protection: ExtendedProtection::WhenGiven,
            failures: 10,
            failure_delay: DurationText::new("2 s"),
            in_the_clear: None,
        }
    }
}

/// The directories that know accounts, each by a name of its own.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Directories {
    /// Account files, which `bridgehead account` writes.
    pub file: BTreeMap<String, AccountFile>,
    /// LDAP directories, Active Directory among them.
    pub ldap: BTreeMap<String, Ldap>,
    /// Issuers of tokens, for OAUTHBEARER and XOAUTH2.
    pub tokens: BTreeMap<String, Tokens>,
    /// Kerberos realms, for GSSAPI and GSS-SPNEGO.
    pub kerberos: BTreeMap<String, Kerberos>,
    /// Windows domains, for NTLM and GSS-SPNEGO, asked by the helper of winbind.
    pub winbind: BTreeMap<String, Winbind>,
    /// PAM services of this host, for PLAIN and LOGIN, each asked by processes of their own.
    pub pam: BTreeMap<String, Pam>,
}

/// An account file, which `bridgehead account` writes.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["path"]))]
pub struct AccountFile {
    /// The file. It is read again when it has changed. Required.
    #[schemars(example = "/etc/bridgehead/accounts")]
    pub path: Option<PathText>,
}

/// Where a directory keeps what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Schema {
    /// `uid`, `mail`, `memberOf`.
    #[default]
    Posix,
    /// `sAMAccountName`, `userPrincipalName`, `proxyAddresses`, `userAccountControl`.
    ActiveDirectory,
}

/// An LDAP directory.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["servers", "base"]))]
pub struct Ldap {
    /// `ldaps://host` or `ldap://host`, a port may follow. A later one is asked when those before it
    /// do not answer. Required.
    #[schemars(extend("examples" = [["ldaps://dc1.corp.example", "ldaps://dc2.corp.example"]]))]
    pub servers: Vec<String>,
    /// Whether StartTLS is used on `ldap://`. Without it, `ldap://` is only for a directory on this
    /// host.
    pub start_tls: bool,
    /// A PEM file with the certificate authorities to believe. Absent: those of this host.
    #[schemars(example = "/etc/bridgehead/ldap-ca.pem")]
    pub authorities: Option<PathText>,
    /// Whom to search as. Absent: anonymously.
    #[schemars(example = "cn=bridgehead,ou=services,dc=corp,dc=example")]
    pub bind_dn: Option<String>,
    /// The file that holds the password of `bind_dn`, in its first line.
    #[schemars(example = "/etc/bridgehead/ldap-password")]
    pub password_file: Option<PathText>,
    /// The DN of an account, with `%u` for its name: passwords are tried there without searching
    /// first. Absent: the account is searched for.
    #[schemars(example = "uid=%u,ou=people,dc=corp,dc=example")]
    pub user_dn: Option<String>,
    /// Where to search. Required.
    #[schemars(example = "dc=corp,dc=example")]
    pub base: Option<String>,
    /// Where groups are searched. Absent: where accounts are. Whoever may make groups there may make one
    /// of any name, so it should be no wider than need be.
    #[schemars(example = "ou=groups,dc=corp,dc=example")]
    pub group_base: Option<String>,
    /// What finds an account by its name, `%u`. Absent: what fits `schema`.
    #[schemars(example = "(&(objectClass=person)(uid=%u))")]
    pub user_filter: Option<String>,
    /// What finds an account by one of its addresses, `%m`. Absent: what fits `schema`.
    #[schemars(example = "(mail=%m)")]
    pub mail_filter: Option<String>,
    /// Where the directory keeps what.
    pub schema: Schema,
    /// How long an answer may take, the connection included.
    pub timeout: DurationText,
    /// How long answers about accounts and recipients are believed. Passwords are asked anew each
    /// time.
    pub cache: DurationText,
    /// Connections at one time.
    #[schemars(range(min = 1, max = 1000))]
    pub connections: u32,
}

impl Default for Ldap {
    fn default() -> Ldap {
        Ldap {
            servers: Vec::new(),
            start_tls: false,
            authorities: None,
            bind_dn: None,
            password_file: None,
            user_dn: None,
            base: None,
            group_base: None,
            user_filter: None,
            mail_filter: None,
            schema: Schema::Posix,
            timeout: DurationText::new("5 s"),
            cache: DurationText::new("60 s"),
            connections: 8,
        }
    }
}

/// An issuer of tokens.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["issuer", "audience", "keys"]))]
pub struct Tokens {
    /// What the tokens name as their issuer (`iss`). Required.
    #[schemars(example = "https://login.corp.example")]
    pub issuer: Option<String>,
    /// For whom the tokens must be (`aud`). Required.
    #[schemars(example = "smtp.corp.example")]
    pub audience: Option<String>,
    /// The public keys of the issuer: a JWKS file, or an `https://` URL of one. Required.
    #[schemars(example = "https://login.corp.example/jwks.json")]
    pub keys: Option<String>,
    /// A PEM file with the certificate authorities to believe at the URL of `keys`. Absent: those of this
    /// host.
    #[schemars(example = "/etc/bridgehead/login-ca.pem")]
    pub authorities: Option<PathText>,
    /// The claim that names the account.
    pub claim: String,
    /// What the scope of a token must contain. Absent: nothing.
    #[schemars(example = "smtp.send")]
    pub scope: Option<String>,
    /// The directory that knows the groups and addresses of the account, and must know it. Absent:
    /// the token is enough.
    #[schemars(extend("examples" = ["people"]))]
    pub accounts: Option<String>,
}

impl Default for Tokens {
    fn default() -> Tokens {
        Tokens {
            issuer: None,
            audience: None,
            keys: None,
            authorities: None,
            claim: "email".into(),
            scope: None,
            accounts: None,
        }
    }
}

/// A Kerberos realm.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["keytab", "realm"]))]
pub struct Kerberos {
    /// The keytab with the key of the service `smtp/host@REALM`. Required.
    #[schemars(example = "/etc/bridgehead/smtp.keytab")]
    pub keytab: Option<PathText>,
    /// The realm whose principals are accounts. Required.
    #[schemars(example = "CORP.EXAMPLE")]
    pub realm: Option<String>,
    /// The host of the service principal. Absent: `hostname`.
    #[schemars(example = "mx1.corp.example")]
    pub host: Option<DomainText>,
}

/// A Windows domain.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Winbind {
    /// The helper.
    pub helper: PathText,
    /// How many helpers run: so many can authenticate at one time.
    #[schemars(range(min = 1, max = 100))]
    pub helpers: u32,
    /// How long an answer may take.
    pub timeout: DurationText,
}

impl Default for Winbind {
    fn default() -> Winbind {
        Winbind { helper: PathText("/usr/bin/ntlm_auth".into()), helpers: 4, timeout: DurationText::new("10 s") }
    }
}

/// A PAM service of this host.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pam {
    /// The service: a file of this name in `/etc/pam.d`.
    pub service: String,
    /// How many helpers run: so many can log in at one time.
    #[schemars(range(min = 1, max = 100))]
    pub helpers: u32,
    /// How long an answer may take.
    pub timeout: DurationText,
}

impl Default for Pam {
    fn default() -> Pam {
        Pam { service: "bridgehead".into(), helpers: 4, timeout: DurationText::new("10 s") }
    }
}

/// A server of the organization. It may send to everybody; forwarding between servers needs no
/// permission to relay. It proves who it is by any one of `accounts`, `principals` and `certificates`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Peer {
    /// The accounts it authenticates as.
    #[schemars(extend("examples" = [["ex1"]]))]
    pub accounts: Vec<String>,
    /// The Kerberos principals it authenticates as.
    #[schemars(extend("examples" = [["EX1$@CORP.EXAMPLE"]]))]
    pub principals: Vec<String>,
    /// The names in its client certificate, or `sha256:` and the digest of it.
    #[schemars(extend("examples" = [["ex1.corp.example"]]))]
    pub certificates: Vec<String>,
    /// The addresses and networks it comes from. Empty: from anywhere.
    #[schemars(extend("examples" = [["10.0.0.10"]]))]
    pub addresses: Vec<ClientText>,
    /// Whether it may send mail at all.
    pub submit: bool,
    /// Whether it may send to recipients outside the organization.
    pub relay: bool,
    /// Whether it may use every address as its sender: a server that forwards what others wrote must.
    pub send_as_anybody: bool,
    /// Whether filters leave its mail alone. Where they do not, it is filtered as that of strangers is.
    pub bypass_filters: bool,
    /// Whether it may say for whom it speaks (XCLIENT): the session is then judged as that client's.
    pub xclient: bool,
    /// Whether it may say where a message came from, for the log (XFORWARD).
    pub xforward: bool,
}

impl Default for Peer {
    fn default() -> Peer {
        Peer {
            accounts: Vec::new(),
            principals: Vec::new(),
            certificates: Vec::new(),
            addresses: Vec::new(),
            submit: true,
            relay: true,
            send_as_anybody: true,
            bypass_filters: true,
            xclient: false,
            xforward: false,
        }
    }
}

/// How guessers are kept out, at all virtual servers together.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Guessing {
    /// Different accounts that one network (the /24 of an IPv4 address, the /64 of an IPv6 one) may fail
    /// at before it is refused for a time. From a third of them on, answers come later and later; from
    /// two thirds on, each failure ends its session.
    #[schemars(range(min = 3, max = 10000))]
    pub accounts_per_network: u32,
    /// Different secrets that may be tried for one account before it is refused for a time to networks it
    /// has not lately been used from. The same secret again is not counted.
    #[schemars(range(min = 3, max = 10000))]
    pub secrets_per_account: u32,
    /// How long it takes to forget one of either.
    pub forget: DurationText,
    /// How long somebody is refused, the first time; each further time lasts twice as long, up to a day.
    pub refuse: DurationText,
    /// Addresses and networks that are never refused for guessing: proxies, monitoring.
    #[schemars(extend("examples" = [["10.0.0.5"]]))]
    pub exempt: Vec<ClientText>,
}

impl Default for Guessing {
    fn default() -> Guessing {
        Guessing {
            accounts_per_network: 10,
            secrets_per_account: 30,
            forget: DurationText::new("10 min"),
            refuse: DurationText::new("10 min"),
            exempt: Vec::new(),
        }
    }
}

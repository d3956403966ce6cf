//! Settings to begin with: for each role of the sources a complete file that says at each key why it is as it is.
//!
//! They are texts in `templates`, embedded in the program, with `{{names}}` for what differs from one organization to
//! the next. Nothing is put in that has not been read as what it is, so that no word of a command line can become a
//! key. What they mean is held by `tests/it/templates.rs`, cell by cell of the table of roles (reference 9.1).

use mail::Domain;
use std::fmt;
use std::str::FromStr;
use toml::Value;

/// What a server is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Template {
    /// Between the organization and the Internet (S3).
    SmtpGateway,
    /// With mailboxes or public folders (S3).
    Mailbox,
    /// In front of mailbox servers (S3).
    FrontEnd,
    /// The only one (S3).
    AllInOne,
    /// For people on the road (S2, SMTP virtual server 1).
    CorporateRelay,
    /// For mail from the Internet (S2, SMTP virtual server 2).
    InternetRelay,
    /// One virtual server in, one out (S1).
    TwoServerGateway,
}

/// What differs from one organization to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The name of the machine; `None`: `mx1` in the first domain.
    pub hostname: Option<Domain>,
    /// The first domain of the organization.
    pub domain: Domain,
    /// The others.
    pub more_domains: Vec<Domain>,
    /// The Kerberos realm by which servers and people authenticate; `None`: they have accounts in a file, and
    /// passwords that do not cross the line.
    pub realm: Option<Realm>,
}

/// The name of a Kerberos realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm(Box<str>);

/// A text that is not the name of a realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotARealm;

/// The blocks that several templates have in common, with accounts and with a realm.
const SERVERS: [&str; 2] = [include_str!("templates/servers.toml"), include_str!("templates/servers-kerberos.toml")];
const PEOPLE: [&str; 2] = [include_str!("templates/people.toml"), include_str!("templates/people-kerberos.toml")];
/// The block for each domain of the organization where this server is not the end of them.
const REMOTE_DOMAIN: &str = include_str!("templates/remote-domain.toml");

impl Template {
    /// All of them.
    pub const ALL: [Template; 7] = [
        Template::SmtpGateway,
        Template::Mailbox,
        Template::FrontEnd,
        Template::AllInOne,
        Template::CorporateRelay,
        Template::InternetRelay,
        Template::TwoServerGateway,
    ];

    /// What it is called on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Template::SmtpGateway => "smtp-gateway",
            Template::Mailbox => "mailbox",
            Template::FrontEnd => "front-end",
            Template::AllInOne => "all-in-one",
            Template::CorporateRelay => "corporate-relay",
            Template::InternetRelay => "internet-relay",
            Template::TwoServerGateway => "two-server-gateway",
        }
    }

    /// The settings of an organization.
    #[must_use]
    pub fn text(self, options: &Options) -> String {
        let by_realm = usize::from(options.realm.is_some());
        let people = self == Template::CorporateRelay;
        let domains = std::iter::once(&options.domain).chain(&options.more_domains);
        let remote = domains.clone().map(|domain| REMOTE_DOMAIN.replace("{{domain}}", domain.as_str()));
        let remote: Vec<String> = remote.collect();
        let domains: Vec<String> = domains.map(|domain| quoted(domain.as_str())).collect();
        let hostname = options.hostname.as_ref().map_or_else(|| format!("mx1.{}", options.domain), ToString::to_string);
        let mechanisms = ["[\"SCRAM-SHA-256-PLUS\", \"SCRAM-SHA-256\"]", "[\"GSSAPI\"]"];
        let directories = if people { ["[\"people\"]", "[\"realm\", \"people\"]"] } else { ["[\"servers\"]"; 2] };
        // Blocks first: they have names of their own.
        [
            ("{{servers}}", SERVERS[by_realm].trim_end()),
            ("{{people}}", PEOPLE[by_realm].trim_end()),
            ("{{remote_domains}}", remote.join("\n").trim_end()),
            ("{{mechanisms}}", mechanisms[by_realm]),
            ("{{directories}}", directories[by_realm]),
            ("{{domains}}", &format!("[{}]", domains.join(", "))),
            ("{{domain}}", options.domain.as_str()),
            ("{{hostname}}", &hostname),
            ("{{realm}}", options.realm.as_ref().map_or("", |realm| &realm.0)),
        ]
        .iter()
        .fold(self.source().to_owned(), |text, (name, value)| text.replace(name, value))
    }

    fn source(self) -> &'static str {
        match self {
            Template::SmtpGateway => include_str!("templates/smtp-gateway.toml"),
            Template::Mailbox => include_str!("templates/mailbox.toml"),
            Template::FrontEnd => include_str!("templates/front-end.toml"),
            Template::AllInOne => include_str!("templates/all-in-one.toml"),
            Template::CorporateRelay => include_str!("templates/corporate-relay.toml"),
            Template::InternetRelay => include_str!("templates/internet-relay.toml"),
            Template::TwoServerGateway => include_str!("templates/two-server-gateway.toml"),
        }
    }
}

impl FromStr for Template {
    type Err = UnknownTemplate;

    fn from_str(text: &str) -> Result<Template, UnknownTemplate> {
        Template::ALL.into_iter().find(|template| template.name() == text).ok_or(UnknownTemplate)
    }
}

/// A text that is the name of no template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownTemplate;

impl fmt::Display for UnknownTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Template::ALL.iter().map(|template| template.name()).collect();
        write!(f, "expected one of {}", names.join(", "))
    }
}

impl std::error::Error for UnknownTemplate {}

impl FromStr for Realm {
    type Err = NotARealm;

    /// Names of the domain style (RFC 4120 §6.1), which all realms have today.
    fn from_str(text: &str) -> Result<Realm, NotARealm> {
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_');
        let good = (1..=255).contains(&text.len()) && text.bytes().all(plain);
        good.then(|| Realm(text.into())).ok_or(NotARealm)
    }
}

impl fmt::Display for NotARealm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the name of a Kerberos realm, such as CORP.EXAMPLE")
    }
}

impl std::error::Error for NotARealm {}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

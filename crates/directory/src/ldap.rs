//! LDAP and Active Directory: accounts found by a search or by a template, passwords checked by a
//! bind, groups walked, recipients looked up.
//!
//! The protocol is our own, four messages of it, because what it reads comes over the network before
//! anybody has proved anything: every length, depth and count is bounded (`ldap/ber.rs`). What an
//! entry means is in `ldap/person.rs`, and knows no network. A server that cannot be asked is
//! [`Finding::Unavailable`]; [`Finding::No`] is always something that a server has said.

mod ber;
mod connection;
mod dn;
mod filter;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod message;
mod person;
mod pool;
mod server;
mod verdict;

use crate::cache::Cache;
use crate::notice::{Happening, Teller};
use crate::{Clock, trust, watched};
use dn::Template;
use filter::Filter;
use identity::settings::Ldap as Settings;
use identity::{ClientCertificate, Finding, Inquiry, No, Secret};
use mail::{Account, Mailbox};
use message::{Entry, Scope, Search};
use person::{Person, Standing};
use pool::{Answer, Pool, Rights, Task, Unavailable};
use server::Server;
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;
use verdict::Verdict;

/// Answers that are kept, of accounts and of recipients each.
const CACHED: usize = 10_000;
/// How long it is believed that there is no such account or recipient.
const UNKNOWN_FOR: Duration = Duration::from_secs(30);
/// How deep groups within groups are followed where the directory does not do it itself.
const GROUP_DEPTH: usize = 8;
/// Groups of one account.
const GROUPS: usize = 1000;
/// Groups asked about in one search.
const GROUPS_AT_ONCE: usize = 50;
/// Octets of a name.
const NAME_OCTETS: usize = 512;
/// Octets of a file with a password.
const PASSWORD_OCTETS: u64 = 4096;

/// An LDAP directory.
pub(crate) struct Ldap {
    settings: Settings,
    user_filter: Filter,
    mail_filter: Filter,
    user_dn: Option<Template>,
    pool: Pool,
    people: Mutex<Cache<Lookup>>,
    recipients: Mutex<Cache<Option<Arc<Account>>>>,
    clock: Clock,
    teller: Teller,
}

/// What is known of a name.
#[derive(Clone, Debug)]
enum Lookup {
    /// There is exactly one.
    Known(Arc<Known>),
    /// There is none.
    Unknown,
    /// There are several: nobody can say who that is.
    Several,
}

#[derive(Debug)]
struct Known {
    dn: String,
    account: Arc<Account>,
    standing: Standing,
}

impl Ldap {
    /// Reads what the settings name. Nothing is asked yet.
    pub(crate) fn open(settings: &Settings, clock: Clock, teller: Teller) -> io::Result<Ldap> {
        let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
        let user_filter = read_filter("user_filter", &settings.user_filter, b'u')?;
        let mail_filter = read_filter("mail_filter", &settings.mail_filter, b'm')?;
        let user_dn = settings.user_dn.as_deref().map(Template::parse).transpose();
        let user_dn = user_dn.map_err(|why| wrong(format!("user_dn: {why}")))?;
        let servers = settings.servers.iter().map(|url| Server::parse(url, settings.start_tls));
        let servers: Vec<Server> = servers.collect::<Result<_, _>>().map_err(wrong)?;
        if servers.is_empty() {
            return Err(wrong("an LDAP directory has a server".into()));
        }
        let tls = trust::client(settings.authorities.as_deref())?;
        let bounds = (settings.connections, settings.timeout);
        let pool = Pool::new(servers, tls, own(settings)?, bounds, teller.clone());
        Ok(Ldap {
            settings: settings.clone(),
            user_filter,
            mail_filter,
            user_dn,
            pool,
            people: Mutex::new(Cache::new(CACHED)),
            recipients: Mutex::new(Cache::new(CACHED)),
            clock,
            teller,
        })
    }

    /// Answers an inquiry.
    pub(crate) async fn answer(&self, inquiry: &mut Inquiry) -> Finding {
        let deadline = self.pool.deadline();
        let found = match inquiry {
            Inquiry::Password { name, password } => self.password(name, password, deadline).await,
            // What a proof could be checked by does not leave a directory.
            Inquiry::ScramKeys { name } | Inquiry::NtHash { name, .. } => {
                self.lookup(name, deadline).await.map(|lookup| match lookup {
                    Lookup::Known(_) => Finding::No(No::NoSecret),
                    Lookup::Unknown => Finding::No(No::Unknown),
                    Lookup::Several => Finding::No(No::Wrong),
                })
            }
            Inquiry::Certificate { certificate, name } => {
                self.certificate(certificate, name.as_deref(), deadline).await
            }
            Inquiry::Account { name } => return self.account(name).await,
            Inquiry::Recipient { mailbox } => self
                .recipient(mailbox, deadline)
                .await
                .map(|found| found.map_or(Finding::No(No::Unknown), Finding::Account)),
            Inquiry::Token { .. } | Inquiry::Converse { .. } => Ok(Finding::No(No::Unknown)),
        };
        found.unwrap_or(Finding::Unavailable)
    }

    /// The account of this name, for whoever has proved elsewhere that it is theirs.
    pub(crate) async fn account(&self, name: &str) -> Finding {
        let found = self.lookup(name, self.pool.deadline()).await.map(|lookup| match lookup {
            Lookup::Known(known) => without_bind(&known),
            Lookup::Unknown => Finding::No(No::Unknown),
            Lookup::Several => Finding::No(No::Wrong),
        });
        found.unwrap_or(Finding::Unavailable)
    }

    async fn password(&self, name: &str, password: &Secret, deadline: Instant) -> Result<Finding, Unavailable> {
        if !is_askable(name) {
            return Ok(Finding::No(No::Unknown));
        }
        // RFC 4513 §5.1.2: a bind without a password succeeds and proves nothing. To a server that
        // ends text at a NUL, a password that begins with one is none.
        if password.expose().is_empty() || password.expose().contains(&0) {
            return Ok(Finding::No(No::Wrong));
        }
        match &self.user_dn {
            Some(template) => self.check_by_template(template, name, password, deadline).await,
            None => self.check_found(name, password, deadline).await,
        }
    }

    /// Binds as the DN that the template makes of the name, then reads its entry: with that one's own
    /// rights where the gateway has none.
    async fn check_by_template(
        &self,
        template: &Template,
        name: &str,
        password: &Secret,
        deadline: Instant,
    ) -> Result<Finding, Unavailable> {
        let dn = template.fill(name);
        let rights = if self.pool.has_rights() { Rights::Own } else { Rights::Of(&dn, password) };
        match self.check(&dn, password, deadline).await? {
            Verdict::Good => {
                let lookup = match self.remembered(name) {
                    Some(Lookup::Known(known)) => Lookup::Known(known),
                    _ => self.find(name, rights, deadline).await?,
                };
                Ok(match lookup {
                    Lookup::Known(known) => after_bind(&known),
                    Lookup::Unknown | Lookup::Several => Finding::No(No::Wrong),
                })
            }
            // A bind does not tell a wrong password from a wrong name, so that nobody can list names.
            // Without rights there is no telling: then it is not for another directory to say yes.
            Verdict::No(No::Wrong | No::Unknown) if self.pool.has_rights() => {
                Ok(match self.lookup(name, deadline).await? {
                    Lookup::Unknown => Finding::No(No::Unknown),
                    Lookup::Known(_) | Lookup::Several => Finding::No(No::Wrong),
                })
            }
            Verdict::No(No::Unknown) => Ok(Finding::No(No::Wrong)),
            Verdict::No(no) => Ok(Finding::No(no)),
            Verdict::Elsewhere | Verdict::Unanswerable => Err(Unavailable),
        }
    }

    /// Finds the one entry, then binds as it. If its DN was remembered and the password is not good,
    /// it is found again: an entry may have moved.
    async fn check_found(&self, name: &str, password: &Secret, deadline: Instant) -> Result<Finding, Unavailable> {
        let remembered = self.remembered(name);
        let fresh = remembered.is_none();
        let lookup = match remembered {
            Some(lookup) => lookup,
            None => self.find(name, Rights::Own, deadline).await?,
        };
        let known = match lookup {
            Lookup::Known(known) => known,
            Lookup::Unknown => return Ok(Finding::No(No::Unknown)),
            Lookup::Several => return Ok(Finding::No(No::Wrong)),
        };
        let finding = self.check_known(&known, password, deadline).await?;
        if fresh || !matches!(finding, Finding::No(No::Wrong)) {
            return Ok(finding);
        }
        match self.find(name, Rights::Own, deadline).await? {
            Lookup::Known(again) if again.dn == known.dn => Ok(finding),
            Lookup::Known(again) => self.check_known(&again, password, deadline).await,
            Lookup::Unknown => Ok(Finding::No(No::Unknown)),
            Lookup::Several => Ok(finding),
        }
    }

    async fn check_known(&self, known: &Known, password: &Secret, deadline: Instant) -> Result<Finding, Unavailable> {
        if known.standing == Standing::Closed {
            return Ok(Finding::No(No::Suspended));
        }
        match self.check(&known.dn, password, deadline).await? {
            Verdict::Good => Ok(after_bind(known)),
            // The entry that was just found is gone: that is not "nobody of that name", ask again.
            Verdict::No(No::Unknown) => Ok(Finding::No(No::Wrong)),
            Verdict::No(no) => Ok(Finding::No(no)),
            Verdict::Elsewhere | Verdict::Unanswerable => Err(Unavailable),
        }
    }

    async fn check(&self, dn: &str, password: &Secret, deadline: Instant) -> Result<Verdict, Unavailable> {
        if dn.is_empty() {
            // The root is nobody: binding as it is binding as nobody (RFC 4513 §5.1.1).
            return Err(Unavailable);
        }
        match self.pool.ask(&Task::Check(dn, password), deadline).await? {
            Answer::Checked(verdict) => Ok(verdict),
            Answer::Found(_) => Err(Unavailable),
        }
    }

    /// The account whose address is in the certificate. If the client names one, it must be that.
    async fn certificate(
        &self,
        certificate: &ClientCertificate,
        name: Option<&str>,
        deadline: Instant,
    ) -> Result<Finding, Unavailable> {
        let mailboxes: Vec<Mailbox> = certificate.names.iter().filter_map(|name| name.parse().ok()).collect();
        if let Some(name) = name {
            return Ok(match self.lookup(name, deadline).await? {
                Lookup::Known(known) if mailboxes.iter().any(|mailbox| known.account.addresses.contains(mailbox)) => {
                    without_bind(&known)
                }
                Lookup::Known(_) | Lookup::Several => Finding::No(No::Wrong),
                Lookup::Unknown => Finding::No(No::Unknown),
            });
        }
        for mailbox in mailboxes.iter().take(4) {
            let search = self.by_mail(mailbox, deadline).await?;
            if let [entry] = &search[..]
                && let Some(person) = person::person(self.settings.schema, entry, (self.clock)())
            {
                return Ok(without_bind(&self.known(person, Rights::Own, deadline).await?));
            }
            if !search.is_empty() {
                return Ok(Finding::No(No::Wrong));
            }
        }
        Ok(Finding::No(No::Unknown))
    }

    /// Whether somebody has this address. A disabled account has: shared mailboxes are such accounts.
    /// Groups are not asked for, and an entry without a name of its own is called by its address.
    async fn recipient(&self, mailbox: &Mailbox, deadline: Instant) -> Result<Option<Arc<Account>>, Unavailable> {
        let question = mailbox.to_string();
        let remembered = self.recipients.lock().ok().and_then(|cache| cache.get(&question, Instant::now()));
        if let Some(answer) = remembered {
            return Ok(answer);
        }
        let entries = self.by_mail(mailbox, deadline).await?;
        let answer = entries.first().map(|entry| {
            let person = person::person(self.settings.schema, entry, (self.clock)());
            Arc::new(person.map_or_else(|| Account::named(&question), |person| person.account))
        });
        let span = if answer.is_some() { self.settings.cache } else { self.settings.cache.min(UNKNOWN_FOR) };
        if let Ok(mut cache) = self.recipients.lock() {
            cache.put(&question, answer.clone(), span, Instant::now());
        }
        Ok(answer)
    }

    async fn by_mail(&self, mailbox: &Mailbox, deadline: Instant) -> Result<Vec<Entry>, Unavailable> {
        let address = mailbox.to_string();
        let mut entries = self.search(self.below(&self.mail_filter, address.as_bytes()), Rights::Own, deadline).await?;
        entries.sort_by(|left, right| left.dn.cmp(&right.dn));
        Ok(entries)
    }

    fn remembered(&self, name: &str) -> Option<Lookup> {
        self.people.lock().ok()?.get(name, Instant::now())
    }

    /// What is known of a name, remembered or found.
    async fn lookup(&self, name: &str, deadline: Instant) -> Result<Lookup, Unavailable> {
        match self.remembered(name) {
            Some(lookup) => Ok(lookup),
            None => self.find(name, Rights::Own, deadline).await,
        }
    }

    /// Finds a name in the directory, and remembers what it found.
    async fn find(&self, name: &str, rights: Rights<'_>, deadline: Instant) -> Result<Lookup, Unavailable> {
        if !is_askable(name) {
            return Ok(Lookup::Unknown);
        }
        let entries = match &self.user_dn {
            Some(template) => self.entry(&template.fill(name), rights, deadline).await?,
            None => self.search(self.below(&self.user_filter, name.as_bytes()), rights, deadline).await?,
        };
        let lookup = match &entries[..] {
            [] => Lookup::Unknown,
            [entry] => match person::person(self.settings.schema, entry, (self.clock)()) {
                Some(person) => Lookup::Known(Arc::new(self.known(person, rights, deadline).await?)),
                None => Lookup::Unknown,
            },
            _ => {
                self.teller.tell(Happening::Unanswered("the user filter finds several entries for one name".into()));
                Lookup::Several
            }
        };
        let cache = self.settings.cache;
        let span = if matches!(lookup, Lookup::Unknown) { cache.min(UNKNOWN_FOR) } else { cache };
        if let Ok(mut people) = self.people.lock() {
            people.put(name, lookup.clone(), span, Instant::now());
        }
        Ok(lookup)
    }

    async fn known(&self, person: Person, rights: Rights<'_>, deadline: Instant) -> Result<Known, Unavailable> {
        let groups = self.groups(&person, rights, deadline).await?;
        let account = Arc::new(Account { groups: groups.into_iter().collect(), ..person.account });
        Ok(Known { dn: person.dn, account, standing: person.standing })
    }

    /// The groups that somebody is in, and those that they are in. An answer that is cut short is none:
    /// a group that is missing may be the one that forbids.
    async fn groups(
        &self,
        person: &Person,
        rights: Rights<'_>,
        deadline: Instant,
    ) -> Result<BTreeSet<Box<str>>, Unavailable> {
        let schema = self.settings.schema;
        let base = self.settings.group_base.as_deref().unwrap_or(&self.settings.base);
        let mut names = BTreeSet::new();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let mut next = self.group_entries(&person::groups_of(schema, person), rights, deadline).await?;
        if schema == identity::settings::Schema::Posix {
            let named = person.member_of.iter().filter(|dn| dn::is_within(dn, base));
            next.extend(named.map(|dn| Entry { dn: dn.clone(), attributes: Vec::new() }));
        }
        for _ in 0..GROUP_DEPTH {
            next.retain(|group| seen.insert(group.dn.to_lowercase()));
            names.extend(next.iter().filter_map(|group| person::group_name(schema, group)));
            if next.is_empty() || schema == identity::settings::Schema::ActiveDirectory {
                break;
            }
            if names.len() > GROUPS {
                return Err(Unavailable);
            }
            let dns: Vec<String> = next.drain(..).map(|group| group.dn).collect();
            for some in dns.chunks(GROUPS_AT_ONCE) {
                next.extend(self.group_entries(&person::groups_above(some), rights, deadline).await?);
            }
        }
        Ok(names)
    }

    async fn group_entries(
        &self,
        filter: &Filter,
        rights: Rights<'_>,
        deadline: Instant,
    ) -> Result<Vec<Entry>, Unavailable> {
        let base = self.settings.group_base.as_deref().unwrap_or(&self.settings.base);
        let entries = u32::try_from(GROUPS).unwrap_or(u32::MAX);
        let attributes = &["cn", "sAMAccountName"];
        let search = Search { base, scope: Scope::Subtree, filter, value: b"", attributes, entries };
        self.search(search, rights, deadline).await
    }

    fn below<'a>(&'a self, filter: &'a Filter, value: &'a [u8]) -> Search<'a> {
        let attributes = person::attributes(self.settings.schema);
        Search { base: &self.settings.base, scope: Scope::Subtree, filter, value, attributes, entries: 2 }
    }

    /// The entry of this DN, if there is one.
    async fn entry(&self, dn: &str, rights: Rights<'_>, deadline: Instant) -> Result<Vec<Entry>, Unavailable> {
        let filter = Filter::Present("objectClass".into());
        let attributes = person::attributes(self.settings.schema);
        let search = Search { base: dn, scope: Scope::Base, filter: &filter, value: b"", attributes, entries: 1 };
        self.search(search, rights, deadline).await
    }

    async fn search(
        &self,
        search: Search<'_>,
        rights: Rights<'_>,
        deadline: Instant,
    ) -> Result<Vec<Entry>, Unavailable> {
        let (scope, wanted, base) = (search.scope, search.entries, search.base);
        let answer = self.pool.ask(&Task::Search(search, rights), deadline).await?;
        let Answer::Found(found) = answer else { return Err(Unavailable) };
        match found.outcome.code {
            0 => Ok(found.entries),
            // sizeLimitExceeded: more than one is all that need be known, unless all were wanted.
            4 if wanted == 2 && found.entries.len() == 2 => Ok(found.entries),
            // noSuchObject, invalidDNSyntax: of an entry, that is the answer. Of a base, it is a mistake.
            32 | 34 if scope == Scope::Base => Ok(Vec::new()),
            _ => {
                let why = format!("a search below {:?} ends with {}", base, pool::told(&found.outcome));
                self.teller.tell(Happening::Unanswered(why));
                Err(Unavailable)
            }
        }
    }
}

/// What is found of an account whose password a server has just taken.
fn after_bind(known: &Known) -> Finding {
    match known.standing {
        Standing::Good | Standing::Restrained => Finding::Account(known.account.clone()),
        Standing::Closed => Finding::No(No::Suspended),
    }
}

/// What is found of an account that something else vouches for.
fn without_bind(known: &Known) -> Finding {
    match known.standing {
        Standing::Good => Finding::Account(known.account.clone()),
        Standing::Restrained | Standing::Closed => Finding::No(No::Suspended),
    }
}

/// Whether somebody may be called that. Servers that end text at a NUL must not be shown one.
fn is_askable(name: &str) -> bool {
    !name.trim().is_empty() && name.len() <= NAME_OCTETS && !name.contains(char::is_control)
}

fn read_filter(key: &str, text: &str, place: u8) -> io::Result<Filter> {
    let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("{key}: {why}"));
    let filter = Filter::parse(text, place).map_err(wrong)?;
    if filter.has_place() {
        return Ok(filter);
    }
    Err(wrong(&format!("without %{} it finds the same entry for everybody", char::from(place))))
}

/// Whom the gateway binds as.
fn own(settings: &Settings) -> io::Result<Option<(Box<str>, Secret)>> {
    let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why);
    let (dn, file) = match (&settings.bind_dn, &settings.password_file) {
        (None, None) => return Ok(None),
        (Some(dn), Some(file)) if !dn.is_empty() => (dn, file),
        _ => return Err(wrong("bind_dn and password_file belong together")),
    };
    let octets = Secret::new(watched::read_secret(file, PASSWORD_OCTETS)?);
    let octets = octets.expose();
    let line = octets.strip_suffix(b"\n").unwrap_or(octets);
    let password = Secret::from(line.strip_suffix(b"\r").unwrap_or(line));
    if password.expose().is_empty() {
        return Err(wrong("the password file is empty: a bind without a password is a bind as nobody"));
    }
    Ok(Some((dn.clone(), password)))
}

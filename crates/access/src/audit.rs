//! The audit: who may submit and who may relay, what is wrong with that, and where a secret could be lost.

use crate::exposure::{self, Exposure};
use crate::filters::Filtered;
use crate::findings::{self, Finding, Severity};
use crate::rows::{self, Row, Words};
use crate::table::{Cell, Link, ServerTable, Table};
use crate::verdict::Verdict;
use crate::{Classes, DomainPattern, IdentityClass, Member};
use config::{Config, Role, Server};
use mail::{Identity, Timestamp};
use policy::{Allowed, Grant, Holders, Match, RuleBook, RuleId, Who};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Rules that are named one by one for a row.
pub(crate) const RULES: usize = 3;

/// What is known of the host that the settings are for, beside what they say themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The addresses of its default gateways: what comes from there may be anybody who was translated.
    pub gateways: Vec<IpAddr>,
}

/// A rule, as an administrator looks for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Its key.
    pub key: String,
    /// Its line; `None` for a default.
    pub line: Option<u32>,
}

impl Place {
    /// Where a rule stands.
    #[must_use]
    pub fn of(book: &RuleBook, rule: RuleId) -> Place {
        let place = book.place(rule);
        Place { key: place.key.to_owned(), line: place.line }
    }

    /// Where a key stands, whether or not any rule does.
    #[must_use]
    pub fn key(book: &RuleBook, key: &str) -> Place {
        Place { key: key.to_owned(), line: book.find(key).and_then(|rule| book.place(rule).line) }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{} (line {line})", self.key),
            None if self.key.starts_with("built-in") => f.write_str(&self.key),
            None => write!(f, "{} (default)", self.key),
        }
    }
}

/// Something that somebody may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Permission {
    /// Who, from where, over which link, as whom, to whom.
    #[serde(flatten)]
    pub words: Words,
    /// The rules that say so; those of a long list are the first few.
    pub rules: Vec<Place>,
    /// How many there are.
    pub rules_in_all: usize,
    /// A session that shows it, as a command line.
    pub witness: String,
}

/// One virtual server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServerAudit {
    /// Its name.
    pub name: String,
    /// What it is there for, if the settings say so.
    pub role: Option<String>,
    /// Where it listens.
    pub listen: Vec<String>,
    /// Who may send to recipients inside.
    pub submit: Vec<Permission>,
    /// Who may send to recipients outside.
    pub relay: Vec<Permission>,
    /// Whose mail is refused whoever sends it.
    pub filtered: Option<Filtered>,
}

/// Addresses that are lent, for all virtual servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loan {
    /// To whom.
    pub who: String,
    /// Which.
    pub addresses: Vec<String>,
    /// The last day on which they are lent, in UTC.
    pub until: Option<String>,
    /// Where it is said.
    pub rule: Place,
}

/// Everything an audit says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// What the settings are called.
    pub file: String,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
    /// Each virtual server.
    pub servers: Vec<ServerAudit>,
    /// Whose addresses are lent to whom.
    pub loans: Vec<Loan>,
    /// Where a secret could be read or guessed.
    pub exposure: Vec<Exposure>,
    /// How many classes of sessions were judged for this.
    pub cells: usize,
}

impl Audit {
    /// Audits the settings that are called `file`.
    #[must_use]
    pub fn of(file: &str, config: &Config, surroundings: &Surroundings, now: Timestamp) -> Audit {
        let classes = Classes::of(&[config], now);
        let table = Table::of(config, &classes);
        let auditor = Auditor { file, config, table: &table };
        Audit {
            file: file.to_owned(),
            findings: findings::of(&auditor, surroundings),
            servers: table.servers.iter().filter_map(|server| auditor.server(server)).collect(),
            loans: loans(config, now),
            exposure: exposure::of(config, &table),
            cells: table.cells().count(),
        }
    }

    /// The worst that was found.
    #[must_use]
    pub fn severity(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

/// What is audited.
pub(crate) struct Auditor<'a> {
    pub(crate) file: &'a str,
    pub(crate) config: &'a Config,
    pub(crate) table: &'a Table<'a>,
}

impl Auditor<'_> {
    fn server(&self, table: &ServerTable<'_>) -> Option<ServerAudit> {
        let server = self.config.server(table.name())?;
        Some(ServerAudit {
            name: server.name.to_string(),
            role: server.role.map(|role| role_name(role).to_owned()),
            listen: listeners(server),
            submit: self.permissions(server, table, false),
            relay: self.permissions(server, table, true),
            filtered: Filtered::of(&self.config.book, server, table),
        })
    }

    fn permissions(&self, server: &Server, table: &ServerTable<'_>, relay: bool) -> Vec<Permission> {
        let mut kinds: BTreeMap<Option<Grant>, Vec<[usize; 5]>> = BTreeMap::new();
        for cell in table.cells() {
            let by = match cell.verdict {
                Verdict::Submitted { .. } if !relay => None,
                Verdict::Relayed { by, .. } if relay => Some(by),
                _ => continue,
            };
            kinds.entry(by).or_default().push(Row::place_with_mark(&cell));
        }
        let mut out = Vec::new();
        for (by, cells) in kinds {
            out.extend(Row::of(cells).into_iter().map(|row| {
                let rules = rules_of(server, table, &row, by);
                let barred = row.barred(table.classes, table.cells());
                let words = row.words(table.classes, links(server), false, &barred);
                let witness = table.cells().find(|cell| row.contains(cell) && cell.verdict.is_taken());
                (
                    row,
                    Permission {
                        words,
                        rules_in_all: rules.len(),
                        rules: rules.into_iter().take(RULES).map(|rule| Place::of(&self.config.book, rule)).collect(),
                        witness: witness.map(|cell| cell.witness().command(self.file)).unwrap_or_default(),
                    },
                )
            }));
        }
        out.sort_by(|one, other| one.0.cmp_identity(&other.0));
        out.into_iter().map(|(_, permission)| permission).collect()
    }
}

/// What is lent now.
fn loans(config: &Config, now: Timestamp) -> Vec<Loan> {
    let grants = config.servers.first().map(|server| server.rules.send_as.grants.clone()).unwrap_or_default();
    let live = grants.iter().filter(|loan| !loan.term.is_over(now));
    live.map(|loan| Loan {
        who: rows::borrower(&loan.to),
        addresses: loan.addresses.iter().map(rows::lent).collect(),
        until: loan.term.last_day(),
        rule: Place::of(&config.book, loan.rule),
    })
    .collect()
}

/// Where a virtual server listens.
pub(crate) fn listeners(server: &Server) -> Vec<String> {
    let clear = server.listen.iter().map(ToString::to_string);
    let tls = server.listen_tls.iter().map(|address| format!("{address} (TLS)"));
    clear.chain(tls).collect()
}

/// How many links a virtual server has, so that what holds for all of them need not be said.
pub(crate) fn links(server: &Server) -> usize {
    Link::ALL.into_iter().filter(|link| link.offers(server).is_some()).count()
}

/// The role as the settings spell it.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Role::SmtpGateway => "smtp-gateway",
        Role::Mailbox => "mailbox",
        Role::FrontEnd => "front-end",
        Role::AllInOne => "all-in-one",
    }
}

/// The rules that give a row what it has: of a list, every live entry that means somebody of it.
pub(crate) fn rules_of(server: &Server, table: &ServerTable<'_>, row: &Row, by: Option<Grant>) -> Vec<RuleId> {
    let (rules, now) = (&server.rules, table.now());
    let rights = match by {
        None => Some(&rules.submit),
        Some(Grant::Right) => Some(&rules.relay.rights),
        Some(Grant::List) => {
            let addresses = row.addresses(table.classes);
            let live = rules.relay.list.entries().iter().filter(|entry| !entry.term.is_over(now));
            let means = |what: &Match| match what {
                Match::Net(net) => addresses.overlaps(*net),
                Match::Domain(_) => row.clients(table.classes).any(|client| client.names != crate::Names::Any),
            };
            let entries: Vec<RuleId> = live.filter(|entry| means(&entry.what)).map(|entry| entry.rule).collect();
            return if rules.relay.mode == policy::Mode::Only && !entries.is_empty() {
                entries
            } else {
                vec![rules.relay.mode_rule]
            };
        }
        Some(Grant::RemoteDomain) => {
            let remote = row.domains(table.classes).filter_map(|domain| match domain {
                DomainPattern::Is(domain) => rules.domains.remote.get(domain),
                DomainPattern::Below(suffix) => rules.domains.remote_below.get(suffix),
                DomainPattern::Elsewhere => None,
            });
            return remote.map(|remote| remote.allow_relay_rule).collect();
        }
        Some(Grant::Authenticated | Grant::Peer) => None,
    };
    if let Some(Allowed::Only(holders)) = rights.map(|rights| &rights.allow)
        && row.identities(table.classes).all(|class| matches!(class.identity, Identity::Account(_)))
    {
        return holders_of(holders, row.identities(table.classes), now);
    }
    let cells = table.cells().filter(|cell| row.contains(cell) && cell.verdict.is_taken());
    let rule = |cell: Cell<'_>| if by.is_some() { cell.rule } else { cell.submits_by };
    let all: BTreeSet<RuleId> = cells.filter_map(rule).collect();
    all.into_iter().collect()
}

/// The live entries that mean one of these classes.
fn holders_of<'c>(holders: &Holders, classes: impl Iterator<Item = &'c IdentityClass>, now: Timestamp) -> Vec<RuleId> {
    let mut names: BTreeSet<Who> = BTreeSet::new();
    for class in classes {
        names.extend(class.alike.iter().filter_map(|member| match member {
            Member::Is(who) => Some(who.clone()),
            Member::Unlisted => None,
        }));
        if let Identity::Account(account) = &class.identity {
            names.insert(Who::Account(account.name.to_lowercase().into()));
            names.extend(account.groups.iter().map(|group| Who::Group(group.to_lowercase().into())));
        }
    }
    let lower = |who: &Who| match who {
        Who::Account(name) => Who::Account(name.to_lowercase().into()),
        Who::Group(name) => Who::Group(name.to_lowercase().into()),
    };
    let live = holders.entries().iter().filter(|entry| !entry.term.is_over(now));
    live.filter(|entry| names.contains(&lower(&entry.who))).map(|entry| entry.rule).collect()
}

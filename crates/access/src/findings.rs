//! What is wrong with what somebody may do: each finding with an identifier that stays, what it is, why it
//! matters, and the nearest edit that mends it.

mod exceptions;
mod relay_list;
mod roles;

use crate::audit::{Auditor, Place, Surroundings};
use crate::exposure;
use crate::proving::provable;
use crate::rows;
use crate::senders::SenderClass;
use crate::table::{Cell, ServerTable};
use config::{Role, Server};
use mail::{AddressSet, Identity};
use policy::{Grant, Mode};
use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Notice,
    /// Somebody may more than he should, sooner or later.
    Warning,
    /// Strangers can do harm now, or mail cannot flow.
    Critical,
}

impl Severity {
    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::Notice => "notice",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is called, for as long as it is there: `open-relay:inbound`.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// What, in a sentence.
    pub what: String,
    /// Why it matters.
    pub why: String,
    /// The nearest edit that mends it.
    pub mend: String,
    /// Where it is said.
    pub rule: Place,
    /// A session that shows it, where one does.
    pub witness: Option<String>,
}

/// Everything that is wrong, the worst first.
pub(crate) fn of(auditor: &Auditor<'_>, surroundings: &Surroundings) -> Vec<Finding> {
    let mut found = Vec::new();
    for server in &auditor.config.servers {
        if let Some(table) = auditor.table.server(&server.name) {
            let view = View { auditor, server, table, reach: exposure::reach(auditor.table, server) };
            view.findings(surroundings, &mut found);
            found.extend(roles::of(&view));
        }
    }
    found.extend(split_metrics(auditor));
    found.extend(peers(auditor));
    found.extend(exceptions::of(auditor));
    found.sort_by(|one, other| other.severity.cmp(&one.severity).then_with(|| one.id.cmp(&other.id)));
    found
}

/// One virtual server, looked at.
struct View<'a> {
    auditor: &'a Auditor<'a>,
    server: &'a Server,
    table: &'a ServerTable<'a>,
    /// Who is let in.
    reach: AddressSet,
}

impl View<'_> {
    fn findings(&self, surroundings: &Surroundings, found: &mut Vec<Finding>) {
        found.extend(self.open_relay());
        found.extend(self.unsafe_mode());
        found.extend(self.auth_in_clear());
        found.extend(self.auth_exposed());
        found.extend(self.relay_for_authenticated());
        found.extend(self.shared());
        found.extend(self.anonymous_inside());
        found.extend(self.nobody_can_talk());
        found.extend(self.outside_senders());
        found.extend(self.covered(surroundings));
        found.extend(self.devices_shut_out());
    }

    fn key(&self, key: &str) -> String {
        format!("virtual_server.{}.{key}", self.server.name)
    }

    fn finding(&self, id: &str, severity: Severity, key: &str, [what, why, mend]: [String; 3]) -> Finding {
        Finding {
            id: format!("{id}:{}", self.server.name),
            severity,
            what,
            why,
            mend,
            rule: Place::key(&self.auditor.config.book, &self.key(key)),
            witness: None,
        }
    }

    fn witness(&self, cell: &Cell<'_>) -> Option<String> {
        Some(cell.witness().command(self.auditor.file))
    }

    /// Who may send without authenticating.
    fn anonymous(&self) -> AddressSet {
        let taken = self
            .table
            .cells()
            .filter(|cell| matches!(cell.identity.identity, Identity::Anonymous) && cell.verdict.is_taken());
        let mut all = AddressSet::default();
        for cell in taken {
            if !all.contains(cell.client.representative) {
                all = all.union(&cell.client.addresses);
            }
        }
        all
    }

    /// Whether it takes mail from strangers who prove nothing.
    fn takes_from_strangers(&self) -> bool {
        self.anonymous().intersection(&AddressSet::public()).is_many()
    }

    /// Whether an account may send mail here, and whether it may relay by being one.
    fn accounts(&self) -> (bool, bool) {
        let of_accounts = || {
            let account = |cell: &Cell<'_>| matches!(cell.identity.identity, Identity::Account(_));
            self.table.cells().filter(account)
        };
        (
            of_accounts().any(|cell| cell.verdict.is_taken()),
            of_accounts().any(|cell| {
                matches!(cell.verdict, crate::Verdict::Relayed { by: Grant::Authenticated | Grant::Right, .. })
            }),
        )
    }

    fn unsafe_mode(&self) -> Option<Finding> {
        (self.server.rules.relay.mode == Mode::AllExcept).then(|| {
            self.finding(
                "unsafe-mode",
                Severity::Warning,
                "relay.mode",
                [
                    format!("{} lets every client relay that is not listed.", self.server.name),
                    "One change of connection control or authentication makes it an open relay.".to_owned(),
                    format!("Write {} = \"only\", and list those who may.", self.key("relay.mode")),
                ],
            )
        })
    }

    fn auth_in_clear(&self) -> Option<Finding> {
        let mechanisms = &self.server.authentication.mechanisms;
        let clear: Vec<String> = mechanisms
            .iter()
            .filter(|mechanism| {
                mechanism.shows_its_secret() && exposure::offered_in_the_clear(self.server, **mechanism)
            })
            .map(ToString::to_string)
            .collect();
        if clear.is_empty() {
            return None;
        }
        Some(self.finding(
            "auth-in-clear",
            Severity::Critical,
            "authentication.in_the_clear",
            [
                format!("{} offers {} without TLS.", self.server.name, rows::said(&clear, "and")),
                "Whoever listens on the way reads passwords, and can use them everywhere.".to_owned(),
                format!("Remove {}.", self.key("authentication.in_the_clear")),
            ],
        ))
    }

    /// A gateway of the roles has integrated authentication for its peers, and no account may anything.
    fn is_locked_down(&self) -> bool {
        let expected = matches!(self.server.role, Some(Role::SmtpGateway | Role::AllInOne));
        let shows = self.server.authentication.mechanisms.iter().any(|mechanism| mechanism.shows_its_secret());
        expected && !self.accounts().0 && !shows
    }

    fn auth_exposed(&self) -> Option<Finding> {
        let strangers = self.reach.intersection(&AddressSet::public()).is_many();
        let exposed = strangers && self.takes_from_strangers() && self.server.session.has_auth();
        if !exposed || self.is_locked_down() {
            return None;
        }
        Some(self.finding(
            "auth-exposed",
            Severity::Warning,
            "authentication.mechanisms",
            [
                format!("{} takes mail from the Internet and lets the Internet try passwords, too.", self.server.name),
                "Every password of the organization can be guessed at from anywhere.".to_owned(),
                format!(
                    "Give accounts a virtual server of their own, and write {} = [].",
                    self.key("authentication.mechanisms")
                ),
            ],
        ))
    }

    fn relay_for_authenticated(&self) -> Option<Finding> {
        let offered = self.server.session.has_auth() && self.server.rules.relay.authenticated;
        (offered && self.takes_from_strangers()).then(|| {
            self.finding(
                "relay-for-authenticated",
                Severity::Warning,
                "relay.authenticated",
                [
                    format!("Every account that may submit may relay through {}, from anywhere.", self.server.name),
                    "One guessed password is enough to send spam to the world.".to_owned(),
                    format!(
                        "Write {} = false, and name those who may in {}.",
                        self.key("relay.authenticated"),
                        self.key("relay.allow")
                    ),
                ],
            )
        })
    }

    fn shared(&self) -> Option<Finding> {
        (self.takes_from_strangers() && self.accounts().1).then(|| {
            self.finding(
                "shared-in-out",
                Severity::Warning,
                "listen",
                [
                    format!(
                        "{} is both: the way in from the Internet, and the way out for accounts.",
                        self.server.name
                    ),
                    "What protects one cannot be switched on without the other; a mistake in one opens both."
                        .to_owned(),
                    "Make two virtual servers: one for the Internet without authentication, one for accounts alone."
                        .to_owned(),
                ],
            )
        })
    }

    fn anonymous_inside(&self) -> Option<Finding> {
        let private = AddressSet::public().complement();
        let open = self.anonymous().intersection(&private).is_many();
        (open && self.takes_from_strangers() && self.accounts().0).then(|| {
            self.finding("anonymous-inside", Severity::Warning, "authentication.anonymous", [
                format!("Hosts inside may send through {} without authenticating.", self.server.name),
                "A program on any desk can send as anybody, and nobody will know from where.".to_owned(),
                format!(
                    "Give hosts inside a virtual server with authentication.anonymous = false, and shut them out of {}.",
                    self.server.name
                ),
            ])
        })
    }

    /// H11: nobody anonymous may send, and nobody can be anything else.
    fn nobody_can_talk(&self) -> Option<Finding> {
        let rules = &self.server.rules;
        // A front-end that needs no SMTP has no authentication either (reference 9.1).
        let meant = self.server.role == Some(Role::FrontEnd);
        (!rules.authentication.anonymous && !self.server.session.has_auth() && !meant).then(|| {
            self.finding(
                "nobody-can-talk",
                Severity::Critical,
                "authentication.mechanisms",
                [
                    format!(
                        "Nobody can send mail to {}: it takes none from the anonymous, and offers no way to be \
                         anybody else.",
                        self.server.name
                    ),
                    "Servers of the organization cannot talk to it.".to_owned(),
                    format!("Name a mechanism in {}.", self.key("authentication.mechanisms")),
                ],
            )
        })
    }

    fn outside_senders(&self) -> Option<Finding> {
        let outside = |cell: &Cell<'_>| {
            matches!(cell.identity.identity, Identity::Account(_))
                && cell.sender == SenderClass::Outside
                && cell.verdict.is_taken()
                && !cell.verdict.marked()
        };
        let cell = self.table.cells().find(outside)?;
        let mut finding = self.finding(
            "outside-senders",
            Severity::Notice,
            "send_as.outside",
            [
                format!("Accounts may send through {} with addresses outside the organization.", self.server.name),
                "Mail with somebody else's address leaves under our name.".to_owned(),
                format!("Write {} = \"refuse\".", self.key("send_as.outside")),
            ],
        );
        finding.witness = self.witness(&cell);
        Some(finding)
    }
}

/// One virtual server for everything has one set of counters for everything.
fn split_metrics(auditor: &Auditor<'_>) -> Option<Finding> {
    let [server] = auditor.config.servers.as_slice() else { return None };
    let table = auditor.table.server(&server.name)?;
    let view = View { auditor, server, table, reach: AddressSet::default() };
    (view.takes_from_strangers() && view.accounts().1).then(|| {
        view.finding(
            "no-split-metrics",
            Severity::Notice,
            "listen",
            [
                format!("{} counts mail from outside and mail from inside together.", server.name),
                "What comes in and what goes out can only be told apart by reading the log.".to_owned(),
                "Make two virtual servers; each has counters of its own.".to_owned(),
            ],
        )
    })
}

/// Servers of the organization that cannot prove who they are anywhere.
fn peers(auditor: &Auditor<'_>) -> Vec<Finding> {
    let config = auditor.config;
    let cannot = |peer: &&identity::Peer| {
        !config.servers.iter().any(|server| {
            let known = !server.authentication.directories.is_empty();
            crate::Link::ALL.iter().filter_map(|link| link.offers(server)).any(|offered| provable(peer, offered, known))
        })
    };
    let finding = |peer: &identity::Peer| Finding {
        id: format!("peer-cannot-talk:{}", peer.name),
        severity: Severity::Critical,
        what: format!("Peer {} cannot prove who it is at any virtual server.", peer.name),
        why: "Servers of the organization cannot talk: it will be treated as anybody.".to_owned(),
        mend:
            "Name a mechanism that it can use in authentication.mechanisms of the virtual server that it connects to."
                .to_owned(),
        rule: Place::key(&config.book, &format!("peer.{}", peer.name)),
        witness: None,
    };
    config.peers.iter().filter(cannot).map(finding).collect()
}

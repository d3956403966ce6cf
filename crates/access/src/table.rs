//! The table: for every class of session, what the server would answer, and by which rule.
//!
//! A cell is one combination of link, client, identity, sender and recipient. The answers are not stored
//! cell by cell, because they do not depend on everything at once: the one to a sender not on the
//! recipient, nor that to a recipient on the sender. What is stored is each question's answers, and cells
//! are put together while they are read.

use crate::answers;
use crate::classes::{Classes, ServerClasses};
use crate::clients::{ClientClass, arrival, granted};
use crate::identities::IdentityClass;
use crate::proving::can_be;
use crate::recipients::RecipientClass;
use crate::senders::{SenderClass, User};
use crate::verdict::{Asked, Verdict, Why};
use crate::witness::Witness;
use config::{Config, Server};
use mail::{Author, Found, Identity, Ledger, Query, ReversePath, Timestamp};
use policy::{
    AddressPlace, Admission, Decision, Finding, Grant, MessageFacts, Missing, RecipientFacts, RuleId, Rules,
    SenderFacts, Step, Trace,
};
use std::fmt;

/// Whether the link is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// In the clear.
    Clear,
    /// By TLS.
    Tls,
}

impl Link {
    /// Both.
    pub const ALL: [Link; 2] = [Link::Clear, Link::Tls];

    /// Whether clients of this virtual server can have it, and what mechanisms they are offered then.
    #[must_use]
    pub fn offers(self, server: &Server) -> Option<&[Box<str>]> {
        match self {
            Link::Clear if server.listen.is_empty() => None,
            Link::Clear if server.session.tls_required => Some(&[]),
            Link::Clear => Some(&server.session.mechanisms),
            Link::Tls => server.tls.as_ref().map(|_| &*server.session.mechanisms_when_secured),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Link::Clear => "in the clear",
            Link::Tls => "over TLS",
        })
    }
}

/// An answer to one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Judged<V> {
    /// What was granted, or the refusal.
    pub verdict: Result<V, Verdict>,
    /// The rule responsible.
    pub rule: RuleId,
}

/// One virtual server of the table.
#[derive(Clone, Debug)]
pub struct ServerTable<'c> {
    /// Its classes.
    pub classes: &'c ServerClasses,
    now: Timestamp,
    /// Its links, and for each which identities can be proved by which clients.
    links: Vec<(Link, bool, Vec<bool>)>,
    /// By client.
    connection: Vec<Judged<bool>>,
    /// By client and identity.
    sessions: Vec<Session>,
}

/// What is answered to one identity at one kind of client.
#[derive(Clone, Debug)]
struct Session {
    /// By class of sender; `None` where there is no such address.
    senders: Vec<Option<(ReversePath, Judged<bool>)>>,
    /// By class of recipient.
    recipients: Vec<Judged<Option<Grant>>>,
    /// By place and by class of sender, but for the null reverse-path, which stands in no header.
    header: Vec<HeaderAnswer>,
}

#[derive(Clone, Debug)]
struct HeaderAnswer {
    place: AddressPlace,
    sender: SenderClass,
    author: ReversePath,
    judged: Judged<bool>,
}

/// What every class of session comes to, in one configuration.
#[derive(Clone, Debug)]
pub struct Table<'c> {
    /// When.
    pub now: Timestamp,
    /// Its virtual servers.
    pub servers: Vec<ServerTable<'c>>,
}

/// One class of session, and what it comes to.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'t> {
    /// The virtual server.
    pub server: &'t str,
    /// Who connects.
    pub client: &'t ClientClass,
    /// How.
    pub link: Link,
    /// Whom it has proved to be.
    pub identity: &'t IdentityClass,
    /// Whose address it uses.
    pub sender: SenderClass,
    /// Such an address.
    pub reverse_path: &'t ReversePath,
    /// Whom it writes to.
    pub recipient: &'t RecipientClass,
    /// What it comes to.
    pub verdict: Verdict,
    /// What decided.
    pub asked: Asked,
    /// The rule responsible; `None` for what is decided before any rule is asked.
    pub rule: Option<RuleId>,
    /// The rule that lets it submit at all, where one does.
    pub submits_by: Option<RuleId>,
    /// The places of its classes, for whoever compares two tables.
    pub place: [usize; 4],
}

impl Cell<'_> {
    /// A session of this class, as a command line that explains it.
    #[must_use]
    pub fn witness(&self) -> Witness {
        Witness::of(self)
    }
}

/// What an address in the header of a message comes to.
#[derive(Clone, Copy, Debug)]
pub struct HeaderCell<'t> {
    /// The virtual server.
    pub server: &'t str,
    /// Who connects.
    pub client: &'t ClientClass,
    /// Whom it has proved to be.
    pub identity: &'t IdentityClass,
    /// Where the address stands.
    pub place: AddressPlace,
    /// Whose it is.
    pub sender: SenderClass,
    /// Such an address.
    pub author: &'t ReversePath,
    /// Taken and whether it is marked, or the refusal.
    pub verdict: Result<bool, Verdict>,
    /// The rule responsible.
    pub rule: RuleId,
    /// The places of its client and its identity, for whoever compares two tables.
    pub places: [usize; 2],
}

impl<'c> Table<'c> {
    /// The table of `config` over classes that it is one of the configurations of.
    #[must_use]
    pub fn of(config: &Config, classes: &'c Classes) -> Table<'c> {
        let servers = classes.servers.iter().filter_map(|own| {
            let server = config.server(&own.server)?;
            Some(Asking { config, server, classes, own }.table())
        });
        Table { now: classes.now, servers: servers.collect() }
    }

    /// One virtual server.
    #[must_use]
    pub fn server(&self, name: &str) -> Option<&ServerTable<'c>> {
        self.servers.iter().find(|server| *server.classes.server == *name)
    }

    /// Every cell of every virtual server.
    pub fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        self.servers.iter().flat_map(ServerTable::cells)
    }
}

impl ServerTable<'_> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.classes.server
    }

    /// When.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Every cell. Sessions that cannot be are left out: links the virtual server does not have, identities
    /// that cannot be proved there, addresses that nobody has.
    pub fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        let identities = self.classes.identities.len();
        let sessions = self.links.iter().flat_map(move |(link, closed, possible)| {
            let could = (0..self.sessions.len()).filter(move |at| possible[*at]);
            could.map(move |at| (*link, *closed, at / identities, at % identities))
        });
        sessions.flat_map(move |(link, closed, client, identity)| self.session(link, closed, client, identity))
    }

    /// The cell of these classes, which are of this table; `None` when there are no such sessions.
    #[must_use]
    pub fn cell(
        &self,
        link: Link,
        (client, identity): (&ClientClass, &IdentityClass),
        sender: SenderClass,
        recipient: &RecipientClass,
    ) -> Option<Cell<'_>> {
        let client = self.classes.clients.iter().position(|class| std::ptr::eq(class, client))?;
        let identity = self.classes.identities.iter().position(|class| std::ptr::eq(class, identity))?;
        let at = client * self.classes.identities.len() + identity;
        let (link, closed, _) = self.links.iter().find(|(known, _, possible)| *known == link && possible[at])?;
        let mut cells = self.session(*link, *closed, client, identity);
        cells.find(|cell| cell.sender == sender && std::ptr::eq(cell.recipient, recipient))
    }

    /// Who is let in: by class of client, whether it must authenticate.
    pub fn connections(&self) -> impl Iterator<Item = (&ClientClass, Judged<bool>)> {
        self.classes.clients.iter().zip(self.connection.iter().copied())
    }

    /// What addresses in headers come to, of whoever may submit.
    pub fn headers(&self) -> impl Iterator<Item = HeaderCell<'_>> {
        let identities = self.classes.identities.len();
        let possible = move |at: usize| self.links.iter().any(|(_, closed, possible)| !closed && possible[at]);
        let admitted = move |at: usize| self.connection[at / identities].verdict.is_ok();
        let submits = |session: &Session| session.senders.iter().flatten().any(|(_, judged)| judged.verdict.is_ok());
        let sessions = self.sessions.iter().enumerate();
        let sessions = sessions.filter(move |(at, session)| possible(*at) && admitted(*at) && submits(session));
        sessions.flat_map(move |(at, session)| {
            session.header.iter().map(move |answer| HeaderCell {
                server: self.name(),
                client: &self.classes.clients[at / identities],
                identity: &self.classes.identities[at % identities],
                place: answer.place,
                sender: answer.sender,
                author: &answer.author,
                verdict: answer.judged.verdict,
                rule: answer.judged.rule,
                places: [at / identities, at % identities],
            })
        })
    }

    /// Whether there are sessions here like that of a cell of another table over the same classes, but none of them has
    /// an address of the cell's class of sender.
    pub(crate) fn lacks_only_sender(&self, cell: &Cell<'_>) -> bool {
        let [client, identity, sender, _] = cell.place;
        let at = client * self.classes.identities.len() + identity;
        let exists = self.links.iter().any(|(link, _, possible)| *link == cell.link && possible[at]);
        exists && self.sessions[at].senders[sender].is_none()
    }

    fn session(&self, link: Link, closed: bool, client: usize, identity: usize) -> impl Iterator<Item = Cell<'_>> {
        let classes = self.classes;
        let session = &self.sessions[client * classes.identities.len() + identity];
        let connection = self.connection[client];
        let senders = SenderClass::ALL.into_iter().enumerate();
        let senders = senders.filter_map(|(at, class)| Some((at, class, session.senders[at].as_ref()?)));
        senders.flat_map(move |(sender_at, sender, (reverse_path, mail))| {
            classes.recipients.iter().zip(&session.recipients).enumerate().map(move |(at, (recipient, rcpt))| {
                let (asked, verdict, rule) = verdict(connection, closed, *mail, *rcpt);
                Cell {
                    server: &classes.server,
                    client: &classes.clients[client],
                    link,
                    identity: &classes.identities[identity],
                    sender,
                    reverse_path,
                    recipient,
                    verdict,
                    asked,
                    rule,
                    submits_by: mail.verdict.is_ok().then_some(mail.rule),
                    place: [client, identity, sender_at, at],
                }
            })
        })
    }
}

/// What the answers to the questions of a session come to: the first refusal, or how the recipient is accepted.
fn verdict(
    connection: Judged<bool>,
    closed: bool,
    mail: Judged<bool>,
    rcpt: Judged<Option<Grant>>,
) -> (Asked, Verdict, Option<RuleId>) {
    if let Err(verdict) = connection.verdict {
        return (Asked::Connection, verdict, Some(connection.rule));
    }
    if closed {
        return (Asked::Link, Verdict::Refused(Why::TlsRequired), None);
    }
    let marked = match mail.verdict {
        Ok(marked) => marked,
        Err(verdict) => return (Asked::Sender, verdict, Some(mail.rule)),
    };
    let verdict = match rcpt.verdict {
        Ok(None) => Verdict::Submitted { marked },
        Ok(Some(by)) => Verdict::Relayed { by, marked },
        Err(verdict) => verdict,
    };
    (Asked::Recipient, verdict, Some(rcpt.rule))
}

/// Asks the questions of one virtual server about its classes.
struct Asking<'a, 'c> {
    config: &'a Config,
    server: &'a Server,
    classes: &'c Classes,
    own: &'c ServerClasses,
}

impl<'c> Asking<'_, 'c> {
    fn table(&self) -> ServerTable<'c> {
        let admissions: Vec<(Judged<bool>, Option<Admission>)> =
            self.own.clients.iter().map(|client| self.connection(client)).collect();
        let mut sessions = Vec::with_capacity(admissions.len() * self.own.identities.len());
        for (client, (_, admission)) in self.own.clients.iter().zip(&admissions) {
            // Who is turned away says nothing; what it would be told is that of one who was let in.
            let admission = admission.unwrap_or(Admission::Admitted);
            sessions
                .extend(self.own.identities.iter().map(|identity| self.session(client, admission, &identity.identity)));
        }
        ServerTable {
            classes: self.own,
            now: self.classes.now,
            links: self.links(),
            connection: admissions.into_iter().map(|(judged, _)| judged).collect(),
            sessions,
        }
    }

    fn rules(&self) -> &Rules {
        &self.server.rules
    }

    fn links(&self) -> Vec<(Link, bool, Vec<bool>)> {
        let links = Link::ALL.into_iter().filter(|link| link.offers(self.server).is_some());
        links
            .map(|link| {
                let closed = answers::is_closed(self.server, link);
                let sessions = self.own.clients.iter().flat_map(|client| {
                    let at = (client.representative, link);
                    let can_be = move |class: &IdentityClass| can_be(self.config, self.server, &class.identity, at);
                    self.own.identities.iter().map(can_be)
                });
                (link, closed, sessions.collect())
            })
            .collect()
    }

    fn connection(&self, client: &ClientClass) -> (Judged<bool>, Option<Admission>) {
        let facts = arrival(client.representative, self.classes.now);
        let decision = judge(client, &Found::Absent, |ledger| policy::connection(self.rules(), &facts, ledger));
        let admission = decision.verdict.as_ref().ok().copied();
        (judged(&decision, |admission| *admission == Admission::MustAuthenticate, responsible(&decision)), admission)
    }

    fn session(&self, client: &ClientClass, admission: Admission, identity: &Identity) -> Session {
        let filter = self.rules().senders_filtered_for(identity);
        let user = |filter| User {
            rules: self.rules(),
            client,
            identity,
            filter,
            outside: &self.classes.outside,
            now: self.classes.now,
        };
        let senders: Vec<Option<(ReversePath, Judged<bool>)>> = SenderClass::ALL
            .into_iter()
            .map(|class| {
                let reverse_path = user(filter).representative(class)?;
                let judged = self.sender(client, admission, identity, &reverse_path);
                Some((reverse_path, judged))
            })
            .collect();
        let recipients =
            self.own.recipients.iter().map(|recipient| self.recipient(client, identity, recipient)).collect();
        let mut header = Vec::new();
        // The sender filter does not look at headers.
        for sender in SenderClass::ALL {
            let Some(ReversePath::Mailbox(author)) = user(None).representative(sender) else { continue };
            for place in [AddressPlace::From, AddressPlace::Sender, AddressPlace::ResentFrom] {
                let judged = self.header(client, identity, place, &Author::Mailbox(author.clone()));
                header.push(HeaderAnswer { place, sender, author: ReversePath::Mailbox(author.clone()), judged });
            }
        }
        Session { senders, recipients, header }
    }

    fn sender(
        &self,
        client: &ClientClass,
        admission: Admission,
        identity: &Identity,
        path: &ReversePath,
    ) -> Judged<bool> {
        let facts = SenderFacts {
            client: client.representative,
            now: self.classes.now,
            admission,
            identity,
            secured: true,
            reverse_path: path,
        };
        let decision = judge(client, &Found::Absent, |ledger| policy::sender(self.rules(), &facts, ledger));
        // Whose the address is comes behind who may submit; a grant rests on the latter.
        let rule =
            if decision.verdict.is_ok() { permission(self.rules(), &decision.trace) } else { last(&decision.trace) };
        judged(&decision, |submission| submission.marked, rule)
    }

    fn recipient(&self, client: &ClientClass, identity: &Identity, class: &RecipientClass) -> Judged<Option<Grant>> {
        let facts = RecipientFacts {
            client: client.representative,
            now: self.classes.now,
            identity,
            recipient: &class.recipient,
        };
        let decision = judge(client, &class.found, |ledger| policy::recipient(self.rules(), &facts, ledger));
        judged(&decision, granted, responsible(&decision))
    }

    fn header(&self, client: &ClientClass, identity: &Identity, place: AddressPlace, author: &Author) -> Judged<bool> {
        let authors = answers::authors(place, author.clone());
        let facts =
            MessageFacts { client: client.representative, now: self.classes.now, identity, authors: &authors, hops: 0 };
        let decision = judge(client, &Found::Absent, |ledger| policy::message(self.rules(), &facts, ledger));
        judged(&decision, |taken| !taken.marks.is_empty(), last(&decision.trace))
    }
}

/// Asks until nothing is missing; what look-ups find is what the classes say.
fn judge<V>(
    client: &ClientClass,
    recipient: &Found,
    ask: impl Fn(&Ledger) -> Result<Decision<V>, Missing>,
) -> Decision<V> {
    let mut ledger = Ledger::new();
    loop {
        match ask(&ledger) {
            Ok(decision) => return decision,
            Err(Missing(query)) => {
                let found = match &query {
                    Query::ConfirmedNames(_) => client.names.found(),
                    Query::Recipient(_) => recipient.clone(),
                    Query::Addresses(_) => Found::Unavailable,
                };
                ledger.enter(query, found);
            }
        }
    }
}

fn judged<V, W>(decision: &Decision<V>, read: impl Fn(&V) -> W, rule: RuleId) -> Judged<W> {
    Judged { verdict: decision.verdict.as_ref().map(read).map_err(Verdict::refused), rule }
}

/// The rule responsible: the last step of a refusal, and the last that matched of a grant.
fn responsible<V>(decision: &Decision<V>) -> RuleId {
    let mut matched = decision.trace.steps().iter().rev().filter(|step| step.finding == Finding::Matched);
    let granted = decision.verdict.is_ok().then(|| matched.next()).flatten();
    granted.map_or_else(|| last(&decision.trace), |step| step.rule)
}

/// The rule of the last step.
fn last(trace: &Trace) -> RuleId {
    trace.steps().last().map_or(RuleId::PEER, |step| step.rule)
}

/// The rule that lets somebody submit: the last that matched and does not speak of addresses.
fn permission(rules: &Rules, trace: &Trace) -> RuleId {
    let send_as = &rules.send_as;
    let checks = [send_as.envelope, send_as.outside, send_as.null_sender, send_as.anonymous].map(|check| check.rule);
    let bypasses = |rule: RuleId| rules.peers.values().any(|peer| peer.bypass_filters_rule == rule);
    let of_address = |rule: RuleId| {
        rule == RuleId::OWN_ADDRESS
            || bypasses(rule)
            || checks.contains(&rule)
            || send_as.grants.iter().any(|loan| loan.rule == rule)
    };
    let matched = |step: &&Step| step.finding == Finding::Matched && !of_address(step.rule);
    trace.steps().iter().rev().find(matched).map_or_else(|| last(trace), |step| step.rule)
}

//! As whom somebody may send: whether an address belongs to who uses it.
//!
//! An account has the addresses that its directory says are its own, and those that grants lend it. Peers
//! forward for others and are not asked, unless the settings say so. Nobody anonymous has an address, so
//! for them there is one question only: does the mail claim to be from inside?
//!
//! Asked of the reverse-path at MAIL, and of From, Sender and Resent-From when the message is there; with
//! the same function, so that both are judged alike (conformance rows 17 and 19).

use crate::decision::Trace;
use crate::domains::Domains;
use crate::rights::{Named, Who};
use crate::rule_book::RuleId;
use crate::term::Term;
use mail::{Account, Author, Host, Identity, Mailbox, Net, ReversePath, Timestamp, canonical};
use smallvec::SmallVec;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

/// What becomes of mail that uses an address of somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is refused.
    Refuse,
    /// It is taken, and a header field says what was found.
    Mark,
    /// Nothing.
    Off,
}

/// One place where an address stands, and what becomes of somebody else's there.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Where it is said.
    pub rule: RuleId,
    /// What becomes of it.
    pub action: Action,
}

/// As whom clients of one virtual server may send.
#[derive(Clone, Debug)]
pub struct SendAs {
    /// The reverse-path of accounts.
    pub envelope: Check,
    /// From of accounts.
    pub from: Check,
    /// Sender of accounts.
    pub sender: Check,
    /// Resent-From of accounts.
    pub resent_from: Check,
    /// Addresses of accounts outside the organization, wherever they stand. It says less than the check of the place,
    /// never more.
    pub outside: Check,
    /// The null reverse-path of accounts.
    pub null_sender: Check,
    /// Addresses inside the organization in mail of clients that have not authenticated, wherever they stand.
    pub anonymous: Check,
    /// Whether `alice+shop@` belongs to whom `alice@` belongs.
    pub sub_addresses: bool,
    /// What is lent, for all virtual servers.
    pub grants: Arc<Loans>,
}

/// All that is lent, in the order written.
#[derive(Clone, Debug, Default)]
pub struct Loans {
    entries: Vec<Grant>,
    /// The places of those that lend to accounts and groups.
    named: Named,
    /// The places of all others.
    others: Vec<usize>,
}

/// Addresses lent to somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Where it stands.
    pub rule: RuleId,
    /// To whom.
    pub to: Borrower,
    /// Which.
    pub addresses: Box<[Addresses]>,
    /// How long, and on whose word.
    pub term: Term,
}

/// To whom addresses are lent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Borrower {
    /// An account or a group.
    Holder(Who),
    /// A peer.
    Peer(Box<str>),
    /// Clients by their address, which have not authenticated.
    Clients(Net),
}

/// Which addresses are lent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// One.
    One(Mailbox),
    /// All in a domain, or address literal.
    AllAt(Host),
}

/// Something about a message that whoever reads it should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The reverse-path.
    Envelope,
    /// The field From.
    From,
    /// The field Sender.
    Sender,
    /// The field Resent-From.
    ResentFrom,
}

/// Who uses an address, from where and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User<'a> {
    pub identity: &'a Identity,
    pub client: IpAddr,
    pub now: Timestamp,
    /// A peer that may send as anybody.
    pub trusted: bool,
}

impl SendAs {
    /// Everybody may send as anybody.
    #[must_use]
    pub fn anybody(rule: RuleId) -> SendAs {
        let off = Check { rule, action: Action::Off };
        SendAs {
            envelope: off,
            from: off,
            sender: off,
            resent_from: off,
            outside: off,
            null_sender: off,
            anonymous: off,
            sub_addresses: true,
            grants: Arc::default(),
        }
    }

    /// What becomes of mail with this reverse-path. The last step is what decided.
    pub(crate) fn envelope(&self, user: &User<'_>, path: &ReversePath, domains: &Domains, trace: &mut Trace) -> Action {
        match path {
            ReversePath::Mailbox(mailbox) => self.address(user, Place::Envelope, mailbox, domains, trace),
            ReversePath::Null if matches!(user.identity, Identity::Account(_)) => {
                trace.matched(self.null_sender.rule);
                self.null_sender.action
            }
            ReversePath::Null => Action::Off,
        }
    }

    /// What becomes of mail with this author in a field.
    pub(crate) fn author(
        &self,
        user: &User<'_>,
        place: Place,
        author: &Author,
        domains: &Domains,
        trace: &mut Trace,
    ) -> Action {
        match author {
            Author::Mailbox(mailbox) => self.address(user, place, mailbox, domains, trace),
            Author::Unreadable if user.trusted => Action::Off,
            // It may be anybody's: it is judged as the address of somebody else inside.
            Author::Unreadable => {
                let check = self.check(user, place);
                trace.matched(check.rule);
                check.action
            }
        }
    }

    fn address(
        &self,
        user: &User<'_>,
        place: Place,
        address: &Mailbox,
        domains: &Domains,
        trace: &mut Trace,
    ) -> Action {
        if user.trusted || self.check(user, place).action == Action::Off {
            return Action::Off;
        }
        if let Identity::Account(account) = user.identity {
            if self.owns(account, address, domains) {
                trace.matched(RuleId::OWN_ADDRESS);
                return Action::Off;
            }
            trace.no_match(RuleId::OWN_ADDRESS);
        }
        if self.lent(user, address, domains, trace) {
            return Action::Off;
        }
        let inside = address.domain().is_some_and(|domain| domains.local(domain).is_some());
        let check = self.check(user, place);
        match user.identity {
            Identity::Anonymous if !inside => {
                trace.no_match(check.rule);
                Action::Off
            }
            _ if inside => {
                trace.matched(check.rule);
                check.action
            }
            _ => {
                trace.matched(self.outside.rule);
                self.outside.action.min(check.action)
            }
        }
    }

    pub(crate) fn check(&self, user: &User<'_>, place: Place) -> Check {
        match (user.identity, place) {
            (Identity::Anonymous, _) => self.anonymous,
            (_, Place::Envelope) => self.envelope,
            (_, Place::From) => self.from,
            (_, Place::Sender) => self.sender,
            (_, Place::ResentFrom) => self.resent_from,
        }
    }

    /// Whether an address is an account's own, as its directory says. A name that is an address is one of its own.
    fn owns(&self, account: &Account, address: &Mailbox, domains: &Domains) -> bool {
        let meant = |own: &Mailbox| self.is_same(own, address, domains);
        account.addresses.iter().any(meant) || account.name.parse::<Mailbox>().is_ok_and(|own| meant(&own))
    }

    /// Whether a grant lends the address. Adds the step of the first that does, and of those before it that would have and are over.
    fn lent(&self, user: &User<'_>, address: &Mailbox, domains: &Domains, trace: &mut Trace) -> bool {
        for grant in self.grants.held_by(user.identity, user.client) {
            if !grant.addresses.iter().any(|lent| self.covers(lent, address, domains)) {
                continue;
            }
            if !grant.term.is_over(user.now) {
                trace.matched(grant.rule);
                return true;
            }
            trace.expired(grant.rule);
        }
        false
    }

    pub(crate) fn covers(&self, lent: &Addresses, address: &Mailbox, domains: &Domains) -> bool {
        match lent {
            Addresses::One(one) => self.is_same(one, address, domains),
            Addresses::AllAt(host) => *host == stamped(&address.host, domains),
        }
    }

    /// Whether mail to both would reach the same person: alias domains and case make no difference, and a
    /// sub-address only where the settings say so.
    fn is_same(&self, own: &Mailbox, used: &Mailbox, domains: &Domains) -> bool {
        if stamped(&own.host, domains) != stamped(&used.host, domains) {
            return false;
        }
        let (own, used) = (own.local.as_str(), used.local.as_str());
        own.eq_ignore_ascii_case(used)
            || (self.sub_addresses && used.split_once('+').is_some_and(|(base, _)| own.eq_ignore_ascii_case(base)))
    }
}

impl Loans {
    /// What is lent to who has proved this identity and comes from this address, in its order; also what is over.
    pub fn held_by(&self, identity: &Identity, client: IpAddr) -> impl Iterator<Item = &Grant> {
        let places: SmallVec<[usize; 8]> = match identity {
            Identity::Account(account) => self.named.places(account),
            _ => self.others.iter().copied().filter(|at| self.entries[*at].to.is(identity, client)).collect(),
        };
        places.into_iter().map(|at| &self.entries[at])
    }
}

impl From<Vec<Grant>> for Loans {
    fn from(entries: Vec<Grant>) -> Loans {
        let (mut named, mut others) = (Named::default(), Vec::new());
        for (at, grant) in entries.iter().enumerate() {
            match &grant.to {
                Borrower::Holder(who) => named.add(who, at),
                Borrower::Peer(_) | Borrower::Clients(_) => others.push(at),
            }
        }
        Loans { entries, named, others }
    }
}

impl Deref for Loans {
    type Target = [Grant];

    fn deref(&self) -> &[Grant] {
        &self.entries
    }
}

impl Borrower {
    /// Whether it means a client that has not authenticated as an account.
    fn is(&self, identity: &Identity, client: IpAddr) -> bool {
        match (self, identity) {
            (Borrower::Peer(name), Identity::Peer(peer)) => name == peer,
            (Borrower::Clients(net), Identity::Anonymous) => net.contains(canonical(client)),
            _ => false,
        }
    }
}

/// The host with an alias domain replaced by the domain it stands for.
pub(crate) fn stamped(host: &Host, domains: &Domains) -> Host {
    match host {
        Host::Domain(domain) => Host::Domain(domains.local(domain).map_or(domain, |(_, stamp)| stamp).clone()),
        Host::Literal(_) => host.clone(),
    }
}

impl Action {
    /// The milder of two.
    pub(crate) fn min(self, other: Action) -> Action {
        match (self, other) {
            (Action::Off, _) | (_, Action::Off) => Action::Off,
            (Action::Mark, _) | (_, Action::Mark) => Action::Mark,
            (Action::Refuse, Action::Refuse) => Action::Refuse,
        }
    }
}

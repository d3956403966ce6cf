//! How much those may send who may send: the answer to an account whose password is stolen.
//!
//! Counted are messages, recipients, different recipients and different refused recipients, over the last hour and the last
//! day, of each account and of each device, that is, each client that may send because of its address. A recipient may
//! be refused here, or by a next hop when its message has long been taken. As the counts approach a limit, answers come slowly; beyond it, messages are taken and held; well beyond it, or when
//! most recipients are refused, the sender is suspended until somebody resumes it. Beside that, whoever relays
//! because of its address is watched for greeting by many names or sending for many domains (`grants`).
//!
//! A value without clock, file or lock: time is handed in, and no jump of it counts anything for longer. What it
//! holds is bounded; what has been used least recently is forgotten first, and who is suspended never.
//!
//! A crate of its own, beside `identity`: who somebody is must not depend on how much they send, nor what a rule
//! of `policy` says on what was counted.

mod cause;
mod distinct;
mod grants;
mod limits;
mod saved;
mod sender;
mod window;

pub use cause::{Cause, Measure, Span, Stage};
pub use grants::Alarm;
pub use limits::{Amounts, Grants, Limits, Settings};
pub use saved::Damaged;

use grants::Relays;
use mail::Timestamp;
use sender::Sender;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// Whose sending is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// An account; its name in lower case.
    Account(Box<str>),
    /// A client that may send because of its address.
    Device(IpAddr),
}

impl Subject {
    /// The account of this name, however it is spelt.
    #[must_use]
    pub fn account(name: &str) -> Subject {
        Subject::Account(name.to_lowercase().into())
    }

    /// What an administrator means: an address, or else an account.
    #[must_use]
    pub fn meant(text: &str) -> Subject {
        text.parse().map_or_else(|_| Subject::account(text), Subject::Device)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Account(name) => f.write_str(name),
            Subject::Device(address) => address.fmt(f),
        }
    }
}

/// Somebody who sends.
#[derive(Clone, Copy, Debug)]
pub struct User<'a> {
    /// Who.
    pub subject: &'a Subject,
    /// The groups of an account.
    pub groups: &'a [Box<str>],
}

/// What to do with somebody who says MAIL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Go on.
    Open,
    /// Go on, and let each reply to MAIL and RCPT wait so long.
    Slow(Duration),
    /// Refuse it, until somebody resumes the sender.
    Suspended(Cause),
}

/// Somebody has reached a stage that it was not at before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Who.
    pub subject: Subject,
    /// Which stage.
    pub stage: Stage,
    /// Why.
    pub cause: Cause,
    /// Whether somebody should be told: not again on the same day.
    pub alert: bool,
}

/// What to do with a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// It is to be held, and this is why.
    pub held: Option<Cause>,
    /// What has become of its sender.
    pub news: Option<News>,
    /// Whether it was counted: who has no limits is not.
    pub counted: bool,
}

/// Where somebody stands, for an administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Who.
    pub subject: Subject,
    /// At which stage.
    pub stage: Stage,
    /// Since when it is suspended.
    pub since: Option<Timestamp>,
    /// What it is nearest to, or why it is suspended.
    pub cause: Option<Cause>,
}

/// Digests of recipients that are kept in all; 8 MiB of them.
const DIGESTS: usize = 1 << 20;
/// Callers may be late by as much without the clock having gone back.
const LATE: Duration = Duration::from_secs(1);

/// All that has been counted.
pub struct Bounds {
    settings: Settings,
    key: [u8; 16],
    senders: BTreeMap<Subject, Sender>,
    /// Digests that they keep together.
    digests: usize,
    relays: Relays,
    /// The latest moment that was handed in since the clock last went back.
    latest: Timestamp,
}

impl Bounds {
    /// Nobody has sent anything. `key` are octets that nobody can guess; recipients are kept as digests under it.
    #[must_use]
    pub fn new(settings: Settings, key: [u8; 16]) -> Bounds {
        let (senders, relays) = (BTreeMap::new(), Relays::default());
        Bounds { settings, key, senders, digests: 0, relays, latest: Timestamp::default() }
    }

    /// Goes by other settings from now on.
    pub fn reload(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Somebody has said MAIL.
    pub fn gate(&mut self, now: Timestamp, user: User<'_>) -> Gate {
        self.tick(now);
        let limits = self.settings.of(user);
        let Some(sender) = self.senders.get(user.subject) else { return Gate::Open };
        if let Some(cause) = sender.suspension() {
            return Gate::Suspended(cause);
        }
        match sender.stage(now, &limits, &self.settings) {
            Some((Stage::Open, _)) | None => Gate::Open,
            Some(_) => Gate::Slow(self.settings.delay),
        }
    }

    /// Somebody has sent a message that is otherwise taken. It counts, whatever becomes of it.
    pub fn message<'a>(&mut self, now: Timestamp, user: User<'_>, recipients: impl Iterator<Item = &'a str>) -> Judged {
        let key = self.key;
        let recipients: Vec<u32> = recipients.map(|address| digest(&key, address)).collect();
        self.count(now, user, |sender, most| sender.sends(now, &recipients, most))
    }

    /// A recipient that somebody has named was refused for good.
    pub fn refused(&mut self, now: Timestamp, user: User<'_>, recipient: &str) -> Option<News> {
        let recipient = digest(&self.key, recipient);
        self.count(now, user, |sender, _| sender.misses(now, recipient)).news
    }

    /// A next hop has refused a recipient for good, of a message that was counted and taken at that moment. It counts
    /// as refused when its message was taken: then it was named, and among so many others.
    pub fn refused_by_hop(
        &mut self,
        now: Timestamp,
        subject: &Subject,
        taken: Timestamp,
        recipient: &str,
    ) -> Option<News> {
        self.tick(now);
        // Of whom nothing is known any more, it is not known how many it has named.
        let limits = self.senders.get(subject)?.limits;
        self.make_room(subject, self.settings.digests_of(&limits) + sender::REFUSED);
        let recipient = digest(&self.key, recipient);
        let sender = self.senders.get_mut(subject)?;
        let before = sender.digests();
        sender.missed_by_hop(now, taken.min(now), recipient);
        let news = sender.judge_refused(now, subject, &self.settings);
        self.digests = self.digests + sender.digests() - before;
        news
    }

    /// Somebody relays because of its address, having greeted by this name, for this domain. What that shows, if it
    /// shows anything new.
    pub fn relays(&mut self, now: Timestamp, client: IpAddr, hello: &str, domain: Option<&str>) -> Option<Alarm> {
        self.tick(now);
        let (hello, domain) = (digest(&self.key, hello), domain.map(|domain| digest(&self.key, domain)));
        self.relays.see(now, client, (hello, domain), &self.settings)
    }

    /// The clients that may not relay because of their address until somebody resumes them.
    pub fn suspended_relays(&self) -> impl Iterator<Item = IpAddr> {
        self.relays.suspended()
    }

    /// Lets somebody send again, and forgets what led to it. `false` if there was nothing to forget.
    pub fn resume(&mut self, subject: &Subject) -> bool {
        let relayed = match subject {
            Subject::Device(client) => self.relays.resume(*client),
            Subject::Account(_) => false,
        };
        self.forget(subject) || relayed
    }

    /// Where everybody stands, in order.
    pub fn standings(&mut self, now: Timestamp) -> Vec<Standing> {
        self.tick(now);
        let of_senders = self.senders.iter().map(|(subject, sender)| {
            let (stage, nearest) = sender.stage(now, &sender.limits, &self.settings).unzip();
            let suspension = sender.suspension();
            let stage = if suspension.is_some() { Stage::Suspend } else { stage.unwrap_or(Stage::Open) };
            let cause = suspension.or(nearest);
            Standing { subject: subject.clone(), stage, since: sender.since(), cause }
        });
        let mut standings: Vec<Standing> = of_senders.chain(self.relays.standings()).collect();
        standings.sort_by(|a, b| (b.stage, &a.subject).cmp(&(a.stage, &b.subject)));
        standings
    }

    /// Counts something, and looks what that leads to.
    fn count(&mut self, now: Timestamp, user: User<'_>, count: impl FnOnce(&mut Sender, usize)) -> Judged {
        self.tick(now);
        let limits = self.settings.of(user);
        if limits.is_none() {
            return Judged::default();
        }
        let most = self.settings.digests_of(&limits);
        if !self.make_room(user.subject, most + sender::REFUSED) {
            return Judged { held: Some(Cause::TooManySuspended), ..Judged::default() };
        }
        let sender = self.senders.entry(user.subject.clone()).or_insert_with(|| Sender::new(now));
        let before = sender.digests();
        count(sender, most);
        sender.limits = limits;
        let judged = sender.judge(now, user.subject, &self.settings);
        self.digests = self.digests + sender.digests() - before;
        judged
    }

    /// Makes room for one sender with so many digests; `false` if all who could be forgotten are suspended.
    fn make_room(&mut self, subject: &Subject, digests: usize) -> bool {
        let known = self.senders.get(subject).map(Sender::digests);
        let new = digests.saturating_sub(known.unwrap_or(0));
        while (known.is_none() && self.senders.len() >= self.settings.remembered) || self.digests + new > DIGESTS {
            let others = self.senders.iter().filter(|(other, sender)| *other != subject && !sender.is_suspended());
            let Some(oldest) = others.min_by_key(|(_, sender)| sender.last()).map(|(other, _)| other.clone()) else {
                // The digests of one sender alone always fit.
                return known.is_some();
            };
            self.forget(&oldest);
        }
        true
    }

    fn forget(&mut self, subject: &Subject) -> bool {
        let forgotten = self.senders.remove(subject);
        self.digests -= forgotten.as_ref().map_or(0, Sender::digests);
        forgotten.is_some()
    }

    /// Notes what time it is. A clock that goes back takes everything back with it that it had said, so
    /// that nothing lasts until the same time comes round again.
    fn tick(&mut self, now: Timestamp) {
        if self.latest.since(now) > LATE {
            self.rebase(now);
        }
        self.latest = self.latest.max(now);
    }

    fn rebase(&mut self, now: Timestamp) {
        self.senders.values_mut().for_each(|sender| sender.rebase(now));
        self.relays.rebase(now);
        self.latest = now;
    }
}

impl fmt::Debug for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bounds({} senders, {} digests)", self.senders.len(), self.digests)
    }
}

/// What is kept of an address, a name or a domain, however it is spelt.
fn digest(key: &[u8; 16], text: &str) -> u32 {
    let digest = Sha256::new().chain_update(key).chain_update(text.to_lowercase()).finalize();
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

#[cfg(test)]
mod tests;

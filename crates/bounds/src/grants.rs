//! Those that relay because of their address, and whether one address is what it seems.
//!
//! A device greets by one name and sends for few domains. When many names or domains come from behind one address
//! that may relay, it is not one device: a proxy, a gateway, or a machine that somebody else commands.

use crate::cause::{Cause, Stage};
use crate::distinct::{self, Distinct};
use crate::{Settings, Standing, Subject};
use mail::Timestamp;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// How long nobody is told the same again.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An address that relays is not what it seems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// The address.
    pub client: IpAddr,
    /// What gave it away.
    pub cause: Cause,
    /// Whether it may relay no longer.
    pub suspended: bool,
}

/// One address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Relay {
    hello: Distinct,
    domains: Distinct,
    last: Timestamp,
    /// When somebody was last told.
    pub(crate) alarmed: Option<Timestamp>,
    /// Since when it may not relay, and why.
    pub(crate) suspended: Option<(Timestamp, Cause)>,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Relays(BTreeMap<IpAddr, Relay>);

impl Relays {
    /// One relays, with these digests of its name and of a sender's domain.
    pub(crate) fn see(
        &mut self,
        now: Timestamp,
        client: IpAddr,
        (hello, domain): (u32, Option<u32>),
        settings: &Settings,
    ) -> Option<Alarm> {
        let grants = settings.grants;
        if grants.hello_names.is_none() && grants.sender_domains.is_none() {
            return None;
        }
        self.make_room(client, settings.remembered);
        let relay = self.0.entry(client).or_default();
        relay.last = now;
        // One more than there may be is as many as must be told apart.
        let most = |limit: Option<u32>| limit.map_or(0, |limit| limit as usize + 1);
        relay.hello.see(now, hello, most(grants.hello_names));
        if let Some(domain) = domain {
            relay.domains.see(now, domain, most(grants.sender_domains));
        }
        let names = relay.hello.count(now, distinct::HOUR);
        let domains = relay.domains.count(now, distinct::HOUR);
        let cause = if grants.hello_names.is_some_and(|limit| names > limit) {
            Cause::HelloNames(names)
        } else if grants.sender_domains.is_some_and(|limit| domains > limit) {
            Cause::SenderDomains(domains)
        } else {
            return None;
        };
        relay.alarm(now, client, cause, grants.suspend)
    }

    pub(crate) fn suspended(&self) -> impl Iterator<Item = IpAddr> {
        self.0.iter().filter(|(_, relay)| relay.suspended.is_some()).map(|(client, _)| *client)
    }

    pub(crate) fn standings(&self) -> impl Iterator<Item = Standing> {
        self.0.iter().filter_map(|(client, relay)| {
            let (since, cause) = relay.suspended?;
            let subject = Subject::Device(*client);
            Some(Standing { subject, stage: Stage::Suspend, since: Some(since), cause: Some(cause) })
        })
    }

    /// Forgets one; `false` if there was nothing to forget.
    pub(crate) fn resume(&mut self, client: IpAddr) -> bool {
        self.0.remove(&client).is_some()
    }

    /// Those that somebody was told of, as they are saved.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&IpAddr, &Relay)> {
        self.0.iter().filter(|(_, relay)| relay.alarmed.is_some() || relay.suspended.is_some())
    }

    pub(crate) fn put(&mut self, client: IpAddr, relay: Relay) {
        self.0.insert(client, relay);
    }

    pub(crate) fn rebase(&mut self, now: Timestamp) {
        for relay in self.0.values_mut() {
            relay.hello.rebase(now);
            relay.domains.rebase(now);
            relay.last = relay.last.min(now);
            relay.alarmed = relay.alarmed.map(|alarmed| alarmed.min(now));
            relay.suspended = relay.suspended.map(|(since, cause)| (since.min(now), cause));
        }
    }

    /// Forgets the one that has relayed least recently, but never one that is suspended. Should all be, there is
    /// one more: each of them has been in a list of ours.
    fn make_room(&mut self, client: IpAddr, most: usize) {
        if self.0.len() < most || self.0.contains_key(&client) {
            return;
        }
        let others = self.0.iter().filter(|(_, relay)| relay.suspended.is_none());
        if let Some(oldest) = others.min_by_key(|(_, relay)| relay.last).map(|(client, _)| *client) {
            self.0.remove(&oldest);
        }
    }
}

impl Relay {
    /// What is known of one again after a restart.
    pub(crate) fn known(last: Timestamp, alarmed: Option<Timestamp>, suspended: Option<(Timestamp, Cause)>) -> Relay {
        Relay { last, alarmed, suspended, ..Relay::default() }
    }

    /// It is not what it seems; what is new about that.
    fn alarm(&mut self, now: Timestamp, client: IpAddr, cause: Cause, suspend: bool) -> Option<Alarm> {
        let newly_suspended = suspend && self.suspended.is_none();
        if newly_suspended {
            self.suspended = Some((now, cause));
        }
        let is_due = self.alarmed.is_none_or(|told| now.since(told) >= A_DAY);
        if !is_due && !newly_suspended {
            return None;
        }
        self.alarmed = Some(now);
        Some(Alarm { client, cause, suspended: self.suspended.is_some() })
    }
}

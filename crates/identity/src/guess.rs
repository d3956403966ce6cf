//! The defence against guessing: who is slowed down, sent away, refused for a time, and who is spared.
//!
//! Two things are counted: for each address prefix (/24, /64) the different accounts that were tried
//! without success, and for each account the different secrets. Trying the same wrong password again
//! is not guessing, so a telephone with an old password is never locked out, while one password tried
//! on twenty accounts is soon refused. Counts go down with time. As they go up, answers come later,
//! then sessions are closed with 421, then the prefix, or the account for prefixes it has not been used
//! from, is refused for a time that doubles each time. Where an account has lately logged in from is
//! spared what others do to the account and to the prefix. All of it is the same for accounts that do
//! not exist.
//!
//! A value without clock, file or lock: time is handed in, and no jump of it locks anybody out for
//! longer than the settings say. What it holds is bounded; what is least dangerous is forgotten first.

mod device;
mod level;
mod saved;
mod suspect;

pub use saved::Damaged;

use crate::name::AccountName;
use device::Devices;
use mail::{Net, Timestamp};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::Duration;
use suspect::{Points, Suspects};

/// What the defence goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Proxies, and networks of the organization: never refused and never sent away. Accounts that are
    /// guessed at from there are slowed down all the same.
    pub exempt: Box<[Net]>,
    /// Different accounts tried from one prefix.
    pub prefix: Limits,
    /// Different secrets tried for one account, from prefixes it has not been used from.
    pub account: Limits,
    /// How long it takes to forget one of either.
    pub forget: Duration,
    /// The longest pause.
    pub pause: Duration,
    /// How long the first refusal lasts. Each one after it lasts twice as long as the one before.
    pub refusal: Duration,
    /// How long a refusal lasts at the most.
    pub refusal_longest: Duration,
    /// How long it is known where an account has been used from.
    pub device: Duration,
    /// Prefixes, accounts and accounts with known prefixes that are remembered, of each so many.
    pub remembered: usize,
}

/// From how many on something happens; each at least as many as the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A try must wait: a second, then twice as long for each one more.
    pub pause: u32,
    /// A failure ends the session.
    pub close: u32,
    /// Refused for a time.
    pub refuse: u32,
    /// Tries that are being checked at one time; others are sent away.
    pub at_once: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            exempt: Box::new([]),
            prefix: Limits { pause: 3, close: 6, refuse: 10, at_once: 20 },
            account: Limits { pause: 4, close: 8, refuse: 30, at_once: 5 },
            forget: Duration::from_secs(10 * 60),
            pause: Duration::from_secs(15),
            refusal: Duration::from_secs(10 * 60),
            refusal_longest: Duration::from_secs(24 * 60 * 60),
            device: Duration::from_secs(30 * 24 * 60 * 60),
            remembered: 8192,
        }
    }
}

/// What to do with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Go on.
    Open,
    /// Wait so long, then go on.
    Pause(Duration),
    /// Close the session with 421. The client may come back at once.
    Close,
    /// Close the session with 421, or do not open one. It will be so until then.
    Refused {
        /// When it ends.
        until: Timestamp,
    },
}

/// Whom a refusal is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Banned {
    /// All clients of an address prefix, but for accounts that have lately been used from there.
    Prefix(Net),
    /// An account, from wherever it has not lately been used.
    Account(AccountName),
}

impl Banned {
    /// What an administrator means: a prefix, an address of it, or an account. `None` if it can be none.
    #[must_use]
    pub fn meant(text: &str) -> Option<Banned> {
        let address = text.parse().map(|address| Banned::Prefix(prefix(address)));
        let net = || text.parse().map(Banned::Prefix).ok();
        address.ok().or_else(net).or_else(|| text.parse().map(Banned::Account).ok())
    }
}

impl fmt::Display for Banned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Banned::Prefix(net) => net.fmt(f),
            Banned::Account(name) => name.fmt(f),
        }
    }
}

/// One refusal that lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// For whom.
    pub banned: Banned,
    /// When it ends.
    pub until: Timestamp,
}

/// The defence. Whoever drives it asks [`Guard::gate`] at a connection and [`Guard::before_try`] when
/// AUTH has named an account, and then says what came of that try: failed, succeeded or abandoned.
pub struct Guard {
    settings: Settings,
    key: [u8; 16],
    prefixes: Suspects<Net>,
    accounts: Suspects<AccountName>,
    devices: Devices,
    /// The latest moment that was handed in since the clock last went back.
    latest: Timestamp,
}

/// Callers may be late by as much without the clock having gone back.
const LATE: Duration = Duration::from_secs(1);

impl Guard {
    /// Nothing has happened yet. `key` are octets that nobody can guess, for this process: what is kept
    /// to tell one secret from another is worth nothing without it.
    #[must_use]
    pub fn new(settings: Settings, key: [u8; 16]) -> Guard {
        let (prefixes, accounts, devices) = (Suspects::default(), Suspects::default(), Devices::default());
        Guard { settings, key, prefixes, accounts, devices, latest: Timestamp::default() }
    }

    /// Goes by other settings from now on.
    pub fn reload(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// A client has connected.
    pub fn gate(&mut self, now: Timestamp, client: IpAddr) -> Gate {
        self.tick(now);
        let prefix = prefix(client);
        // It is let in where somebody's device is: the account it names decides.
        if self.is_exempt(client) || self.devices.any_at(prefix) {
            return Gate::Open;
        }
        let until = self.prefixes.get(&prefix).and_then(|suspect| suspect.refused_until(now));
        until.map_or(Gate::Open, |until| Gate::Refused { until })
    }

    /// A client wants to prove that it is `account`; nothing has been checked yet. Unless it is refused
    /// or sent away, one of [`Guard::failed`], [`Guard::succeeded`] and [`Guard::abandoned`] must follow.
    pub fn before_try(&mut self, now: Timestamp, client: IpAddr, account: &str) -> Gate {
        self.tick(now);
        let name = account.parse::<AccountName>().ok();
        let (prefix, exempt) = (prefix(client), self.is_exempt(client));
        if name.as_ref().is_some_and(|name| self.is_known(now, name, prefix)) {
            return Gate::Open;
        }
        let settings = &self.settings;
        let source = if exempt { None } else { Some(self.prefixes.entry(prefix, now, settings)) };
        let target = name.map(|name| self.accounts.entry(name, now, settings));
        let mut watched = Vec::with_capacity(2);
        watched.extend(source.map(|suspect| (suspect, &settings.prefix)));
        watched.extend(target.map(|suspect| (suspect, &settings.account)));
        let mut pause = Duration::ZERO;
        for (suspect, limits) in &watched {
            match suspect.refused_until(now) {
                Some(_) if exempt => pause = settings.pause,
                Some(until) => return Gate::Refused { until },
                None if suspect.pending(now) >= limits.at_once && !exempt => return Gate::Close,
                None => pause = pause.max(pause_of(suspect.points(now, settings), limits, settings)),
            }
        }
        watched.into_iter().for_each(|(suspect, _)| suspect.begin(now));
        if pause.is_zero() { Gate::Open } else { Gate::Pause(pause) }
    }

    /// A try came to nothing. `account` is whom the client named, if it got so far; `secret` is a digest
    /// of what it tried, the same for the same secret, if the mechanism shows one.
    pub fn failed(&mut self, now: Timestamp, client: IpAddr, account: Option<&str>, secret: Option<u64>) -> Gate {
        self.tick(now);
        let name = account.and_then(|account| account.parse::<AccountName>().ok());
        let (prefix, exempt) = (prefix(client), self.is_exempt(client));
        let known = name.as_ref().is_some_and(|name| self.is_known(now, name, prefix));
        let tried = self.digest(&name.as_ref().map_or(account.unwrap_or_default(), AccountName::as_str));
        let secret = secret.map(|secret| self.digest(&secret));
        let settings = &self.settings;
        // A secret that cannot be seen may be the same as last time.
        let mut guess = if secret.is_none() { Points::THIRD } else { Points::ONE };
        let mut gate = Gate::Open;
        if let Some(name) = name {
            let target = self.accounts.entry(name.clone(), now, settings);
            if secret.is_some_and(|secret| !target.is_new(secret)) {
                guess = Points::NONE;
            }
            if known {
                // What the owner does at home is held neither against the account nor the neighbours.
                self.devices.blame(&name, prefix, now, guess, settings);
                return Gate::Open;
            }
            target.settle(now);
            target.blame(now, guess, settings);
            gate = target.judge(now, &settings.account, settings);
        }
        if exempt {
            return Gate::Open;
        }
        let source = self.prefixes.entry(prefix, now, settings);
        source.settle(now);
        let blame = if source.is_new(tried) { Points::ONE } else { guess.half() };
        source.blame(now, blame, settings);
        let other = source.judge(now, &settings.prefix, settings);
        if severity(&gate) > severity(&other) { gate } else { other }
    }

    /// A try has succeeded: from now on this prefix is one that the account is used from.
    pub fn succeeded(&mut self, now: Timestamp, client: IpAddr, account: &str) {
        let prefix = prefix(client);
        self.abandoned(now, client, account);
        let Ok(name) = account.parse::<AccountName>() else { return };
        let tried = self.digest(&name.as_str());
        // Who has mistyped and then got it right did not try somebody else's account.
        self.prefixes.change(&prefix, |suspect| suspect.forgive(tried, now, &self.settings));
        self.devices.learn(name, prefix, now, &self.settings);
    }

    /// A try came to nothing that says nothing about a secret: cancelled, malformed, a directory that
    /// could not be asked.
    pub fn abandoned(&mut self, now: Timestamp, client: IpAddr, account: &str) {
        self.tick(now);
        let (name, prefix) = (account.parse().ok(), prefix(client));
        // A try from where the account is at home was not noted.
        if name.as_ref().is_some_and(|name| self.is_known(now, name, prefix)) {
            return;
        }
        self.prefixes.change(&prefix, |suspect| suspect.settle(now));
        if let Some(name) = name {
            self.accounts.change(&name, |suspect| suspect.settle(now));
        }
    }

    /// A client has sent AUTH to a server that offers none: nobody who was set up for this server does.
    pub fn decoy(&mut self, now: Timestamp, client: IpAddr) -> Gate {
        self.tick(now);
        if self.is_exempt(client) {
            return Gate::Open;
        }
        let source = self.prefixes.entry(prefix(client), now, &self.settings);
        source.blame(now, Points::ONE.half(), &self.settings);
        source.judge(now, &self.settings.prefix, &self.settings)
    }

    /// All refusals that last, in order.
    #[must_use]
    pub fn bans(&mut self, now: Timestamp) -> Vec<Ban> {
        self.tick(now);
        let prefixes = self.prefixes.refused(now).map(|(net, until)| Ban { banned: Banned::Prefix(*net), until });
        let accounts =
            self.accounts.refused(now).map(|(name, until)| Ban { banned: Banned::Account(name.clone()), until });
        prefixes.chain(accounts).collect()
    }

    /// Ends a refusal, and forgets what led to it. `false` if there was nothing to forget.
    pub fn lift(&mut self, banned: &Banned) -> bool {
        match banned {
            Banned::Prefix(net) => self.prefixes.remove(net),
            Banned::Account(name) => self.accounts.remove(name),
        }
    }

    /// Where an account has been used from.
    #[must_use]
    pub fn devices(&self, account: &AccountName) -> Vec<Net> {
        self.devices.of(account)
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
        self.prefixes.rebase(now);
        self.accounts.rebase(now);
        self.devices.rebase(now);
        self.latest = now;
    }

    fn is_exempt(&self, client: IpAddr) -> bool {
        self.settings.exempt.iter().any(|net| net.contains(client))
    }

    fn is_known(&self, now: Timestamp, name: &AccountName, prefix: Net) -> bool {
        self.devices.knows(name, prefix, now, &self.settings)
    }

    fn digest(&self, what: &impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.key, what).hash(&mut hasher);
        hasher.finish()
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guard({} prefixes, {} accounts)", self.prefixes.len(), self.accounts.len())
    }
}

/// What is taken for one client: whoever has one of these addresses can easily have another.
fn prefix(client: IpAddr) -> Net {
    Net::around(client, 24, 64)
}

/// A second at the limit, and twice as long for each point above it.
fn pause_of(points: Points, limits: &Limits, settings: &Settings) -> Duration {
    match points.whole().checked_sub(limits.pause) {
        None => Duration::ZERO,
        Some(above) => Duration::from_secs(1 << above.min(16)).min(settings.pause),
    }
}

fn severity(gate: &Gate) -> (u8, Timestamp) {
    match gate {
        Gate::Open | Gate::Pause(_) => (0, Timestamp::default()),
        Gate::Close => (1, Timestamp::default()),
        Gate::Refused { until } => (2, *until),
    }
}

#[cfg(test)]
mod tests;

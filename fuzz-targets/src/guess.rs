//! Any history of the defence against guessing: its tables are bounded, a restart changes nothing, nobody
//! is refused for longer than the settings say, however the clock jumps, and who logs in from where he
//! always does is never kept out by others.

use crate::input::Input;
use identity::guess::{Banned, Gate, Guard, Limits, Settings};
use mail::{Net, Timestamp};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::time::Duration;

const KEY: [u8; 16] = *b"a key of a test.";
/// Where Alice always is.
const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10));
/// Of each kind, so many are remembered.
const REMEMBERED: usize = 16;
/// Where one account has been used from is remembered of so many prefixes.
const DEVICES: usize = 8;
/// Wrong secrets from home after which it is a place like any other.
const WRONG: u32 = 9;

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input(octets);
    let mut history = History::new();
    if input.flag() {
        let body = input.counted().to_vec();
        history.believe(&String::from_utf8_lossy(&body));
    }
    while !input.is_empty() {
        history.event(&mut input);
        let (bans, until) = (history.guard.bans(history.now), history.now.after(history.settings.refusal_longest));
        assert!(bans.iter().all(|ban| ban.until <= until && ban.until > history.now), "{bans:?}");
    }
    bounded(&history.guard.save());
}

struct History {
    guard: Guard,
    settings: Settings,
    now: Timestamp,
    /// The latest moment since the clock was last set back.
    latest: Timestamp,
    /// When Alice last logged in from home, as far as that is known.
    home: Option<Timestamp>,
    /// Wrong secrets of Alice from home.
    wrong: u32,
}

impl History {
    fn new() -> History {
        let exempt: [Net; 1] = ["10.0.0.0/8".parse().expect("a network")];
        let settings = Settings { remembered: REMEMBERED, exempt: exempt.into(), ..Settings::default() };
        let now = Timestamp::from_millis(1_767_225_600_000);
        let guard = Guard::new(settings.clone(), KEY);
        History { guard, settings, now, latest: now, home: None, wrong: 0 }
    }

    /// Begins with what somebody has written into the file.
    fn believe(&mut self, body: &str) {
        let text = format!("bridgehead guard 1\n{body}\n");
        let sum: String = Sha256::digest(&text).iter().map(|octet| format!("{octet:02x}")).collect();
        let sealed = format!("{text}end {sum}\n");
        if let Ok(guard) = Guard::restore(self.settings.clone(), KEY, sealed.as_bytes(), self.now) {
            bounded(&guard.save());
            self.guard = guard;
        }
        // Alice may be anything there.
        self.wrong = WRONG + 1;
    }

    fn event(&mut self, input: &mut Input<'_>) {
        let (kind, choice) = (input.octet(), input.octet());
        let client = client(choice);
        let name = name(input.octet());
        match kind % 14 {
            0 => self.gate(client),
            1 => _ = self.before_try(client, &name),
            2 | 3 => {
                if kind % 14 == 2 && !matches!(self.before_try(client, &name), Gate::Open | Gate::Pause(_)) {
                    return;
                }
                let secret = input.octet();
                self.failed(client, &name, (secret != 0).then_some(u64::from(secret)));
            }
            4 => self.succeeded(choice, &name),
            5 => {
                let now = self.tick();
                self.guard.abandoned(now, client, &name);
            }
            6 => {
                let now = self.tick();
                let gate = self.guard.decoy(now, client);
                self.check(client, gate);
            }
            7 => self.now = Timestamp::from_millis(self.now.millis().saturating_add(span(input))),
            8 => self.now = Timestamp::from_millis(self.now.millis().saturating_sub(span(input))),
            9 => self.restart(),
            10 => self.lift(),
            11 => self.reload(choice),
            12 => {
                (0..choice % 40)
                    .for_each(|place| self.failed(self::client(place | 2), "alice", Some(u64::from(place))));
            }
            _ => self.come_home(),
        }
    }

    /// What time it is; a clock that has been set back takes back what it has said.
    fn tick(&mut self) -> Timestamp {
        if self.latest.since(self.now) > Duration::from_secs(1) {
            self.home = self.home.map(|home| home.min(self.now));
            self.latest = self.now;
        }
        self.latest = self.latest.max(self.now);
        self.now
    }

    fn at_home(&self) -> bool {
        self.wrong <= WRONG && self.home.is_some_and(|home| self.now.since(home) <= self.settings.device)
    }

    fn check(&self, client: IpAddr, gate: Gate) {
        let exempt = self.settings.exempt.iter().any(|net| net.contains(client));
        match gate {
            Gate::Open => {}
            Gate::Pause(pause) => assert!(!pause.is_zero() && pause <= self.settings.pause),
            Gate::Close => assert!(!exempt),
            Gate::Refused { until } => {
                assert!(!exempt && until > self.now && until <= self.now.after(self.settings.refusal_longest));
            }
        }
    }

    fn gate(&mut self, client: IpAddr) {
        let now = self.tick();
        let gate = self.guard.gate(now, client);
        self.check(client, gate);
    }

    fn before_try(&mut self, client: IpAddr, name: &str) -> Gate {
        let now = self.tick();
        let gate = self.guard.before_try(now, client, name);
        self.check(client, gate);
        gate
    }

    fn failed(&mut self, client: IpAddr, name: &str, secret: Option<u64>) {
        self.wrong += u32::from(is_home(client) && name == "alice");
        let now = self.tick();
        let gate = self.guard.failed(now, client, Some(name), secret);
        self.check(client, gate);
    }

    /// Few enough accounts from few enough places that nobody has to be forgotten.
    fn succeeded(&mut self, choice: u8, name: &str) {
        let client = client(choice % 7);
        if !matches!(name, "alice" | "u1" | "u2" | "u3") {
            return;
        }
        let now = self.tick();
        if name == "alice" && is_home(client) {
            self.home = Some(now);
        } else if name == "alice" && self.home.is_some_and(|home| now.since(home) > self.settings.device) {
            self.home = None;
        }
        self.guard.succeeded(now, client, name);
    }

    /// Alice, with the right password.
    fn come_home(&mut self) {
        let now = self.tick();
        if self.at_home() {
            assert_eq!(self.guard.gate(now, HOME), Gate::Open, "Alice is not let in");
            assert_eq!(self.guard.before_try(now, HOME, "alice"), Gate::Open, "Alice may not try");
        }
        self.guard.succeeded(now, HOME, "alice");
        self.home = Some(now);
    }

    /// The program ends and starts again.
    fn restart(&mut self) {
        self.now = self.now.max(self.latest);
        let now = self.tick();
        let (bans, saved) = (self.guard.bans(now), self.guard.save());
        bounded(&saved);
        let mut damaged = saved.clone().into_bytes();
        damaged[saved.len() / 2] ^= 1;
        assert!(Guard::restore(self.settings.clone(), KEY, &damaged, now).is_err());
        assert!(Guard::restore(self.settings.clone(), KEY, &saved.as_bytes()[..saved.len() - 1], now).is_err());
        let restored = Guard::restore(self.settings.clone(), KEY, saved.as_bytes(), now);
        self.guard = restored.expect("what was written is read");
        assert_eq!(self.guard.bans(now), bans, "a restart changes who is refused");
        let again = self.guard.save();
        assert!(suspects(&again).eq(suspects(&saved)), "{saved}{again}");
    }

    fn lift(&mut self) {
        let now = self.tick();
        let Some(ban) = self.guard.bans(now).into_iter().next() else { return };
        assert!(self.guard.lift(&ban.banned), "{ban:?} was not there");
        assert!(!self.guard.bans(now).contains(&ban));
        let text = ban.banned.to_string();
        // An account that is called like an address can only be lifted by time.
        if text.parse::<Net>().is_err() || matches!(ban.banned, Banned::Prefix(_)) {
            assert_eq!(Banned::meant(&text), Some(ban.banned));
        }
    }

    fn reload(&mut self, choice: u8) {
        let strict = Limits { pause: 1, close: 2, refuse: 3, at_once: 1 };
        let Settings { prefix, account, .. } = Settings::default();
        self.settings.prefix = if choice & 1 == 1 { strict } else { prefix };
        self.settings.account = if choice & 2 == 2 { strict } else { account };
        self.guard.reload(self.settings.clone());
    }
}

/// Whoever could be trying: two at Alice's home, many elsewhere, some of them exempt.
fn client(choice: u8) -> IpAddr {
    match choice {
        0 => HOME,
        1 => [192, 0, 2, 77].into(),
        2..0x80 => [198, 51, choice, 1].into(),
        0x80..0xe0 => [0x2001, 0xdb8, 0, u16::from(choice), 0, 0, 0, 1].into(),
        _ => [10, choice, 0, 1].into(),
    }
}

fn is_home(client: IpAddr) -> bool {
    client == HOME || client == self::client(1)
}

fn name(choice: u8) -> String {
    match choice {
        0 => "alice".into(),
        // No account can be called that.
        1 => "a b".into(),
        other => format!("u{}", other - 1),
    }
}

/// Milliseconds: of a second, or of years.
fn span(input: &mut Input<'_>) -> u64 {
    let unit = [1, 1000, 60_000, 86_400_000, 315_360_000_000][usize::from(input.octet() % 5)];
    unit * input.wide() as u64
}

fn suspects(saved: &str) -> impl Iterator<Item = &str> {
    saved.lines().filter(|line| line.starts_with("prefix ") || line.starts_with("account "))
}

/// However long the history, what is kept of it is not.
fn bounded(saved: &str) {
    for kind in ["prefix ", "account "] {
        assert!(saved.lines().filter(|line| line.starts_with(kind)).count() <= REMEMBERED, "{saved}");
    }
    let names = saved.lines().filter_map(|line| line.strip_prefix("device ")?.split(' ').next());
    let names: Vec<&str> = names.collect();
    let most = names.chunk_by(|a, b| a == b).map(<[&str]>::len).max();
    assert!(names.chunk_by(|a, b| a == b).count() <= REMEMBERED && most.is_none_or(|most| most <= DEVICES), "{saved}");
}

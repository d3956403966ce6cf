//! From a seed to a plan: who comes when, and what goes wrong.
//!
//! Each kind of trouble is in a plan or not, so that there are calm plans, plans with one trouble, and
//! plans with all of them.

use super::law::{CLIENTS, DOMAINS, DOORS, PEERS};
use super::plan::{Act, Crash, DiskTrouble, Ending, Event, Law, Letter, LineTrouble, Manner, Notify, Plan, Session};
use crate::dice::Dice;
use mail::Domain;
use queue::disk::memory::Call;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// How long things go wrong.
const SPAN_MS: u64 = 100_000;

/// How long the gateway keeps a connection that has nothing to carry.
const LINGER_MS: u64 = 2_000;

const LAWS: [Law; 3] = [Law::Plain, Law::Narrow, Law::Directory];

/// What a next hop may be like, each as often as it stands here.
const MOODS: [&str; 30] = [
    "polite",
    "polite",
    "plain",
    "tls",
    "tls:other.example",
    "slow:400",
    "slow:3000",
    "down",
    "down",
    "void",
    "refuse-connect",
    "defer-connect",
    "drop-connect",
    "stall-connect",
    "garble-connect",
    "drop-hello",
    "garble-hello",
    "tls drop-starttls",
    "tls defer-starttls",
    "refuse-mail",
    "defer-mail",
    "drop-mail",
    "refuse-rcpt",
    "defer-rcpt",
    "drop-rcpt",
    "refuse-data",
    "drop-data",
    "refuse-dot",
    "defer-dot",
    "lose-dot",
];
const RARE_MOODS: [&str; 14] = [
    "trickle-connect",
    "trickle-rcpt",
    "trickle-dot",
    "babble-hello",
    "sip-content",
    "short",
    "stall-mail",
    "stall-rcpt",
    "stall-data",
    "stall-dot",
    "drop-dot",
    "garble-dot",
    "garble-rcpt",
    "plain defer-rcpt:<m1",
];

const CALLS: [Option<Call>; 8] = [
    None,
    Some(Call::Create),
    Some(Call::Remove),
    Some(Call::Rename),
    Some(Call::SyncDirectory),
    Some(Call::Write),
    Some(Call::Sync),
    Some(Call::Look),
];

/// The plan of a seed.
#[must_use]
pub fn plan(seed: u64) -> Plan {
    let dice = Dice::new(seed);
    let mut draw = Draw { dice: dice.fork("plan"), events: Vec::new(), letters: 0, calm: false };
    draw.calm = draw.dice.chance(5);
    let law = if draw.dice.chance(60) { Law::Plain } else { *draw.dice.pick(&LAWS) };
    draw.sessions();
    let kinds: [(u64, Kind); 12] = [
        (30, Draw::latecomers),
        (60, Draw::moods),
        (40, Draw::lines),
        (30, Draw::disk),
        (25, Draw::names),
        (20, Draw::clock),
        (15, Draw::log),
        (10, Draw::stillborn),
        (10, Draw::directories),
        (40, Draw::administrators),
        (30, Draw::reloads),
        (50, Draw::crashes),
    ];
    for (percent, kind) in kinds {
        if draw.dice.chance(percent) && !draw.calm {
            kind(&mut draw);
        }
    }
    draw.at(Act::Count);
    // In the order of time; what comes at the same moment stays in the order in which it was drawn.
    draw.events.sort_by_key(|event| event.at_ms);
    Plan { seed, law, events: draw.events }
}

/// Draws one kind of trouble.
type Kind = fn(&mut Draw);

struct Draw {
    dice: Dice,
    events: Vec<Event>,
    letters: u32,
    /// Nothing goes wrong, and everybody does as they should.
    calm: bool,
}

impl Draw {
    /// At any time; more often than not at one when something is going on.
    fn at(&mut self, act: Act) {
        let at_ms = if self.events.is_empty() || self.dice.chance(40) {
            self.dice.below(SPAN_MS)
        } else {
            let event = self.dice.index(self.events.len());
            self.events[event].at_ms + self.dice.below(40)
        };
        self.events.push(Event { at_ms, act });
    }

    /// The same a few times.
    fn some(&mut self, most: u64, mut act: impl FnMut(&mut Dice) -> Act) {
        for _ in 0..self.dice.between(1, most) {
            let act = act(&mut self.dice);
            self.at(act);
        }
    }

    fn sessions(&mut self) {
        for _ in 0..self.dice.between(4, 16) {
            let at_ms = self.dice.below(SPAN_MS);
            let session = self.session();
            self.events.push(Event { at_ms, act: Act::Session(session) });
        }
        // Several at once, so that what they send is flushed together.
        if self.dice.chance(40) {
            let at_ms = self.dice.below(SPAN_MS);
            for _ in 0..self.dice.between(3, 10) {
                let session = self.session();
                self.events.push(Event { at_ms, act: Act::Session(session) });
            }
        }
    }

    /// Clients that come when connections to next hops have just had enough of waiting for them.
    fn latecomers(&mut self) {
        let before: Vec<u64> = self.events.iter().map(|event| event.at_ms).collect();
        for _ in 0..self.dice.between(1, 4) {
            let at_ms = *self.dice.pick(&before) + LINGER_MS + self.dice.between(0, 3);
            let session = self.session();
            self.events.push(Event { at_ms, act: Act::Session(session) });
        }
    }

    fn session(&mut self) -> Session {
        let (server, _) = *self.dice.pick(&DOORS);
        let client = if server == "inbound" { &CLIENTS[..4] } else { &CLIENTS[..] };
        let client: IpAddr = self.dice.pick(client).parse().expect("an address written in the law");
        let letters: Vec<Letter> = (0..self.dice.between(1, 3)).map(|_| self.letter()).collect();
        let manner = self.manner();
        Session { server: server.to_owned(), client, manner, letters }
    }

    fn manner(&mut self) -> Manner {
        let calm = self.calm;
        let dice = &mut self.dice;
        let ending = if dice.chance(70) { Ending::Drops } else { Ending::Hangs };
        Manner {
            helo: dice.chance(10),
            tls: dice.chance(15),
            password: dice.chance(5),
            pipelined: dice.chance(50),
            chunk: dice.chance(30).then(|| usize::try_from(1 << dice.between(3, 15)).unwrap_or(8)),
            slow_ms: (!calm && dice.chance(8)).then(|| dice.between(1, 200)),
            ends: (!calm && dice.chance(20)).then(|| (usize::try_from(dice.between(1, 3000)).unwrap_or(1), ending)),
            deaf: !calm && dice.chance(4),
        }
    }

    fn letter(&mut self) -> Letter {
        self.letters += 1;
        let dice = &mut self.dice;
        let domain = |dice: &mut Dice, odds: &[usize]| -> Domain {
            DOMAINS[*dice.pick(odds)].parse().expect("a domain written in the law")
        };
        let from = (!dice.chance(6)).then(|| domain(dice, &[0, 2, 2]));
        let many = if dice.chance(4) { 12 } else { 3 };
        let to = (0..dice.between(1, many)).map(|_| domain(dice, &[0, 0, 0, 1, 1, 2])).collect();
        let size = match dice.below(20) {
            0 => 0,
            1 => 2,
            2 | 3 => dice.between(3, 200),
            4..=13 => dice.between(200, 3000),
            14..=17 => dice.between(3000, 14_000),
            18 => dice.between(14_000, 40_000),
            _ => dice.between(40_000, if self.calm { 50_000 } else { 70_000 }),
        };
        let notify = match dice.below(20) {
            0 => Notify::Never,
            1 | 2 => Notify::All,
            _ => Notify::Unsaid,
        };
        Letter { number: self.letters, from, to, size: usize::try_from(size).unwrap_or(0), notify }
    }

    fn moods(&mut self) {
        self.some(8, |dice| {
            let moods = if dice.chance(15) { &RARE_MOODS[..] } else { &MOODS[..] };
            Act::Peer(peer(dice), (*dice.pick(moods)).to_owned())
        });
    }

    fn lines(&mut self) {
        self.some(8, |dice| {
            let far = if dice.chance(60) {
                peer(dice).ip()
            } else {
                dice.pick(&CLIENTS).parse().expect("an address written in the law")
            };
            let trouble = match dice.below(10) {
                0..=4 => LineTrouble::Delay(1 << dice.between(0, 10)),
                5..=7 => LineTrouble::Cut,
                8 => LineTrouble::Silent,
                _ => LineTrouble::Clear,
            };
            Act::Line(far, trouble)
        });
    }

    fn disk(&mut self) {
        self.some(4, |dice| {
            Act::Disk(match dice.below(20) {
                0 => DiskTrouble::Full(dice.between(100, 1200) * 1024),
                1..=4 => DiskTrouble::Heals,
                5 if dice.chance(30) => DiskTrouble::Lies,
                _ => DiskTrouble::Fails {
                    call: *dice.pick(&CALLS),
                    n: dice.below(20),
                    on: dice.chance(30),
                    kind: *dice.pick(&[
                        io::ErrorKind::Other,
                        io::ErrorKind::StorageFull,
                        io::ErrorKind::PermissionDenied,
                    ]),
                },
            })
        });
        self.at(Act::Disk(DiskTrouble::Heals));
    }

    fn names(&mut self) {
        self.some(4, |dice| {
            let (name, right) = *dice.pick(&[
                ("mx.partner.example", "198.51.100.30"),
                ("10.0.0.12", "h.trusted.example"),
                ("203.0.113.7", "h.stranger.example"),
            ]);
            Act::Name(match dice.below(5) {
                0 => format!("{name} = unavailable"),
                1 => format!("{name} = absent"),
                2 => format!("{name} = slow {} {right}", dice.between(1, 20_000)),
                3 => format!("{name} = slow {} unavailable", dice.between(1, 20_000)),
                _ => format!("{name} = {right}"),
            })
        });
    }

    fn clock(&mut self) {
        const HOUR: i64 = 3_600_000;
        self.some(2, |dice| {
            Act::Clock(*dice.pick(&[-HOUR, HOUR, 24 * HOUR, 365 * 24 * HOUR, -24 * HOUR, -3_000, 1_000]))
        });
    }

    fn log(&mut self) {
        self.at(Act::Log { deaf: true });
        self.at(Act::Log { deaf: false });
    }

    fn stillborn(&mut self) {
        self.some(2, |dice| Act::Stillborn(u32::try_from(dice.between(1, 3)).unwrap_or(1)));
    }

    fn directories(&mut self) {
        self.at(Act::Directories { missing: true });
        self.at(Act::Directories { missing: false });
    }

    fn administrators(&mut self) {
        let letters = u64::from(self.letters);
        self.some(8, |dice| {
            let one = dice.between(1, letters);
            let verb = *dice.pick(&["hold", "release", "retry", "retry", "delete", "delete-silently", "list"]);
            let verb = if dice.chance(15) { *dice.pick(&["freeze", "unfreeze"]) } else { verb };
            let partly = *dice.pick(&["to ", "10.0.0.20", "198.51.100"]);
            Act::Queue(match verb {
                "freeze" | "unfreeze" => format!("{verb} {}", partly.trim()),
                "hold" | "release" | "retry" if dice.chance(50) => verb.to_owned(),
                "list" => verb.to_owned(),
                _ => format!("{verb} from:<s{one}@"),
            })
        });
    }

    fn reloads(&mut self) {
        self.some(3, |dice| Act::Reload((!dice.chance(15)).then(|| *dice.pick(&LAWS))));
    }

    fn crashes(&mut self) {
        self.some(3, |dice| {
            if dice.chance(30) {
                return Act::Stop { down_ms: dice.between(0, 20_000) };
            }
            let again = if dice.chance(30) { dice.between(1, 3) } else { 0 };
            Act::Crash(Crash {
                after: dice.below(60),
                cut: dice.chance(70).then(|| dice.below(1 << 20)),
                down_ms: dice.between(0, 20_000),
                again: (0..again).map(|_| dice.below(40)).collect(),
            })
        });
    }
}

fn peer(dice: &mut Dice) -> SocketAddr {
    dice.pick(&PEERS).parse().expect("an address written in the law")
}

//! Cases drawn from a number: a small world in which everything touches everything else.

use super::oracle::{Never, Sentence};
use super::settings;
use crate::dice::Dice;
use config::Config;
use std::fmt;
use std::net::IpAddr;

/// The virtual servers.
pub(super) const SERVERS: [&str; 2] = ["in", "out"];

/// Clients, inside and outside.
const CLIENTS: [&str; 8] =
    ["10.0.0.5", "10.0.0.6", "10.1.2.3", "192.0.2.66", "192.0.2.7", "2001:db8::5", "2001:db8:1::9", "::ffff:10.0.0.5"];

/// Networks that invariants and lists speak of.
pub(super) const NETS: [&str; 9] = [
    "10.0.0.0/8",
    "10.0.0.0/24",
    "10.0.0.5",
    "192.0.2.0/24",
    "192.0.2.66",
    "2001:db8::/32",
    "2001:db8::5",
    "0.0.0.0/1",
    "::/0",
];

/// What the name service knows of some of them.
pub(super) const NAMES: [&str; 2] = ["192.0.2.7 = h.partner.example", "10.0.0.6 = h.other.example"];

/// Accounts with their groups. The case of names differs from that in lists; a Greek one ends with another sigma then.
const ACCOUNTS: [(&str, &[&str]); 5] =
    [("u1", &["a"]), ("u2", &["B", "a"]), ("U3", &["c"]), ("μάρκος", &["γάτες"]), ("ex1", &[])];

/// The account of a server of the organization, and from where it is that.
pub(super) const PEER: (&str, &str) = ("ex1", "10.");

/// Whom invariants speak of.
const WHO: [&str; 16] = [
    "",
    "",
    "anonymous",
    "anonymous",
    "accounts",
    "peers",
    "peers",
    "anybody",
    "account:U1",
    "account:u3",
    "account:ΜΆΡΚΟΣ",
    "group:A",
    "group:b",
    "group:ΓΆΤΕΣ",
    "peer:ex1",
    "peer:ex1",
];

/// Senders, also in the header.
const SENDERS: [&str; 6] =
    ["", "u1@corp.example", "u2@corp.example", "ceo@corp.example", "x@ext.example", "y@partner.example"];

/// Recipients: inside by each of its names, outside, at partners, below both, at an address, routed.
const RECIPIENTS: [&str; 17] = [
    "alice@corp.example",
    "Alice@CORP.Example",
    "bob@corp2.example",
    "alice@old.example",
    "nobody@corp.example",
    "postmaster",
    "postmaster@corp.example",
    "carol@bogus1",
    "dave@ext.example",
    "erin@Partner.Example",
    "erin@a.partner.example",
    "frank@sub.corp.example",
    "frank@notcorp.example",
    "grace@[192.0.2.25]",
    "heidi%ext.example@corp.example",
    "\"ivan@ext.example\"@corp.example",
    "@corp.example:judy@ext.example",
];

/// Domains to which relaying may be excepted.
const EXCEPT_TO: [&str; 4] = ["partner.example", "*.partner.example", "ext.example", "*.corp.example"];

/// A case.
#[derive(Clone, Debug)]
pub struct Case {
    /// The settings.
    pub settings: String,
    /// The accounts, as lines for the simulated directory.
    pub accounts: Vec<String>,
    /// What must never be.
    pub sentences: Vec<Sentence>,
    /// The sessions, one after the other.
    pub visits: Vec<Visit>,
}

/// A session.
#[derive(Clone, Debug)]
pub struct Visit {
    pub(super) server: &'static str,
    pub(super) from: IpAddr,
    pub(super) acts: Vec<Act>,
}

/// What a client does.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// STARTTLS and the handshake.
    Tls,
    /// AUTH.
    Auth { name: &'static str, good: bool },
    /// XCLIENT.
    SpeakFor { address: Option<IpAddr>, login: Option<&'static str> },
    /// A message.
    Send(Letter),
}

/// A message.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) from: &'static str,
    pub(super) author: &'static str,
    pub(super) to: Vec<&'static str>,
    pub(super) pipelined: bool,
    pub(super) chunked: bool,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.settings)?;
        self.sentences.iter().try_for_each(|sentence| sentence.fmt(f))
    }
}

/// The groups of an account; none of one that nobody knows.
pub(super) fn groups(name: &str) -> &'static [&'static str] {
    ACCOUNTS.iter().find(|(known, _)| *known == name).map_or(&[], |(_, groups)| groups)
}

/// Whether an account from there is a server of the organization.
pub(super) fn is_peer(name: &str, from: IpAddr) -> bool {
    name == PEER.0 && from.to_canonical().to_string().starts_with(PEER.1)
}

impl Case {
    /// The case of a number.
    #[must_use]
    pub fn draw(seed: u64) -> Case {
        let dice = Dice::new(seed);
        let (mut sentences, mut visits) = (dice.fork("sentences"), dice.fork("visits"));
        let accounts = ACCOUNTS.map(|(name, groups)| {
            let groups = groups.iter().map(|group| format!(" group:{group}")).collect::<String>();
            let address = if name.is_ascii() { format!(" {name}@corp.example") } else { String::new() };
            format!("{name} secret{address}{groups}")
        });
        Case {
            settings: settings::draw(&mut dice.fork("settings")),
            accounts: accounts.into(),
            sentences: (0..sentences.between(1, 6)).map(|at| sentence(&mut sentences, at)).collect(),
            visits: (0..visits.between(3, 6)).map(|_| visit(&mut visits)).collect(),
        }
    }

    /// The settings, with those sentences that stand at these places.
    ///
    /// # Panics
    /// What was drawn has a mistake.
    #[must_use]
    pub fn config(&self, meant: impl Fn(usize) -> bool) -> Config {
        let sentences: String =
            self.sentences.iter().enumerate().filter(|(at, _)| meant(*at)).map(|(_, one)| one.to_string()).collect();
        let (config, _) = Config::from_text("drawn", &self.settings)
            .unwrap_or_else(|mistakes| panic!("{}\n{self}", mistakes.render(false)));
        config
            .with_invariants("sentences", &sentences)
            .unwrap_or_else(|mistakes| panic!("{}\n{self}", mistakes.render(false)))
    }
}

/// One of them.
fn word(dice: &mut Dice, all: &[&'static str]) -> &'static str {
    all[dice.index(all.len())]
}

/// Up to `most` of them; half the time none.
fn some(dice: &mut Dice, all: &[&'static str], most: u64) -> Vec<&'static str> {
    let count = if dice.chance(50) { 0 } else { dice.between(1, most) };
    let mut chosen: Vec<&'static str> = (0..count).map(|_| word(dice, all)).collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

fn sentence(dice: &mut Dice, at: u64) -> Sentence {
    let never = *dice.pick(&[
        Never::Relay,
        Never::Relay,
        Never::Relay,
        Never::Submit,
        Never::Submit,
        Never::Connect,
        Never::AuthOffered,
        Never::AuthInClear,
    ]);
    let of_mail = matches!(never, Never::Submit | Never::Relay);
    Sentence {
        name: format!("n{at}"),
        never,
        who: if of_mail { word(dice, &WHO) } else { "" },
        at: word(dice, &["", "in", "out"]),
        from: some(dice, &NETS, 3),
        except_from: some(dice, &NETS, 2),
        except_to: if never == Never::Relay { some(dice, &EXCEPT_TO, 2) } else { Vec::new() },
    }
}

fn visit(dice: &mut Dice) -> Visit {
    let from = dice.pick(&CLIENTS).parse().expect("addresses written above");
    let mut acts = Vec::new();
    for _ in 0..dice.between(1, 2) {
        if dice.chance(40) {
            acts.push(Act::Tls);
        }
        if dice.chance(60) {
            let name = if dice.chance(30) { PEER.0 } else { dice.pick(&ACCOUNTS).0 };
            acts.push(Act::Auth { name, good: dice.chance(90) });
            if name == PEER.0 && dice.chance(60) {
                acts.push(speak_for(dice));
            }
        }
        acts.extend((0..dice.between(0, 2)).map(|_| Act::Send(letter(dice))));
    }
    acts.push(Act::Send(letter(dice)));
    Visit { server: word(dice, &SERVERS), from, acts }
}

fn speak_for(dice: &mut Dice) -> Act {
    let address = dice.chance(80).then(|| dice.pick(&CLIENTS).parse().expect("addresses written above"));
    let login = dice.chance(50).then(|| word(dice, &["u1", "u2", "U3", "stranger"]));
    Act::SpeakFor { address, login }
}

fn letter(dice: &mut Dice) -> Letter {
    Letter {
        from: word(dice, &SENDERS),
        author: word(dice, &SENDERS[1..]),
        to: (0..dice.between(1, 4)).map(|_| word(dice, &RECIPIENTS)).collect(),
        pipelined: dice.chance(50),
        chunked: dice.chance(30),
    }
}

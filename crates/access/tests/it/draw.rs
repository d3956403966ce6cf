//! Settings drawn by chance from a small world, in which everything touches everything else.

use std::fmt::Write;

/// Numbers by chance that are the same for the same seed (xorshift64*).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn seeded(seed: u64) -> Dice {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        dice.below(2);
        dice
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).unwrap() % end
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    pub(crate) fn one<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// Some of them, in an order by chance.
    pub(crate) fn some(&mut self, all: &[&str], most: usize) -> Vec<String> {
        let count = self.below(most + 1);
        let mut chosen: Vec<String> = (0..count).map(|_| (*self.one(all)).to_owned()).collect();
        chosen.dedup();
        chosen
    }

    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at + 1));
        }
    }
}

const CLIENTS: [&str; 12] = [
    "10.0.0.5",
    "10.0.0.0/24",
    "10.0.0.0/8",
    "192.0.2.66",
    "192.0.2.0/24",
    "2001:db8::/32",
    "2001:db8::5",
    "0.0.0.0/1",
    "partner.example",
    "a.partner.example",
    "other.example",
    "10.0.0.6",
];
const HOLDERS: [&str; 8] =
    ["account:u1", "account:u2", "account:U3", "group:a", "group:b", "group:C", "group:d", "account:ex1"];
const BORROWERS: [&str; 8] = [
    "account:u1",
    "group:a",
    "group:b",
    "peer:ex1",
    "peer:ex2",
    "client:10.0.0.0/24",
    "client:192.0.2.66",
    "client:2001:db8::/32",
];
const LENT: [&str; 4] = ["news@corp.example", "\\\"a b\\\"@corp.example", "@news.example", "x@ext.example"];
const FILTERED: [&str; 6] = [
    "news@corp.example",
    "somebody.else@old.example",
    "@corp2.example",
    "carol@strangers.example",
    "@ext.example",
    "@junk.example",
];
/// Behind it, an entry is over; or it is not for long.
const ENDS: [&str; 2] = ["2026-01-31", "2027-01-31"];

/// A list of entries, each with its key if it is a table.
pub(crate) type Entries = Vec<String>;

/// One virtual server.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) connection: (bool, Entries),
    pub(crate) applies_to_anonymous: bool,
    pub(crate) anonymous: bool,
    pub(crate) submit: (Option<Entries>, Entries),
    pub(crate) relay_only: bool,
    pub(crate) relay_list: Entries,
    pub(crate) relay_authenticated: bool,
    pub(crate) relay: (Entries, Entries),
    pub(crate) filters: bool,
    send_as: Vec<(&'static str, &'static str)>,
    auth: bool,
    tls: bool,
    tls_required: bool,
}

/// Settings.
#[derive(Clone, Debug)]
pub(crate) struct Draw {
    pub(crate) servers: Vec<Server>,
    pub(crate) loans: Vec<String>,
    pub(crate) remote: Vec<(&'static str, bool)>,
    pub(crate) filtered: (Entries, bool),
    listed: bool,
    asked: bool,
    peers: Vec<[bool; 5]>,
}

fn entries(dice: &mut Dice, key: &str, all: &[&str]) -> Entries {
    let mut plain = dice.some(all, 4);
    plain.sort();
    plain.dedup();
    dice.shuffle(&mut plain);
    plain
        .into_iter()
        .map(|text| match dice.below(4) {
            0 => format!("{{ {key} = \"{text}\", expires = \"{}\" }}", dice.one(&ENDS)),
            _ => format!("\"{text}\""),
        })
        .collect()
}

impl Server {
    fn draw(dice: &mut Dice) -> Server {
        const PLACES: [&str; 7] = ["envelope", "from", "sender", "resent_from", "outside", "null_sender", "anonymous"];
        let tls = dice.coin();
        Server {
            connection: (dice.coin(), entries(dice, "client", &CLIENTS)),
            applies_to_anonymous: dice.coin(),
            anonymous: dice.below(3) > 0,
            submit: (
                dice.coin().then(|| entries(dice, "who", &HOLDERS)),
                if dice.coin() { entries(dice, "who", &HOLDERS) } else { vec![] },
            ),
            relay_only: dice.below(4) > 0,
            relay_list: entries(dice, "client", &CLIENTS),
            relay_authenticated: dice.coin(),
            relay: (
                if dice.coin() { entries(dice, "who", &HOLDERS) } else { vec![] },
                if dice.coin() { entries(dice, "who", &HOLDERS) } else { vec![] },
            ),
            filters: dice.below(3) == 0,
            send_as: PLACES.map(|place| (place, *dice.one(&["refuse", "mark", "off"]))).into(),
            auth: dice.below(4) > 0,
            tls,
            tls_required: tls && dice.below(4) == 0,
        }
    }

    fn text(&self, name: &str, port: usize, out: &mut String) {
        let list = |entries: &Entries| format!("[{}]", entries.join(", "));
        let applies = if self.applies_to_anonymous { "anonymous" } else { "everyone" };
        let mode = |only: bool| if only { "only" } else { "all-except" };
        let _ = writeln!(out, "[virtual_server.{name}]\nlisten = [\"10.0.0.1:{port}\"]");
        let (only, entries) = &self.connection;
        let _ = writeln!(out, "connection_control.mode = \"{}\"", mode(*only));
        let _ = writeln!(out, "connection_control.list = {}", list(entries));
        let _ = writeln!(out, "connection_control.applies_to = \"{applies}\"");
        let _ = writeln!(out, "authentication.anonymous = {}", self.anonymous);
        if self.auth {
            out.push_str(
                "authentication.mechanisms = [\"SCRAM-SHA-256\"]\nauthentication.directories = [\"people\"]\n",
            );
        }
        if let Some(allow) = &self.submit.0 {
            let _ = writeln!(out, "submit.allow = {}", list(allow));
        }
        let _ = writeln!(out, "submit.deny = {}", list(&self.submit.1));
        let _ = writeln!(out, "relay.mode = \"{}\"\nrelay.list = {}", mode(self.relay_only), list(&self.relay_list));
        let _ = writeln!(out, "relay.authenticated = {}", self.relay_authenticated);
        let _ = writeln!(out, "relay.allow = {}\nrelay.deny = {}", list(&self.relay.0), list(&self.relay.1));
        let _ = writeln!(out, "filters.sender = {}", self.filters);
        for (place, action) in &self.send_as {
            let _ = writeln!(out, "send_as.{place} = \"{action}\"");
        }
        if self.tls {
            out.push_str("tls.certificates = [{ certificate = \"/c.pem\", key = \"/c.key\" }]\n");
        }
        if self.tls_required {
            out.push_str("tls.mode = \"required\"\n");
        }
    }
}

impl Draw {
    pub(crate) fn new(dice: &mut Dice) -> Draw {
        let loans = (0..dice.below(4)).map(|_| {
            let end = match dice.below(3) {
                0 => format!("expires = \"{}\"\n", dice.one(&ENDS)),
                _ => String::new(),
            };
            format!("who = \"{}\"\naddresses = [\"{}\"]\n{end}", dice.one(&BORROWERS), dice.one(&LENT))
        });
        Draw {
            loans: loans.collect::<Vec<_>>(),
            servers: (0..1 + dice.below(2)).map(|_| Server::draw(dice)).collect(),
            remote: [("partner.example", dice.coin()), ("*.below.example", dice.coin())].into_iter().collect(),
            filtered: (if dice.coin() { entries(dice, "address", &FILTERED) } else { vec![] }, dice.below(3) == 0),
            listed: dice.coin(),
            asked: dice.coin(),
            peers: (0..2).map(|_| [(); 5].map(|()| dice.coin())).collect(),
        }
    }

    /// The text of the settings; whoever would be an open relay insists on it.
    pub(crate) fn text(&self) -> String {
        let mut out = "hostname = \"mx.corp.example\"\nstate_dir = \"/var/lib/bridgehead\"\n".to_owned();
        out.push_str("[organization]\ndomains = [\"corp.example\", \"corp2.example\"]\n");
        out.push_str("alias_domains = { \"old.example\" = \"corp.example\" }\n");
        if self.listed {
            out.push_str("recipients = [\"alice@corp.example\"]\n");
        }
        if self.asked {
            out.push_str("recipients_in = [\"people\"]\n");
        }
        for loan in &self.loans {
            let _ = write!(out, "[[organization.send_as]]\n{loan}");
        }
        out.push_str("[directory.file.people]\npath = \"/accounts\"\n");
        for (at, [addresses, submit, relay, anybody, bypass]) in self.peers.iter().enumerate() {
            let _ = writeln!(out, "[peer.ex{}]\naccounts = [\"ex{}\"]", at + 1, at + 1);
            if *addresses {
                out.push_str("addresses = [\"10.0.0.0/24\"]\n");
            }
            let _ = writeln!(out, "submit = {submit}\nrelay = {relay}\nsend_as_anybody = {anybody}");
            let _ = writeln!(out, "bypass_filters = {bypass}");
        }
        let (list, null_sender) = &self.filtered;
        let _ = writeln!(out, "[sender_filter]\nlist = [{}]\nnull_sender = {null_sender}", list.join(", "));
        for (name, open) in &self.remote {
            let _ = writeln!(out, "[remote_domain.\"{name}\"]\nallow_relay = {open}");
        }
        for (at, server) in self.servers.iter().enumerate() {
            server.text(["in", "out"][at], 25 + at, &mut out);
        }
        out
    }
}

//! What is measured, and what is to be reached.

use clap::ValueEnum;

use super::figures::Hop;
use super::server::Server;

/// A part of the measurement that can be asked for alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
    /// Many small messages on each connection: accepted and relayed
    Relay,
    /// The same from smtp-source into smtp-sink
    Source,
    /// Messages of 100 KiB and 5 MiB
    Large,
    /// 50 recipients for each message
    Recipients,
    /// A connection for each message
    Connections,
    /// STARTTLS, for each connection and for each message
    Tls,
    /// 200 messages each second, and how long each takes
    Steady,
    /// 10,000 connections that say nothing
    Idle,
    /// 100,000 messages queued, a restart, and the way out
    Queue,
}

/// Who sends and who takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// Our own `load`, both ends.
    Load,
    /// smtp-source and smtp-sink.
    SmtpSource,
}

/// Messages of one kind, as many as go.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) part: Part,
    pub(super) client: Client,
    pub(super) connections: u32,
    pub(super) octets: u32,
    pub(super) recipients: u32,
    /// A connection for each message.
    pub(super) one_each: bool,
    pub(super) tls: bool,
    /// In each turn of ours and of Postfix, which takes so much longer.
    pub(super) messages: (u32, u32),
    pub(super) accept: Target,
    pub(super) relay: Target,
}

/// What is to be reached: times the rate of Postfix, and the share of the ceiling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) times: Option<f64>,
    pub(super) share: Option<f64>,
}

/// A piece of work.
#[derive(Clone, Debug)]
pub(super) enum Work {
    Load(Shape),
    Steady,
    Idle,
    Queue,
}

/// Of 1 KiB, in a turn of ours.
pub(super) const MESSAGES: u32 = 10_000;

/// Messages in each turn of a server that only stands beside, and its rounds.
pub(super) const BESIDE_MESSAGES: u32 = 300;
pub(super) const BESIDE_ROUNDS: usize = 3;

pub(super) const KIB: u32 = 1024;
pub(super) const LARGE: u32 = 5 * KIB * KIB;

pub(super) const STEADY_RATE: u32 = 200;
pub(super) const STEADY_SECONDS: u32 = 10;
pub(super) const STEADY_CONNECTIONS: u32 = 10;
pub(super) const STEADY_P99_US: f64 = 1_000.0;

/// Connections that are held; Postfix, with a process for each, holds fewer.
pub(super) const IDLE: (u32, u32) = (10_000, 200);
pub(super) const IDLE_TRIES: u32 = 20;
pub(super) const IDLE_EACH_OCTETS: f64 = 8.0 * 1024.0;
pub(super) const IDLE_GREETING_MS: f64 = 50.0;

/// Messages that are queued; Postfix would take minutes for as many.
pub(super) const QUEUED: (u32, u32) = (100_000, 3_000);
pub(super) const QUEUE_CONNECTIONS: u32 = 100;
pub(super) const QUEUE_OCTETS: u32 = KIB;
pub(super) const QUEUE_MIB: f64 = 64.0;
pub(super) const QUEUE_RESTART_MS: f64 = 1_000.0;
pub(super) const QUEUE_TIMES: f64 = 15.0;

const NONE: Target = Target { times: None, share: None };

const fn times(times: f64) -> Target {
    Target { times: Some(times), share: None }
}

const fn both(times: f64, share: f64) -> Target {
    Target { times: Some(times), share: Some(share) }
}

/// Everything, in the order of the page.
pub(super) fn work(quick: bool) -> Vec<Work> {
    let mut shapes = small(if quick { &[10, 100] } else { &[1, 10, 100, 500] }, if quick { &[1] } else { &[1, 4] });
    for connections in [10, 100] {
        for kib in [1, 4] {
            if !quick || (connections, kib) == (10, 1) {
                let messages = (4_000, 1_000);
                shapes.push(Shape {
                    part: Part::Source,
                    client: Client::SmtpSource,
                    messages,
                    ..many(connections, kib)
                });
            }
        }
    }
    shapes.extend(others());
    let mut work: Vec<Work> = shapes.into_iter().map(Work::Load).collect();
    work.extend([Work::Steady, Work::Idle, Work::Queue]);
    work
}

fn small(connections: &[u32], kib: &[u32]) -> Vec<Shape> {
    let pairs = connections.iter().flat_map(|&connections| kib.iter().map(move |&kib| (connections, kib)));
    pairs.map(|(connections, kib)| many(connections, kib)).collect()
}

/// Small messages, many on each connection.
fn many(connections: u32, kib: u32) -> Shape {
    let one = connections == 1;
    Shape {
        part: Part::Relay,
        client: Client::Load,
        connections,
        octets: kib * KIB,
        recipients: 1,
        one_each: false,
        tls: false,
        messages: if one { (MESSAGES / 4, 300) } else { (MESSAGES, 1_000) },
        accept: if one { times(12.0) } else { both(40.0, 0.6) },
        relay: if one { times(12.0) } else { both(25.0, 0.35) },
    }
}

/// One departure at a time from small messages over ten connections.
fn others() -> Vec<Shape> {
    let same = |target| Shape { accept: target, relay: target, ..many(10, 1) };
    vec![
        Shape { part: Part::Large, octets: 100 * KIB, messages: (1_000, 300), ..same(times(15.0)) },
        Shape { part: Part::Large, octets: LARGE, messages: (40, 20), ..same(both(2.0, 0.8)) },
        Shape { part: Part::Recipients, recipients: 50, messages: (2_000, 200), ..same(times(20.0)) },
        Shape { part: Part::Connections, one_each: true, messages: (5_000, 600), ..same(times(10.0)) },
        Shape { part: Part::Tls, tls: true, ..same(NONE) },
        Shape { part: Part::Tls, tls: true, one_each: true, messages: (3_000, 300), ..same(times(15.0)) },
    ]
}

impl Work {
    pub(super) fn part(&self) -> Part {
        match self {
            Self::Load(shape) => shape.part,
            Self::Steady => Part::Steady,
            Self::Idle => Part::Idle,
            Self::Queue => Part::Queue,
        }
    }

    pub(super) fn shape(&self) -> Option<&Shape> {
        match self {
            Self::Load(shape) => Some(shape),
            Self::Steady | Self::Idle | Self::Queue => None,
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Load(shape) => shape.name(),
            Self::Steady => format!("{STEADY_RATE} messages/s"),
            Self::Idle => "idle connections".to_owned(),
            Self::Queue => "queued messages".to_owned(),
        }
    }

    /// Which server takes a turn, and whether its next hop is up.
    pub(super) fn turns(&self) -> Vec<(Server, Hop)> {
        let (ours, theirs) = (Server::Bridgehead, Server::Postfix);
        match self {
            // The sink has no TLS.
            Self::Load(shape) => {
                let ceiling = (!shape.tls).then_some((Server::Ceiling, Hop::Up));
                let turns = [(ours, Hop::Up), (theirs, Hop::Up), (ours, Hop::Down), (theirs, Hop::Down)];
                let beside = Server::BESIDE.map(|server| (server, Hop::Up)).into_iter().filter(|_| shape.has_company());
                ceiling.into_iter().chain(turns).chain(beside).collect()
            }
            Self::Steady | Self::Idle => vec![(ours, Hop::Up), (theirs, Hop::Up)],
            Self::Queue => vec![(ours, Hop::Down), (theirs, Hop::Down)],
        }
    }

    /// Three of what takes long and varies little, so that a whole run takes less than twenty minutes.
    pub(super) fn most_rounds(&self) -> usize {
        match self {
            Self::Load(Shape { part: Part::Source, .. }) | Self::Idle | Self::Queue => 3,
            Self::Load(_) | Self::Steady => usize::MAX,
        }
    }
}

impl Shape {
    /// Whether servers other than Postfix are measured too.
    pub(super) fn has_company(&self) -> bool {
        self.part == Part::Relay && self.connections == 10
    }

    /// Without the part that its table says.
    pub(super) fn size(&self) -> String {
        let octets = self.octets;
        if octets.is_multiple_of(KIB * KIB) {
            format!("{} MiB", octets / KIB / KIB)
        } else {
            format!("{} KiB", octets / KIB)
        }
    }

    /// What is special about it.
    pub(super) fn remark(&self) -> &'static str {
        match (self.client, self.tls, self.one_each, self.recipients) {
            (Client::SmtpSource, ..) => "smtp-source, smtp-sink",
            (_, true, true, _) => "STARTTLS and a connection for each message",
            (_, true, false, _) => "STARTTLS once on each connection",
            (_, _, true, _) => "a connection for each message",
            (_, _, _, 1) => "",
            (..) => "50 recipients for each message",
        }
    }

    fn name(&self) -> String {
        let remark = self.remark();
        let comma = if remark.is_empty() { "" } else { ", " };
        let plural = if self.connections == 1 { "" } else { "s" };
        format!("{} connection{plural}, {}{comma}{remark}", self.connections, self.size())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_have_the_same_name() {
        let mut names: Vec<String> = work(false).iter().map(Work::name).collect();
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(work(true).len() < count);
    }

    #[test]
    fn sizes_are_said_as_people_say_them() {
        assert_eq!(many(1, 4).size(), "4 KiB");
        assert_eq!(Shape { octets: LARGE, ..many(1, 1) }.size(), "5 MiB");
    }
}

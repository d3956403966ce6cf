//! One turn of one server.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::{Reserved, foreign};

use super::Bench;
use super::catalogue::{self, Client, Shape, Work};
use super::figures::{self as figure, Figures, Hop};
use super::machine;
use super::program::{Held, Program, Sent, Sink};
use super::server::{Needs, Running, Server};
use super::usage::{Meter, Usage, memory_kib};

const NEXT_HOP: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 60);

/// How long the slowest turn may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Messages for one run of the client.
#[derive(Clone, Copy)]
struct Mail {
    connections: u32,
    messages: u32,
    octets: u32,
    recipients: u32,
    one_each: bool,
    tls: bool,
    rate: Option<u32>,
}

pub(super) fn turn(bench: &Bench, work: &Work, server: Server, hop: Hop) -> Result<Figures> {
    match work {
        Work::Load(shape) if shape.client == Client::SmtpSource => smtp_source(bench, shape, server, hop),
        Work::Load(shape) => load(bench, shape, server, hop),
        Work::Steady => steady(server),
        Work::Idle => idle(server),
        Work::Queue => queue(bench, server),
    }
}

/// As many messages as go, from our own client to our own sink.
fn load(bench: &Bench, shape: &Shape, server: Server, hop: Hop) -> Result<Figures> {
    if server == Server::Ceiling && shape.octets == catalogue::LARGE {
        // The disk is nearer than what client and sink reach.
        return Ok(Figures::default().with(figure::ACCEPT, machine::disk_bandwidth()? / f64::from(shape.octets)));
    }
    let mail = Mail::of(shape, bench.messages(shape, server));
    let mut sink = Sink::start(SocketAddr::new(NEXT_HOP.into(), 0))?;
    if server == Server::Ceiling {
        let sent: Sent = mail.start(sink.address())?.finish()?;
        return Ok(accepted(&sent));
    }
    let tls = shape.tls.then_some(&bench.certificate);
    let closed = Reserved::on(&NEXT_HOP.to_string());
    let next_hop = if hop == Hop::Up { sink.address() } else { closed.address() };
    let running = Running::start(server, &Needs { next_hop, connections: shape.connections, tls })?;
    warm_up(&running, mail, (hop == Hop::Up).then_some(&mut sink))?;
    let before = sink.recipients()?;
    let ready = mail.start(running.address())?;
    let (meter, start) = (Meter::begin(running.id()), Instant::now());
    let sent: Sent = ready.finish()?;
    let mut figures = accepted(&sent);
    if hop == Hop::Up {
        let all = before + u64::from(mail.messages) * u64::from(mail.recipients);
        let relayed = wait_for(&mut sink, all, start)?;
        figures = figures.with(figure::RELAY, f64::from(mail.messages) / relayed.as_secs_f64());
    }
    Ok(figures.extend(cost(&meter.usage(), mail.messages)))
}

/// The same from Postfix's client to Postfix's sink.
fn smtp_source(bench: &Bench, shape: &Shape, server: Server, hop: Hop) -> Result<Figures> {
    let messages = bench.messages(shape, server);
    let source = foreign::Source {
        sessions: shape.connections,
        messages,
        bytes: shape.octets,
        from: "x@ext.example",
        to: "bob@corp2.example",
        reuse: true,
    };
    let rate = |took: Duration| f64::from(messages) / took.as_secs_f64();
    let sink = foreign::Sink::start(&NEXT_HOP.to_string()).context("smtp-sink is not installed")?;
    if server == Server::Ceiling {
        return Ok(Figures::default().with(figure::ACCEPT, rate(source.run(sink.address()))));
    }
    let closed = Reserved::on(&NEXT_HOP.to_string());
    let next_hop = if hop == Hop::Up { sink.address() } else { closed.address() };
    let running = Running::start(server, &Needs { next_hop, connections: shape.connections, tls: None })?;
    let address = running.address();
    let _ = foreign::Source { messages: shape.connections, ..source }.run(address);
    let arrived = |messages: u32| {
        e2e::until_within(PATIENCE, "messages in smtp-sink", || (sink.count() >= u64::from(messages)).then_some(()));
    };
    if hop == Hop::Up {
        arrived(shape.connections);
    }
    let (meter, start) = (Meter::begin(running.id()), Instant::now());
    let mut figures = Figures::default().with(figure::ACCEPT, rate(source.run(address)));
    if hop == Hop::Up {
        arrived(shape.connections + messages);
        figures = figures.with(figure::RELAY, rate(start.elapsed()));
    }
    Ok(figures.extend(cost(&meter.usage(), messages)))
}

/// A message every few milliseconds, and how long each takes.
fn steady(server: Server) -> Result<Figures> {
    let messages = catalogue::STEADY_RATE * catalogue::STEADY_SECONDS;
    let connections = catalogue::STEADY_CONNECTIONS;
    let mail = Mail { rate: Some(catalogue::STEADY_RATE), ..Mail::small(connections, messages) };
    let mut sink = Sink::start(SocketAddr::new(NEXT_HOP.into(), 0))?;
    let running = Running::start(server, &Needs { next_hop: sink.address(), connections, tls: None })?;
    warm_up(&running, mail, Some(&mut sink))?;
    let ready = mail.start(running.address())?;
    let meter = Meter::begin(running.id());
    let sent: Sent = ready.finish()?;
    let figures = Figures::default()
        .with(figure::MESSAGE_P50, sent.message_us.p50)
        .with(figure::MESSAGE_P99, sent.message_us.p99)
        .with(figure::MESSAGE_MAX, sent.message_us.max)
        .with(figure::CONTENT_P50, sent.content_us.p50)
        .with(figure::CONTENT_P99, sent.content_us.p99)
        .with(figure::CONTENT_MAX, sent.content_us.max)
        .with(figure::LATE, f64::from(sent.late));
    Ok(figures.extend(cost(&meter.usage(), messages)))
}

/// Connections that say nothing.
fn idle(server: Server) -> Result<Figures> {
    let connections = theirs_if(server, catalogue::IDLE);
    let sink = Sink::start(SocketAddr::new(NEXT_HOP.into(), 0))?;
    let running = Running::start(server, &Needs { next_hop: sink.address(), connections, tls: None })?;
    warm_up(&running, Mail::small(1, 1), None)?;
    let before = memory_kib(running.id());
    let address = running.address();
    let arguments: [&dyn std::fmt::Display; 7] =
        [&"idle", &"--to", &address, &"--connections", &connections, &"--tries", &catalogue::IDLE_TRIES];
    let mut program = Program::start(&arguments)?;
    ensure!(program.line()? == "held", "load does not hold them");
    let grown = memory_kib(running.id()).saturating_sub(before);
    program.go_on()?;
    let held: Held = program.report()?;
    ensure!(held.held == connections, "only {} of {connections} connections were held", held.held);
    Ok(Figures::default()
        .with(figure::CONNECTIONS, f64::from(held.held))
        .with(figure::EACH, kib(grown) * 1024.0 / f64::from(connections))
        .with(figure::GREETING, held.greeting_us.max / 1000.0))
}

/// Messages that cannot leave, a restart, and then they can.
fn queue(bench: &Bench, server: Server) -> Result<Figures> {
    let messages = bench.scaled(theirs_if(server, catalogue::QUEUED));
    let mail = Mail { octets: catalogue::QUEUE_OCTETS, ..Mail::small(catalogue::QUEUE_CONNECTIONS, messages) };
    let closed = Reserved::on(&NEXT_HOP.to_string());
    let next_hop = closed.address();
    let mut running = Running::start(server, &Needs { next_hop, connections: mail.connections, tls: None })?;
    let _: Sent = mail.start(running.address())?.finish()?;
    let resident = memory_kib(running.id());
    let restart = running.restart()?;
    let restarted = memory_kib(running.id());
    drop(closed);
    let mut sink = Sink::start(next_hop)?;
    let (meter, start) = (Meter::begin(running.id()), Instant::now());
    running.retry()?;
    let drained = wait_for(&mut sink, u64::from(messages), start)?;
    let figures = Figures::default()
        .with(figure::MESSAGES, f64::from(messages))
        .with(figure::RESIDENT, kib(resident) / 1024.0)
        .with(figure::RESTART, drained_ms(restart))
        .with(figure::RESTARTED, kib(restarted) / 1024.0)
        .with(figure::RELAY, f64::from(messages) / drained.as_secs_f64());
    Ok(figures.extend(cost(&meter.usage(), messages)))
}

/// Both servers have then started what they start on demand, for so many connections.
fn warm_up(running: &Running, mail: Mail, sink: Option<&mut Sink>) -> Result<()> {
    let (messages, rate) = (mail.connections, None);
    let octets = mail.octets.min(100 * catalogue::KIB);
    let _: Sent = Mail { messages, octets, rate, one_each: false, ..mail }.start(running.address())?.finish()?;
    if let Some(sink) = sink {
        wait_for(sink, u64::from(messages) * u64::from(mail.recipients), Instant::now())?;
    }
    Ok(())
}

/// Waits until the sink has served so many recipients; tells how long that took since `start`.
fn wait_for(sink: &mut Sink, recipients: u64, start: Instant) -> Result<Duration> {
    loop {
        let have = sink.recipients()?;
        let took = start.elapsed();
        if have >= recipients {
            return Ok(took);
        }
        ensure!(took < PATIENCE, "only {have} of {recipients} arrived in {} s", took.as_secs());
        std::thread::sleep(Duration::from_millis(3));
    }
}

fn accepted(sent: &Sent) -> Figures {
    let messages = f64::from(sent.messages);
    Figures::default()
        .with(figure::ACCEPT, messages / sent.seconds)
        .with(figure::CLIENT, sent.processor_seconds * 1e6 / messages)
        .with(figure::MESSAGE_P50, sent.message_us.p50)
        .with(figure::MESSAGE_P99, sent.message_us.p99)
}

fn cost(usage: &Usage, messages: u32) -> Figures {
    let messages = f64::from(messages);
    let figures = Figures::default()
        .with(figure::PROCESSOR, usage.processor.as_secs_f64() * 1e6 / messages)
        .with(figure::PEAK, kib(usage.peak_kib) / 1024.0);
    match usage.switches {
        Some(switches) => {
            figures.with(figure::SWITCHES, f64::from(u32::try_from(switches).unwrap_or(u32::MAX)) / messages)
        }
        None => figures,
    }
}

/// Ours, or theirs for other servers.
fn theirs_if(server: Server, (ours, theirs): (u32, u32)) -> u32 {
    if server.is_foreign() { theirs } else { ours }
}

fn kib(figure: u64) -> f64 {
    f64::from(u32::try_from(figure).unwrap_or(u32::MAX))
}

fn drained_ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

impl Mail {
    fn of(shape: &Shape, messages: u32) -> Self {
        let Shape { connections, octets, recipients, one_each, tls, .. } = *shape;
        Self { connections, messages, octets, recipients, one_each, tls, rate: None }
    }

    fn small(connections: u32, messages: u32) -> Self {
        let (octets, recipients) = (catalogue::KIB, 1);
        Self { connections, messages, octets, recipients, one_each: false, tls: false, rate: None }
    }

    /// Starts the client; it has opened its connections and waits.
    fn start(&self, server: SocketAddr) -> Result<Ready> {
        let mut arguments: Vec<&dyn std::fmt::Display> = vec![&"send", &"--wait", &"--to", &server];
        arguments.extend::<[&dyn std::fmt::Display; 4]>([
            &"--connections",
            &self.connections,
            &"--messages",
            &self.messages,
        ]);
        arguments.extend::<[&dyn std::fmt::Display; 4]>([&"--octets", &self.octets, &"--recipients", &self.recipients]);
        if self.one_each {
            arguments.push(&"--one-each");
        }
        if self.tls {
            arguments.push(&"--tls");
        }
        if let Some(rate) = &self.rate {
            arguments.push(&"--rate");
            arguments.push(rate);
        }
        let mut program = Program::start(&arguments)?;
        ensure!(program.line()? == "ready", "load is not ready");
        Ok(Ready(program))
    }
}

/// A client with open connections.
struct Ready(Program);

impl Ready {
    fn finish(mut self) -> Result<Sent> {
        self.0.go_on()?;
        self.0.report()
    }
}

impl Bench {
    fn messages(&self, shape: &Shape, server: Server) -> u32 {
        let beside = Server::BESIDE.contains(&server).then_some(catalogue::BESIDE_MESSAGES);
        self.scaled(beside.unwrap_or(theirs_if(server, shape.messages))).max(shape.connections)
    }

    fn scaled(&self, messages: u32) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive count, far from either end"
        )]
        let scaled = (f64::from(messages) * self.scale).round() as u32;
        scaled.max(1)
    }
}

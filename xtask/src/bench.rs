//! Bridgehead against Debian's Postfix, turn by turn in one run, so that whatever else the machine
//! does hits both alike. Postfix's own smtp-source is the client and its smtp-sink the next hop; what
//! those two reach without a server between them is the ceiling of the measurement.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use e2e::foreign::{Postfix, Sink, Source};
use e2e::{Gateway, Reserved};

use crate::test::{cargo, release_program};

mod load;

use load::{Load, Usage};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Rounds; every figure is the median of them
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Messages in each round
    #[arg(long, default_value_t = 2000)]
    messages: u32,
    /// Sessions at the same time
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100])]
    sessions: Vec<u32>,
    /// Bytes in each message
    #[arg(long, value_delimiter = ',', default_values_t = [1024, 4096])]
    bytes: Vec<u32>,
    /// Many messages on each connection instead of one
    #[arg(long)]
    reuse: bool,
    /// Write the tables to docs/performance.md
    #[arg(long)]
    write: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    /// No server: the client speaks to the next hop itself.
    Ceiling,
    Bridgehead,
    Postfix,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Workload {
    /// Until the client has its last 250, while deliveries go on.
    Accept,
    /// Until the client has its last 250, with a next hop that is down.
    Queue,
    /// Until the next hop has the last message.
    Relay,
}

/// One turn of one server.
struct Turn {
    accept: Duration,
    queue: Option<Duration>,
    relay: Duration,
    usage: Option<Usage>,
}

/// One size of load and the turns of all servers under it.
struct Cell {
    sessions: u32,
    bytes: u32,
    turns: Vec<(Server, Turn)>,
}

const CLIENT: &str = "127.0.0.1";
const NEXT_HOP: &str = "127.0.0.60";
const BRIDGEHEAD: &str = "127.0.0.61";
const POSTFIX: &str = "127.0.0.62";

/// Measures, prints the tables and, if asked, writes them down. `BRIDGEHEAD_BIN` names another program
/// than the release build.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(
        Postfix::available(),
        "Postfix is not installed or this is not root: `cargo xtask test --only e2e` installs it"
    );
    if std::env::var_os("BRIDGEHEAD_BIN").is_none() {
        return with_release_build();
    }
    let mut cells = Vec::new();
    for &sessions in &options.sessions {
        for &bytes in &options.bytes {
            cells.push(measure(options, sessions, bytes)?);
        }
    }
    let page = page(options, &cells)?;
    println!("\n{page}");
    if options.write {
        let path = crate::root().join("docs/performance.md");
        fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
        println!("written to {}", path.display());
    }
    Ok(())
}

/// Builds the program and starts this tool again with `BRIDGEHEAD_BIN` set, where the harness looks
/// for it: a process may not change its own environment without `unsafe`.
fn with_release_build() -> Result<()> {
    let built = cargo(&["build", "--release", "--package", "bridgehead"]).status()?;
    ensure!(built.success(), "the program does not build");
    let mut again = Command::new(std::env::current_exe()?);
    let status = again.args(std::env::args_os().skip(1)).env("BRIDGEHEAD_BIN", release_program()).status()?;
    if status.success() { Ok(()) } else { bail!("the measurement failed") }
}

fn measure(options: &Options, sessions: u32, bytes: u32) -> Result<Cell> {
    let mut turns = Vec::new();
    for round in 1..=options.rounds {
        for server in [Server::Ceiling, Server::Bridgehead, Server::Postfix] {
            let turn = turn(server, options, sessions, bytes)?;
            let rate = rate(options.messages, turn.relay);
            println!(
                "{sessions} sessions, {bytes} bytes, round {round}, {}: {rate:.0} messages/s relayed",
                server.name()
            );
            turns.push((server, turn));
        }
    }
    Ok(Cell { sessions, bytes, turns })
}

fn turn(server: Server, options: &Options, sessions: u32, bytes: u32) -> Result<Turn> {
    let (messages, reuse) = (options.messages, options.reuse);
    let source = Source { sessions, messages, bytes, from: "x@ext.example", to: "bob@corp2.example", reuse };
    let sink = Sink::start(NEXT_HOP).context("smtp-sink is not installed")?;
    if server == Server::Ceiling {
        let (accept, relay) = through(&source, sink.address(), &sink, None);
        return Ok(Turn { accept, queue: None, relay, usage: None });
    }
    let running = Running::start(server, sink.address())?;
    let (load, address) = (Load::of(running.id()), running.address());
    let (accept, relay) = through(&source, address, &sink, Some(&load));
    let usage = load.usage();
    drop(running);
    let closed = Reserved::on(NEXT_HOP);
    let running = Running::start(server, closed.address())?;
    let queue = source.run(running.address());
    Ok(Turn { accept, queue: Some(queue), relay, usage: Some(usage) })
}

/// Sends everything; tells when the last 250 came, and when the sink had the last message.
fn through(source: &Source<'_>, server: SocketAddr, sink: &Sink, load: Option<&Load>) -> (Duration, Duration) {
    // One message beforehand: both servers have then started what they start on demand.
    let first = Source { sessions: 1, messages: 1, ..*source };
    let _ = first.run(server);
    e2e::until("the first message in the sink", || (sink.count() >= 1).then_some(()));
    if let Some(load) = load {
        load.begin();
    }
    let start = Instant::now();
    let accept = source.run(server);
    let all = u64::from(source.messages) + 1;
    let patience = Duration::from_secs(600);
    e2e::until_within(patience, format!("{all} messages in the sink"), || {
        if let Some(load) = load {
            load.sample();
        }
        (sink.count() >= all).then_some(())
    });
    (accept, start.elapsed())
}

/// A server that relays everything to one next hop, with its shipped settings otherwise.
enum Running {
    Bridgehead(Box<Gateway>),
    Postfix(Box<Postfix>),
}

impl Running {
    fn start(server: Server, next_hop: SocketAddr) -> Result<Self> {
        let route = format!("[{}]:{}", next_hop.ip(), next_hop.port());
        if server == Server::Postfix {
            let settings = format!("relayhost = {route}");
            return Ok(Self::Postfix(Box::new(Postfix::start(POSTFIX, &settings).context("Postfix is gone")?)));
        }
        let settings = format!(
            "[organization]\ndomains = [\"corp.example\"]\n\
             [virtual_server.outbound]\nlisten = [\"{BRIDGEHEAD}:0\"]\n\
             [virtual_server.outbound.relay]\nmode = \"only\"\nlist = [\"{CLIENT}\"]\n\
             [virtual_server.outbound.limits]\nconnections_per_address = 1000\n\
             [virtual_server.outbound.delivery]\nsmart_hosts = [\"{route}\"]\n"
        );
        Ok(Self::Bridgehead(Box::new(Gateway::start(&settings))))
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Bridgehead(gateway) => gateway.address("outbound"),
            Self::Postfix(postfix) => postfix.address(),
        }
    }

    fn id(&self) -> u32 {
        match self {
            Self::Bridgehead(gateway) => gateway.id(),
            Self::Postfix(postfix) => postfix.id(),
        }
    }
}

impl Server {
    fn name(self) -> &'static str {
        match self {
            Self::Ceiling => "ceiling",
            Self::Bridgehead => "Bridgehead",
            Self::Postfix => "Postfix",
        }
    }
}

impl Workload {
    fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Queue => "accept, next hop down",
            Self::Relay => "relay",
        }
    }

    fn of(self, turn: &Turn) -> Option<Duration> {
        match self {
            Self::Accept => Some(turn.accept),
            Self::Queue => turn.queue,
            Self::Relay => Some(turn.relay),
        }
    }
}

impl Cell {
    fn median(&self, server: Server, value: impl Fn(&Turn) -> Option<f64>) -> f64 {
        let turns = self.turns.iter().filter(|(of, _)| *of == server);
        let mut values: Vec<f64> = turns.filter_map(|(_, turn)| value(turn)).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn rate(&self, server: Server, workload: Workload, messages: u32) -> f64 {
        self.median(server, |turn| workload.of(turn).map(|took| rate(messages, took)))
    }
}

fn rate(messages: u32, took: Duration) -> f64 {
    f64::from(messages) / took.as_secs_f64()
}

fn page(options: &Options, cells: &[Cell]) -> Result<String> {
    let mut page = String::from(
        "# Performance\n\nMessages per second, medians; more is better. Written by `cargo xtask bench`.\n\n",
    );
    page.push_str("| workload | sessions | bytes | ceiling | Bridgehead | Postfix | Bridgehead / Postfix |\n|---|---|---|---|---|---|---|\n");
    for cell in cells {
        for workload in [Workload::Accept, Workload::Queue, Workload::Relay] {
            let [ceiling, ours, theirs] = [Server::Ceiling, Server::Bridgehead, Server::Postfix]
                .map(|server| cell.rate(server, workload, options.messages));
            let ceiling = if ceiling.is_nan() { "-".to_owned() } else { format!("{ceiling:.0}") };
            let (name, sessions, bytes, ratio) = (workload.name(), cell.sessions, cell.bytes, ours / theirs);
            writeln!(page, "| {name} | {sessions} | {bytes} | {ceiling} | {ours:.0} | {theirs:.0} | {ratio:.1} |")?;
        }
    }
    page.push_str("\nWhat it costs, while relaying: processor time of the server per message, and its most memory\n");
    page.push_str("(proportional set size: pages shared by Postfix's processes count once).\n\n");
    page.push_str("| sessions | bytes | Bridgehead µs | Postfix µs | Postfix / Bridgehead | Bridgehead MiB | Postfix MiB |\n|---|---|---|---|---|---|---|\n");
    for cell in cells {
        let messages = f64::from(options.messages);
        let micros = |turn: &Turn| turn.usage.as_ref().map(|usage| usage.processor.as_secs_f64() * 1e6 / messages);
        let mebibytes = |turn: &Turn| turn.usage.as_ref().map(|usage| usage.peak_kib / 1024.0);
        let [ours, theirs] = [Server::Bridgehead, Server::Postfix].map(|server| cell.median(server, micros));
        let [our_memory, their_memory] =
            [Server::Bridgehead, Server::Postfix].map(|server| cell.median(server, mebibytes));
        let (sessions, bytes, ratio) = (cell.sessions, cell.bytes, theirs / ours);
        writeln!(
            page,
            "| {sessions} | {bytes} | {ours:.0} | {theirs:.0} | {ratio:.1} | {our_memory:.1} | {their_memory:.1} |"
        )?;
    }
    page.push_str(&circumstances(options));
    Ok(page)
}

fn circumstances(options: &Options) -> String {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(crate::root()).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let command: Vec<String> = std::env::args().skip(1).collect();
    format!(
        "\nMedians of {} rounds of {} messages, {} on each connection; client and next hop on the same machine;\n\
         the servers take turns within each round. Both have their shipped settings, except that Postfix runs outside\n\
         its chroot and logs to a file, and each is told its next hop and that the client may relay.\n\n\
         - Machine: {}, {} processors, Linux {}; queues on {}\n\
         - Bridgehead {}; Postfix {}; Rust {}\n\
         - Command: `cargo xtask {}`, {}\n",
        options.rounds,
        options.messages,
        if options.reuse { "many" } else { "one" },
        model.map_or("unknown processor", |(_, name)| name),
        processor.lines().filter(|line| line.starts_with("processor")).count(),
        said("uname", &["-r"]),
        said("stat", &["-f", "-c", "%T", &std::env::temp_dir().display().to_string()]),
        said("git", &["rev-parse", "--short", "HEAD"]),
        said("postconf", &["-d", "-h", "mail_version"]),
        said("rustc", &["--version"]).split(' ').nth(1).unwrap_or_default(),
        command.join(" "),
        said("date", &["-u", "+%Y-%m-%d"]),
    )
}

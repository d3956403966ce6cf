//! Sends messages over some connections and tells what it took.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::task::JoinSet;

use crate::connection::{Connection, Opening};
use crate::content::Transaction;
use crate::latency::{Latencies, Summary};
use crate::tls;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The server
    #[arg(long)]
    to: SocketAddr,
    /// Connections at the same time
    #[arg(long, default_value_t = 1)]
    connections: u32,
    /// Messages in all
    #[arg(long, default_value_t = 1)]
    messages: u32,
    /// Octets of content in each
    #[arg(long, default_value_t = 1024)]
    octets: usize,
    /// Recipients of each
    #[arg(long, default_value_t = 1)]
    recipients: usize,
    /// A new connection for each message
    #[arg(long)]
    one_each: bool,
    /// STARTTLS on every connection
    #[arg(long)]
    tls: bool,
    /// One command at a time, even if the server would take more
    #[arg(long)]
    no_pipelining: bool,
    /// Messages each second, spread evenly, instead of as many as go
    #[arg(long)]
    rate: Option<u32>,
    /// Print `ready` when all connections are open and go on when a line is read
    #[arg(long)]
    wait: bool,
}

#[derive(Serialize)]
struct Report {
    messages: u32,
    /// From the first octet of the first message to the last reply.
    seconds: f64,
    /// Our own processor time meanwhile.
    processor_seconds: f64,
    /// From the first octet of MAIL to the 250 behind the content, microseconds.
    message_us: Summary,
    /// From the first octet of the content to the same 250.
    content_us: Summary,
    /// With a rate: messages that began noticeably after their time, because their connection was busy.
    late: u32,
}

struct Run {
    opening: Opening,
    transaction: Transaction,
    options: Options,
    begun: Cell<u32>,
    late: Cell<u32>,
    message: RefCell<Latencies>,
    content: RefCell<Latencies>,
}

/// A timer of the runtime fires up to a millisecond after its time, and on a busy machine so much more.
const LATE: Duration = Duration::from_millis(3);

pub(crate) async fn run(options: Options) -> Result<()> {
    ensure!(options.connections > 0 && options.messages > 0 && options.recipients > 0, "nothing to do");
    ensure!(options.rate.is_none_or(|rate| rate > 0), "a rate of nothing");
    let tls = if options.tls { Some(tls::connector()?) } else { None };
    let opening = Opening { server: options.to, sources: 1, pipelining: !options.no_pipelining, tls };
    let capacity = usize::try_from(options.messages)?;
    let run = Rc::new(Run {
        opening,
        transaction: Transaction::new(options.octets, options.recipients),
        options,
        begun: Cell::new(0),
        late: Cell::new(0),
        message: RefCell::new(Latencies::with_capacity(capacity)),
        content: RefCell::new(Latencies::with_capacity(capacity)),
    });
    let mut open = open(&run).await?;
    if run.options.wait {
        println!("ready");
        let mut line = String::new();
        let read = BufReader::new(tokio::io::stdin()).read_line(&mut line).await?;
        ensure!(read > 0, "nobody said go");
    }
    let (start, processor) = (Instant::now(), processor_seconds());
    let mut tasks = JoinSet::new();
    for number in 0..run.options.connections {
        tasks.spawn_local(send(Rc::clone(&run), number, open.pop(), start));
    }
    while let Some(sent) = tasks.join_next().await {
        sent??;
    }
    let seconds = start.elapsed().as_secs_f64();
    let processor_seconds = processor_seconds() - processor;
    tell(&run, seconds, processor_seconds)
}

/// All connections, unless each message gets its own. Some at a time: a server that starts a process
/// for each must not be run over before the measurement has begun.
async fn open(run: &Rc<Run>) -> Result<Vec<Connection>> {
    let mut open = Vec::new();
    if run.options.one_each {
        return Ok(open);
    }
    let mut tasks = JoinSet::new();
    for number in 0..run.options.connections {
        let run = Rc::clone(run);
        tasks.spawn_local(async move { run.opening.ready(number).await });
        if tasks.len() >= 20 {
            open.extend(tasks.join_next().await.transpose()?.transpose()?);
        }
    }
    while let Some(connection) = tasks.join_next().await {
        open.push(connection??);
    }
    Ok(open)
}

/// Takes the next message and sends it until there are no more.
async fn send(run: Rc<Run>, number: u32, mut open: Option<Connection>, start: Instant) -> Result<()> {
    let mut turn = number;
    while run.next() {
        if let Some(rate) = run.options.rate {
            run.wait_for(start + Duration::from_secs(1) * turn / rate).await;
            turn += run.options.connections;
        }
        let mut connection = match open.take() {
            Some(connection) => connection,
            None => run.opening.ready(number).await?,
        };
        run.message(&mut connection).await.with_context(|| format!("connection {number}"))?;
        if run.options.one_each {
            connection.quit().await?;
        } else {
            open = Some(connection);
        }
    }
    Ok(())
}

impl Run {
    fn next(&self) -> bool {
        let more = self.begun.get() < self.options.messages;
        self.begun.set(self.begun.get() + 1);
        more
    }

    async fn wait_for(&self, due: Instant) {
        tokio::time::sleep_until(due.into()).await;
        if due.elapsed() >= LATE {
            self.late.set(self.late.get() + 1);
        }
    }

    async fn message(&self, connection: &mut Connection) -> Result<()> {
        let start = Instant::now();
        connection.envelope(&self.transaction).await?;
        let middle = Instant::now();
        connection.content(&self.transaction).await?;
        let end = Instant::now();
        self.message.borrow_mut().note(end - start);
        self.content.borrow_mut().note(end - middle);
        Ok(())
    }
}

fn tell(run: &Run, seconds: f64, processor_seconds: f64) -> Result<()> {
    let report = Report {
        messages: run.options.messages,
        seconds,
        processor_seconds,
        message_us: run.message.take().summary(),
        content_us: run.content.take().summary(),
        late: run.late.get(),
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn processor_seconds() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let nanoseconds = u32::try_from(used.tv_nsec).unwrap_or_default();
    Duration::new(used.tv_sec.unsigned_abs(), nanoseconds).as_secs_f64()
}

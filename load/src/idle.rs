//! Many connections that say nothing, from many addresses, and how long a newcomer waits meanwhile.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::task::JoinSet;

use crate::connection::{Connection, Opening};
use crate::latency::{Latencies, Summary};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The server
    #[arg(long)]
    to: SocketAddr,
    /// Connections to hold
    #[arg(long, default_value_t = 10_000)]
    connections: u32,
    /// Addresses they come from, 127.0.0.1 and those after it
    #[arg(long, default_value_t = 1_000)]
    sources: u32,
    /// New connections to try while they are held
    #[arg(long, default_value_t = 20)]
    tries: u32,
}

/// Printed at the end.
#[derive(Serialize)]
struct Report {
    /// Connections that were open and silent to the end.
    held: u32,
    /// From connecting to the end of the greeting, microseconds.
    greeting_us: Summary,
}

/// Prints `held` when all connections are open and have said EHLO; at each line of input goes on:
/// first to the tries, then to the end.
pub(crate) async fn run(options: Options) -> Result<()> {
    let opening = Opening { server: options.to, sources: options.sources, pipelining: true, tls: None };
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    let held = open(Rc::new(opening.clone()), options.connections).await?;
    println!("held");
    input.next_line().await?;
    let mut greetings = Latencies::default();
    for number in 0..options.tries {
        let start = Instant::now();
        let mut newcomer = opening.greeted(number).await?;
        greetings.note(start.elapsed());
        newcomer.quit().await?;
    }
    let silent = held.iter().filter(|connection| connection.still_silent().is_ok()).count();
    let report = Report { held: u32::try_from(silent)?, greeting_us: greetings.summary() };
    println!("{}", serde_json::to_string(&report)?);
    input.next_line().await?;
    Ok(())
}

async fn open(opening: Rc<Opening>, connections: u32) -> Result<Vec<Connection>> {
    let mut held = Vec::new();
    let mut tasks = JoinSet::new();
    for number in 0..connections {
        let opening = Rc::clone(&opening);
        let ready = async move { opening.ready(number).await.with_context(|| format!("connection {number}")) };
        tasks.spawn_local(ready);
        // As many as a backlog takes.
        if tasks.len() >= 100 {
            held.extend(tasks.join_next().await.transpose()?.transpose()?);
        }
    }
    while let Some(connection) = tasks.join_next().await {
        held.push(connection??);
    }
    Ok(held)
}

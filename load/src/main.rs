//! The client and the next hop of `cargo xtask bench`: one thread, prepared octets, no allocation for
//! each message, so that what is measured is the server between them. Every reply is read, and
//! anything but success ends the run.
#![allow(clippy::disallowed_methods, reason = "a tool outside the product: real clocks and sockets")]

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
use tokio::task::LocalSet;

mod connection;
mod content;
mod idle;
mod latency;
mod send;
mod sink;
mod tls;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Sends messages and prints what it took as one JSON object
    Send(send::Options),
    /// Holds connections that say nothing, and on request measures how long a new one waits
    Idle(idle::Options),
    /// Accepts everything and counts it
    Sink(sink::Options),
}

fn main() -> ExitCode {
    // Whoever started us reads our figures; without a reader there is nothing to go on for.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    allow_descriptors();
    match run(Arguments::parse().role) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(role: Role) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Dropped with the runtime: a task that waits for input nobody will give does not hold us.
    let done = LocalSet::new().block_on(&runtime, async {
        match role {
            Role::Send(options) => send::run(options).await,
            Role::Idle(options) => idle::run(options).await,
            Role::Sink(options) => sink::run(&options).await,
        }
    });
    runtime.shutdown_background();
    done
}

/// As many descriptors as the machine lets us have.
fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit { current: limit.maximum, ..limit };
    let _ = setrlimit(Resource::Nofile, most);
}

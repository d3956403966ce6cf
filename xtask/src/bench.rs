//! Bridgehead against Debian's Postfix, and beside Exim and OpenSMTPD where they are, turn by turn in one run, so that whatever else the machine
//! does hits both alike. What client and next hop reach without a server between them is the ceiling.
//!
//! What is measured stands in `catalogue`, how in `measure`, the page in `page`.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use e2e::foreign::{Certificate, Postfix};

mod catalogue;
mod figures;
mod guard;
mod machine;
mod measure;
mod page;
mod program;
mod server;
mod usage;

use catalogue::{Part, Work};
use figures::{Cell, Turn};
use server::Server;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these parts (by default all of them)
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Only these numbers of connections, where a part has several
    #[arg(long, value_delimiter = ',')]
    connections: Vec<u32>,
    /// Rounds; every figure is the median of them
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Messages of 1 KiB in each turn of Bridgehead; everything else in proportion
    #[arg(long, default_value_t = catalogue::MESSAGES)]
    messages: u32,
    /// A rough picture in two minutes: one round, fewer messages, fewer sizes
    #[arg(long)]
    quick: bool,
    /// Leave other servers out
    #[arg(long)]
    alone: bool,
    /// Where the queues of both are; a disk, not memory
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// Write the tables to docs/performance.md, above its hand-written part
    #[arg(long)]
    write: bool,
    /// Write every figure of every turn to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What all turns share.
struct Bench {
    certificate: Certificate,
    /// Of all message counts.
    scale: f64,
}

/// Measures, prints the tables and, if asked, writes them down.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(
        options.alone || Postfix::available(),
        "Postfix is not installed or this is not root: `cargo xtask test --only e2e` installs it"
    );
    match guard::role() {
        guard::Role::Caller => guard::call(options.directory.as_deref()),
        guard::Role::Guard => guard::watch(),
        guard::Role::Measure => measure_all(options),
    }
}

fn measure_all(options: &Options) -> Result<()> {
    let scale = f64::from(options.messages) / f64::from(catalogue::MESSAGES) * if options.quick { 0.3 } else { 1.0 };
    let certificate = Certificate::for_name("server.example").context("OpenSSL is not installed")?;
    let bench = Bench { certificate, scale };
    let disk = machine::disk_bandwidth()?;
    println!("disk: {:.0} MiB/s", disk / f64::from(1 << 20));
    let work = catalogue::work(options.quick).into_iter().filter(|work| options.wants(work));
    let cells: Vec<Cell> = work.map(|work| cell(&bench, options, work)).collect();
    let facts = machine::facts(options, disk);
    let measured = page::measured(&cells, &facts);
    println!("\n{measured}");
    if let Some(path) = &options.json {
        fs::write(path, figures::json(&cells, &facts)?).with_context(|| format!("cannot write {}", path.display()))?;
        println!("every figure is in {}", path.display());
    }
    if options.write {
        let path = crate::root().join("docs/performance.md");
        let old = fs::read_to_string(&path).unwrap_or_default();
        let page = page::with_hand_written(&measured, &old).context("docs/performance.md has lost its marker")?;
        fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
        println!("written to {}", path.display());
    }
    let failures: Vec<&str> = cells.iter().flat_map(|cell| &cell.failures).map(String::as_str).collect();
    ensure!(failures.is_empty(), "{} turns failed:\n{}", failures.len(), failures.join("\n"));
    Ok(())
}

impl Options {
    fn wants(&self, work: &Work) -> bool {
        let part = self.only.is_empty() || self.only.contains(&work.part());
        let connections = self.connections.is_empty()
            || work.shape().is_none_or(|shape| self.connections.contains(&shape.connections));
        part && connections
    }
}

/// Whether a server has a turn in this round.
fn takes_part(options: &Options, server: Server, round: usize) -> bool {
    let beside = Server::BESIDE.contains(&server);
    (!beside || round <= catalogue::BESIDE_ROUNDS) && (!options.alone || !server.is_foreign()) && server.is_available()
}

/// All turns of one piece of work.
fn cell(bench: &Bench, options: &Options, work: Work) -> Cell {
    let mut cell = Cell { work, turns: Vec::new(), failures: Vec::new() };
    let rounds = if options.quick { 1 } else { options.rounds.min(cell.work.most_rounds()) };
    for round in 1..=rounds {
        for (server, hop) in cell.work.turns().into_iter().filter(|(server, _)| takes_part(options, *server, round)) {
            let what = format!("{}, round {round}, {}{}", cell.work.name(), server.name(), hop.remark());
            let start = Instant::now();
            // The harness of the scenarios panics; one turn that fails must not cost all others.
            let measured = catch_unwind(AssertUnwindSafe(|| measure::turn(bench, &cell.work, server, hop)));
            let measured = measured.unwrap_or_else(|_| Err(anyhow::anyhow!("panicked, see above")));
            let took = start.elapsed().as_secs_f64();
            match measured {
                Ok(figures) => {
                    println!("{what} ({took:.1} s): {figures}");
                    cell.turns.push(Turn { server, hop, round, figures });
                }
                Err(error) => {
                    println!("{what}: FAILED: {error:#}");
                    cell.failures.push(format!("{what}: {error:#}"));
                }
            }
        }
    }
    cell
}

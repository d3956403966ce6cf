//! Our own tools, one file each, instead of shell scripts: `cargo xtask <tool> --help`.
#![allow(clippy::disallowed_methods, reason = "tools outside the product: real clocks and files")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod fuzz;
mod mutants;
mod peers;
mod reference;
mod sizes;
mod source;
mod test;
mod tidy;

/// The tools of the project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Subcommand)]
enum Tool {
    /// Installs what the tests need and runs everything that must hold
    Test(test::Options),
    /// Holds what the compiler does not: the floors, file lengths, links, acceptance ids
    Tidy,
    /// Prints the longest functions and files, and how long functions are in general
    Sizes(sizes::Options),
    /// Rewrites the documents that are generated from the settings types
    Reference,
    /// Measures Bridgehead against Debian's Postfix, turn by turn
    Bench(bench::Options),
    /// Fuzzes every reader of what strangers write
    Fuzz(fuzz::Options),
    /// Tests that no mutant of what decides access survives
    Mutants(mutants::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().tool {
        Tool::Test(options) => test::run(&options),
        Tool::Tidy => tidy::run(),
        Tool::Sizes(options) => sizes::run(&options),
        Tool::Reference => reference::run(),
        Tool::Bench(options) => bench::run(&options),
        Tool::Fuzz(options) => fuzz::run(&options),
        Tool::Mutants(options) => mutants::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Said in one line: what failed has already been printed where it failed.
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the workspace.
fn root() -> PathBuf {
    e2e::foreign::root()
}

//! Bridgehead: a secure SMTP gateway. This is the program: the command line, and this machine as
//! the gateway's world. It knows nothing about mail itself.

mod cli;
mod command;
mod control;
mod objections;
mod self_signed;
mod settings;
mod world;

use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match command::run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bridgehead: {error:#}");
            ExitCode::FAILURE
        }
    }
}

//! What the fuzzer runs: one function for each reader of what strangers wrote.
//!
//! Each target takes any octets at all, reads them with the product's own code and panics if a
//! promise is broken: not only "no panic inside", but that what is accepted means what it says, that
//! the cut of the input does not show, that limits hold. The fuzzer's programs in `fuzz/` call these
//! functions and nothing else; the test beside this crate calls them with every kept input, so what
//! the fuzzer once found is part of the normal tests.
#![allow(clippy::unwrap_used, reason = "a target fails by panicking")]

mod accounts;
mod address;
mod body;
mod client;
mod command;
mod control;
mod differential;
mod dots;
mod envelope;
mod explain;
pub mod growth;
mod guess;
mod header;
mod input;
mod ldap;
mod log;
mod proxy;
mod reply;
mod sasl;
pub mod seeds;
mod server;
mod settings;
mod spool;
mod token;

/// Something the fuzzer can run.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of its program and of its corpus.
    pub name: &'static str,
    /// Reads any octets; panics if a promise is broken.
    pub run: fn(&[u8]),
    /// Octets beyond which a longer input shows nothing new.
    pub longest: usize,
}

/// All targets.
pub const TARGETS: [Target; 26] = [
    target("accounts", accounts::run, 2048),
    target("address", address::run, 1100),
    target("bearer", sasl::bearer::run, 1024),
    target("body", body::run, 2048),
    target("client", client::run, 4096),
    target("command", command::run, 1024),
    target("control", control::run, 1024),
    target("differential", differential::run, 512),
    target("dots", dots::run, 4096),
    target("dump", spool::dump, 4096),
    target("envelope", envelope::run, 1024),
    target("explain", explain::run, 1024),
    target("guess", guess::run, 512),
    target("header", header::run, 4096),
    target("ldap", ldap::run, 2048),
    target("log", log::run, 1024),
    target("ntlm", sasl::ntlm::run, 1024),
    target("password", sasl::password::run, 2600),
    target("proxy", proxy::run, 5000),
    target("reply", reply::run, 8192),
    target("sasl", sasl::run, 2048),
    target("scram", sasl::scram::run, 1024),
    target("server", server::run, 4096),
    target("settings", settings::run, 4096),
    target("spool", spool::run, 4096),
    target("token", token::run, 2048),
];

const fn target(name: &'static str, run: fn(&[u8]), longest: usize) -> Target {
    Target { name, run, longest }
}

/// Runs the target of this name.
///
/// # Panics
/// If a promise is broken, or there is no such target.
pub fn run(name: &str, octets: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a name of the list");
    (target.run)(octets);
}

//! One binary with every scenario; the modules are features, and the names of tests carry the
//! acceptance ids they prove (tests/acceptance.md).
#![allow(clippy::disallowed_methods, reason = "tests of the real program use real files, sockets and threads")]

mod abuse;
mod access;
mod audit;
mod authentication;
mod bounds;
mod clock;
mod commands;
mod crash;
mod delivery;
mod directories;
mod disk;
mod explain;
mod full;
mod hops;
mod integrated;
mod interoperation;
mod invariants;
mod life;
mod limits;
mod peers;
mod published;
mod queue;
mod rights;
mod scarce;
mod split;
mod table;
mod tls;
mod transport;
mod volume;

/// A client that rules name.
const LISTED: &str = "127.0.0.5";
/// A client that no rule names.
const OTHER: &str = "127.0.0.6";
/// Where scripted next hops listen.
const HOP: &str = "127.0.0.9";

/// Mail for corp.example goes to the drop directory, and there are metrics.
const CORP: &str = "
[organization]
domains = [\"corp.example\"]
[metrics]
listen = [\"127.0.0.1:0\"]
";

/// Retries every second.
const IMPATIENT: &str = "
[queue]
retry = { first = \"1 s\", second = \"1 s\", third = \"1 s\", subsequent = \"1 s\" }
";

/// [`CORP`] with one virtual server `inbound` and these tables.
fn inbound(tables: &str) -> String {
    format!("{CORP}\n[virtual_server.inbound]\nlisten = [\"127.0.0.2:0\"]\n{tables}")
}

/// Connection control of `inbound`.
fn control(mode: &str, list: &[&str], applies_to: &str) -> String {
    inbound(&format!(
        "[virtual_server.inbound.connection_control]\nmode = \"{mode}\"\nlist = {list:?}\napplies_to = \"{applies_to}\"\n"
    ))
}

/// Mail for corp.example goes to `route`, by way of a server that is not theirs; so does mail for
/// corp2.example, where the senders of these tests have their mailboxes, to `senders`.
fn published(route: &str, senders: &str) -> String {
    format!(
        "[organization]\ndomains = [\"bogus1.example\"]\n\
         [metrics]\nlisten = [\"127.0.0.1:0\"]\n\
         [virtual_server.inet]\nlisten = [\"127.0.0.2:0\"]\n\
         [remote_domain.\"corp.example\"]\nallow_relay = true\nroute = \"{route}\"\n\
         [remote_domain.\"corp2.example\"]\nallow_relay = true\nroute = \"{senders}\"\n{IMPATIENT}"
    )
}

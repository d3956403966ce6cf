//! `bridgehead audit FILE`

use super::{UNREADABLE, load};
use crate::cli;
use access::{Audit, Severity, Surroundings, html, text};
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;

/// The routes of this host, where the kernel tells them.
const ROUTES: &str = "/proc/net/route";

/// Says who may do what, and what is wrong with that; ends by the worst of it.
pub(super) fn run(audit: &cli::Audit) -> ExitCode {
    let loaded = match load(&audit.file) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::from(UNREADABLE);
        }
    };
    let found = Audit::of(&loaded.name, &loaded.config, &surroundings(), crate::world::wall_clock());
    if audit.json {
        super::print_json(&found);
    } else if audit.html {
        print!("{}", html::audit(&found));
    } else {
        print!("{}", text::audit(&found));
    }
    match found.severity() {
        None | Some(Severity::Notice) => ExitCode::SUCCESS,
        Some(Severity::Warning) => ExitCode::from(1),
        Some(Severity::Critical) => ExitCode::from(2),
    }
}

/// What is known of this host.
pub(crate) fn surroundings() -> Surroundings {
    Surroundings { gateways: gateways() }
}

/// The default gateways of this host, as far as the system says; elsewhere none are known.
#[expect(clippy::disallowed_methods, reason = "the kernel says so in a file, and nobody else asks")]
fn gateways() -> Vec<IpAddr> {
    std::fs::read_to_string(ROUTES).map(|text| default_gateways(&text)).unwrap_or_default()
}

/// The gateways of the routes to everywhere. The kernel writes addresses as the machine keeps them.
fn default_gateways(routes: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (to, by) = (fields.next()?, fields.next()?);
        let by = u32::from_str_radix(by, 16).ok().filter(|by| to == "00000000" && *by != 0)?;
        Some(IpAddr::V4(Ipv4Addr::from(by.to_ne_bytes())))
    };
    routes.lines().filter_map(gateway).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_of_the_route_to_everywhere() {
        let by = u32::from_ne_bytes([192, 0, 2, 1]);
        let routes = format!(
            "Iface\tDestination\tGateway \tFlags\neth0\t00000000\t{by:08X}\t0003\neth0\t000200C0\t00000000\t0001\n"
        );
        assert_eq!(default_gateways(&routes), [IpAddr::from([192, 0, 2, 1])]);
        assert!(default_gateways("nonsense").is_empty());
    }
}

//! The settings a simulation runs under, and what they allow, said a second time and independently.

use super::plan::Law;
use mail::Domain;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// The host of the organization.
pub(super) const INSIDE: &str = "10.0.0.20:25";
/// The second one.
pub(super) const INSIDE_TOO: &str = "10.0.0.21:25";
/// The host of a partner, known by name.
pub(super) const PARTNER: &str = "198.51.100.30:25";
/// The host that takes everything else.
pub(super) const OUTSIDE: &str = "198.51.100.25:25";
/// All next hops.
pub(super) const PEERS: [&str; 4] = [INSIDE, INSIDE_TOO, PARTNER, OUTSIDE];

/// Where the virtual servers listen.
pub(super) const DOORS: [(&str, &str); 2] = [("inbound", "172.16.0.1:25"), ("outbound", "10.0.0.1:25")];

/// The domain of the organization, the partner's, and everybody else's.
pub(super) const DOMAINS: [&str; 3] = ["corp.example", "partner.example", "ext.example"];

/// Clients: strangers, one inside who may not relay, and two who may: one by address, one by name.
pub(super) const CLIENTS: [&str; 5] = ["203.0.113.7", "203.0.113.8", "10.0.0.66", "10.0.0.10", "10.0.0.12"];

/// What the name service knows at the beginning.
pub(super) const NAMES: [&str; 3] =
    ["mx.partner.example = 198.51.100.30", "10.0.0.12 = h.trusted.example", "203.0.113.7 = h.stranger.example"];

/// How long a session may last at most, whatever the client does.
pub(super) const SESSION_S: u64 = 240;

/// Where mail of the organization is put when it has no host.
#[must_use]
pub(super) fn drop_directory() -> PathBuf {
    Path::new("/drop").to_owned()
}

/// Where mail is put that nobody can be told of.
#[must_use]
pub(super) fn bad_mail_directory() -> PathBuf {
    Path::new("/spool/badmail").to_owned()
}

/// The address of a virtual server.
#[must_use]
pub(super) fn door(server: &str) -> SocketAddr {
    let door = DOORS.iter().find(|(name, _)| *name == server).unwrap_or(&DOORS[0]);
    door.1.parse().expect("an address written above")
}

/// Whether whoever connects is listened to.
#[must_use]
pub(super) fn may_connect(server: &str, client: IpAddr) -> bool {
    server != "outbound" || matches!(client, IpAddr::V4(v4) if v4.octets()[0] == 10)
}

/// Whether a client may reach a domain through a virtual server. Everybody may reach the organization
/// and the partner it relays for.
#[must_use]
pub(super) fn may_reach(server: &str, client: IpAddr, domain: &Domain) -> bool {
    let open = DOMAINS[..2].iter().any(|known| domain.to_string() == *known);
    let relays = [CLIENTS[3], CLIENTS[4]].iter().any(|known| client.to_string() == *known);
    may_connect(server, client) && (open || (server == "outbound" && relays))
}

/// The text of a settings file.
#[must_use]
pub(super) fn text(law: Law) -> String {
    let (inside, limits, delivery, tls) = match law {
        Law::Plain => {
            ("route = \"[10.0.0.20]\"", "connections = 500\nrecipients_per_message = 100", "", "opportunistic")
        }
        Law::Narrow => (
            "route = [\"[10.0.0.20]\", \"[10.0.0.21]\"]",
            "connections = 6\nconnections_per_address = 3\nrecipients_per_message = 5\nerrors = 4",
            "[delivery]\nconnections = 3\nconnections_per_domain = 2\nmessages_per_connection = 2\nconnect_timeout = \"5 s\"",
            "opportunistic",
        ),
        Law::Directory => ("", "connections = 500", "[delivery]\nmessages_per_connection = 1", "never"),
    };
    let drop = if law == Law::Directory { "drop_directory = \"/drop\"" } else { "" };
    let server = |name: &str, listen: &str, more: &str| {
        format!(
            "[virtual_server.{name}]\nlisten = [\"{listen}\"]\n{more}\n\
             [virtual_server.{name}.limits]\nmessage_size = \"60 KiB\"\nsession_size = \"150 KiB\"\n\
             idle_timeout = \"40 s\"\ncommand_timeout = \"20 s\"\ndata_timeout = \"20 s\"\n\
             session_time = \"{SESSION_S} s\"\n{limits}\n\
             [virtual_server.{name}.delivery]\nsmart_hosts = \"[198.51.100.25]\"\ntls = \"{tls}\"\n{drop}\n"
        )
    };
    let tls =
        "[virtual_server.inbound.tls]\ncertificates = [{ certificate = \"/etc/mx.pem\", key = \"/etc/mx.key\" }]\n";
    let control = "[virtual_server.outbound.connection_control]\nmode = \"only\"\nlist = [\"10.0.0.0/8\"]\n\
                   [virtual_server.outbound.relay]\nmode = \"only\"\nlist = [\"10.0.0.10\", \"trusted.example\"]\n";
    format!(
        "hostname = \"mx.corp.example\"\nstate_dir = \"/spool\"\n[log]\nformat = \"json\"\n\
         [organization]\ndomains = [\"corp.example\"]\n{inside}\n\
         [remote_domain.\"partner.example\"]\nallow_relay = true\nroute = \"mx.partner.example\"\n\
         [queue]\nreserve = \"64 KiB\"\ndelay_notification = \"60 s\"\nexpiration = \"180 s\"\n\
         [queue.retry]\nfirst = \"5 s\"\nsecond = \"10 s\"\nthird = \"20 s\"\nsubsequent = \"30 s\"\n\
         {delivery}\n{}{tls}{}{control}",
        server(DOORS[0].0, DOORS[0].1, ""),
        server(DOORS[1].0, DOORS[1].1, ""),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_law_is_a_settings_file() {
        for law in [Law::Plain, Law::Narrow, Law::Directory] {
            if let Err(mistakes) = config::Config::from_text("sim.toml", &text(law)) {
                panic!("{}\n{}", mistakes.render(false), text(law));
            }
        }
    }

    #[test]
    fn strangers_reach_the_organization_and_its_partner_only() {
        let domain = |at: usize| DOMAINS[at].parse::<Domain>().unwrap();
        let client = |at: usize| CLIENTS[at].parse::<IpAddr>().unwrap();
        assert!(may_reach("inbound", client(0), &domain(0)) && may_reach("inbound", client(0), &domain(1)));
        assert!(!may_reach("inbound", client(0), &domain(2)) && !may_reach("outbound", client(2), &domain(2)));
        assert!(!may_reach("inbound", client(3), &domain(2)) && may_reach("outbound", client(3), &domain(2)));
        assert!(!may_reach("outbound", client(0), &domain(0)));
    }
}

//! One virtual server: its name, its addresses, its way out. What it permits is in
//! `rules`, what its sessions bear in `session`, its certificates in `tls`.

use super::Check;
use super::authentication::{Means, with_mechanisms};
use super::rights::Shared;
use crate::file::{File, VirtualServer};
use crate::mistake::Mistake;
use crate::places::below;
use crate::{Masquerade, Server, ServerDelivery};
use identity::settings::Directory;
use mail::Domain;
use policy::{Domains, Local};
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

impl Check<'_> {
    pub(super) fn servers(
        &mut self,
        file: &File,
        hostname: Option<&Domain>,
        shared: &Shared<'_>,
        directories: Option<&[Directory]>,
    ) -> Option<Vec<Server>> {
        const KEY: &str = "virtual_server";
        if file.virtual_server.is_empty() && !self.broken.iter().any(|key| key.starts_with(KEY)) {
            let mistake = Mistake::error(KEY, self.places.key_of(KEY), "there is no virtual server")
                .advice("add a table such as [virtual_server.inbound] with listen = [\"192.0.2.1:25\"]");
            self.mistakes.push(mistake);
            return None;
        }
        let mut complete = !self.is_broken(KEY);
        let mut servers = Vec::with_capacity(file.virtual_server.len());
        for (name, server) in &file.virtual_server {
            match self.server(name, file, server, (hostname, shared, directories)) {
                Some(server) => servers.push(server),
                None => complete = false,
            }
        }
        complete.then_some(servers)
    }

    fn server(
        &mut self,
        name: &str,
        file: &File,
        server: &VirtualServer,
        (hostname, shared, directories): (Option<&Domain>, &Shared<'_>, Option<&[Directory]>),
    ) -> Option<Server> {
        let key = below("virtual_server", name);
        let named = self.server_name(&key, name);
        // No decision rests on these; what is said about them leads to their lines.
        for name in ["listen", "listen_tls", "role"] {
            self.rule(&below(&key, name));
        }
        self.rule(&below(&below(&key, "tls"), "mode"));
        let listen = self.listen(&key, server);
        let proxies = self.all(&server.proxies, &below(&key, "proxies"), Self::proxy);
        let own = match &server.hostname {
            Some(text) => self.host_name(&below(&key, "hostname"), text),
            None if self.is_broken(&below(&key, "hostname")) => None,
            None => hostname.cloned(),
        };
        let default_domain = self.default_domain(&key, server, shared, own.as_ref());
        let (mode, tls) = self.tls(&below(&key, "tls"), server);
        let rules = self.rules(&key, name, server, shared, default_domain.as_ref());
        let offered = tls.as_ref().and_then(Option::as_ref);
        let client_certificates = offered.is_some_and(|tls| tls.client_authorities.is_some());
        let has_tls = offered.is_some();
        let authentication = directories.and_then(|directories| {
            let means = Means { directories, tls: has_tls, client_certificates };
            self.mechanisms(&below(&key, "authentication"), file, server, &means)
        });
        let session = self.session(&key, server, own.as_ref(), default_domain.as_ref(), mode);
        let session_limit =
            self.duration(&below(&key, "limits.session_time"), &server.limits.session_time, SECOND..=7 * DAY);
        let limits = &server.limits;
        let rate = self.rate(&below(&key, "limits"), limits.min_octets_per_s, &limits.min_rate_after);
        let ours = shared.names.zip(default_domain.as_ref()).map(|(names, default)| names.of_server(default.clone()));
        let delivery = self.server_delivery(&below(&key, "delivery"), server, own.as_ref(), ours.as_ref());
        named?;
        let [listen, listen_tls] = listen?;
        Some(Server {
            name: name.into(),
            role: server.role,
            listen,
            listen_tls,
            proxies: proxies?,
            session: Arc::new(with_mechanisms(session?, authentication.as_ref()?)),
            session_limit: session_limit?,
            rate: rate?,
            rules: Arc::new(rules?),
            authentication: Arc::new(authentication?),
            not_authenticated_code: server.protocol.client_not_authenticated_code,
            tls: tls?,
            delivery: delivery?,
        })
    }

    /// The name goes into logs, counters and received fields, so it is a plain word.
    fn server_name(&mut self, key: &str, name: &str) -> Option<()> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if (1..=63).contains(&name.len()) && name.bytes().all(plain) {
            return Some(());
        }
        let mistake =
            Mistake::error(key, self.places.key_of(key), format!("{name:?} cannot be the name of a virtual server"))
                .expected("expected up to 63 letters, digits, hyphens and underscores");
        self.mistakes.push(mistake);
        None
    }

    /// The addresses in the clear, and those where TLS comes first.
    fn listen(&mut self, key: &str, server: &VirtualServer) -> Option<[Vec<std::net::SocketAddr>; 2]> {
        let (clear_key, tls_key) = (below(key, "listen"), below(key, "listen_tls"));
        let has_tls = self.places.has(&tls_key) || self.is_broken(&tls_key);
        if !self.places.has(&clear_key) && !has_tls {
            return self.missing(&clear_key, "listen = [\"192.0.2.1:25\"]");
        }
        let clear = self.all(&server.listen, &clear_key, Self::listen_address);
        let tls = self.all(&server.listen_tls, &tls_key, Self::listen_address);
        let (clear, tls) = (clear?, tls?);
        if clear.is_empty() && tls.is_empty() {
            let key = if self.places.has(&clear_key) { clear_key } else { tls_key };
            self.bad(&key, "is an empty list", "expected at least one address and port", None);
            return None;
        }
        Some([clear, tls])
    }

    fn default_domain(
        &mut self,
        key: &str,
        server: &VirtualServer,
        shared: &Shared<'_>,
        own: Option<&Domain>,
    ) -> Option<Local> {
        let key = below(key, "default_domain");
        let domain = match &server.default_domain {
            Some(text) => self.domain(&key, text)?,
            None if self.is_broken(&key) => return None,
            None => shared.names?.organization.first().or(own)?.clone(),
        };
        Some(Local { rule: self.rule(&key), domain })
    }

    fn server_delivery(
        &mut self,
        key: &str,
        server: &VirtualServer,
        hostname: Option<&Domain>,
        ours: Option<&Domains>,
    ) -> Option<ServerDelivery> {
        let table = &server.delivery;
        let hello_name = match &table.hello_name {
            Some(text) => self.host_name(&below(key, "hello_name"), text),
            None => hostname.cloned(),
        };
        let source_address = match &table.source_address {
            Some(text) => self.source_address(&below(key, "source_address"), text).map(Some),
            None => Some(None),
        };
        let masquerade = match &table.masquerade_domain {
            Some(text) => self.domain(&below(key, "masquerade_domain"), text).map(Some),
            None => Some(None),
        };
        let masquerade = masquerade?
            .zip(ours)
            .map(|(domain, ours)| Masquerade { domain, instead_of: Arc::new(ours.local_names().cloned().collect()) });
        Some(ServerDelivery {
            hello_name: hello_name?,
            masquerade,
            source_address: source_address?,
            tls: table.tls,
            pipelining: table.pipelining,
            chunking: table.chunking,
        })
    }
}

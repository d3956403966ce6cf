//! One virtual server: its name, its addresses, its certificate, its way out. What it permits is in
//! `rules`, what its sessions bear in `session`.

use super::Check;
use super::authentication::{Means, with_mechanisms};
use super::domains::Names;
use crate::file::{File, PathText, VirtualServer};
use crate::mistake::Mistake;
use crate::places::below;
use crate::{Server, ServerDelivery, TlsFiles};
use identity::settings::Directory;
use mail::Domain;
use policy::Local;
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

impl Check<'_> {
    pub(super) fn servers(
        &mut self,
        file: &File,
        hostname: Option<&Domain>,
        names: Option<&Names>,
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
            match self.server(name, file, server, (hostname, names, directories)) {
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
        (hostname, names, directories): (Option<&Domain>, Option<&Names>, Option<&[Directory]>),
    ) -> Option<Server> {
        let key = below("virtual_server", name);
        let named = self.server_name(&key, name);
        let listen = self.listen(&below(&key, "listen"), server);
        let own = match &server.hostname {
            Some(text) => self.host_name(&below(&key, "hostname"), text),
            None if self.is_broken(&below(&key, "hostname")) => None,
            None => hostname.cloned(),
        };
        let default_domain = self.default_domain(&key, server, names, own.as_ref());
        let tls = self.tls(&below(&key, "tls"), server);
        let rules = self.rules(&key, name, server, names, default_domain.as_ref());
        let has_certificate = matches!(tls, Some(Some(_)));
        let authentication = directories.and_then(|directories| {
            let means = Means { directories, tls: has_certificate, client_certificates: false };
            self.mechanisms(&below(&key, "authentication"), file, server, &means)
        });
        let session = self.session(&key, server, own.as_ref(), default_domain.as_ref(), has_certificate);
        let session_limit =
            self.duration(&below(&key, "limits.session_time"), &server.limits.session_time, SECOND..=7 * DAY);
        let limits = &server.limits;
        let rate = self.rate(&below(&key, "limits"), limits.min_octets_per_s, &limits.min_rate_after);
        let delivery = self.server_delivery(&below(&key, "delivery"), server, own.as_ref());
        named?;
        Some(Server {
            name: name.into(),
            listen: listen?,
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

    fn listen(&mut self, key: &str, server: &VirtualServer) -> Option<Vec<std::net::SocketAddr>> {
        if !self.places.has(key) {
            return self.missing(key, "listen = [\"192.0.2.1:25\"]");
        }
        let listen = self.all(&server.listen, key, Self::listen_address)?;
        if listen.is_empty() {
            self.bad(key, "is an empty list", "expected at least one address and port", None);
            return None;
        }
        Some(listen)
    }

    fn default_domain(
        &mut self,
        key: &str,
        server: &VirtualServer,
        names: Option<&Names>,
        own: Option<&Domain>,
    ) -> Option<Local> {
        let key = below(key, "default_domain");
        let domain = match &server.default_domain {
            Some(text) => self.domain(&key, text)?,
            None if self.is_broken(&key) => return None,
            None => names?.organization.first().or(own)?.clone(),
        };
        Some(Local { rule: self.rule(&key), domain })
    }

    /// The inner `None`: no TLS.
    fn tls(&mut self, key: &str, server: &VirtualServer) -> Option<Option<TlsFiles>> {
        let [certificate_key, key_key, required_key] = ["certificate", "key", "required"].map(|name| below(key, name));
        if self.is_broken(&certificate_key) || self.is_broken(&key_key) {
            return None;
        }
        let read = |check: &mut Self, key: &str, text: &Option<PathText>| match text {
            Some(text) => check.path(key, text).map(Some),
            None => Some(None),
        };
        let certificate = read(self, &certificate_key, &server.tls.certificate);
        let private = read(self, &key_key, &server.tls.key);
        match (certificate?, private?) {
            (Some(certificate), Some(key)) => {
                if server.tls.required && !server.protocol.starttls {
                    let mistake = Mistake::error(
                        &required_key,
                        self.places.value_of(&required_key),
                        "TLS is required, but not offered",
                    )
                    .related(
                        self.places.value_of(&required_key.replace("tls.required", "protocol.starttls")),
                        "it is switched off here",
                    );
                    self.mistakes.push(mistake);
                    return None;
                }
                Some(Some(TlsFiles { certificate, key }))
            }
            (None, None) if server.tls.required => {
                let found = "TLS is required, but there is no certificate";
                let mistake = Mistake::error(&required_key, self.places.value_of(&required_key), found)
                    .expected("this needs certificate and key");
                self.mistakes.push(mistake);
                None
            }
            (None, None) => Some(None),
            (Some(_), None) => self.half(&certificate_key, "a certificate without its key", "expected `key` beside it"),
            (None, Some(_)) => self.half(&key_key, "a key without its certificate", "expected `certificate` beside it"),
        }
    }

    fn half<T>(&mut self, key: &str, found: &str, expected: &str) -> Option<T> {
        let mistake = Mistake::error(key, self.places.key_of(key), found).expected(expected);
        self.mistakes.push(mistake);
        None
    }

    fn server_delivery(
        &mut self,
        key: &str,
        server: &VirtualServer,
        hostname: Option<&Domain>,
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
        Some(ServerDelivery {
            hello_name: hello_name?,
            source_address: source_address?,
            tls: table.tls,
            pipelining: table.pipelining,
            chunking: table.chunking,
        })
    }
}

//! One virtual server: its rules, its session, its way out.

use super::Check;
use super::domains::Names;
use super::open_relay;
use crate::file::{self, File, Limits, Mode, Protocol, VirtualServer};
use crate::mistake::Mistake;
use crate::places::{below, entry};
use crate::{Server, ServerDelivery, TlsFiles};
use mail::{Domain, Net};
use policy::{Entry, List, Local, Match, Rules};
use smtp::server::{BareNewline, EarlyTalk, Offers, Settings};
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The word of somebody who wants an open relay.
const INSISTENCE: &str = "i-know-this-is-an-open-relay";

impl Check<'_> {
    pub(super) fn servers(
        &mut self,
        file: &File,
        hostname: Option<&Domain>,
        names: Option<&Names>,
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
            match self.server(name, server, hostname, names) {
                Some(server) => servers.push(server),
                None => complete = false,
            }
        }
        complete.then_some(servers)
    }

    fn server(
        &mut self,
        name: &str,
        server: &VirtualServer,
        hostname: Option<&Domain>,
        names: Option<&Names>,
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
        let session = self.session(&key, server, own.as_ref(), default_domain.as_ref(), matches!(tls, Some(Some(_))));
        let session_limit =
            self.duration(&below(&key, "limits.session_time"), &server.limits.session_time, SECOND..=7 * DAY);
        let delivery = self.server_delivery(&below(&key, "delivery"), server, own.as_ref());
        named?;
        Some(Server {
            name: name.into(),
            listen: listen?,
            session: Arc::new(session?),
            session_limit: session_limit?,
            rules: Arc::new(rules?),
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
        let read = |check: &mut Self, key: &str, text: &Option<file::PathText>| match text {
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

    fn rules(
        &mut self,
        key: &str,
        name: &str,
        server: &VirtualServer,
        names: Option<&Names>,
        default_domain: Option<&Local>,
    ) -> Option<Rules> {
        let connection = self.connection_control(&below(key, "connection_control"), &server.connection_control);
        let authentication = self.authentication(&below(key, "authentication"), &server.authentication);
        let relay = self.relay(&below(key, "relay"), &server.relay);
        self.open_relay(key, server, connection.as_ref(), relay.as_ref());
        let limits = self.policy_limits(&below(key, "limits"), &server.limits);
        Some(Rules {
            server: name.into(),
            connection: connection?.0,
            authentication,
            relay: relay?.0,
            domains: Arc::new(names?.of_server(default_domain?.clone())),
            limits: limits?,
        })
    }

    /// The rules, and the networks of the list.
    fn connection_control(
        &mut self,
        key: &str,
        table: &file::ConnectionControl,
    ) -> Option<(policy::ConnectionControl, Vec<Net>)> {
        let rule = self.rule(key);
        let (list, nets) = self.clients(key, &table.list)?;
        let list_key = below(key, "list");
        self.mode_with_list(key, !table.list.is_empty());
        let (mode_key, applies_key) = (below(key, "mode"), below(key, "applies_to"));
        if table.mode == Mode::Only && !self.places.has(&list_key) {
            let mistake = Mistake::error(
                &mode_key,
                self.places.value_of(&mode_key),
                "only the clients of a list may connect, and there is no list",
            )
            .expected("this needs `list`")
            .advice("if nobody may connect, write list = []");
            self.mistakes.push(mistake);
        }
        if self.places.has(&applies_key) && !self.places.has(&list_key) {
            let mistake = Mistake::error(
                &applies_key,
                self.places.key_of(&applies_key),
                "`applies_to` says whom a list is for, and there is no list",
            )
            .expected("this needs `mode` and `list`");
            self.mistakes.push(mistake);
        }
        let control = policy::ConnectionControl {
            rule,
            mode: mode(table.mode),
            mode_rule: self.rule(&mode_key),
            list,
            applies_to: match table.applies_to {
                file::AppliesTo::Everyone => policy::AppliesTo::Everyone,
                file::AppliesTo::Anonymous => policy::AppliesTo::Anonymous,
            },
            applies_rule: self.rule(&applies_key),
        };
        Some((control, nets))
    }

    fn authentication(&mut self, key: &str, table: &file::Authentication) -> policy::Authentication {
        let key = below(key, "anonymous");
        if !table.anonymous {
            let mistake =
                Mistake::warning(&key, self.places.value_of(&key), "no client can send mail to this virtual server")
                    .expected("no way to authenticate is offered yet");
            self.mistakes.push(mistake);
        }
        policy::Authentication { anonymous: table.anonymous, anonymous_rule: self.rule(&key) }
    }

    fn relay(&mut self, key: &str, table: &file::Relay) -> Option<(policy::Relay, Vec<Net>)> {
        let (list, nets) = self.clients(key, &table.list)?;
        self.mode_with_list(key, !table.list.is_empty());
        let relay = policy::Relay {
            mode: mode(table.mode),
            mode_rule: self.rule(&below(key, "mode")),
            list,
            authenticated: table.authenticated,
            authenticated_rule: self.rule(&below(key, "authenticated")),
        };
        Some((relay, nets))
    }

    /// The list of a table, and the networks in it.
    fn clients(&mut self, table: &str, list: &[file::ClientText]) -> Option<(List, Vec<Net>)> {
        let key = below(table, "list");
        if self.is_broken(&below(table, "mode")) {
            return None;
        }
        let matches = self.all(list, &key, Self::client)?;
        let rule = self.rule(&key);
        let nets = matches.iter().filter_map(|what| match what {
            Match::Net(net) => Some(*net),
            Match::Domain(_) => None,
        });
        let nets = nets.collect();
        let entries = matches.into_iter().enumerate();
        let entries = entries.map(|(index, what)| Entry { rule: self.rule(&entry(&key, index)), what }).collect();
        Some((List::new(rule, entries), nets))
    }

    /// A list alone could be read in two ways, and one of them is the opposite of the other; half a
    /// file must not be read in the wrong one.
    fn mode_with_list(&mut self, table: &str, is_listed: bool) {
        let (mode_key, list_key) = (below(table, "mode"), below(table, "list"));
        if is_listed && !self.places.has(&mode_key) {
            let mistake = Mistake::error(&list_key, self.places.key_of(&list_key), "a list without a mode")
                .expected("this needs mode = \"only\" or mode = \"all-except\"");
            self.mistakes.push(mistake);
        }
    }

    fn open_relay(
        &mut self,
        key: &str,
        server: &VirtualServer,
        connection: Option<&(policy::ConnectionControl, Vec<Net>)>,
        relay: Option<&(policy::Relay, Vec<Net>)>,
    ) {
        let relay_key = below(key, "relay");
        let word_key = below(&relay_key, "open_relay");
        let insists = server.relay.open_relay.as_deref();
        if insists.is_some_and(|word| word != INSISTENCE) {
            self.bad(
                &word_key,
                "is not the sentence",
                "expected the sentence in the manual, or no such key",
                Some(format!("{INSISTENCE:?}")),
            );
            return;
        }
        let (Some((_, connect)), Some((_, relay))) = (connection, relay) else { return };
        let anonymous_key = below(key, "authentication.anonymous");
        let anonymous = server.authentication.anonymous || self.is_broken(&anonymous_key);
        let control = (server.connection_control.mode, connect.as_slice());
        let open = anonymous && open_relay::is_open(control, (server.relay.mode, relay));
        let mistake = match (open, insists) {
            (true, None) => {
                let at =
                    ["mode", "list"].map(|name| below(&relay_key, name)).into_iter().find(|key| self.places.has(key));
                let at = at.unwrap_or_else(|| relay_key.clone());
                Mistake::error(
                    &at,
                    self.places.value_of(&at),
                    "everyone in the Internet could relay through this virtual server",
                )
                .expected("this permits strangers to send mail to anywhere")
                .advice(format!("list those who may, with mode = \"only\"; or insist with open_relay = {INSISTENCE:?}"))
            }
            (false, Some(_)) => Mistake::warning(&word_key, self.places.key_of(&word_key), "this is no open relay")
                .expected("not needed; remove it before it is"),
            _ => return,
        };
        self.mistakes.push(mistake);
    }

    fn policy_limits(&mut self, key: &str, table: &Limits) -> Option<policy::Limits> {
        let [all, each, hops] = ["connections", "connections_per_address", "hop_count"].map(|name| below(key, name));
        let connections = self.count(&all, &table.connections);
        let connections_per_address = self.count(&each, &table.connections_per_address);
        Some(policy::Limits {
            connections: connections?,
            connections_rule: self.rule(&all),
            connections_per_address: connections_per_address?,
            connections_per_address_rule: self.rule(&each),
            hop_count: table.hop_count,
            hop_count_rule: self.rule(&hops),
        })
    }

    fn session(
        &mut self,
        key: &str,
        server: &VirtualServer,
        hostname: Option<&Domain>,
        default_domain: Option<&Local>,
        has_certificate: bool,
    ) -> Option<Settings> {
        let offers = self.offers(&below(key, "protocol"), &server.protocol, has_certificate);
        let base = hostname.cloned().map(Settings::new);
        let limited = self.session_limits(&below(key, "limits"), &server.limits, base);
        Some(Settings {
            default_domain: default_domain?.domain.clone(),
            offers: offers?,
            tls_required: server.tls.required,
            bare_newline: match server.protocol.bare_newline {
                file::BareNewline::Reject => BareNewline::Reject,
                file::BareNewline::Normalise => BareNewline::Normalise,
            },
            early_talk: match server.protocol.pipelining_violation {
                file::EarlyTalk::Count => EarlyTalk::Count,
                file::EarlyTalk::Close => EarlyTalk::Close,
            },
            ..limited?
        })
    }

    /// `base` with the limits of the file.
    fn session_limits(&mut self, key: &str, table: &Limits, base: Option<Settings>) -> Option<Settings> {
        let at = |name: &str| below(key, name);
        let message = self.size_limit(&at("message_size"), &table.message_size, KIB..=1 << 40);
        let session = self.size_limit(&at("session_size"), &table.session_size, KIB..=1 << 50);
        let command_line = self.size(&at("command_line"), &table.command_line, 512..=64 * KIB);
        let text_line = self.size(&at("text_line"), &table.text_line, 1000..=64 * MIB);
        let header = self.size(&at("header_size"), &table.header_size, KIB..=64 * MIB);
        let idle = self.duration(&at("idle_timeout"), &table.idle_timeout, SECOND..=DAY);
        let command = self.duration(&at("command_timeout"), &table.command_timeout, SECOND..=DAY);
        let data = self.duration(&at("data_timeout"), &table.data_timeout, SECOND..=DAY);
        self.small_limits(key, table, message, session);
        let fits = |octets: u64| usize::try_from(octets).ok();
        Some(Settings {
            message_size_bytes: message?,
            session_size_bytes: session?,
            recipients_per_message: usize::try_from(table.recipients_per_message).ok()?,
            command_line_octets: fits(command_line?)?,
            text_line_octets: fits(text_line?)?,
            header_size_bytes: fits(header?)?,
            errors_limit: table.errors,
            idle_limit: idle?,
            command_limit: command?,
            data_limit: data?,
            ..base?
        })
    }

    /// Limits below what the standard or another limit wants.
    fn small_limits(&mut self, key: &str, table: &Limits, message: Option<Option<u64>>, session: Option<Option<u64>>) {
        let [message_key, session_key, recipients_key] =
            ["message_size", "session_size", "recipients_per_message"].map(|name| below(key, name));
        // Unlimited is the largest.
        let octets = |size: Option<u64>| size.unwrap_or(u64::MAX);
        if let (Some(message), Some(session)) = (message, session)
            && octets(session) < octets(message)
        {
            let mistake = Mistake::error(
                &session_key,
                self.places.value_of(&session_key),
                "a session may be smaller than one message",
            )
            .expected("expected at least message_size")
            .related(self.places.value_of(&message_key), "this is message_size");
            self.mistakes.push(mistake);
        }
        if let Some(Some(message)) = message
            && message < 64 * KIB
        {
            let mistake =
                Mistake::warning(&message_key, self.places.value_of(&message_key), "a very small message size")
                    .expected("RFC 5321 wants at least 64 KiB");
            self.mistakes.push(mistake);
        }
        if table.recipients_per_message < 100 {
            let mistake =
                Mistake::warning(&recipients_key, self.places.value_of(&recipients_key), "few recipients per message")
                    .expected("RFC 5321 wants at least 100");
            self.mistakes.push(mistake);
        }
    }

    /// What is offered: an extension that needs another is offered only with it. Asking for it
    /// without is a mistake; a default gives way.
    fn offers(&mut self, key: &str, table: &Protocol, has_certificate: bool) -> Option<Offers> {
        let mut complete = true;
        for (name, on, needed, is_there) in [
            ("binarymime", table.binarymime, "chunking", table.chunking),
            ("smtputf8", table.smtputf8, "8bitmime", table.eight_bit),
        ] {
            let (own, other) = (below(key, name), below(key, needed));
            if on && !is_there && self.places.has(&own) {
                let found = format!("{} needs {}", name.to_uppercase(), needed.to_uppercase());
                let mistake = Mistake::error(&own, self.places.value_of(&own), found)
                    .related(self.places.value_of(&other), "it is switched off here");
                self.mistakes.push(mistake);
                complete = false;
            }
        }
        complete.then_some(Offers {
            pipelining: table.pipelining,
            eight_bit: table.eight_bit,
            chunking: table.chunking,
            binary: table.binarymime && table.chunking,
            dsn: table.dsn,
            smtputf8: table.smtputf8 && table.eight_bit,
            starttls: table.starttls && has_certificate,
            limits: table.limits,
        })
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

fn mode(mode: Mode) -> policy::Mode {
    match mode {
        Mode::AllExcept => policy::Mode::AllExcept,
        Mode::Only => policy::Mode::Only,
    }
}

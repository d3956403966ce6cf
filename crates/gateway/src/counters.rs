//! Events folded into numbers, per virtual server.
//!
//! A virtual server's counters are resolved once, when its name first appears, and every name and
//! label exists from then on with the value 0: an operator can write an alert before the first
//! refusal. The names follow the old performance object (reference 6.1) where it has one.

use crate::event::{Event, Reported};
use arc_swap::ArcSwap;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use prometheus_client::registry::Registry;
use queue::Ending;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Server {
    server: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerReason {
    server: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerOutcome {
    server: String,
    outcome: &'static str,
}

/// The counters of one virtual server.
#[derive(Debug)]
struct OfServer {
    connections_current: Gauge,
    connections: Counter,
    door: BTreeMap<&'static str, Counter>,
    refused: BTreeMap<&'static str, Counter>,
    noted: BTreeMap<&'static str, Counter>,
    secured: Counter,
    not_secured: Counter,
    certificates_rejected: Counter,
    proxies_refused: Counter,
    authentications: BTreeMap<&'static str, Counter>,
    messages_received: Counter,
    message_bytes_received: Counter,
    recipients_submitted: Counter,
    recipients_relayed: Counter,
    not_taken: Counter,
    held: Counter,
    sending_limits: BTreeMap<&'static str, Counter>,
    grant_alarms: Counter,
    gate_stopped: Counter,
    messages_sent: Counter,
    message_bytes_sent: Counter,
    directory_drops: Counter,
    recipients: BTreeMap<&'static str, Counter>,
    reports: BTreeMap<&'static str, Counter>,
    bad_mail: Counter,
    hops_current: Gauge,
    hops: Counter,
    hops_refused: Counter,
}

/// All counters of the gateway.
#[derive(Debug)]
pub(crate) struct Counters {
    registry: Registry,
    families: Families,
    servers: ArcSwap<BTreeMap<Box<str>, Arc<OfServer>>>,
    reloads: Counter,
    reloads_refused: Counter,
    alerts_failed: Counter,
    spool_failures: Counter,
    spool_damages: Counter,
    faults: Counter,
    log_lines_lost: Counter,
    queue_messages: Gauge,
    queue_destinations: Gauge,
    queue_resting: Gauge,
    exceptions_expired: Gauge,
}

/// The words of [`Ending`] and [`Reported`] as labels.
const ENDINGS: [&str; 4] = ["delivered", "relayed", "deferred", "failed"];
const REPORTS: [Reported; 4] = [Reported::Failed, Reported::Delayed, Reported::Delivered, Reported::Relayed];

/// Families are registered once; each virtual server takes its members from them.
#[derive(Debug)]
struct Families {
    connections_current: Family<Server, Gauge>,
    connections: Family<Server, Counter>,
    door: Family<ServerOutcome, Counter>,
    refused: Family<ServerReason, Counter>,
    noted: Family<ServerReason, Counter>,
    secured: Family<Server, Counter>,
    not_secured: Family<Server, Counter>,
    certificates_rejected: Family<Server, Counter>,
    certificate_days_left: Family<Server, Gauge>,
    proxies_refused: Family<Server, Counter>,
    authentications: Family<ServerReason, Counter>,
    messages_received: Family<Server, Counter>,
    message_bytes_received: Family<Server, Counter>,
    recipients_submitted: Family<Server, Counter>,
    recipients_relayed: Family<Server, Counter>,
    not_taken: Family<Server, Counter>,
    held: Family<Server, Counter>,
    sending_limits: Family<ServerReason, Counter>,
    grant_alarms: Family<Server, Counter>,
    gate_stopped: Family<Server, Counter>,
    messages_sent: Family<Server, Counter>,
    message_bytes_sent: Family<Server, Counter>,
    directory_drops: Family<Server, Counter>,
    recipients: Family<ServerReason, Counter>,
    reports: Family<ServerReason, Counter>,
    bad_mail: Family<Server, Counter>,
    hops_current: Family<Server, Gauge>,
    hops: Family<Server, Counter>,
    hops_refused: Family<Server, Counter>,
}

impl Families {
    fn register(registry: &mut Registry) -> Families {
        fn add<M: Clone + prometheus_client::registry::Metric + Default>(
            registry: &mut Registry,
            name: &str,
            help: &str,
        ) -> M {
            let metric = M::default();
            registry.register(name, help, metric.clone());
            metric
        }
        let r = registry;
        Families {
            connections_current: add(r, "inbound_connections_current", "Open sessions"),
            connections: add(r, "inbound_connections", "Sessions since the start"),
            door: add(r, "door", "Clients let in by the list, by authentication, or turned away"),
            refused: add(r, "refused", "Questions answered with no, by reason"),
            noted: add(r, "noted", "Breaches of the protocol and limits, by kind"),
            secured: add(r, "tls_sessions", "Sessions secured by TLS"),
            not_secured: add(r, "tls_failures", "TLS handshakes that failed"),
            certificates_rejected: add(r, "tls_certificates_rejected", "New certificates that could not be used"),
            certificate_days_left: add(r, "tls_certificate_days_left", "Days until the first certificate expires"),
            proxies_refused: add(r, "proxies_refused", "Connections of proxies that did not name their client"),
            authentications: add(r, "authentications", "Attempts to authenticate, by how they ended"),
            messages_received: add(r, "messages_received", "Messages taken"),
            message_bytes_received: add(r, "message_bytes_received", "Octets of messages taken"),
            recipients_submitted: add(r, "recipients_submitted", "Recipients inside the organization"),
            recipients_relayed: add(r, "recipients_relayed", "Recipients outside the organization"),
            not_taken: add(r, "messages_not_taken", "Messages put off because the queue could not take them"),
            held: add(r, "messages_held", "Messages held because of how much their sender has sent"),
            sending_limits: add(r, "sending_limits", "Senders that came to a stage of the bounds"),
            grant_alarms: add(r, "grant_alarms", "Addresses that relay by a list and are not what they seem"),
            gate_stopped: add(r, "gate_stopped", "Messages that would have broken an invariant; stays 0"),
            messages_sent: add(r, "messages_sent", "Messages handed to a next hop"),
            message_bytes_sent: add(r, "message_bytes_sent", "Octets of messages handed to a next hop"),
            directory_drops: add(r, "directory_drops", "Messages written to a drop directory"),
            recipients: add(r, "recipient_outcomes", "Attempts for one recipient, by how they ended"),
            reports: add(r, "reports_generated", "Delivery status notifications queued, by kind"),
            bad_mail: add(r, "badmailed_messages", "Messages moved to the bad-mail directory"),
            hops_current: add(r, "outbound_connections_current", "Open connections to next hops"),
            hops: add(r, "outbound_connections", "Connections to next hops since the start"),
            hops_refused: add(r, "outbound_connections_refused", "Next hops that could not be reached or refused"),
        }
    }

    fn of_server(&self, name: &str) -> OfServer {
        let plain = Server { server: name.to_owned() };
        let with = |reason| ServerReason { server: name.to_owned(), reason };
        let each = |family: &Family<ServerReason, Counter>, reasons: &mut dyn Iterator<Item = &'static str>| {
            reasons.map(|reason| (reason, family.get_or_create_owned(&with(reason)))).collect()
        };
        OfServer {
            connections_current: self.connections_current.get_or_create_owned(&plain),
            connections: self.connections.get_or_create_owned(&plain),
            door: crate::door::OUTCOMES
                .iter()
                .map(|outcome| {
                    let of = ServerOutcome { server: name.to_owned(), outcome };
                    (*outcome, self.door.get_or_create_owned(&of))
                })
                .collect(),
            refused: each(&self.refused, &mut crate::answer::REASONS.iter().copied()),
            noted: each(&self.noted, &mut crate::note::NAMES.iter().copied()),
            secured: self.secured.get_or_create_owned(&plain),
            not_secured: self.not_secured.get_or_create_owned(&plain),
            certificates_rejected: self.certificates_rejected.get_or_create_owned(&plain),
            proxies_refused: self.proxies_refused.get_or_create_owned(&plain),
            authentications: each(&self.authentications, &mut crate::authenticate::OUTCOMES.iter().copied()),
            messages_received: self.messages_received.get_or_create_owned(&plain),
            message_bytes_received: self.message_bytes_received.get_or_create_owned(&plain),
            recipients_submitted: self.recipients_submitted.get_or_create_owned(&plain),
            recipients_relayed: self.recipients_relayed.get_or_create_owned(&plain),
            not_taken: self.not_taken.get_or_create_owned(&plain),
            held: self.held.get_or_create_owned(&plain),
            sending_limits: each(&self.sending_limits, &mut bounds::Stage::REACHED.iter().map(|stage| stage.name())),
            grant_alarms: self.grant_alarms.get_or_create_owned(&plain),
            gate_stopped: self.gate_stopped.get_or_create_owned(&plain),
            messages_sent: self.messages_sent.get_or_create_owned(&plain),
            message_bytes_sent: self.message_bytes_sent.get_or_create_owned(&plain),
            directory_drops: self.directory_drops.get_or_create_owned(&plain),
            recipients: each(&self.recipients, &mut ENDINGS.iter().copied()),
            reports: each(&self.reports, &mut REPORTS.iter().map(|kind| kind.name())),
            bad_mail: self.bad_mail.get_or_create_owned(&plain),
            hops_current: self.hops_current.get_or_create_owned(&plain),
            hops: self.hops.get_or_create_owned(&plain),
            hops_refused: self.hops_refused.get_or_create_owned(&plain),
        }
    }
}

impl Counters {
    /// The counters of these virtual servers, all 0.
    #[must_use]
    pub(crate) fn new(servers: &[Box<str>]) -> Counters {
        let mut registry = Registry::with_prefix("bridgehead");
        let families = Families::register(&mut registry);
        let mut counters = Counters {
            servers: ArcSwap::default(),
            families,
            reloads: Counter::default(),
            reloads_refused: Counter::default(),
            alerts_failed: Counter::default(),
            spool_failures: Counter::default(),
            spool_damages: Counter::default(),
            faults: Counter::default(),
            log_lines_lost: Counter::default(),
            queue_messages: Gauge::default(),
            queue_destinations: Gauge::default(),
            queue_resting: Gauge::default(),
            exceptions_expired: Gauge::default(),
            registry,
        };
        counters.register_global();
        counters.know(servers);
        counters
    }

    /// Makes sure that these virtual servers have counters; those there are keep counting.
    pub(crate) fn know(&self, servers: &[Box<str>]) {
        let mut known = BTreeMap::clone(&self.servers.load());
        for name in servers {
            known.entry(name.clone()).or_insert_with(|| Arc::new(self.families.of_server(name)));
        }
        self.servers.store(Arc::new(known));
    }

    fn register_global(&mut self) {
        let r = &mut self.registry;
        r.register("reloads", "Settings loaded while running", self.reloads.clone());
        r.register("reloads_refused", "Settings refused while running", self.reloads_refused.clone());
        r.register("alerts_failed", "Alerts that could not be mailed or posted", self.alerts_failed.clone());
        r.register("spool_failures", "Writes or flushes of the spool that failed", self.spool_failures.clone());
        r.register("spool_damages", "Places where the disk had not kept the spool", self.spool_damages.clone());
        r.register("faults", "Programming errors that ended a task", self.faults.clone());
        r.register(
            "log_lines_lost",
            "Log lines dropped because the log could not keep up",
            self.log_lines_lost.clone(),
        );
        r.register("queue_messages", "Messages in the queue", self.queue_messages.clone());
        r.register("queue_destinations", "Destinations with messages waiting", self.queue_destinations.clone());
        r.register("queue_destinations_resting", "Destinations that wait after a failure", self.queue_resting.clone());
        let expired = "Entries of lists, rights and loans in the settings that have ended";
        r.register("exceptions_expired", expired, self.exceptions_expired.clone());
    }

    /// Everything in Prometheus text form.
    #[must_use]
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// What the queue looks like now.
    pub(crate) fn queue_is(&self, messages: usize, destinations: usize, resting: usize) {
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.queue_messages.set(number(messages));
        self.queue_destinations.set(number(destinations));
        self.queue_resting.set(number(resting));
    }

    /// When the first certificate of a virtual server expires.
    pub(crate) fn certificates_expire(&self, server: &str, days_left: i64) {
        let server = Server { server: server.to_owned() };
        self.families.certificate_days_left.get_or_create(&server).set(days_left);
    }

    /// A virtual server has no certificate.
    pub(crate) fn certificates_gone(&self, server: &str) {
        self.families.certificate_days_left.remove(&Server { server: server.to_owned() });
    }

    /// How many exceptions stand in the settings and have ended.
    pub(crate) fn exceptions_expired(&self, over: usize) {
        self.exceptions_expired.set(i64::try_from(over).unwrap_or(i64::MAX));
    }

    /// A log line was dropped.
    pub(crate) fn log_line_lost(&self) {
        self.log_lines_lost.inc();
    }

    /// Folds one event in.
    pub(crate) fn fold(&self, event: &Event<'_>) {
        match *event {
            Event::Listening { .. }
            | Event::Recovered { .. }
            | Event::Lowered { .. }
            | Event::AcceptFailed { .. }
            | Event::Suppressed { .. }
            | Event::CertificateChanged { .. }
            | Event::CertificateDoubtful { .. }
            | Event::Expired { .. }
            | Event::HopPostponed { .. }
            | Event::Directory { .. }
            | Event::Started
            | Event::NotBuried { .. }
            | Event::Stopping
            | Event::Accepted { .. }
            | Event::Administered { .. } => {}
            Event::Reloaded => bump(&self.reloads),
            Event::ReloadRefused { .. } => bump(&self.reloads_refused),
            Event::NotAlerted { .. } => bump(&self.alerts_failed),
            Event::Alerted { .. } => {}
            Event::SpoolFailed { .. } => bump(&self.spool_failures),
            Event::Damaged { .. } => bump(&self.spool_damages),
            Event::Fault { .. } => bump(&self.faults),
            Event::CertificateRejected { server, .. }
            | Event::ProxyRefused { server, .. }
            | Event::Authenticated { server, .. }
            | Event::SpeaksFor { server, .. }
            | Event::Forwarded { server, .. }
            | Event::Connected { server, .. }
            | Event::Disconnected { server, .. }
            | Event::Passed { server, .. }
            | Event::Refused { server, .. }
            | Event::Noted { server, .. }
            | Event::Secured { server, .. }
            | Event::NotSecured { server, .. }
            | Event::Received { server, .. }
            | Event::NotTaken { server, .. }
            | Event::Held { server, .. }
            | Event::SendingLimit { server, .. }
            | Event::GrantAlarm { server, .. }
            | Event::GateStopped { server, .. }
            | Event::HopConnected { server, .. }
            | Event::HopRefused { server, .. }
            | Event::HopDisconnected { server, .. }
            | Event::Outcome { server, .. }
            | Event::Sent { server, .. }
            | Event::Reported { server, .. }
            | Event::BadMail { server, .. } => {
                // A message may outlive the virtual server that took it; then nobody counts.
                if let Some(of) = self.servers.load().get(server) {
                    of.fold(event);
                }
            }
        }
    }
}

impl OfServer {
    fn fold(&self, event: &Event<'_>) {
        match *event {
            Event::Connected { .. } => {
                bump(&self.connections);
                self.connections_current.inc();
            }
            Event::Disconnected { .. } => {
                self.connections_current.dec();
            }
            Event::Passed { passage, .. } => bump_named(&self.door, passage.name()),
            Event::Refused { reason, .. } => bump_named(&self.refused, reason),
            Event::Noted { note, .. } => bump_named(&self.noted, note),
            Event::Secured { .. } => bump(&self.secured),
            Event::NotSecured { .. } => bump(&self.not_secured),
            Event::CertificateRejected { .. } => bump(&self.certificates_rejected),
            Event::ProxyRefused { .. } => bump(&self.proxies_refused),
            Event::Authenticated { outcome, .. } => bump_named(&self.authentications, outcome),
            Event::Received { recipients, submitted, bytes, .. } => {
                bump(&self.messages_received);
                self.message_bytes_received.inc_by(bytes);
                self.recipients_submitted.inc_by(submitted as u64);
                self.recipients_relayed.inc_by(recipients.saturating_sub(submitted) as u64);
            }
            Event::NotTaken { .. } => bump(&self.not_taken),
            Event::Held { .. } => bump(&self.held),
            Event::SendingLimit { stage, .. } => bump_named(&self.sending_limits, stage),
            Event::GrantAlarm { .. } => bump(&self.grant_alarms),
            Event::GateStopped { .. } => bump(&self.gate_stopped),
            Event::HopConnected { .. } => {
                bump(&self.hops);
                self.hops_current.inc();
            }
            Event::HopRefused { .. } => bump(&self.hops_refused),
            Event::HopDisconnected { .. } => {
                self.hops_current.dec();
            }
            Event::Outcome { ending, .. } => bump_named(&self.recipients, ending_name(ending)),
            Event::Sent { drop: true, .. } => bump(&self.directory_drops),
            Event::Sent { bytes, .. } => {
                bump(&self.messages_sent);
                self.message_bytes_sent.inc_by(bytes);
            }
            Event::Reported { kind, .. } => bump_named(&self.reports, kind.name()),
            Event::BadMail { .. } => bump(&self.bad_mail),
            _ => {}
        }
    }
}

fn ending_name(ending: Ending) -> &'static str {
    match ending {
        Ending::Delivered => ENDINGS[0],
        Ending::Relayed => ENDINGS[1],
        Ending::Deferred => ENDINGS[2],
        Ending::Failed => ENDINGS[3],
    }
}

fn bump(counter: &Counter) {
    counter.inner().fetch_add(1, Ordering::Relaxed);
}

fn bump_named(counters: &BTreeMap<&'static str, Counter>, name: &str) {
    if let Some(counter) = counters.get(name) {
        bump(counter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_there_from_the_start_and_moves() {
        let counters = Counters::new(&["inbound".into(), "outbound".into()]);
        let text = counters.render();
        assert!(text.contains("bridgehead_messages_received_total{server=\"inbound\"} 0"), "{text}");
        assert!(
            text.contains("bridgehead_reports_generated_total{server=\"outbound\",reason=\"delayed\"} 0"),
            "{text}"
        );
        let client = "192.0.2.66".parse().unwrap();
        counters.fold(&Event::Connected { server: "inbound", client });
        counters.fold(&Event::Connected { server: "gone", client });
        let text = counters.render();
        assert!(text.contains("bridgehead_inbound_connections_current{server=\"inbound\"} 1"), "{text}");
        assert!(text.contains("bridgehead_inbound_connections_total{server=\"outbound\"} 0"), "{text}");
    }
}

//! Everything that can happen, said once.
//!
//! Whoever does a thing says so with one [`Event`]. Two readers follow: the counters fold it into
//! numbers, the log writes it as one line. A counter is never incremented by hand, so log and
//! counters cannot disagree. Events borrow; an event nobody writes down costs no allocation.

mod line;

use crate::decisions::DecisionId;
use crate::door::Passage;
use mail::{Address, Mailbox, Reply, ReversePath};
use queue::{Ending, MessageId};
use smtp::claims::{Claim, Claims};
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The questions of a session, as columns of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// May this client connect?
    Connection,
    /// May it submit, and as this sender?
    Sender,
    /// Who is it?
    Credentials,
    /// May this recipient be reached: submit or relay?
    Recipient,
    /// May this message be taken?
    Message,
}

impl Asked {
    /// The word in the log.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Asked::Connection => "connection",
            Asked::Credentials => "credentials",
            Asked::Sender => "sender",
            Asked::Recipient => "recipient",
            Asked::Message => "message",
        }
    }
}

/// The kinds of report we send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reported {
    /// Non-delivery.
    Failed,
    /// Late.
    Delayed,
    /// Delivered, as asked for.
    Delivered,
    /// Handed to a system that does not report, as asked for.
    Relayed,
}

impl Reported {
    /// The word in the log and in counters.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reported::Failed => "failed",
            Reported::Delayed => "delayed",
            Reported::Delivered => "delivered",
            Reported::Relayed => "relayed",
        }
    }
}

/// Something that happened. `server` is the name of the virtual server it happened at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event<'a> {
    /// A listening socket is open.
    Listening { server: &'a str, address: SocketAddr },
    /// A limit of the settings was lowered to what the system gives us.
    Lowered { what: &'a str },
    /// The spool has been read.
    Recovered { messages: usize, damaged: usize },
    /// The gateway takes mail from now on.
    Started,
    /// No new connections from now on; open transactions may end.
    Stopping,
    /// Settings have been loaded.
    Reloaded,
    /// New settings were refused; the old ones stay.
    ReloadRefused { why: &'a str },
    /// A socket could not accept, so many times since this was said last: no descriptor is left, say.
    AcceptFailed { why: &'a str, times: u64 },
    /// The files of a certificate have changed, and what is in them is in use.
    CertificateChanged { server: &'a str, file: &'a str, names: &'a str, days_left: i64 },
    /// The files of a certificate have changed, and cannot be used; the old one stays.
    CertificateRejected { server: &'a str, file: &'a str, why: &'a str },
    /// Somebody should look at a certificate or its key.
    CertificateDoubtful { server: &'a str, file: &'a str, why: &'a str },
    /// An entry of a list, a right or a loan has come to its end, and does not match any more.
    Expired { key: &'a str, what: &'a str, last_day: &'a str, owner: Option<&'a str>, reason: Option<&'a str> },
    /// A proxy did not say who its client is; it was let go.
    ProxyRefused { server: &'a str, proxy: IpAddr, why: &'a str },
    /// A client connected.
    Connected { server: &'a str, client: IpAddr },
    /// A session ended.
    Disconnected { server: &'a str, client: IpAddr, messages: u32, lasted: Duration },
    /// It is known what became of a client at the door.
    Passed { server: &'a str, passage: Passage },
    /// A question was answered with no.
    Refused {
        server: &'a str,
        client: IpAddr,
        /// The account or peer that the client has proved to be.
        account: Option<&'a str>,
        asked: Asked,
        reason: &'static str,
        reply: &'a Reply,
        /// The name of the decision, by which it can be asked about.
        decision: Option<DecisionId>,
        sender: Option<&'a ReversePath>,
        recipient: Option<&'a Mailbox>,
        why: &'a [String],
    },
    /// Refusals at the door that were counted and not written, because there were too many a second.
    Suppressed { server: &'a str, reason: &'static str, lines: u64 },
    /// The session noticed something about its client.
    Noted { server: &'a str, client: IpAddr, note: &'static str },
    /// The link was secured by TLS.
    Secured {
        server: &'a str,
        client: IpAddr,
        version: &'a str,
        cipher: &'a str,
        /// The first name of the certificate that the client has shown.
        certificate: Option<&'a str>,
    },
    /// The TLS handshake failed.
    NotSecured { server: &'a str, client: IpAddr, why: &'a str },
    /// A client has proved who it is, or has not. `outcome` is one of [`crate::authenticate::OUTCOMES`].
    Authenticated {
        server: &'a str,
        client: IpAddr,
        mechanism: &'static str,
        name: Option<&'a str>,
        outcome: &'static str,
        why: &'static str,
    },
    /// Something has happened to a directory of accounts.
    Directory { directory: &'a str, what: &'a str },
    /// A peer speaks for a client of its own (XCLIENT).
    SpeaksFor { server: &'a str, client: IpAddr, peer: &'a str, for_client: IpAddr, login: Option<&'a str> },
    /// A peer said where its next message came from (XFORWARD).
    Forwarded { server: &'a str, client: IpAddr, claims: &'a Claims },
    /// A message is ours.
    Received {
        server: &'a str,
        id: MessageId,
        client: Option<IpAddr>,
        /// The account or peer that has sent it.
        account: Option<&'a str>,
        /// Who sent it to the peer, as the peer says (AUTH=, RFC 4954 §5).
        submitter: Option<&'a str>,
        sender: &'a ReversePath,
        recipients: usize,
        submitted: usize,
        bytes: u64,
    },
    /// A message is ours, and held because of how much its sender has sent.
    Held { server: &'a str, id: MessageId, subject: &'a str, why: &'a str },
    /// A sender has reached a stage of the bounds.
    SendingLimit { server: &'a str, subject: &'a str, stage: &'static str, why: &'a str },
    /// An address that relays because of a list is not what it seems.
    GrantAlarm { server: &'a str, client: IpAddr, suspended: bool, why: &'a str },
    /// The postmaster was written to about a sender.
    Alerted { server: &'a str, id: MessageId, about: &'a str },
    /// Somebody could not be told.
    NotAlerted { way: &'static str, why: &'a str },
    /// A message could not be taken although policy had nothing against it.
    NotTaken { server: &'a str, client: IpAddr, why: &'a str },
    /// The gate has stopped a message that the rules had accepted: it would have broken an invariant. One of the two
    /// has a mistake in it, and somebody must look.
    GateStopped {
        server: &'a str,
        client: IpAddr,
        account: Option<&'a str>,
        invariant: &'a str,
        id: MessageId,
        sender: &'a ReversePath,
        recipients: &'a [String],
    },
    /// Somebody insists on settings although of them this is found.
    Accepted { finding: &'a str },
    /// A connection to a next hop was opened.
    HopConnected { server: &'a str, hop: &'a str },
    /// A next hop could not be reached, or would not have us.
    HopRefused { server: &'a str, hop: &'a str, why: &'a str },
    /// A connection to a next hop waits for a descriptor of our own.
    HopPostponed { server: &'a str, hop: &'a str, why: &'a str },
    /// A connection to a next hop is closed.
    HopDisconnected { server: &'a str, hop: &'a str },
    /// What became of one recipient in one attempt.
    Outcome {
        server: &'a str,
        id: MessageId,
        recipient: &'a Mailbox,
        ending: Ending,
        status: mail::EnhancedStatus,
        text: &'a str,
        hop: &'a str,
        age: Duration,
    },
    /// A message has left a virtual server in one transaction, for some or all of its recipients.
    Sent { server: &'a str, id: MessageId, hop: &'a str, recipients: usize, bytes: u64, drop: bool },
    /// A report about a message was queued.
    Reported { server: &'a str, id: MessageId, about: MessageId, kind: Reported },
    /// A message without a sender could not be delivered and went to the bad-mail directory.
    BadMail { server: &'a str, id: MessageId, why: &'a str },
    /// A message could not be moved to the bad-mail directory; it stays in the queue.
    NotBuried { server: &'a str, id: MessageId, why: &'a str },
    /// An administrator did something to messages or destinations of the queue.
    Administered { command: &'a str, touched: usize },
    /// The spool could not be written; new mail is refused until it can be.
    SpoolFailed { why: &'a str },
    /// The disk did not return what it had promised to keep.
    Damaged { what: &'a str },
    /// A programming error ended a task; nothing was lost with it.
    Fault { place: &'a str, what: &'a str },
}

/// The fields of an event in the order in which they are written.
pub(crate) trait Fields {
    /// One field.
    fn field(&mut self, name: &'static str, value: &dyn Display);
    /// One field that is text already.
    fn text(&mut self, name: &'static str, value: &str);
    /// A field with several values.
    fn list(&mut self, name: &'static str, values: &[String]);
    /// A number.
    fn number(&mut self, name: &'static str, value: u64);
}

impl Event<'_> {
    /// The word for what happened.
    #[must_use]
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Event::Listening { .. } => "listening",
            Event::Lowered { .. } => "limit-lowered",
            Event::Recovered { .. } => "recovered",
            Event::Started => "started",
            Event::Stopping => "stopping",
            Event::Reloaded => "reloaded",
            Event::ReloadRefused { .. } => "reload-refused",
            Event::AcceptFailed { .. } => "accept-failed",
            Event::CertificateChanged { .. } => "certificate-changed",
            Event::CertificateRejected { .. } => "certificate-rejected",
            Event::CertificateDoubtful { .. } => "certificate-doubtful",
            Event::Expired { .. } => "expired",
            Event::ProxyRefused { .. } => "proxy-refused",
            Event::Connected { .. } => "connected",
            Event::Disconnected { .. } => "disconnected",
            Event::Passed { .. } => "passed",
            Event::Refused { .. } => "refused",
            Event::Suppressed { .. } => "suppressed",
            Event::Noted { .. } => "noted",
            Event::Secured { .. } => "secured",
            Event::NotSecured { .. } => "not-secured",
            Event::Authenticated { outcome, .. } => match *outcome {
                "proved" => "authenticated",
                _ => "not-authenticated",
            },
            Event::Directory { .. } => "directory",
            Event::SpeaksFor { .. } => "speaks-for",
            Event::Forwarded { .. } => "forwarded",
            Event::Received { .. } => "received",
            Event::Held { .. } => "held",
            Event::SendingLimit { .. } => "sending-limit",
            Event::GrantAlarm { .. } => "grant-alarm",
            Event::Alerted { .. } => "alerted",
            Event::NotAlerted { .. } => "not-alerted",
            Event::NotTaken { .. } => "not-taken",
            Event::GateStopped { .. } => "gate-stopped",
            Event::Accepted { .. } => "accepted",
            Event::HopConnected { .. } => "hop-connected",
            Event::HopRefused { .. } => "hop-refused",
            Event::HopPostponed { .. } => "hop-postponed",
            Event::HopDisconnected { .. } => "hop-disconnected",
            Event::Outcome { ending, .. } => match ending {
                Ending::Delivered => "delivered",
                Ending::Relayed => "relayed",
                Ending::Deferred => "deferred",
                Ending::Failed => "failed",
            },
            Event::Sent { .. } => "sent",
            Event::Reported { .. } => "reported",
            Event::BadMail { .. } => "bad-mail",
            Event::NotBuried { .. } => "not-buried",
            Event::Administered { .. } => "administered",
            Event::SpoolFailed { .. } => "spool-failed",
            Event::Damaged { .. } => "damaged",
            Event::Fault { .. } => "fault",
        }
    }

    /// Whether the event is worth a line in the log. Connections and transactions to next hops are
    /// counted; their messages are what a postmaster looks for.
    #[must_use]
    pub(crate) fn is_logged(&self) -> bool {
        !matches!(
            self,
            Event::Connected { .. }
                | Event::Disconnected { .. }
                | Event::Passed { .. }
                | Event::HopConnected { .. }
                | Event::HopDisconnected { .. }
                | Event::Sent { .. }
        )
    }

    /// Visits the fields.
    pub(crate) fn visit(&self, to: &mut dyn Fields) {
        match *self {
            Event::Started | Event::Stopping | Event::Reloaded => {}
            Event::Listening { server, address } => {
                to.text("server", server);
                to.field("address", &address);
            }
            Event::Recovered { messages, damaged } => {
                to.number("messages", messages as u64);
                to.number("damaged", damaged as u64);
            }
            Event::ReloadRefused { why } | Event::SpoolFailed { why } => to.text("why", why),
            Event::AcceptFailed { why, times } => {
                to.text("why", why);
                to.number("times", times);
            }
            Event::CertificateChanged { server, file, names, days_left } => {
                to.text("server", server);
                to.text("file", file);
                to.text("names", names);
                to.field("days_left", &days_left);
            }
            Event::CertificateRejected { server, file, why } | Event::CertificateDoubtful { server, file, why } => {
                to.text("server", server);
                to.text("file", file);
                to.text("why", why);
            }
            Event::Expired { key, what, last_day, owner, reason } => {
                to.text("key", key);
                to.text("what", what);
                to.text("last_day", last_day);
                for (name, words) in [("owner", owner), ("reason", reason)] {
                    if let Some(words) = words {
                        to.text(name, words);
                    }
                }
            }
            Event::ProxyRefused { server, proxy, why } => {
                to.text("server", server);
                to.field("proxy", &Address(proxy));
                to.text("why", why);
            }
            Event::Connected { server, client } => session(to, server, client),
            Event::Disconnected { server, client, messages, lasted } => {
                session(to, server, client);
                to.number("messages", messages.into());
                to.number("lasted_ms", millis(lasted));
            }
            Event::Passed { server, passage } => {
                to.text("server", server);
                to.text("passage", passage.name());
            }
            Event::Refused { server, client, account, asked, reason, reply, decision, sender, recipient, why } => {
                session(to, server, client);
                if let Some(account) = account {
                    to.text("account", account);
                }
                to.field("asked", &asked.name());
                to.field("reason", &reason);
                to.field("reply", reply);
                if let Some(decision) = decision {
                    to.field("decision", &decision);
                }
                if let Some(sender) = sender {
                    to.field("from", sender);
                }
                if let Some(recipient) = recipient {
                    to.field("to", recipient);
                }
                to.list("rules", why);
            }
            Event::Suppressed { server, reason, lines } => {
                to.text("server", server);
                to.field("reason", &reason);
                to.number("lines", lines);
            }
            Event::Noted { server, client, note } => {
                session(to, server, client);
                to.text("note", note);
            }
            Event::Secured { server, client, version, cipher, certificate } => {
                session(to, server, client);
                to.text("version", version);
                to.text("cipher", cipher);
                if let Some(certificate) = certificate {
                    to.text("certificate", certificate);
                }
            }
            Event::NotSecured { server, client, why } | Event::NotTaken { server, client, why } => {
                session(to, server, client);
                to.text("why", why);
            }
            Event::Authenticated { server, client, mechanism, name, outcome, why } => {
                session(to, server, client);
                to.text("mechanism", mechanism);
                if let Some(name) = name {
                    to.text("name", name);
                }
                to.text("outcome", outcome);
                to.text("why", why);
            }
            Event::Directory { directory, what } => {
                to.text("directory", directory);
                to.text("what", what);
            }
            Event::SpeaksFor { server, client, peer, for_client, login } => {
                session(to, server, client);
                to.text("peer", peer);
                to.field("for", &Address(for_client));
                if let Some(login) = login {
                    to.text("login", login);
                }
            }
            Event::Forwarded { server, client, claims } => forwarded(to, server, client, claims),
            Event::Received { server, id, client, account, submitter, sender, recipients, submitted, bytes } => {
                to.text("server", server);
                to.field("id", &id);
                if let Some(client) = client {
                    to.field("client", &Address(client));
                }
                if let Some(account) = account {
                    to.text("account", account);
                }
                if let Some(submitter) = submitter {
                    to.text("submitter", submitter);
                }
                to.field("from", sender);
                to.number("recipients", recipients as u64);
                to.number("submitted", submitted as u64);
                to.number("bytes", bytes);
            }
            Event::Held { server, id, subject, why } => {
                to.text("server", server);
                to.field("id", &id);
                to.text("sender", subject);
                to.text("why", why);
            }
            Event::SendingLimit { server, subject, stage, why } => {
                to.text("server", server);
                to.text("sender", subject);
                to.text("stage", stage);
                to.text("why", why);
            }
            Event::GrantAlarm { server, client, suspended, why } => {
                session(to, server, client);
                to.text("suspended", if suspended { "yes" } else { "no" });
                to.text("why", why);
            }
            Event::Alerted { server, id, about } => {
                to.text("server", server);
                to.field("id", &id);
                to.text("about", about);
            }
            Event::NotAlerted { way, why } => {
                to.text("way", way);
                to.text("why", why);
            }
            Event::GateStopped { server, client, account, invariant, id, sender, recipients } => {
                session(to, server, client);
                if let Some(account) = account {
                    to.text("account", account);
                }
                to.text("invariant", invariant);
                to.field("id", &id);
                to.field("from", sender);
                to.list("to", recipients);
            }
            Event::Accepted { finding } => to.text("finding", finding),
            Event::HopConnected { server, hop } | Event::HopDisconnected { server, hop } => {
                to.text("server", server);
                to.text("hop", hop);
            }
            Event::HopRefused { server, hop, why } | Event::HopPostponed { server, hop, why } => {
                to.text("server", server);
                to.text("hop", hop);
                to.text("why", why);
            }
            Event::Outcome { server, id, recipient, ending: _, status, text, hop, age } => {
                to.text("server", server);
                to.field("id", &id);
                to.field("to", recipient);
                to.text("hop", hop);
                to.field("status", &status);
                to.text("text", text);
                to.number("age_ms", millis(age));
            }
            Event::Sent { server, id, hop, recipients, bytes, drop: _ } => {
                to.text("server", server);
                to.field("id", &id);
                to.text("hop", hop);
                to.number("recipients", recipients as u64);
                to.number("bytes", bytes);
            }
            Event::Reported { server, id, about, kind } => {
                to.text("server", server);
                to.field("id", &id);
                to.field("about", &about);
                to.field("kind", &kind.name());
            }
            Event::BadMail { server, id, why } | Event::NotBuried { server, id, why } => {
                to.text("server", server);
                to.field("id", &id);
                to.text("why", why);
            }
            Event::Administered { command, touched } => {
                to.text("command", command);
                to.number("touched", touched as u64);
            }
            Event::Damaged { what } | Event::Lowered { what } => to.text("what", what),
            Event::Fault { place, what } => {
                to.text("place", place);
                to.text("what", what);
            }
        }
    }
}

fn session(to: &mut dyn Fields, server: &str, client: IpAddr) {
    to.text("server", server);
    to.field("client", &Address(client));
}

/// What was said; what was not is not there.
fn forwarded(to: &mut dyn Fields, server: &str, client: IpAddr, claims: &Claims) {
    session(to, server, client);
    if let Some(address) = claims.address.as_ref().and_then(Claim::value) {
        to.field("for", &Address(*address));
    }
    if let Some(name) = claims.name.as_ref().and_then(Claim::value) {
        to.field("name", name);
    }
    if let Some(hello) = claims.hello.as_ref().and_then(Claim::value) {
        to.field("hello", hello);
    }
    if let Some(ident) = claims.ident.as_ref().and_then(Claim::value) {
        to.text("ident", ident);
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

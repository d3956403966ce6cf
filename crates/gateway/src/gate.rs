//! The gate, just before a message is committed: what has been accepted, told to [`invariant::Gate`] in
//! plain facts. Nothing of `policy` is asked here, and none of its verdicts is believed.

use crate::event::Event;
use crate::session::Context;
use crate::world::World;
use config::{Config, Server};
use invariant::{Client, Gate, Mail};
use mail::{Host, Identity, Reply};
use queue::Envelope;

/// The recipients that are named in the log.
const RECIPIENTS: usize = 20;

/// The gate of a virtual server. Inside are the organization's domains and the one that bare local parts
/// are given; a recipient in another name of a domain has been rewritten by now.
pub(crate) fn of(server: &Server, config: &Config) -> Gate {
    let organization = config.organization.domains.iter().chain([&server.session.default_domain]);
    Gate::new(&server.name, organization.map(mail::Domain::as_str), &config.invariants)
}

/// The session becomes that of another client (XCLIENT). What its peer should not have come to is remembered: to
/// speak for somebody else does not undo it.
pub(crate) fn leave<W: World>(context: &mut Context<W>) {
    if context.broken.is_none() {
        let broken = context.server.gate.broken_by_session(context.client, context.known);
        context.broken = broken.map(Box::from);
    }
}

/// The reply to a message that would break an invariant. It says nothing of why; the log does.
pub(crate) fn stops<W: World>(context: &Context<W>, envelope: &Envelope) -> Option<Reply> {
    let client = match &context.identity {
        Identity::Anonymous => Client::Anonymous,
        Identity::Account(account) => Client::Account { name: &account.name, groups: &account.groups },
        Identity::Peer(name) => Client::Peer(name),
    };
    let mail = Mail { client, address: context.client, known: context.known };
    let recipients = envelope.recipients.iter().map(|recipient| match &recipient.forward_path.host {
        Host::Domain(domain) => Some(domain.as_str()),
        Host::Literal(_) => None,
    });
    let broken = context.broken.as_deref();
    let invariant = broken.or_else(|| context.server.gate.stops(&mail, &recipients))?;
    let named = envelope.recipients.iter().take(RECIPIENTS);
    let recipients: Vec<String> = named.map(|one| one.forward_path.to_string()).collect();
    context.gateway.recorder.record(&Event::GateStopped {
        server: &context.server.config.name,
        client: context.client,
        account: context.identity.name(),
        invariant,
        id: envelope.id,
        sender: &envelope.reverse_path,
        recipients: &recipients,
    });
    Some(Reply::later(51, 7, 0, "Could not be decided now, try again later"))
}

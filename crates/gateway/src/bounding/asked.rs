//! What a session asks and tells of its client, and what is told when a next hop refuses a recipient.
//!
//! While the gateway stops, the owner may have ended before the last transactions and attempts: then nothing is
//! counted, and what is under way goes through as if nobody had asked. That is one message for each open session and
//! for each connection to a next hop.

use super::{Order, Sending};
use crate::Gateway;
use crate::answer::suspended;
use crate::session::Context;
use crate::world::World;
use bounds::{Cause, Gate, Limits, Subject};
use mail::{Identity, Mailbox, ReversePath};
use policy::Mode;
use queue::{Counted, Envelope};
use smtp::server::{Answer, Hello, Transaction};
use std::time::Duration;

/// MAIL, which policy has granted: whether the client is suspended, and how slowly it is answered.
pub(crate) async fn gate<W: World>(context: &mut Context<W>, sender: &ReversePath) -> Answer {
    context.delay = Duration::ZERO;
    context.relays_by_list = false;
    context.is_listed = submits_by_list(context);
    let Some(sending) = sending(context, true) else { return Answer::Proceed };
    let gateway = context.gateway.clone();
    let subject = sending.subject.clone();
    match gateway.bounding.ask(|gate| Order::Gate(sending, gate)).await {
        None | Some(Gate::Open) => Answer::Proceed,
        Some(Gate::Slow(delay)) => {
            context.delay = delay;
            Answer::Proceed
        }
        Some(Gate::Suspended(cause)) => Answer::Refuse(suspended(context, &subject, &cause, sender)),
    }
}

/// A recipient was refused for good.
pub(crate) async fn missed<W: World>(context: &mut Context<W>, recipient: &Mailbox) {
    if let Some(sending) = sending(context, false) {
        context.gateway.bounding.tell(Order::Missed(sending, recipient.to_string())).await;
    }
}

/// A message is taken: whether it is held, and whose sending it was counted as. What is held goes out when an
/// administrator has looked at it, and nothing of it counts from then on.
pub(crate) async fn message<W: World>(context: &mut Context<W>) -> (Option<Cause>, Option<Counted>) {
    let Some(sending) = sending(context, false) else { return (None, None) };
    let counted = match &sending.subject {
        Subject::Account(name) => Counted::Account(name.clone()),
        Subject::Device(_) => Counted::Client,
    };
    let recipients = context.accepted.iter().map(|accepted| accepted.to.to_string()).collect();
    let judged = context.gateway.bounding.ask(|judged| Order::Message(sending, recipients, judged)).await;
    let judged = judged.unwrap_or_default();
    (judged.held, (judged.counted && judged.held.is_none()).then_some(counted))
}

/// A next hop has refused recipients of a message for good, those at these places of its envelope.
pub(crate) async fn refused_by_hop<W: World>(gateway: &Gateway<W>, envelope: &Envelope, places: &[usize]) {
    let subject = match (&envelope.counted, envelope.client) {
        (Some(Counted::Account(name)), _) => Subject::account(name),
        (Some(Counted::Client), Some(client)) => Subject::Device(client),
        (Some(Counted::Client), None) | (None, _) => return,
    };
    let recipients = places.iter().filter_map(|place| envelope.recipients.get(*place));
    let recipients: Vec<String> = recipients.map(|recipient| recipient.forward_path.to_string()).collect();
    if !recipients.is_empty() {
        let (server, taken) = (envelope.server.clone(), envelope.received);
        gateway.bounding.tell(Order::RefusedByHop { subject, server, taken, recipients }).await;
    }
}

/// A message is relayed because of its client's address: by what name it greeted, and for whom it sends.
pub(crate) async fn relay<W: World>(context: &mut Context<W>, hello: Option<&Hello>, transaction: &Transaction) {
    if !context.relays_by_list {
        return;
    }
    let name = hello.and_then(|hello| hello.name.as_ref()).map(ToString::to_string);
    let domain = transaction.sender.reverse_path.mailbox().map(|mailbox| mailbox.host.to_string().into());
    let order = Order::Relays {
        client: context.client,
        hello: name.unwrap_or_default().into(),
        domain,
        server: context.server.config.name.clone(),
    };
    context.gateway.bounding.tell(order).await;
}

/// Whether a client that has not authenticated may submit because it is on a list.
fn submits_by_list<W: World>(context: &Context<W>) -> bool {
    !context.identity.is_authenticated() && context.server.config.rules.connection.mode == Mode::Only
}

/// Whose sending this is, if it is counted: an account's, or that of a client that may send because of its address.
/// At MAIL it is not known yet whether it will relay.
fn sending<W: World>(context: &Context<W>, at_mail: bool) -> Option<Sending> {
    let server = context.server.config.name.clone();
    match &context.identity {
        Identity::Account(account) => {
            let subject = Subject::account(&account.name);
            Some(Sending { subject, account: Some(account.clone()), server })
        }
        // Servers of the organization have no limits of their own.
        Identity::Peer(_) => None,
        Identity::Anonymous => {
            let limited = context.law.config.bounds.settings.devices != Limits::default();
            let by_address = at_mail || context.is_listed || context.relays_by_list;
            let subject = Subject::Device(context.client);
            (limited && by_address).then_some(Sending { subject, account: None, server })
        }
    }
}

//! A message's way from its first octet to its receipt: draft, glance, judge, stamp, gate, commit.
//!
//! No step calls the next; [`receive`] calls them in order. That is the whole function, and it
//! stays that way.

use crate::answer::{self, not_taken, refuse};
use crate::bounding;
use crate::event::Event;
use crate::gate;
use crate::keeper::NotCommitted;
use crate::lookups::decide;
use crate::marks;
use crate::memory::{ARRIVING_OCTETS, Held};
use crate::session::Context;
use crate::world::World;
use mail::{Authors, Class, EnhancedStatus, Hop, Protocol, Reply};
use policy::{MessageFacts, Question};
use queue::spool::Receipt;
use queue::{Body, BodyFile, Diagnosis, Draft, Glance};
use queue::{Envelope, Kind, MessageId, State};
use smtp::server::{Answer, Hello, Transaction};
use std::io;
use std::sync::Arc;

/// What a message that has a file of its own, or comes while memory is short, holds in memory at the most
/// before it is written.
const SPILL_BYTES: u64 = 32 * 1024;

/// A message that is arriving.
pub(crate) struct Incoming<W: World> {
    id: MessageId,
    draft: Draft,
    file: Option<BodyFile<W::Disk>>,
    /// What it costs.
    held: Held,
    /// The disk failed under it, or memory ran out; the message is read on to its end and then put off.
    failed: Option<io::Error>,
}

impl<W: World> std::fmt::Debug for Incoming<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Incoming({}, {} octets)", self.id, self.draft.size_bytes())
    }
}

/// Takes octets of the message that is arriving. A large one goes on into a file of its own.
pub(crate) async fn draft<W: World>(context: &mut Context<W>, octets: &[u8]) {
    let gateway = context.gateway.clone();
    let incoming = context.incoming.get_or_insert_with(|| begin(&gateway));
    if incoming.failed.is_some() {
        return;
    }
    if gateway.memory.is_full() {
        return incoming.fail(io::ErrorKind::OutOfMemory.into());
    }
    incoming.draft.push(octets);
    let limit =
        if incoming.file.is_some() || gateway.memory.is_tight() { SPILL_BYTES } else { gateway.bodies.limit_bytes() };
    if incoming.draft.held_bytes() > limit {
        incoming.spill(&gateway).await;
    }
    incoming.held.set(ARRIVING_OCTETS + incoming.draft.held_bytes() + incoming.draft.held_header_bytes());
}

fn begin<W: World>(gateway: &crate::Gateway<W>) -> Incoming<W> {
    let held = gateway.memory.hold(ARRIVING_OCTETS);
    Incoming { id: gateway.ids.next(), draft: Draft::new(), file: None, held, failed: None }
}

impl<W: World> Incoming<W> {
    /// Gives up what has arrived; what is still to come is read and dropped.
    fn fail(&mut self, error: io::Error) {
        (self.draft, self.file, self.failed) = (Draft::new(), None, Some(error));
        self.held.set(0);
    }

    /// Moves what is in memory into the message's file.
    async fn spill(&mut self, gateway: &crate::Gateway<W>) {
        let (bodies, id) = (gateway.bodies.clone(), self.id);
        let (mut draft, file) = (std::mem::take(&mut self.draft), self.file.take());
        let (draft, written) = gateway
            .world
            .blocking(move || {
                let written = file.map_or_else(|| bodies.create(id), Ok).and_then(|mut file| {
                    file.append(&mut draft)?;
                    Ok(file)
                });
                (draft, written)
            })
            .await;
        self.draft = draft;
        match written {
            Ok(file) => self.file = Some(file),
            Err(error) => self.fail(error),
        }
    }

    /// The whole body; durable already when it has a file of its own.
    async fn finish(self, gateway: &crate::Gateway<W>) -> io::Result<(Body, Held)> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let (draft, file) = (self.draft, self.file);
        let body = match file {
            None => draft.finish(),
            Some(file) => gateway.world.blocking(move || file.finish(draft)).await?,
        };
        Ok((body, self.held))
    }
}

/// Answers the Message question.
pub(crate) async fn receive<W: World>(
    context: &mut Context<W>,
    hello: Option<&Hello>,
    transaction: Transaction,
) -> Answer {
    let gateway = context.gateway.clone();
    let incoming = context.incoming.take().unwrap_or_else(|| begin(&gateway));
    let id = incoming.id;
    // Held until the dispatcher has it in its own account.
    let (body, _held) = match incoming.finish(&gateway).await {
        Ok(body) => body,
        Err(error) => return Answer::Refuse(disk_failed(context, &error)),
    };
    let glance = body.glance();
    if let Err(reply) = judge(context, &transaction, &glance, &body).await {
        gateway.bodies.discard(&body);
        return Answer::Refuse(reply);
    }
    bounding::relay(context, hello, &transaction).await;
    (context.held, context.counted) = bounding::message(context).await;
    let envelope = Arc::new(stamp(context, hello, transaction, id, &glance));
    if let Some(reply) = gate::stops(context, &envelope) {
        gateway.bodies.discard(&body);
        return Answer::Refuse(reply);
    }
    match gateway.keeper.commit(envelope.clone(), body).await {
        Ok((receipt, admission)) => {
            context.entering = Some(admission);
            taken(context, &envelope, receipt)
        }
        Err(why) => Answer::Refuse(put_off(context, why)),
    }
}

/// The Message question: what the content has to say against itself.
async fn judge<W: World>(
    context: &mut Context<W>,
    transaction: &Transaction,
    glance: &Glance,
    body: &Body,
) -> Result<(), Reply> {
    if glance.content.utf8_headers && !transaction.sender.smtputf8 {
        return Err(answer::utf8_header(context, &transaction.sender.reverse_path));
    }
    let (gateway, server) = (context.gateway.clone(), context.server.clone());
    let rules = &server.config.rules;
    let authors =
        if policy::asks_authors(rules, &context.identity) { Authors::of(&body.header()) } else { Authors::default() };
    let facts = MessageFacts {
        client: context.client,
        now: gateway.world.now(),
        identity: &context.identity,
        authors: &authors,
        hops: glance.hops,
    };
    let decision =
        decide(&*gateway.world, &context.law, &mut context.ledger, |ledger| policy::message(rules, &facts, ledger))
            .await;
    match decision.verdict {
        Ok(taken) => {
            context.marks.extend(taken.marks);
            Ok(())
        }
        Err(_) => Err(refuse(context, &Question::Message(facts), &decision, Some(&transaction.sender.reverse_path))),
    }
}

/// The envelope, with the header fields we add.
fn stamp<W: World>(
    context: &mut Context<W>,
    hello: Option<&Hello>,
    transaction: Transaction,
    id: MessageId,
    glance: &Glance,
) -> Envelope {
    let at = context.gateway.world.now();
    let accepted = std::mem::take(&mut context.accepted);
    assert_eq!(accepted.len(), transaction.recipients.len(), "each recipient of the session was accepted by policy");
    let with = Protocol {
        extended: hello.is_some_and(|hello| hello.extended),
        utf8: transaction.sender.smtputf8,
        secured: context.secured,
        authenticated: context.identity.is_authenticated(),
    };
    let name = hello.and_then(|hello| hello.name.as_ref());
    let mut trace = mail::received(&Hop {
        hello: name,
        client: context.client,
        by: &context.server.config.session.hostname,
        with,
        id: &id.to_string(),
        recipient: if let [only] = &accepted[..] { Some(&only.to) } else { None },
        at,
    });
    marks::write(&mut trace, context.identity.is_authenticated(), &context.marks);
    context.submitted = accepted.iter().filter(|accepted| accepted.submitted).count();
    let held = context.held.map(|_| held_back());
    let binary = transaction.sender.body == smtp::server::Body::Binary;
    Envelope {
        id,
        kind: Kind::Mail,
        received: at,
        server: context.server.config.name.clone(),
        client: Some(context.client),
        hello: name.map(|name| name.to_string().into()),
        reverse_path: transaction.sender.reverse_path,
        ret: transaction.sender.ret.map(crate::translate::ret),
        envid: transaction.sender.envid,
        smtputf8: transaction.sender.smtputf8,
        content: queue::Content { binary, ..glance.content },
        trace: trace.into_bytes().into(),
        recipients: transaction
            .recipients
            .into_iter()
            .zip(accepted)
            .map(|(said, accepted)| queue::Recipient {
                forward_path: accepted.to,
                original: said.original.map(crate::translate::original),
                notify: said.notify.map(crate::translate::notify),
                state: State::Pending,
                attempts: 0,
                last: held.clone(),
            })
            .collect(),
        warned: false,
        held: held.is_some(),
        counted: context.counted.take(),
    }
}

/// The words for a message that is held because of how much its sender has sent. Its sender may come to read them.
fn held_back() -> Diagnosis {
    let status = EnhancedStatus::new(Class::Transient, 7, 1);
    Diagnosis { status, text: "held: its sender has sent more than is allowed".into(), host: None }
}

/// The only place where a client is told that its message is ours. It takes the receipt by value: a
/// 250 without a commit has nowhere to come from.
#[expect(clippy::needless_pass_by_value, reason = "a receipt is spent when it is answered for")]
fn taken<W: World>(context: &mut Context<W>, envelope: &Envelope, receipt: Receipt) -> Answer {
    context.messages += 1;
    context.gateway.recorder.record(&Event::Received {
        server: &envelope.server,
        id: receipt.id(),
        client: envelope.client,
        account: context.identity.name(),
        submitter: context.submitter.as_deref(),
        sender: &envelope.reverse_path,
        recipients: envelope.recipients.len(),
        submitted: context.submitted,
        bytes: envelope.content.size_bytes,
    });
    if let Some(why) = context.held.take() {
        context.gateway.recorder.record(&Event::Held {
            server: &envelope.server,
            id: receipt.id(),
            subject: context.identity.name().unwrap_or(&context.client.to_string()),
            why: &why.to_string(),
        });
    }
    Answer::Taken(receipt.id().to_string().into())
}

/// The one function that turns an error of the spool into a reply.
fn put_off<W: World>(context: &Context<W>, why: NotCommitted) -> Reply {
    not_taken(context, &why.to_string());
    match why {
        NotCommitted::NoRoom => Reply::later(52, 3, 1, "Insufficient system storage, try again later"),
        NotCommitted::TooLarge => Reply::never(52, 3, 4, "Message size exceeds what can be stored"),
        NotCommitted::Failed => Reply::later(51, 3, 0, "The message could not be stored, try again later"),
    }
}

fn disk_failed<W: World>(context: &Context<W>, error: &io::Error) -> Reply {
    not_taken(context, &error.to_string());
    match error.kind() {
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::FileTooLarge
        | io::ErrorKind::OutOfMemory => Reply::later(52, 3, 1, "Insufficient system storage, try again later"),
        _ => Reply::later(51, 3, 0, "The message could not be stored, try again later"),
    }
}

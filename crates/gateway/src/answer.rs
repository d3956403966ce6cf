//! The questions of a session, each a short function: facts in, policy asked, answer out.
//!
//! Policy refuses in its own words. [`refusal`] is the one table that gives each its name, reply
//! code, enhanced status and text; the texts an administrator may see changed are that table,
//! nothing else.

use crate::decisions::asked;
use crate::event::{Asked, Event};
use crate::lookups::decide;
use crate::session::{Accepted, Context};
use crate::world::World;
use crate::{Gateway, Server};
use identity::guess::Gate;
use identity::{Finding, Inquiry, No};
use mail::{Identity, Ledger, Mailbox, Reply, ReversePath};
use policy::{Acceptance, AddressPlace, Decision, Question, RecipientFacts, Refusal, SenderFacts, render};
use smtp::claims::{Claim, Claims};
use smtp::server::{Answer, Recipient, Sender};
use std::net::IpAddr;
use std::sync::Arc;

/// The names of all refusals, as they stand in the log and in counters.
pub(crate) const REASONS: [&str; 18] = [
    "connection-listed",
    "connection-not-listed",
    "too-many-connections",
    "too-many-from-address",
    "not-authenticated",
    "relay-denied",
    "routed-local-part",
    "address-literal",
    "user-unknown",
    "hop-count",
    "could-not-find-out",
    UTF8_HEADER,
    "too-many-from-network",
    NO_MEMORY,
    GUESSING,
    "may-not-submit",
    "not-owner",
    ACCOUNT_REFUSED,
];

/// A header that needs SMTPUTF8 in a transaction without it.
const UTF8_HEADER: &str = "utf8-header";

/// A peer speaks for an account that may not log in here.
const ACCOUNT_REFUSED: &str = "account-refused";

/// The client, or its network, has guessed too often.
const GUESSING: &str = "guessing";

/// Memory is short.
const NO_MEMORY: &str = "no-memory";

/// A refusal's name and its reply (reference 9.2).
#[must_use]
pub fn refusal(refusal: &Refusal, hostname: &mail::Domain, not_authenticated_code: u16) -> (&'static str, Reply) {
    let unable = |recipient: &Mailbox| Reply::never(50, 7, 1, format!("Unable to relay for {recipient}"));
    match refusal {
        Refusal::ConnectionListed => (REASONS[0], Reply::never(54, 7, 1, format!("{hostname} Connection refused"))),
        Refusal::ConnectionNotListed => (REASONS[1], Reply::never(54, 7, 1, format!("{hostname} Connection refused"))),
        Refusal::TooManyConnections => (REASONS[2], Reply::later(21, 3, 2, "Too many connections, try again later")),
        Refusal::TooManyFromAddress => {
            (REASONS[3], Reply::later(21, 7, 0, "Too many connections from your address, try again later"))
        }
        Refusal::TooManyFromNetwork => {
            (REASONS[12], Reply::later(21, 7, 0, "Too many connections from your network, try again later"))
        }
        Refusal::NotAuthenticated { .. } => {
            let reply = Reply::never(30, 7, 3, "Client was not authenticated");
            (REASONS[4], reply.clone().with_code(not_authenticated_code).unwrap_or(reply))
        }
        Refusal::MayNotSubmit => {
            let reply = Reply::never(50, 7, 3, "Client does not have permission to submit mail to this server");
            // The old product said 454 to both; whoever wants the one wants the other.
            let legacy = (not_authenticated_code == 454).then(|| reply.clone().with_code(454)).flatten();
            (REASONS[15], legacy.unwrap_or(reply))
        }
        Refusal::NotOwner => {
            (REASONS[16], Reply::never(50, 7, 1, "Client does not have permissions to send as this sender"))
        }
        Refusal::RelayDenied { recipient } => (REASONS[5], unable(recipient)),
        Refusal::RoutedLocalPart { recipient } => (REASONS[6], unable(recipient)),
        Refusal::AddressLiteral { recipient } => (REASONS[7], unable(recipient)),
        Refusal::UserUnknown => (REASONS[8], Reply::never(50, 1, 1, "User unknown")),
        Refusal::HopCount => (REASONS[9], Reply::never(54, 4, 6, "Hop count exceeded, the message loops")),
        Refusal::CouldNotFindOut => (REASONS[10], Reply::later(51, 7, 0, "Could not be decided now, try again later")),
    }
}

/// May this client connect?
pub(crate) async fn connection<W: World>(context: &mut Context<W>) -> Answer {
    let facts = policy::ConnectionFacts { now: context.gateway.world.now(), ..context.arrival };
    let (gateway, server) = (context.gateway.clone(), context.server.clone());
    let decision = decide(&*gateway.world, &context.law, &mut context.ledger, |ledger| {
        policy::connection(&server.config.rules, &facts, ledger)
    })
    .await;
    match decision.verdict {
        Ok(_) if is_refused_for_guessing(gateway, server, context.client).await => Answer::Dismiss(guessing(context)),
        Ok(admission) => {
            context.admission = admission;
            Answer::Proceed
        }
        Err(_) => Answer::Dismiss(refuse(context, &Question::Connection(facts), &decision, None)),
    }
}

/// Whether a client is not even let in, because it has guessed: only where everybody must authenticate.
/// Elsewhere its mail is as good as before, and its guesses are stopped at AUTH.
async fn is_refused_for_guessing<W: World>(gateway: Arc<Gateway<W>>, server: Arc<Server<W>>, client: IpAddr) -> bool {
    let only_accounts = !server.config.rules.authentication.anonymous && server.config.session.has_auth();
    only_accounts && matches!(gateway.guessing.arrived(client).await, Gate::Refused { .. })
}

/// Says to the log that a client is sent away because of guessing, and makes the reply.
pub(crate) fn guessing<W: World>(context: &Context<W>) -> Reply {
    let reply = Reply::later(21, 7, 0, "Too many failed authentications, try again later");
    say_refused(context, Asked::Credentials, GUESSING, &reply, None);
    reply
}

/// XCLIENT: from here on the session is that of the client for which the peer speaks, judged as if it
/// had come itself. Only what the peer says is known of it (reference 5).
pub(crate) async fn claims<W: World>(context: &mut Context<W>, claims: &Claims) -> Answer {
    let login = claims.login.as_ref().and_then(Claim::value);
    let client = claims.address.as_ref().and_then(Claim::value).copied().unwrap_or(context.client);
    context.gateway.recorder.record(&Event::SpeaksFor {
        server: &context.server.config.name,
        client: context.client,
        peer: context.identity.name().unwrap_or_default(),
        for_client: client,
        login: login.map(|name| &**name),
    });
    context.client = client;
    context.arrival.client = client;
    // What TLS says is about the peer: its certificate must prove nobody else, nor its link bind anything.
    context.link = None;
    // Who it is, the peer says.
    context.known = invariant::Known::NotByAuth;
    context.ledger = Ledger::new();
    context.identity = match login {
        None => Identity::Anonymous,
        Some(name) => match vouched(context, name).await {
            Ok(identity) => identity,
            Err(reply) => return Answer::Dismiss(reply),
        },
    };
    match connection(context).await {
        Answer::Proceed if login.is_some() => Answer::Known(context.identity.clone()),
        answer => answer,
    }
}

/// The account for which a peer vouches, with its groups and addresses: its rights hang on them. One that no
/// directory here knows is a name alone, which has what every account has; one that is suspended is nobody.
async fn vouched<W: World>(context: &mut Context<W>, name: &str) -> Result<Identity, Reply> {
    let (gateway, law) = (context.gateway.clone(), context.law.clone());
    let server = context.server.clone();
    let names = &server.config.authentication.directories;
    let inquiry = Inquiry::Account { name: name.into() };
    // Boxed: what an inquiry takes would stand empty in every session.
    let found = Box::pin(gateway.world.inquire(&law.directories, names, inquiry)).await;
    let (reply, reason) = match found {
        Finding::Account(account) => return Ok(Identity::Account(account)),
        Finding::No(No::Unknown) => return Ok(Identity::account(name)),
        Finding::No(_) => (Reply::never(50, 7, 1, "The account may not be used here"), ACCOUNT_REFUSED),
        _ => (Reply::later(21, 7, 0, "The account could not be looked up, try again later"), REASONS[10]),
    };
    say_refused(context, Asked::Credentials, reason, &reply, None);
    Err(reply)
}

/// May this client submit, and does the queue have room?
pub(crate) async fn sender<W: World>(context: &mut Context<W>, sender: &Sender) -> Answer {
    context.accepted.clear();
    context.incoming = None;
    // RFC 4954 §5: believed only of those who are trusted to say it.
    context.submitter = sender.auth.clone().filter(|_| matches!(context.identity, Identity::Peer(_)));
    let (gateway, server) = (context.gateway.clone(), context.server.clone());
    context.marks.clear();
    let facts = SenderFacts {
        client: context.client,
        now: gateway.world.now(),
        admission: context.admission,
        identity: &context.identity,
        secured: context.secured,
        reverse_path: &sender.reverse_path,
    };
    let decision = decide(&*gateway.world, &context.law, &mut context.ledger, |ledger| {
        policy::sender(&server.config.rules, &facts, ledger)
    })
    .await;
    match &decision.verdict {
        Ok(_) if !gateway.keeper.has_room() => Answer::Refuse(no_room(context)),
        Ok(_) if gateway.memory.is_tight() => Answer::Refuse(no_memory(context)),
        Ok(submission) => {
            context.marks.extend(submission.marked.then_some(AddressPlace::Envelope));
            Answer::Proceed
        }
        Err(Refusal::NotAuthenticated { close: true }) => {
            Answer::Dismiss(refuse(context, &Question::Sender(facts), &decision, Some(&sender.reverse_path)))
        }
        Err(_) => Answer::Refuse(refuse(context, &Question::Sender(facts), &decision, Some(&sender.reverse_path))),
    }
}

/// Submit or relay?
pub(crate) async fn recipient<W: World>(context: &mut Context<W>, recipient: &Recipient) -> Answer {
    let (gateway, server) = (context.gateway.clone(), context.server.clone());
    let facts = RecipientFacts {
        client: context.client,
        now: gateway.world.now(),
        identity: &context.identity,
        recipient: &recipient.forward_path,
    };
    let decision = decide(&*gateway.world, &context.law, &mut context.ledger, |ledger| {
        policy::recipient(&server.config.rules, &facts, ledger)
    })
    .await;
    match decision.verdict {
        Ok(acceptance) => {
            context.accepted.push(match acceptance {
                Acceptance::Submitted { to } => Accepted { to, submitted: true },
                Acceptance::Relayed { .. } => Accepted { to: recipient.forward_path.clone(), submitted: false },
            });
            Answer::Proceed
        }
        Err(_) => Answer::Refuse(refuse(context, &Question::Recipient(facts), &decision, None)),
    }
}

/// Says the refusal to the log, keeps it for whoever asks why, and makes its reply.
pub(crate) fn refuse<W: World, V>(
    context: &Context<W>,
    question: &Question<'_>,
    decision: &Decision<V>,
    sender: Option<&ReversePath>,
) -> Reply {
    let config = &context.server.config;
    let Err(verdict) = &decision.verdict else { unreachable!("only refusals are refused") };
    let (reason, reply) = refusal(verdict, &config.session.hostname, config.not_authenticated_code);
    let (gateway, book) = (&context.gateway, &context.law.config.book);
    let why = render::lines(&decision.trace, book).collect::<Vec<_>>();
    let made = (&decision.trace, reply);
    let (id, reply) = gateway.decisions.keep(&gateway.memory, (&config.rules, book), question, &context.ledger, made);
    gateway.recorder.record(&Event::Refused {
        server: &config.name,
        client: context.client,
        asked: asked(question),
        reason,
        reply: &reply,
        decision: Some(id),
        sender,
        recipient: if let Question::Recipient(facts) = question { Some(facts.recipient) } else { None },
        why: &why,
    });
    reply
}

/// The header has octets outside ASCII, and the client did not ask for SMTPUTF8 (RFC 6532;
/// conformance row 26).
pub(crate) fn utf8_header<W: World>(context: &Context<W>, sender: &ReversePath) -> Reply {
    let reply = Reply::never(50, 6, 7, "The header has characters that need SMTPUTF8");
    say_refused(context, Asked::Message, UTF8_HEADER, &reply, Some(sender));
    reply
}

/// Says a refusal to the log that rests on no rule of the settings.
fn say_refused<W: World>(
    context: &Context<W>,
    asked: Asked,
    reason: &'static str,
    reply: &Reply,
    sender: Option<&ReversePath>,
) {
    context.gateway.recorder.record(&Event::Refused {
        server: &context.server.config.name,
        client: context.client,
        asked,
        reason,
        reply,
        decision: None,
        sender,
        recipient: None,
        why: &[],
    });
}

/// The disk has no room for new mail; what is queued goes on being delivered.
pub(crate) fn no_room<W: World>(context: &Context<W>) -> Reply {
    not_taken(context, "the spool has no room");
    Reply::later(52, 3, 1, "Insufficient system storage, try again later")
}

/// Memory is short; what is under way is finished first.
pub(crate) fn no_memory<W: World>(context: &Context<W>) -> Reply {
    not_taken(context, "memory is short");
    Reply::later(52, 3, 1, "Insufficient system resources, try again later")
}

/// The reply to a client that comes while memory is short, and the reason's name.
pub(crate) fn no_memory_at_the_door() -> (&'static str, Reply) {
    (NO_MEMORY, Reply::later(21, 3, 2, "Insufficient system resources, try again later"))
}

/// Says to the log that a message was put off for a reason of our own.
pub(crate) fn not_taken<W: World>(context: &Context<W>, why: &str) {
    let event = Event::NotTaken { server: &context.server.config.name, client: context.client, why };
    context.gateway.recorder.record(&event);
}

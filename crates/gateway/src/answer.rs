//! The questions of a session, each a short function: facts in, policy asked, answer out.
//!
//! Policy refuses in its own words. [`refusal`] is the one table that gives each its name, reply
//! code, enhanced status and text; the texts an administrator may see changed are that table,
//! nothing else.

use crate::bounding;
use crate::decisions::asked;
use crate::door::Passage;
use crate::event::{Asked, Event};
use crate::gate;
use crate::lookups::decide;
use crate::session::{Accepted, Context};
use crate::world::World;
use crate::{Gateway, Server};
use bounds::{Cause, Subject};
use identity::guess::Gate;
use identity::{Finding, Inquiry, No};
use mail::{Identity, Ledger, Mailbox, Reply, ReversePath};
use policy::{
    Acceptance, AddressPlace, Admission, Decision, Grant, Question, RecipientFacts, Refusal, SenderFacts, render,
};
use smtp::claims::{Claim, Claims};
use smtp::server::{Answer, Recipient, Sender};
use std::net::IpAddr;
use std::sync::Arc;

/// The names of all refusals, as they stand in the log and in counters.
pub(crate) const REASONS: [&str; 20] = [
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
    SUSPENDED,
    ACCOUNT_REFUSED,
    "sender-filtered",
];

/// A header that needs SMTPUTF8 in a transaction without it.
const UTF8_HEADER: &str = "utf8-header";

/// A peer speaks for an account that may not log in here.
const ACCOUNT_REFUSED: &str = "account-refused";

/// The client, or its network, has guessed too often.
const GUESSING: &str = "guessing";

/// The sender is suspended for how much it has sent, or its address for what is behind it.
const SUSPENDED: &str = "suspended";

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
        Refusal::SenderFiltered { .. } => (REASONS[19], Reply::never(54, 1, 0, "Sender Denied")),
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
        Ok(_) if is_refused_for_guessing(gateway, server, context.client).await => {
            context.passes(Passage::TurnedAway);
            Answer::Dismiss(guessing(context))
        }
        Ok(admission) => {
            context.admission = admission;
            let_in(context)
        }
        Err(_) => {
            context.passes(Passage::TurnedAway);
            Answer::Dismiss(refuse(context, &Question::Connection(facts), &decision, None))
        }
    }
}

/// A client that is here by connection control, or only to authenticate.
fn let_in<W: World>(context: &mut Context<W>) -> Answer {
    match context.admission {
        Admission::Admitted => {
            context.passes(Passage::Listed);
            Answer::Proceed
        }
        Admission::MustAuthenticate => {
            context.waits();
            Answer::MustAuthenticate
        }
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
    say_refused(context, Asked::Credentials, GUESSING, &reply, (None, None), &[]);
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
    gate::leave(context);
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
        Answer::Proceed | Answer::MustAuthenticate if login.is_some() => {
            context.passed(Passage::Authenticated);
            Answer::Known(context.identity.clone())
        }
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
    say_refused(context, Asked::Credentials, reason, &reply, (None, None), &[]);
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
            context.passed(Passage::Listed);
            context.marks.extend(submission.marked.then_some(AddressPlace::Envelope));
            bounding::gate(context, &sender.reverse_path).await
        }
        Err(Refusal::NotAuthenticated { close: true } | Refusal::SenderFiltered { close: true }) => {
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
        Ok(Acceptance::Relayed { by: Grant::List }) if gateway.bounding.suspends(context.client) => {
            Answer::Refuse(suspended_relay(context, &recipient.forward_path))
        }
        Ok(acceptance) => {
            context.relays_by_list |= matches!(acceptance, Acceptance::Relayed { by: Grant::List });
            context.accepted.push(match acceptance {
                Acceptance::Submitted { to } => Accepted { to, submitted: true },
                Acceptance::Relayed { .. } => Accepted { to: recipient.forward_path.clone(), submitted: false },
            });
            Answer::Proceed
        }
        Err(ref refusal) => {
            let reply = refuse(context, &Question::Recipient(facts), &decision, None);
            if !refusal.is_later() {
                bounding::missed(context, &recipient.forward_path).await;
            }
            Answer::Refuse(reply)
        }
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
        account: context.identity.name(),
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
    say_refused(context, Asked::Message, UTF8_HEADER, &reply, (Some(sender), None), &[]);
    reply
}

/// Says a refusal to the log that rests on no rule of the settings.
fn say_refused<W: World>(
    context: &Context<W>,
    asked: Asked,
    reason: &'static str,
    reply: &Reply,
    (sender, recipient): (Option<&ReversePath>, Option<&Mailbox>),
    why: &[String],
) {
    context.gateway.recorder.record(&Event::Refused {
        server: &context.server.config.name,
        client: context.client,
        account: context.identity.name(),
        asked,
        reason,
        reply,
        decision: None,
        sender,
        recipient,
        why,
    });
}

/// A sender has sent far too much, and nothing is taken of it until somebody resumes it. What the log is told, the
/// client is not: it may be a stranger with a stolen password.
pub(crate) fn suspended<W: World>(
    context: &Context<W>,
    subject: &Subject,
    cause: &Cause,
    sender: &ReversePath,
) -> Reply {
    let reply = match subject {
        // RFC 3463 as extended by RFC 5248: the account is disabled, for evidence of a break-in, say (X.7.13).
        Subject::Account(_) => Reply::never(50, 7, 13, "Sending is suspended for this account, ask your postmaster"),
        Subject::Device(_) => Reply::never(50, 7, 1, "Sending is suspended for this client, ask your postmaster"),
    };
    let why = [format!("{subject} is suspended: {cause}")];
    say_refused(context, Asked::Sender, SUSPENDED, &reply, (Some(sender), None), &why);
    reply
}

/// The list would let the client relay, and its address is suspended: as if it were not listed.
fn suspended_relay<W: World>(context: &Context<W>, recipient: &Mailbox) -> Reply {
    let reply = Reply::never(50, 7, 1, format!("Unable to relay for {recipient}"));
    let why = [format!("{} may not relay by a list until it is resumed", context.client)];
    say_refused(context, Asked::Recipient, SUSPENDED, &reply, (None, Some(recipient)), &why);
    reply
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

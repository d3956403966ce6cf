//! The Credentials question: one exchange of `identity`, driven for a session.
//!
//! What the client hears of a failure is the same whatever the reason; the log is told which it was.

use crate::answer::guessing;
use crate::door::Passage;
use crate::event::Event;
use crate::guessing::Trying;
use crate::session::Context;
use crate::world::World;
use identity::guess::Gate;
use identity::{Credential, Exchange, Failure, Mechanism, Peer, Proof, Setting, Step, Why};
use mail::{Identity, Reply};
use smtp::server::{Answer, Exchange as Said, Trust};
use std::net::IpAddr;

/// The inquiries of one step; a mechanism asks one or two.
const INQUIRIES: u32 = 4;

/// What came of an attempt to authenticate, as it stands in the log and in counters.
pub(crate) const OUTCOMES: [&str; 5] = ["proved", "refused", "malformed", "unavailable", "banned"];

/// One step of AUTH.
pub(crate) async fn credentials<W: World>(context: &mut Context<W>, said: Said<'_>) -> Answer {
    let begun = if said.begins { begin(context, said.mechanism) } else { context.exchange.take() };
    // The session names only what the settings name, and goes on only with what has begun.
    let Some(mut exchange) = begun else { return Answer::Refuse(temporary()) };
    // What was decided before this response has been told to the log.
    let told = exchange.decided().is_some();
    let mut step = exchange.respond(said.response);
    for _ in 0..INQUIRIES {
        step = match step {
            Step::Inquire(inquiry) => {
                if let Err(sent_away) = may_try(context, exchange.mechanism(), inquiry.name().unwrap_or_default()).await
                {
                    return sent_away;
                }
                let (gateway, law, server) = (context.gateway.clone(), context.law.clone(), context.server.clone());
                let names = &server.config.authentication.directories;
                exchange.found(gateway.world.inquire(&law.directories, names, inquiry).await)
            }
            Step::Challenge(octets) => {
                if let Some(Failure::Refused { name, secret, why }) = exchange.decided().filter(|_| !told) {
                    // It counts now, and is told now: a client that hears of it and cancels must not escape.
                    say(context, exchange.mechanism(), name.as_deref(), OUTCOMES[1], why.name());
                    if let Some(trying) = context.trying.take() {
                        trying.failed(name.as_deref(), secret).await;
                    }
                }
                context.exchange = Some(exchange);
                return Answer::Challenge(octets);
            }
            Step::Proved(proof) => return proved(context, exchange.mechanism(), proof).await,
            Step::Failed(Failure::Refused { .. }) if told => return Answer::Refuse(refused()),
            Step::Failed(failure) => return failed(context, exchange.mechanism(), failure).await,
        };
    }
    failed(context, exchange.mechanism(), Failure::Unavailable).await
}

/// Asks the defence against guessing before the first look at a secret; a try is asked about once.
async fn may_try<W: World>(context: &mut Context<W>, mechanism: Mechanism, name: &str) -> Result<(), Answer> {
    if context.trying.is_some() {
        return Ok(());
    }
    let (gateway, client) = (context.gateway.clone(), context.client);
    let (gate, trying) = gateway.guessing.before(client, name).await;
    match gate {
        Gate::Open => {}
        Gate::Pause(span) => tokio::time::sleep(span).await,
        Gate::Close | Gate::Refused { .. } => {
            say(context, mechanism, Some(name).filter(|name| !name.is_empty()), OUTCOMES[4], "guessing");
            return Err(Answer::Dismiss(guessing(context)));
        }
    }
    context.trying = Some(trying);
    Ok(())
}

fn begin<W: World>(context: &mut Context<W>, mechanism: &str) -> Option<Exchange> {
    // An exchange that was cancelled has left its try behind.
    context.trying = None;
    let mechanism: Mechanism = mechanism.parse().ok()?;
    let server = &context.server.config;
    let settings = &server.authentication;
    let world = &context.gateway.world;
    Some(Exchange::new(
        mechanism,
        Setting {
            entropy: world.entropy(),
            decoy: context.gateway.decoy.clone(),
            plus_offered: context.link.is_some() && settings.mechanisms.contains(&Mechanism::ScramSha256Plus),
            link: context.link.clone(),
            protection: settings.protection,
            hostname: server.session.hostname.to_string().into(),
            ntlm_here: settings.ntlm_here,
            now: world.now().millis() / 1000,
        },
    ))
}

/// The client has proved something: is it a peer, an account, or nobody we know?
async fn proved<W: World>(context: &mut Context<W>, mechanism: Mechanism, proof: Proof) -> Answer {
    let law = context.law.clone();
    if let Some(peer) = peer(&law.config.peers, &proof.credential, context.client) {
        let (name, trust) = (peer.name.clone(), trust(peer));
        succeeded(context.trying.take(), proof.credential.account().unwrap_or_default()).await;
        context.identity = Identity::Peer(name.clone());
        context.passed(Passage::Authenticated);
        context.known = by_auth(context);
        say(context, mechanism, Some(&name), OUTCOMES[0], "peer");
        return Answer::Peer(name, trust);
    }
    // A machine or service, or a certificate that nobody is known by, can only ever be a peer.
    let Some(account) = proof.account else {
        let why = Why::Directory(identity::No::Unknown);
        return failed(context, mechanism, Failure::Refused { name: nobody(proof.credential), secret: None, why })
            .await;
    };
    succeeded(context.trying.take(), &account.name).await;
    context.identity = Identity::Account(account.clone());
    context.passed(Passage::Authenticated);
    context.known = by_auth(context);
    say(context, mechanism, Some(&account.name), OUTCOMES[0], "account");
    Answer::Known(Identity::Account(account))
}

/// What AUTH has proved, and on what kind of link.
fn by_auth<W: World>(context: &Context<W>) -> invariant::Known {
    if context.secured { invariant::Known::ByAuthSecured } else { invariant::Known::ByAuthInClear }
}

/// Whom to blame when a credential that is good is nobody's here: a principal has a name for the log.
fn nobody(credential: Credential) -> Option<Box<str>> {
    match credential {
        Credential::Principal(name) => Some(name),
        Credential::Account(_) | Credential::Certificate(_) => None,
    }
}

/// The peer that has this credential and comes from here.
fn peer<'p>(peers: &'p [Peer], credential: &Credential, client: IpAddr) -> Option<&'p Peer> {
    peers.iter().find(|peer| peer.is(credential, client))
}

/// Whether the certificate of the handshake is that of a peer: it needs no AUTH then, where certificates
/// count at all.
pub(crate) fn recognise<W: World>(context: &mut Context<W>) -> Option<(Box<str>, Trust)> {
    let certificate = context.link.as_ref()?.certificate.clone()?;
    if !context.server.config.authentication.mechanisms.contains(&Mechanism::External) {
        return None;
    }
    let law = context.law.clone();
    let peer = peer(&law.config.peers, &Credential::Certificate(certificate), context.client)?;
    context.identity = Identity::Peer(peer.name.clone());
    context.passed(Passage::Authenticated);
    say(context, Mechanism::External, Some(&peer.name), OUTCOMES[0], "certificate");
    Some((peer.name.clone(), trust(peer)))
}

async fn succeeded(trying: Option<Trying>, account: &str) {
    if let Some(trying) = trying {
        trying.succeeded(account).await;
    }
}

fn trust(peer: &Peer) -> Trust {
    Trust { xclient: peer.trust.xclient, xforward: peer.trust.xforward }
}

async fn failed<W: World>(context: &mut Context<W>, mechanism: Mechanism, failure: Failure) -> Answer {
    let trying = context.trying.take();
    match failure {
        Failure::Refused { name, secret, why } => {
            say(context, mechanism, name.as_deref(), OUTCOMES[1], why.name());
            let gate = match trying {
                Some(trying) => trying.failed(name.as_deref(), secret).await,
                None => Gate::Open,
            };
            if let Gate::Close | Gate::Refused { .. } = gate {
                return Answer::Dismiss(guessing(context));
            }
            Answer::Refuse(refused())
        }
        Failure::Malformed => {
            say(context, mechanism, None, OUTCOMES[2], "malformed");
            Answer::Refuse(Reply::never(1, 5, 2, "Cannot read the response"))
        }
        Failure::Unavailable => {
            say(context, mechanism, None, OUTCOMES[3], "could-not-find-out");
            Answer::Refuse(temporary())
        }
    }
}

fn refused() -> Reply {
    Reply::never(35, 7, 8, "Authentication credentials invalid")
}

fn temporary() -> Reply {
    Reply::later(54, 7, 0, "Temporary authentication failure")
}

fn say<W: World>(
    context: &Context<W>,
    mechanism: Mechanism,
    name: Option<&str>,
    outcome: &'static str,
    why: &'static str,
) {
    context.gateway.recorder.record(&Event::Authenticated {
        server: &context.server.config.name,
        client: context.client,
        mechanism: mechanism.name(),
        name,
        outcome,
        why,
    });
}

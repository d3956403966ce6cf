//! The Credentials question: one exchange of `identity`, driven for a session.
//!
//! What the client hears of a failure is the same whatever the reason; the log is told which it was.

use crate::event::Event;
use crate::session::Context;
use crate::world::World;
use identity::{Credential, Exchange, Failure, Mechanism, Peer, Proof, Setting, Step, Why};
use mail::{Account, Identity, Reply};
use smtp::server::{Answer, Exchange as Said, Trust};
use std::sync::Arc;

/// The inquiries of one step; a mechanism asks one or two.
const INQUIRIES: u32 = 4;

/// What came of an attempt to authenticate, as it stands in the log and in counters.
pub(crate) const OUTCOMES: [&str; 5] = ["proved", "refused", "malformed", "unavailable", "banned"];

/// One step of AUTH.
pub(crate) async fn credentials<W: World>(context: &mut Context<W>, said: Said<'_>) -> Answer {
    let begun = if said.begins { begin(context, said.mechanism) } else { context.exchange.take() };
    // The session names only what the settings name, and goes on only with what has begun.
    let Some(mut exchange) = begun else { return Answer::Refuse(temporary()) };
    let mut step = exchange.respond(said.response);
    for _ in 0..INQUIRIES {
        step = match step {
            Step::Inquire(inquiry) => {
                let (gateway, law, server) = (context.gateway.clone(), context.law.clone(), context.server.clone());
                let names = &server.config.authentication.directories;
                exchange.found(gateway.world.inquire(&law.directories, names, inquiry).await)
            }
            Step::Challenge(octets) => {
                context.exchange = Some(exchange);
                return Answer::Challenge(octets);
            }
            Step::Proved(proof) => return proved(context, exchange.mechanism(), proof),
            Step::Failed(failure) => return failed(context, exchange.mechanism(), &failure),
        };
    }
    failed(context, exchange.mechanism(), &Failure::Unavailable)
}

fn begin<W: World>(context: &Context<W>, mechanism: &str) -> Option<Exchange> {
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
fn proved<W: World>(context: &mut Context<W>, mechanism: Mechanism, proof: Proof) -> Answer {
    if let Some(peer) = peer(&context.law.config.peers, &proof.credential, context) {
        let (name, trust) = (peer.name.clone(), trust(peer));
        context.identity = Identity::Peer(name.clone());
        say(context, mechanism, Some(&name), OUTCOMES[0], "peer");
        return Answer::Peer(name, trust);
    }
    let account = match (proof.account, proof.credential) {
        (Some(account), _) => account,
        // The realm or domain is the directory that knows it.
        (None, Credential::Principal(name)) => Arc::new(Account::named(&name)),
        (None, _) => {
            let why = Why::Directory(identity::No::Unknown);
            return failed(context, mechanism, &Failure::Refused { name: None, secret: None, why });
        }
    };
    context.identity = Identity::Account(account.clone());
    say(context, mechanism, Some(&account.name), OUTCOMES[0], "account");
    Answer::Known(Identity::Account(account))
}

/// The peer that has this credential and comes from here.
pub(crate) fn peer<'p, W: World>(peers: &'p [Peer], credential: &Credential, context: &Context<W>) -> Option<&'p Peer> {
    peers.iter().find(|peer| peer.is(credential, context.client))
}

pub(crate) fn trust(peer: &Peer) -> Trust {
    Trust { xclient: peer.trust.xclient, xforward: peer.trust.xforward }
}

fn failed<W: World>(context: &mut Context<W>, mechanism: Mechanism, failure: &Failure) -> Answer {
    match failure {
        Failure::Refused { name, why, .. } => {
            say(context, mechanism, name.as_deref(), OUTCOMES[1], why.name());
            Answer::Refuse(Reply::never(35, 7, 8, "Authentication credentials invalid"))
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

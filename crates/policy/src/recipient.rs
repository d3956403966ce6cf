//! May this client send to this recipient?
//!
//! To a recipient in one of our domains it *submits*; to any other it *relays*, and something must
//! allow that: the remote domain, having authenticated, the right to relay, or the relay list. Relaying to a remote
//! domain that allows it to anybody is relaying still: reference 1.2 names it first among what makes
//! `relay_ok`, and S2 has its Internet server "relay messages" so to the server inside. Whom the mail
//! says it is from is never a reason.

use crate::decision::{Decision, Missing, Refusal, Trace};
use crate::domains::{Domains, Existence};
use crate::facts::RecipientFacts;
use crate::rights::Allowed;
use crate::rule_book::RuleId;
use crate::rules::{Permit, Rules};
use mail::{Account, Domain, Host, Identity, Ledger, Mailbox, Timestamp};

/// On what ground a recipient is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It is in one of our domains.
    Submitted {
        /// Where the mail goes: the recipient, an alias domain replaced by the domain it stands for.
        to: Mailbox,
    },
    /// It is outside, and this client may relay to it.
    Relayed {
        /// What allows that.
        by: Grant,
    },
}

/// What allows a client to relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grant {
    /// The remote domain takes relayed mail from anybody.
    RemoteDomain,
    /// The client has authenticated.
    Authenticated,
    /// The account has the right to relay.
    Right,
    /// Relay restrictions let the client through.
    List,
    /// The client is a server of the organization.
    Peer,
}

/// Judges a recipient.
///
/// # Errors
/// [`Missing`]: what the directories say of a recipient in one of our domains; or the confirmed names
/// of the client, if relay restrictions are asked, their list has names and no address entry decides.
pub fn recipient(rules: &Rules, facts: &RecipientFacts<'_>, ledger: &Ledger) -> Result<Decision<Acceptance>, Missing> {
    let mut trace = Trace::new();
    let recipient = facts.recipient;
    let domain = match &recipient.host {
        Host::Domain(domain) => domain,
        Host::Literal(_) => {
            trace.matched(RuleId::ADDRESS_LITERAL);
            return Ok(Decision::refused(Refusal::AddressLiteral { recipient: recipient.clone() }, trace));
        }
    };
    trace.no_match(RuleId::ADDRESS_LITERAL);
    if recipient.local.looks_routed() {
        match is_known(&rules.domains, recipient, domain, ledger, &mut trace)? {
            Existence::Known => {}
            Existence::Unavailable => return Ok(Decision::refused(Refusal::CouldNotFindOut, trace)),
            Existence::Unknown | Existence::NotSaid => {
                trace.matched(RuleId::ROUTED_LOCAL_PART);
                return Ok(Decision::refused(Refusal::RoutedLocalPart { recipient: recipient.clone() }, trace));
            }
        }
    }
    trace.no_match(RuleId::ROUTED_LOCAL_PART);
    match rules.domains.try_local(domain, &mut trace) {
        Some(stamp) => submit(&rules.domains, stamped(recipient, stamp), ledger, trace),
        None => relay(rules, facts, domain, ledger, trace),
    }
}

/// Whether somebody here is really called what looks like a route.
fn is_known(
    domains: &Domains,
    recipient: &Mailbox,
    domain: &Domain,
    ledger: &Ledger,
    trace: &mut Trace,
) -> Result<Existence, Missing> {
    match domains.local(domain) {
        Some((_, stamp)) => domains.existence(&stamped(recipient, stamp), ledger, trace),
        None => Ok(Existence::NotSaid),
    }
}

/// The recipient in the domain that its own stands for.
fn stamped(recipient: &Mailbox, domain: &Domain) -> Mailbox {
    Mailbox { local: recipient.local.clone(), host: Host::Domain(domain.clone()) }
}

/// A recipient in one of our domains.
fn submit(domains: &Domains, to: Mailbox, ledger: &Ledger, mut trace: Trace) -> Result<Decision<Acceptance>, Missing> {
    // RFC 5321 §4.5.1: postmaster is accepted in any case, and in any spelling of it.
    if to.local.as_str().eq_ignore_ascii_case("postmaster") {
        trace.matched(RuleId::POSTMASTER);
        return Ok(Decision::granted(Acceptance::Submitted { to }, trace));
    }
    trace.no_match(RuleId::POSTMASTER);
    Ok(match domains.existence(&to, ledger, &mut trace)? {
        Existence::Known | Existence::NotSaid => Decision::granted(Acceptance::Submitted { to }, trace),
        Existence::Unknown => Decision::refused(Refusal::UserUnknown, trace),
        Existence::Unavailable => Decision::refused(Refusal::CouldNotFindOut, trace),
    })
}

/// A recipient outside.
fn relay(
    rules: &Rules,
    facts: &RecipientFacts<'_>,
    domain: &Domain,
    ledger: &Ledger,
    mut trace: Trace,
) -> Result<Decision<Acceptance>, Missing> {
    if let Some(remote) = rules.domains.try_remote(domain, &mut trace) {
        if remote.allow_relay {
            trace.matched(remote.allow_relay_rule);
            return Ok(Decision::granted(Acceptance::Relayed { by: Grant::RemoteDomain }, trace));
        }
        trace.no_match(remote.allow_relay_rule);
    }
    let granted = match facts.identity {
        Identity::Anonymous => {
            trace.no_match(rules.relay.authenticated_rule);
            None
        }
        Identity::Peer(name) => peer_relays(rules, name, &mut trace).then_some(Grant::Peer),
        Identity::Account(account) => {
            if rules.relay.rights.denies(account, facts.now, &mut trace) {
                return Ok(Decision::refused(denied(facts), trace));
            }
            account_relays(rules, account, facts.now, &mut trace)
        }
    };
    if let Some(by) = granted {
        return Ok(Decision::granted(Acceptance::Relayed { by }, trace));
    }
    let refusal = match rules.relay.permits((facts.client, facts.now), ledger, &mut trace)? {
        Permit::Yes => return Ok(Decision::granted(Acceptance::Relayed { by: Grant::List }, trace)),
        Permit::No => denied(facts),
        Permit::Unavailable => Refusal::CouldNotFindOut,
    };
    Ok(Decision::refused(refusal, trace))
}

fn denied(facts: &RecipientFacts<'_>) -> Refusal {
    Refusal::RelayDenied { recipient: facts.recipient.clone() }
}

fn peer_relays(rules: &Rules, name: &str, trace: &mut Trace) -> bool {
    let Some(peer) = rules.peers.get(name) else {
        trace.matched(RuleId::PEER);
        return false;
    };
    if peer.relay {
        trace.matched(peer.relay_rule);
    } else {
        trace.no_match(peer.relay_rule);
    }
    peer.relay
}

/// What lets an account relay that is not denied it, regardless of the list.
fn account_relays(rules: &Rules, account: &Account, now: Timestamp, trace: &mut Trace) -> Option<Grant> {
    let relay = &rules.relay;
    if relay.authenticated {
        trace.matched(relay.authenticated_rule);
        return Some(Grant::Authenticated);
    }
    trace.no_match(relay.authenticated_rule);
    match &relay.rights.allow {
        // A list that nobody has written is not tried.
        Allowed::Only(holders) if holders.entries().is_empty() => None,
        _ => (relay.rights.given(account, now, trace)).then_some(Grant::Right),
    }
}

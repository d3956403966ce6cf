//! The rules of one virtual server, as the settings give them.
//!
//! Every setting that can decide something carries the place where it is written, so that a trace
//! leads to a line. What is not written has a place too: its default.

use crate::decision::{Missing, Trace};
use crate::domains::Domains;
use crate::filter::SenderFilter;
use crate::limits::Limits;
use crate::list::{List, Listed};
use crate::rights::Rights;
use crate::rule_book::RuleId;
use crate::send_as::SendAs;
use mail::{Identity, Ledger, Timestamp};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The rules of one virtual server.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Its name.
    pub server: Box<str>,
    /// Who may connect.
    pub connection: ConnectionControl,
    /// Who must authenticate.
    pub authentication: Authentication,
    /// Which accounts may submit.
    pub submit: Rights,
    /// Who may send to recipients outside.
    pub relay: Relay,
    /// Whose mail is not wanted.
    pub sender_filter: SenderFilter,
    /// As whom clients may send.
    pub send_as: SendAs,
    /// What servers of the organization may, by their names.
    pub peers: Arc<BTreeMap<Box<str>, PeerRights>>,
    /// Which domains are ours, and which are known.
    pub domains: Arc<Domains>,
    /// How many, and how often.
    pub limits: Limits,
}

/// How a list is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All except the list below: being listed is a denial.
    AllExcept,
    /// Only the list below: being listed is a permit.
    Only,
}

/// Connection control (reference 1.2).
#[derive(Clone, Debug)]
pub struct ConnectionControl {
    /// The section as a whole.
    pub rule: RuleId,
    /// How the list is read.
    pub mode: Mode,
    /// Where that is said; decides about clients that are not listed.
    pub mode_rule: RuleId,
    /// The clients.
    pub list: List,
    /// Whom the list restricts.
    pub applies_to: AppliesTo,
    /// Where that is said.
    pub applies_rule: RuleId,
}

/// Whom connection control restricts (SmtpIpRestrictionFlag, reference 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppliesTo {
    /// Flag 0: every client, before anything else.
    Everyone,
    /// Flag 1: clients that have not authenticated when they say MAIL; everybody may connect.
    Anonymous,
}

/// Who must authenticate.
#[derive(Clone, Debug)]
pub struct Authentication {
    /// Whether a client that has not authenticated may submit at all.
    pub anonymous: bool,
    /// Where that is said.
    pub anonymous_rule: RuleId,
}

/// Relay restrictions (reference 1.2).
#[derive(Clone, Debug)]
pub struct Relay {
    /// How the list is read.
    pub mode: Mode,
    /// Where that is said; decides about clients that are not listed.
    pub mode_rule: RuleId,
    /// The clients.
    pub list: List,
    /// Whether clients that have authenticated may relay regardless of the list.
    pub authenticated: bool,
    /// Where that is said.
    pub authenticated_rule: RuleId,
    /// Which accounts may relay, and which may not even if all others may.
    pub rights: Rights,
}

/// What a server of the organization may. It has its rights of its own, whatever users may (reference 1.2).
#[derive(Clone, Debug)]
pub struct PeerRights {
    /// Whether it may send mail here at all.
    pub submit: bool,
    /// Where that is said.
    pub submit_rule: RuleId,
    /// Whether it may send to recipients outside.
    pub relay: bool,
    /// Where that is said.
    pub relay_rule: RuleId,
    /// Whether it may use every address; otherwise those that are lent to it, and those outside.
    pub send_as_anybody: bool,
    /// Where that is said.
    pub send_as_anybody_rule: RuleId,
    /// Whether what it sends is not filtered.
    pub bypass_filters: bool,
    /// Where that is said.
    pub bypass_filters_rule: RuleId,
}

/// Whether a list, read by its mode, lets a client through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permit {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It rests on a look-up that did not succeed.
    Unavailable,
}

impl Mode {
    /// Reads `list` for `client`. The last step is what decided: the entry that matched, the mode
    /// for a client that is not listed, or the list that could not be read.
    pub(crate) fn permits(
        self,
        mode_rule: RuleId,
        list: &List,
        (client, now): (IpAddr, Timestamp),
        ledger: &Ledger,
        trace: &mut Trace,
    ) -> Result<Permit, Missing> {
        let listed = match list.find(client, now, ledger, trace)? {
            Listed::Yes => true,
            Listed::No => {
                trace.matched(mode_rule);
                false
            }
            Listed::Unavailable => return Ok(Permit::Unavailable),
        };
        Ok(if listed == (self == Mode::Only) { Permit::Yes } else { Permit::No })
    }
}

impl ConnectionControl {
    pub(crate) fn permits(
        &self,
        client: (IpAddr, Timestamp),
        ledger: &Ledger,
        trace: &mut Trace,
    ) -> Result<Permit, Missing> {
        self.mode.permits(self.mode_rule, &self.list, client, ledger, trace)
    }
}

impl Relay {
    pub(crate) fn permits(
        &self,
        client: (IpAddr, Timestamp),
        ledger: &Ledger,
        trace: &mut Trace,
    ) -> Result<Permit, Missing> {
        self.mode.permits(self.mode_rule, &self.list, client, ledger, trace)
    }
}

impl Rules {
    /// Whether the client is a peer that may send as anybody.
    pub(crate) fn trusts(&self, identity: &Identity) -> bool {
        match identity {
            Identity::Peer(name) => self.peers.get(name).is_some_and(|peer| peer.send_as_anybody),
            _ => false,
        }
    }
}

//! How many sessions a virtual server and all of them together take, and how often a message may have been relayed.

use crate::decision::{Refusal, Trace};
use crate::facts::ConnectionFacts;
use crate::rule_book::RuleId;

/// The limits of one virtual server that are judged here.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Sessions at a time; `None` for no limit.
    pub connections: Option<u32>,
    /// Where that is said.
    pub connections_rule: RuleId,
    /// Sessions at a time from one address; `None` for no limit.
    pub connections_per_address: Option<u32>,
    /// Where that is said.
    pub connections_per_address_rule: RuleId,
    /// Sessions at a time from one network, a /24 or a /64; `None` for no limit.
    pub connections_per_network: Option<u32>,
    /// Where that is said.
    pub connections_per_network_rule: RuleId,
    /// Sessions at a time at all virtual servers; `None` for no limit.
    pub connections_in_all: Option<u32>,
    /// Where that is said.
    pub connections_in_all_rule: RuleId,
    /// Received fields a message may have (reference 1.4).
    pub hop_count: u32,
    /// Where that is said.
    pub hop_count_rule: RuleId,
}

impl Limits {
    /// Whether one session more is too many. A limit that is not set is not tried.
    pub(crate) fn one_more(&self, facts: &ConnectionFacts, trace: &mut Trace) -> Result<(), Refusal> {
        let limits = [
            (self.connections_in_all, facts.open_in_all, self.connections_in_all_rule, Refusal::TooManyConnections),
            (self.connections, facts.open, self.connections_rule, Refusal::TooManyConnections),
            (
                self.connections_per_address,
                facts.open_from_client,
                self.connections_per_address_rule,
                Refusal::TooManyFromAddress,
            ),
            (
                self.connections_per_network,
                facts.open_from_network,
                self.connections_per_network_rule,
                Refusal::TooManyFromNetwork,
            ),
        ];
        for (limit, open, rule, refusal) in limits {
            match limit {
                Some(limit) if open >= limit => {
                    trace.matched(rule);
                    return Err(refusal);
                }
                Some(_) => trace.no_match(rule),
                None => {}
            }
        }
        Ok(())
    }
}

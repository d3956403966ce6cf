//! How many sessions a virtual server takes, and how often a message may have been relayed.

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
    /// Received fields a message may have (reference 1.4).
    pub hop_count: u32,
    /// Where that is said.
    pub hop_count_rule: RuleId,
}

impl Limits {
    /// Whether one session more is too many. A limit that is not set is not tried.
    pub(crate) fn one_more(&self, facts: &ConnectionFacts, trace: &mut Trace) -> Result<(), Refusal> {
        let limits = [
            (self.connections, facts.open, self.connections_rule, Refusal::TooManyConnections),
            (
                self.connections_per_address,
                facts.open_from_client,
                self.connections_per_address_rule,
                Refusal::TooManyFromAddress,
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

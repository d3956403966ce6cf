//! What was compared with the sender filter.

use super::term;
use crate::decision::{Finding, Step};
use crate::facts::SenderFacts;
use crate::rules::Rules;
use crate::send_as::Addresses;
use mail::{Identity, ReversePath};

/// What a step about filters compared.
pub(super) fn sender(rules: &Rules, facts: &SenderFacts<'_>, step: &Step) -> Option<String> {
    let filter = &rules.sender_filter;
    if step.rule == filter.applied_rule {
        return Some(match facts.identity {
            Identity::Account(account) if filter.applied => {
                format!("account {}: mail of who has authenticated is not filtered", account.name)
            }
            _ => "the sender filter is not applied here".to_owned(),
        });
    }
    if let Identity::Peer(name) = facts.identity
        && rules.peers.get(name).is_some_and(|peer| peer.bypass_filters_rule == step.rule)
    {
        let may = if step.finding == Finding::Matched { "may" } else { "may not" };
        return Some(format!("peer {name} {may} bypass filters"));
    }
    let senders = &filter.senders;
    let ReversePath::Mailbox(path) = facts.reverse_path else {
        let word = if senders.null_sender { "filtered" } else { "not filtered" };
        return (step.rule == senders.null_sender_rule).then(|| format!("the reverse-path is null: {word}"));
    };
    if let Some(entry) = senders.list.entries().iter().find(|entry| entry.rule == step.rule) {
        let compared = match &entry.addresses {
            Addresses::One(one) if one == path => format!("{path} is this address"),
            Addresses::One(one) => format!("{path} is {one}"),
            Addresses::AllAt(host) => format!("{path} is at {host}"),
        };
        return Some(format!("{compared}{}", term(&entry.term, step.finding)));
    }
    (step.rule == senders.list.rule()).then(|| match senders.list.entries().len() {
        0 => "the list is empty".to_owned(),
        1 => format!("{path} is not the one filtered"),
        entries => format!("{path} is none of {entries} entries"),
    })
}

//! How much the trusted may send.

use super::value::{Count, DurationText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How much those may send who may send, at all virtual servers together.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Bounds {
    /// How much each account may send.
    pub account: AccountBounds,
    /// How much each member of a group may send, by the name of the group. Whoever is in several has the widest of
    /// their limits.
    pub group: BTreeMap<String, SendingBounds>,
    /// How much each client may send that may send because of its address: by the list of a virtual server whose
    /// `connection_control.mode` is `only`, or relaying by `relay.list`.
    pub device: SendingBounds,
    /// From how many hundredths of a limit on replies to MAIL and RCPT come later by `delay`.
    #[schemars(range(min = 1, max = 100))]
    pub slow_from: u32,
    /// How much later.
    pub delay: DurationText,
    /// Beyond how many hundredths of a limit a sender is suspended, until `bridgehead account resume`. From 100 up
    /// to there its messages are held in the queue.
    #[schemars(range(min = 101, max = 500))]
    pub suspend_beyond: u32,
    /// How many hundredths of its recipients of an hour may be refused, here or by next hops, each different one
    /// counted once; who has more is suspended.
    #[schemars(range(min = 1, max = 100))]
    pub refused_share: u32,
    /// How many must have been refused before that counts.
    #[schemars(range(min = 1, max = 1000000))]
    pub refused_at_least: u32,
    /// Different names of HELO that may come from one address that relays by `relay.list`, in an hour; more raise an
    /// alarm. `"unlimited"` is possible.
    pub grant_alarm_hello_names: Count,
    /// Different domains of senders that it may send for, in an hour; more raise an alarm. `"unlimited"` is possible.
    pub grant_alarm_sender_domains: Count,
    /// Whether such an address may relay no longer then, until `bridgehead account resume`.
    pub grant_alarm_suspends: bool,
    /// Where a JSON object is posted for each sender that is held or suspended and for each alarm. Absent: nowhere.
    #[schemars(example = "http://127.0.0.1:9080/bridgehead")]
    pub webhook: Option<String>,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            account: AccountBounds::default(),
            group: BTreeMap::new(),
            device: SendingBounds::default(),
            slow_from: 50,
            delay: DurationText::new("1 s"),
            suspend_beyond: 200,
            refused_share: 50,
            refused_at_least: 40,
            grant_alarm_hello_names: Count::AtMost(10),
            grant_alarm_sender_domains: Count::AtMost(100),
            grant_alarm_suspends: false,
            webhook: None,
        }
    }
}

/// How much each account may send. `"unlimited"` is possible everywhere.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "bounds of accounts")]
pub struct AccountBounds {
    /// Messages in an hour.
    pub messages_per_hour: Count,
    /// Messages in a day.
    pub messages_per_day: Count,
    /// Recipients in an hour, of all messages together.
    pub recipients_per_hour: Count,
    /// Recipients in a day.
    pub recipients_per_day: Count,
    /// Different recipients in an hour.
    pub distinct_recipients_per_hour: Count,
    /// Different recipients in a day.
    pub distinct_recipients_per_day: Count,
}

impl Default for AccountBounds {
    fn default() -> AccountBounds {
        AccountBounds {
            messages_per_hour: Count::AtMost(200),
            messages_per_day: Count::AtMost(1000),
            recipients_per_hour: Count::AtMost(500),
            recipients_per_day: Count::AtMost(2000),
            distinct_recipients_per_hour: Count::AtMost(300),
            distinct_recipients_per_day: Count::AtMost(1000),
        }
    }
}

/// How much some may send. `"unlimited"` is possible everywhere. Absent: for a group as for accounts, for devices
/// unlimited.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "bounds of senders")]
pub struct SendingBounds {
    /// Messages in an hour.
    #[schemars(example = 2000)]
    pub messages_per_hour: Option<Count>,
    /// Messages in a day.
    #[schemars(example = 10000)]
    pub messages_per_day: Option<Count>,
    /// Recipients in an hour, of all messages together.
    #[schemars(example = 20000)]
    pub recipients_per_hour: Option<Count>,
    /// Recipients in a day.
    #[schemars(example = 50000)]
    pub recipients_per_day: Option<Count>,
    /// Different recipients in an hour.
    #[schemars(example = 20000)]
    pub distinct_recipients_per_hour: Option<Count>,
    /// Different recipients in a day.
    #[schemars(example = 20000)]
    pub distinct_recipients_per_day: Option<Count>,
}

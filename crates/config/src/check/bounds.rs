//! How much the trusted may send.

use super::Check;
use crate::Bounds;
use crate::file::{self, AccountBounds, Count, SendingBounds};
use crate::mistake::Mistake;
use crate::places::below;
use bounds::{Amounts, Grants, Limits, Settings};
use std::time::Duration;

/// Accounts and devices that are remembered.
const REMEMBERED: usize = 8192;
/// The most different recipients that can be told apart, of one sender.
const DISTINCT: u32 = 50_000;
/// A reply may come so late, and no later: those to a hundred pipelined RCPTs come together, and a client waits five
/// minutes for each (RFC 5321 §4.5.3.2).
const DELAY: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(10);

impl Check<'_> {
    pub(super) fn bounds(&mut self, table: &file::Bounds) -> Option<Bounds> {
        let accounts = self.account_bounds(&table.account);
        let usual = accounts.unwrap_or_default();
        let groups: Vec<Option<_>> = table
            .group
            .iter()
            .map(|(name, limits)| {
                let limits = self.sending_bounds(&below("bounds.group", name), limits, usual)?;
                Some((name.to_lowercase().into(), limits))
            })
            .collect();
        let devices = self.sending_bounds("bounds.device", &table.device, Limits::default());
        let delay = self.duration("bounds.delay", &table.delay, DELAY);
        let hello_names = self.count("bounds.grant_alarm_hello_names", &table.grant_alarm_hello_names);
        let sender_domains = self.count("bounds.grant_alarm_sender_domains", &table.grant_alarm_sender_domains);
        let webhook = self.webhook(table.webhook.as_deref());
        let suspend = table.grant_alarm_suspends;
        Some(Bounds {
            settings: Settings {
                accounts: accounts?,
                groups: groups.into_iter().collect::<Option<_>>()?,
                devices: devices?,
                slow_percent: table.slow_from,
                suspend_percent: table.suspend_beyond,
                delay: delay?,
                refused_percent: table.refused_share,
                refused_at_least: table.refused_at_least,
                grants: Grants { hello_names: hello_names?, sender_domains: sender_domains?, suspend },
                remembered: REMEMBERED,
            },
            webhook: webhook?,
        })
    }

    fn account_bounds(&mut self, table: &AccountBounds) -> Option<Limits> {
        let said = |count: &Count| Some(count.clone());
        let all = SendingBounds {
            messages_per_hour: said(&table.messages_per_hour),
            messages_per_day: said(&table.messages_per_day),
            recipients_per_hour: said(&table.recipients_per_hour),
            recipients_per_day: said(&table.recipients_per_day),
            distinct_recipients_per_hour: said(&table.distinct_recipients_per_hour),
            distinct_recipients_per_day: said(&table.distinct_recipients_per_day),
        };
        self.sending_bounds("bounds.account", &all, Limits::default())
    }

    /// The limits of a table; those that it does not name are the usual ones.
    fn sending_bounds(&mut self, key: &str, table: &SendingBounds, usual: Limits) -> Option<Limits> {
        let mut limit = |name: &str, said: &Option<Count>, usual: Option<u32>| match said {
            Some(count) => self.bound(&below(key, name), count),
            None => Some(usual),
        };
        let hour = [
            limit("messages_per_hour", &table.messages_per_hour, usual.hour.messages),
            limit("recipients_per_hour", &table.recipients_per_hour, usual.hour.recipients),
            limit("distinct_recipients_per_hour", &table.distinct_recipients_per_hour, usual.hour.distinct),
        ];
        let day = [
            limit("messages_per_day", &table.messages_per_day, usual.day.messages),
            limit("recipients_per_day", &table.recipients_per_day, usual.day.recipients),
            limit("distinct_recipients_per_day", &table.distinct_recipients_per_day, usual.day.distinct),
        ];
        let amounts = |[messages, recipients, distinct]: [Option<Option<u32>>; 3]| {
            Some(Amounts { messages: messages?, recipients: recipients?, distinct: distinct? })
        };
        Some(Limits { hour: amounts(hour)?, day: amounts(day)? })
    }

    fn bound(&mut self, key: &str, count: &Count) -> Option<Option<u32>> {
        let most = self.count(key, count)?;
        if crate::shape::last(key).starts_with("distinct") && most.is_some_and(|most| most > DISTINCT) {
            self.bad(key, "is more than can be told apart", "expected at most 50000, or \"unlimited\"", None);
            return None;
        }
        Some(most)
    }

    fn webhook(&mut self, url: Option<&str>) -> Option<Option<Box<str>>> {
        let Some(url) = url else { return Some(None) };
        let key = "bounds.webhook";
        let rest = url.strip_prefix("http://").or(url.strip_prefix("https://"));
        let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
        let is_plain = url.bytes().all(|octet| octet.is_ascii_graphic());
        if host.is_empty() || host.starts_with(':') || !is_plain {
            self.bad(key, "is not a URL", "expected an http:// or https:// URL", None);
            return None;
        }
        if host.contains('@') {
            let mistake = Mistake::error(key, self.places.value_of(key), "`webhook` has a user name or password in it")
                .expected("expected a URL that everybody may read who reads these settings");
            self.mistakes.push(mistake);
            return None;
        }
        Some(Some(url.into()))
    }
}

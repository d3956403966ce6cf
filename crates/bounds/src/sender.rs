//! What is known of one sender.

use crate::cause::{Cause, Measure, Span, Stage};
use crate::distinct::{self, Distinct};
use crate::window::{Day, Hour};
use crate::{Judged, Limits, News, Settings, Subject};
use mail::Timestamp;
use std::time::Duration;

/// How long nobody is told the same again.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Different refused recipients that are told apart, of those refused here and of all together.
const TOLD_APART: usize = 4096;
/// Digests that are kept of them at the most.
pub(crate) const REFUSED: usize = 2 * TOLD_APART;

/// A sender.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sender {
    pub(crate) messages: (Hour, Day),
    pub(crate) recipients: (Hour, Day),
    /// Recipients that were refused; the same one again is no other.
    pub(crate) refused: Distinct,
    /// Those of them that next hops have refused: they are among the recipients too.
    pub(crate) by_hops: Distinct,
    pub(crate) distinct: Distinct,
    /// When it was first counted.
    pub(crate) since: Timestamp,
    /// When it last did anything.
    pub(crate) last: Timestamp,
    /// The stage that it is known to have reached.
    pub(crate) stage: Stage,
    /// Since when it is suspended, and why.
    pub(crate) suspended: Option<(Timestamp, Cause)>,
    /// When somebody was last told that it is held, and that it is suspended.
    pub(crate) alerted: [Option<Timestamp>; 2],
    /// The limits it had last.
    pub(crate) limits: Limits,
}

impl Sender {
    /// One that was not known before.
    pub(crate) fn new(now: Timestamp) -> Sender {
        Sender { since: now, ..Sender::default() }
    }

    /// A message to these.
    pub(crate) fn sends(&mut self, now: Timestamp, recipients: &[u32], most: usize) {
        let number = u32::try_from(recipients.len()).unwrap_or(u32::MAX);
        self.messages.0.add(now, 1);
        self.messages.1.add(now, 1);
        self.recipients.0.add(now, number);
        self.recipients.1.add(now, number);
        // Who is suspended stays so whatever else is counted.
        if self.suspended.is_none() {
            recipients.iter().for_each(|digest| self.distinct.see(now, *digest, most));
        }
        self.last = now;
    }

    /// A recipient was refused.
    pub(crate) fn misses(&mut self, now: Timestamp, recipient: u32) {
        if self.suspended.is_none() {
            self.refused.see(now, recipient, TOLD_APART);
        }
        self.last = now;
    }

    /// A next hop has refused a recipient of a message taken at that moment. What was taken before the sender was
    /// resumed, or forgotten, is not among the recipients any more.
    pub(crate) fn missed_by_hop(&mut self, now: Timestamp, taken: Timestamp, recipient: u32) {
        if self.suspended.is_none() && taken >= self.since {
            self.refused.see_late(now, taken, recipient, TOLD_APART);
            self.by_hops.see_late(now, taken, recipient, TOLD_APART);
        }
    }

    /// What is to be done with what has just been counted, and what is new.
    pub(crate) fn judge(&mut self, now: Timestamp, subject: &Subject, settings: &Settings) -> Judged {
        if let Some((_, cause)) = self.suspended {
            return Judged { held: Some(cause), news: None, counted: true };
        }
        let limits = self.limits;
        let Some((stage, cause)) = self.stage(now, &limits, settings) else {
            return Judged { counted: true, ..Judged::default() };
        };
        let news = self.reach(now, subject, stage, cause);
        Judged { held: (stage >= Stage::Hold).then_some(cause), news, counted: true }
    }

    /// What is new, when a next hop has refused a recipient. Nothing else has changed, and what groups an account is
    /// in, whose limits it has, is known when it sends.
    pub(crate) fn judge_refused(&mut self, now: Timestamp, subject: &Subject, settings: &Settings) -> Option<News> {
        if self.suspended.is_some() {
            return None;
        }
        let cause = self.too_many_refused(now, settings)?;
        self.reach(now, subject, Stage::Suspend, cause)
    }

    /// It is at a stage, which is news if it was at none as high.
    fn reach(&mut self, now: Timestamp, subject: &Subject, stage: Stage, cause: Cause) -> Option<News> {
        if stage == Stage::Suspend {
            self.suspended = Some((now, cause));
            (self.distinct, self.refused, self.by_hops) = Default::default();
        }
        let higher = stage > std::mem::replace(&mut self.stage, stage);
        higher.then(|| News { subject: subject.clone(), stage, cause, alert: self.alerts(now, stage) })
    }

    /// The highest stage that a count leads to, and the count that is the nearest to its limit.
    pub(crate) fn stage(&self, now: Timestamp, limits: &Limits, settings: &Settings) -> Option<(Stage, Cause)> {
        if let Some(cause) = self.too_many_refused(now, settings) {
            return Some((Stage::Suspend, cause));
        }
        let nearest = self.amounts(now, limits).max_by_key(Amount::thousandths)?;
        Some((nearest.stage(settings), nearest.cause()))
    }

    /// Most of the recipients of the last hour were refused.
    fn too_many_refused(&self, now: Timestamp, settings: &Settings) -> Option<Cause> {
        let refused = self.refused.count(now, distinct::HOUR);
        if refused < settings.refused_at_least {
            return None;
        }
        // Whom a next hop refused had been taken, and is counted among the recipients. They are fewer than that if a
        // process was killed before it had written down how many there were.
        let only_here = refused.saturating_sub(self.by_hops.count(now, distinct::HOUR));
        let named = self.recipients.0.sum(now).saturating_add(only_here).max(refused);
        let is_most = u64::from(refused) * 100 > u64::from(settings.refused_percent) * u64::from(named);
        is_most.then_some(Cause::Refused { refused, named })
    }

    fn amounts(&self, now: Timestamp, limits: &Limits) -> impl Iterator<Item = Amount> {
        let (hour, day) = (limits.hour, limits.day);
        let messages = [
            (Span::Hour, self.messages.0.sum(now), hour.messages),
            (Span::Day, self.messages.1.sum(now), day.messages),
        ];
        let recipients = [
            (Span::Hour, self.recipients.0.sum(now), hour.recipients),
            (Span::Day, self.recipients.1.sum(now), day.recipients),
        ];
        let different = |limit: Option<u32>, minutes| limit.map_or(0, |_| self.distinct.count(now, minutes));
        let distinct = [
            (Span::Hour, different(hour.distinct, distinct::HOUR), hour.distinct),
            (Span::Day, different(day.distinct, distinct::DAY), day.distinct),
        ];
        let all = [(Measure::Messages, messages), (Measure::Recipients, recipients), (Measure::Distinct, distinct)];
        all.into_iter().flat_map(|(measure, spans)| {
            spans
                .into_iter()
                .filter_map(move |(span, count, limit)| Some(Amount { measure, span, count, limit: limit? }))
        })
    }

    /// Whether somebody is to be told of a stage; if so, they will have been.
    fn alerts(&mut self, now: Timestamp, stage: Stage) -> bool {
        let told = match stage {
            Stage::Open | Stage::Slow => return false,
            Stage::Hold => &mut self.alerted[0],
            Stage::Suspend => &mut self.alerted[1],
        };
        let is_due = told.is_none_or(|told| now.since(told) >= A_DAY);
        if is_due {
            *told = Some(now);
        }
        is_due
    }

    pub(crate) fn suspension(&self) -> Option<Cause> {
        self.suspended.map(|(_, cause)| cause)
    }

    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.suspended.map(|(since, _)| since)
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.suspended.is_some()
    }

    pub(crate) fn last(&self) -> Timestamp {
        self.last
    }

    /// How many digests are kept of it.
    pub(crate) fn digests(&self) -> usize {
        self.distinct.kept() + self.refused.kept() + self.by_hops.kept()
    }

    /// The clock has gone back.
    pub(crate) fn rebase(&mut self, now: Timestamp) {
        let Sender { messages, recipients, refused, by_hops, distinct, .. } = self;
        for (hour, day) in [messages, recipients] {
            hour.rebase(now);
            day.rebase(now);
        }
        [refused, by_hops, distinct].into_iter().for_each(|seen| seen.rebase(now));
        let Sender { since, last, suspended, alerted, .. } = self;
        *since = (*since).min(now);
        *last = (*last).min(now);
        suspended.iter_mut().for_each(|(since, _)| *since = (*since).min(now));
        alerted.iter_mut().flatten().for_each(|told| *told = (*told).min(now));
    }
}

/// A count with its limit.
struct Amount {
    measure: Measure,
    span: Span,
    count: u32,
    limit: u32,
}

impl Amount {
    fn thousandths(&self) -> u64 {
        u64::from(self.count) * 1000 / u64::from(self.limit.max(1))
    }

    fn stage(&self, settings: &Settings) -> Stage {
        let (count, limit) = (u64::from(self.count), u64::from(self.limit));
        if count * 100 > limit * u64::from(settings.suspend_percent) {
            Stage::Suspend
        } else if count > limit {
            Stage::Hold
        } else if count * 100 >= limit * u64::from(settings.slow_percent) {
            Stage::Slow
        } else {
            Stage::Open
        }
    }

    fn cause(&self) -> Cause {
        let Amount { measure, span, count, limit } = *self;
        Cause::Amount { measure, span, count, limit }
    }
}

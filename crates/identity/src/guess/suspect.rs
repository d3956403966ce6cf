//! What is known against one prefix or one account, and a bounded table of it.

pub(super) use super::level::Points;
use super::level::{Level, Refusal};
use super::{Gate, Limits, Settings};
use mail::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Different things that are told from one another; what was seen before them counts as new again.
const SEEN: usize = 16;
/// After so long a try that nobody has said the end of is not being checked any more.
const TRY: Duration = Duration::from_secs(120);
/// A refusal this long after the end of the last one is the first again.
const CLEAN: Duration = Duration::from_secs(24 * 60 * 60);

/// What is known against one of them.
#[derive(Clone, Debug)]
pub(super) struct Suspect {
    pub(super) level: Level,
    pub(super) refusal: Option<Refusal>,
    /// Digests, the latest last.
    seen: VecDeque<u64>,
    pending: u32,
    pending_since: Timestamp,
}

impl Suspect {
    pub(super) fn new(now: Timestamp) -> Suspect {
        Suspect { level: Level::new(now), refusal: None, seen: VecDeque::new(), pending: 0, pending_since: now }
    }

    pub(super) fn points(&self, now: Timestamp, settings: &Settings) -> Points {
        self.level.points(now, settings.forget)
    }

    pub(super) fn refused_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.refusal.and_then(|refusal| refusal.until(now))
    }

    /// Whether this has not been seen before; now it has.
    pub(super) fn is_new(&mut self, digest: u64) -> bool {
        let before = self.seen.iter().position(|seen| *seen == digest);
        match before {
            Some(at) => drop(self.seen.remove(at)),
            None if self.seen.len() == SEEN => drop(self.seen.pop_front()),
            None => {}
        }
        self.seen.push_back(digest);
        before.is_none()
    }

    pub(super) fn blame(&mut self, now: Timestamp, points: Points, settings: &Settings) {
        self.level.add(now, settings.forget, points);
    }

    /// It was not what it looked like.
    pub(super) fn forgive(&mut self, digest: u64, now: Timestamp, settings: &Settings) {
        let before = self.seen.len();
        self.seen.retain(|seen| *seen != digest);
        if self.seen.len() < before {
            self.level.take(now, settings.forget, Points::ONE);
        }
    }

    /// What follows from what is known.
    pub(super) fn judge(&mut self, now: Timestamp, limits: &Limits, settings: &Settings) -> Gate {
        if let Some(until) = self.refused_until(now) {
            return Gate::Refused { until };
        }
        let points = self.points(now, settings);
        if points.whole() < limits.refuse {
            return if points.whole() >= limits.close { Gate::Close } else { Gate::Open };
        }
        let again = self.refusal.filter(|last| now.since(last.from.after(last.lasts)) < CLEAN);
        let lasts = again.map_or(settings.refusal, |last| last.lasts.saturating_mul(2)).min(settings.refusal_longest);
        self.refusal = Some(Refusal { from: now, lasts });
        // At its end half of it is left: who comes back is slowed down from the first try.
        self.level = Level { points: points.half().plus(Points::forgotten(lasts, settings.forget)), at: now };
        Gate::Refused { until: now.after(lasts) }
    }

    /// Tries that are being checked.
    pub(super) fn pending(&self, now: Timestamp) -> u32 {
        if now.since(self.pending_since) > TRY { 0 } else { self.pending }
    }

    pub(super) fn begin(&mut self, now: Timestamp) {
        self.pending = self.pending(now).saturating_add(1);
        self.pending_since = now;
    }

    pub(super) fn settle(&mut self, now: Timestamp) {
        self.pending = self.pending(now).saturating_sub(1);
    }

    /// The clock has gone back to `now`: what it has said since then was not so.
    fn rebase(&mut self, now: Timestamp) {
        self.level.at = self.level.at.min(now);
        self.pending_since = self.pending_since.min(now);
        self.refusal.iter_mut().for_each(|refusal| refusal.from = refusal.from.min(now));
    }

    /// How sorry one would be to forget it: whoever is refused last of all.
    fn danger(&self, now: Timestamp, settings: &Settings) -> (Option<Timestamp>, Points, u32) {
        (self.refused_until(now), self.points(now, settings), self.pending(now))
    }
}

/// A table of them that never grows beyond its bound.
#[derive(Debug)]
pub(super) struct Suspects<K>(BTreeMap<K, Suspect>);

impl<K> Default for Suspects<K> {
    fn default() -> Suspects<K> {
        Suspects(BTreeMap::new())
    }
}

impl<K: Ord + Clone> Suspects<K> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &Suspect)> {
        self.0.iter()
    }

    pub(super) fn get(&self, key: &K) -> Option<&Suspect> {
        self.0.get(key)
    }

    pub(super) fn change(&mut self, key: &K, change: impl FnOnce(&mut Suspect)) {
        if let Some(suspect) = self.0.get_mut(key) {
            change(suspect);
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> bool {
        self.0.remove(key).is_some()
    }

    pub(super) fn refused(&self, now: Timestamp) -> impl Iterator<Item = (&K, Timestamp)> {
        self.0.iter().filter_map(move |(key, suspect)| suspect.refused_until(now).map(|until| (key, until)))
    }

    /// What is known against `key`, from now on at least that it was asked for.
    pub(super) fn entry(&mut self, key: K, now: Timestamp, settings: &Settings) -> &mut Suspect {
        if self.0.len() >= settings.remembered.max(8) && !self.0.contains_key(&key) {
            self.sweep(now, settings);
        }
        self.0.entry(key).or_insert_with(|| Suspect::new(now))
    }

    pub(super) fn rebase(&mut self, now: Timestamp) {
        self.0.values_mut().for_each(|suspect| suspect.rebase(now));
    }

    /// Forgets the least dangerous eighth, all at once, so that each addition costs little.
    fn sweep(&mut self, now: Timestamp, settings: &Settings) {
        let keep = settings.remembered.max(8) / 8 * 7;
        let mut danger: Vec<_> =
            self.0.iter().map(|(key, suspect)| (suspect.danger(now, settings), key.clone())).collect();
        danger.sort_unstable();
        for (_, key) in danger.iter().rev().skip(keep) {
            self.0.remove(key);
        }
    }
}

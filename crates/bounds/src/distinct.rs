//! How many different things there were lately.
//!
//! Of each a digest of 32 bits is kept with the minute it was last seen. Two that happen to share a digest count
//! as one: of 5,000 different ones that is to be expected for one pair in three hundred such sets.

use mail::Timestamp;
use std::fmt;
use std::str::FromStr;

/// Minutes of an hour and of a day.
pub(crate) const HOUR: u32 = 60;
pub(crate) const DAY: u32 = 24 * 60;

/// A set of digests, each with the minute it was last seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Distinct {
    /// In the order of the digests.
    seen: Vec<(u32, u32)>,
    /// The minute in which the old ones were last dropped.
    swept: u32,
}

impl Distinct {
    /// Sees one, unless it is new and there are as many as may be.
    pub(crate) fn see(&mut self, now: Timestamp, digest: u32, most: usize) {
        self.see_late(now, now, digest, most);
    }

    /// The same of one that was there at an earlier moment.
    pub(crate) fn see_late(&mut self, now: Timestamp, there: Timestamp, digest: u32, most: usize) {
        let (now, there) = (minute(now), minute(there));
        if self.swept != now {
            self.seen.retain(|(_, seen)| is_within(*seen, now, DAY));
            self.swept = now;
        }
        match self.seen.binary_search_by_key(&digest, |(digest, _)| *digest) {
            Ok(at) => self.seen[at].1 = self.seen[at].1.max(there),
            Err(_) if self.seen.len() >= most => {}
            Err(at) => self.seen.insert(at, (digest, there)),
        }
    }

    /// How many there were in so many minutes.
    pub(crate) fn count(&self, now: Timestamp, minutes: u32) -> u32 {
        let minute = minute(now);
        let within = self.seen.iter().filter(|(_, seen)| is_within(*seen, minute, minutes)).count();
        u32::try_from(within).unwrap_or(u32::MAX)
    }

    /// How many digests are kept.
    pub(crate) fn kept(&self) -> usize {
        self.seen.len()
    }

    /// The clock has gone back.
    pub(crate) fn rebase(&mut self, now: Timestamp) {
        let minute = minute(now);
        self.seen.iter_mut().for_each(|(_, seen)| *seen = (*seen).min(minute));
        self.swept = self.swept.min(minute);
    }
}

fn minute(now: Timestamp) -> u32 {
    u32::try_from(now.millis() / 60_000).unwrap_or(u32::MAX)
}

fn is_within(seen: u32, minute: u32, minutes: u32) -> bool {
    minute.saturating_sub(seen) <= minutes
}

impl fmt::Display for Distinct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("-")?;
        self.seen.iter().try_for_each(|(digest, minute)| write!(f, "{digest:x}@{minute:x}-"))
    }
}

impl FromStr for Distinct {
    type Err = ();

    fn from_str(text: &str) -> Result<Distinct, ()> {
        let mut seen = Vec::new();
        for one in text.strip_prefix('-').ok_or(())?.split_terminator('-') {
            let (digest, minute) = one.split_once('@').ok_or(())?;
            let number = |text| u32::from_str_radix(text, 16).map_err(|_| ());
            seen.push((number(digest)?, number(minute)?));
        }
        let in_order = seen.windows(2).all(|two| two[0].0 < two[1].0);
        if in_order { Ok(Distinct { seen, swept: 0 }) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_ones_are_counted_once_and_forgotten() {
        let at = |minutes: u64| Timestamp::from_millis(1_700_000_000_000 + minutes * 60_000);
        let mut distinct = Distinct::default();
        for digest in [5, 3, 5, 9, 3] {
            distinct.see(at(0), digest, 100);
        }
        distinct.see(at(50), 3, 100);
        distinct.see_late(at(50), at(10), 3, 100);
        assert_eq!(distinct.count(at(50), HOUR), 3);
        assert_eq!(distinct.count(at(61), HOUR), 1);
        assert_eq!(distinct.count(at(61), DAY), 3);
        assert_eq!(distinct.to_string().parse::<Distinct>().map(|read| read.seen), Ok(distinct.seen.clone()));
        distinct.see(at(1_500), 1, 1);
        assert_eq!((distinct.kept(), distinct.count(at(1_500), DAY)), (1, 1), "the old ones are gone");
        distinct.see(at(1_500), 2, 1);
        assert_eq!(distinct.kept(), 1);
    }
}

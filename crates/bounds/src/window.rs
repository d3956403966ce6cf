//! Numbers over the last hour and the last day, in slots.
//!
//! A window has one slot more than its span, so that what is counted stays for the whole span at least and for
//! one slot longer at the most: five minutes of an hour, an hour of a day.

use mail::Timestamp;
use std::fmt;
use std::str::FromStr;

/// Slots of five minutes: an hour.
pub(crate) type Hour = Window<13, 300_000>;
/// Slots of an hour: a day.
pub(crate) type Day = Window<25, 3_600_000>;

/// A number of each slot; `SLOT_MS` is how long one lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window<const SLOTS: usize, const SLOT_MS: u64> {
    slots: [u32; SLOTS],
    /// The number of the newest slot, counted from the epoch.
    newest: u64,
}

impl<const SLOTS: usize, const SLOT_MS: u64> Default for Window<SLOTS, SLOT_MS> {
    fn default() -> Window<SLOTS, SLOT_MS> {
        Window { slots: [0; SLOTS], newest: 0 }
    }
}

impl<const SLOTS: usize, const SLOT_MS: u64> Window<SLOTS, SLOT_MS> {
    /// Counts so many now.
    pub(crate) fn add(&mut self, now: Timestamp, number: u32) {
        self.go_on(now);
        let slot = self.place(self.newest);
        self.slots[slot] = self.slots[slot].saturating_add(number);
    }

    /// How many there were in the span.
    pub(crate) fn sum(&self, now: Timestamp) -> u32 {
        let mut then = *self;
        then.go_on(now);
        then.slots.iter().fold(0, |sum, number| sum.saturating_add(*number))
    }

    /// The clock has gone back: what was counted last was counted now.
    pub(crate) fn rebase(&mut self, now: Timestamp) {
        let newest = now.millis() / SLOT_MS;
        if newest < self.newest {
            let kept = *self;
            for back in 0..SLOTS as u64 {
                let (to, from) = (newest.checked_sub(back), kept.newest.checked_sub(back));
                if let (Some(to), Some(from)) = (to, from) {
                    self.slots[self.place(to)] = kept.slots[self.place(from)];
                }
            }
            self.newest = newest;
        }
    }

    fn go_on(&mut self, now: Timestamp) {
        let newest = now.millis() / SLOT_MS;
        // Over the slots that have begun since; beyond their number all are empty.
        for slot in (self.newest + 1..=newest).take(SLOTS) {
            let slot = self.place(slot);
            self.slots[slot] = 0;
        }
        self.newest = self.newest.max(newest);
    }

    #[expect(clippy::cast_possible_truncation, reason = "the remainder is less than the number of slots")]
    #[expect(clippy::unused_self, reason = "names the number of slots")]
    fn place(&self, slot: u64) -> usize {
        (slot % SLOTS as u64) as usize
    }
}

/// The newest slot, and the numbers in the order of their places.
impl<const SLOTS: usize, const SLOT_MS: u64> fmt::Display for Window<SLOTS, SLOT_MS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.newest)?;
        self.slots.iter().try_for_each(|number| write!(f, ":{number}"))
    }
}

impl<const SLOTS: usize, const SLOT_MS: u64> FromStr for Window<SLOTS, SLOT_MS> {
    type Err = ();

    fn from_str(text: &str) -> Result<Window<SLOTS, SLOT_MS>, ()> {
        let mut numbers = text.split(':');
        let newest: u64 = numbers.next().and_then(|newest| newest.parse().ok()).ok_or(())?;
        let mut window = Window { newest, ..Window::default() };
        for slot in &mut window.slots {
            *slot = numbers.next().and_then(|number| number.parse().ok()).ok_or(())?;
        }
        // Beyond the year 9999 no slot is counted on.
        let fits = newest <= u64::MAX / SLOT_MS / 2;
        if fits && numbers.next().is_none() { Ok(window) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + minutes * 60_000)
    }

    #[test]
    fn what_is_counted_stays_an_hour_and_five_minutes_at_the_most() {
        for begin in 0..5 {
            let mut hour = Hour::default();
            hour.add(at(begin), 7);
            assert_eq!(hour.sum(at(begin + 60)), 7, "{begin}");
            assert_eq!(hour.sum(at(begin + 66)), 0, "{begin}");
        }
        let mut day = Day::default();
        (0..24).for_each(|hour| day.add(at(hour * 60), 1));
        assert_eq!(day.sum(at(23 * 60)), 24);
        assert_eq!(day.sum(at(1_000_000)), 0);
    }

    #[test]
    fn a_clock_that_goes_back_keeps_nothing_for_longer() {
        let mut hour = Hour::default();
        hour.add(at(1_000_000), 3);
        hour.add(at(1_000_010), 4);
        hour.rebase(at(0));
        assert_eq!(hour.sum(at(0)), 7);
        assert_eq!(hour.sum(at(66)), 0);
        assert_eq!(hour.to_string().parse(), Ok(hour));
    }
}

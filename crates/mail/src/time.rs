//! Moments, and the only formatting of dates.
//!
//! Written out here because it is one division by 146,097 days; a calendar library would be the
//! only heavy dependency of the lowest floor.

use crate::digits::write_digits;
use std::fmt;
use std::time::Duration;

/// A moment: milliseconds since 1970-01-01T00:00:00Z. Arithmetic saturates; a clock that jumps
/// back gives a duration of zero, never a panic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The last moment that has a four-digit year.
const LAST_MS: u64 = 253_402_300_799_999;

impl Timestamp {
    /// The moment `ms` milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Timestamp {
        Timestamp(ms)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This moment and `span` later.
    #[must_use]
    pub fn after(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// RFC 5322 §3.3, in UTC: `Sat, 21 Nov 2026 22:48:40 +0000`.
    #[must_use]
    pub fn rfc5322(self) -> String {
        let d = self.civil();
        let name = DAYS[usize::try_from((d.days + 3) % 7).unwrap_or_default()];
        let month = MONTHS[usize::try_from(d.month - 1).unwrap_or_default()];
        let mut text = *b"Thu, 01 Jan 1970 00:00:00 +0000";
        text[..3].copy_from_slice(name.as_bytes());
        text[8..11].copy_from_slice(month.as_bytes());
        for (at, value) in [(5..7, d.day), (12..16, d.year), (17..19, d.hour), (20..22, d.minute), (23..25, d.second)] {
            write_digits(&mut text[at], value);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The proleptic Gregorian date of the moment; years past 9999 are shown as the end of 9999.
    fn civil(self) -> Civil {
        let ms = self.0.min(LAST_MS);
        let days = ms / 86_400_000;
        let rest = ms % 86_400_000;
        // Days are counted from 0000-03-01, so that the leap day is the last of its year.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        Civil {
            days,
            year,
            month,
            day,
            hour: rest / 3_600_000,
            minute: rest / 60_000 % 60,
            second: rest / 1_000 % 60,
            ms: rest % 1_000,
        }
    }
}

struct Civil {
    days: u64,
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    ms: u64,
}

impl fmt::Display for Timestamp {
    /// RFC 3339, in UTC: `2026-11-21T22:48:40.123Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = self.civil();
        let mut text = *b"0000-00-00T00:00:00.000Z";
        for (at, value) in
            [(0..4, d.year), (5..7, d.month), (8..10, d.day), (11..13, d.hour), (14..16, d.minute), (17..19, d.second)]
        {
            write_digits(&mut text[at], value);
        }
        write_digits(&mut text[20..23], d.ms);
        // One write: every line of the log begins with it.
        f.write_str(std::str::from_utf8(&text).expect("invariant: digits are ASCII"))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_that_calendars_get_wrong() {
        for (ms, short, long) in [
            (0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 +0000"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z", "Tue, 29 Feb 2000 00:00:00 +0000"),
            (1_795_301_320_123, "2026-11-21T22:48:40.123Z", "Sat, 21 Nov 2026 22:48:40 +0000"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z", "Sun, 28 Feb 2100 23:59:59 +0000"),
            (u64::MAX, "9999-12-31T23:59:59.999Z", "Fri, 31 Dec 9999 23:59:59 +0000"),
        ] {
            let at = Timestamp::from_millis(ms);
            assert_eq!(at.to_string(), short);
            assert_eq!(at.rfc5322(), long);
        }
    }

    #[test]
    fn a_clock_that_jumps_back_is_no_time() {
        let (early, late) = (Timestamp::from_millis(5), Timestamp::from_millis(9));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late.since(early), Duration::from_millis(4));
        assert_eq!(late.after(Duration::MAX).millis(), u64::MAX);
    }
}

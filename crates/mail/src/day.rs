//! A day of the calendar, in UTC.

use crate::time::Timestamp;
use std::fmt;
use std::str::FromStr;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A day from 1970 to 9999, written `2027-01-31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    year: u16,
    month: u8,
    day: u8,
}

/// Not a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotADay;

impl fmt::Display for NotADay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a day such as 2027-01-31")
    }
}

impl std::error::Error for NotADay {}

impl Day {
    /// Its first moment.
    #[must_use]
    pub fn begins(self) -> Timestamp {
        let (year, month) = (u64::from(self.year), u64::from(self.month));
        // Days before a month of a year that begins in March, so that the leap day is its last.
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + u64::from(self.day) - 1;
        // 719,468 days lie between 0000-03-01 and 1970-01-01.
        Timestamp::from_millis((days - 719_468) * DAY_MS)
    }

    /// The first moment behind it.
    #[must_use]
    pub fn ends(self) -> Timestamp {
        Timestamp::from_millis(self.begins().millis() + DAY_MS)
    }

    fn is_leap(year: u16) -> bool {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    }
}

impl FromStr for Day {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Day, NotADay> {
        let octets = text.as_bytes();
        let form = |(at, octet): (usize, &u8)| if at == 4 || at == 7 { *octet == b'-' } else { octet.is_ascii_digit() };
        if octets.len() != 10 || !octets.iter().enumerate().all(form) {
            return Err(NotADay);
        }
        let year = text[..4].parse().map_err(|_| NotADay)?;
        let month = text[5..7].parse().map_err(|_| NotADay)?;
        let day = text[8..].parse().map_err(|_| NotADay)?;
        let longest = match month {
            2 if Day::is_leap(year) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return Err(NotADay),
        };
        if year < 1970 || !(1..=longest).contains(&day) { Err(NotADay) } else { Ok(Day { year, month, day }) }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_a_day() {
        for good in ["1970-01-01", "2024-02-29", "2000-02-29", "9999-12-31"] {
            assert_eq!(good.parse::<Day>().map(|day| day.to_string()).as_deref(), Ok(good));
        }
        for bad in [
            "1969-12-31",
            "2023-02-29",
            "2100-02-29",
            "2027-13-01",
            "2027-04-31",
            "2027-1-1",
            "2027-01-00",
            "+027-01-01",
        ] {
            assert!(bad.parse::<Day>().is_err(), "{bad}");
        }
        let first = "1970-01-01".parse::<Day>().unwrap();
        assert_eq!(first.begins(), Timestamp::from_millis(0));
        assert_eq!(first.ends(), "1970-01-02".parse::<Day>().unwrap().begins());
    }

    proptest! {
        #[test]
        fn a_day_begins_at_midnight_of_its_date(year in 1970..=9999_u16, month in 1..=12_u8, day in 1..=28_u8) {
            let day = format!("{year:04}-{month:02}-{day:02}").parse::<Day>().unwrap();
            let begins = day.begins().to_string();
            prop_assert!(begins.starts_with(&format!("{day}T00:00:00")), "{}", begins);
        }
    }
}

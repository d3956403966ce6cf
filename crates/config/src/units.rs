//! Sizes and durations as people write them: `25 MiB`, `15 min`.
//!
//! A unit that can be read in two ways is refused with the one that was probably meant: `MB` is a
//! million octets to one reader and 1,048,576 to another, `m` is a minute or a month.

use std::fmt;
use std::time::Duration;

/// Why a text is not a size or a duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UnitError {
    /// Nothing that a number could be at the front.
    NoNumber,
    /// A fraction or a sign.
    NotWhole,
    /// A number alone, where a unit must be.
    NoUnit,
    /// A word that is no unit; the whole value as it was probably meant.
    UnknownUnit(Option<String>),
    /// More than can be counted.
    TooLarge,
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnitError::NoNumber => "does not begin with a number",
            UnitError::NotWhole => "is not a whole number",
            UnitError::NoUnit => "has no unit",
            UnitError::UnknownUnit(_) => "has a unit that is not known here",
            UnitError::TooLarge => "is too large",
        })
    }
}

/// Reads a size in octets: a whole number and `B`, `KiB`, `MiB` or `GiB`; a number alone is octets.
pub(crate) fn size(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        other => return Err(UnitError::UnknownUnit(size_unit_meant(other).map(|unit| format!("{number} {unit}")))),
    };
    number.checked_mul(factor).ok_or(UnitError::TooLarge)
}

fn size_unit_meant(unit: &str) -> Option<&'static str> {
    match unit.to_ascii_lowercase().as_str() {
        "b" | "byte" | "bytes" | "octet" | "octets" => Some("B"),
        "k" | "kb" | "kib" | "ki" => Some("KiB"),
        "m" | "mb" | "mib" | "mi" => Some("MiB"),
        "g" | "gb" | "gib" | "gi" => Some("GiB"),
        _ => None,
    }
}

/// The longest duration that can be written, so that no sum of a moment and a span overflows.
const LONGEST_S: u64 = 3650 * 86_400;

/// Reads a duration: a whole number and `s`, `min`, `h` or `d`.
pub(crate) fn duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" => return Err(UnitError::NoUnit),
        "s" => 1,
        "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        other => return Err(UnitError::UnknownUnit(duration_unit_meant(other).map(|unit| format!("{number} {unit}")))),
    };
    let seconds = number.checked_mul(factor).filter(|s| *s <= LONGEST_S).ok_or(UnitError::TooLarge)?;
    Ok(Duration::from_secs(seconds))
}

fn duration_unit_meant(unit: &str) -> Option<&'static str> {
    match unit.to_ascii_lowercase().as_str() {
        "s" | "sec" | "secs" | "second" | "seconds" => Some("s"),
        "m" | "min" | "mins" | "minute" | "minutes" => Some("min"),
        "h" | "hr" | "hrs" | "hour" | "hours" => Some("h"),
        "d" | "day" | "days" => Some("d"),
        _ => None,
    }
}

/// The number in front and the unit behind it, with or without a blank between them.
fn split(text: &str) -> Result<(u64, &str), UnitError> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    if rest.starts_with(['.', ',', '-', '+', '_']) {
        return Err(UnitError::NotWhole);
    }
    if number.is_empty() {
        return Err(UnitError::NoNumber);
    }
    Ok((number.parse().map_err(|_| UnitError::TooLarge)?, rest.trim_matches(' ')))
}

/// A size in the largest unit that divides it.
pub(crate) fn print_size(octets: u64) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if octets != 0 && octets.trailing_zeros() >= shift {
            return format!("{} {unit}", octets >> shift);
        }
    }
    format!("{octets} B")
}

/// A duration in the largest unit that divides it.
pub(crate) fn print_duration(span: Duration) -> String {
    let seconds = span.as_secs();
    for (length, unit) in [(86_400, "d"), (3_600, "h"), (60, "min")] {
        if seconds != 0 && seconds.is_multiple_of(length) {
            return format!("{} {unit}", seconds / length);
        }
    }
    format!("{seconds} s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes() {
        assert_eq!(size("25 MiB"), Ok(26_214_400));
        assert_eq!(size("2048KiB"), Ok(2_097_152));
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("12 B"), Ok(12));
        assert_eq!(size("25 MB"), Err(UnitError::UnknownUnit(Some("25 MiB".into()))));
        assert_eq!(size("25 parsecs"), Err(UnitError::UnknownUnit(None)));
        assert_eq!(size("1.5 MiB"), Err(UnitError::NotWhole));
        assert_eq!(size("-1"), Err(UnitError::NotWhole));
        assert_eq!(size("MiB"), Err(UnitError::NoNumber));
        assert_eq!(size(""), Err(UnitError::NoNumber));
        assert_eq!(size("99999999999999999999"), Err(UnitError::TooLarge));
        assert_eq!(size("18446744073709551615 GiB"), Err(UnitError::TooLarge));
    }

    #[test]
    fn durations() {
        assert_eq!(duration("30 s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("15min"), Ok(Duration::from_secs(900)));
        assert_eq!(duration("12 h"), Ok(Duration::from_secs(43_200)));
        assert_eq!(duration("2 d"), Ok(Duration::from_secs(172_800)));
        assert_eq!(duration("15"), Err(UnitError::NoUnit));
        assert_eq!(duration("15 m"), Err(UnitError::UnknownUnit(Some("15 min".into()))));
        assert_eq!(duration("1 fortnight"), Err(UnitError::UnknownUnit(None)));
        assert_eq!(duration("999999 d"), Err(UnitError::TooLarge));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(octets in any::<u64>(), seconds in 0..=LONGEST_S) {
            prop_assert_eq!(size(&print_size(octets)), Ok(octets));
            prop_assert_eq!(duration(&print_duration(Duration::from_secs(seconds))), Ok(Duration::from_secs(seconds)));
        }

        #[test]
        fn any_text_has_an_answer(text in ".{0,40}") {
            let _ = (size(&text), duration(&text));
        }
    }
}

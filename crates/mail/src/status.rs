//! Enhanced mail system status codes (RFC 3463).

use crate::digits::Short;
use std::fmt;
use std::str::FromStr;

/// The first number of an enhanced status: how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// 2: success.
    Success,
    /// 4: a persistent transient failure; try later.
    Transient,
    /// 5: a permanent failure; do not try again.
    Permanent,
}

impl Class {
    /// The digit it is written as.
    #[must_use]
    pub fn digit(self) -> u8 {
        match self {
            Class::Success => 2,
            Class::Transient => 4,
            Class::Permanent => 5,
        }
    }
}

/// `class.subject.detail`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnhancedStatus {
    /// How it ended.
    pub class: Class,
    /// What it is about: 1 addressing, 2 mailbox, 3 system, 4 network, 5 protocol, 6 content, 7 policy.
    pub subject: u16,
    /// The detail within the subject.
    pub detail: u16,
}

impl EnhancedStatus {
    /// `class.subject.detail`
    #[must_use]
    pub const fn new(class: Class, subject: u16, detail: u16) -> EnhancedStatus {
        EnhancedStatus { class, subject, detail }
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text: Short<13> = Short::new();
        text.put(b'0' + self.class.digit());
        for number in [self.subject, self.detail] {
            text.put(b'.');
            text.number(number);
        }
        f.write_str(text.as_str())
    }
}

impl fmt::Debug for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EnhancedStatus {
    type Err = ();

    /// Reads `d.ddd.ddd`; leading zeros and anything longer are refused.
    fn from_str(text: &str) -> Result<EnhancedStatus, ()> {
        let mut parts = text.split('.');
        let class = match parts.next() {
            Some("2") => Class::Success,
            Some("4") => Class::Transient,
            Some("5") => Class::Permanent,
            _ => return Err(()),
        };
        let mut number = || {
            let part = parts.next().filter(|p| (1..=3).contains(&p.len())).ok_or(())?;
            if !part.bytes().all(|b| b.is_ascii_digit()) || (part.len() > 1 && part.starts_with('0')) {
                return Err(());
            }
            part.parse().map_err(|_| ())
        };
        let status = EnhancedStatus { class, subject: number()?, detail: number()? };
        if parts.next().is_some() { Err(()) } else { Ok(status) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints_and_nothing_else() {
        for text in ["2.0.0", "4.7.1", "5.7.999"] {
            assert_eq!(text.parse::<EnhancedStatus>().unwrap().to_string(), text);
        }
        for text in ["", "5", "5.7", "3.0.0", "5.7.1.1", "5.07.1", "5.7.1000", "5.+7.1"] {
            assert!(text.parse::<EnhancedStatus>().is_err(), "{text}");
        }
    }
}

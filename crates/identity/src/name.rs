//! Which spellings are the same account: prepared as RFC 4013 prepares names, then in lower case.
//!
//! A name is what people type into a phone. What looks the same is the same, what can not be seen is
//! refused, and nothing that could break a line of a file, a log or a filter gets in.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// Octets a name may have, before and after it is prepared.
pub const NAME_OCTETS: usize = 128;

/// The name of an account in the one spelling that is compared, kept and shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(Box<str>);

/// Why a text is not the name of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// It is empty, or all of it vanishes when it is prepared.
    Empty,
    /// It is longer than [`NAME_OCTETS`].
    TooLong,
    /// It contains a blank.
    Blank,
    /// It contains a control character, or one that RFC 4013 §2.3 to §2.5 prohibits.
    Prohibited,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Empty => f.write_str("the name is empty"),
            NameError::TooLong => write!(f, "the name is longer than {NAME_OCTETS} octets"),
            NameError::Blank => f.write_str("a name has no blanks"),
            NameError::Prohibited => f.write_str("a character of the name is not allowed in names"),
        }
    }
}

impl std::error::Error for NameError {}

impl AccountName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<AccountName, NameError> {
        if text.len() > NAME_OCTETS {
            return Err(NameError::TooLong);
        }
        // Lower case can leave what has to be composed again, and composing can give an upper-case
        // letter; the second round is the last that changes anything, and if it is not, the text is odd.
        let once = prepared_lower(text)?;
        let twice = prepared_lower(&once)?;
        if prepared_lower(&twice)? != twice {
            return Err(NameError::Prohibited);
        }
        match twice.len() {
            0 => Err(NameError::Empty),
            octets if octets > NAME_OCTETS => Err(NameError::TooLong),
            _ if twice.contains(char::is_whitespace) => Err(NameError::Blank),
            _ => Ok(AccountName(twice.into())),
        }
    }
}

fn prepared_lower(text: &str) -> Result<String, NameError> {
    stringprep::saslprep(text).map(|prepared| prepared.to_lowercase()).map_err(|_| NameError::Prohibited)
}

/// A password as RFC 4013 prepares it; `None` when that changes nothing, or cannot be done.
pub(crate) fn prepared_password(octets: &[u8]) -> Option<String> {
    let text = str::from_utf8(octets).ok()?;
    let prepared = stringprep::saslprep(text).ok()?;
    (prepared != text && !prepared.is_empty()).then(|| prepared.into_owned())
}

impl Borrow<str> for AccountName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Result<String, NameError> {
        text.parse::<AccountName>().map(|name| name.to_string())
    }

    #[test]
    fn spellings_of_one_account() {
        for text in ["alice", "Alice", "ALICE", "\u{ff21}lice", "al\u{ad}ice"] {
            assert_eq!(name(text).as_deref(), Ok("alice"), "{text:?}");
        }
        assert_eq!(name("J\u{fc}rgen"), name("ju\u{308}rgen"));
        assert_eq!(name("alice@Corp.Example").as_deref(), Ok("alice@corp.example"));
    }

    #[test]
    fn what_is_not_a_name() {
        assert_eq!(name(""), Err(NameError::Empty));
        assert_eq!(name("\u{ad}"), Err(NameError::Empty));
        assert_eq!(name("al ice"), Err(NameError::Blank));
        assert_eq!(name("al\u{a0}ice"), Err(NameError::Blank));
        for text in ["al\nice", "al\0ice", "al\u{7f}", "\u{202e}alice", "\u{e000}", "a\u{5d0}"] {
            assert_eq!(name(text), Err(NameError::Prohibited), "{text:?}");
        }
        assert_eq!(name(&"a".repeat(NAME_OCTETS)).map(|name| name.len()), Ok(NAME_OCTETS));
        assert_eq!(name(&"a".repeat(NAME_OCTETS + 1)), Err(NameError::TooLong));
    }

    proptest! {
        #[test]
        fn a_name_is_its_own_name(text in any::<String>()) {
            if let Ok(name) = text.parse::<AccountName>() {
                prop_assert_eq!(name.as_str().parse::<AccountName>(), Ok(name.clone()));
                prop_assert!(!name.as_str().chars().any(|c| c.is_control() || c.is_whitespace()));
                prop_assert!(name.as_str().len() <= NAME_OCTETS);
            }
        }
    }
}

//! One line of the account file: nothing, a comment, or a word and what follows it.

/// Octets a line may have: room for the longest hash.
pub(super) const LINE_OCTETS: usize = 1024;

/// The words that lines begin with.
pub(super) const WORDS: &str = "account, password, scram, nt-hash, group, address, certificate, suspended, expires";

/// What a line says. Nothing in it has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Blank, or a comment.
    Nothing,
    /// The account of this name begins.
    Account(&'a str),
    /// The account has this.
    Field(Word, &'a str),
    /// A word that is not known.
    Unknown,
}

/// What an account can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Password,
    Scram,
    NtHash,
    Group,
    Address,
    Certificate,
    Suspended,
    Expires,
}

impl Word {
    /// How it is written.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Word::Password => "password",
            Word::Scram => "scram",
            Word::NtHash => "nt-hash",
            Word::Group => "group",
            Word::Address => "address",
            Word::Certificate => "certificate",
            Word::Suspended => "suspended",
            Word::Expires => "expires",
        }
    }

    /// Whether it is made of the password.
    pub(super) const fn is_secret(self) -> bool {
        matches!(self, Word::Password | Word::Scram | Word::NtHash)
    }
}

impl<'a> Line<'a> {
    /// What a line says, with or without its end.
    pub(super) fn of(line: &'a str) -> Line<'a> {
        let line = line.trim_matches([' ', '\t', '\r', '\n']);
        if line.is_empty() || line.starts_with('#') {
            return Line::Nothing;
        }
        let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let rest = rest.trim_start_matches([' ', '\t']);
        let word = match word {
            "account" => return Line::Account(rest),
            "password" => Word::Password,
            "scram" => Word::Scram,
            "nt-hash" => Word::NtHash,
            "group" => Word::Group,
            "address" => Word::Address,
            "certificate" => Word::Certificate,
            "suspended" => Word::Suspended,
            "expires" => Word::Expires,
            _ => return Line::Unknown,
        };
        Line::Field(word, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        for nothing in ["", "  \t", "# account alice", "   # x\r\n"] {
            assert_eq!(Line::of(nothing), Line::Nothing);
        }
        assert_eq!(Line::of("account alice\r\n"), Line::Account("alice"));
        assert_eq!(Line::of("\taccount\t alice smith "), Line::Account("alice smith"));
        assert_eq!(Line::of("  suspended"), Line::Field(Word::Suspended, ""));
        assert_eq!(Line::of("Account alice"), Line::Unknown);
        assert_eq!(Line::of("hunter2"), Line::Unknown);
    }

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for word in WORDS.split(", ").skip(1) {
            assert!(matches!(Line::of(word), Line::Field(known, "") if known.text() == word), "{word}");
        }
    }
}

//! The names of what a session notices about its client, as they stand in the log and in counters.

use smtp::server::Note;

/// All of them.
pub(crate) const NAMES: [&str; 22] = [
    "too-big",
    "too-big-declared",
    "header-too-big",
    "too-many-recipients",
    "bare-newline",
    "early-talk",
    "line-too-long",
    "unknown-command",
    "foreign-verb",
    "syntax-error",
    "bad-sequence",
    "too-many-errors",
    "session-size-reached",
    "nul-octet",
    "auth-not-offered",
    "unknown-mechanism",
    "tls-needed",
    "expired",
    "too-slow",
    "too-many-failures",
    "must-authenticate",
    "too-many-commands",
];

/// The name of one.
#[must_use]
pub(crate) fn name(note: Note) -> &'static str {
    let at = match note {
        Note::TooBig { declared: false } => 0,
        Note::TooBig { declared: true } => 1,
        Note::HeaderTooBig => 2,
        Note::TooManyRecipients => 3,
        Note::BareNewline => 4,
        Note::EarlyTalk => 5,
        Note::LineTooLong => 6,
        Note::UnknownCommand => 7,
        Note::ForeignVerb => 8,
        Note::SyntaxError => 9,
        Note::BadSequence => 10,
        Note::TooManyErrors => 11,
        Note::SessionSizeReached => 12,
        Note::NulOctet => 13,
        Note::AuthNotOffered => 14,
        Note::UnknownMechanism => 15,
        Note::TlsNeeded => 16,
        Note::Expired => 17,
        Note::TooSlow => 18,
        Note::TooManyFailures => 19,
        Note::MustAuthenticate => 20,
        Note::TooManyCommands => 21,
    };
    NAMES[at]
}

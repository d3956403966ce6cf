//! One line, one command.
//!
//! A verb and what must be known of its arguments before the state of the session is consulted. The
//! arguments of MAIL and RCPT are read later, in [`envelope`](crate::envelope), when there is a place
//! to put them.

use mail::Reply;

/// A command, as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// EHLO, with the name.
    Ehlo(&'a str),
    /// HELO, with the name.
    Helo(&'a str),
    /// MAIL, with what follows `FROM:`.
    Mail(&'a str),
    /// RCPT, with what follows `TO:`.
    Rcpt(&'a str),
    /// DATA.
    Data,
    /// BDAT: so many octets follow, whatever the answer will be.
    Bdat(Chunk),
    /// RSET.
    Rset,
    /// NOOP; an argument is ignored (RFC 5321 §4.1.1.9).
    Noop,
    /// QUIT.
    Quit,
    /// HELP; an argument is ignored.
    Help,
    /// VRFY.
    Vrfy,
    /// EXPN.
    Expn,
    /// STARTTLS.
    StartTls,
    /// AUTH: the mechanism and the initial response, not decoded yet.
    Auth(Auth<'a>),
    /// ETRN (RFC 1985).
    Etrn,
    /// TURN (RFC 821) and ATRN (RFC 2645).
    Turn,
    /// XCLIENT, with its attributes.
    Xclient(&'a str),
    /// XFORWARD, with its attributes.
    Xforward(&'a str),
    /// A verb of another system's servers (reference 5).
    Foreign,
    /// A verb nobody knows.
    Unknown,
}

/// The arguments of BDAT (RFC 3030 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// How many octets follow.
    pub octets: u64,
    /// Whether it is the last chunk; `None` when something else than LAST stood there.
    pub last: Option<bool>,
}

/// The arguments of AUTH (RFC 4954 §4).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Auth<'a> {
    /// The mechanism, as the client spelt it.
    pub mechanism: &'a str,
    /// The initial response in base64, if there is one.
    pub initial: Option<&'a str>,
}

impl std::fmt::Debug for Auth<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The initial response is a secret.
        write!(f, "Auth({}, {})", self.mechanism, if self.initial.is_some() { "…" } else { "none" })
    }
}

/// What is wrong with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Control characters, or no UTF-8.
    NotText,
    /// An argument where none may be, none where one must be, or a wrong one.
    Argument,
    /// BDAT without a size that can be read: nobody knows where its octets end.
    ChunkSize,
    /// MAIL with something else than a path.
    ReversePath,
    /// RCPT with something else than a path, or with `<>`.
    ForwardPath,
    /// Characters outside ASCII in MAIL's path without SMTPUTF8.
    ReversePathNotAscii,
    /// Characters outside ASCII in RCPT's path without SMTPUTF8.
    ForwardPathNotAscii,
    /// A parameter that is not offered.
    UnknownParameter,
    /// A parameter given twice, or with a value that is not one.
    Parameter,
}

impl Mistake {
    /// What to say about it. Nothing of what the client sent is repeated (conformance row 15).
    #[must_use]
    pub fn reply(self) -> Reply {
        match self {
            Mistake::NotText => Reply::never(0, 5, 2, "Syntax error"),
            Mistake::Argument => Reply::never(1, 5, 4, "Invalid arguments"),
            Mistake::ChunkSize => Reply::never(1, 5, 4, "Invalid chunk size"),
            Mistake::ReversePath => Reply::never(1, 1, 7, "Invalid sender address"),
            Mistake::ForwardPath => Reply::never(1, 1, 3, "Invalid recipient address"),
            // RFC 6531 §3.5
            Mistake::ReversePathNotAscii => Reply::never(50, 6, 7, "Address needs SMTPUTF8"),
            Mistake::ForwardPathNotAscii => Reply::never(53, 6, 7, "Address needs SMTPUTF8"),
            Mistake::UnknownParameter => Reply::never(55, 5, 4, "Unsupported parameter"),
            Mistake::Parameter => Reply::never(1, 5, 4, "Invalid parameter"),
        }
    }
}

/// Reads a line that is text. A verb that is known only to other systems costs no allocation,
/// whatever its arguments promise (MS03-046, MS05-021; L21).
///
/// # Errors
/// A known verb with arguments that it cannot have is a [`Mistake`].
pub fn parse(line: &str) -> Result<Command<'_>, Mistake> {
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let argument = rest.trim_matches(' ');
    let mut verb = [0; 12];
    let Some(verb) = verb.get_mut(..name.len()) else { return Ok(Command::Unknown) };
    verb.copy_from_slice(name.as_bytes());
    verb.make_ascii_uppercase();
    let alone = |command| if argument.is_empty() { Ok(command) } else { Err(Mistake::Argument) };
    let some = |command| if argument.is_empty() { Err(Mistake::Argument) } else { Ok(command) };
    match &*verb {
        b"MAIL" => after_keyword(argument, "FROM:").map(Command::Mail),
        b"RCPT" => after_keyword(argument, "TO:").map(Command::Rcpt),
        b"DATA" => alone(Command::Data),
        b"BDAT" => chunk(argument).map(Command::Bdat),
        b"EHLO" => Ok(Command::Ehlo(argument)),
        b"HELO" => Ok(Command::Helo(argument)),
        b"RSET" => alone(Command::Rset),
        b"NOOP" => Ok(Command::Noop),
        b"QUIT" => alone(Command::Quit),
        b"HELP" => Ok(Command::Help),
        b"VRFY" => some(Command::Vrfy),
        b"EXPN" => Ok(Command::Expn),
        b"STARTTLS" => alone(Command::StartTls),
        b"AUTH" => auth(argument).map(Command::Auth),
        b"ETRN" => some(Command::Etrn),
        b"TURN" | b"ATRN" => Ok(Command::Turn),
        b"XCLIENT" => Ok(Command::Xclient(argument)),
        b"XFORWARD" => Ok(Command::Xforward(argument)),
        b"X-EXPS" | b"XEXCH50" | b"X-LINK2STATE" => Ok(Command::Foreign),
        _ => Ok(Command::Unknown),
    }
}

/// Whether the line asks for octets to be counted, in any spelling: if it cannot be understood, the
/// octets that follow it cannot be told from commands.
#[must_use]
pub fn announces_chunk(line: &[u8]) -> bool {
    line.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"BDAT"))
}

/// Whether the line will be an AUTH command, which may be longer than others. The line may be incomplete.
#[must_use]
pub fn starts_auth(line: &[u8]) -> bool {
    line.get(..5).is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH "))
}

/// What follows `FROM:` or `TO:`. Departs from RFC 5321 §3.3 by allowing spaces behind the colon,
/// because devices send them and no reading of such a line is ambiguous.
fn after_keyword<'a>(argument: &'a str, keyword: &str) -> Result<&'a str, Mistake> {
    let front = argument.get(..keyword.len()).ok_or(Mistake::Argument)?;
    if !front.eq_ignore_ascii_case(keyword) {
        return Err(Mistake::Argument);
    }
    Ok(argument[keyword.len()..].trim_start_matches(' '))
}

fn chunk(argument: &str) -> Result<Chunk, Mistake> {
    let (size, tail) = argument.split_once(' ').unwrap_or((argument, ""));
    // Nineteen digits always fit into 64 bits.
    if !(1..=19).contains(&size.len()) || !size.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Mistake::ChunkSize);
    }
    let octets = size.parse().map_err(|_| Mistake::ChunkSize)?;
    let last = match tail.trim_start_matches(' ') {
        "" => Some(false),
        word if word.eq_ignore_ascii_case("LAST") => Some(true),
        _ => None,
    };
    Ok(Chunk { octets, last })
}

fn auth(argument: &str) -> Result<Auth<'_>, Mistake> {
    let (mechanism, initial) = match argument.split_once(' ') {
        None => (argument, None),
        Some((mechanism, initial)) => (mechanism, Some(initial)),
    };
    // RFC 4422 §3.1: at most twenty of A-Z, 0-9, hyphen and underscore.
    let spelt = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !(1..=20).contains(&mechanism.len()) || !mechanism.bytes().all(spelt) {
        return Err(Mistake::Argument);
    }
    Ok(Auth { mechanism, initial })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_in_any_case() {
        assert_eq!(parse("mAiL From: <a@b.example>"), Ok(Command::Mail("<a@b.example>")));
        assert_eq!(parse("rcpt to:<a@b.example> NOTIFY=NEVER "), Ok(Command::Rcpt("<a@b.example> NOTIFY=NEVER")));
        assert_eq!(parse("data "), Ok(Command::Data));
        assert_eq!(parse("DATA now"), Err(Mistake::Argument));
        assert_eq!(parse("MAIL <a@b.example>"), Err(Mistake::Argument));
        assert_eq!(parse(""), Ok(Command::Unknown));
        assert_eq!(parse(&"x".repeat(2000)), Ok(Command::Unknown));
    }

    #[test]
    fn row09_chunk_sizes() {
        let chunk = |octets, last| Ok(Command::Bdat(Chunk { octets, last }));
        assert_eq!(parse("BDAT 0 LAST"), chunk(0, Some(true)));
        assert_eq!(parse("bdat 9999999999999999999 last"), chunk(9_999_999_999_999_999_999, Some(true)));
        assert_eq!(parse("BDAT 5 FIRST"), chunk(5, None));
        for line in ["BDAT", "BDAT LAST", "BDAT -1", "BDAT +1", "BDAT 0x10", "BDAT 10000000000000000000"] {
            assert_eq!(parse(line), Err(Mistake::ChunkSize), "{line}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let printed = format!("{:?}", parse("AUTH PLAIN c2VjcmV0"));
        assert!(printed.contains("PLAIN") && !printed.contains("c2Vj"), "{printed}");
    }
}

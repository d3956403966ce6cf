//! Our reading of a command line beside that of `smtp-proto`: where both read a line, it is the same.

#[path = "../../crates/smtp/tests/protocol/other_parser.rs"]
mod other_parser;

use other_parser::{agree_on_command, agree_on_recipient, agree_on_sender, folded, our_recipient, our_sender, theirs};
use smtp::command::{self, Command};
use smtp_proto::Request;

pub(crate) fn run(octets: &[u8]) {
    let Ok(line) = smtp::line::text(octets) else { return };
    let Ok(request) = theirs(line) else { return };
    match &request {
        Request::Mail { from } => {
            let Some(ours) = our_sender(line) else { return };
            if is_plain(line) && from.address.contains('@') {
                assert_eq!(ours.reverse_path.to_string(), folded(from.address.trim_end_matches('.')), "{line}");
                agree_on_sender(&ours, from);
            }
        }
        Request::Rcpt { to } => {
            let Some(ours) = our_recipient(line) else { return };
            if is_plain(line) && to.address.contains('@') {
                assert_eq!(ours.forward_path.to_string(), folded(to.address.trim_end_matches('.')), "{line}");
                agree_on_recipient(&ours, to);
            }
        }
        request => {
            let Ok(ours) = command::parse(line) else { return };
            assert!(!is_compared(&ours) || agree_on_command(&ours, request), "{line}: {ours:?} and {request:?}");
        }
    }
}

/// They know commands that we do not have, and the other way about. They stop at what cannot stand
/// in a name or a response; we pass it on, and it is no host and no base64.
fn is_compared(ours: &Command<'_>) -> bool {
    match ours {
        Command::Unknown | Command::Foreign | Command::Turn => false,
        Command::Ehlo(name) | Command::Helo(name) => name.parse::<mail::Host>().is_ok(),
        Command::Bdat(chunk) => chunk.last.is_some(),
        Command::Auth(auth) => auth.initial.is_none_or(|text| !text.contains(' ')),
        _ => true,
    }
}

/// Quoted and encoded text is kept in different forms, and literals are written in different ways.
fn is_plain(line: &str) -> bool {
    line.is_ascii() && !line.contains(['"', '\\', '+', '['])
}

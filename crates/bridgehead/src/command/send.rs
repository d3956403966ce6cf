//! `bridgehead send`: a small client, for the first message and for scripts.

use crate::cli;
use crate::world::Machine;
use anyhow::{Context, Result, bail};
use gateway::{Submission, submit};
use mail::{Host, Mailbox, ReversePath};
use smtp::client::Verdict;
use std::io::Read;
use std::process::ExitCode;

/// The largest message that is read from standard input.
const MESSAGE_OCTETS: u64 = 256 * 1024 * 1024;

/// Submits the message on standard input; ends with 1 if a recipient was not taken.
///
/// # Errors
/// An address is none, or the server cannot be reached or refuses us.
pub fn run(send: &cli::Send) -> Result<ExitCode> {
    let from = send.from.trim_start_matches('<').trim_end_matches('>');
    let reverse_path = if from.is_empty() {
        ReversePath::Null
    } else {
        ReversePath::Mailbox(from.parse().with_context(|| format!("--from {}", send.from))?)
    };
    let recipients: Vec<Mailbox> = send
        .to
        .iter()
        .map(|to| to.parse().with_context(|| format!("--to {to}")))
        .collect::<Result<_>>()?;
    let submission = Submission {
        server: send.server,
        hello: Host::Literal(std::net::Ipv4Addr::LOCALHOST.into()),
        tls: !send.no_tls,
        reverse_path,
        recipients: recipients.clone(),
        message: read()?,
    };
    let verdicts = super::runtime()?.block_on(async { anyhow::Ok(submit(&Machine::new()?, submission).await?) })?;
    Ok(print(&recipients, &verdicts))
}

fn print(recipients: &[Mailbox], verdicts: &[Verdict]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (recipient, verdict) in recipients.iter().zip(verdicts) {
        let (word, response) = match verdict {
            Verdict::Delivered(response) => ("taken", response),
            Verdict::Deferred(response) => ("not taken now", response),
            Verdict::Failed(response) => ("refused", response),
        };
        if !matches!(verdict, Verdict::Delivered(_)) {
            code = ExitCode::FAILURE;
        }
        println!("{recipient}: {word}: {response}");
    }
    code
}

/// The message, with CRLF line ends as SMTP wants them. One that begins with no header field gets an
/// empty header, so that its first line is not taken for one.
fn read() -> Result<Vec<u8>> {
    let mut text = Vec::new();
    std::io::stdin().lock().take(MESSAGE_OCTETS + 1).read_to_end(&mut text).context("standard input")?;
    if text.len() as u64 > MESSAGE_OCTETS {
        bail!("the message is larger than {MESSAGE_OCTETS} octets");
    }
    let mut message = Vec::with_capacity(text.len() + text.len() / 32 + 2);
    if !has_header(&text) {
        message.extend_from_slice(b"\r\n");
    }
    for line in text.split_inclusive(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        message.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        message.extend_from_slice(b"\r\n");
    }
    Ok(message)
}

/// Whether the first line is a header field.
fn has_header(text: &[u8]) -> bool {
    let line = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let name = line.split(|b| *b == b':').next().unwrap_or_default();
    line.is_empty() || (name.len() < line.len() && !name.is_empty() && name.iter().all(|b| (33..=126).contains(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_known_when_it_is_seen() {
        assert!(has_header(b"Subject: x\n\nhello"));
        assert!(has_header(b"\nhello"));
        assert!(!has_header(b"hello there: you\n"));
        assert!(!has_header(b"hello\n"));
    }
}

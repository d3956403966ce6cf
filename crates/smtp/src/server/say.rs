//! Everything a session says of its own accord, in one place (reference 9.2).

use crate::body::Fault;
use mail::{Domain, Mailbox, Reply, ReversePath};

pub(super) fn greeting(host: &Domain) -> Reply {
    Reply::bare(20, vec![format!("{host} ESMTP").into()])
}

pub(super) fn hello(host: &Domain) -> Reply {
    Reply::bare(50, vec![host.to_string().into()])
}

pub(super) fn sender_ok(path: &ReversePath) -> Reply {
    match path {
        ReversePath::Null => Reply::done(50, 1, 0, "<>....Sender OK"),
        ReversePath::Mailbox(mailbox) => Reply::done(50, 1, 0, format!("{mailbox}....Sender OK")),
    }
}

pub(super) fn recipient_ok(mailbox: &Mailbox) -> Reply {
    Reply::done(50, 1, 5, mailbox.to_string())
}

pub(super) fn go_on() -> Reply {
    Reply::more(54, "Start mail input; end with <CRLF>.<CRLF>")
}

pub(super) fn chunk_ok() -> Reply {
    Reply::done(50, 0, 0, "Chunk received")
}

pub(super) fn taken(id: &str) -> Reply {
    Reply::done(50, 6, 0, format!("{id} queued"))
}

pub(super) fn reset() -> Reply {
    Reply::done(50, 0, 0, "Resetting")
}

pub(super) fn noop() -> Reply {
    Reply::done(50, 0, 0, "OK")
}

pub(super) fn goodbye() -> Reply {
    Reply::done(21, 0, 0, "Goodbye")
}

pub(super) fn help() -> Reply {
    Reply::done(14, 0, 0, "HELO EHLO MAIL RCPT DATA BDAT RSET NOOP QUIT HELP VRFY AUTH STARTTLS")
}

/// The same for every name, existing or not (L18).
pub(super) fn cannot_verify() -> Reply {
    Reply::done(52, 1, 5, "Cannot VRFY user, but will take message and attempt delivery")
}

pub(super) fn unknown_command() -> Reply {
    Reply::never(0, 5, 1, "Unrecognized command")
}

pub(super) fn not_implemented() -> Reply {
    Reply::never(2, 5, 1, "Command not implemented")
}

pub(super) fn not_text() -> Reply {
    Reply::never(0, 5, 2, "Syntax error")
}

pub(super) fn bare_newline() -> Reply {
    Reply::never(0, 5, 2, "Lines end with CR LF")
}

pub(super) fn line_too_long() -> Reply {
    Reply::never(0, 5, 2, "Line too long")
}

pub(super) fn out_of_order(text: &'static str) -> Reply {
    Reply::never(3, 5, 1, text)
}

pub(super) fn early_talk() -> Reply {
    Reply::never(54, 5, 1, "Wait for the reply")
}

pub(super) fn no_recipients() -> Reply {
    Reply::never(54, 5, 1, "No valid recipients")
}

pub(super) fn too_many_recipients() -> Reply {
    Reply::later(52, 5, 3, "Too many recipients")
}

pub(super) fn too_big() -> Reply {
    Reply::never(52, 3, 4, "Message size exceeds limit")
}

/// What ends content that is lost.
pub(super) fn lost(fault: Fault) -> Reply {
    match fault {
        Fault::TooBig => too_big(),
        Fault::HeaderTooBig => Reply::never(52, 3, 4, "Header size exceeds limit"),
        Fault::LineTooLong => Reply::never(54, 6, 0, "Line too long"),
        Fault::BareNewline => Reply::never(54, 6, 0, "Bare CR or LF in content"),
        Fault::Nul => Reply::never(54, 6, 0, "NUL in content"),
    }
}

pub(super) fn session_full() -> Reply {
    Reply::later(21, 7, 0, "Session size limit reached")
}

pub(super) fn too_many_errors() -> Reply {
    Reply::later(21, 7, 0, "Too many errors")
}

/// A client at the door has said too much that is not AUTH.
pub(super) fn too_many_commands() -> Reply {
    Reply::later(21, 7, 0, "Too many commands without authentication")
}

/// As to MAIL of such a client (reference 9.2, AUTHREQ); `code` is 530 or 454.
pub(super) fn not_authenticated(code: u16) -> Reply {
    let reply = Reply::never(30, 7, 3, "Client was not authenticated");
    reply.clone().with_code(code).unwrap_or(reply)
}

pub(super) fn too_many_failures() -> Reply {
    Reply::later(21, 7, 0, "Too many failed authentications")
}

pub(super) fn not_claims() -> Reply {
    Reply::never(1, 5, 4, "Invalid attributes")
}

pub(super) fn forwarded() -> Reply {
    Reply::done(50, 0, 0, "OK")
}

pub(super) fn expired() -> Reply {
    Reply::later(21, 4, 2, "Timeout")
}

pub(super) fn too_slow() -> Reply {
    Reply::later(21, 4, 2, "Too slow")
}

pub(super) fn shutting_down() -> Reply {
    Reply::later(21, 3, 2, "Service shutting down")
}

pub(super) fn local_error() -> Reply {
    Reply::later(51, 3, 0, "Local error in processing")
}

pub(super) fn tls_needed() -> Reply {
    Reply::never(30, 7, 0, "Must issue a STARTTLS command first")
}

pub(super) fn ready_for_tls() -> Reply {
    Reply::done(20, 0, 0, "Ready to start TLS")
}

/// RFC 4954 §6: the mechanism needs a secured link (L13).
pub(super) fn mechanism_needs_tls() -> Reply {
    Reply::never(38, 7, 11, "Encryption required for requested authentication mechanism")
}

pub(super) fn unknown_mechanism() -> Reply {
    Reply::never(4, 5, 4, "Unrecognized authentication type")
}

pub(super) fn authenticated() -> Reply {
    Reply::done(35, 7, 0, "Authentication successful")
}

pub(super) fn cancelled() -> Reply {
    Reply::never(1, 0, 0, "Authentication cancelled")
}

pub(super) fn not_base64() -> Reply {
    Reply::never(1, 5, 2, "Cannot decode response")
}

/// RFC 4954 §6.
pub(super) fn exchange_line_too_long() -> Reply {
    Reply::never(0, 5, 6, "Authentication exchange line is too long")
}

/// RFC 4954 §6: the server cannot authenticate now.
pub(super) fn cannot_authenticate() -> Reply {
    Reply::later(54, 7, 0, "Temporary authentication failure")
}

/// RFC 1985 §5: no queue is offered to anybody by ETRN, so no node is allowed.
pub(super) fn node_not_allowed() -> Reply {
    Reply::later(59, 7, 0, "Node not allowed")
}

/// RFC 2645 §5.2.2 for a session that may not reverse (L19).
pub(super) fn turn_refused() -> Reply {
    Reply::later(50, 7, 0, "TURN request refused")
}

/// TURN before AUTH (L19).
pub(super) fn turn_needs_auth() -> Reply {
    Reply::never(30, 7, 0, "Authentication required")
}

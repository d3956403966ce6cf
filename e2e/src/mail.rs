//! Messages to send and to find again.

use std::sync::atomic::{AtomicU64, Ordering};

/// A small message with a token that no other message of this run has.
///
/// Returns the message and its token.
#[must_use]
pub fn message(subject: &str) -> (String, String) {
    let token = token();
    let text = format!(
        "From: x@ext.example\r\nTo: alice@corp.example\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <{token}@ext.example>\r\nSubject: {subject} {token}\r\n\r\nHello, {token}.\r\n"
    );
    (text, token)
}

/// A word that occurs nowhere else.
#[must_use]
pub fn token() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("token-{}-{}-end", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The bytes of a message as DATA sends them: dots doubled, ended by a dot on a line of its own.
#[must_use]
pub fn stuffed(message: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len() + 16);
    for line in message.split_inclusive("\r\n") {
        if line.starts_with('.') {
            bytes.push(b'.');
        }
        bytes.extend_from_slice(line.as_bytes());
    }
    if !message.is_empty() && !message.ends_with("\r\n") {
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b".\r\n");
    bytes
}

/// The bytes between the dots, undone: what [`stuffed`] was given.
#[must_use]
pub fn unstuffed(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.split_inclusive("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line)).collect()
}

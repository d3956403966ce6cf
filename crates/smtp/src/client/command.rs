//! Commands, written straight into the caller's buffer. The only place where an envelope becomes
//! bytes: addresses can hold no control character, and parameters are encoded, so nothing a sender
//! chose can end a line.

use super::mail::{Mail, MailRecipient};
use super::offers::Offers;
use crate::envelope::{Notify, Original, Ret};
use std::fmt::Display;
use std::io::Write;

/// The longest encoded ORCPT parameter (RFC 3461 §4.2); a longer one is left out.
const ORCPT_OCTETS: usize = 500;
/// The longest encoded ENVID parameter (RFC 3461 §4.4); a longer one is left out.
const ENVID_OCTETS: usize = 100;

fn put(out: &mut Vec<u8>, what: impl Display) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "{what}");
}

/// `EHLO name` or `HELO name`.
pub(super) fn hello(out: &mut Vec<u8>, verb: &str, name: &mail::Host) {
    put(out, format_args!("{verb} {name}\r\n"));
}

/// `MAIL FROM`, with the parameters that the mail needs and the server knows.
pub(super) fn mail_from(out: &mut Vec<u8>, mail: &Mail, offers: &Offers) {
    put(out, format_args!("MAIL FROM:<{}>", mail.reverse_path));
    if offers.size {
        put(out, format_args!(" SIZE={}", mail.size));
    }
    if mail.content.binary {
        out.extend_from_slice(b" BODY=BINARYMIME");
    } else if mail.content.eight_bit {
        out.extend_from_slice(b" BODY=8BITMIME");
    }
    if mail.needs_smtputf8() {
        out.extend_from_slice(b" SMTPUTF8");
    }
    if offers.dsn {
        match mail.ret {
            None => {}
            Some(Ret::Full) => out.extend_from_slice(b" RET=FULL"),
            Some(Ret::Headers) => out.extend_from_slice(b" RET=HDRS"),
        }
        if let Some(envid) = &mail.envid {
            parameter(out, ENVID_OCTETS, b" ENVID=", |out| xtext(out, envid));
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// `RCPT TO`, with the DSN parameters if the server knows them.
pub(super) fn rcpt_to(out: &mut Vec<u8>, recipient: &MailRecipient, offers: &Offers) {
    put(out, format_args!("RCPT TO:<{}>", recipient.forward_path));
    if offers.dsn {
        if let Some(events) = recipient.notify {
            notify(out, events);
        }
        if let Some(original) = &recipient.original {
            parameter(out, ORCPT_OCTETS, b" ORCPT=", |out| orcpt(out, original));
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// `BDAT`, all of the content in one chunk; exactly `size` octets must follow.
pub(super) fn last_chunk(out: &mut Vec<u8>, size: u64) {
    put(out, format_args!("BDAT {size} LAST\r\n"));
}

fn notify(out: &mut Vec<u8>, events: Notify) {
    out.extend_from_slice(b" NOTIFY=");
    let wanted = [(events.success, "SUCCESS"), (events.failure, "FAILURE"), (events.delay, "DELAY")];
    let mut names = wanted.into_iter().filter_map(|(wanted, name)| wanted.then_some(name));
    out.extend_from_slice(names.next().unwrap_or("NEVER").as_bytes());
    names.for_each(|name| put(out, format_args!(",{name}")));
}

/// Writes a parameter whole, or, if its value is empty or longer than `limit`, not at all.
fn parameter(out: &mut Vec<u8>, limit: usize, name: &[u8], value: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(name);
    let value_start = out.len();
    value(out);
    if !(1..=limit).contains(&(out.len() - value_start)) {
        out.truncate(start);
    }
}

/// An ORCPT value; nothing if the type is not an atom.
fn orcpt(out: &mut Vec<u8>, original: &Original) {
    let kind = &original.kind;
    if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return;
    }
    put(out, format_args!("{kind};"));
    if kind.eq_ignore_ascii_case("utf-8") {
        utf8_addr_xtext(out, &original.address);
    } else {
        xtext(out, &original.address);
    }
}

/// RFC 3461 §4: what is not printable, and `+` and `=`, as `+` and two hexadecimal digits.
fn xtext(out: &mut Vec<u8>, text: &str) {
    for b in text.bytes() {
        match b {
            b'+' | b'=' => put(out, format_args!("+{b:02X}")),
            b'!'..=b'~' => out.push(b),
            _ => put(out, format_args!("+{b:02X}")),
        }
    }
}

/// RFC 6533 §3: the form of a UTF-8 address that is ASCII and goes through every server.
fn utf8_addr_xtext(out: &mut Vec<u8>, text: &str) {
    for c in text.chars() {
        match c {
            '+' | '=' | '\\' => put(out, format_args!("\\x{{{:X}}}", u32::from(c))),
            '!'..='~' => put(out, c),
            _ => put(out, format_args!("\\x{{{:X}}}", u32::from(c))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn xtext_leaves_nothing_that_could_end_a_parameter() {
        assert_eq!(written(|out| xtext(out, "a+b=c d\r\n\u{fc}!~")), "a+2Bb+3Dc+20d+0D+0A+C3+BC!~");
        let utf8 = Original { kind: "utf-8".into(), address: "\u{fc}+\\@b".into() };
        assert_eq!(written(|out| orcpt(out, &utf8)), "utf-8;\\x{FC}\\x{2B}\\x{5C}@b");
        let forged = Original { kind: "rfc822;a NOTIFY=NEVER".into(), address: "a".into() };
        assert_eq!(written(|out| parameter(out, 99, b" ORCPT=", |out| orcpt(out, &forged))), "");
    }

    #[test]
    fn parameters_too_long_are_left_out_whole() {
        let recipient = |address: String| MailRecipient {
            forward_path: "a@b.example".parse().unwrap(),
            notify: None,
            original: Some(Original { kind: "rfc822".into(), address: address.into() }),
        };
        let offers = Offers { dsn: true, ..Offers::default() };
        let fits = written(|out| rcpt_to(out, &recipient("x".repeat(493)), &offers));
        assert!(fits.ends_with("xx\r\n") && fits.contains("ORCPT=rfc822;x"));
        let long = written(|out| rcpt_to(out, &recipient("x".repeat(494)), &offers));
        assert_eq!(long, "RCPT TO:<a@b.example>\r\n");
    }

    #[test]
    fn notify_lists_what_is_wanted() {
        let all = Notify { success: true, failure: true, delay: true };
        assert_eq!(written(|out| notify(out, all)), " NOTIFY=SUCCESS,FAILURE,DELAY");
        let one = Notify { success: false, failure: true, delay: false };
        assert_eq!(written(|out| notify(out, one)), " NOTIFY=FAILURE");
        let none = Notify { success: false, failure: false, delay: false };
        assert_eq!(written(|out| notify(out, none)), " NOTIFY=NEVER");
    }
}

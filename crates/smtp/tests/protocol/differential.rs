//! Our reading of commands beside that of `smtp-proto`, written by others from the same RFCs.

use proptest::prelude::*;
use smtp::command::{self, Command};
use smtp::envelope::{Body, Recipient, Ret, Sender, Terms};
use smtp::server::Offers;
use smtp_proto::{
    MAIL_BODY_8BITMIME, MAIL_BODY_BINARYMIME, MAIL_RET_FULL, MAIL_RET_HDRS, MAIL_SMTPUTF8, RCPT_NOTIFY_DELAY,
    RCPT_NOTIFY_FAILURE, RCPT_NOTIFY_NEVER, RCPT_NOTIFY_SUCCESS, Request,
};

fn theirs(line: &str) -> Result<Request<String>, smtp_proto::Error> {
    let line = format!("{line}\r\n");
    Request::parse(&mut line.as_bytes().iter()).map(Request::into_owned)
}

fn with_terms<T>(use_them: impl FnOnce(&Terms<'_>) -> T) -> T {
    let default_domain = "corp.example".parse().expect("a domain");
    use_them(&Terms { offers: Offers::default(), extended: true, auth: true, default_domain: &default_domain })
}

fn our_sender(line: &str) -> Option<Sender> {
    match command::parse(line) {
        Ok(Command::Mail(text)) => with_terms(|terms| Sender::parse(text, terms)).ok(),
        _ => None,
    }
}

fn our_recipient(line: &str) -> Option<Recipient> {
    match command::parse(line) {
        Ok(Command::Rcpt(text)) => with_terms(|terms| Recipient::parse(text, false, terms)).ok(),
        _ => None,
    }
}

/// Their address with the domain in lower case, as we keep it.
fn folded(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", domain.to_ascii_lowercase()),
        None => address.to_owned(),
    }
}

const LOCAL: &str = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]{1,8}(\\.[a-z0-9+]{1,4}){0,2}";
const DOMAIN: &str = "([a-zA-Z0-9][a-z0-9-]{0,5}[a-z0-9]\\.){1,3}[a-z]{2,6}";

proptest! {
    #[test]
    fn mail(
        local in LOCAL, domain in DOMAIN, null: bool,
        size in proptest::option::of(1u32..),
        body in proptest::option::of(proptest::sample::select(vec!["7BIT", "8BITMIME", "BINARYMIME"])),
        utf8: bool,
        ret in proptest::option::of(proptest::sample::select(vec!["FULL", "HDRS"])),
        envid in proptest::option::of("[a-zA-Z0-9@.-]{1,20}"),
    ) {
        let path = if null { String::new() } else { format!("{local}@{domain}") };
        let mut line = format!("MAIL FROM:<{path}>");
        line += &size.map_or(String::new(), |size| format!(" SIZE={size}"));
        line += &body.map_or(String::new(), |body| format!(" BODY={body}"));
        line += if utf8 { " SMTPUTF8" } else { "" };
        line += &ret.map_or(String::new(), |ret| format!(" RET={ret}"));
        line += &envid.as_ref().map_or(String::new(), |envid| format!(" ENVID={envid}"));
        let Ok(Request::Mail { from }) = theirs(&line) else { panic!("they refuse {line}") };
        let ours = our_sender(&line).unwrap_or_else(|| panic!("we refuse {line}"));
        prop_assert_eq!(ours.reverse_path.to_string(), folded(&from.address));
        prop_assert_eq!(ours.size.unwrap_or(0), from.size as u64);
        prop_assert_eq!(ours.body == Body::EightBit, from.flags & MAIL_BODY_8BITMIME != 0);
        prop_assert_eq!(ours.body == Body::Binary, from.flags & MAIL_BODY_BINARYMIME != 0);
        prop_assert_eq!(ours.smtputf8, from.flags & MAIL_SMTPUTF8 != 0);
        prop_assert_eq!(ours.ret == Some(Ret::Full), from.flags & MAIL_RET_FULL != 0);
        prop_assert_eq!(ours.ret == Some(Ret::Headers), from.flags & MAIL_RET_HDRS != 0);
        prop_assert_eq!(ours.envid.as_deref(), from.env_id.as_deref());
    }

    #[test]
    fn rcpt(
        local in LOCAL, domain in DOMAIN,
        notify in proptest::option::of(proptest::sample::subsequence(vec!["SUCCESS", "FAILURE", "DELAY"], 0..=3)),
        original in proptest::option::of("[a-zA-Z0-9.-]{1,10}@[a-z]{1,8}\\.test"),
    ) {
        let words = notify.as_ref().map(|words| if words.is_empty() { "NEVER".to_owned() } else { words.join(",") });
        let mut line = format!("RCPT TO:<{local}@{domain}>");
        line += &words.map_or(String::new(), |words| format!(" NOTIFY={words}"));
        line += &original.as_ref().map_or(String::new(), |address| format!(" ORCPT=rfc822;{address}"));
        let Ok(Request::Rcpt { to }) = theirs(&line) else { panic!("they refuse {line}") };
        let ours = our_recipient(&line).unwrap_or_else(|| panic!("we refuse {line}"));
        prop_assert_eq!(ours.forward_path.to_string(), folded(&to.address));
        let flag = |flag| to.flags & flag != 0;
        let found = ours.notify.unwrap_or_default();
        prop_assert_eq!(found.success, flag(RCPT_NOTIFY_SUCCESS));
        prop_assert_eq!(found.failure, flag(RCPT_NOTIFY_FAILURE));
        prop_assert_eq!(found.delay, flag(RCPT_NOTIFY_DELAY));
        prop_assert_eq!(ours.notify == Some(smtp::envelope::Notify::default()), flag(RCPT_NOTIFY_NEVER));
        let address = ours.original.map(|original| format!("{}", original.address));
        prop_assert_eq!(address, to.orcpt.map(|text| text.trim_start_matches("rfc822;").to_owned()));
    }

    /// We are the stricter ones: a mailbox that we read, they read, and it is the same. Bare local
    /// parts, which they do not know but for postmaster, are left out.
    #[test]
    fn what_we_accept_means_the_same_to_them(inside in "[a-c@.:,%!<> \\[\\]0-9-]{1,14}") {
        let line = format!("RCPT TO:<{inside}>");
        if let Some(ours) = our_recipient(&line) && inside.rsplit(':').next().is_some_and(|path| path.contains('@')) {
            match theirs(&line) {
                Ok(Request::Rcpt { to }) => {
                    let address = to.address.trim_end_matches('.');
                    prop_assert_eq!(ours.forward_path.to_string(), folded(address), "{}", line);
                }
                other => prop_assert!(false, "{line}: {ours:?} and {other:?}"),
            }
        }
    }

    #[test]
    fn other_commands(
        line in prop_oneof![
            "(EHLO|helo) [a-z]{1,10}\\.test",
            "(DATA|Rset|quit|STARTTLS)",
            "(NOOP|HELP|VRFY|EXPN) [a-z]{1,5}",
            "BDAT [0-9]{1,10}( LAST| last)?",
            "(ETRN) [a-z]{1,5}\\.test",
            "(AUTH) (PLAIN|LOGIN)( [A-Za-z0-9]{4})?",
        ],
    ) {
        let theirs = theirs(&line).unwrap_or_else(|e| panic!("they refuse {line}: {e:?}"));
        let ours = command::parse(&line).unwrap_or_else(|e| panic!("we refuse {line}: {e:?}"));
        let same = match (ours, theirs) {
            (Command::Ehlo(name), Request::Ehlo { host }) | (Command::Helo(name), Request::Helo { host }) => name == host,
            (Command::Bdat(chunk), Request::Bdat { chunk_size, is_last }) => {
                chunk.octets == chunk_size as u64 && chunk.last == Some(is_last)
            }
            (Command::Auth(auth), Request::Auth { initial_response, .. }) => {
                auth.initial.unwrap_or_default() == initial_response
            }
            (Command::Data, Request::Data)
            | (Command::Rset, Request::Rset)
            | (Command::Quit, Request::Quit)
            | (Command::StartTls, Request::StartTls)
            | (Command::Noop, Request::Noop { .. })
            | (Command::Help, Request::Help { .. })
            | (Command::Vrfy, Request::Vrfy { .. })
            | (Command::Expn, Request::Expn { .. })
            | (Command::Etrn, Request::Etrn { .. }) => true,
            _ => false,
        };
        prop_assert!(same, "{line}");
    }
}

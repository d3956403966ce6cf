//! Our reading of commands beside that of `smtp-proto`, written by others from the same RFCs.

use crate::other_parser::{
    agree_on_command, agree_on_recipient, agree_on_sender, folded, our_recipient, our_sender, theirs,
};
use proptest::prelude::*;
use smtp::command;
use smtp_proto::Request;

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
        agree_on_sender(&ours, &from);
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
        agree_on_recipient(&ours, &to);
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
        prop_assert!(agree_on_command(&ours, &theirs), "{line}");
    }
}

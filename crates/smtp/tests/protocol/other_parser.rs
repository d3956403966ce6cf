//! Lines read by us and by `smtp-proto`, side by side; shared with the fuzzer's target.

use smtp::command::{self, Command};
use smtp::envelope::{Body, Notify, Recipient, Ret, Sender, Terms};
use smtp::server::Offers;
use smtp_proto::{
    MAIL_BODY_8BITMIME, MAIL_BODY_BINARYMIME, MAIL_RET_FULL, MAIL_RET_HDRS, MAIL_SMTPUTF8, MailFrom, RCPT_NOTIFY_DELAY,
    RCPT_NOTIFY_FAILURE, RCPT_NOTIFY_NEVER, RCPT_NOTIFY_SUCCESS, RcptTo, Request,
};

/// What they read in a line.
pub(crate) fn theirs(line: &str) -> Result<Request<String>, smtp_proto::Error> {
    let line = format!("{line}\r\n");
    Request::parse(&mut line.as_bytes().iter()).map(Request::into_owned)
}

fn with_terms<T>(use_them: impl FnOnce(&Terms<'_>) -> T) -> T {
    let default_domain = "corp.example".parse().expect("a domain");
    use_them(&Terms { offers: Offers::default(), extended: true, auth: true, default_domain: &default_domain })
}

/// What we read in a line, if it is MAIL.
pub(crate) fn our_sender(line: &str) -> Option<Sender> {
    match command::parse(line) {
        Ok(Command::Mail(text)) => with_terms(|terms| Sender::parse(text, terms)).ok(),
        _ => None,
    }
}

/// What we read in a line, if it is RCPT.
pub(crate) fn our_recipient(line: &str) -> Option<Recipient> {
    match command::parse(line) {
        Ok(Command::Rcpt(text)) => with_terms(|terms| Recipient::parse(text, false, terms)).ok(),
        _ => None,
    }
}

/// Their address with the domain in lower case, as we keep it.
pub(crate) fn folded(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", domain.to_ascii_lowercase()),
        None => address.to_owned(),
    }
}

/// MAIL means the same to both; the addresses are compared by the caller.
pub(crate) fn agree_on_sender(ours: &Sender, from: &MailFrom<String>) {
    let flag = |flag| from.flags & flag != 0;
    assert_eq!(ours.size.unwrap_or(0), from.size as u64);
    assert_eq!(ours.body == Body::EightBit, flag(MAIL_BODY_8BITMIME));
    assert_eq!(ours.body == Body::Binary, flag(MAIL_BODY_BINARYMIME));
    assert_eq!(ours.smtputf8, flag(MAIL_SMTPUTF8));
    assert_eq!(ours.ret == Some(Ret::Full), flag(MAIL_RET_FULL));
    assert_eq!(ours.ret == Some(Ret::Headers), flag(MAIL_RET_HDRS));
    assert_eq!(ours.envid.as_deref(), from.env_id.as_deref());
}

/// RCPT means the same to both; the addresses are compared by the caller.
pub(crate) fn agree_on_recipient(ours: &Recipient, to: &RcptTo<String>) {
    let flag = |flag| to.flags & flag != 0;
    let found = ours.notify.unwrap_or_default();
    assert_eq!(found.success, flag(RCPT_NOTIFY_SUCCESS));
    assert_eq!(found.failure, flag(RCPT_NOTIFY_FAILURE));
    assert_eq!(found.delay, flag(RCPT_NOTIFY_DELAY));
    assert_eq!(ours.notify == Some(Notify::default()), flag(RCPT_NOTIFY_NEVER));
    let address = ours.original.as_ref().map(|original| &*original.address);
    assert_eq!(address, to.orcpt.as_deref().map(|text| text.trim_start_matches("rfc822;")));
}

/// Whether two commands other than MAIL and RCPT are the same.
pub(crate) fn agree_on_command(ours: &Command<'_>, theirs: &Request<String>) -> bool {
    match (ours, theirs) {
        (Command::Ehlo(name), Request::Ehlo { host }) | (Command::Helo(name), Request::Helo { host }) => name == host,
        (Command::Bdat(chunk), Request::Bdat { chunk_size, is_last }) => {
            chunk.octets == *chunk_size as u64 && chunk.last == Some(*is_last)
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
    }
}

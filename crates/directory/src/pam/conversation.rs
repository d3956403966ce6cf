//! The other side: a process that hands one password to the modules of one service, and says what they say.

use super::wire::{self, NAME_OCTETS, PASSWORD_OCTETS, Said};
use nonstick::items::Items;
use nonstick::{
    AuthnFlags, ConversationAdapter, ErrorCode, LibPamTransaction, PamShared, Result, Transaction, TransactionBuilder,
};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use zeroize::Zeroizing;

/// Octets of the name of a service.
const SERVICE_OCTETS: usize = 64;

/// Answers one request, if one comes. The process ought to end then: modules and the library leave
/// copies of the password that nobody else can wipe.
///
/// # Errors
/// When the request is cut off or cannot be one, or the answer cannot be said.
pub fn serve(mut requests: impl Read, mut answers: impl Write) -> io::Result<()> {
    let Some(service) = text(&mut requests, SERVICE_OCTETS)? else { return Ok(()) };
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let name = text(&mut requests, NAME_OCTETS)?.ok_or_else(cut)?;
    let password = text(&mut requests, PASSWORD_OCTETS)?.ok_or_else(cut)?;
    let answer = answer(&ask(&service, name, password));
    answers.write_all(&answer)?;
    answers.flush()
}

/// A counted text; `None` when there is nothing any more.
fn text(requests: &mut impl Read, limit: usize) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut length = [0; 2];
    if requests.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    requests.read_exact(&mut length[1..])?;
    let length = usize::from(u16::from_be_bytes(length));
    let mut octets = Zeroizing::new(vec![0; length]);
    requests.read_exact(&mut octets)?;
    // The library panics at a NUL, and C would end the text there.
    if length == 0 || length > limit || octets.contains(&0) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Some(octets))
}

fn answer(said: &Said) -> Vec<u8> {
    let (letter, name) = match said {
        Said::Good(name) => (b'G', &**name),
        Said::Wrong => (b'W', ""),
        Said::Unknown => (b'N', ""),
        Said::Suspended => (b'S', ""),
        Said::Unavailable => (b'U', ""),
    };
    let length = u16::try_from(1 + name.len()).expect("invariant: the name of an account is short");
    [&length.to_be_bytes(), &[letter][..], name.as_bytes()].concat()
}

/// Asks the modules whether this is the password, and then, whether the account may log in.
fn ask(service: &[u8], name: Zeroizing<Vec<u8>>, password: Zeroizing<Vec<u8>>) -> Said {
    let client = Client { name, password };
    let builder = TransactionBuilder::new_with_service(OsStr::from_bytes(service));
    let builder = builder.username(OsStr::from_bytes(&client.name));
    let Ok(mut transaction) = builder.build(client.into_conversation()) else { return Said::Unavailable };
    // Its modules end, wherever this leaves, before anything is answered.
    let flags = AuthnFlags::SILENT | AuthnFlags::DISALLOW_NULL_AUTHTOK;
    if let Err(error) = transaction.authenticate(flags) {
        return not_authenticated(error);
    }
    if let Err(error) = transaction.account_management(flags) {
        return may_not(error);
    }
    account(&transaction)
}

/// Who the modules say it is: they may have found another name for it.
fn account<C: nonstick::Conversation>(transaction: &LibPamTransaction<C>) -> Said {
    let name = transaction.items().user().ok().flatten();
    name.and_then(|name| wire::account(name.as_bytes())).map_or(Said::Unavailable, Said::Good)
}

/// pam_authenticate(3). Only what is known to mean no is no.
fn not_authenticated(error: ErrorCode) -> Said {
    match error {
        ErrorCode::AuthenticationError | ErrorCode::MaxTries => Said::Wrong,
        ErrorCode::UserUnknown => Said::Unknown,
        error => may_not(error),
    }
}

/// pam_acct_mgmt(3): the password was right, unless the modules that check it said one of these.
fn may_not(error: ErrorCode) -> Said {
    match error {
        ErrorCode::AccountExpired
        | ErrorCode::AuthTokExpired
        | ErrorCode::CredentialsExpired
        | ErrorCode::NewAuthTokRequired
        | ErrorCode::PermissionDenied
        | ErrorCode::AuthenticationError => Said::Suspended,
        ErrorCode::UserUnknown => Said::Unknown,
        _ => Said::Unavailable,
    }
}

/// What modules ask, answered for the client: what must not be seen is the password, all else the name.
struct Client {
    name: Zeroizing<Vec<u8>>,
    password: Zeroizing<Vec<u8>>,
}

impl ConversationAdapter for Client {
    fn prompt(&self, _request: impl AsRef<OsStr>) -> Result<OsString> {
        Ok(OsString::from_vec(self.name.to_vec()))
    }

    fn masked_prompt(&self, _request: impl AsRef<OsStr>) -> Result<OsString> {
        Ok(OsString::from_vec(self.password.to_vec()))
    }

    // What modules tell people has nobody to be shown to.
    fn error_msg(&self, _message: impl AsRef<OsStr>) {}

    fn info_msg(&self, _message: impl AsRef<OsStr>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(request: &[u8]) -> (io::Result<()>, Vec<u8>) {
        let mut answers = Vec::new();
        (serve(request, &mut answers), answers)
    }

    #[test]
    fn what_is_no_request_is_not_asked() {
        let (end, answers) = served(b"");
        assert!(end.is_ok() && answers.is_empty(), "nobody asks any more");
        let long = [&[0, 65][..], &[b's'; 65]].concat();
        for request in [&b"\0"[..], b"\0\x04smt", b"\0\x04smtp", b"\0\x04smtp\0\0\0\x02pw", b"\0\x04sm\0p", &long] {
            let (end, answers) = served(request);
            assert!(end.is_err() && answers.is_empty(), "{}", request.escape_ascii());
        }
    }

    #[test]
    fn answers_are_read_as_they_are_written() {
        let all = [Said::Good("alice".into()), Said::Wrong, Said::Unknown, Said::Suspended, Said::Unavailable];
        for said in all {
            let octets = answer(&said);
            assert_eq!(usize::from(u16::from_be_bytes([octets[0], octets[1]])), octets.len() - 2);
            assert_eq!(Said::parse(&octets[2..]), Some(said));
        }
    }

    /// A domain controller or disk that cannot be asked is neither a wrong password nor a suspended account.
    #[test]
    fn what_modules_cannot_find_out_is_no_verdict() {
        for error in [
            ErrorCode::AuthInfoUnavailable,
            ErrorCode::CredentialsInsufficient,
            ErrorCode::SystemError,
            ErrorCode::ServiceError,
            ErrorCode::ConversationError,
            ErrorCode::Abort,
            ErrorCode::Ignore,
        ] {
            assert_eq!((not_authenticated(error), may_not(error)), (Said::Unavailable, Said::Unavailable), "{error:?}");
        }
    }
}

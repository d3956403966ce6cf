//! What the helper says: one line, `TT` (go on with this), `AF` (yes), `NA` (no) or `BH` (broken). It is
//! read strictly; a line that is none of these comes from no helper that should be asked again.

use base64ct::{Base64, Encoding};
use identity::{No, Package};

/// Octets of an account's name.
const NAME_OCTETS: usize = 512;

/// What a helper says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Send this to the client.
    Challenge(Vec<u8>),
    /// It is this account. With a last token for the client, if there is one.
    Yes(Box<str>, Option<Vec<u8>>),
    /// It is not.
    No(No),
    /// It could not find out.
    Unknown,
}

impl Said {
    /// Reads a line, without its end. `None` is garbage.
    pub(super) fn parse(package: Package, line: &[u8]) -> Option<Said> {
        let line = str::from_utf8(line).ok()?;
        if line.contains(char::is_control) {
            return None;
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        // With SPNEGO there are two words behind, a token and a name or reason, `*` where there is none.
        let spnego = package == Package::Spnego;
        match word {
            "TT" if spnego => Some(Said::Challenge(token(rest.strip_suffix(" *")?)?)),
            "TT" => Some(Said::Challenge(token(rest)?)),
            "AF" if spnego => {
                let (last, name) = rest.split_once(' ')?;
                let last = if last == "*" { None } else { Some(token(last)?) };
                Some(Said::Yes(account(name)?, last))
            }
            "AF" => Some(Said::Yes(account(rest)?, None)),
            "NA" if spnego => Some(reason(rest.split_once(' ')?.1)),
            "NA" => Some(reason(rest)),
            "BH" => Some(Said::Unknown),
            _ => None,
        }
    }
}

fn token(text: &str) -> Option<Vec<u8>> {
    Base64::decode_vec(text).ok().filter(|token| !token.is_empty())
}

fn account(name: &str) -> Option<Box<str>> {
    let sound = !name.is_empty() && name.len() <= NAME_OCTETS && name.trim() == name;
    sound.then(|| name.into())
}

/// Only what is known to mean no is no. A domain controller that does not answer is not a wrong password.
fn reason(status: &str) -> Said {
    match status {
        "NT_STATUS_NO_SUCH_USER" => Said::No(No::Unknown),
        "NT_STATUS_WRONG_PASSWORD" | "NT_STATUS_LOGON_FAILURE" | "NT_STATUS_INVALID_PARAMETER" => Said::No(No::Wrong),
        "NT_STATUS_ACCOUNT_DISABLED"
        | "NT_STATUS_ACCOUNT_LOCKED_OUT"
        | "NT_STATUS_ACCOUNT_EXPIRED"
        | "NT_STATUS_ACCOUNT_RESTRICTION"
        | "NT_STATUS_PASSWORD_EXPIRED"
        | "NT_STATUS_PASSWORD_MUST_CHANGE"
        | "NT_STATUS_INVALID_LOGON_HOURS"
        | "NT_STATUS_INVALID_WORKSTATION"
        | "NT_STATUS_LOGON_TYPE_NOT_GRANTED" => Said::No(No::Suspended),
        _ => Said::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_understood() {
        let said = |line: &str| Said::parse(Package::Ntlm, line.as_bytes());
        assert_eq!(said("TT VGlt"), Some(Said::Challenge(b"Tim".to_vec())));
        assert_eq!(said(r"AF CORP\alice"), Some(Said::Yes(r"CORP\alice".into(), None)));
        assert_eq!(said("NA NT_STATUS_WRONG_PASSWORD"), Some(Said::No(No::Wrong)));
        assert_eq!(said("NA NT_STATUS_NO_SUCH_USER"), Some(Said::No(No::Unknown)));
        assert_eq!(said("NA NT_STATUS_ACCOUNT_DISABLED"), Some(Said::No(No::Suspended)));
        for unknown in ["NA NT_STATUS_NO_LOGON_SERVERS", "NA", "NA ", "NA what", "BH", "BH winbind is not there"] {
            assert_eq!(said(unknown), Some(Said::Unknown), "{unknown}");
        }
        let said = |line: &str| Said::parse(Package::Spnego, line.as_bytes());
        assert_eq!(said("TT VGlt *"), Some(Said::Challenge(b"Tim".to_vec())));
        assert_eq!(said(r"AF * CORP\alice b"), Some(Said::Yes(r"CORP\alice b".into(), None)));
        assert_eq!(said(r"AF VGlt CORP\alice"), Some(Said::Yes(r"CORP\alice".into(), Some(b"Tim".to_vec()))));
        assert_eq!(said("NA * NT_STATUS_LOGON_FAILURE"), Some(Said::No(No::Wrong)));
        assert_eq!(said("NA VGlt NT_STATUS_LOGON_FAILURE"), Some(Said::No(No::Wrong)));
    }

    #[test]
    fn garbage_is_no_answer() {
        let lines: [&[u8]; 17] = [
            b"",
            b" ",
            b"T",
            b"tt VGlt",
            b"TT",
            b"TT ",
            b"TT VGl",
            b"TT VGlt ",
            b"TT VG!t",
            b"TTVGlt",
            b"AF",
            b"AF ",
            b"AF  alice",
            b"AF ali\xffce",
            b"AF alice\r",
            b"AF ali\0ce",
            b"OK alice",
        ];
        for line in lines {
            assert_eq!(Said::parse(Package::Ntlm, line), None, "{}", line.escape_ascii());
        }
        let long = format!("AF {}", "a".repeat(NAME_OCTETS + 1));
        assert_eq!(Said::parse(Package::Ntlm, long.as_bytes()), None);
        for line in
            ["AF alice", "AF *", "AF * ", "AF ! alice", "NA NT_STATUS_LOGON_FAILURE", "TT *", "TT VGlt", "TT * *"]
        {
            assert_eq!(Said::parse(Package::Spnego, line.as_bytes()), None, "{line}");
        }
    }
}

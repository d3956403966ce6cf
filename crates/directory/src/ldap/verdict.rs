//! What the answer to a bind means.

use super::message::Outcome;
use identity::No;

/// What the answer to a bind means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The password is good.
    Good,
    /// The directory says no.
    No(No),
    /// This server cannot say; another may.
    Elsewhere,
    /// Nobody can say, because of how it is asked: for the operator to mend.
    Unanswerable,
}

/// Reads the answer to a bind with somebody's password (RFC 4511 §4.1.9, appendix A).
#[must_use]
pub(crate) fn verdict(outcome: &Outcome) -> Verdict {
    match outcome.code {
        0 => Verdict::Good,
        // inappropriateAuthentication: the entry has no password. noSuchObject and invalidDNSyntax: the
        // DN came from a template, and nobody is called that.
        48 => Verdict::No(No::Wrong),
        32 | 34 => Verdict::No(No::Unknown),
        49 => Verdict::No(windows(&outcome.diagnostic)),
        // timeLimitExceeded, adminLimitExceeded, busy, unavailable.
        3 | 11 | 51 | 52 => Verdict::Elsewhere,
        // Also unwillingToPerform (53), confidentialityRequired (13), strongerAuthRequired (8),
        // operationsError (1), a referral (10): never a word about the password.
        _ => Verdict::Unanswerable,
    }
}

/// Active Directory says in words why it refused: `80090308: LdapErr: DSID-0C09044E, comment:
/// AcceptSecurityContext error, data 52e, v2580`. The number is a Win32 error in hexadecimal.
fn windows(diagnostic: &str) -> No {
    let code = diagnostic.split(", data ").nth(1).map(|rest| rest.split(',').next().unwrap_or("").trim());
    match code {
        // Not at this hour, not from here, password expired, account disabled, account expired, password
        // must be changed, account locked.
        Some("530" | "531" | "532" | "533" | "701" | "773" | "775") => No::Suspended,
        // 525, no such user, is the same as 52e: the account was found before.
        _ => No::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, verdict};
    use crate::ldap::message::Outcome;
    use identity::No;

    fn of(code: u32, diagnostic: &str) -> Verdict {
        verdict(&Outcome { code, diagnostic: diagnostic.into() })
    }

    #[test]
    fn only_success_is_success() {
        let good: Vec<u32> = (0..200).filter(|code| of(*code, "") == Verdict::Good).collect();
        assert_eq!(good, [0]);
        let no: Vec<u32> = (0..200).filter(|code| matches!(of(*code, ""), Verdict::No(_))).collect();
        assert_eq!(no, [32, 34, 48, 49]);
    }

    #[test]
    fn active_directory_says_why() {
        let said = |data: &str| {
            of(
                49,
                &format!("80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {data}, v2580"),
            )
        };
        for data in ["530", "531", "532", "533", "701", "773", "775"] {
            assert_eq!(said(data), Verdict::No(No::Suspended), "{data}");
        }
        for data in ["52e", "525", "", "5330"] {
            assert_eq!(said(data), Verdict::No(No::Wrong), "{data}");
        }
        assert_eq!(of(49, "data 533"), Verdict::No(No::Wrong), "not its form");
    }
}

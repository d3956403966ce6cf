//! Which account a principal is.

use identity::{Finding, No};
use mail::Account;
use std::sync::Arc;

/// Octets of a principal's name.
const NAME_OCTETS: usize = 512;

/// What a ticket of this principal says, in a realm whose users are accounts. Users of other realms are
/// not: their realm may be trusted to name them, but nobody said that they may send mail here.
pub(super) fn finding(principal: &[u8], realm: &str) -> Finding {
    match str::from_utf8(principal).ok().and_then(|text| Some((text, local(text, realm)?))) {
        Some((text, local)) => {
            // Services have an instance and machines end in a dollar sign: peers, perhaps, but no accounts.
            let person = !local.contains('/') && !local.ends_with('$');
            Finding::Principal(text.into(), person.then(|| Arc::new(Account::named(local))))
        }
        None => Finding::No(No::Unknown),
    }
}

/// The principal without its realm, if it is of this realm and of a kind that can prove something.
fn local<'a>(principal: &'a str, realm: &str) -> Option<&'a str> {
    let local = principal.strip_suffix(realm)?.strip_suffix('@')?;
    // RFC 1964 §2.1.1 escapes @ / and others; no sane name has them, and one that has is not to be taken
    // for another. RFC 6112 has the anonymous one.
    let sound = !local.is_empty()
        && principal.len() <= NAME_OCTETS
        && !local.contains(['\\', '@'])
        && !local.contains(char::is_control)
        && !local.starts_with("WELLKNOWN/");
    sound.then_some(local)
}

/// Whether a ticket was for `smtp/host@REALM`. Windows writes services in capitals.
pub(super) fn is_ours(service: &[u8], host: &str, realm: &str) -> bool {
    let ours = |text: &str| {
        let (service, name) = text.strip_suffix(realm)?.strip_suffix('@')?.split_once('/')?;
        Some(service.eq_ignore_ascii_case("smtp") && name.eq_ignore_ascii_case(host))
    };
    str::from_utf8(service).ok().and_then(ours) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(principal: &str) -> Option<(String, Option<String>)> {
        match finding(principal.as_bytes(), "CORP.EXAMPLE") {
            Finding::Principal(name, account) => Some((name.into(), account.map(|account| account.name.to_string()))),
            Finding::No(No::Unknown) => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn people_are_accounts_and_machines_are_not() {
        assert_eq!(who("alice@CORP.EXAMPLE"), Some(("alice@CORP.EXAMPLE".into(), Some("alice".into()))));
        for machine in ["smtp/ex1.corp.example@CORP.EXAMPLE", "EX1$@CORP.EXAMPLE", "alice/admin@CORP.EXAMPLE"] {
            assert_eq!(who(machine), Some((machine.into(), None)));
        }
    }

    #[test]
    fn strangers_are_nobody() {
        let long = format!("{}@CORP.EXAMPLE", "a".repeat(NAME_OCTETS));
        for stranger in [
            "alice@OTHER.EXAMPLE",
            "alice@corp.example",
            "alice@X.CORP.EXAMPLE",
            "aliceCORP.EXAMPLE",
            "alice",
            "@CORP.EXAMPLE",
            "",
            r"alice\@CORP.EXAMPLE@CORP.EXAMPLE",
            "alice@OTHER@CORP.EXAMPLE",
            "al\nice@CORP.EXAMPLE",
            "WELLKNOWN/ANONYMOUS@CORP.EXAMPLE",
            &long,
        ] {
            assert_eq!(who(stranger), None, "{stranger}");
        }
        assert!(matches!(finding(b"al\xff@CORP.EXAMPLE", "CORP.EXAMPLE"), Finding::No(No::Unknown)));
    }

    #[test]
    fn a_ticket_for_another_service_is_not_ours() {
        let ours = |service: &str| is_ours(service.as_bytes(), "mx.corp.example", "CORP.EXAMPLE");
        assert!(ours("smtp/mx.corp.example@CORP.EXAMPLE"));
        assert!(ours("SMTP/MX.corp.example@CORP.EXAMPLE"));
        for other in ["imap/mx.corp.example@CORP.EXAMPLE", "smtp/www.corp.example@CORP.EXAMPLE", "smtp@CORP.EXAMPLE"] {
            assert!(!ours(other), "{other}");
        }
        assert!(!ours("smtp/mx.corp.example@OTHER.EXAMPLE"));
    }
}

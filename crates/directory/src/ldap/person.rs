//! What an entry of the directory says: the account, its addresses, whether it may log in.
//!
//! Pure: entries in, accounts out. What an entry does not say in a form that can be understood is
//! never taken as permission.

use super::dn;
use super::filter::Filter;
use super::message::Entry;
use identity::settings::Schema;
use mail::{Account, Mailbox, Timestamp};
use std::collections::BTreeSet;
use std::time::Duration;

/// Octets of the name of an account or a group.
const NAME_OCTETS: usize = 256;
/// Addresses of one account.
const ADDRESSES: usize = 1000;
/// A group contains whom its groups contain: this rule of Active Directory walks all of them.
const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";

/// An account as its entry shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    /// Its distinguished name.
    pub(crate) dn: String,
    /// Its name and addresses; its groups are found by further searches.
    pub(crate) account: Account,
    /// Whether it may log in.
    pub(crate) standing: Standing,
    /// The distinguished names of the groups that its entry names.
    pub(crate) member_of: Vec<String>,
}

/// Whether an account may log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// Yes.
    Good,
    /// Not now, as far as the entry shows: locked after too many tries, or a password that must be
    /// changed. Locks end by time, which only the server knows: if it takes the password, it is over.
    Restrained,
    /// No, whatever the server thinks of its password: disabled or expired.
    Closed,
}

/// The attributes that an account is made of.
pub(super) fn attributes(schema: Schema) -> &'static [&'static str] {
    match schema {
        Schema::Posix => &[
            "uid",
            "mail",
            "mailAlternateAddress",
            "proxyAddresses",
            "memberOf",
            "shadowExpire",
            "pwdAccountLockedTime",
            "nsAccountLock",
        ],
        Schema::ActiveDirectory => &[
            "sAMAccountName",
            "mail",
            "proxyAddresses",
            "memberOf",
            "userAccountControl",
            "msDS-User-Account-Control-Computed",
            "accountExpires",
            "lockoutTime",
            "pwdLastSet",
        ],
    }
}

/// The account of an entry; `None` if the entry has no name that an account could have.
#[must_use]
pub(crate) fn person(schema: Schema, entry: &Entry, now: Timestamp) -> Option<Person> {
    let (name, standing) = match schema {
        Schema::Posix => (uid(entry)?, posix_standing(entry, now)),
        Schema::ActiveDirectory => (entry.texts("samaccountname").next()?, windows_standing(entry, now)),
    };
    if !is_name(name) {
        return None;
    }
    let account = Account { name: name.into(), groups: Box::new([]), addresses: addresses(entry).into() };
    let member_of = entry.texts("memberof").map(str::to_owned).collect();
    Some(Person { dn: entry.dn.clone(), account, standing, member_of })
}

/// Whether this can be the name of an account or a group.
#[must_use]
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_OCTETS && !name.contains(char::is_control)
}

/// The one of several that the DN has, else the first in order: values have no order of their own.
fn uid(entry: &Entry) -> Option<&str> {
    let named = dn::first_value(&entry.dn);
    let in_dn = entry.texts("uid").find(|uid| named.as_deref() == Some(uid));
    in_dn.or_else(|| entry.texts("uid").min())
}

/// The addresses that are the account's own. Of `proxyAddresses` only SMTP; others (`x500:`, `sip:`,
/// `eum:`) only look like one.
fn addresses(entry: &Entry) -> Vec<Mailbox> {
    let plain = entry.texts("mail").chain(entry.texts("mailalternateaddress"));
    let proxied = entry.texts("proxyaddresses").filter_map(|value| {
        let (kind, address) = value.split_at_checked(5)?;
        kind.eq_ignore_ascii_case("smtp:").then_some(address)
    });
    let mut seen = BTreeSet::new();
    let parsed = plain.chain(proxied).take(ADDRESSES).filter_map(|text| text.parse::<Mailbox>().ok());
    parsed.filter(|mailbox| seen.insert(mailbox.clone())).collect()
}

/// A number of an attribute: `None` if it is not there, an error if it is no number.
fn number(entry: &Entry, name: &str) -> Result<Option<i64>, ()> {
    match entry.values(name).next() {
        None => Ok(None),
        Some(value) => str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok()).map(Some).ok_or(()),
    }
}

fn posix_standing(entry: &Entry, now: Timestamp) -> Standing {
    let today = i64::try_from(now.millis() / 86_400_000).unwrap_or(i64::MAX);
    // shadow(5): days since 1970, a negative number is never.
    let expired = match number(entry, "shadowexpire") {
        Ok(day) => day.is_some_and(|day| (0..=today).contains(&day)),
        Err(()) => true,
    };
    let locked = entry.texts("nsaccountlock").any(|value| value.eq_ignore_ascii_case("true"));
    // draft-behera-ldap-password-policy §5.3.3: this moment is for ever.
    let for_ever = entry.texts("pwdaccountlockedtime").any(|time| time == "000001010000Z");
    if expired || locked || for_ever {
        Standing::Closed
    } else if entry.values("pwdaccountlockedtime").next().is_some() {
        Standing::Restrained
    } else {
        Standing::Good
    }
}

/// MS-ADTS §2.2.16: ACCOUNTDISABLE.
const DISABLED: i64 = 0x2;
/// MS-ADTS §3.1.1.4.5.17: LOCKOUT and PASSWORD_EXPIRED, as the domain controller works them out.
const LOCKED_NOW: i64 = 0x10;
const PASSWORD_EXPIRED: i64 = 0x80_0000;

fn windows_standing(entry: &Entry, now: Timestamp) -> Standing {
    windows_standing_or(entry, now).unwrap_or(Standing::Closed)
}

fn windows_standing_or(entry: &Entry, now: Timestamp) -> Result<Standing, ()> {
    let control = number(entry, "useraccountcontrol")?.unwrap_or(0);
    let expires = number(entry, "accountexpires")?.and_then(file_time);
    if control & DISABLED != 0 || expires.is_some_and(|end| end <= now) {
        return Ok(Standing::Closed);
    }
    let locked = match number(entry, "msds-user-account-control-computed")? {
        Some(computed) => computed & (LOCKED_NOW | PASSWORD_EXPIRED) != 0,
        None => number(entry, "lockouttime")?.is_some_and(|time| time != 0),
    };
    let must_change = number(entry, "pwdlastset")? == Some(0);
    Ok(if locked || must_change { Standing::Restrained } else { Standing::Good })
}

/// A moment in tenths of microseconds since 1601; 0 and the largest number are never.
fn file_time(ticks: i64) -> Option<Timestamp> {
    const TO_1970_MS: u64 = 11_644_473_600_000;
    if ticks == 0 || ticks == i64::MAX {
        return None;
    }
    let ms = u64::try_from(ticks).unwrap_or(0) / 10_000;
    Some(Timestamp::from_millis(0).after(Duration::from_millis(ms.saturating_sub(TO_1970_MS))))
}

/// The filter for the groups that this account is in: all of them in Active Directory, those that it
/// is in directly elsewhere.
pub(super) fn groups_of(schema: Schema, person: &Person) -> Filter {
    let dn = person.dn.as_bytes();
    match schema {
        Schema::Posix => Filter::Or(vec![
            Filter::equal("member", dn),
            Filter::equal("uniqueMember", dn),
            Filter::equal("memberUid", person.account.name.as_bytes()),
        ]),
        // The plain comparison is for servers that imitate the schema and not the rule.
        Schema::ActiveDirectory => Filter::Or(vec![
            Filter::equal("member", dn),
            Filter::Rule {
                rule: Some(IN_CHAIN.into()),
                attribute: Some("member".into()),
                dn: false,
                value: super::filter::Value::fixed(dn),
            },
        ]),
    }
}

/// The filter for the groups that one of these groups is in.
pub(super) fn groups_above(dns: &[String]) -> Filter {
    let member = |dn: &String| [Filter::equal("member", dn.as_bytes()), Filter::equal("uniqueMember", dn.as_bytes())];
    Filter::Or(dns.iter().flat_map(member).collect())
}

/// What a group is called. In Active Directory by the name that no other object of the domain may
/// have, else by its `cn`.
#[must_use]
pub(crate) fn group_name(schema: Schema, entry: &Entry) -> Option<Box<str>> {
    let own = match schema {
        Schema::Posix => None,
        Schema::ActiveDirectory => entry.texts("samaccountname").next(),
    };
    let named = own.or_else(|| entry.texts("cn").next()).map(str::to_owned);
    named.or_else(|| dn::first_value(&entry.dn)).filter(|name| is_name(name)).map(Box::from)
}

#[cfg(test)]
mod tests;

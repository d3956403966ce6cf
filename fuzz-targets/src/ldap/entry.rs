//! Entries: what a server writes is read back, and means no more than it says.

use super::element::write;
use crate::input::{Input, has_control};
use directory::fuzzing::ldap::{self, Found, Heard};
use identity::settings::Schema;
use mail::{Mailbox, Timestamp};

/// Attributes that decide something, and one that does not.
const NAMES: [&str; 16] = [
    "uid",
    "sAMAccountName",
    "cn",
    "mail",
    "mailAlternateAddress",
    "proxyAddresses",
    "shadowExpire",
    "nsAccountLock",
    "pwdAccountLockedTime",
    "userAccountControl",
    "msDS-User-Account-Control-Computed",
    "accountExpires",
    "lockoutTime",
    "pwdLastSet",
    "memberOf",
    "description",
];

/// 2026-01-01.
const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
/// Days since 1970, then.
const TODAY: i64 = 20_454;

/// An entry that is written here.
pub(super) fn run(mut input: Input<'_>) {
    let dn = String::from_utf8_lossy(input.counted()).into_owned();
    let mut attributes: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
    let mut list = Vec::new();
    while !input.is_empty() && attributes.len() < 32 {
        let (choice, form) = (input.octet(), input.octet());
        let name = NAMES[usize::from(choice) % NAMES.len()];
        let values: Vec<Vec<u8>> = (0..input.octet() % 4).map(|_| input.counted().to_vec()).collect();
        let set: Vec<u8> = values.iter().flat_map(|value| write(0x04, value, form)).collect();
        let attribute = [write(0x04, name.as_bytes(), form), write(0x31, &set, form >> 2)].concat();
        list.extend(write(0x30, &attribute, form >> 4));
        attributes.push((name.to_ascii_lowercase(), values));
    }
    let entry = write(0x64, &[write(0x04, dn.as_bytes(), 0), write(0x30, &list, 1)].concat(), 2);
    let message = write(0x30, &[b"\x02\x01\x09", &entry[..]].concat(), 0);
    let Some((9, Heard::Found(found))) = ldap::hear(&message) else { panic!("an entry is not read") };
    assert!(found.dn == dn && found.attributes == attributes);
    check(&found);
}

/// Whether what is made of an entry stands in it.
pub(super) fn check(found: &Found) {
    for schema in [Schema::Posix, Schema::ActiveDirectory] {
        if let Some(group) = ldap::group(schema, found) {
            assert!((1..=256).contains(&group.len()) && !has_control(&group));
        }
        let Some(meant) = ldap::meant(schema, found, NOW) else { continue };
        let named = if schema == Schema::Posix { "uid" } else { "samaccountname" };
        let account = meant.account;
        assert!(texts(found, named).any(|text| *text == *account.name), "{account:?}");
        assert!((1..=256).contains(&account.name.len()) && !has_control(&account.name) && account.groups.is_empty());
        assert!(account.addresses.len() <= 1000);
        for (at, address) in account.addresses.iter().enumerate() {
            assert!(holds(found, address), "{address}");
            assert!(!account.addresses[..at].contains(address), "{address} twice");
        }
        let (closed, restrained) = if schema == Schema::Posix { posix(found) } else { windows(found) };
        assert!(!closed || meant.is_closed, "{schema:?}: {found:?}");
        assert!(!restrained || !meant.is_good, "{schema:?}: {found:?}");
        assert!(!(meant.is_closed && meant.is_good));
    }
}

fn values<'a>(found: &'a Found, name: &str) -> impl Iterator<Item = &'a Vec<u8>> {
    found.attributes.iter().filter(move |(other, _)| other == name).flat_map(|(_, values)| values)
}

fn texts<'a>(found: &'a Found, name: &str) -> impl Iterator<Item = &'a str> {
    values(found, name).filter_map(|value| str::from_utf8(value).ok())
}

fn holds(found: &Found, address: &Mailbox) -> bool {
    let is = |text: &str| text.parse::<Mailbox>().is_ok_and(|mailbox| mailbox == *address);
    let proxied = |text: &str| text.get(..5).is_some_and(|kind| kind.eq_ignore_ascii_case("smtp:")) && is(&text[5..]);
    texts(found, "mail").chain(texts(found, "mailalternateaddress")).any(is)
        || texts(found, "proxyaddresses").any(proxied)
}

/// The first number of an attribute; an attribute that is no number is an error.
fn number(found: &Found, name: &str) -> Result<Option<i64>, ()> {
    let value = values(found, name).next();
    value.map(|value| str::from_utf8(value).map_err(|_| ())?.trim().parse().map_err(|_| ())).transpose()
}

/// Whether something says that the account is closed, and whether something says that it is locked.
fn posix(found: &Found) -> (bool, bool) {
    let expired = number(found, "shadowexpire").map_or(true, |day| day.is_some_and(|day| (0..=TODAY).contains(&day)));
    let locked = texts(found, "nsaccountlock").any(|text| text.eq_ignore_ascii_case("TRUE"));
    let for_ever = texts(found, "pwdaccountlockedtime").any(|text| text == "000001010000Z");
    (expired || locked || for_ever, values(found, "pwdaccountlockedtime").next().is_some())
}

fn windows(found: &Found) -> (bool, bool) {
    let flags = |name, mask| number(found, name).map_or(true, |value| value.is_some_and(|value| value & mask != 0));
    let now_ticks = i64::try_from(NOW.millis()).unwrap() * 10_000 + 116_444_736_000_000_000;
    let over = |ticks: i64| ticks != 0 && ticks != i64::MAX && ticks <= now_ticks;
    let expired = number(found, "accountexpires").map_or(true, |ticks| ticks.is_some_and(over));
    let computed = flags("msds-user-account-control-computed", 0x80_0010);
    (flags("useraccountcontrol", 2) || expired, computed || number(found, "pwdlastset") == Ok(Some(0)))
}

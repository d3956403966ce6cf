//! Entries and what is made of them.

use super::{Standing, group_name, person};
use crate::ldap::message::Entry;
use identity::settings::Schema;
use mail::Timestamp;
use proptest::prelude::*;

/// 2026-01-01.
const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const NEVER: &str = "9223372036854775807";

fn entry(dn: &str, attributes: &[(&str, &str)]) -> Entry {
    let attribute = |(name, value): &(&str, &str)| ((*name).to_owned(), vec![value.as_bytes().to_vec()]);
    Entry { dn: dn.to_owned(), attributes: attributes.iter().map(attribute).collect() }
}

fn windows(attributes: &[(&str, &str)]) -> Standing {
    let all = [&[("samaccountname", "alice")], attributes].concat();
    person(Schema::ActiveDirectory, &entry("CN=Alice,DC=x", &all), NOW).unwrap().standing
}

fn posix(attributes: &[(&str, &str)]) -> Standing {
    let all = [&[("uid", "alice")], attributes].concat();
    person(Schema::Posix, &entry("uid=alice,dc=x", &all), NOW).unwrap().standing
}

#[test]
fn accounts_of_windows_stand_as_their_control_says() {
    assert_eq!(windows(&[]), Standing::Good);
    assert_eq!(
        windows(&[("useraccountcontrol", "512"), ("accountexpires", NEVER), ("lockouttime", "0")]),
        Standing::Good
    );
    assert_eq!(windows(&[("useraccountcontrol", "514")]), Standing::Closed);
    assert_eq!(windows(&[("useraccountcontrol", "yes")]), Standing::Closed, "not understood");
    assert_eq!(windows(&[("accountexpires", "0")]), Standing::Good);
    assert_eq!(windows(&[("accountexpires", "134116992000010000")]), Standing::Good, "a moment later");
    assert_eq!(windows(&[("accountexpires", "134116992000000000")]), Standing::Closed, "now");
    assert_eq!(windows(&[("accountexpires", "-5")]), Standing::Closed);
    assert_eq!(windows(&[("lockouttime", "134116992000000000")]), Standing::Restrained);
    let computed = "msds-user-account-control-computed";
    assert_eq!(windows(&[("lockouttime", "134116992000000000"), (computed, "0")]), Standing::Good, "the lock is over");
    assert_eq!(windows(&[(computed, "16")]), Standing::Restrained);
    assert_eq!(windows(&[(computed, "8388608")]), Standing::Restrained);
    assert_eq!(windows(&[("pwdlastset", "0")]), Standing::Restrained);
    assert_eq!(windows(&[("pwdlastset", "134116992000000000")]), Standing::Good);
}

#[test]
fn accounts_of_unix_expire_and_are_locked() {
    assert_eq!(posix(&[]), Standing::Good);
    assert_eq!(posix(&[("shadowexpire", "-1")]), Standing::Good);
    assert_eq!(posix(&[("shadowexpire", "20455")]), Standing::Good, "tomorrow");
    assert_eq!(posix(&[("shadowexpire", "20454")]), Standing::Closed, "today");
    assert_eq!(posix(&[("shadowexpire", "soon")]), Standing::Closed, "not understood");
    assert_eq!(posix(&[("nsaccountlock", "TRUE")]), Standing::Closed);
    assert_eq!(posix(&[("pwdaccountlockedtime", "000001010000Z")]), Standing::Closed);
    assert_eq!(posix(&[("pwdaccountlockedtime", "20260101000000Z")]), Standing::Restrained);
}

#[test]
fn addresses_are_those_of_smtp() {
    let proxies =
        ["SMTP:alice@corp.example", "smtp:a.smith@corp.example", "sip:alice@corp.example", "x500:/o=x", "smtp:"];
    let proxies = proxies.map(|value| value.as_bytes().to_vec()).to_vec();
    let mut found = entry("CN=Alice,DC=x", &[("samaccountname", "alice"), ("mail", "alice@corp.example")]);
    found.attributes.push(("proxyaddresses".into(), proxies));
    let account = person(Schema::ActiveDirectory, &found, NOW).unwrap().account;
    let addresses: Vec<String> = account.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["alice@corp.example", "a.smith@corp.example"]);
}

#[test]
fn names_are_chosen_the_same_way_each_time() {
    let mut found = entry("uid=zoe,dc=x", &[]);
    found.attributes.push(("uid".into(), vec![b"abe".to_vec(), b"zoe".to_vec()]));
    assert_eq!(&*person(Schema::Posix, &found, NOW).unwrap().account.name, "zoe");
    found.dn = "cn=Zoe,dc=x".into();
    assert_eq!(&*person(Schema::Posix, &found, NOW).unwrap().account.name, "abe");
    assert_eq!(person(Schema::Posix, &entry("cn=x", &[]), NOW), None);
    assert_eq!(person(Schema::Posix, &entry("cn=x", &[("uid", "a\nb")]), NOW), None);
    let group = entry("CN=Mail Admins,DC=x", &[("samaccountname", "mailadmins"), ("cn", "Mail Admins")]);
    assert_eq!(group_name(Schema::ActiveDirectory, &group).as_deref(), Some("mailadmins"));
    assert_eq!(group_name(Schema::Posix, &group).as_deref(), Some("Mail Admins"));
    assert_eq!(group_name(Schema::Posix, &entry("cn=a\\,b,dc=x", &[])).as_deref(), Some("a,b"));
}

proptest! {
    /// Whatever a directory holds, what comes out is an account with a name and addresses, or nothing.
    #[test]
    fn any_entry_is_understood_or_not(
        dn in "\\PC{0,20}",
        values in proptest::collection::vec((0..9usize, proptest::collection::vec(any::<u8>(), 0..30)), 0..12),
    ) {
        for schema in [Schema::Posix, Schema::ActiveDirectory] {
            let names = super::attributes(schema);
            let attribute = |(which, value): &(usize, Vec<u8>)| {
                (names[which % names.len()].to_ascii_lowercase(), vec![value.clone()])
            };
            let entry = Entry { dn: dn.clone(), attributes: values.iter().map(attribute).collect() };
            if let Some(person) = person(schema, &entry, NOW) {
                prop_assert!(super::is_name(&person.account.name));
            }
            let _ = group_name(schema, &entry);
        }
    }
}

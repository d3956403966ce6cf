//! What is read from the text of a filter is what another implementation reads from it, and a value
//! stays a value.

use super::{Comparison, Filter, Part, Value};
use proptest::prelude::*;

const GOOD: [&str; 14] = [
    "(uid=%u)",
    "(|(sAMAccountName=%u)(userPrincipalName=%u)(mail=%u))",
    "(&(objectClass=person)(!(loginDisabled=TRUE))(uid=%u))",
    "(member:1.2.840.113556.1.4.1941:=%u)",
    "(cn:dn:caseIgnoreMatch:=%u)",
    "(cn:dn:=%u)",
    "(:1.2.3:=%u)",
    "(mail=%u*)",
    "(mail=*%u*x*)",
    "(mail=a*%u)",
    "(objectClass=*)",
    "(userAccountControl>=2)",
    "(shadowExpire<=99)",
    "(cn~=%u)",
];

/// RFC 4515 §3: how a value is written in the text of a filter.
fn escaped(value: &str) -> String {
    value.bytes().map(|octet| format!("\\{octet:02x}")).collect()
}

/// The filter as the library ldap3 reads and writes it.
fn theirs(text: &str) -> Vec<u8> {
    use ldap3::asn1::{ASNTag, write};
    let mut octets = bytes::BytesMut::new();
    write::encode_into(&mut octets, ldap3::parse_filter(text).unwrap().into_structure()).unwrap();
    octets.to_vec()
}

/// Lengths may be written in one octet or four: the same with all in the longest form.
fn normal(octets: &[u8]) -> Vec<u8> {
    let mut reader = super::super::ber::Reader(octets);
    let mut whole = Vec::new();
    while let Some((tag, inside)) = reader.next().unwrap() {
        let inside = if tag & 0x20 == 0 { inside.to_vec() } else { normal(inside) };
        // DEFAULT FALSE of dnAttributes may be written or left out.
        if (tag, inside.as_slice()) != (0x84, &[0]) {
            whole.push(tag);
            whole.extend(u32::try_from(inside.len()).unwrap().to_be_bytes());
            whole.extend(inside);
        }
    }
    whole
}

proptest! {
    /// No name is anything but a name, whatever is in it: the request is the one that another
    /// implementation makes of the escaped name.
    #[test]
    fn a_value_stays_a_value(name in "([*()\\\\\0%a-c=]|\\PC){0,12}", which in 0..GOOD.len()) {
        let ours = Filter::parse(GOOD[which], b'u').unwrap().encode(name.as_bytes());
        if !name.is_empty() {
            prop_assert_eq!(normal(&ours), normal(&theirs(&GOOD[which].replace("%u", &escaped(&name)))));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[(&|!)=*\\\\%ua-c:0<>~ ]{0,40}") {
        if let Ok(filter) = Filter::parse(&text, b'u') {
            let octets = filter.encode(b"x");
            let mut reader = super::super::ber::Reader(&octets);
            prop_assert!(reader.next().unwrap().is_some() && reader.next() == Ok(None));
        }
    }
}

#[test]
fn parts_are_told_apart() {
    let place = || Value(vec![super::Piece::Place]);
    let compare = |comparison, value| Filter::Compare(comparison, "a".into(), value);
    assert_eq!(Filter::parse("(a=%u)", b'u'), Ok(compare(Comparison::Equal, place())));
    assert_eq!(Filter::parse("(a=%%u)", b'u'), Ok(compare(Comparison::Equal, Value::fixed(b"%u"))));
    assert_eq!(Filter::parse("(a=\\2a)", b'u'), Ok(compare(Comparison::Equal, Value::fixed(b"*"))));
    assert_eq!(Filter::parse("(a=*%u*)", b'u'), Ok(Filter::Substrings("a".into(), vec![(Part::Any, place())])));
    assert!(Filter::parse("(&(a=*)(b=%u))", b'u').unwrap().has_place());
    assert!(!Filter::parse("(&(a=*)(b=u))", b'u').unwrap().has_place());
}

#[test]
fn mistakes_are_named() {
    for (text, words) in [
        ("", "begins with a parenthesis"),
        ("uid=%u", "begins with a parenthesis"),
        ("(uid=%u", "is not closed"),
        ("(uid=%u))", "something follows"),
        ("(uid=%m)", "unknown letter"),
        ("(uid=\\g0)", "two hexadecimal digits"),
        ("(uid=\\+1)", "two hexadecimal digits"),
        ("(uid=a**b)", "two stars"),
        ("(=x)", "names an attribute"),
        ("(:=x)", "names an attribute or a matching rule"),
        ("(uid)", "is followed by"),
        ("(uid=a(b)", "\\28"),
    ] {
        let error = Filter::parse(text, b'u').unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
    assert!(Filter::parse(&format!("{}(a=b){}", "(!".repeat(20), ")".repeat(20)), b'u').is_err());
    assert!(Filter::parse(&format!("(a={})", "b".repeat(5000)), b'u').is_err());
}

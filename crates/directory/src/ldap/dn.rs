//! Distinguished names as text (RFC 4514): a name put into a template, and names taken apart.

/// A template for the DN of an account: text around one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pieces: Vec<Box<str>>,
}

impl Template {
    /// Reads a template in which `%u` stands for the name of an account.
    ///
    /// # Errors
    /// Says what is wrong with it, for the settings.
    pub(crate) fn parse(text: &str) -> Result<Template, &'static str> {
        let pieces: Vec<Box<str>> = text.split("%u").map(Box::from).collect();
        if pieces.len() < 2 {
            return Err("a template of a DN has %u in it");
        }
        // With a name in its places it must be a DN. `%u@realm`, which some servers take for one, could
        // bind as one person and find another.
        let parts =
            parts(&text.replace("%u", "\\01")).ok_or("a template is a DN, such as uid=%u,ou=people,dc=example")?;
        // The name must be all of an escape that stands there: behind a backslash, `41` would be `A`.
        let places: usize = parts.iter().map(|(_, value)| value.matches('\u{1}').count()).sum();
        if places + 1 != pieces.len() {
            return Err("%u in a DN does not follow a backslash");
        }
        Ok(Template { pieces })
    }

    /// The DN of this account.
    #[must_use]
    pub(crate) fn fill(&self, name: &str) -> String {
        self.pieces.join(&escape(name))
    }
}

/// A value as it stands in a DN (RFC 4514 §2.4): whatever could end it or mean something is written
/// as two hexadecimal digits.
#[must_use]
pub(crate) fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (place, letter) in value.chars().enumerate() {
        let special =
            matches!(letter, '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' | '#') || letter.is_ascii_control();
        if special || (letter == ' ' && (place == 0 || place == last)) {
            escaped.push_str(&format!("\\{:02X}", u32::from(letter)));
        } else {
            escaped.push(letter);
        }
    }
    escaped
}

/// The value of the first part: what a group is called when nothing but its DN is known.
#[must_use]
pub(crate) fn first_value(dn: &str) -> Option<String> {
    Some(parts(dn)?.into_iter().next()?.1)
}

/// Whether `dn` is `base` or below it. Case and spaces beside commas do not count, as for most names
/// that groups and people have.
#[must_use]
pub(crate) fn is_within(dn: &str, base: &str) -> bool {
    let (Some(dn), Some(base)) = (parts(dn), parts(base)) else { return false };
    let same = |(left, right): (&(String, String), &(String, String))| {
        left.0.eq_ignore_ascii_case(&right.0) && left.1.to_lowercase() == right.1.to_lowercase()
    };
    dn.len() >= base.len() && dn.iter().rev().zip(base.iter().rev()).all(same)
}

/// The parts of a DN, the first first: type and value without escapes. A part of several types keeps
/// the first as its type and all else as its value, as it is written. `None` if it is no DN.
pub(super) fn parts(dn: &str) -> Option<Vec<(String, String)>> {
    if dn.trim().is_empty() {
        return Some(Vec::new());
    }
    let mut found = Vec::new();
    let mut rest = dn;
    loop {
        let (name, value) = rest.split_once('=')?;
        let name = name.trim();
        let is_name = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'.';
        if name.is_empty() || !name.bytes().all(is_name) {
            return None;
        }
        let (value, after) = unescape(value)?;
        found.push((name.to_owned(), value));
        match after {
            Some(after) => rest = after,
            None => return Some(found),
        }
    }
}

/// The value at the beginning of `text`, and what is behind the comma that ends it.
fn unescape(text: &str) -> Option<(String, Option<&str>)> {
    let text = text.trim_start_matches(' ');
    let mut value: Vec<u8> = Vec::new();
    // Where the value ends if only spaces follow: escaped ones count.
    let mut end = 0;
    let mut octets = text.bytes().enumerate();
    let mut after = None;
    while let Some((place, octet)) = octets.next() {
        match octet {
            b',' | b';' => {
                after = Some(&text[place + 1..]);
                break;
            }
            b'\\' => {
                let (_, first) = octets.next()?;
                if let Some(high) = char::from(first).to_digit(16) {
                    let (_, second) = octets.next()?;
                    value.push(u8::try_from(high << 4 | char::from(second).to_digit(16)?).ok()?);
                } else {
                    value.push(first);
                }
                end = value.len();
                continue;
            }
            other => value.push(other),
        }
        if octet != b' ' {
            end = value.len();
        }
    }
    value.truncate(end);
    Some((String::from_utf8(value).ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::{Template, escape, first_value, is_within, parts};
    use proptest::prelude::*;

    proptest! {
        /// Whatever a client calls itself, the DN has as many parts as the template, and the name is in
        /// its place.
        #[test]
        fn a_name_stays_a_name(name in "([ ,+\"\\\\<>;=#\0a-c]|\\PC){1,12}") {
            let dn = Template::parse("uid=%u,ou=people,dc=example").unwrap().fill(&name);
            let parts = parts(&dn).unwrap();
            prop_assert_eq!(parts.len(), 3);
            prop_assert_eq!(&parts[0].1, &name);
            prop_assert!(is_within(&dn, "OU=People, DC=example"));
        }

        #[test]
        fn any_text_is_taken_apart_or_refused(text in "([,+\"\\\\;=#ab ]|\\PC){0,20}") {
            if let Some(parts) = parts(&text) {
                let again: Vec<String> =
                    parts.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
                prop_assert_eq!(super::parts(&again.join(",")), Some(parts));
            }
        }
    }

    #[test]
    fn templates_are_distinguished_names() {
        assert!(Template::parse("uid=someone,dc=example").is_err());
        assert!(Template::parse("%u@corp.example").is_err());
        assert!(Template::parse("%u").is_err());
        // An attribute is not for the client to choose, nor what an escape means.
        assert!(Template::parse("%u=x,dc=a").is_err());
        assert!(Template::parse("uid=\\%u,dc=a").is_err());
        assert_eq!(Template::parse("uid=\\\\%u,dc=a").unwrap().fill("41"), "uid=\\\\41,dc=a");
        assert_eq!(Template::parse("cn=%u+mail=%u@x,dc=a").unwrap().fill("a,b"), "cn=a\\2Cb+mail=a\\2Cb@x,dc=a");
    }

    #[test]
    fn groups_have_names_and_places() {
        assert_eq!(first_value("CN=Mail\\, Europe,OU=Groups,DC=x").as_deref(), Some("Mail, Europe"));
        assert_eq!(first_value("cn=a\\C3\\A4 ,dc=x").as_deref(), Some("aä"));
        assert_eq!(first_value(""), None);
        assert!(is_within("cn=a, OU=Groups ,dc=x", "ou=groups,DC=X"));
        assert!(!is_within("cn=a\\,ou=groups,dc=x", "ou=groups,dc=x"));
        assert!(!is_within("dc=x", "ou=groups,dc=x"));
        assert!(is_within("dc=x", ""));
    }
}

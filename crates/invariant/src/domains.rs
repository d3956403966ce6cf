//! Domains, by their text: lower case, no trailing dot, A-labels as they come.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A domain, or `*.` and a domain for every name below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern {
    below: bool,
    domain: Box<str>,
}

/// A text that is not a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainError;

impl fmt::Display for DomainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a domain")
    }
}

impl std::error::Error for DomainError {}

/// As names are compared.
fn normal(name: &str) -> Cow<'_, str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|b| b.is_ascii_uppercase()) { name.to_ascii_lowercase().into() } else { name.into() }
}

impl Pattern {
    /// Whether it stands for the names below its domain, and not for the domain.
    #[must_use]
    pub fn is_below(&self) -> bool {
        self.below
    }

    /// The domain, without `*.`.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }
}

impl FromStr for Pattern {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Pattern, DomainError> {
        let (below, name) = text.strip_prefix("*.").map_or((false, text), |name| (true, name));
        let domain = normal(name);
        let label = |label: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
            !label.is_empty() && label.len() <= 63 && label.bytes().all(plain)
        };
        if domain.len() > 255 || !domain.split('.').all(label) {
            return Err(DomainError);
        }
        Ok(Pattern { below, domain: domain.into() })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.below { "*." } else { "" })?;
        f.write_str(&self.domain)
    }
}

/// A set of domains. What it costs to look into it grows with the labels of the name that is looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domains {
    exact: Box<[Box<str>]>,
    below: Box<[Box<str>]>,
}

impl Domains {
    /// What any of the patterns stands for.
    #[must_use]
    pub fn of(patterns: &[Pattern]) -> Domains {
        let sorted = |below: bool| {
            let mut names: Vec<Box<str>> =
                patterns.iter().filter(|one| one.below == below).map(|one| one.domain.clone()).collect();
            names.sort_unstable();
            names.into_boxed_slice()
        };
        Domains { exact: sorted(false), below: sorted(true) }
    }

    /// The domains of these names, and none below them.
    #[must_use]
    pub fn named<'n>(names: impl IntoIterator<Item = &'n str>) -> Domains {
        let mut exact: Vec<Box<str>> = names.into_iter().map(|name| normal(name).into()).collect();
        exact.sort_unstable();
        Domains { exact: exact.into(), below: Box::default() }
    }

    /// Whether a name is in the set.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        let name = normal(name);
        let has = |names: &[Box<str>], name: &str| names.binary_search_by(|one| (**one).cmp(name)).is_ok();
        has(&self.exact, &name)
            || (!self.below.is_empty() && name.match_indices('.').any(|(dot, _)| has(&self.below, &name[dot + 1..])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_itself_and_a_star_is_what_is_below() {
        let patterns: Vec<Pattern> =
            ["corp.example", "*.partner.example"].iter().map(|text| text.parse().unwrap()).collect();
        let set = Domains::of(&patterns);
        for (name, inside) in [
            ("corp.example", true),
            ("CORP.Example.", true),
            ("sub.corp.example", false),
            ("notcorp.example", false),
            ("partner.example", false),
            ("a.partner.example", true),
            ("b.a.Partner.example", true),
            ("notpartner.example", false),
            ("example", false),
            ("", false),
        ] {
            assert_eq!(set.contains(name), inside, "{name}");
        }
        assert!(!Domains::default().contains("corp.example"));
        assert!(Domains::named(["B.example.", "a.example"]).contains("b.example"));
    }

    #[test]
    fn what_is_no_domain_is_none() {
        for text in ["", "*.", "*", "a..b", "a b.example", "[192.0.2.1]", "x@corp.example", "*.*.example"] {
            assert_eq!(text.parse::<Pattern>(), Err(DomainError), "{text:?}");
        }
        assert_eq!(DomainError.to_string(), "not a domain");
        for (text, below) in [("*.Corp.Example", true), ("CORP.example.", false)] {
            let pattern: Pattern = text.parse().unwrap();
            assert_eq!((pattern.domain(), pattern.is_below()), ("corp.example", below));
            assert_eq!(pattern.to_string(), if below { "*.corp.example" } else { "corp.example" });
        }
    }

    #[test]
    fn a_domain_is_as_long_as_one_can_be() {
        // RFC 1035 §2.3.4: 63 octets of a label, 255 of a name.
        let label = "a".repeat(63);
        let name = |last: &str| format!("{label}.{label}.{label}.{last}");
        let longest = name(&label);
        assert_eq!(longest.len(), 255);
        assert_eq!(longest.parse::<Pattern>().unwrap().domain(), longest);
        assert_eq!(name(&"a".repeat(64)).parse::<Pattern>(), Err(DomainError));
        assert_eq!(format!("{}.aa", name(&"a".repeat(61))).parse::<Pattern>(), Err(DomainError));
        assert_eq!(format!("{label}a.example").parse::<Pattern>(), Err(DomainError));
    }
}

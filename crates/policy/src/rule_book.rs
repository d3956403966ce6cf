//! Where a rule stands in the settings file.
//!
//! A rule is two words to an administrator, its key and its line, and one number to us. The number
//! goes into traces; the book turns it back into words when somebody reads.

/// A rule, by its number in the [`RuleBook`] it was added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(u32);

/// The rules that hold in every configuration. They cannot be set, so they have a key and no line.
const BUILT_IN: [&str; 6] = [
    "built-in.own_address",
    "built-in.address_literal",
    "built-in.postmaster",
    "built-in.routed_local_part",
    "built-in.no_route",
    "built-in.peer",
];

impl RuleId {
    /// The address is the account's own, as its directory says.
    pub const OWN_ADDRESS: RuleId = RuleId(0);
    /// Mail to `user@[192.0.2.1]` is refused (conformance row 22).
    pub const ADDRESS_LITERAL: RuleId = RuleId(1);
    /// Postmaster at a local domain is always accepted (RFC 5321 §4.5.1).
    pub const POSTMASTER: RuleId = RuleId(2);
    /// A local part that could be read as another address is refused (conformance row 21).
    pub const ROUTED_LOCAL_PART: RuleId = RuleId(3);
    /// No rule gave the recipient a route.
    pub const NO_ROUTE: RuleId = RuleId(4);
    /// A peer that nobody has said anything about: it may nothing.
    pub const PEER: RuleId = RuleId(5);

    /// Whether this rule holds in every configuration and stands in no file.
    #[must_use]
    pub fn is_built_in(self) -> bool {
        usize::try_from(self.0).is_ok_and(|at| at < BUILT_IN.len())
    }
}

/// Where a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The path of its key: `virtual_server.inbound.relay.list`.
    pub key: &'a str,
    /// Its line in the settings file, from 1; `None` for a default and for a built-in rule.
    pub line: Option<u32>,
}

/// Every rule of one configuration.
#[derive(Clone, Debug)]
pub struct RuleBook(Vec<(Box<str>, Option<u32>)>);

impl RuleBook {
    /// A book that holds only the built-in rules.
    #[must_use]
    pub fn new() -> RuleBook {
        RuleBook(BUILT_IN.iter().map(|&key| (key.into(), None)).collect())
    }

    /// Adds a rule. `line` counts from 1; `None` says that the rule is a default nobody wrote.
    pub fn add(&mut self, key: impl Into<Box<str>>, line: Option<u32>) -> RuleId {
        let id = u32::try_from(self.0.len()).expect("invariant: a settings file has fewer than 2^32 rules");
        self.0.push((key.into(), line));
        RuleId(id)
    }

    /// The first rule with this key.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<RuleId> {
        let at = self.0.iter().position(|(known, _)| **known == *key)?;
        u32::try_from(at).ok().map(RuleId)
    }

    /// Where `rule` stands. A number that is not of this book (it was reloaded meanwhile) has the
    /// key `(unknown rule)`: a trace must be readable, whatever happened since.
    #[must_use]
    pub fn place(&self, rule: RuleId) -> Place<'_> {
        let found = usize::try_from(rule.0).ok().and_then(|at| self.0.get(at));
        match found {
            Some((key, line)) => Place { key, line: *line },
            None => Place { key: "(unknown rule)", line: None },
        }
    }
}

impl Default for RuleBook {
    fn default() -> RuleBook {
        RuleBook::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_rules_have_their_keys() {
        let book = RuleBook::new();
        for (rule, key) in [
            (RuleId::OWN_ADDRESS, "built-in.own_address"),
            (RuleId::ADDRESS_LITERAL, "built-in.address_literal"),
            (RuleId::POSTMASTER, "built-in.postmaster"),
            (RuleId::ROUTED_LOCAL_PART, "built-in.routed_local_part"),
            (RuleId::NO_ROUTE, "built-in.no_route"),
            (RuleId::PEER, "built-in.peer"),
        ] {
            assert!(rule.is_built_in());
            assert_eq!(book.place(rule), Place { key, line: None });
        }
    }

    #[test]
    fn a_rule_is_found_where_it_was_added_and_a_stranger_is_named_so() {
        let mut book = RuleBook::new();
        let rule = book.add("virtual_server.inbound.relay.list", Some(31));
        assert!(!rule.is_built_in());
        assert_eq!(book.place(rule), Place { key: "virtual_server.inbound.relay.list", line: Some(31) });
        assert_eq!(RuleBook::new().place(rule).key, "(unknown rule)");
    }
}

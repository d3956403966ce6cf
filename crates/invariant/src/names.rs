//! Names of accounts and groups, compared without regard to case, as directories do.

/// Whether two names mean the same account or group.
#[must_use]
pub fn same_name(one: &str, other: &str) -> bool {
    one == other || one.chars().flat_map(char::to_lowercase).eq(other.chars().flat_map(char::to_lowercase))
}

#[cfg(test)]
mod tests {
    use super::same_name;

    #[test]
    fn case_does_not_matter_and_nothing_else_is_forgiven() {
        assert!(same_name("Scanner", "sCANNER") && same_name("ÄRZTE", "ärzte"));
        assert!(!same_name("scanner", "scanner2") && !same_name("a", ""));
    }
}

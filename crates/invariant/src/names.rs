//! Names of accounts and groups, compared without regard to case, as directories do.

/// Whether two names mean the same account or group.
#[must_use]
pub fn same_name(one: &str, other: &str) -> bool {
    // Whole names, not character by character: the last sigma of a Greek name is written otherwise than the others.
    one.eq_ignore_ascii_case(other)
        || (!(one.is_ascii() && other.is_ascii()) && one.to_lowercase() == other.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::same_name;

    #[test]
    fn case_does_not_matter_and_nothing_else_is_forgiven() {
        assert!(same_name("Scanner", "sCANNER") && same_name("ÄRZTE", "ärzte"));
        assert!(same_name("ΜΆΡΚΟΣ", "μάρκος") && same_name("μάρκος", "Μάρκος"));
        // The sign for kelvin is a large k, and no ASCII.
        assert!(same_name("\u{212a}arl", "karl") && same_name("karl", "\u{212a}ARL"));
        assert!(!same_name("scanner", "scanner2") && !same_name("a", "") && !same_name("ärzte", "arzte"));
    }
}

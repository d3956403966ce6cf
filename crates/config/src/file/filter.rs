//! Filters: what is filtered, for all virtual servers together, and which of them apply it.

use super::value::AddressEntry;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whose mail is not wanted: that of clients that have not authenticated, and of servers of the organization that may
/// not bypass filters. Virtual servers apply it with `filters.sender`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SenderFilter {
    /// The senders that are refused, by their reverse-path; `@spam.example` stands for all in that domain. An entry may
    /// be a table `{ address = "x@spam.example", owner = "...", reason = "...", expires = "2027-01-31" }`.
    #[schemars(extend("examples" = [["x@spam.example", "@junk.example"]]))]
    pub list: Vec<AddressEntry>,
    /// Whether mail with the null reverse-path, `<>`, is refused too. Reports of other servers have it, also those about
    /// mail of your own people.
    pub null_sender: bool,
    /// What becomes of a session whose sender is refused.
    pub on_match: OnMatch,
}

impl Default for SenderFilter {
    fn default() -> SenderFilter {
        SenderFilter { list: Vec::new(), null_sender: false, on_match: OnMatch::Drop }
    }
}

/// What becomes of a session whose sender is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum OnMatch {
    /// It is ended with the refusal.
    Drop,
    /// It goes on, and may name another sender.
    Refuse,
}

/// Which filters a virtual server applies.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Filters {
    /// Whether the sender filter is applied.
    pub sender: bool,
}

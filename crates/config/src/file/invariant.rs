//! The shape of the file of invariants: one table per sentence.

use super::value::{NetText, PatternText, WhoText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What must never be, whatever the settings say. It stands in a file of its own, so that who writes the
/// settings and who says what they must never do can be two people.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InvariantFile {
    /// The invariants, each a `[[invariant]]` table of its own.
    pub invariant: Vec<Invariant>,
}

/// One thing that must never be.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "invariant", extend("required" = ["name", "never"]))]
pub struct Invariant {
    /// What it is called in reports and in the log: letters, digits, hyphens, underscores and dots. Required.
    #[schemars(example = "no-anonymous-relay")]
    pub name: Option<String>,
    /// What must never be. Required.
    #[schemars(with = "Never", example = &"relay")]
    pub never: Option<Never>,
    /// Of whom it is said: `anonymous`, `accounts`, `peers`, `anybody`, or `account:`, `group:` or `peer:` and a name.
    /// Absent: `anybody`.
    #[schemars(example = &"anonymous")]
    pub who: Option<WhoText>,
    /// At which virtual server. Absent: at every one.
    #[schemars(example = &"inbound")]
    pub at: Option<String>,
    /// The addresses and networks of the clients of which it is said. Absent: all.
    #[schemars(extend("examples" = [["0.0.0.0/0"]]))]
    pub from: Vec<NetText>,
    /// The addresses and networks of the clients of which it is not said.
    #[schemars(extend("examples" = [["10.0.0.20"]]))]
    pub except_from: Vec<NetText>,
    /// The domains outside the organization to which it is allowed all the same; only with `never = "relay"`. `*.` and
    /// a domain stands for every name below it.
    #[schemars(extend("examples" = [["partner.example", "*.partner.example"]]))]
    pub except_to: Vec<PatternText>,
}

/// What must never be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Never {
    /// A client opens a session.
    Connect,
    /// A client sends mail at all, wherever it goes.
    Submit,
    /// A client sends to a recipient outside the organization.
    Relay,
    /// AUTH is offered, with or without TLS.
    AuthOffered,
    /// AUTH is offered on a link without TLS.
    AuthInClear,
}

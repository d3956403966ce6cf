//! The kinds of values a key may have, before they are read.
//!
//! Each is a text (or a number) with a name for its kind. They are read by `check`, so that a bad
//! value is one mistake among others and does not hide the rest of the file.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A kind of text: a newtype whose schema title says what the text must be.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $title:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "title": $title })
            }
        }
    };
}

text!(
    /// The name of a domain or a host.
    DomainText,
    "domain name"
);
text!(
    /// A mail address.
    MailboxText,
    "mail address"
);
text!(
    /// A file or directory of this machine.
    PathText,
    "path"
);
text!(
    /// An address and a port to listen on.
    ListenText,
    "address and port"
);
text!(
    /// An IP address of this machine.
    AddressText,
    "IP address"
);
text!(
    /// What a list of clients may name: an address, a network, or a domain.
    ClientText,
    "address, network or domain"
);
text!(
    /// What a list of proxies may name: an address or a network.
    NetText,
    "address or network"
);
text!(
    /// A day, as `2027-01-31`.
    DayText,
    "day"
);
text!(
    /// Whom a right is for: `account:` or `group:` and a name.
    HolderText,
    "account or group"
);
text!(
    /// To whom addresses are lent: `account:`, `group:` or `peer:` and a name, or `client:` and an address or network.
    BorrowerText,
    "account, group, peer or client"
);
text!(
    /// An address, or `@` and a domain for all addresses in it.
    AddressesText,
    "mail address or @domain"
);
text!(
    /// Of whom an invariant speaks.
    WhoText,
    "client, account, group or peer"
);
text!(
    /// A domain, or `*.` and a domain for every name below it.
    PatternText,
    "domain or *.domain"
);
text!(
    /// A length of time.
    DurationText,
    "duration"
);

/// A size: a number of octets, or a text with a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Size {
    /// Octets.
    Octets(u64),
    /// `25 MiB`, or `unlimited` where the key allows it.
    Text(String),
}

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "title": "size", "minimum": 0 })
    }
}

/// A number, or the word `unlimited`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Count {
    /// At most so many.
    AtMost(u32),
    /// `unlimited`.
    Text(String),
}

impl JsonSchema for Count {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "title": "number or \"unlimited\"",
            "minimum": 1,
            "maximum": u32::MAX,
        })
    }
}

/// One smart host, or several in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Hosts {
    /// `"[10.0.0.20]"`
    One(String),
    /// `["[10.0.0.20]", "[10.0.0.21]:2525"]`
    Several(Vec<String>),
}

impl JsonSchema for Hosts {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Hosts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "array"],
            "items": { "type": "string", "title": "smart host" },
            "title": "smart host or list of smart hosts",
        })
    }
}

/// Who answers for an exception, why it is there, and when it ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TermText {
    /// Who answers for it.
    pub owner: Option<String>,
    /// Why it is there.
    pub reason: Option<String>,
    /// Its last day, in UTC.
    pub expires: Option<DayText>,
}

/// An entry of a list: a text alone, or a table that also says who answers for it, why it is there and when it
/// ends.
macro_rules! entry {
    ($(#[$doc:meta])* $name:ident, $key:literal, $field:ident: $of:ty, $title:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(untagged)]
        pub enum $name {
            /// The text alone.
            Text($of),
            /// The text with its term.
            Table {
                /// The text. Required.
                #[serde(default)]
                $field: Option<$of>,
                /// Who answers for it.
                #[serde(default)]
                owner: Option<String>,
                /// Why it is there.
                #[serde(default)]
                reason: Option<String>,
                /// Its last day, in UTC.
                #[serde(default)]
                expires: Option<DayText>,
            },
        }

        impl $name {
            /// The text, if it is there, and the key below the entry at which it stands.
            pub(crate) fn text(&self) -> (Option<&$of>, Option<&'static str>) {
                match self {
                    $name::Text(text) => (Some(text), None),
                    $name::Table { $field, .. } => ($field.as_ref(), Some($key)),
                }
            }

            /// Its term.
            pub(crate) fn term(&self) -> TermText {
                match self {
                    $name::Text(_) => TermText::default(),
                    $name::Table { owner, reason, expires, .. } => {
                        TermText { owner: owner.clone(), reason: reason.clone(), expires: expires.clone() }
                    }
                }
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": ["string", "object"],
                    "title": $title,
                    "properties": {
                        $key: { "type": "string", "title": $title },
                        "owner": { "type": "string", "description": "Who answers for it." },
                        "reason": { "type": "string", "description": "Why it is there." },
                        "expires": { "type": "string", "title": "day", "description": "Its last day, in UTC." },
                    },
                    "required": [$key],
                    "additionalProperties": false,
                })
            }
        }
    };
}

entry!(
    /// An entry of a list of clients.
    ClientEntry, "client", client: ClientText, "address, network or domain"
);
entry!(
    /// An entry of a list of addresses.
    AddressEntry, "address", address: AddressesText, "address, or @ and a domain"
);
entry!(
    /// An entry of a list of accounts and groups.
    HolderEntry, "who", who: HolderText, "account or group"
);

impl DurationText {
    /// The text of a default.
    pub(crate) fn new(text: &str) -> DurationText {
        DurationText(text.to_owned())
    }
}

impl Size {
    /// The text of a default.
    pub(crate) fn new(text: &str) -> Size {
        Size::Text(text.to_owned())
    }
}

impl Count {
    /// The word that stands for no limit.
    pub(crate) const UNLIMITED: &'static str = "unlimited";
}

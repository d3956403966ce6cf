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

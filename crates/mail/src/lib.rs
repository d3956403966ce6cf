//! The vocabulary of mail: what a domain, a path, a reply, a network, a moment is.
//!
//! Everything here is a value that has been checked once, when it was made; nothing here knows a
//! protocol step, a file or a socket. The other crates speak to one another in these words.

mod address;
mod addresses;
mod authors;
mod day;
mod digits;
mod header;
mod identity;
mod lookup;
mod network;
mod reply;
mod status;
mod time;

pub use address::{AddressError, Domain, Host, LocalPart, Mailbox, Path, ReversePath};
pub use addresses::{AddressSet, Span, intervals, said};
pub use authors::{Author, Authors};
pub use day::{Day, NotADay};
pub use header::{HeaderName, Hop, Protocol, received};
pub use identity::{Account, Identity};
pub use lookup::{Found, Ledger, Query};
pub use network::{Address, Net, NetError, canonical};
pub use reply::{Reply, Text};
pub use status::{Class, EnhancedStatus};
pub use time::Timestamp;

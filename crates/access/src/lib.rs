//! Who may do what: the settings as a finite table.
//!
//! What a virtual server answers depends on finitely many things: where a client comes from (the
//! prefixes and names in the settings cut all clients into classes), whether the link is secured, whose
//! identity was proved (accounts fall into classes by the lists that name them or their groups), whose
//! address the sender is, and which kind of recipient. [`Classes`] finds the classes, [`Table`] asks the
//! functions that the server runs about a representative of each. Nothing here decides anything itself,
//! and nothing opens a file or a socket.
//!
//! From the table come the *audit* (who may submit and who may relay, with findings) and the *plan* (what
//! one configuration grants that another does not).

pub mod answers;
pub mod audit;
mod classes;
mod clients;
mod exposure;
mod filters;
mod findings;
pub mod html;
mod identities;
pub mod plan;
mod proof;
mod proving;
mod recipients;
mod rows;
mod senders;
mod table;
pub mod text;
mod verdict;
mod witness;

pub use answers::Answers;
pub use audit::{Audit, Surroundings};
pub use classes::{Classes, Cuts, ServerClasses};
pub use clients::{ClientClass, Names};
pub use exposure::{Exposure, Read};
pub use findings::{Finding, Severity};
pub use identities::{IdentityClass, Member};
pub use plan::{Direction, Plan, Shown};
pub use proof::{Broken, Outcome, Proof, prove};
pub use proving::{can_be, comes_from};
pub use recipients::{DomainPattern, RecipientClass, RecipientForm};
pub use rows::{Row, Words};
pub use senders::SenderClass;
pub use table::{Cell, HeaderCell, Judged, Link, ServerTable, Table};
pub use verdict::{Asked, Verdict, Why};
pub use witness::Witness;

//! Judgement: who may connect, submit and relay, and where mail goes.
//!
//! One function for each question, all of one form: rules, facts and a ledger of look-ups in, a
//! verdict with its full trace out. Nothing here reads a clock, a file or a socket, and nothing
//! here knows a reply code: a refusal is a word, and `gateway` has the table that gives it numbers.
//!
//! | question | asks, in this order | verdicts |
//! |---|---|---|
//! | [`connection`] | limits, connection control | admitted, must authenticate, refused |
//! | [`sender`] | who the client is, connection control again if it fell due here, anonymous access | may submit, refused |
//! | [`recipient`] | address literal, routed local part, local domains (postmaster, known recipients), remote domains, relay restrictions | submitted, relayed, refused |
//! | [`message`] | hop count | taken, refused |
//! | [`route`] | remote domain, organization, drop directory, smart hosts | drop directory, smart hosts, none |
//!
//! A question that needs a look-up answers [`Missing`]; whoever drives it writes the answer into
//! the [`mail::Ledger`] and asks again from the beginning. No question asks for more than one.

mod connection;
mod decision;
mod domains;
mod facts;
mod limits;
mod list;
mod message;
mod recipient;
pub mod render;
mod route;
mod rule_book;
mod rules;
mod sender;

pub use connection::{Admission, connection, room};
pub use decision::{Decision, Finding, Missing, Refusal, Step, Trace};
pub use domains::{Alias, Domains, Local, Recipients, Remote};
pub use facts::{ConnectionFacts, MessageFacts, RecipientFacts, SenderFacts};
pub use limits::Limits;
pub use list::{Entry, List, Match};
pub use message::{Taken, message};
pub use recipient::{Acceptance, Grant, recipient};
pub use route::{DropDirectory, Route, Routing, ServerRouting, SmartHost, SmartHosts, Target, route};
pub use rule_book::{Place, RuleBook, RuleId};
pub use rules::{AppliesTo, Authentication, ConnectionControl, Mode, Relay, Rules};
pub use sender::{Submission, sender};

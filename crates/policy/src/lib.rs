//! Judgement: who may connect, submit and relay, and where mail goes.
//!
//! One function for each question, all of one form: rules, facts and a ledger of look-ups in, a
//! verdict with its full trace out. Nothing here reads a clock, a file or a socket, and nothing
//! here knows a reply code: a refusal is a word, and `gateway` has the table that gives it numbers.
//!
//! | question | asks, in this order | verdicts |
//! |---|---|---|
//! | [`connection`] | limits, connection control | admitted, must authenticate, refused |
//! | [`sender`] | who the client is and its right to submit, or connection control again if it fell due here and anonymous access; the sender filter; whose address it uses | may submit, refused |
//! | [`recipient`] | address literal, routed local part, local domains (postmaster, known recipients), remote domains, the right to relay, relay restrictions | submitted, relayed, refused |
//! | [`message`] | hop count, whose addresses its header uses | taken, refused |
//! | [`route`] | remote domain, organization, drop directory, smart hosts | drop directory, smart hosts, none |
//!
//! A question that needs a look-up answers [`Missing`]; whoever drives it writes the answer into
//! the [`mail::Ledger`] and asks again from the beginning. No question asks for more than one.

mod connection;
mod decision;
mod domains;
mod edit;
mod facts;
mod filter;
mod limits;
mod list;
mod message;
mod question;
mod recipient;
pub mod render;
mod rights;
mod route;
mod rule_book;
mod rules;
mod send_as;
mod sender;
mod term;
mod tested;

pub use connection::{Admission, connection, room};
pub use decision::{Decision, Finding, Missing, Refusal, Step, Trace};
pub use domains::{Alias, Domains, Local, Recipients, Remote};
pub use edit::{Edit, Width, edits};
pub use facts::{ConnectionFacts, MessageFacts, RecipientFacts, SenderFacts};
pub use filter::{FilteredSender, FilteredSenders, OnMatch, SenderFilter, SenderList};
pub use limits::Limits;
pub use list::{Entry, List, Match};
pub use message::{Taken, asks_authors, message};
pub use question::{Question, Verdict};
pub use recipient::{Acceptance, Grant, recipient};
pub use rights::{Allowed, Holder, Holders, Rights, Who};
pub use route::{DropDirectory, Route, Routing, ServerRouting, SmartHost, SmartHosts, Target, route};
pub use rule_book::{Place, RuleBook, RuleId};
pub use rules::{AppliesTo, Authentication, ConnectionControl, Mode, PeerRights, Relay, Rules};
pub use send_as::{Action, Addresses, Borrower, Check, Grant as Loan, Loans, Place as AddressPlace, SendAs};
pub use sender::{Submission, sender};
pub use term::Term;
pub use tested::{tested, tested_route};

//! Who is this: the mechanisms of SASL, secrets and how they are kept, and the defence against guessing.
//!
//! An [`Exchange`] turns what a client sends into challenges, and, where it must know something that
//! only a directory knows, into an [`Inquiry`]. Whoever drives it asks the directories and hands in
//! the [`Finding`]. Nothing here reads a file, a socket or a clock, and nothing here knows what an
//! identity is allowed to do.

pub mod accounts;
mod exchange;
mod generate;
pub mod guess;
mod hex;
mod inquiry;
mod keys;
mod name;
mod nt_hash;
mod password;
mod peer;
mod sasl;
mod secret;
pub mod settings;

pub use exchange::{
    ClientCertificate, Credential, Exchange, Failure, Link, Mechanism, Proof, Protection, Setting, Step, Why,
};
pub use generate::generated_password;
pub use inquiry::{Conversation, Finding, Inquiry, No, Package};
pub use keys::{ScramKeys, Unfit};
pub use name::{AccountName, NAME_OCTETS, NameError};
pub use nt_hash::nt_hash;
pub use password::{HashError, PASSWORD_OCTETS, PasswordError, PasswordHash};
pub use peer::{CertificateName, Peer, Trust};
pub use secret::Secret;

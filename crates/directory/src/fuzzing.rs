//! What the fuzzer needs to see: the readers of what servers and clients send, without the network.
//! Only with the feature `fuzzing`, which no program has.

pub use crate::ldap::fuzzing as ldap;
pub use crate::tokens::fuzzing as tokens;

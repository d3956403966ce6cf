//! The worse world: a simulated network, name service, disk and clock, and a player of transcripts.
//!
//! The gateway runs here whole and unmodified, on one thread whose time stands still while anybody
//! has something to do. Nothing here knows how the product is supposed to cope.

mod client;
pub mod clock;
pub mod dice;
mod disk;
mod link;
pub mod mood;
pub mod names;
pub mod net;
mod pace;
pub mod pattern;
pub mod peers;
pub mod plant;
pub mod play;
mod power;
pub mod running;
pub mod script;
pub mod seed;
mod shown;
pub mod world;
